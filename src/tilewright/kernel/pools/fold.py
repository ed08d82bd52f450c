"""Large windows that don't overlap, along the pixels: vectors along the samples of one window.

Definition, for every place o of a line that is written, over the samples q of its window:

    max            y[o] = the largest x[q]; the first NaN, if there is one
    max_indices    the same, and indices[o] = the first such q
    mean           y[o] = Σ x[q] / divisors[o]

Schedule:

    for each plane of the unit: for each line that is written: for each place of it:
        for each line of its window: combine as many samples as a vector has, four vectors side by side
        combine the four, and then their lanes, halves with halves
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    element,
    first_lanes,
    labelled,
    lane,
    lanes,
    masked_load,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.pools.largest import LEAST, integer_like, is_larger
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("max", "max_indices", "mean")
FIELDS = Fields(
    "x", "indices", "divisors", "y",
    # tables; of each place, its first column and how many
    "lines", "leads", "columns",
    # work: units are a few planes, or blocks of lines of one
    "planes", "planes_a_unit", "line_count", "lines_a_unit", "line_blocks", "channels",
    # strides, in elements; places of a line
    "x_sample", "x_channel", "y_sample", "y_channel", "y_column", "places",
    # whether every place has a divisor of its own
    "each",
)  # fmt: skip

#: Words of a line: as in :mod:`tilewright.kernel.pools.windows`.
LINE_WORDS = 6
# A comparison and what follows it take some eight cycles.
_VECTORS = 4

#: What is combined: one value, or with indices a value and its place.
_Pair = tuple[Value, ...]


def name(scalar: str, kind: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_fold_{scalar}_{kind}", stored)


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
        self.integer = integer_like(scalar)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {
            key: f.pointer(self.word[key])
            for key in ("x", "indices", "divisors", "y", "lines", "leads", "columns")
        }
        self.pointer |= {key: f.halves(self.pointer[key], stored) for key in ("x", "y")}

    def emit(self) -> None:
        f, word = self.f, self.word
        planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["line_count"])
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            sample, channel = plane // word["channels"], plane % word["channels"]
            source = sample * word["x_sample"] + channel * word["x_channel"]
            plane_to = sample * word["y_sample"] + channel * word["y_channel"]
            with f.loop(last, start=first, name="line") as line:
                entry = f.at(self.pointer["lines"], "i64", line * LINE_WORDS)
                start, self.flat, leads, self.lead_count, to, own = (
                    f.load("i64", entry, i) for i in range(LINE_WORDS)
                )
                self.x = f.at(self.pointer["x"], self.scalar, source + start)
                self.leads = f.at(self.pointer["leads"], "i64", leads * 2)
                with f.loop(word["places"], name="place") as place:
                    at = plane_to + to + place * word["y_column"]
                    self._place(place, at, own + place)
        f.give()

    def _place(self, place: Value, to: Value, own: Value) -> None:
        f = self.f
        column = f.at(self.pointer["columns"], "i64", place * 2)
        first, count = f.load("i64", column), f.load("i64", column, 1)
        found = self._window(first, first + count)
        while len(found) > 1:
            found = [self._combined(a, b) for a, b in zip(found[::2], found[1::2], strict=True)]
        result = found[0]
        while (half := lanes(result[0].type) // 2) >= 1:
            low, high = (
                tuple(shuffle(f, value, value, range(start, start + half)) for value in result)
                for start in (0, half)
            )
            result = self._combined(low, high)
        value = lane(f, result[0], 0)
        if self.kind == "mean":
            at = f.select(self.word["each"].differs(0), own, f.number("i64", 0))
            value = value / f.load(self.scalar, self.pointer["divisors"], at)
        f.store(value, self.pointer["y"], to)
        if self.kind == "max_indices":
            f.store(f.convert(lane(f, result[1], 0), "i64"), self.pointer["indices"], to)

    def _window(self, first: Value, end: Value) -> list[_Pair]:
        """All samples of a window, as a few vectors."""
        f, width = self.f, self.width
        step = _VECTORS * width
        start = [f.number(self.type, 0 if self.kind == "mean" else LEAST)] * _VECTORS
        if self.kind == "max_indices":
            # A window of −∞ points at the first of its own.
            start += [splat(f, f.convert(self.flat + first, self.integer), width)] * _VECTORS
        lines = f.loop(self.lead_count, carry=start, name="lead")
        with lines as number:
            row = f.at(self.x, self.scalar, f.load("i64", self.leads, number * 2))
            flat = self.flat + f.load("i64", self.leads, number * 2 + 1)
            whole = first + (end - first) // step * step
            several = f.loop(whole, start=first, step=step, carry=lines.carried, name="several")
            with several as i:
                seen = [f.load(self.type, row, i + v * width) for v in range(_VECTORS)]
                several.carry(self._more(several.carried, seen, flat + i))
            rest = f.loop(end, start=whole, step=width, carry=several.results, name="rest")
            with rest as i:
                mask = first_lanes(f, f.least(end - i, width), width)
                none = 0 if self.kind == "mean" else LEAST
                value = masked_load(f, self.type, f.at(row, self.scalar, i), mask, none)
                rest.carry(self._more(rest.carried, [value], flat + i))
            lines.carry(rest.results)
        found = lines.results
        if self.kind == "max_indices":
            return list(zip(found[:_VECTORS], found[_VECTORS:], strict=True))
        return [(value,) for value in found]

    def _more(self, so_far: list[Value], seen: list[Value], flat: Value) -> list[Value]:
        """The first vectors of what is carried, combined with others: each with one."""
        f = self.f
        found = list(so_far)
        for v, new in enumerate(seen):
            old = so_far[v]
            if self.kind == "mean":
                found[v] = old + new
                continue
            larger = is_larger(f, new, old)
            found[v] = f.select(larger, new, old)
            if self.kind == "max_indices":
                start = v * self.width
                numbers = ", ".join(f"{self.integer} {start + number}" for number in range(self.width))
                along = Value(f, f"<{numbers}>", vector(self.width, self.integer))
                place = along + splat(f, f.convert(flat, self.integer), self.width)
                found[_VECTORS + v] = f.select(larger, place, so_far[_VECTORS + v])
        return found

    def _combined(self, a: _Pair, b: _Pair) -> _Pair:
        """Of two vectors of winners, lane by lane the one that wins, and of equals that which comes first."""
        f = self.f
        if self.kind == "mean":
            return (a[0] + b[0],)
        larger = is_larger(f, b[0], a[0])
        if self.kind == "max":
            return (f.select(larger, b[0], a[0]),)
        # Equal, or both are NaN.
        none = larger | is_larger(f, a[0], b[0])
        first = f.result(none.type, f"xor {none}, {_all(none.type)}") & (b[1] < a[1])
        taken = larger | first
        return f.select(taken, b[0], a[0]), f.select(taken, b[1], a[1])


def _all(type: str) -> str:
    """The text of truth in every lane."""
    return "splat (i1 true)" if element(type) != type else "true"
