"""Every channel by numbers of its own, in one pass: what normalisation gives, and its gradient.

Definition, for x of (samples, channels, places) and numbers for each channel. Each operation is rounded on
its own, in this order, so the bits are those of NumPy's formulas:

    norm             out = (x − a)·b + c
    norm_relu        the same, and 0 where that is 0 or less
    norm_add_relu    out = (x − a)·b + c + more, and 0 where that is 0 or less
    pull             out = (g − (x − a)·b − c)·d
    mixed            out = g·d − (x − a)·b − c

Schedule of one unit, a few rows: of ``places``, those of a sample's channel; of ``rows``, for channels that
lie innermost, a number for each channel (or several times all channels, where they are few):

    for each row:
        for each vector: the formula
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_load,
    masked_store,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("norm", "norm_relu", "norm_add_relu", "pull", "mixed")
LAYOUTS = ("places", "rows")
#: How many numbers there are for each channel.
NUMBERS = {"norm": 3, "norm_relu": 3, "norm_add_relu": 3, "pull": 4, "mixed": 4}

FIELDS = Fields(
    # arrays: the other is more, or g
    "x", "other", "out",
    # one number for each channel, or for each element of a row
    "a", "b", "c", "d",
    # channels, elements of a row, rows of a unit, elements in all (the last row may be shorter)
    "channels", "length", "share", "count",
)  # fmt: skip


def name(scalar: str, kind: str, layout: str) -> str:
    """The symbol of the function."""
    return f"scaled_{scalar}_{kind}_{layout}"


def emit(target: Target, scalar: str, kind: str, layout: str) -> str:
    """The function."""
    f = Function(name(scalar, kind, layout), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, kind, layout).emit()
    f.give()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str, layout: str) -> None:
        self.f, self.scalar, self.kind, self.layout = f, scalar, kind, layout
        # Whole registers with AVX-512; where they are narrower, LLVM takes several.
        self.width = 64 // size_of(scalar)
        self.type = vector(self.width, scalar)
        words = ("x", "out") if kind in ("norm", "norm_relu") else ("x", "out", "other")
        self.arrays = [FIELDS.address(f, f["args"], word) for word in words]
        self.tables = [FIELDS.address(f, f["args"], word) for word in "abcd"[: NUMBERS[kind]]]

    def emit(self) -> None:
        """A few rows."""
        f, width = self.f, self.width
        channels, length, share, count = FIELDS.all(f, f["args"], "channels", "length", "share", "count")
        first = f["unit"] * share
        with f.loop(f.least((count + length - 1) // length, first + share), start=first, name="rows") as r:
            start = r * length
            stop = f.least(length, count - start)
            row = [f.at(array, self.scalar, start) for array in self.arrays]
            of_channel = []
            if self.layout == "places":
                of_channel = [
                    splat(f, f.load(self.scalar, table, r % channels), width) for table in self.tables
                ]
            whole = stop // width * width
            with f.loop(whole, step=width, name="inner") as i:
                self._vector(row, i, of_channel, None)
            with f.loop(stop, start=whole, step=width, name="rest") as i:
                self._vector(row, i, of_channel, first_lanes(f, stop - i, width))

    def _vector(self, row: list[Value], i: Value, of_channel: list[Value], mask: Value | None) -> None:
        """The formula for a vector, or for the lanes of it where the mask is true."""
        f = self.f
        numbers = of_channel or [self._loaded(f.at(table, self.scalar, i), mask) for table in self.tables]
        x, out, *others = (f.at(array, self.scalar, i) for array in row)
        y = (self._loaded(x, mask) - numbers[0]) * numbers[1]
        if self.kind == "pull":
            y = (self._loaded(others[0], mask) - y - numbers[2]) * numbers[3]
        elif self.kind == "mixed":
            y = self._loaded(others[0], mask) * numbers[3] - y - numbers[2]
        else:
            y = y + numbers[2]
        if self.kind == "norm_add_relu":
            y = y + self._loaded(others[0], mask)
        if self.kind in ("norm_relu", "norm_add_relu"):
            y = f.select(y <= 0, f.number(y.type, 0), y)
        if mask is None:
            f.store(y, out)
        else:
            masked_store(f, y, out, mask)

    def _loaded(self, place: Value, mask: Value | None) -> Value:
        return self.f.load(self.type, place) if mask is None else masked_load(self.f, self.type, place, mask)
