"""The native side of the worker threads, as LLVM IR: how a job is offered, joined, shared out and ended.

One block of memory holds a pool (`block.py` says where). A thread with a job to split calls ``parallel``:

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

from tilewright.kernel.workers import ir_caller, ir_processor, ir_units, ir_waiting, ir_worker
from tilewright.plan.target import Target

NAME = "tilewright_threads"
# The functions whose addresses `tilewright_threads` writes to the table that it is given, in this order.
EXPORTS = ("serial", "share", "parallel", "worker")


def emit(target: Target) -> str:
    """The module: one function, `NAME`, that fills a table with the addresses of the others."""
    stores = "".join(
        f"  %at{i} = getelementptr ptr, ptr %table, i64 {i}\n  store ptr @{name}, ptr %at{i}\n"
        for i, name in enumerate(EXPORTS)
    )
    return "\n".join(
        [
            f"define void @{NAME}(ptr %table) nounwind {{\n{stores}  ret void\n}}",
            ir_processor.processor(target.triple.partition("-")[0]),
            ir_units.SERIAL,
            ir_units.SHARE,
            ir_waiting.CLOCK,
            ir_waiting.SPIN,
            ir_waiting.LOCKING,
            ir_worker.JOINING,
            ir_caller.WAKING,
            ir_caller.AVOIDING,
            ir_caller.PARALLEL,
        ]
    )
