"""Between float32 and halves: each number rounded to nearest, ties to even, or widened as it is.

Definition:

    out[i] = x[i]        for i < count, where either array may be of float16, bfloat16 or float32
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, first_lanes, labelled, masked_load, masked_store, vector
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields("x", "out", "count")
#: Numbers of a unit: some 10 µs where memory is the limit.
UNIT = 1 << 16


def name(stored: str, to: str) -> str:
    """The symbol of the function; what kind of halves x and out are, or "" for float32."""
    return labelled("round", stored or "float", to or "float")


def emit(target: Target, stored: str, to: str) -> str:
    """The function."""
    f = Function(name(stored, to), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    x, out = (FIELDS.address(f, f["args"], word) for word in ("x", "out"))
    x, out = f.halves(x, stored), f.halves(out, to)
    width = target.vector_bytes // 4
    type, first = vector(width, "float"), f["unit"] * UNIT
    last = f.least(first + UNIT, FIELDS.read(f, f["args"], "count"))
    whole = first + (last - first) // width * width
    with f.loop(whole, start=first, step=width, name="vector") as i:
        f.store(f.load(type, x, i), out, i)
    with f.when(whole < last):
        mask = first_lanes(f, last - whole, width)
        masked_store(f, masked_load(f, type, f.at(x, "float", whole), mask), f.at(out, "float", whole), mask)
    f.give()
    return f.text()
