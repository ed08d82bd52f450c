"""The two passes of softmax and of its cross-entropy over rows: what a row adds up to, and each one's share.

Definition, for every row x of numbers:

    totals    largest = max x        total = Σ exp(x − largest)      in float64
    shares    out = exp(x − largest) · factor                        with a factor for each row

The largest of a row with NaN in it may be any number; its total is NaN. Of a row whose largest is infinite
the total is NaN too.

Schedule of one unit, a few rows:

    for each row:
        totals: the largest of each lane, then of all; then, in the cache: the exponentials, added in lanes
        shares: for each vector: the formula
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tilewright.kernel.builder import (
    Function,
    Value,
    element,
    first_lanes,
    lanes,
    masked_load,
    masked_store,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.builder.vectors import lane
from tilewright.kernel.tiles.curves import FORMATS, exp_scaled
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("totals", "shares")

FIELDS = Fields("x", "largest", "total", "factor", "out", "rows", "length", "share")


def name(scalar: str, kind: str) -> str:
    """The symbol of the function."""
    return f"softmax_{scalar}_{kind}"


def emit(target: Target, scalar: str, kind: str) -> str:
    """The function."""
    f = Function(name(scalar, kind), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    # Whole registers with AVX-512; where they are narrower, LLVM takes several.
    width = 64 // size_of(scalar)
    type = vector(width, scalar)
    x, largest, total, factor, out = (
        FIELDS.address(f, f["args"], word) for word in ("x", "largest", "total", "factor", "out")
    )
    rows, length, share = FIELDS.all(f, f["args"], "rows", "length", "share")
    first = f["unit"] * share
    with f.loop(f.least(rows, first + share), start=first, name="rows") as r:
        row = f.at(x, scalar, r * length)
        if kind == "totals":
            most = _across(f, _over(f, row, length, f.number(type, -math.inf), f.greatest), f.greatest)
            f.store(most, largest, r)
            around = splat(f, most, width)

            def added(sum: Value, number: Value) -> Value:
                return sum + f.convert(_exponential(f, number, around), sum.type)

            sums = _over(f, row, length, f.number(vector(width, "double"), 0), added, type)
            f.store(_across(f, sums, lambda a, b: a + b), total, r)
        else:
            around, times = (splat(f, f.load(scalar, place, r), width) for place in (largest, factor))
            to = f.at(out, scalar, r * length)
            whole = length // width * width
            with f.loop(whole, step=width, name="inner") as i:
                f.store(_exponential(f, f.load(type, row, i), around) * times, to, i)
            with f.loop(length, start=whole, step=width, name="rest") as i:
                mask = first_lanes(f, length - i, width)
                number = masked_load(f, type, f.at(row, scalar, i), mask)
                masked_store(f, _exponential(f, number, around) * times, f.at(to, scalar, i), mask)
    f.give()
    return f.text()


def _exponential(f: Function, x: Value, largest: Value) -> Value:
    """Scalar loop: ``for i in lanes: out[i] = exp(x[i] - largest[i])``, for x not above the largest."""
    format = FORMATS[element(x.type)]
    z = f.least(f.number(x.type, format.sigmoid), largest - x)
    return exp_scaled(f, -z) * 2.0**-format.scale


def _over(
    f: Function,
    row: Value,
    length: Value,
    start: Value,
    step: Callable[[Value, Value], Value],
    type: str = "",
) -> Value:
    """What ``step`` makes of each lane's numbers, one after the other; −∞ stands beyond the last."""
    type = type or start.type
    width = lanes(type)
    whole = length // width * width
    inner = f.loop(whole, step=width, carry=[start], name="inner")
    with inner as i:
        inner.carry([step(inner.carried[0], f.load(type, row, i))])
    rest = f.loop(length, start=whole, step=width, carry=inner.results, name="rest")
    with rest as i:
        mask = first_lanes(f, length - i, width)
        number = masked_load(f, type, f.at(row, element(type), i), mask, -math.inf)
        rest.carry([step(rest.carried[0], number)])
    return rest.results[0]


def _across(f: Function, x: Value, step: Callable[[Value, Value], Value]) -> Value:
    """What ``step`` makes of all lanes, halves on halves."""
    while lanes(x.type) > 1:
        half = lanes(x.type) // 2
        upper = shuffle(f, x, x, range(half, 2 * half))
        x = step(shuffle(f, x, x, range(half)), upper)
    return lane(f, x, 0)
