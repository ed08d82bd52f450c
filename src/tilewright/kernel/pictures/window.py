"""All taps of a kernel over two axes in one go.

Definition, for a picture of rows of pixels of ``channels`` numbers, its rows and pixels continued by the two
tables of the border, and numbers c of a row:

    y[r, c] = Σ_s Σ_t weights[s, t] · x[r + s − above, c + (t − before) · channels]

Sums begin with the first product; each of the others is added as by ``multiply_add``, in order. Lines in
scratch (see ``lines``) are the rows themselves, continued and brought to what is computed in. Schedule, for
some rows and vectors together, all written out:

    for each line, for each tap t along it: x = the vectors there
        for each row that has a tap s at this line: one weight, multiplied with all vectors

The table of weights holds them once for each row that is computed together.
"""

from __future__ import annotations

from tilewright.kernel.builder import Value
from tilewright.kernel.pictures.lines import Lines

# Sums that are under way keep busy what starts two multiply-adds a cycle that take four.
_SUMS = 8


class Window(Lines):
    """The window, being emitted."""

    def make(self, number: Value) -> None:
        """A row as it is."""
        self.continued(number, self.slot(number))

    def begin_group(self, start: Value) -> None:
        """Where all lines of the group lie."""
        f, count = self.f, self.word["lines"]
        at = start % count
        self.lines = []
        for _ in range(self.together + self.kind.taps_across - 1):
            self.lines.append(f.at(f["scratch"], self.scalar, at * self.word["pitch"]))
            at = f.select((at + 1).equals(count), f.integer(0), at + 1)

    def many(self) -> int:
        """Rows and vectors make enough sums."""
        return max(_SUMS // self.together, 1)

    def columns(self, i: Value, many: int) -> list[list[Value]]:
        """Sums of some vectors from column i on, for every row of the group."""
        f, kind = self.f, self.kind
        sums: list[list[Value | None]] = [[None] * many for _ in range(self.together)]
        for number, line in enumerate(self.lines):
            at = f.at(line, self.scalar, i)
            for t in range(kind.taps):
                if t:
                    at = f.at(at, self.scalar, self.word["channels"])
                seen = [f.load(self.type, at, v * self.width) for v in range(many)]
                for row in range(self.together):
                    if not 0 <= number - row < kind.taps_across:
                        continue
                    # Each row has weights of its own: LLVM would keep what rows share, in more registers
                    # than there are.
                    tap = (number - row) * kind.taps + t
                    weight = self.weight("along", row * kind.taps_across * kind.taps + tap)
                    sums[row] = [
                        self.added(total, x, weight) for total, x in zip(sums[row], seen, strict=True)
                    ]
        return [[total for total in totals if total is not None] for totals in sums]
