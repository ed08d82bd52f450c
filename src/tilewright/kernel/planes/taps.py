"""The sums over the taps, for a run of consecutive packed places.

Definition, for outputs m and places i of a run:

    to_m[i] = activation(bias_m + Σ_t w[w_t + m·w_step] · x[i + x_t])

Vectors along the ``pixels``: a weight is in every lane. Vectors along the ``channels``: a place is a vector
of channels, of which ``lanes`` are stored, a weight is a vector, and there is one output.

Schedule: as many vectors of places as registers hold are summed side by side, so that one read of a weight
serves all of them and no sum waits for the one before; then half as many, and so on, for what is left:

    for each block of vectors in the run:
        sums = bias
        for t in taps:
            for m in outputs: for each vector: sums += w · x
        store
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_load,
    masked_store,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.tiles.activation import activate
from tilewright.plan.target import Target

#: The packed block at the run's first place, the table of taps (offsets into x and w) and their number, the
#: weights and the steps between outputs, the bias (or null), where to, steps between outputs and between
#: places, how many places, lanes, and leaky ReLU's slope.
ARGUMENTS = {
    "x": "ptr",
    "taps": "ptr",
    "count": "i64",
    "w": "ptr",
    "w_step": "i64",
    "bias": "ptr",
    "to": "ptr",
    "to_step": "i64",
    "pixel": "i64",
    "places": "i64",
    "lanes": "i64",
    "slope": "double",
}
SIDES = ("pixels", "channels")
#: The most outputs that share what is read of x.
MOST_OUTPUTS = 4


def name(scalar: str, side: str, outputs: int, activation: str) -> str:
    """The symbol of the function."""
    return f"sum_planes_{scalar}_{side}_{outputs}_{activation}"


def vectors(target: Target, outputs: int) -> int:
    """How many vectors of places are summed side by side.

    The sums of all outputs, a vector of x and a weight stay in registers; and at least eight sums are under
    way where the processor starts two multiply-adds a cycle that take four.
    """
    most = (target.registers - 2) // outputs
    count = 8
    while count > most:
        count //= 2
    return count


def emit(target: Target, scalar: str, side: str, outputs: int, activation: str) -> str:
    """The function."""
    f = Function(name(scalar, side, outputs, activation), target, ARGUMENTS)
    _Sums(f, scalar, side, outputs, activation).emit()
    return f.text()


class _Sums:
    def __init__(self, f: Function, scalar: str, side: str, outputs: int, activation: str) -> None:
        self.f, self.scalar, self.outputs, self.activation = f, scalar, outputs, activation
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.by_channels = side == "channels"
        #: places of a vector
        self.step = 1 if self.by_channels else self.width
        #: packed elements of a place
        self.unit = self.width if self.by_channels else 1

    def emit(self) -> None:
        f = self.f
        self.mask = first_lanes(f, f["lanes"], self.width)
        self.biases = [self._bias(m) for m in range(self.outputs)]
        place = f.number("i64", 0)
        count = vectors(f.target, self.outputs)
        while count:
            step = count * self.step
            stop = place + (f["places"] - place) // step * step
            with f.loop(stop, start=place, step=step, name=f"vectors{count}") as i:
                self._block(i, count, self._store)
            place = stop
            count //= 2
        if not self.by_channels:
            left = f["places"] - place
            with f.when(left > 0):
                rest = first_lanes(f, left, self.width)
                self._block(place, 1, lambda value, at: masked_store(f, value, at, rest))
        f.give()

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

    def _block(self, i: Value, count: int, store: Callable[[Value, Value], None]) -> None:
        f = self.f
        x = f.at(f["x"], self.scalar, i * self.unit)
        start = [self.biases[m] for m in range(self.outputs) for _ in range(count)]
        loop = f.loop(f["count"], carry=start, name="tap")
        with loop as t:
            read = f.load("i64", f["taps"], t * 2)
            weight = f.at(f["w"], self.scalar, f.load("i64", f["taps"], t * 2 + 1))
            at = f.at(x, self.scalar, read)
            seen = [f.load(self.type, at, v * self.width) for v in range(count)]
            sums = []
            for m in range(self.outputs):
                if self.by_channels:
                    w = f.load(self.type, weight)
                else:
                    w = splat(f, f.load(self.scalar, weight, f["w_step"] * m if m else 0), self.width)
                sums += [f.multiply_add(seen[v], w, loop.carried[m * count + v]) for v in range(count)]
            loop.carry(sums)
        for m in range(self.outputs):
            to = f.at(f["to"], self.scalar, f["to_step"] * m + i * f["pixel"])
            for v in range(count):
                value = activate(f, self.activation, loop.results[m * count + v], f["slope"])
                offset = f["pixel"] * (v * self.step)
                store(value, f.at(to, self.scalar, offset))

    def _store(self, value: Value, at: Value) -> None:
        f = self.f
        if not self.by_channels:
            f.store(value, at)
            return
        # Masked writes cost several times as much on some processors.
        whole = f["lanes"].equals(self.width)
        with f.when(whole):
            f.store(value, at)
        with f.when(f["lanes"] < self.width):
            masked_store(f, value, at, self.mask)
