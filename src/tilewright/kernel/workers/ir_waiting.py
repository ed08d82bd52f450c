"""Waiting, as LLVM IR: looking for a while, and sleeping."""

from __future__ import annotations

import time

from tilewright.kernel.workers.block import LOCK, at, system

# Looks at STATE between two looks at the clock, which costs as much as some ten of them.
_LOOKS = 16

# Nanoseconds on the system's steady clock.
CLOCK = f"""
define internal i64 @now(ptr %block) nounwind {{
  %time = alloca [2 x i64], align 8
{system("clock_gettime")}
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
SPIN = f"""
define internal i1 @spin(ptr %block, i64 %mask, i1 %wanted, i64 %start, i64 %limit) nounwind {{
entry:
{system("sched_yield")}
  %first = call i1 @look(ptr %block, i64 %mask, i1 %wanted)
  %hasty = icmp sle i64 %limit, 0
  %settled = or i1 %first, %hasty
  br i1 %settled, label %early, label %again
early:
  ret i1 %first
again:
  %count = phi i64 [ 0, %entry ], [ %count.next, %again.more ], [ 0, %clock ]
  call void @pause()
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

define internal i1 @look(ptr %block, i64 %mask, i1 %wanted) nounwind {{
  %state = load atomic i64, ptr %block seq_cst, align 8
  %part = and i64 %state, %mask
  %some = icmp ne i64 %part, 0
  %seen = icmp eq i1 %some, %wanted
  ret i1 %seen
}}
"""

LOCKING = f"""
define internal void @lock(ptr %block) nounwind {{
{system("pthread_mutex_lock")}
{at("lock.at", LOCK)}
  %status = call i32 %call(ptr %lock.at)
  ret void
}}

define internal void @unlock(ptr %block) nounwind {{
{system("pthread_mutex_unlock")}
{at("lock.at", LOCK)}
  %status = call i32 %call(ptr %lock.at)
  ret void
}}

; With the lock held: give it back, sleep until woken, and take it again.
define internal void @sleep(ptr %block, i64 %where) nounwind {{
{system("pthread_cond_wait")}
{at("lock.at", LOCK)}
  %at = getelementptr i8, ptr %block, i64 %where
  %status = call i32 %call(ptr %at, ptr %lock.at)
  ret void
}}
"""
