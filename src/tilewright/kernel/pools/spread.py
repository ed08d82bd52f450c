"""Gradients of pools with a stride of 2 along the pixels: two neighbouring places from what both belong to.

Definition, for every sample q of a line, over the outputs o whose windows hold it, in order:

    mean            y[q] = Σ x[o] / divisors[0]
    shares          y[q] = Σ x[o] / divisors[o]
    max_gradient    y[q] = Σ x[o] where indices[o] = q

Samples q = 2·u + a of one phase a belong to the outputs u + shift, for the shifts of that phase: so a vector
of neighbouring u reads vectors as they lie. The two phases are then zipped. Schedule:

    for each plane of the unit: for each line that is written: for a vector of u, and both phases:
        for each line of outputs: for each shift: add
        store
"""

from __future__ import annotations

from tilewright.geometry import ConvDims
from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    masked_load,
    masked_store,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.pools.largest import integer_like
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("mean", "shares", "max_gradient")
FIELDS = Fields(
    "x", "indices", "divisors", "y",
    # tables; shifts: for each phase the first and the end of its shifts, then these
    "lines", "leads", "shifts",
    # work: units are a few planes, or blocks of lines of one
    "planes", "planes_a_unit", "line_count", "lines_a_unit", "line_blocks", "channels",
    # strides, in elements
    "x_sample", "x_channel", "y_sample", "y_channel",
    # along a line: what is read, what is written, and from where to where whole vectors read nothing else
    "size", "places", "inside", "outside",
)  # fmt: skip

#: Words of a line: as in :mod:`tilewright.kernel.pools.windows`.
LINE_WORDS = 6


def name(scalar: str, kind: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_spread_{scalar}_{kind}", stored)


def emit(target: Target, scalar: str, kind: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, kind, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, kind, stored).emit()
    return f.text()


def shifts_of(form: ConvDims) -> tuple[list[int], list[int]]:
    """For each phase of the last axis of a gradient, in forward form, the shifts of what it reads."""
    kernel, dilation, before = form.kernel[-1], form.dilation[-1], form.padding[-1][0]
    places = [tap * dilation - before for tap in range(kernel)]
    # Place 2·u + a of the forward form reads sample (2·u + a + place) / 2.
    even, odd = ([(place + phase) // 2 for place in places if (place + phase) % 2 == 0] for phase in range(2))
    return sorted(even), sorted(odd)


def inside(shifts: list[int], size: int, places: int, width: int) -> tuple[int, int]:
    """From where to where whole vectors of u read only what there is, and are written whole."""
    first = max(-min(shifts, default=0), 0)
    first = -(-first // width) * width
    last = min(size - max(max(shifts, default=0), 0), places // 2)
    if last < first + width:
        pairs = -(-places // 2)
        first = min(first, -(-pairs // width) * width)
        return first, first
    return first, first + (last - first) // width * width


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str, stored: str) -> None:
        self.f, self.scalar, self.kind = f, scalar, kind
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.integer = integer_like(scalar)
        self.integers = vector(self.width, self.integer)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {
            key: f.pointer(self.word[key])
            for key in ("x", "indices", "divisors", "y", "lines", "leads", "shifts")
        }
        self.pointer |= {key: f.halves(self.pointer[key], stored) for key in ("x", "y")}

    def emit(self) -> None:
        f, word = self.f, self.word
        self.bounds = [f.load("i64", self.pointer["shifts"], i) for i in range(4)]
        if self.kind == "mean":
            self.divisor = splat(f, f.load(self.scalar, self.pointer["divisors"]), self.width)
        planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["line_count"])
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            sample, channel = plane // word["channels"], plane % word["channels"]
            source = sample * word["x_sample"] + channel * word["x_channel"]
            x = f.at(self.pointer["x"], self.scalar, source)
            indices = f.at(self.pointer["indices"], "i64", source, wild=True)
            to = sample * word["y_sample"] + channel * word["y_channel"]
            y = f.at(self.pointer["y"], self.scalar, to)
            with f.loop(last, start=first, name="line") as line:
                self._line(x, y, indices, f.at(self.pointer["lines"], "i64", line * LINE_WORDS))
        f.give()

    def _line(self, x: Value, y: Value, indices: Value, entry: Value) -> None:
        f, word, width = self.f, self.word, self.width
        source, self.flat, leads, self.lead_count, to, self.own = (
            f.load("i64", entry, i) for i in range(LINE_WORDS)
        )
        self.x, self.y = f.at(x, self.scalar, source), f.at(y, self.scalar, to)
        self.indices = f.at(indices, "i64", source, wild=True)
        self.leads = f.at(self.pointer["leads"], "i64", leads * 2)
        with f.loop(word["inside"], step=width, name="before") as i:
            self._places(i, True)
        with f.loop(word["outside"], start=word["inside"], step=width, name="vector") as i:
            self._places(i, False)
        with f.loop((word["places"] + 1) // 2, start=word["outside"], step=width, name="behind") as i:
            self._places(i, True)

    def _places(self, i: Value, masked: bool) -> None:
        """A vector of both phases; ``masked``: some of what they read, or of themselves, may not be there."""
        f, width = self.f, self.width
        even, odd = (self._phase(i, phase, masked) for phase in range(2))
        low = [place for lane in range(width // 2) for place in (lane, width + lane)]
        for half, value in enumerate(
            (shuffle(f, even, odd, low), shuffle(f, even, odd, [place + width // 2 for place in low]))
        ):
            place = i * 2 + half * width
            to = f.at(self.y, self.scalar, place, wild=True)
            if not masked:
                f.store(value, to)
                continue
            left = self.word["places"] - place
            with f.when(left > 0):
                masked_store(f, value, to, first_lanes(f, f.least(left, width), width))

    def _phase(self, i: Value, phase: int, masked: bool) -> Value:
        f = self.f
        lines = f.loop(self.lead_count, carry=[f.number(self.type, 0)], name="lead")
        with lines as number:
            offset = f.load("i64", self.leads, number * 2)
            flat = self.flat + f.load("i64", self.leads, number * 2 + 1)
            first, end = self.bounds[2 * phase : 2 * phase + 2]
            taps = f.loop(end, start=first, carry=lines.carried, name="shift")
            with taps as tap:
                column = i + f.load("i64", self.pointer["shifts"], tap)
                taps.carry([self._add(taps.carried[0], offset, flat, column, i * 2 + phase, masked)])
            lines.carry(taps.results)
        total = lines.results[0]
        return total / self.divisor if self.kind == "mean" else total

    def _add(self, total: Value, offset: Value, flat: Value, column: Value, q: Value, masked: bool) -> Value:
        f, width = self.f, self.width
        mask = None
        if masked:
            lanes = self._numbers("i32", 1) + splat(f, f.convert(column, "i32"), width)
            size = splat(f, f.convert(self.word["size"], "i32"), width)
            # Without a sign, a negative column is a large one.
            mask = f.result(vector(width, "i1"), f"icmp ult {lanes}, {size.name}")
        seen = self._load(self.type, self.x, offset + column, mask)
        if self.kind == "shares":
            seen = seen / self._load(self.type, self.pointer["divisors"], flat + column, mask, 1)
        if self.kind != "max_gradient":
            return total + seen
        wide = vector(width, "i64")
        places = self._load(wide, self.indices, offset + column, mask)
        own = self._numbers(self.integer, 2) + splat(f, f.convert(self.own + q, self.integer), width)
        return f.select(f.convert(places, self.integers).equals(own), total + seen, total)

    def _numbers(self, integer: str, step: int) -> Value:
        numbers = ", ".join(f"{integer} {step * lane}" for lane in range(self.width))
        return Value(self.f, f"<{numbers}>", vector(self.width, integer))

    def _load(self, type: str, array: Value, at: Value, mask: Value | None, other: int = 0) -> Value:
        f = self.f
        integers = "i64" in type
        place = f.at(array, "i64" if integers else self.scalar, at, wild=True)
        if mask is None:
            return f.load(type, place)
        if integers:
            # Moved as doubles, of which there are masked reads of any length.
            return f.reinterpret(masked_load(f, vector(self.width, "double"), place, mask), type)
        return masked_load(f, type, place, mask, other)
