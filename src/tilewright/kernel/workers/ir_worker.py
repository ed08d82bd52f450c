"""A worker's side of a job, as LLVM IR."""

from __future__ import annotations

from tilewright.kernel.workers.block import (
    ACTIVE,
    DONE,
    JOIN,
    SEATS,
    SLEEPERS,
    SPIN,
    WAITING,
    WORK,
    at,
    system,
)

# The life of a worker; it gets the pool's block and scratch memory of its own, and never returns.
JOINING = f"""
define internal ptr @worker(ptr %own) nounwind {{
entry:
  %block = load ptr, ptr %own
  %scratch.at = getelementptr ptr, ptr %own, i64 1
  %scratch = load ptr, ptr %scratch.at
{at("sleepers.at", SLEEPERS)}
{at("spin.at", SPIN)}
  br label %idle
idle:
  %since = call i64 @now(ptr %block)
  br label %ready
ready:
  ; A job missed doesn't start the time anew: whoever isn't needed sleeps, however many jobs there are.
  %start = phi i64 [ %since, %idle ], [ %start, %try ], [ %woken, %awake ]
  %limit = load atomic i64, ptr %spin.at monotonic, align 8
  %offered = call i1 @spin(ptr %block, i64 {SEATS}, i1 true, i64 %start, i64 %limit)
  br i1 %offered, label %try, label %tired

tired:
  call void @lock(ptr %block)
  %before = atomicrmw add ptr %sleepers.at, i64 1 seq_cst
  br label %last.look
last.look:
  %found = call i1 @look(ptr %block, i64 {SEATS}, i1 true)
  br i1 %found, label %awake, label %asleep
asleep:
  call void @sleep(ptr %block, i64 {WORK})
  br label %last.look
awake:
  %after = atomicrmw sub ptr %sleepers.at, i64 1 seq_cst
  call void @unlock(ptr %block)
  %woken = call i64 @now(ptr %block)
  br label %ready

try:
  %joined = call i1 @join(ptr %block)
  br i1 %joined, label %at.work, label %ready
at.work:
  call void @take.floats(ptr %block)
  call void @share(ptr %block, ptr %scratch)
  call void @leave(ptr %block)
  br label %idle
}}

; Take a seat of the job that is offered; whether there was one.
define internal i1 @join(ptr %block) nounwind {{
entry:
  %first = load atomic i64, ptr %block monotonic, align 8
  br label %try
try:
  %state = phi i64 [ %first, %entry ], [ %found, %swap ]
  %free = icmp ugt i64 %state, {ACTIVE}
  br i1 %free, label %swap, label %no
swap:
  %joined = add i64 %state, {JOIN}
  %pair = cmpxchg ptr %block, i64 %state, i64 %joined acq_rel monotonic
  %found = extractvalue {{ i64, i1 }} %pair, 0
  %done = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %done, label %yes, label %try
yes:
  ret i1 true
no:
  ret i1 false
}}

; One fewer at work, and no more seats: the units are all taken. The last one wakes a caller that sleeps.
define internal void @leave(ptr %block) nounwind {{
entry:
{at("waiting.at", WAITING)}
{at("done.at", DONE)}
{system("pthread_cond_signal")}
  %first = load atomic i64, ptr %block monotonic, align 8
  br label %try
try:
  %state = phi i64 [ %first, %entry ], [ %found, %try ]
  %less = sub i64 %state, 1
  %left = and i64 %less, {ACTIVE}
  %pair = cmpxchg ptr %block, i64 %state, i64 %left seq_cst seq_cst
  %found = extractvalue {{ i64, i1 }} %pair, 0
  %done = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %done, label %gone, label %try
gone:
  %last = icmp eq i64 %left, 0
  br i1 %last, label %ask, label %end
ask:
  %waiting = load atomic i64, ptr %waiting.at seq_cst, align 8
  %somebody = icmp ne i64 %waiting, 0
  br i1 %somebody, label %wake, label %end
wake:
  call void @lock(ptr %block)
  call void @unlock(ptr %block)
  %status = call i32 %call(ptr %done.at)
  br label %end
end:
  ret void
}}
"""
