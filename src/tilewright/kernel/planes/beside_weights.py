"""The gradient of depthwise weights, of channels that lie beside each other, read where they lie.

Definition, for the lines of outputs of a share, and the entries of each (see ``beside``):

    share[w + k, c] = Σ_line Σ_o gy[line, o, c] · x[entry's line, o·s − p + k·d, c]

over those places that are within the line. Schedule, vectors along the channels:

    for each line, for each tile of outputs that don't overlap, for each vector of channels:
        gy = the tile's gradients
        for each entry: the sums of its taps are brought from the share; every place is read once

``turned``: small planes, one for each channel, are turned into scratch before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tilewright.kernel.builder import Function, Value, first_lanes, labelled, masked_load, size_of, vector
from tilewright.kernel.planes import pack
from tilewright.kernel.planes.beside import Reads, reads_of
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "gy", "shares", "nothing",
    # of each line of outputs: its first entry and how many, what of x is read soon, and where its gradients
    # are; pixels of planes
    "lines", "entries", "pixels", "turn_in",
    # work: items are lines of samples, or if turned a sample's vectors of channels; those of a share
    "items", "items_each", "line_count",
    # whole vectors of channels (in numbers), vectors, and the last one's lanes
    "whole", "vectors", "lanes_last",
    # steps in elements, of arrays, and from a place to the next in what is computed
    "x_sample", "g_sample", "x_channel", "g_channel", "x_step", "g_step",
    # numbers of a share; its channels, from a tap to the next; turned: pixels, and where gradients are
    "share", "padded", "outputs", "pixels_in", "pixels_out", "gradients",
    # from a row to the next, of both arrays
    "x_row", "g_row",
)  # fmt: skip

#: Words of a line of outputs.
LINE_WORDS = 4
# Sums that are brought from the share at a time.
_TAPS_AT_ONCE = 8
_Tile = Callable[[int, Reads, Value, Value, Value], None]


class Kind(NamedTuple):
    """What is compiled in; see those of ``beside``.

    Attributes:
        scalar: the type that is computed in.
        stored: of what kind of halves the arrays are, if they are.
        turned: see above.
        taps: along a line.
        stride: along a line.
        dilation: along a line.
        tile: outputs that are computed together.
        end: outputs of the tile at the right edge.
        left: places of padding that the first window reaches over.
        right: places from where the right tile counts, as many as there are.
        size: of a line that is one tile, how many places it has; else 0.
        ahead: rows of x that are asked for ahead, and one of gradients if there are any.
        rest: the last vector of channels isn't whole.
    """

    scalar: str
    stored: str
    turned: bool
    taps: int
    stride: int
    dilation: int
    tile: int
    end: int
    left: int
    right: int
    size: int
    ahead: int
    rest: bool


def name(kind: Kind) -> str:
    """The symbol of the function."""
    numbers = "_".join(str(int(part)) for part in kind[2:])
    return labelled(f"weights_beside_{kind.scalar}_{numbers}", kind.stored)


def emit(target: Target, kind: Kind) -> str:
    """The function."""
    arguments = {"unit": "i64", "args": "ptr", "scratch": "ptr"}
    return _Emission(Function(name(kind), target, arguments), kind).text()


class _Emission:
    def __init__(self, f: Function, kind: Kind) -> None:
        self.f, self.kind, self.scalar = f, kind, kind.scalar
        self.width = f.target.vector_bytes // size_of(kind.scalar)
        self.type = vector(self.width, kind.scalar)
        args = f["args"]
        pointers = {"x", "gy", "shares", "lines", "entries", "pixels", "turn_in"}
        self.pointer = {key: FIELDS.address(f, args, key) for key in FIELDS.names if key in pointers}
        self.word = {key: FIELDS.read(f, args, key) for key in FIELDS.names if key not in pointers}
        for key in ("x", "gy"):
            self.pointer[key] = f.halves(self.pointer[key], kind.stored)

    def text(self) -> str:
        """The function."""
        f, word = self.f, self.word
        self.share = f.at(self.pointer["shares"], self.scalar, f["unit"] * word["share"])
        with f.loop(word["share"], step=self.width, name="clear") as i:
            f.store(f.number(self.type, 0), self.share, i)
        first = f["unit"] * word["items_each"]
        last = f.least(first + word["items_each"], word["items"])
        with f.loop(last, start=first, name="item") as item:
            (self._turned if self.kind.turned else self._lying)(item)
        f.give()
        return f.text()

    def _lying(self, item: Value) -> None:
        """A line of a sample."""
        f, word = self.f, self.word
        sample = item // word["line_count"]
        x = f.at(self.pointer["x"], self.scalar, sample * word["x_sample"])
        gy = f.at(self.pointer["gy"], self.scalar, sample * word["g_sample"])
        self._line(item % word["line_count"], x, gy, self._channels)

    def _turned(self, item: Value) -> None:
        """The planes of a vector of channels."""
        f, word, width = self.f, self.word, self.width
        sample, group = item // word["vectors"], item % word["vectors"]
        self.channel = group * width
        lanes = f.select((group + 1).equals(word["vectors"]), word["lanes_last"], f.integer(width))
        gradients = f.at(f["scratch"], self.scalar, word["gradients"])
        nothing = f.integer(0)
        for key, letter, to, count in (
            ("x", "x", f["scratch"], word["pixels_in"]),
            ("gy", "g", gradients, word["pixels_out"]),
        ):
            offset = sample * word[f"{letter}_sample"] + self.channel * word[f"{letter}_channel"]
            arguments = {
                "x": f.at(self.pointer[key], self.scalar, offset), "lines": self.pointer["pixels"],
                "count": count, "columns": f.null(), "phases": nothing, "to": to,
                "phase": word[f"{letter}_channel"] * width, "places": nothing,
                "step": word[f"{letter}_channel"], "lanes": lanes, "fill": nothing,
            }  # fmt: skip
            f.call(self.pointer["turn_in"], *(arguments[argument] for argument in pack.ARGUMENTS))
        with f.loop(word["line_count"], name="line") as line:
            self._line(line, f["scratch"], gradients, self._vector)

    def _line(self, line: Value, x: Value, gy: Value, tile_of: _Tile) -> None:
        """All tiles of a line of outputs."""
        f, kind, word = self.f, self.kind, self.word
        entry = f.at(self.pointer["lines"], "i64", line * LINE_WORDS)
        self.first, self.count, ahead, at_gy = (f.load("i64", entry, i) for i in range(LINE_WORDS))
        gy = f.at(gy, self.scalar, at_gy)
        self.next = f.at(x, self.scalar, ahead, wild=True)

        def at(output: Value | int) -> tuple[Value, Value, Value]:
            """Where a tile begins, in x and in the gradients; and its first place."""
            place = f.integer(output) * kind.stride * word["x_step"]
            begin = f.at(x, self.scalar, place, wild=True)
            return begin, f.at(gy, self.scalar, f.integer(output) * word["g_step"]), place

        def reads(tile: int, low: int | None, high: int | None) -> Reads:
            return reads_of(kind.taps, kind.stride, kind.dilation, 1, -kind.left, tile, low, high)

        if kind.size:
            tile_of(kind.tile, reads(kind.tile, 0, kind.size), *at(0))
            return
        tile_of(kind.tile, reads(kind.tile, 0, None), *at(0))
        last = word["outputs"] - kind.end
        with f.loop(last, start=kind.tile, step=kind.tile, name="tile") as o:
            tile_of(kind.tile, reads(kind.tile, None, None), *at(o))
        tile_of(kind.end, reads(kind.end, None, kind.right), *at(last))

    def _channels(self, tile: int, reads: Reads, x: Value, gy: Value, place: Value) -> None:
        """A tile of all channels."""
        f, word, kind = self.f, self.word, self.kind
        with f.loop(word["whole"], step=self.width, name="channels") as c:
            for row in range(kind.ahead):
                at = f.at(self.next, self.scalar, place + word["x_row"] * row + c, wild=True)
                self._ask(at, tile * kind.stride, word["x_step"])
            if kind.ahead:
                self._ask(f.at(gy, self.scalar, word["g_row"] + c, wild=True), tile, word["g_step"])
            self._sums(tile, reads, x, gy, c, c, None)
        if self.kind.rest:
            mask = first_lanes(f, word["lanes_last"], self.width)
            self._sums(tile, reads, x, gy, word["whole"], word["whole"], mask)

    def _ask(self, at: Value, count: int, step: Value) -> None:
        """Asks for what the next line of outputs reads."""
        for _ in range(count):
            self.f.soon(at)
            at = self.f.at(at, self.scalar, step, wild=True)

    def _vector(self, tile: int, reads: Reads, x: Value, gy: Value, place: Value) -> None:
        """A tile of one vector of channels."""
        self._sums(tile, reads, x, gy, self.f.integer(0), self.channel, None)

    def _sums(
        self, tile: int, reads: Reads, x: Value, gy: Value, c: Value, channel: Value, mask: Value | None
    ) -> None:
        """What a tile adds to the sums of a vector of channels."""
        f = self.f
        x = f.at(x, self.scalar, c, wild=True)
        gradients = []
        at = f.at(gy, self.scalar, c)
        for j in range(tile):
            gradients.append(self._load(at, mask))
            if j + 1 < tile:
                at = f.at(at, self.scalar, self.word["g_step"])
        share = f.at(self.share, self.scalar, channel)
        with f.loop(self.first + self.count, start=self.first, name="entry") as entry:
            offsets = f.at(self.pointer["entries"], "i64", entry * 2)
            place = f.at(x, self.scalar, f.load("i64", offsets), wild=True)
            sums = f.at(share, self.scalar, f.load("i64", offsets, 1))
            for low in range(0, self.kind.taps, _TAPS_AT_ONCE):
                some = [one for one in reads if low <= one[1] < low + _TAPS_AT_ONCE]
                self._add(some, place, sums, gradients, mask)

    def _add(self, reads: Reads, x: Value, sums: Value, gradients: list[Value], mask: Value | None) -> None:
        """The products of some taps: place by place, so that each is read once."""
        f = self.f
        places = {
            k: f.at(sums, self.scalar, self.word["padded"] * k) for k in sorted({k for _, k, _ in reads})
        }
        totals = {k: f.load(self.type, at) for k, at in places.items()}
        before = 0
        for place in sorted({place for place, _, _ in reads}):
            x = f.at(x, self.scalar, self.word["x_step"] * (place - before), wild=True)
            before = place
            seen = self._load(x, mask)
            for at, k, j in sorted(reads):
                if at == place:
                    totals[k] = f.multiply_add(seen, gradients[j], totals[k])
        for k, total in totals.items():
            f.store(total, places[k])

    def _load(self, at: Value, mask: Value | None) -> Value:
        f = self.f
        return f.load(self.type, at) if mask is None else masked_load(f, self.type, at, mask)
