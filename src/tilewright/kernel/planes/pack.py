"""Packing a block of one channel (or of a vector of channels): lines with their padding, phase by phase.

Definition, for every line of a table and every phase f of the last axis:

    to[f·phase + line.to + i] = x[line.source + column_f.source + (i − low_f)·step]    for low_f ≤ i < high_f
                                fill                                                   for the other i <
                                places

Schedules: ``one`` (samples follow each other), ``two`` (every second), ``both`` (two
phases of every second, read at once), ``any``; by ``channels`` a place is a
vector of neighbouring channels, of which the first ``lanes`` are there.

Where padding continues the samples (``around``), the table of columns goes on behind the last phase: how many
places of a line are padding, and of each the sample that it is a copy of, and where it goes. They are filled
in one by one; there are few.

Where NaN is a sample that is missing, one ``part`` of what is packed can be asked for: its ``values``, with 0
for what is missing; or its ``mask``, 1 for what is there, and 0 for padding too.
"""

from __future__ import annotations

import math

from tilewright.kernel.builder import (
    Function,
    Value,
    element,
    first_lanes,
    labelled,
    lanes,
    load_pairs,
    masked_load,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.planes.layout import NOWHERE
from tilewright.plan.target import Target

#: The array, the table of lines and their number, the table of columns and the number of phases, where to,
#: elements between phases, places of a line, steps of x between samples, lanes, and what padding is.
ARGUMENTS = {
    "x": "ptr",
    "lines": "ptr",
    "count": "i64",
    "columns": "ptr",
    "phases": "i64",
    "to": "ptr",
    "phase": "i64",
    "places": "i64",
    "step": "i64",
    "lanes": "i64",
    "fill": "double",
}
SCHEDULES = ("one", "two", "both", "any", "channels")
#: Up to so many vectors of a line are packed one after the other, each of all lines.
FEW_VECTORS = 2


def name(scalar: str, schedule: str, around: bool = False, stored: str = "", part: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x is, if it is."""
    symbol = f"pack_planes_{scalar}_{schedule}{'_around' if around else ''}{part and f'_{part}'}"
    return labelled(symbol, stored)


def emit(
    target: Target, scalar: str, schedule: str, around: bool = False, stored: str = "", part: str = ""
) -> str:
    """The function; ``around``: padding continues the samples; ``part``: see above, or all."""
    f = Function(name(scalar, schedule, around, stored, part), target, ARGUMENTS, stored={"x": stored})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    fill = splat(f, f.convert(f["fill"], scalar), width)
    if part == "mask":
        fill = f.number(type, math.nan)
    work = _Pack(f, type, schedule, fill)
    if schedule == "both":
        work.both_phases()
    elif schedule not in ("one", "two"):
        work.line_by_line()
    else:
        # Lines of a few vectors: which lanes of them are padding is the same for all lines.
        few = f["places"] <= FEW_VECTORS * width
        with f.when(few):
            work.vector_by_vector()
        with f.when(few.equals(0)):
            work.line_by_line()
    if around:
        work.ends()
    if part:
        work.split(part)
    f.give()
    return f.text()


class _Pack:
    def __init__(self, f: Function, type: str, schedule: str, fill: Value) -> None:
        self.f, self.type, self.scalar, self.width = f, type, element(type), lanes(type)
        self.schedule, self.fill = schedule, fill

    def line_by_line(self) -> None:
        f = self.f
        with f.loop(f["count"], name="line") as number:
            source, place = self._entry(number)
            with f.loop(f["phases"], name="phase") as phase:
                to = f.at(f["to"], self.scalar, place + phase * f["phase"])
                low, high, start = self._column(phase)
                # A branch, not an empty range: a masked read where there is nothing takes hundreds of cycles.
                with f.when(source.equals(NOWHERE)):
                    places = f["places"] * (self.width if self.schedule == "channels" else 1)
                    with f.loop(places, step=self.width, name="nothing") as i:
                        f.store(self.fill, to, i)
                with f.when(source.differs(NOWHERE)):
                    at = f.at(f["x"], self.scalar, source + start, wild=True)
                    line = _Line(f, self.type, at, to, low, high, self.fill)
                    if self.schedule == "one":
                        line.consecutive()
                    elif self.schedule == "two":
                        line.every_second()
                    elif self.schedule == "any":
                        line.one_by_one()
                    else:
                        line.of_channels()

    def both_phases(self) -> None:
        """Two vectors as they lie; even lanes are of one phase, odd ones of the other."""
        f, width = self.f, self.width
        (low, high, start), (low_odd, high_odd, _) = (self._column(f.integer(phase)) for phase in range(2))
        low_all, high_all = f.least(low * 2, low_odd * 2 + 1), f.greatest(high * 2 - 1, high_odd * 2)
        lanes_of = [[2 * i + phase for i in range(width)] for phase in range(2)]
        with f.loop(f["count"], name="line") as number:
            source, place = self._entry(number)
            tos = [f.at(f["to"], self.scalar, place + f["phase"] * phase) for phase in range(2)]
            # A branch, not an empty range: a masked read where there is nothing takes hundreds of cycles.
            with f.when(source.equals(NOWHERE)), f.loop(f["places"], step=width, name="nothing") as i:
                for to in tos:
                    f.store(self.fill, to, i)
            with f.when(source.differs(NOWHERE)), f.loop(f["places"], step=width, name="vector") as i:
                at = f.at(f["x"], self.scalar, source + start + (i - low) * 2, wild=True)
                before, behind = low_all - i * 2, high_all - i * 2
                inside = (before <= 0) & (behind >= 2 * width)
                line = _Line(f, self.type, at, tos[0], before, behind, self.fill)
                with f.either(inside, self.type) as first:
                    first.yes(f.load(self.type, at))
                    first.otherwise()
                    first.no(line.masked(at, line.mask(before, behind)))
                following = f.at(at, self.scalar, width, wild=True)
                with f.either(inside, self.type) as second:
                    second.yes(f.load(self.type, following))
                    second.otherwise()
                    second.no(line.masked(following, line.mask(before - width, behind - width)))
                for to, lanes_ in zip(tos, lanes_of, strict=True):
                    f.store(shuffle(f, first.result, second.result, lanes_), to, i)

    def vector_by_vector(self) -> None:
        f, width = self.f, self.width
        step = 1 if self.schedule == "one" else 2
        with f.loop(f["phases"], name="phase") as phase:
            low, high, start = self._column(phase)
            x = f.at(f["x"], self.scalar, start, wild=True)
            to = f.at(f["to"], self.scalar, phase * f["phase"])
            with f.loop(f["places"], step=width, name="vector") as i:
                at = f.at(x, self.scalar, (i - low) * step, wild=True)
                to_here = f.at(to, self.scalar, i)
                line = _Line(f, self.type, at, to_here, low - i, high - i, self.fill)
                masks = line.masks(step)
                with f.loop(f["count"], name="line") as number:
                    source, place = self._entry(number)
                    with f.either(source.equals(NOWHERE), self.type) as found:
                        found.yes(self.fill)
                        found.otherwise()
                        here = f.at(at, self.scalar, source, wild=True)
                        found.no(line.read(here, masks))
                    f.store(found.result, to_here, place)

    def ends(self) -> None:
        """The padding of each line: copies of its samples, wherever in the line they are."""
        f, width, channels = self.f, self.width, self.schedule == "channels"
        table = f.at(f["columns"], "i64", f["phases"] * 3)
        count = f.load("i64", table)
        mask = first_lanes(f, f["lanes"], width)
        with f.loop(f["count"], name="line_around") as number:
            source, place = self._entry(number)
            x, to = f.at(f["x"], self.scalar, source, wild=True), f.at(f["to"], self.scalar, place)
            with f.loop(count + 1, start=f.integer(1), name="end") as end:
                sample, here = (f.load("i64", table, end * 3 + i) for i in range(2))
                if channels:
                    at = f.at(x, self.scalar, sample, wild=True)
                    f.store(masked_load(f, self.type, at, mask), to, here)
                else:
                    f.store(f.load(self.scalar, x, sample), to, here)

    def split(self, part: str) -> None:
        """All of what is packed, and what lies between its lines, once more: none of it stays NaN."""
        f = self.f
        nothing = f.number(self.type, 0)
        with f.loop(f["phases"] * f["phase"], step=self.width, name="part") as i:
            value = f.load(self.type, f["to"], i)
            kept = value if part == "values" else f.number(self.type, 1)
            f.store(f.select(value.equals(value), kept, nothing), f["to"], i)

    def _entry(self, number: Value) -> tuple[Value, Value]:
        f = self.f
        return f.load("i64", f["lines"], number * 2), f.load("i64", f["lines"], number * 2 + 1)

    def _column(self, phase: Value) -> tuple[Value, Value, Value]:
        f = self.f
        low, high, start = (f.load("i64", f["columns"], phase * 3 + i) for i in range(3))
        return low, high, start


class _Line:
    """One line in one phase: samples belong at places ``low`` to ``high``."""

    def __init__(
        self, f: Function, type: str, at: Value, to: Value, low: Value, high: Value, fill: Value
    ) -> None:
        self.f, self.type, self.scalar, self.width = f, type, element(type), lanes(type)
        self.at, self.to, self.low, self.high, self.fill = at, to, low, high, fill

    def consecutive(self) -> None:
        """Vectors as they lie; masks where padding begins or ends."""
        f, width = self.f, self.width
        with f.loop(f["places"], step=width, name="vector") as i:
            place = f.at(self.at, self.scalar, i - self.low, wild=True)
            inside = (i >= self.low) & (i + width <= self.high)
            with f.either(inside, self.type) as found:
                found.yes(f.load(self.type, place))
                found.otherwise()
                rest = _Line(f, self.type, place, self.to, self.low - i, self.high - i, self.fill)
                found.no(rest.read(place, rest.masks(1)))
            f.store(found.result, self.to, i)

    def every_second(self) -> None:
        """Two vectors as they lie, of which every second lane is taken."""
        f, width = self.f, self.width
        with f.loop(f["places"], step=width, name="vector") as i:
            place = f.at(self.at, self.scalar, (i - self.low) * 2, wild=True)
            # Not up to the last sample: the one behind it, which is read too, may be outside the array.
            inside = (i >= self.low) & (i + width < self.high)
            with f.either(inside, self.type) as found:
                found.yes(load_pairs(f, self.type, place)[0])
                found.otherwise()
                rest = _Line(f, self.type, place, self.to, self.low - i, self.high - i, self.fill)
                found.no(rest.read(place, rest.masks(2)))
            f.store(found.result, self.to, i)

    @property
    def _even(self) -> list[int]:
        return [2 * i for i in range(self.width)]

    def masks(self, step: int) -> list[Value]:
        """Which lanes of the vectors that one is read from are samples: of every second, of two vectors."""
        if step == 1:
            return [self.mask(self.low, self.high)]
        low, high = self.low * 2, self.high * 2 - 1
        return [self.mask(low - half * self.width, high - half * self.width) for half in range(2)]

    def read(self, place: Value, masks: list[Value]) -> Value:
        """A vector of samples and padding."""
        first = self.masked(place, masks[0])
        if len(masks) == 1:
            return first
        behind = self.f.at(place, self.scalar, self.width, wild=True)
        return shuffle(self.f, first, self.masked(behind, masks[1]), self._even)

    def one_by_one(self) -> None:
        """Padding everywhere, and then samples."""
        f = self.f
        with f.loop(f["places"], step=self.width, name="padding") as i:
            f.store(self.fill, self.to, i)
        with f.loop(self.high, start=self.low, name="sample") as i:
            f.store(f.load(self.scalar, self.at, (i - self.low) * f["step"]), self.to, i)

    def of_channels(self) -> None:
        """A vector of channels for each place."""
        f, width = self.f, self.width
        mask = first_lanes(f, f["lanes"], width)
        with f.loop(self.low, name="before") as i:
            f.store(self.fill, self.to, i * width)
        with f.loop(f["places"], start=self.high, name="behind") as i:
            f.store(self.fill, self.to, i * width)
        # Masked reads cost several times as much on some processors.
        with f.when(f["lanes"].equals(width)), f.loop(self.high, start=self.low, name="place") as i:
            f.store(f.load(self.type, self.at, (i - self.low) * f["step"]), self.to, i * width)
        with f.when(f["lanes"] < width), f.loop(self.high, start=self.low, name="place") as i:
            place = f.at(self.at, self.scalar, (i - self.low) * f["step"])
            f.store(masked_load(f, self.type, place, mask), self.to, i * width)

    def mask(self, low: Value, high: Value) -> Value:
        """The lanes from ``low`` to ``high``."""
        f, width = self.f, self.width
        before = first_lanes(f, f.greatest(f.least(low, width), 0), width)
        until = first_lanes(f, f.greatest(f.least(high, width), 0), width)
        # Where a lane is before low and not until high there is none in between: and-not, by a comparison.
        return f.result(until.type, f"icmp ugt {until}, {before.name}")

    def masked(self, place: Value, mask: Value) -> Value:
        """Lanes of the mask from memory, the others filled."""
        return masked_load(self.f, self.type, place, mask, self.fill)
