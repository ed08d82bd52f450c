"""A pass along the lines of a picture and one across them, in one go over memory.

Definition, for a picture of rows of pixels of ``channels`` numbers, its rows and pixels continued by the two
tables of the border, and numbers c of a row:

    h[r, c] = Σ_t along[t] · x[r, c + (t − before) · channels]
    y[r, c] = Σ_t across[t] · h[r + t − above, c]

Sums begin with the first product; each of the others is added as by ``multiply_add``, in order. So no bit of
a result depends on how a picture is cut. Lines in scratch (see ``lines``) are those of h: a row is continued
and brought to what is computed in, and its sums along go to its line. Sums across are those of some rows
together, so that what is read of h serves all of them.

Sums along a line. Loads that begin anywhere take twice as long as aligned ones, and there is one to each
multiply-add if every output reads its own taps. But when ``step`` pixels fill a vector, or nearly, tap t +
step of an output is tap t of the output ``step`` pixels on: one load serves several vectors. Lanes that
are no whole pixel are written over by the next vector (3 channels in 16 lanes: 15 of them, with 5 loads for
15 multiply-adds).
"""

from __future__ import annotations

import math

from tilewright.kernel.builder import Value, size_of
from tilewright.kernel.pictures.lines import Lines
from tilewright.plan.target import Target

# Vectors of outputs along a line that share loads: many for few taps, whose weights stay in registers, too.
_FEW_TAPS, _MANY_TAPS = (16, 8), (math.inf, 4)
# Of a vector's lanes, those that are whole pixels must be so many for loads to be shared: what is computed
# in vain takes less than the loads.
_LANES_USED = 0.9


def shared_channels(target: Target, scalar: str, channels: int) -> int:
    """The number of channels if loads are shared (which is then compiled in), else 0."""
    width = target.vector_bytes // size_of(scalar)
    pixels = width // channels
    return channels if pixels and pixels * channels >= _LANES_USED * width else 0


def tile_of(target: Target, scalar: str, taps: int, channels: int) -> tuple[int, int]:
    """Numbers of a line that are computed together, and those from one vector to the next."""
    width = target.vector_bytes // size_of(scalar)
    advance = width // channels * channels if channels else width
    count = next(count for most, count in (_FEW_TAPS, _MANY_TAPS) if taps <= most)
    return advance * count, advance


class TwoPasses(Lines):
    """Both passes, being emitted."""

    def text(self) -> str:
        """The function."""
        self.line = self.f.at(self.f["scratch"], self.scalar, self.word["lines"] * self.word["pitch"])
        self.weights = [self.weight("along", t) for t in range(self.kind.taps)]
        return super().text()

    def make(self, number: Value) -> None:
        """The sums along a line."""
        self.continued(number, self.line)
        self._along(self.slot(number))

    def begin_group(self, start: Value) -> None:
        """Which line comes first."""
        self.at = start % self.word["lines"]

    def many(self) -> int:
        """Half of the registers hold sums."""
        return max(self.f.target.registers // 2 // self.together, 1)

    def columns(self, i: Value, many: int) -> list[list[Value]]:
        """Sums of ``many`` vectors from column i on, for every row of the group.

        Row s takes tap t at line s + t: the first lines serve the first rows only, the last ones the last.
        """
        f, word, together = self.f, self.word, self.together
        taps, lines, pitch = word["taps_across"], word["lines"], word["pitch"]
        sums: list[list[Value]] = [[] for _ in range(together)]
        at = self.at

        def read(slot: Value) -> list[Value]:
            place = f.at(f["scratch"], self.scalar, slot * pitch + i)
            return [f.load(self.type, place, v * self.width) for v in range(many)]

        def following(slot: Value) -> Value:
            return f.select((slot + 1).equals(lines), f.integer(0), slot + 1)

        def add(s: int, seen: list[Value], tap: Value | int) -> None:
            weight = self.weight("across", tap)
            if sums[s]:
                sums[s] = [self.added(total, x, weight) for total, x in zip(sums[s], seen, strict=True)]
            else:
                sums[s] = [self.added(None, x, weight) for x in seen]

        for line in range(together):
            seen = read(at)
            for s in range(line + 1):
                add(s, seen, line - s)
            at = following(at)
        carried = [at, *(total for totals in sums for total in totals)]
        loop = f.loop(taps, start=together, carry=carried, name="tap")
        with loop as tap:
            at = loop.carried[0]
            for s in range(together):
                sums[s] = loop.carried[1 + s * many : 1 + (s + 1) * many]
            seen = read(at)
            for s in range(together):
                add(s, seen, tap - s)
            loop.carry([following(at), *(total for totals in sums for total in totals)])
        at = loop.results[0]
        for s in range(together):
            sums[s] = loop.results[1 + s * many : 1 + (s + 1) * many]
        for line in range(together - 1):
            seen = read(at)
            for s in range(line + 1, together):
                add(s, seen, taps - (s - line))
            at = following(at)
        return sums

    def _along(self, to: Value) -> None:
        """The sums along the line in scratch."""
        f = self.f
        kind = self.kind
        tile, advance = tile_of(f.target, self.scalar, kind.taps, kind.channels)
        with f.loop(self.count, step=tile, surely=True, name="along") as i:
            x = f.at(self.line, self.scalar, i)
            sums = self._shared(x, tile // advance) if kind.channels else self._apart(x, tile // advance)
            for number, total in enumerate(sums):
                f.store(total, to, i + number * advance)

    def _shared(self, x: Value, count: int) -> list[Value]:
        """Sums of vectors of whole pixels: what is read serves all that have a tap there."""
        f, pixels = self.f, self.width // self.kind.channels
        sums: list[Value | None] = [None] * count
        for place in range(pixels * (count - 1) + self.kind.taps):
            users = [v for v in range(count) if 0 <= place - v * pixels < self.kind.taps]
            if users:
                seen = f.load(self.type, x, place * self.kind.channels)
            for v in users:
                sums[v] = self.added(sums[v], seen, self.weights[place - v * pixels])
        return [total for total in sums if total is not None]

    def _apart(self, x: Value, count: int) -> list[Value]:
        """Sums of vectors that read their own taps."""
        f = self.f
        sums: list[Value | None] = [None] * count
        for t in range(self.kind.taps):
            at = f.at(x, self.scalar, self.word["channels"] * t)
            for v in range(count):
                sums[v] = self.added(sums[v], f.load(self.type, at, v * self.width), self.weights[t])
        return [total for total in sums if total is not None]
