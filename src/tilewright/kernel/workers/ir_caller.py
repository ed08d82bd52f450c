"""The side of a job of the thread that has it, as LLVM IR."""

from __future__ import annotations

from tilewright.kernel.workers.block import (
    ACTIVE,
    ARGS,
    AVOIDED,
    BUSY,
    CORES,
    CORES_BYTES,
    DONE,
    FUNCTION,
    NEXT,
    SIZE,
    SLEEPERS,
    SPIN,
    THREADS,
    UNITS,
    WAITING,
    WORK,
    at,
    system,
)

# A caller looks that many times longer than a worker: the last units are under way, and the time it takes to
# wake up would come on top of every job whose units end unevenly.
_PATIENCE = 10

# Wake as many sleepers as there are seats beyond the workers who are awake: min(sleepers, seats − awake).
# Taking the lock makes sure that whoever looked before the offer now sleeps, and so can be woken.
WAKING = f"""
define internal void @wake(ptr %block, i64 %seats) nounwind {{
entry:
{at("sleepers.at", SLEEPERS)}
{at("size.at", SIZE)}
{at("work.at", WORK)}
{system("pthread_cond_broadcast")}
{system("pthread_cond_signal", "signal")}
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
AVOIDING = f"""
define internal void @avoid(ptr %block, i64 %spin) nounwind {{
entry:
{at("avoided.at", AVOIDED)}
{system("sched_getcpu")}
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
  call void @move(ptr %block, i64 %core)
  br label %end
end:
  ret void
}}

define internal void @move(ptr %block, i64 %core) nounwind {{
entry:
{at("avoided.at", AVOIDED)}
{at("cores", CORES)}
{at("size.at", SIZE)}
{at("threads", THREADS)}
{system("sched_getaffinity")}
{system("pthread_setaffinity_np", "set")}
  %status = call i32 %call(i32 0, i64 {CORES_BYTES}, ptr %cores)
  %size = load atomic i64, ptr %size.at acquire, align 8
  %clear = icmp ult i64 %core, {8 * CORES_BYTES}
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
  %index = phi i64 [ 0, %check ], [ %index.next, %next ]
  %thread.at = getelementptr i64, ptr %threads, i64 %index
  %thread = load i64, ptr %thread.at
  %moved = call i32 %set(i64 %thread, i64 {CORES_BYTES}, ptr %cores)
  ; Refused when the caller may run on this core only: then they stay where they were.
  %refused = icmp ne i32 %moved, 0
  br i1 %refused, label %end, label %next
next:
  %index.next = add i64 %index, 1
  %more = icmp slt i64 %index.next, %size
  br i1 %more, label %each, label %all
all:
  store i64 %core, ptr %avoided.at
  br label %end
end:
  ret void
}}
"""

# The caller's side. When another thread's job has the pool, this one is done here and now.
PARALLEL = f"""
define internal void @parallel(
  ptr %block, ptr %function, i64 %units, ptr %args, ptr %scratch, i64 %seats, i64 %spin
) nounwind {{
entry:
{at("busy.at", BUSY)}
{at("next.at", NEXT)}
{at("function.at", FUNCTION)}
{at("args.at", ARGS)}
{at("units.at", UNITS)}
{at("spin.at", SPIN)}
{at("waiting.at", WAITING)}
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
  call void @give.floats(ptr %block)
  %state = shl i64 %seats, 32
  store atomic i64 %state, ptr %block seq_cst, align 8
  call void @wake(ptr %block, i64 %seats)
  call void @share(ptr %block, ptr %scratch)
  %at.close = atomicrmw and ptr %block, i64 {ACTIVE} seq_cst
  %still = and i64 %at.close, {ACTIVE}
  %finished = icmp eq i64 %still, 0
  br i1 %finished, label %end, label %wait

wait:
  %start = call i64 @now(ptr %block)
  %patience = mul i64 %spin, {_PATIENCE}
  %soon = call i1 @spin(ptr %block, i64 {ACTIVE}, i1 false, i64 %start, i64 %patience)
  br i1 %soon, label %end, label %tired
tired:
  call void @lock(ptr %block)
  store atomic i64 1, ptr %waiting.at seq_cst, align 8
  br label %last.look
last.look:
  %now = call i1 @look(ptr %block, i64 {ACTIVE}, i1 false)
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
