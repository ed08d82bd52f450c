"""Adaptive max pooling over windows of unequal sizes, along the lines of a plane or along channels innermost.

Definition, for every output (o, p) of a plane, over the samples (h, w) of its window in row order:

    y[o, p] = the largest x[h, w]; the first NaN, if there is one
    indices[o, p] = that h·columns + w

Schedule:

    for each plane of the unit: for each output line o:
        lines: for each vector of outputs: for each row of the window: for each tap along it: combine
        channels: for each output: for each vector of channels: for each row: for each column: combine

Along a line, windows shorter than the longest repeat their last sample, which changes nothing.
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
from tilewright.kernel.pools.largest import LEAST, integer_like, is_larger
from tilewright.kernel.sampling.pick import Picker, picks
from tilewright.kernel.sampling.tables import BLOCK_WORDS
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

LAYOUTS = ("lines", "channels")
FIELDS = Fields(
    "x", "indices", "y",
    # where the windows of output lines start and end; of lines, blocks of outputs as in
    # :mod:`tilewright.kernel.sampling.tables` and the column of each lane; of channels, where windows begin
    # and end along a line
    "rows", "columns", "bases", "lanes", "numbers",
    # planes (or samples), output lines and outputs of a line, blocks of these
    "planes", "planes_a_unit", "lines", "lines_a_unit", "line_blocks", "places", "blocks",
    # samples of a line, lines of a plane, channels if they lie innermost, else 1
    "size", "height", "channels",
)  # fmt: skip


def name(scalar: str, layout: str) -> str:
    """The symbol of the function."""
    return f"pool_uneven_{scalar}_{layout}"


def emit(target: Target, scalar: str, layout: str) -> str:
    """The function."""
    f = Function(name(scalar, layout), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, layout).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, layout: str) -> None:
        self.f, self.scalar, self.layout = f, scalar, layout
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.integers = vector(self.width, integer_like(scalar))
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        arrays = FIELDS.names[: FIELDS.place["planes"]]
        self.pointer = {key: f.pointer(self.word[key]) for key in arrays}
        if layout == "lines":
            self.picker = Picker(f, scalar, self.word["size"])

    def emit(self) -> None:
        f, word, scalar = self.f, self.word, self.scalar
        planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["lines"])
        row = word["size"] * word["channels"]
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            x = f.at(self.pointer["x"], scalar, plane * word["height"] * row)
            with f.loop(last, start=first, name="line") as o:
                to = (plane * word["lines"] + o) * word["places"] * word["channels"]
                y, indices = f.at(self.pointer["y"], scalar, to), f.at(self.pointer["indices"], "i64", to)
                self.top, self.bottom = (f.load("i64", self.pointer["rows"], o * 2 + i) for i in range(2))
                self.row = row
                (self._line if self.layout == "lines" else self._places)(x, y, indices)
        f.give()

    def _line(self, x: Value, y: Value, indices: Value) -> None:
        """One line of outputs, a vector of them at a time."""
        f = self.f
        with f.loop(self.word["blocks"], name="block") as number:
            entry = f.at(self.pointer["columns"], "i64", number * BLOCK_WORDS)
            at, taps, first, near = (f.load("i64", entry, i) for i in range(BLOCK_WORDS))
            mask = first_lanes(f, f.least(self.word["places"] - at, self.width), self.width)
            to, places = f.at(y, self.scalar, at), f.at(indices, "i64", at)
            if picks(f.target, self.scalar):
                with f.when(near.differs(0)):
                    self._put(self._largest(x, taps, first, True), to, places, mask)
                with f.when(near.equals(0)):
                    self._put(self._largest(x, taps, first, False), to, places, mask)
            else:
                self._put(self._largest(x, taps, first, False), to, places, mask)

    def _largest(self, x: Value, taps: Value, first: Value, near: bool) -> list[Value]:
        """The largest of each window of a vector of outputs, and where it stands."""
        f, width = self.f, self.width
        start = self._numbers(first) + self._flat(self.top)
        rows = f.loop(self.bottom, start=self.top, carry=[f.number(self.type, LEAST), start], name="row")
        with rows as h:
            line = f.at(x, self.scalar, h * self.row)
            along = f.loop(taps, carry=rows.carried, name="tap")
            with along as tap:
                number = first + tap
                lanes = f.load(vector(width, "i32"), self.pointer["lanes"], number * width)
                if near:
                    low, high = (f.load("i64", self.pointer["bases"], number * 2 + i) for i in range(2))
                    seen = self.picker.picked(line, low, high, lanes)
                else:
                    seen = self.picker.gathered(line, lanes)
                along.carry(self._better(seen, self._numbers(number) + self._flat(h), along.carried))
            rows.carry(along.results)
        return rows.results

    def _places(self, x: Value, y: Value, indices: Value) -> None:
        """One line of outputs, each along its channels."""
        f, width, channels = self.f, self.width, self.word["channels"]
        with f.loop(self.word["places"], name="place") as p:
            left, right = (f.load("i64", self.pointer["columns"], p * 2 + i) for i in range(2))
            with f.loop(channels, step=width, name="channels") as c:
                mask = first_lanes(f, f.least(channels - c, width), width)
                first = self._flat(self.top) + self._everywhere(left)
                rows = f.loop(
                    self.bottom, start=self.top, carry=[f.number(self.type, LEAST), first], name="row"
                )
                with rows as h:
                    along = f.loop(right, start=left, carry=rows.carried, name="column")
                    with along as w:
                        place = f.at(x, self.scalar, h * self.row + w * channels + c)
                        seen = masked_load(f, self.type, place, mask)
                        flat = self._flat(h) + self._everywhere(w)
                        along.carry(self._better(seen, flat, along.carried))
                    rows.carry(along.results)
                at = p * channels + c
                self._put(rows.results, f.at(y, self.scalar, at), f.at(indices, "i64", at), mask)

    def _better(self, seen: Value, flat: Value, so_far: list[Value]) -> list[Value]:
        f = self.f
        larger = is_larger(f, seen, so_far[0])
        return [f.select(larger, seen, so_far[0]), f.select(larger, flat, so_far[1])]

    def _flat(self, h: Value) -> Value:
        """The position of the first sample of a line, in every lane."""
        return self._everywhere(h * self.word["size"])

    def _everywhere(self, number: Value) -> Value:
        f = self.f
        return splat(f, f.convert(number, integer_like(self.scalar)), self.width)

    def _numbers(self, layer: Value) -> Value:
        """The columns of a layer's lanes."""
        f = self.f
        own = f.load(vector(self.width, "i32"), self.pointer["numbers"], layer * self.width)
        return f.convert(own, self.integers)

    def _put(self, found: list[Value], y: Value, indices: Value, mask: Value) -> None:
        f = self.f
        masked_store(f, found[0], y, mask)
        wide = f.convert(found[1], vector(self.width, "i64"))
        # As numbers of another kind, only moved.
        masked_store(f, f.reinterpret(wide, vector(self.width, "double")), indices, mask)
