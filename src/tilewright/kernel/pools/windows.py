"""Pools whose channels lie innermost: each window read where it stands, a vector of channels at a time.

Definition, for every place o that is written and every channel c, over the places q that o reads, in order:

    max             y[o] = the largest x[q]; the first NaN, if there is one
    max_indices     the same, and indices[o] = that q
    mean            y[o] = Σ x[q] / divisors[o]
    shares          y[o] = Σ x[q] / divisors[q]
    max_gradient    y[o] = Σ x[q] where indices[q] = o

Schedule:

    for each line that is written: for each place of it: for a few vectors of channels:
        for each line that is read: for each place of it: combine
        store
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    masked_load,
    masked_store,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.pools.largest import LEAST, integer_like, is_larger
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("max", "max_indices", "mean", "shares", "max_gradient")
FIELDS = Fields(
    "x", "indices", "divisors", "y",
    # tables
    "lines", "leads", "columns",
    # work: units are blocks of lines of a sample
    "line_count", "lines_a_unit", "line_blocks", "column_count", "channels",
    # strides, in elements
    "x_sample", "x_column", "y_sample", "y_column",
    # how far apart the columns that are read are; whether every place has a divisor of its own
    "step", "each",
)  # fmt: skip

#: Words of a line: the first source in elements and in places, the first of its leads and their number, where
#: it is written, and its first place.
LINE_WORDS = 6


def name(scalar: str, kind: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_windows_{scalar}_{kind}", stored)


def vectors(target: Target) -> int:
    """How many vectors of channels are combined side by side, at most: each has a sum, maybe indices."""
    return 8 if target.registers > 16 else 4


def emit(target: Target, scalar: str, kind: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, kind, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, kind, stored).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str, stored: str) -> None:
        self.f, self.scalar, self.kind = f, scalar, kind
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        #: places, as they are compared and kept: integers as wide as the samples
        self.integer = integer_like(scalar)
        self.integers = vector(self.width, self.integer)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {
            key: f.pointer(self.word[key])
            for key in ("x", "indices", "divisors", "y", "lines", "leads", "columns")
        }
        self.pointer |= {key: f.halves(self.pointer[key], stored) for key in ("x", "y")}

    def emit(self) -> None:
        f, word = self.f, self.word
        sample, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["line_count"])
        self.x = f.at(self.pointer["x"], self.scalar, sample * word["x_sample"])
        self.y = f.at(self.pointer["y"], self.scalar, sample * word["y_sample"])
        # The indices lie as the outputs do: as what is written, or (of a gradient) as what is read.
        along = word["x_sample"] if self.kind == "max_gradient" else word["y_sample"]
        self.indices = f.at(self.pointer["indices"], "i64", sample * along, wild=True)
        self.column_step = word["x_column"] * word["step"]
        counts = [count for count in (8, 4, 2, 1) if count <= vectors(f.target)]
        stops = []
        start = f.number("i64", 0)
        for count in counts:
            stop = start + (word["channels"] - start) // (count * self.width) * (count * self.width)
            stops.append((count, start, stop))
            start = stop
        rest = word["channels"] - start
        mask = first_lanes(f, rest, self.width)
        with f.loop(last, start=first, name="line") as line:
            entry = f.at(self.pointer["lines"], "i64", line * LINE_WORDS)
            source, flat, leads, lead_count, to, own = (f.load("i64", entry, i) for i in range(LINE_WORDS))
            self.lead_count = lead_count
            self.leads = f.at(self.pointer["leads"], "i64", leads * 2)
            with f.loop(word["column_count"], name="column") as column:
                at = f.at(self.pointer["columns"], "i64", column * 2)
                first_column = f.load("i64", at)
                self.count = f.load("i64", at, 1)
                self.source = source + first_column * word["x_column"]
                self.flat = flat + first_column
                self.to = to + column * word["y_column"]
                self.own = own + column
                for count, low, high in stops:
                    with f.loop(high, start=low, step=count * self.width, name=f"vectors{count}") as c:
                        self._channels(c, count, None)
                with f.when(rest > 0):
                    self._channels(start, 1, mask)
        f.give()

    def _channels(self, c: Value, count: int, mask: Value | None) -> None:
        """A few vectors of channels of one place."""
        if self.kind.startswith("max"):
            start = [self.f.number(self.type, LEAST if self.kind != "max_gradient" else 0)] * count
            if self.kind == "max_indices":
                # A window of −∞ points at the first of its own.
                start += [self._splat(self.flat)] * count
            results = self._taps(c, count, mask, start, self._compare, False)
        else:
            start = [self.f.number(self.type, 0)] * count
            results = self._taps(c, count, mask, start, self._add, True)
        if self.kind == "mean":
            divisor = splat(self.f, self._divisor(), self.width)
            results = [value / divisor for value in results]
        to = self.to + c
        for v, value in enumerate(results[:count]):
            self._store(value, self.y, to + v * self.width, mask)
        if self.kind == "max_indices":
            for v, value in enumerate(results[count:]):
                self._store_indices(value, to + v * self.width, mask)

    def _taps(
        self,
        c: Value,
        count: int,
        mask: Value | None,
        start: list[Value],
        combine: Callable[..., list[Value]],
        apart: bool,
    ) -> list[Value]:
        """What is read, combined in order; ``apart``: each line's sum starts at 0, and is added."""
        f = self.f
        lines = f.loop(self.lead_count, carry=start, name="lead")
        with lines as number:
            offset = self.source + f.load("i64", self.leads, number * 2) + c
            flat = self.flat + f.load("i64", self.leads, number * 2 + 1)
            taps = f.loop(self.count, carry=start if apart else lines.carried, name="tap")
            with taps as tap:
                taps.carry(
                    combine(
                        taps.carried,
                        offset + tap * self.column_step,
                        flat + tap * self.word["step"],
                        mask,
                        count,
                    )
                )
            found = taps.results
            if apart:
                found = [a + b for a, b in zip(lines.carried, found, strict=True)]
            lines.carry(found)
        return lines.results

    def _compare(
        self, so_far: list[Value], at: Value, flat: Value, mask: Value | None, count: int
    ) -> list[Value]:
        f = self.f
        seen = [self._load(self.x, at + v * self.width, mask) for v in range(count)]
        if self.kind == "max_gradient":
            own = self._splat(self.own)
            places = [self._load_indices(at + v * self.width, mask) for v in range(count)]
            return [
                f.select(place.equals(own), total + value, total)
                for place, value, total in zip(places, seen, so_far, strict=True)
            ]
        larger = [is_larger(f, new, old) for new, old in zip(seen, so_far[:count], strict=True)]
        found = [f.select(*three) for three in zip(larger, seen, so_far[:count], strict=True)]
        if self.kind == "max_indices":
            place = self._splat(flat)
            found += [f.select(one, place, old) for one, old in zip(larger, so_far[count:], strict=True)]
        return found

    def _add(
        self, so_far: list[Value], at: Value, flat: Value, mask: Value | None, count: int
    ) -> list[Value]:
        f = self.f
        seen = [self._load(self.x, at + v * self.width, mask) for v in range(count)]
        if self.kind == "shares":
            divisor = splat(f, f.load(self.scalar, self.pointer["divisors"], flat), self.width)
            seen = [value / divisor for value in seen]
        return [total + value for total, value in zip(so_far, seen, strict=True)]

    def _divisor(self) -> Value:
        """Of the place that is written."""
        f = self.f
        place = f.select(self.word["each"].differs(0), self.own, f.number("i64", 0))
        return f.load(self.scalar, self.pointer["divisors"], place)

    def _splat(self, place: Value) -> Value:
        return splat(self.f, self.f.convert(place, self.integer), self.width)

    def _load(self, array: Value, at: Value, mask: Value | None) -> Value:
        place = self.f.at(array, self.scalar, at)
        return self.f.load(self.type, place) if mask is None else masked_load(self.f, self.type, place, mask)

    def _store(self, value: Value, array: Value, at: Value, mask: Value | None) -> None:
        place = self.f.at(array, self.scalar, at)
        if mask is None:
            self.f.store(value, place)
        else:
            masked_store(self.f, value, place, mask)

    def _load_indices(self, at: Value, mask: Value | None) -> Value:
        f = self.f
        wide = vector(self.width, "i64")
        place = f.at(self.indices, "i64", at)
        if mask is None:
            found = f.load(wide, place)
        else:
            # Moved as doubles, of which there are masked reads of any length.
            found = f.reinterpret(masked_load(f, vector(self.width, "double"), place, mask), wide)
        return f.convert(found, self.integers)

    def _store_indices(self, value: Value, at: Value, mask: Value | None) -> None:
        f = self.f
        wide = f.convert(value, vector(self.width, "i64"))
        place = f.at(self.indices, "i64", at)
        if mask is None:
            f.store(wide, place)
        else:
            masked_store(f, f.reinterpret(wide, vector(self.width, "double")), place, mask)
