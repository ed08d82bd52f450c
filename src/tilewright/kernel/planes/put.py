"""From scratch to the output: lines of finished outputs, for outputs that don't follow each other there.

Definition, for every store of a table:

    y[store.to + i·step] = from[store.start + i]        for i < store.count

Schedules: ``one`` (outputs follow each other), ``any``; ``both``: outputs of two phases take turns in y, and
those of the second lie ``step`` behind those of the first in scratch; ``count`` is that of both together.
``both_past``: the same, in whole aligned vectors past the caches.
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    element,
    first_lanes,
    labelled,
    lanes,
    masked_store,
    shuffle,
    size_of,
    vector,
)
from tilewright.plan.target import Target

#: Finished outputs, the table and its length, where to, the step between outputs of a line; and lanes, which
#: don't matter here.
ARGUMENTS = {"from": "ptr", "stores": "ptr", "count": "i64", "to": "ptr", "step": "i64", "lanes": "i64"}
SCHEDULES = ("one", "both", "both_past", "any")


def name(scalar: str, schedule: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves y is, if it is."""
    return labelled(f"put_planes_{scalar}_{schedule}", stored)


def emit(target: Target, scalar: str, schedule: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, schedule, stored), target, ARGUMENTS, stored={"to": stored})
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
        elif schedule != "any":
            whole = count // (2 * width) * (2 * width)
            with f.loop(whole, step=2 * width, name="vector") as i:
                for half, part in enumerate(_in_turns(f, type, f.at(source, scalar, i >> 1))):
                    store = f.store_past if schedule == "both_past" else f.store
                    store(part, to, i + half * width)
            with f.when(whole < count):
                for half, part in enumerate(_in_turns(f, type, f.at(source, scalar, whole >> 1))):
                    left = f.greatest(f.least(count - whole - half * width, width), 0)
                    at = f.at(to, scalar, whole + half * width, wild=True)
                    masked_store(f, part, at, first_lanes(f, left, width))
        else:
            with f.loop(count, name="output") as i:
                f.store(f.load(scalar, source, i), to, i * f["step"])
    f.give()
    return f.text()


def _in_turns(f: Function, type: str, at: Value) -> list[Value]:
    """A vector of either phase, as two vectors of both in turns."""
    width = lanes(type)
    first, second = f.load(type, at), f.load(type, f.at(at, element(type), f["step"]))
    return [
        shuffle(f, first, second, [half * width // 2 + i // 2 + i % 2 * width for i in range(width)])
        for half in range(2)
    ]
