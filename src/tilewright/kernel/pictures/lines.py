"""From rows of a picture to rows of a result, line by line: what all kernels over two axes share.

A unit is a block of columns of some rows. Rows of results are computed in groups, from lines in scratch that
take turns there: each is made once, from a row of the picture and what stands beyond its ends, by the
kernel's :meth:`Lines.make`; the groups' rows come from them by its :meth:`Lines.columns`. Lines stay in the
core's own cache. What the next group reads of the picture is asked for while this one is computed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_store,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "y",
    # weights of the pass along lines (or of all taps) and of that across; of each row from ``above`` before
    # the first on, which row stands there, or a negative number for none; the same for the pixels before the
    # first and for those behind the last
    "along", "across", "row_sources", "left", "right",
    # taps across; taps before the position that an output takes, along
    "taps_across", "before",
    # pictures; rows, pixels and channels of each
    "rows", "pixels", "channels",
    # numbers from a picture to the next and from a row to the next, of both
    "x_picture", "x_row", "y_picture", "y_row",
    # units of a picture: blocks of rows by blocks of columns, the latter in pixels
    "row_blocks", "column_blocks", "columns_a_unit",
    # numbers of a line of h, and how many lines take turns
    "pitch", "lines",
    # what stands where nothing does, a double
    "cval",
)  # fmt: skip

#: Integers without sign that pictures may be of, by their names in symbols: their bits.
INTEGERS = {"u8": 8, "u16": 16}
# Numbers beside this one are whole, so that adding it rounds; the lower bits are the number then. And the
# integer as wide.
_ROUNDING = {"float": (float(1 << 23), "i32"), "double": (float(1 << 52), "i64")}
_LINE_BYTES = 64


class Kind(NamedTuple):
    """What is compiled in.

    Attributes:
        scalar: the type that is computed in.
        source: what the picture is of: "" for what is computed in, or one of :data:`INTEGERS`.
        to: the same of the result.
        taps: how many along a line.
        taps_across: how many across lines; 0 for two passes, of any number.
        channels: of two passes that share loads, how many; else 0.
        rows: how many are computed together; a unit has as many or more.
        past: rows of the result are whole aligned vectors apart, and are written past the caches.
    """

    scalar: str
    source: str
    to: str
    taps: int
    taps_across: int
    channels: int
    rows: int
    past: bool


def name(kind: Kind) -> str:
    """The symbol of the function."""
    types = "_".join(type or "same" for type in kind[:3])
    numbers = "_".join(str(number) for number in kind[3:7])
    return f"picture_lines_{types}_{numbers}{'_past' if kind.past else ''}"


class Lines(ABC):
    """A kernel over two axes being emitted."""

    def __init__(self, target: Target, kind: Kind) -> None:
        f = Function(name(kind), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
        self.f, self.kind, self.scalar, self.together = f, kind, kind.scalar, kind.rows
        self.width = target.vector_bytes // size_of(self.scalar)
        self.type = vector(self.width, self.scalar)
        self.from_type, self.to_type = (
            f"i{INTEGERS[integer]}" if integer else self.scalar for integer in (kind.source, kind.to)
        )
        args = f["args"]
        pointers = FIELDS.names[: FIELDS.place["taps_across"]]
        self.word = {key: FIELDS.read(f, args, key) for key in FIELDS.names if key != "cval"}
        self.pointer = {key: FIELDS.address(f, args, key) for key in pointers}
        self.cval = f.convert(f.load("double", args, FIELDS.place["cval"]), self.scalar)

    @abstractmethod
    def make(self, number: Value) -> None:
        """Makes line ``number`` of the unit, counted from the first one that it needs."""

    @abstractmethod
    def begin_group(self, start: Value) -> None:
        """What is emitted before the columns of a group, which needs lines from ``start`` on."""

    @abstractmethod
    def columns(self, i: Value, many: int) -> list[list[Value]]:
        """For every row of the group, ``many`` vectors of results from column i on."""

    @abstractmethod
    def many(self) -> int:
        """How many vectors of a row are computed together."""

    def text(self) -> str:
        """The function."""
        f, word = self.f, self.word
        columns = f["unit"] % word["column_blocks"]
        block = f["unit"] // word["column_blocks"]
        picture, block = block // word["row_blocks"], block % word["row_blocks"]
        self.first = word["rows"] * block // word["row_blocks"]
        self.last = word["rows"] * (block + 1) // word["row_blocks"]
        self.begin = columns * word["columns_a_unit"]
        self.end = f.least(self.begin + word["columns_a_unit"], word["pixels"])
        self.count = (self.end - self.begin) * word["channels"]
        self.x = f.at(self.pointer["x"], self.from_type, picture * word["x_picture"])
        offset = picture * word["y_picture"] + self.begin * word["channels"]
        self.y = f.at(self.pointer["y"], self.to_type, offset)
        self._groups()
        if self.kind.past:
            f.settle()
        f.give()
        return f.text()

    def slot(self, number: Value) -> Value:
        """Where a line lies in scratch."""
        word = self.word
        return self.f.at(self.f["scratch"], self.scalar, number % word["lines"] * word["pitch"])

    def added(self, total: Value | None, x: Value, weight: Value) -> Value:
        """A sum and one more product; the first product if there is none yet."""
        return x * weight if total is None else self.f.multiply_add(x, weight, total)

    def weight(self, table: str, tap: Value | int) -> Value:
        """A weight, in every lane."""
        return splat(self.f, self.f.load(self.scalar, self.pointer[table], tap), self.width)

    def _groups(self) -> None:
        """All groups of rows; the last one begins earlier if there are not enough rows left for it."""
        f, word = self.f, self.word
        rows = self.last - self.first
        groups = f.loop(rows, step=self.together, carry=[f.integer(0)], name="group")
        with groups as row:
            start = f.least(row, rows - self.together)
            needed = start + self.together + word["taps_across"] - 1
            with f.loop(needed, start=groups.carried[0], name="line") as number:
                self.make(number)
            self._rows(start, needed)
            groups.carry([needed])

    def _source(self, number: Value) -> Value:
        """Which row of the picture a line comes from, or a negative number."""
        return self.f.load("i64", self.pointer["row_sources"], self.first + number)

    def continued(self, number: Value, line: Value) -> None:
        """Row ``number`` of the unit and what stands beyond its ends, as what is computed in, to ``line``."""
        f, word, width = self.f, self.word, self.width
        channels, pixels = word["channels"], word["pixels"]
        low = self.begin - word["before"]
        high = self.end - word["before"] + (self.kind.taps - 1)
        row = self._source(number)
        there = row >= 0
        with f.when(there.equals(0)):
            value = splat(f, self.cval, width)
            with f.loop((high - low) * channels, step=width, name="nowhere") as i:
                f.store(value, line, i)
        with f.when(there):
            x = f.at(self.x, self.from_type, row * word["x_row"])
            before = f.greatest(f.integer(0) - low, 0)
            with f.loop(before, name="left") as i:
                self._pixel(line, x, f.load("i64", self.pointer["left"], low + i + word["before"]), i)
            start = f.greatest(low, 0) * channels
            inside = f.least(high, pixels) * channels - start
            inner = f.at(x, self.from_type, start)
            to = f.at(line, self.scalar, before * channels)
            whole = inside // width * width
            with f.loop(whole, step=width, name="copy") as i:
                f.store(self._read(self.type, f.at(inner, self.from_type, i)), to, i)
            with f.loop(inside, start=whole, name="rest") as i:
                f.store(self._read(self.scalar, f.at(inner, self.from_type, i)), to, i)
            behind = high - pixels
            with f.loop(behind, name="right") as i:
                self._pixel(line, x, f.load("i64", self.pointer["right"], i), pixels - low + i)

    def _pixel(self, line: Value, x: Value, source: Value, to: Value) -> None:
        """A pixel of the row, or nothing, to a place of the continued line."""
        f, channels = self.f, self.word["channels"]
        with f.loop(channels, surely=True, name="channel") as c:
            with f.either(source >= 0, self.scalar) as choice:
                choice.yes(self._read(self.scalar, f.at(x, self.from_type, source * channels + c)))
                choice.otherwise()
                choice.no(self.cval)
            f.store(choice.result, line, to * channels + c)

    def _read(self, type: str, at: Value) -> Value:
        """Numbers of x as what is computed in."""
        f = self.f
        if not self.kind.source:
            return f.load(type, at)
        count = self.width if type == self.type else 1
        kinds = [vector(count, kind) if count > 1 else kind for kind in (self.from_type, "i32")]
        found = f.load(kinds[0], at)
        # Widening keeps the sign; x has none.
        return f.convert(f.convert(found, kinds[1]) & ((1 << INTEGERS[self.kind.source]) - 1), type)

    def _rows(self, start: Value, needed: Value) -> None:
        """A group of rows."""
        f, word, width = self.f, self.word, self.width
        many = self.many()
        y = f.at(self.y, self.to_type, (self.first + start) * word["y_row"])
        whole = self.count // (many * width) * (many * width)
        ahead = self._ahead(needed)
        self.begin_group(start)
        with f.loop(whole, step=many * width, name="column") as i:
            for row in ahead:
                line = f.at(row, self.from_type, i)
                for offset in range(0, many * width * size_of(self.from_type), _LINE_BYTES):
                    f.soon(f.at(line, "i8", offset, wild=True))
            for s, totals in enumerate(self.columns(i, many)):
                at = f.at(y, self.to_type, word["y_row"] * s + i)
                for v, total in enumerate(totals):
                    store = f.store_past if self.kind.past else f.store
                    store(self._finished(total), f.at(at, self.to_type, v * width))
        with f.loop(self.count, start=whole, step=width, name="column") as i:
            mask = first_lanes(f, f.least(self.count - i, width), width)
            for s, (total,) in enumerate(self.columns(i, 1)):
                at = f.at(y, self.to_type, word["y_row"] * s + i)
                masked_store(f, self._finished(total), at, mask)

    def _ahead(self, needed: Value) -> list[Value]:
        """The rows of x that the next group reads; if there is none, the last one again."""
        f, word = self.f, self.word
        last = self.last - self.first + word["taps_across"] - 2
        rows = [f.greatest(self._source(f.least(needed + s, last)), 0) for s in range(self.together)]
        begin = self.begin * word["channels"]
        return [f.at(self.x, self.from_type, row * word["x_row"] + begin) for row in rows]

    def _finished(self, total: Value) -> Value:
        """Sums as numbers of y: integers rounded to the nearest, half to even, and clipped, NaN as 0."""
        f = self.f
        if not self.kind.to:
            return total
        bits, (offset, wide) = INTEGERS[self.kind.to], _ROUNDING[self.scalar]
        within = f.least(f.greatest(total, 0), (1 << bits) - 1)
        whole = f.reinterpret(within + offset, vector(self.width, wide))
        return f.convert(whole, vector(self.width, self.to_type))
