"""The native side of the worker threads, as LLVM IR: how a job is offered, joined, shared out and ended.

One block of memory holds a pool (offsets below). A thread with a job that can be split calls ``parallel``:

    offer    write the job's fields, then STATE = seats · 2³² (how many workers may still join)
    join     a worker takes a seat: STATE + (1 − 2³²), so the low half counts those at work
    share    every thread takes the next unit from NEXT until there is none, and calls the job's function
    leave    STATE = (those at work) − 1 and no seats: what is left of the job is being done by others
    end      the caller waits until STATE = 0

A worker that comes too late finds no seat: the caller never waits for a thread that has not started. A
worker that has joined keeps STATE from 0 until it leaves, so the fields never change under its hands.

Whoever waits first looks at STATE for a while, then sleeps on a condition variable of the system. Nobody's
wake-up is lost: a worker counts itself in SLEEPERS before it looks at STATE for the last time, a caller
stores STATE before it reads SLEEPERS, and all four are sequentially consistent, so one of them sees the
other. WAITING is the same thing for a caller that sleeps until the last worker leaves.
"""

from __future__ import annotations

import time

from tilewright.plan.target import Target

# Where things lie in the block. What different threads write at the same time is 128 bytes apart: x86
# fetches lines of 64 bytes in pairs, and Apple's lines have 128.
STATE = 0
NEXT = 128
FUNCTION, ARGS, UNITS, SPIN = 256, 264, 272, 280
BUSY = 384
SLEEPERS, SIZE = 512, 520
WAITING = 640
# A mutex of the system's takes at most 64 bytes and a condition variable 48, on Linux and macOS.
LOCK, WORK, DONE = 768, 896, 1024
# Addresses of the system's functions, in this order. They are data rather than symbols of the module, so
# that an object kept on disk refers to nothing outside itself.
CALLS = 1152
REQUIRED = (
    "pthread_mutex_lock",
    "pthread_mutex_unlock",
    "pthread_cond_wait",
    "pthread_cond_signal",
    "pthread_cond_broadcast",
    "clock_gettime",
    "sched_yield",
)
# Linux only; 0 elsewhere.
OPTIONAL = ("sched_getcpu", "sched_getaffinity", "pthread_setaffinity_np")
SYSTEM = REQUIRED + OPTIONAL
# The core that workers keep off (−1: none, −2: not set for all of them), a set of cores as the system writes
# it (one bit each; Linux is built for 8192 at most), and the workers' names for the system.
AVOIDED = 1280
CORES, _CORES_BYTES = 2048, 8192 // 8
THREADS = 4096
MOST = 1023
BLOCK_BYTES = THREADS + 8 * MOST

NAME = "tilewright_threads"
# The functions whose addresses `tilewright_threads` writes to the table that it is given, in this order.
EXPORTS = ("serial", "share", "parallel", "worker")

_SEATS = 0xFFFFFFFF << 32  # the half of STATE that counts free seats
_ACTIVE = 0xFFFFFFFF  # the half that counts workers which have joined
_JOIN = 1 - (1 << 32)

# Tells the processor that this is a loop that waits, so that it yields to its sibling and saves power.
_PAUSE = {"x86_64": "llvm.x86.sse2.pause()", "aarch64": "llvm.aarch64.hint(i32 1)"}
# Looks at STATE between two looks at the clock, which costs as much as some ten of them.
_LOOKS = 16

# A caller looks that many times longer than a worker: the last units are under way, and the time it takes to
# wake up would come on top of every job whose units end unevenly.
_PATIENCE = 10


def emit(target: Target) -> str:
    """The module: one function, `NAME`, that fills a table with the addresses of the others."""
    pause = _PAUSE[target.triple.partition("-")[0]]
    stores = "".join(
        f"  %at{i} = getelementptr ptr, ptr %table, i64 {i}\n  store ptr @{name}, ptr %at{i}\n"
        for i, name in enumerate(EXPORTS)
    )
    return "\n".join(
        [
            f"declare void @{pause.replace('i32 1', 'i32')}",
            f"define void @{NAME}(ptr %table) nounwind {{\n{stores}  ret void\n}}",
            _SERIAL,
            _SHARE,
            _CLOCK,
            _SPIN.replace("$PAUSE", pause),
            _LOCKING,
            _JOINING,
            _WAKING,
            _AVOIDING,
            _PARALLEL,
        ]
    )


def _at(name: str, offset: int) -> str:
    """The instruction that names a place in the block."""
    return f"  %{name} = getelementptr i8, ptr %block, i64 {offset}"


def _system(name: str) -> str:
    """The two instructions that fetch a function of the system's as %call."""
    return f"{_at('slot', CALLS + 8 * SYSTEM.index(name))}\n  %call = load ptr, ptr %slot"


# for unit in range(units): function(unit, args, scratch)
_SERIAL = """
define internal void @serial(ptr %function, i64 %units, ptr %args, ptr %scratch) nounwind {
entry:
  %any = icmp sgt i64 %units, 0
  br i1 %any, label %body, label %end
body:
  %unit = phi i64 [ 0, %entry ], [ %next, %body ]
  call void %function(i64 %unit, ptr %args, ptr %scratch)
  %next = add nuw nsw i64 %unit, 1
  %more = icmp slt i64 %next, %units
  br i1 %more, label %body, label %end
end:
  ret void
}
"""

# while (unit = NEXT++) < UNITS: FUNCTION(unit, ARGS, scratch)
# The counter orders nothing (monotonic): what a unit reads was ordered by joining, what it writes by leaving.
_SHARE = f"""
define internal void @share(ptr %block, ptr %scratch) nounwind {{
entry:
{_at("function.at", FUNCTION)}
{_at("args.at", ARGS)}
{_at("units.at", UNITS)}
{_at("next.at", NEXT)}
  %function = load ptr, ptr %function.at
  %args = load ptr, ptr %args.at
  %units = load i64, ptr %units.at
  br label %take
take:
  %unit = atomicrmw add ptr %next.at, i64 1 monotonic
  %there = icmp slt i64 %unit, %units
  br i1 %there, label %body, label %end
body:
  call void %function(i64 %unit, ptr %args, ptr %scratch)
  br label %take
end:
  ret void
}}
"""

# Nanoseconds on the system's steady clock.
_CLOCK = f"""
define internal i64 @now(ptr %block) nounwind {{
  %time = alloca [2 x i64], align 8
{_system("clock_gettime")}
  %status = call i32 %call(i32 {getattr(time, "CLOCK_MONOTONIC", 1)}, ptr %time)
  %seconds = load i64, ptr %time
  %rest.at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest.at
  %scaled = mul i64 %seconds, 1000000000
  %now = add i64 %scaled, %rest
  ret i64 %now
}}
"""

# Look until ((STATE & mask) != 0) == wanted, or `limit` nanoseconds have passed since `start`; whether it
# came to that.
_SPIN = f"""
define internal i1 @spin(ptr %block, i64 %mask, i1 %wanted, i64 %start, i64 %limit) nounwind {{
entry:
{_system("sched_yield")}
  %first = call i1 @look(ptr %block, i64 %mask, i1 %wanted)
  %hasty = icmp sle i64 %limit, 0
  %settled = or i1 %first, %hasty
  br i1 %settled, label %early, label %again
early:
  ret i1 %first
again:
  %count = phi i64 [ 0, %entry ], [ %count.next, %again.more ], [ 0, %clock ]
  call void @$PAUSE
  %seen = call i1 @look(ptr %block, i64 %mask, i1 %wanted)
  br i1 %seen, label %yes, label %again.more
again.more:
  %count.next = add i64 %count, 1
  %enough = icmp eq i64 %count.next, {_LOOKS}
  br i1 %enough, label %clock, label %again
clock:
  ; Whoever waits for this core goes first.
  %status = call i32 %call()
  %now = call i64 @now(ptr %block)
  %spent = sub i64 %now, %start
  %over = icmp sge i64 %spent, %limit
  br i1 %over, label %no, label %again
yes:
  ret i1 true
no:
  ret i1 false
}}

define internal i1 @look(ptr %block, i64 %mask, i1 %wanted) alwaysinline nounwind {{
  %state = load atomic i64, ptr %block seq_cst, align 8
  %part = and i64 %state, %mask
  %some = icmp ne i64 %part, 0
  %seen = icmp eq i1 %some, %wanted
  ret i1 %seen
}}
"""

_LOCKING = f"""
define internal void @lock(ptr %block) nounwind {{
{_system("pthread_mutex_lock")}
{_at("lock.at", LOCK)}
  %status = call i32 %call(ptr %lock.at)
  ret void
}}

define internal void @unlock(ptr %block) nounwind {{
{_system("pthread_mutex_unlock")}
{_at("lock.at", LOCK)}
  %status = call i32 %call(ptr %lock.at)
  ret void
}}

; With the lock held: give it back, sleep until woken, and take it again.
define internal void @sleep(ptr %block, i64 %where) nounwind {{
{_system("pthread_cond_wait")}
{_at("lock.at", LOCK)}
  %at = getelementptr i8, ptr %block, i64 %where
  %status = call i32 %call(ptr %at, ptr %lock.at)
  ret void
}}
"""

# The life of a worker; it gets the pool's block and scratch memory of its own, and never returns.
_JOINING = f"""
define internal ptr @worker(ptr %own) nounwind {{
entry:
  %block = load ptr, ptr %own
  %scratch.at = getelementptr ptr, ptr %own, i64 1
  %scratch = load ptr, ptr %scratch.at
{_at("sleepers.at", SLEEPERS)}
{_at("spin.at", SPIN)}
  br label %idle
idle:
  %since = call i64 @now(ptr %block)
  br label %ready
ready:
  ; A job missed doesn't start the time anew: whoever isn't needed sleeps, however many jobs there are.
  %start = phi i64 [ %since, %idle ], [ %start, %try ], [ %woken, %awake ]
  %limit = load atomic i64, ptr %spin.at monotonic, align 8
  %offered = call i1 @spin(ptr %block, i64 {_SEATS}, i1 true, i64 %start, i64 %limit)
  br i1 %offered, label %try, label %tired

tired:
  call void @lock(ptr %block)
  %before = atomicrmw add ptr %sleepers.at, i64 1 seq_cst
  br label %last.look
last.look:
  %found = call i1 @look(ptr %block, i64 {_SEATS}, i1 true)
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
  %free = icmp ugt i64 %state, {_ACTIVE}
  br i1 %free, label %swap, label %no
swap:
  %joined = add i64 %state, {_JOIN}
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
{_at("waiting.at", WAITING)}
{_at("done.at", DONE)}
{_system("pthread_cond_signal")}
  %first = load atomic i64, ptr %block monotonic, align 8
  br label %try
try:
  %state = phi i64 [ %first, %entry ], [ %found, %try ]
  %less = sub i64 %state, 1
  %left = and i64 %less, {_ACTIVE}
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

# Wake as many sleepers as there are seats beyond the workers who are awake: min(sleepers, seats − awake).
# Taking the lock makes sure that whoever looked before the offer now sleeps, and so can be woken.
_WAKING = f"""
define internal void @wake(ptr %block, i64 %seats) nounwind {{
entry:
{_at("sleepers.at", SLEEPERS)}
{_at("size.at", SIZE)}
{_at("work.at", WORK)}
{_system("pthread_cond_broadcast")}
{_at("signal.at", CALLS + 8 * SYSTEM.index("pthread_cond_signal"))}
  %signal = load ptr, ptr %signal.at
  %sleepers = load atomic i64, ptr %sleepers.at seq_cst, align 8
  %size = load atomic i64, ptr %size.at acquire, align 8
  %awake = sub i64 %size, %sleepers
  %need = sub i64 %seats, %awake
  %some = icmp sgt i64 %need, 0
  %any = icmp sgt i64 %sleepers, 0
  %do = and i1 %some, %any
  br i1 %do, label %locked, label %end
locked:
  call void @lock(ptr %block)
  call void @unlock(ptr %block)
  %all = icmp sge i64 %need, %sleepers
  br i1 %all, label %everybody, label %one
everybody:
  %status = call i32 %call(ptr %work.at)
  br label %end
one:
  %count = phi i64 [ %need, %locked ], [ %rest, %one ]
  %woken = call i32 %signal(ptr %work.at)
  %rest = sub i64 %count, 1
  %more = icmp sgt i64 %rest, 0
  br i1 %more, label %one, label %end
end:
  ret void
}}
"""

# Workers run where the caller may, but not on the core that it is on. Left to itself, a system may wake them
# there (virtual machines above all: a core that rests counts as one that is taken away), where they take
# turns with the caller. Nothing is done as long as the caller stays where it was.
_AVOIDING = f"""
define internal void @avoid(ptr %block, i64 %spin) nounwind {{
entry:
{_at("avoided.at", AVOIDED)}
{_system("sched_getcpu")}
  %known = icmp ne ptr %call, null
  br i1 %known, label %where, label %end
where:
  ; Where threads outnumber cores, they may be on any.
  %enough = icmp sgt i64 %spin, 0
  br i1 %enough, label %ask, label %compare
ask:
  %here = call i32 %call()
  %wide = sext i32 %here to i64
  br label %compare
compare:
  %core = phi i64 [ %wide, %ask ], [ -1, %where ]
  %avoided = load i64, ptr %avoided.at
  %same = icmp eq i64 %core, %avoided
  br i1 %same, label %end, label %move
move:
  store i64 %core, ptr %avoided.at
  call void @move(ptr %block, i64 %core)
  br label %end
end:
  ret void
}}

define internal void @move(ptr %block, i64 %core) nounwind noinline {{
entry:
{_at("cores", CORES)}
{_at("size.at", SIZE)}
{_at("threads", THREADS)}
{_system("sched_getaffinity")}
{_at("set.at", CALLS + 8 * SYSTEM.index("pthread_setaffinity_np"))}
  %set = load ptr, ptr %set.at
  %status = call i32 %call(i32 0, i64 {_CORES_BYTES}, ptr %cores)
  %size = load atomic i64, ptr %size.at acquire, align 8
  %clear = icmp ult i64 %core, {8 * _CORES_BYTES}
  br i1 %clear, label %without, label %check
without:
  %byte.index = lshr i64 %core, 3
  %byte.at = getelementptr i8, ptr %cores, i64 %byte.index
  %byte = load i8, ptr %byte.at
  %core.low = trunc i64 %core to i8
  %place = and i8 %core.low, 7
  %bit = shl i8 1, %place
  %others = xor i8 %bit, -1
  %cleared = and i8 %byte, %others
  store i8 %cleared, ptr %byte.at
  br label %check
check:
  %good = icmp sge i32 %status, 0
  %any = icmp sgt i64 %size, 0
  %do = and i1 %good, %any
  br i1 %do, label %each, label %end
each:
  ; An empty set is refused, and changes nothing.
  %index = phi i64 [ 0, %check ], [ %index.next, %each ]
  %thread.at = getelementptr i64, ptr %threads, i64 %index
  %thread = load i64, ptr %thread.at
  %moved = call i32 %set(i64 %thread, i64 {_CORES_BYTES}, ptr %cores)
  %index.next = add i64 %index, 1
  %more = icmp slt i64 %index.next, %size
  br i1 %more, label %each, label %end
end:
  ret void
}}
"""

# The caller's side. When another thread's job has the pool, this one is done here and now.
_PARALLEL = f"""
define internal void @parallel(
  ptr %block, ptr %function, i64 %units, ptr %args, ptr %scratch, i64 %seats, i64 %spin
) nounwind {{
entry:
{_at("busy.at", BUSY)}
{_at("next.at", NEXT)}
{_at("function.at", FUNCTION)}
{_at("args.at", ARGS)}
{_at("units.at", UNITS)}
{_at("spin.at", SPIN)}
{_at("waiting.at", WAITING)}
  %busy = atomicrmw xchg ptr %busy.at, i64 1 acquire
  %free = icmp eq i64 %busy, 0
  br i1 %free, label %offer, label %alone
alone:
  call void @serial(ptr %function, i64 %units, ptr %args, ptr %scratch)
  ret void

offer:
  call void @avoid(ptr %block, i64 %spin)
  store ptr %function, ptr %function.at
  store ptr %args, ptr %args.at
  store i64 %units, ptr %units.at
  store atomic i64 %spin, ptr %spin.at monotonic, align 8
  store atomic i64 0, ptr %next.at monotonic, align 8
  %state = shl i64 %seats, 32
  store atomic i64 %state, ptr %block seq_cst, align 8
  call void @wake(ptr %block, i64 %seats)
  call void @share(ptr %block, ptr %scratch)
  %at.close = atomicrmw and ptr %block, i64 {_ACTIVE} seq_cst
  %still = and i64 %at.close, {_ACTIVE}
  %finished = icmp eq i64 %still, 0
  br i1 %finished, label %end, label %wait

wait:
  %start = call i64 @now(ptr %block)
  %patience = mul i64 %spin, {_PATIENCE}
  %soon = call i1 @spin(ptr %block, i64 {_ACTIVE}, i1 false, i64 %start, i64 %patience)
  br i1 %soon, label %end, label %tired
tired:
  call void @lock(ptr %block)
  store atomic i64 1, ptr %waiting.at seq_cst, align 8
  br label %last.look
last.look:
  %now = call i1 @look(ptr %block, i64 {_ACTIVE}, i1 false)
  br i1 %now, label %awake, label %asleep
asleep:
  call void @sleep(ptr %block, i64 {DONE})
  br label %last.look
awake:
  store atomic i64 0, ptr %waiting.at monotonic, align 8
  call void @unlock(ptr %block)
  br label %end

end:
  store atomic i64 0, ptr %busy.at release, align 8
  ret void
}}
"""
