"""Depthwise sums of channels that lie beside each other, read where they lie.

Definition, for lines of places of C channels each. For every line of outputs a table has entries: a line that
taps of the kernel read, and where their weights are:

    y[o·y_step + c] = activation(bias[c] + Σ_(line, w) Σ_k w[k, c] · x[line + (o·s − p + k·d)/e·x_step + c])

over those k whose place is a whole number within the line: neither padding nor the zeros that an input
dilation e puts between samples are computed. Weights are packed before, for all units: (vectors of channels,
taps, lanes). Schedule, vectors along the channels:

    for each line of outputs, for each tile of them, for each vector of channels:
        for each entry: every place of the tile's windows is read once, and serves all outputs it belongs to

Which places these are is compiled in: a tile at the left edge, tiles between, one at the right edge (or one
tile that is the whole line). Tiles may overlap: outputs are then computed twice, alike.

``turned``: small planes, one for each channel, are turned into scratch so that a vector's channels lie beside
each other, and outputs turned back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    masked_load,
    masked_store,
    size_of,
    vector,
)
from tilewright.kernel.planes import pack, put
from tilewright.kernel.planes.problem import CACHE_LINE
from tilewright.kernel.tiles.activation import activate
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "w", "bias", "y",
    # packed weights, and whether they are to be packed now; of the first output channel, which is 0
    "shared", "packing", "first_shared",
    # of each line of outputs: its first entry and how many, what it reads soon, and where it is written
    "lines", "entries",
    # of turned planes: where pixels go, and the functions
    "pixels", "turn_in", "turn_out",
    # instead of a bias
    "zeros",
    # work: samples (or a sample's vectors of channels, if turned), lines of each, and how many a unit does
    "samples", "line_count", "units_each", "unit_count",
    # channels, whole vectors of them (in numbers), vectors, and the last one's lanes
    "channels", "whole", "vectors", "lanes_last",
    # steps in elements, of arrays, and from a place to the next in what is computed
    "x_sample", "y_sample", "x_channel", "y_channel", "x_step", "y_step",
    # taps of the whole kernel; outputs of a line, and where the last tile between the edges may begin; from a
    # row to the next of what is read ahead; turned: pixels of both planes, and where outputs are in scratch
    "taps", "outputs", "final", "x_row", "pixels_in", "pixels_out", "sums",
    # turned: lines of cache that are asked for beside each line of outputs, of what is written
    "y_ahead",
    # leaky ReLU's slope, a double
    "slope",
)  # fmt: skip

#: The places of a tile that are read, each with the tap and the output that it serves.
Reads = list[tuple[int, int, int]]
_Tile = Callable[[Reads, Value, Value, Value], None]
#: Words of a line of outputs.
LINE_WORDS = 4
# Taps that are multiplied with what one run over a tile's places reads: their weights stay in registers.
_TAPS_AT_ONCE = 8


class Kind(NamedTuple):
    """What is compiled in.

    Attributes:
        scalar: the type that is computed in.
        stored: of what kind of halves the arrays are, if they are.
        turned: see above.
        taps: along a line.
        stride: along a line.
        dilation: along a line.
        zeros: the input dilation along a line; of it and the stride one is 1.
        tile: outputs that are computed together.
        left: what the first window reaches over: padding, counted as places and the zeros between them.
        right: places from where the right tile counts, as many as there are.
        size: of a line that is one tile, how many places it has; else 0.
        phase: of the tile at the right edge, its first output modulo the input dilation.
        flipped: weights are packed from the last tap to the first.
        ahead: rows that are asked for ahead.
        past: outputs are whole aligned vectors, and are written past the caches.
        rest: the last vector of channels isn't whole.
        activation: applied before storing.
    """

    scalar: str
    stored: str
    turned: bool
    taps: int
    stride: int
    dilation: int
    zeros: int
    tile: int
    left: int
    right: int
    size: int
    phase: int
    flipped: bool
    ahead: int
    past: bool
    rest: bool
    activation: str


def name(kind: Kind) -> str:
    """The symbol of the function."""
    numbers = "_".join(str(int(part)) for part in kind[2:16])
    return labelled(f"sum_beside_{kind.scalar}_{numbers}_{kind.activation}", kind.stored)


def emit(target: Target, kind: Kind) -> str:
    """The function."""
    arguments = {"unit": "i64", "args": "ptr", "scratch": "ptr"}
    return _Emission(Function(name(kind), target, arguments), kind).text()


def most_outputs(target: Target, taps: int) -> int:
    """How many outputs can be computed together: their sums, weights and a place stay in registers."""
    return target.registers - 2 - min(taps, _TAPS_AT_ONCE)


def reads_of(
    taps: int,
    stride: int,
    dilation: int,
    zeros: int,
    begin: int,
    tile: int,
    low: int | None,
    high: int | None,
) -> Reads:
    """The places that a tile's windows read, from ``low`` on and below ``high``, with what each serves.

    >>> reads_of(3, 1, 1, 1, -1, 2, 0, None)
    [(0, 1, 0), (1, 2, 0), (0, 0, 1), (1, 1, 1), (2, 2, 1)]
    """
    steps = [(begin + j * stride + k * dilation, k, j) for j in range(tile) for k in range(taps)]
    found = [(step // zeros, k, j) for step, k, j in steps if step % zeros == 0]
    return [one for one in found if (low is None or one[0] >= low) and (high is None or one[0] < high)]


class _Emission:
    def __init__(self, f: Function, kind: Kind) -> None:
        self.f, self.kind, self.scalar = f, kind, kind.scalar
        self.width = f.target.vector_bytes // size_of(kind.scalar)
        self.type = vector(self.width, kind.scalar)
        args = f["args"]
        pointers = {"x", "w", "bias", "y", "shared", "lines", "entries", "pixels", "zeros"}
        pointers |= {"turn_in", "turn_out"}
        self.pointer = {key: FIELDS.address(f, args, key) for key in FIELDS.names if key in pointers}
        self.word = {key: FIELDS.read(f, args, key) for key in FIELDS.names if key not in pointers}
        for key in ("x", "y"):
            self.pointer[key] = f.halves(self.pointer[key], kind.stored)
        self.slope = f.load("double", args, FIELDS.place["slope"])
        bias = self.pointer["bias"]
        self.has_bias = bias.differs(f.null())
        self.bias = f.select(self.has_bias, bias, self.pointer["zeros"])

    def text(self) -> str:
        """The function."""
        f, word = self.f, self.word
        with f.when(word["packing"].differs(0)):
            self._pack()
        with f.when(word["packing"].equals(0)):
            (self._turned if self.kind.turned else self._lying)()
            if self.kind.past:
                f.settle()
        f.give()
        return f.text()

    def _pack(self) -> None:
        """The weights of one vector of channels; channels that aren't there get those of the last."""
        f, taps = self.f, self.word["taps"]
        to = f.at(self.pointer["shared"], self.scalar, f["unit"] * taps * self.width)
        last = self.word["channels"] - 1
        with f.loop(self.width, surely=True, name="lane") as lane:
            channel = f.least(f["unit"] * self.width + lane, last)
            own = f.at(self.pointer["w"], self.scalar, channel * taps)
            with f.loop(taps, surely=True, name="tap") as tap:
                place = taps - 1 - tap if self.kind.flipped else tap
                f.store(f.load(self.scalar, own, place), to, tap * self.width + lane)

    def _lying(self) -> None:
        """Lines of samples as they lie."""
        f, word = self.f, self.word
        first = f["unit"] * word["units_each"]
        last = f.least(first + word["units_each"], word["samples"] * word["line_count"])
        with f.loop(last, start=first, name="line") as number:
            sample = number // word["line_count"]
            x = f.at(self.pointer["x"], self.scalar, sample * word["x_sample"])
            y = f.at(self.pointer["y"], self.scalar, sample * word["y_sample"])
            self._line(number % word["line_count"], x, y, self._channels)

    def _turned(self) -> None:
        """Planes of a vector of channels each."""
        f, word, width = self.f, self.word, self.width
        first = f["unit"] * word["units_each"]
        last = f.least(first + word["units_each"], word["samples"] * word["vectors"])
        with f.loop(last, start=first, name="plane") as number:
            sample, group = number // word["vectors"], number % word["vectors"]
            channel = group * width
            lanes = f.select((group + 1).equals(word["vectors"]), word["lanes_last"], f.integer(width))
            x, y = (
                f.at(
                    self.pointer[key],
                    self.scalar,
                    sample * word[f"{key}_sample"] + channel * word[f"{key}_channel"],
                )
                for key in ("x", "y")
            )
            nothing = f.integer(0)
            arguments = {
                "x": x, "lines": self.pointer["pixels"], "count": word["pixels_in"], "columns": f.null(),
                "phases": nothing, "to": f["scratch"], "phase": word["x_channel"] * width, "places": nothing,
                "step": word["x_channel"], "lanes": lanes, "fill": nothing,
            }  # fmt: skip
            f.call(self.pointer["turn_in"], *(arguments[key] for key in pack.ARGUMENTS))
            sums = f.at(f["scratch"], self.scalar, word["sums"])
            self.weights = f.at(self.pointer["shared"], self.scalar, channel * word["taps"])
            at = f.select(self.has_bias, channel, nothing)
            mask = first_lanes(f, lanes, width)
            self.start = masked_load(f, self.type, f.at(self.bias, self.scalar, at), mask)
            with f.loop(word["line_count"], name="line") as line:
                # What is written when this plane is done.
                each = word["y_ahead"]
                with f.loop(each, name="ask") as i:
                    f.soon(f.at(y, "i8", (line * each + i) * CACHE_LINE, wild=True))
                self._line(line, f["scratch"], sums, self._vector)
            arguments = {
                "from": sums, "stores": self.pointer["pixels"], "count": word["pixels_out"], "to": y,
                "step": word["y_channel"], "lanes": lanes,
            }  # fmt: skip
            f.call(self.pointer["turn_out"], *(arguments[key] for key in put.ARGUMENTS))

    def _line(self, line: Value, x: Value, y: Value, tile_of: _Tile) -> None:
        """All tiles of a line of outputs."""
        f, kind, word = self.f, self.kind, self.word
        entry = f.at(self.pointer["lines"], "i64", line * LINE_WORDS)
        self.first, self.count, ahead, to = (f.load("i64", entry, i) for i in range(LINE_WORDS))
        y = f.at(y, self.scalar, to)
        self.next = f.at(x, self.scalar, ahead, wild=True)
        tile = kind.tile

        def at(output: Value | int) -> tuple[Value, Value, Value]:
            """Where a tile begins, in what is read and in what is written, and the number of that place."""
            place = f.integer(output) * kind.stride
            if kind.zeros > 1:
                place = place // kind.zeros
            begin = f.at(x, self.scalar, place * word["x_step"], wild=True)
            return begin, f.at(y, self.scalar, f.integer(output) * word["y_step"]), place

        def reads(low: int | None, high: int | None, phase: int = 0) -> Reads:
            return reads_of(
                kind.taps, kind.stride, kind.dilation, kind.zeros, phase - kind.left, tile, low, high
            )

        if kind.size:
            tile_of(reads(0, kind.size), *at(0))
            return
        tile_of(reads(0, None), *at(0))
        last = word["outputs"] - tile
        with f.loop(last, start=tile, step=tile, name="tile") as o:
            tile_of(reads(None, None), *at(f.least(o, word["final"])))
        tile_of(reads(None, kind.right, kind.phase), *at(last))

    def _channels(self, reads: Reads, x: Value, y: Value, place: Value) -> None:
        """A tile of all channels."""
        f, word = self.f, self.word
        ahead = f.at(self.next, self.scalar, place * word["x_step"], wild=True)
        with f.loop(word["whole"], step=self.width, name="channels") as c:
            self._ask(f.at(ahead, self.scalar, c, wild=True))
            start = f.load(self.type, f.at(self.bias, self.scalar, c))
            self._sums(reads, x, y, c, start, None)
        if self.kind.rest:
            c = word["whole"]
            mask = first_lanes(f, word["lanes_last"], self.width)
            start = masked_load(f, self.type, f.at(self.bias, self.scalar, c), mask)
            self._sums(reads, x, y, c, start, mask)

    def _vector(self, reads: Reads, x: Value, y: Value, place: Value) -> None:
        """A tile of one vector of channels."""
        self._sums(reads, x, y, self.f.integer(0), self.start, None)

    def _ask(self, at: Value) -> None:
        """Asks for a tile's places of the rows that the next line of outputs reads."""
        f, kind = self.f, self.kind
        for row in range(kind.ahead):
            place = f.at(at, self.scalar, self.word["x_row"] * row, wild=True)
            for _ in range(-(-kind.tile * kind.stride // kind.zeros)):
                f.soon(place)
                place = f.at(place, self.scalar, self.word["x_step"], wild=True)

    def _sums(self, reads: Reads, x: Value, y: Value, c: Value, start: Value, mask: Value | None) -> None:
        """The sums of a tile for a vector of channels."""
        f, kind, word = self.f, self.kind, self.word
        weights = self.weights if kind.turned else f.at(self.pointer["shared"], self.scalar, c * word["taps"])
        x, y = f.at(x, self.scalar, c, wild=True), f.at(y, self.scalar, c)
        last = self.first + self.count
        loop = f.loop(last, start=self.first, carry=[start] * kind.tile, name="entry")
        with loop as entry:
            offsets = f.at(self.pointer["entries"], "i64", entry * 2)
            at = f.at(x, self.scalar, f.load("i64", offsets), wild=True)
            w = f.at(weights, self.scalar, f.load("i64", offsets, 1))
            sums = list(loop.carried)
            for low in range(0, kind.taps, _TAPS_AT_ONCE):
                some = [one for one in reads if low <= one[1] < low + _TAPS_AT_ONCE]
                self._add(some, at, w, sums, mask)
            loop.carry(sums)
        for j, total in enumerate(loop.results):
            value = activate(f, kind.activation, total, self.slope)
            if mask is not None:
                masked_store(f, value, y, mask)
            elif kind.past:
                f.store_past(value, y)
            else:
                f.store(value, y)
            if j + 1 < kind.tile:
                y = f.at(y, self.scalar, word["y_step"])

    def _add(self, reads: Reads, x: Value, w: Value, sums: list[Value], mask: Value | None) -> None:
        """The products of some taps: place by place, so that each is read once."""
        f = self.f
        weights = {k: f.load(self.type, w, k * self.width) for k in sorted({k for _, k, _ in reads})}
        before = 0
        for place in sorted({place for place, _, _ in reads}):
            x = f.at(x, self.scalar, self.word["x_step"] * (place - before), wild=True)
            before = place
            seen = f.load(self.type, x) if mask is None else masked_load(f, self.type, x, mask)
            for at, k, j in sorted(reads):
                if at == place:
                    sums[j] = f.multiply_add(seen, weights[k], sums[j])
