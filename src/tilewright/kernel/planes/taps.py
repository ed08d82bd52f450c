"""The sums over the taps, for a run of outputs.

Definition, for outputs m, neighbours n and places i of a line of the run:

    to_m[n·to_next + i] = activation(bias_m + Σ_c Σ_j w_m[w_c + j·w_next] · x[i + x_c + (n + j)·x_next])

Taps come in columns c: those j of a column read what neighbours of an output read, too. Vectors along the
``pixels`` of a line: a weight is in every lane, and neighbours are the next lines (or the next vectors of a
line, if there is only one). Along the ``channels``: a place is a vector of channels, of which ``lanes`` are
stored, a weight is a vector, neighbours are the next places, and there is one output.

Schedule: some neighbours are summed side by side; what is read of x for one serves the others:

    for each block of neighbours, for each vector of the line:
        sums = bias
        for each column: x = the vectors of all neighbours and taps
            for j, for m: one weight, multiplied with the x of every neighbour
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
from tilewright.kernel.tiles.activation import activate
from tilewright.plan.target import Target

#: The packed block where the run begins; the table of columns (offsets into x and w), the numbers of columns
#: of the first height and of the second; the weights, steps between the taps of a column and between outputs;
#: the bias (or null); where to, steps between outputs; steps between neighbours, of x and of what is written;
#: places of a line, neighbours, lanes, and leaky ReLU's slope; what is needed soon, how many lines of cache
#: of it are asked for while eight vectors are computed, and how many bytes apart these are.
ARGUMENTS = {
    "x": "ptr",
    "columns": "ptr",
    "count": "i64",
    "count_low": "i64",
    "w": "ptr",
    "w_next": "i64",
    "w_step": "i64",
    "bias": "ptr",
    "to": "ptr",
    "to_step": "i64",
    "x_next": "i64",
    "to_next": "i64",
    "places": "i64",
    "neighbours": "i64",
    "lanes": "i64",
    "slope": "double",
    "ahead": "ptr",
    "ahead_each": "i64",
    "ahead_step": "i64",
}
SIDES = ("pixels", "channels")
#: The most outputs that share what is read of x.
MOST_OUTPUTS = 4
# Sums that are under way keep busy what starts two multiply-adds a cycle that take four.
_SUMS = 8


def name(
    scalar: str,
    side: str,
    outputs: int,
    heights: tuple[int, int],
    activation: str,
    past: bool = False,
    stored: str = "",
) -> str:
    """The symbol of the function."""
    end = "_past" if past else ""
    kind = f"{scalar}_{side}_{outputs}_{heights[0]}_{heights[1]}_{activation}"
    return f"{labelled(f'sum_planes_{kind}', stored)}{end}"


def neighbours(target: Target, outputs: int, height: int) -> int:
    """How many neighbours are summed side by side.

    Their sums for all outputs, what they read for a column, and a weight stay in registers.
    """
    most = (target.registers - 1 - height) // (outputs + 1)
    count = _SUMS
    while count > max(most, 1):
        count //= 2
    return count


def heights_of(target: Target, columns: list[int]) -> tuple[int, int]:
    """The two heights of the pieces that columns of these lengths are taken apart into, few of them.

    A column is pieces of the first height, and at most one of the second.

    >>> from tilewright.plan.target import named
    >>> [heights_of(named("avx512"), lengths) for lengths in ([3, 3], [2, 1], [31])]
    [(3, 0), (2, 1), (7, 3)]
    """
    if not columns:
        return 1, 0
    longest = max(columns)
    # What a piece reads takes up to a quarter of the registers, beside the sums.
    parts = -(-longest // (target.registers // 4 - 1))
    for high in range(-(-longest // parts), 0, -1):
        rests = {length % high for length in columns} - {0}
        if len(rests) <= 1:
            return high, rests.pop() if rests else 0
    raise AssertionError("1 divides every length")


def emit(
    target: Target,
    scalar: str,
    side: str,
    outputs: int,
    heights: tuple[int, int],
    activation: str,
    past: bool = False,
    stored: str = "",
) -> str:
    """The function.

    Args:
        target: what it is for.
        scalar: the type that is computed in.
        side: see above.
        outputs: how many are summed at a time.
        heights: of the pieces of columns.
        activation: applied before storing.
        past: whole vectors are aligned, and are written past the caches.
        stored: what kind of halves is written, if any is.
    """
    symbol = name(scalar, side, outputs, heights, activation, past, stored)
    f = Function(symbol, target, ARGUMENTS, stored={"to": stored})
    _Sums(f, scalar, side, outputs, heights, activation, past).emit()
    return f.text()


class _Sums:
    def __init__(
        self,
        f: Function,
        scalar: str,
        side: str,
        outputs: int,
        heights: tuple[int, int],
        activation: str,
        past: bool,
    ) -> None:
        self.f, self.scalar, self.outputs, self.activation = f, scalar, outputs, activation
        self.heights, self.past = heights, past
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.by_channels = side == "channels"

    def emit(self) -> None:
        f = self.f
        if self.by_channels:
            self.mask = first_lanes(f, f["lanes"], self.width)
            self.biases = [self._bias(m) for m in range(self.outputs)]
            # Masked writes cost several times as much on some processors.
            for all_there in (True, False):
                with f.when(f["lanes"].equals(self.width) if all_there else f["lanes"] < self.width):
                    self._neighbours(f["x"], f["to"], self._whole if all_there else self._masked)
            f.give()
            return
        self.biases = [self._bias(m) for m in range(self.outputs)]
        self.mask = first_lanes(f, f["places"] % self.width, self.width)
        self._neighbours(f["x"], f["to"], self._whole)
        f.give()

    def _whole(self, value: Value, at: Value) -> None:
        if self.past:
            self.f.store_past(value, at)
        else:
            self.f.store(value, at)

    def _masked(self, value: Value, at: Value) -> None:
        masked_store(self.f, value, at, self.mask)

    def _bias(self, m: int) -> Value:
        f = self.f
        # A branch, not an empty mask: a masked read of the null page takes hundreds of cycles.
        with f.either(f["bias"].differs(f.null()), self.type) as choice:
            if self.by_channels:
                choice.yes(masked_load(f, self.type, f["bias"], self.mask))
            else:
                choice.yes(splat(f, f.load(self.scalar, f["bias"], m), self.width))
            choice.otherwise()
            choice.no(f.number(self.type, 0))
        return choice.result

    def _neighbours(self, x: Value, to: Value, store: Callable[[Value, Value], None]) -> None:
        """All neighbours: as many at a time as registers hold, then half as many, and so on."""
        f = self.f
        place = f.number("i64", 0)
        count = neighbours(f.target, self.outputs, max(self.heights))
        while count:
            stop = place + (f["neighbours"] - place) // count * count
            with f.loop(stop, start=place, step=count, name=f"neighbours{count}") as n:
                x_at = f.at(x, self.scalar, n * f["x_next"])
                to_at = f.at(to, self.scalar, n * f["to_next"])
                if self.by_channels:
                    self._ask(n, count)
                    self._block(x_at, to_at, count, store)
                else:
                    self._line(n, x_at, to_at, count)
            place = stop
            count //= 2

    def _line(self, n: Value, x: Value, to: Value, count: int) -> None:
        """Along the line: what is written of each neighbour follows what was written before."""
        f = self.f
        whole = f["places"] // self.width * self.width
        before = n * ((f["places"] + (self.width - 1)) // self.width)
        with f.loop(whole, step=self.width, name="vector") as i:
            self._ask(before + i // self.width * count, count)
            self._block(f.at(x, self.scalar, i), f.at(to, self.scalar, i), count, self._whole)
        with f.when(whole < f["places"]):
            self._block(f.at(x, self.scalar, whole), f.at(to, self.scalar, whole), count, self._masked)

    def _ask(self, number: Value, count: int) -> None:
        """Asks for what belongs to ``count`` vectors from the ``number``-th of the run on."""
        f = self.f
        first, last = number * f["ahead_each"] >> 3, (number + count) * f["ahead_each"] >> 3
        with f.loop(last, start=first, name="ask") as line:
            f.soon(f.at(f["ahead"], "i8", line * f["ahead_step"], wild=True))

    def _block(self, x: Value, to: Value, count: int, store: Callable[[Value, Value], None]) -> None:
        f = self.f
        sums = [self.biases[m] for m in range(self.outputs) for _ in range(count)]
        first = f.number("i64", 0)
        for height, number in zip(self.heights, (f["count"], f["count_low"]), strict=True):
            if not height:
                continue
            last = first + number
            loop = f.loop(last, start=first, carry=sums, name="column")
            with loop as c:
                loop.carry(self._column(x, c, count, height, loop.carried))
            sums, first = loop.results, last
        for m in range(self.outputs):
            at = f.at(to, self.scalar, f["to_step"] * m) if m else to
            for n in range(count):
                value = activate(f, self.activation, sums[m * count + n], f["slope"])
                store(value, f.at(at, self.scalar, f["to_next"] * n) if n else at)

    def _column(self, x: Value, c: Value, count: int, height: int, sums: list[Value]) -> list[Value]:
        """The sums with the taps of a column added."""
        f = self.f
        sums = list(sums)
        at = f.at(x, self.scalar, f.load("i64", f["columns"], c * 2))
        weight = f.at(f["w"], self.scalar, f.load("i64", f["columns"], c * 2 + 1))
        seen = []
        for _ in range(count + height - 1):
            seen.append(f.load(self.type, at))
            at = f.at(at, self.scalar, f["x_next"], wild=True)
        for j in range(height):
            for m in range(self.outputs):
                place = f.at(weight, self.scalar, f["w_step"] * m) if m else weight
                if self.by_channels:
                    w = f.load(self.type, place)
                else:
                    w = splat(f, f.load(self.scalar, place), self.width)
                for n in range(count):
                    k = m * count + n
                    sums[k] = f.multiply_add(seen[n + j], w, sums[k])
            weight = f.at(weight, self.scalar, f["w_next"], wild=True)
        return sums
