"""Pools along the pixels, each window read where it stands: a vector of neighbouring places at a time.

Definition, for every place o of a line that is written, over the samples q that o reads, in order:

    max            y[o] = the largest x[q]; the first NaN, if there is one
    max_indices    the same, and indices[o] = that q
    mean           y[o] = Σ x[q] / divisors[o]

Along a line, place o reads the columns o·s + t·d − p; s is the kernel's own, 1 or 2. Lines that a window
meets are listed. Schedule:

    for each plane of the unit: for each line that is written: for a few vectors of its places:
        for each line that is read: for each tap along it: combine
        store

Where vectors reach beyond a line, what isn't there is masked. With a stride of 2 a tap is every second lane
of two vectors, and the lanes between are the next tap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    load_pairs,
    masked_load,
    masked_store,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.pools.largest import LEAST, integer_like, is_larger
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

Table = npt.NDArray[Any]

KINDS = ("max", "max_indices", "mean")
STRIDES = (1, 2)
FIELDS = Fields(
    "x", "indices", "divisors", "y",
    # tables; the last: the first column that each place reads
    "lines", "leads", "firsts",
    # work: units are a few planes, or blocks of lines of one
    "planes", "planes_a_unit", "line_count", "lines_a_unit", "line_blocks", "channels",
    # strides, in elements
    "x_sample", "x_channel", "y_sample", "y_channel",
    # along a line: samples, places, those whose windows lie inside, taps, how far apart, and padding before
    "size", "places", "inside", "outside", "taps", "dilation", "before",
    # whether every place has a divisor of its own
    "each",
    # what is asked for early: cache lines for each vector of places, elements from one place to the next
    "fetched", "advance",
)  # fmt: skip

# Two lines in turn are no pattern that processors foresee: what comes next in memory is asked for so many
# bytes early. On planes of 200×200 to 512×512 that is twice as fast, with 2 to 8 KiB; in the cache the same.
AHEAD = 4096
_CACHE_LINE = 64
# A stride of 3 in both directions.
_MOST_FETCHED = 9

#: Words of a line: as in :mod:`tilewright.kernel.pools.windows`.
LINE_WORDS = 6


def name(scalar: str, kind: str, stride: int, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_lines_{scalar}_{kind}_{stride}", stored)


def emit(target: Target, scalar: str, kind: str, stride: int, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, kind, stride, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, kind, stride, stored).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str, stride: int, stored: str) -> None:
        self.f, self.scalar, self.kind, self.stride = f, scalar, kind, stride
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.integer = integer_like(scalar)
        self.integers = vector(self.width, self.integer)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {
            key: f.pointer(self.word[key])
            for key in ("x", "indices", "divisors", "y", "lines", "leads", "firsts")
        }
        self.pointer |= {key: f.halves(self.pointer[key], stored) for key in ("x", "y")}

    def emit(self) -> None:
        f, word = self.f, self.word
        if self.kind == "mean":
            self.divisor = f.load(self.scalar, self.pointer["divisors"])
            self.each = word["each"].differs(0)
        planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["line_count"])
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            sample, channel = plane // word["channels"], plane % word["channels"]
            x = f.at(self.pointer["x"], self.scalar, sample * word["x_sample"] + channel * word["x_channel"])
            to = sample * word["y_sample"] + channel * word["y_channel"]
            y = f.at(self.pointer["y"], self.scalar, to)
            indices = f.at(self.pointer["indices"], "i64", to, wild=True)
            with f.loop(last, start=first, name="line") as line:
                self._line(x, y, indices, f.at(self.pointer["lines"], "i64", line * LINE_WORDS))
        f.give()

    def _line(self, x: Value, y: Value, indices: Value, entry: Value) -> None:
        f, word = self.f, self.word
        source, self.flat, leads, self.lead_count, to, self.own = (
            f.load("i64", entry, i) for i in range(LINE_WORDS)
        )
        self.x = f.at(x, self.scalar, source)
        self.y, self.indices = f.at(y, self.scalar, to), f.at(indices, "i64", to, wild=True)
        self.leads = f.at(self.pointer["leads"], "i64", leads * 2)
        with f.loop(word["inside"], step=self.width, name="before") as i:
            self._places(i, 1, True)
        start = word["inside"]
        for count in (2, 1):
            step = count * self.width
            stop = start + (word["outside"] - start) // step * step
            with f.loop(stop, start=start, step=step, name=f"vectors{count}") as i:
                self._places(i, count, False)
            start = stop
        with f.loop(word["places"], start=word["outside"], step=self.width, name="behind") as i:
            self._places(i, 1, True)

    def _places(self, i: Value, count: int, masked: bool) -> None:
        """A few vectors of places; ``masked``: some of what they read, or of themselves, may not be there."""
        f = self.f
        soon = f.at(self.x, self.scalar, i * self.word["advance"], wild=True)
        with f.loop(self.word["fetched"] * count, name="fetch") as number:
            f.soon(f.at(soon, "i8", number * _CACHE_LINE + AHEAD, wild=True))
        start = [f.number(self.type, 0 if self.kind == "mean" else LEAST)] * count
        if self.kind == "max_indices":
            # A window of −∞ points at the first of its own. The table has room for a vector behind its end.
            flat = splat(f, f.convert(self.flat, self.integer), self.width)
            for v in range(count):
                wide = f.load(vector(self.width, "i64"), self.pointer["firsts"], i + v * self.width)
                start.append(f.convert(wide, self.integers) + flat)
        lines = f.loop(self.lead_count, carry=start, name="lead")
        with lines as number:
            row = f.at(self.x, self.scalar, f.load("i64", self.leads, number * 2), wild=True)
            flat = self.flat + f.load("i64", self.leads, number * 2 + 1)
            # Each line's sum starts at 0, and is added: sums of sums round less.
            found = start if self.kind == "mean" else lines.carried
            together = self.stride
            if together == 2:
                # Neighbouring taps share what is read, unless they lie further apart.
                pairs = f.select(self.word["dilation"].equals(1), self.word["taps"] // 2, f.number("i64", 0))
                found = self._taps(row, flat, i, count, masked, f.number("i64", 0), pairs, found, 2)
                found = self._taps(row, flat, i, count, masked, pairs * 2, self.word["taps"], found, 1)
            else:
                found = self._taps(
                    row, flat, i, count, masked, f.number("i64", 0), self.word["taps"], found, 1
                )
            if self.kind == "mean":
                found = [a + b for a, b in zip(lines.carried, found, strict=True)]
            lines.carry(found)
        mask = first_lanes(f, f.least(self.word["places"] - i, self.width), self.width) if masked else None
        for v, value in enumerate(lines.results[:count]):
            place = i + v * self.width
            if self.kind == "mean":
                value = value / self._divisor(place, mask)
            self._store(value, f.at(self.y, self.scalar, place), mask)
        for v, value in enumerate(lines.results[count:]):
            wide = f.convert(value, vector(self.width, "i64"))
            if mask is not None:
                wide = f.reinterpret(wide, vector(self.width, "double"))
            self._store(wide, f.at(self.indices, "i64", i + v * self.width), mask)

    def _taps(
        self,
        row: Value,
        flat: Value,
        i: Value,
        count: int,
        masked: bool,
        first: Value,
        stop: Value,
        so_far: list[Value],
        together: int,
    ) -> list[Value]:
        """Taps of one line; with two ``together``, ``stop`` counts pairs."""
        f = self.f
        loop = f.loop(stop, start=first, carry=so_far, name="tap")
        with loop as number:
            tap = number * 2 if together == 2 else number
            column = i * self.stride + tap * self.word["dilation"] - self.word["before"]
            seen = [
                self._seen(row, column + v * self.width * self.stride, masked, together) for v in range(count)
            ]
            found = list(loop.carried)
            for which in range(together):
                found = self._combine(
                    found, [vectors[which] for vectors in seen], flat + column + which, count
                )
            loop.carry(found)
        return loop.results

    def _seen(self, row: Value, column: Value, masked: bool, together: int) -> list[Value]:
        """A tap's samples of a vector of places, and with two ``together`` those of the next tap."""
        f, width = self.f, self.width
        if self.stride == 1:
            return [self._load(row, column, masked)]
        if row.stored and not masked:
            return list(load_pairs(f, self.type, f.at(row, self.scalar, column, wild=True))[:together])
        low, high = (self._load(row, column + half * width, masked) for half in range(2))
        return [shuffle(f, low, high, range(which, 2 * width, 2)) for which in range(together)]

    def _load(self, row: Value, column: Value, masked: bool) -> Value:
        f = self.f
        place = f.at(row, self.scalar, column, wild=True)
        if not masked:
            return f.load(self.type, place)
        type = vector(self.width, "i32")
        numbers = Value(f, "<" + ", ".join(f"i32 {i}" for i in range(self.width)) + ">", type)
        columns = numbers + splat(f, f.convert(column, "i32"), self.width)
        size = splat(f, f.convert(self.word["size"], "i32"), self.width)
        # Without a sign, a negative column is a large one.
        mask = f.result(vector(self.width, "i1"), f"icmp ult {columns}, {size.name}")
        return masked_load(f, self.type, place, mask, 0 if self.kind == "mean" else LEAST)

    def _combine(self, so_far: list[Value], seen: list[Value], flat: Value, count: int) -> list[Value]:
        f = self.f
        if self.kind == "mean":
            return [total + value for total, value in zip(so_far, seen, strict=True)]
        larger = [is_larger(f, new, old) for new, old in zip(seen, so_far[:count], strict=True)]
        found = [f.select(*three) for three in zip(larger, seen, so_far[:count], strict=True)]
        if self.kind == "max_indices":
            numbers = ", ".join(f"{self.integer} {self.stride * lane}" for lane in range(self.width))
            along = Value(f, f"<{numbers}>", self.integers)
            for v, one in enumerate(larger):
                place = f.convert(flat + v * self.width * self.stride, self.integer)
                found.append(f.select(one, along + splat(f, place, self.width), so_far[count + v]))
        return found

    def _divisor(self, place: Value, mask: Value | None) -> Value:
        f = self.f
        with f.either(self.each, self.type) as divisor:
            at = f.at(self.pointer["divisors"], self.scalar, self.own + place, wild=True)
            if mask is None:
                divisor.yes(f.load(self.type, at))
            else:
                divisor.yes(masked_load(f, self.type, at, mask, 1))
            divisor.otherwise()
            divisor.no(splat(f, self.divisor, self.width))
        return divisor.result

    def _store(self, value: Value, place: Value, mask: Value | None) -> None:
        if mask is None:
            self.f.store(value, place)
        else:
            masked_store(self.f, value, place, mask)


def fetched(source: Table, size: int, places: int, bytes: int) -> tuple[int, int]:
    """Cache lines to ask for with each vector of places, and elements from one place to the next.

    Args:
        source: where the first line begins that each line that is written reads.
        size: samples of a line.
        places: places of a line that is written.
        bytes: of a vector.
    """
    apart = int(np.median(np.diff(source))) if len(source) > 1 else size
    advance = apart // max(places, 1)
    lines = -(-advance * bytes // _CACHE_LINE)
    # Samples with gaps between them, or in another order, are left to the processor.
    return (lines, advance) if 0 < lines <= _MOST_FETCHED else (0, 0)


def inside(size: int, places: int, stride: int, reach: int, before: int, width: int) -> tuple[int, int]:
    """From where to where on a line whole vectors of places read nothing but samples."""
    # The first place that doesn't start before the line, in whole vectors.
    first = -(-before // stride) if before > 0 else 0
    first = -(-first // width) * width
    # Two vectors are read for a vector of every second sample.
    last = (size - width * stride - reach + before) // stride
    if last < first or places < first + width:
        start = min(first, -(-places // width) * width)
        return start, start
    count = (min(last, places - width) - first) // width + 1
    return first, first + count * width
