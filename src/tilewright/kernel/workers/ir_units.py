"""Doing the units of a job, as LLVM IR: all of them, or those that nobody else has taken."""

from __future__ import annotations

from tilewright.kernel.workers.block import ARGS, FUNCTION, NEXT, UNITS, at

# for unit in range(units): function(unit, args, scratch)
SERIAL = """
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
SHARE = f"""
define internal void @share(ptr %block, ptr %scratch) nounwind {{
entry:
{at("function.at", FUNCTION)}
{at("args.at", ARGS)}
{at("units.at", UNITS)}
{at("next.at", NEXT)}
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
