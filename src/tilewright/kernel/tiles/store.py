"""From a finished tile of sums to the output: bias, activation, layout.

Definition, for a tile of ``outputs`` channels by ``pixels``:

    y[k·y_channel + q·y_pixel] = activation(sum[k, q] + bias[k])

The tile lies as the micro-kernel left it: a row per scalar, vectors along the row. ``by_channels``: rows are
pixels, vectors run over output channels; ``by_pixels``: rows are output channels, vectors run over pixels.
Schedules: ``along`` (y is consecutive along the vectors), ``across`` (along the rows: squares of vectors are
turned over), both also for every second place of y (``along2``, ``across2``: the phases of a gradient whose
stride is 2), ``any`` (one by one).
"""

from __future__ import annotations

from contextlib import nullcontext

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    load_square,
    masked_store,
    shuffle,
    splat,
    vector,
)
from tilewright.kernel.builder.vectors import masked_load
from tilewright.kernel.tiles.activation import activate
from tilewright.plan.target import Target

#: The tile, where its first output goes, the bias of its first channel (or null), how many channels and
#: pixels there are, y's steps, and the slope of leaky ReLU.
ARGUMENTS = {
    "tile": "ptr",
    "out": "ptr",
    "bias": "ptr",
    "outputs": "i64",
    "pixels": "i64",
    "y_channel": "i64",
    "y_pixel": "i64",
    "slope": "double",
}

SIDES = ("by_channels", "by_pixels")
SCHEDULES = ("along", "along2", "across", "across2", "any")


def name(scalar: str, side: str, schedule: str, activation: str, vectors: int, stored: str = "") -> str:
    """The symbol of a storing function; ``stored``: of what kind of halves y is, if it is."""
    return labelled(f"store_{scalar}_{side}_{schedule}_{activation}_{vectors}", stored)


def emit(
    target: Target,
    scalar: str,
    side: str,
    schedule: str,
    activation: str,
    vectors: int,
    stored: str = "",
) -> str:
    """A storing function for tiles whose rows are ``vectors`` vectors; any number of rows."""
    symbol = name(scalar, side, schedule, activation, vectors, stored)
    f = Function(symbol, target, ARGUMENTS, stored={"out": stored})
    tile = _Tile(f, scalar, side, activation, vectors)
    if schedule == "along":
        _along(tile)
    elif schedule == "along2":
        _along_every_second(tile)
    elif schedule in ("across", "across2"):
        _across(tile, 2 if schedule == "across2" else 1)
    else:
        _any(tile)
    return f.text()


class _Tile:
    def __init__(self, f: Function, scalar: str, side: str, activation: str, vectors: int) -> None:
        self.f, self.scalar, self.side, self.activation = f, scalar, side, activation
        self.vectors = vectors
        self.width = f.target.vector_bytes // (4 if scalar == "float" else 8)
        self.type = vector(self.width, scalar)
        by_channels = side == "by_channels"
        # Along the vectors run channels or pixels; along the rows the other.
        self.in_vectors, self.in_rows = (
            (f["outputs"], f["pixels"]) if by_channels else (f["pixels"], f["outputs"])
        )
        self.vector_step, self.row_step = (
            (f["y_channel"], f["y_pixel"]) if by_channels else (f["y_pixel"], f["y_channel"])
        )
        self._masks: dict[int, Value] = {}
        self._biases: dict[int, Value] = {}
        for i in range(vectors):
            self.mask(i)
        if by_channels:
            for i in range(vectors):
                self._biases[i] = self._bias_vector(i)

    def mask(self, i: int) -> Value:
        """Which lanes of vector i are part of the tile."""
        if i not in self._masks:
            left = self.in_vectors - i * self.width
            f = self.f
            self._masks[i] = first_lanes(f, f.greatest(f.least(left, self.width), 0), self.width)
        return self._masks[i]

    def _bias_vector(self, i: int) -> Value:
        f = self.f
        # A branch, not an empty mask: a masked read of the null page takes hundreds of cycles.
        with f.either(f["bias"].differs(f.null()), self.type) as choice:
            at = f.at(f["bias"], self.scalar, i * self.width, wild=True)
            choice.yes(masked_load(f, self.type, at, self.mask(i)))
            choice.otherwise()
            choice.no(f.number(self.type, 0))
        return choice.result

    def sums(self, row: Value | int, i: int) -> Value:
        """Vector i of a row, as it lies in the tile."""
        f = self.f
        return f.load(self.type, f["tile"], f.integer(row) * (self.vectors * self.width) + i * self.width)

    def finish(self, row: Value) -> None:
        """Bias and activation of a row, in place."""
        f = self.f
        for i in range(self.vectors):
            f.store(self.finished(row, i), f["tile"], row * (self.vectors * self.width) + i * self.width)

    def finished(self, row: Value | int, i: int) -> Value:
        """Vector i of a row, with bias and activation."""
        f = self.f
        if self.side == "by_channels":
            bias = self._biases[i]
        else:
            there = f["bias"].differs(f.null())
            with f.either(there, self.scalar) as choice:
                choice.yes(f.load(self.scalar, f["bias"], f.integer(row)))
                choice.otherwise()
                choice.no(f.number(self.scalar, 0))
            bias = splat(f, choice.result, self.width)
        return activate(f, self.activation, self.sums(row, i) + bias, f["slope"])


def _along(tile: _Tile) -> None:
    f = tile.f
    with f.loop(tile.in_rows, name="row") as row:
        out = f.at(f["out"], tile.scalar, row * tile.row_step)
        for i in range(tile.vectors):
            value = tile.finished(row, i)
            at = f.at(out, tile.scalar, i * tile.width, wild=True)
            whole = tile.in_vectors >= (i + 1) * tile.width
            with f.when(whole):
                f.store(value, at)
            with f.when(tile.in_vectors < (i + 1) * tile.width):
                masked_store(f, value, at, tile.mask(i))


def _along_every_second(tile: _Tile) -> None:
    f = tile.f
    with f.loop(tile.in_rows, name="row") as row:
        out = f.at(f["out"], tile.scalar, row * tile.row_step)
        for i in range(tile.vectors):
            left = tile.in_vectors - i * tile.width
            _store_every_second(
                tile, tile.finished(row, i), f.at(out, tile.scalar, 2 * i * tile.width, wild=True), left
            )


def _store_every_second(tile: _Tile, value: Value, out: Value, left: Value) -> None:
    """The first ``left`` lanes of a vector to every second place."""
    f, width = tile.f, tile.width
    even = Value(f, "<" + ", ".join(f"i1 {1 - i % 2}" for i in range(width)) + ">", f"<{width} x i1>")
    for half in range(2):
        places = [half * width // 2 + i // 2 if i % 2 == 0 else -1 for i in range(width)]
        count = f.greatest(f.least(left * 2 - half * width, width), 0)
        mask = first_lanes(f, count, width) & even
        masked_store(
            f, shuffle(f, value, value, places), f.at(out, tile.scalar, half * width, wild=True), mask
        )


def _across(tile: _Tile, every: int) -> None:
    """Squares of rows by lanes; lane l of vector i becomes a vector along the rows."""
    f, width = tile.f, tile.width
    # In a loop of its own, where there is anything to do: squares are read piece by piece from the tile.
    needed = tile.activation != "none"
    with (
        nullcontext() if needed else f.when(f["bias"].differs(f.null())),
        f.loop(tile.in_rows, name="finish") as row,
    ):
        tile.finish(row)
    last = tile.in_rows - 1
    with f.loop(tile.in_rows, step=width, name="square") as first:
        left = tile.in_rows - first
        # Rows that aren't there are the last one again: what comes of them is masked.
        rows = [
            f.at(f["tile"], tile.scalar, f.least(first + r, last) * (tile.vectors * width))
            for r in range(width)
        ]
        # Places of the square of which nothing is written may lie outside.
        out = f.at(f["out"], tile.scalar, first * every)
        mask = first_lanes(f, f.least(left, width), width)
        for i in range(tile.vectors):
            square = load_square(f, tile.type, [f.at(row, tile.scalar, i * width) for row in rows])
            whole = tile.in_vectors >= (i + 1) * width
            for all_there in (True, False):
                with f.when(whole if all_there else whole.equals(0)):
                    at = f.at(out, tile.scalar, tile.vector_step * (i * width), wild=True)
                    for lane, turned in enumerate(square):
                        there = tile.in_vectors > i * width + lane
                        with nullcontext() if all_there else f.when(there):
                            if every == 1:
                                masked_store(f, turned, at, mask)
                            else:
                                _store_every_second(tile, turned, at, left)
                        at = f.at(at, tile.scalar, tile.vector_step, wild=True)


def _any(tile: _Tile) -> None:
    """Bias and activation in place, then one number at a time."""
    f = tile.f
    lanes = tile.vectors * tile.width
    with f.loop(tile.in_rows, name="row") as row:
        tile.finish(row)
        out = f.at(f["out"], tile.scalar, row * tile.row_step)
        with f.loop(tile.in_vectors, name="lane") as lane:
            value = f.load(tile.scalar, f["tile"], row * lanes + lane)
            f.store(value, f.at(out, tile.scalar, lane * tile.vector_step))
