"""Packing a block of one channel (or of a vector of channels): lines with their padding, phase by phase.

Definition, for every line of a table and every phase f of the last axis:

    to[f·phase + line.to + i] = x[line.source + column_f.source + (i − low_f)·step]    for low_f ≤ i < high_f
                                fill                                                   for the other i <
                                places

Schedules: ``one`` (samples follow each other), ``two`` (every second), ``any``; by ``channels`` a place is a
vector of neighbouring channels, of which the first ``lanes`` are there.
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    element,
    first_lanes,
    lanes,
    masked_load,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.builder.values import overload
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
SCHEDULES = ("one", "two", "any", "channels")


def name(scalar: str, schedule: str) -> str:
    """The symbol of the function."""
    return f"pack_planes_{scalar}_{schedule}"


def emit(target: Target, scalar: str, schedule: str) -> str:
    """The function."""
    f = Function(name(scalar, schedule), target, ARGUMENTS)
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    fill = splat(f, f.convert(f["fill"], scalar), width)
    with f.loop(f["count"], name="line") as number:
        source = f.load("i64", f["lines"], number * 2)
        place = f.load("i64", f["lines"], number * 2 + 1)
        with f.loop(f["phases"], name="phase") as phase:
            to = f.at(f["to"], scalar, place + phase * f["phase"])
            low, high, start = (f.load("i64", f["columns"], phase * 3 + i) for i in range(3))
            # A line of padding has no samples.
            none = source.equals(NOWHERE)
            high = f.select(none, f.number("i64", 0), high)
            low = f.select(none, f.number("i64", 0), low)
            at = f.at(f["x"], scalar, source + start, wild=True)
            line = _Line(f, type, at, to, low, high, fill)
            if schedule == "one":
                line.consecutive()
            elif schedule == "two":
                line.every_second()
            elif schedule == "any":
                line.one_by_one()
            else:
                line.of_channels()
    f.give()
    return f.text()


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
                found.no(self._masked(place, self.low - i, self.high - i))
            f.store(found.result, self.to, i)

    def every_second(self) -> None:
        """Two vectors as they lie, of which every second lane is taken."""
        f, width = self.f, self.width
        even = [2 * i for i in range(width)]
        with f.loop(f["places"], step=width, name="vector") as i:
            place = f.at(self.at, self.scalar, (i - self.low) * 2, wild=True)
            # Not up to the last sample: the one behind it, which is read too, may be outside the array.
            inside = (i >= self.low) & (i + width < self.high)
            with f.either(inside, self.type) as found:
                first, second = (f.load(self.type, place, half * width) for half in range(2))
                found.yes(shuffle(f, first, second, even))
                found.otherwise()
                low, high = (self.low - i) * 2, (self.high - i) * 2 - 1
                behind = f.at(place, self.scalar, width, wild=True)
                first = self._masked(place, low, high)
                second = self._masked(behind, low - width, high - width)
                found.no(shuffle(f, first, second, even))
            f.store(found.result, self.to, i)

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

    def _masked(self, place: Value, low: Value, high: Value) -> Value:
        """Lanes from ``low`` to ``high`` from memory, the others filled."""
        f, width = self.f, self.width
        before = first_lanes(f, f.greatest(f.least(low, width), 0), width)
        until = first_lanes(f, f.greatest(f.least(high, width), 0), width)
        # Where a lane is before low and not until high there is none in between: and-not, by a comparison.
        mask = f.result(until.type, f"icmp ugt {until}, {before.name}")
        align = f.number("i32", size_of(self.scalar))
        name = f"llvm.masked.load.{overload(self.type)}.p0"
        return f.intrinsic(name, self.type, place, align, mask, self.fill)
