"""One pass over a gradient: 0 where a sample is NaN, which is one that is missing.

Definition, element by element:

    out = g if x = x else 0
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, size_of, vector
from tilewright.kernel.elementwise.groups import GROUP, each_group
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields("g", "x", "out", "count")


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"present_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    # Whole registers with AVX-512; where they are narrower, LLVM takes several.
    width = 64 // size_of(scalar)
    type = vector(width, scalar)
    nothing = f.number(type, 0)
    arrays = [FIELDS.address(f, f["args"], word) for word in ("g", "x", "out")]
    with each_group(f, scalar, FIELDS.read(f, f["args"], "count"), arrays, arrays[2:]) as (_, places):
        g, x, out = places
        for start in range(0, GROUP, width):
            value = f.load(type, x, start)
            f.store(f.select(value.equals(value), f.load(type, g, start), nothing), out, start)
    f.give()
    return f.text()
