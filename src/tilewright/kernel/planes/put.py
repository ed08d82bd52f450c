"""From scratch to the output: lines of finished outputs, for outputs that don't follow each other there.

Definition, for every store of a table:

    y[store.to + i·step] = from[store.start + i]        for i < store.count

Schedules: ``one`` (outputs follow each other), ``any``.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, first_lanes, masked_store, size_of, vector
from tilewright.plan.target import Target

#: Finished outputs, the table and its length, where to, the step between outputs of a line; and lanes, which
#: don't matter here.
ARGUMENTS = {"from": "ptr", "stores": "ptr", "count": "i64", "to": "ptr", "step": "i64", "lanes": "i64"}
SCHEDULES = ("one", "any")


def name(scalar: str, schedule: str) -> str:
    """The symbol of the function."""
    return f"put_planes_{scalar}_{schedule}"


def emit(target: Target, scalar: str, schedule: str) -> str:
    """The function."""
    f = Function(name(scalar, schedule), target, ARGUMENTS)
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    with f.loop(f["count"], name="line") as number:
        start, place, count = (f.load("i64", f["stores"], number * 3 + i) for i in range(3))
        source, to = f.at(f["from"], scalar, start), f.at(f["to"], scalar, place)
        if schedule == "one":
            whole = count // width * width
            with f.loop(whole, step=width, name="vector") as i:
                f.store(f.load(type, source, i), to, i)
            with f.when(whole < count):
                value = f.load(type, source, whole)
                masked_store(f, value, f.at(to, scalar, whole), first_lanes(f, count - whole, width))
        else:
            with f.loop(count, name="output") as i:
                f.store(f.load(scalar, source, i), to, i * f["step"])
    f.give()
    return f.text()
