"""From scratch to the output: lines of finished places.

Definition, for every line of a table and i < line.count:

    plain      y[line.to + i·step] = from[line.start + i]
    indices    the same, and indices[…] = line.base + i·stride + number, the tap's number[line.start + i];
               where that is −1, line.lead + firsts[line.column + i] stands for it: the first tap there
    mean       y[…] = from[…] / divisors[line.own + i], or / divisors[0] if all are equal

Schedules: ``one`` (places follow each other), ``any``; ``zip``: i even and odd stand in turn at
``from[line.start + i // 2]`` and ``from[line.start + apart + i // 2]``, and follow each other in y.
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
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.pools.largest import integer_like
from tilewright.plan.target import Target

#: What is finished, numbers of taps, the table and its length, where to, the step between places of a line;
#: of indices, where to, how far apart the first taps of two places are, and the table of first taps; of
#: means, the divisors and whether each has its own; and what lies between the two halves that are zipped.
ARGUMENTS = {
    "from": "ptr",
    "numbers": "ptr",
    "lines": "ptr",
    "count": "i64",
    "to": "ptr",
    "step": "i64",
    "indices": "ptr",
    "stride": "i64",
    "firsts": "ptr",
    "divisors": "ptr",
    "each": "i64",
    "apart": "i64",
}
KINDS = ("plain", "indices", "mean")
SCHEDULES = ("one", "zip", "any")
#: Words of a line: start, to, count, own, base, lead, column.
LINE_WORDS = 7


def name(scalar: str, kind: str, schedule: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves y is, if it is."""
    return labelled(f"pool_put_{scalar}_{kind}_{schedule}", stored)


def emit(target: Target, scalar: str, kind: str, schedule: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, kind, schedule, stored), target, ARGUMENTS, stored={"to": stored})
    _Put(f, scalar, kind).emit(schedule)
    return f.text()


class _Put:
    def __init__(self, f: Function, scalar: str, kind: str) -> None:
        self.f, self.scalar, self.kind = f, scalar, kind
        self.width = f.target.vector_bytes // size_of(scalar)
        self.integer = integer_like(scalar)

    def emit(self, schedule: str) -> None:
        f = self.f
        if self.kind == "mean":
            self.divisor = f.load(self.scalar, f["divisors"])
            self.each = f["each"].differs(0)
        if self.kind == "indices" and schedule != "any":
            wide = vector(self.width, "i64")
            lanes = Value(f, "<" + ", ".join(f"i64 {lane}" for lane in range(self.width)) + ">", wide)
            self.along = lanes * splat(f, f["stride"], self.width)
        with f.loop(f["count"], name="line") as number:
            entry = f.at(f["lines"], "i64", number * LINE_WORDS)
            start, to, count, own, base, lead, column = (f.load("i64", entry, i) for i in range(LINE_WORDS))
            self.source = f.at(f["from"], self.scalar, start)
            self.to = f.at(f["to"], self.scalar, to)
            if self.kind == "mean":
                self.divisors = f.at(f["divisors"], self.scalar, own, wild=True)
            if self.kind == "indices":
                self.base, self.lead = base, lead
                self.firsts = f.at(f["firsts"], "i64", column)
                self.numbers = f.at(f["numbers"], self.integer, start)
                self.indices = f.at(f["indices"], "i64", to)
            if schedule == "one":
                self._vectors(count, self.width, self._loaded)
            elif schedule == "zip":
                self._vectors(count, 2 * self.width, self._zipped)
            else:
                self._one_by_one(count)
        f.give()

    def _vectors(self, count: Value, step: int, found: Callable[[Value], list[Value]]) -> None:
        f, width = self.f, self.width
        whole = count // step * step
        with f.loop(whole, step=step, name="vector") as i:
            for v, value in enumerate(found(i)):
                self._store(value, i + v * width, None)
        with f.when(whole < count):
            for v, value in enumerate(found(whole)):
                place = whole + v * width
                with f.when(place < count):
                    mask = first_lanes(f, f.least(count - place, width), width)
                    self._store(value, place, mask)

    def _loaded(self, i: Value) -> list[Value]:
        return [self.f.load(vector(self.width, self.scalar), self.source, i)]

    def _zipped(self, i: Value) -> list[Value]:
        f, width = self.f, self.width
        type, half = vector(width, self.scalar), i // 2
        even = f.load(type, self.source, half)
        odd = f.load(type, f.at(self.source, self.scalar, f["apart"]), half)
        low = [place for lane in range(width // 2) for place in (lane, width + lane)]
        return [shuffle(f, even, odd, low), shuffle(f, even, odd, [place + width // 2 for place in low])]

    def _divisor(self, type: str, i: Value, mask: Value | None) -> Value:
        f = self.f
        with f.either(self.each, type) as divisor:
            at = f.at(self.divisors, self.scalar, i, wild=True)
            # Lanes that don't exist are divided by 1: nothing is slow.
            divisor.yes(f.load(type, at) if mask is None else masked_load(f, type, at, mask, 1))
            divisor.otherwise()
            divisor.no(splat(f, self.divisor, self.width))
        return divisor.result

    def _store(self, value: Value, i: Value, mask: Value | None) -> None:
        f, width = self.f, self.width
        if self.kind == "mean":
            value = value / self._divisor(value.type, i, mask)
        place = f.at(self.to, self.scalar, i)
        if mask is None:
            f.store(value, place)
        else:
            masked_store(f, value, place, mask)
        if self.kind != "indices":
            return
        wide = vector(width, "i64")
        number = f.convert(f.load(vector(width, self.integer), self.numbers, i), wide)
        # The table of first taps has room for a vector behind its end.
        first = f.load(wide, self.firsts, i) + splat(f, self.lead, width)
        base = splat(f, self.base + i * f["stride"], width)
        found = f.select(number < 0, first, number) + self.along + base
        place = f.at(self.indices, "i64", i)
        if mask is None:
            f.store(found, place)
        else:
            masked_store(f, f.reinterpret(found, vector(width, "double")), place, mask)

    def _one_by_one(self, count: Value) -> None:
        f = self.f
        with f.loop(count, name="place") as i:
            value = f.load(self.scalar, self.source, i)
            if self.kind == "mean":
                with f.either(self.each, self.scalar) as divisor:
                    divisor.yes(f.load(self.scalar, self.divisors, i))
                    divisor.otherwise()
                    divisor.no(self.divisor)
                value = value / divisor.result
            f.store(value, self.to, i * f["step"])
            if self.kind == "indices":
                number = f.convert(f.load(self.integer, self.numbers, i), "i64")
                first = f.load("i64", self.firsts, i) + self.lead
                found = f.select(number < 0, first, number) + self.base + i * f["stride"]
                f.store(found, self.indices, i * f["step"])
