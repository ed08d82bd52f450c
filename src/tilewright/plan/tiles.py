"""Tiles and blocks of the compiled families: which side vectors run along, how large they are, and why."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.geometry import ConvDims
from tilewright.plan.target import Target
from tilewright.plan.winograd import Scheme

# Packed lines of one unit: half of a second-level cache of 1 MiB, so that they stay there while the panels of
# weights pass by.
PACKED_BYTES = 512 << 10
# Sums that wait for further channels: they are read and written once per block of channels only, so they may
# lie in the last-level cache.
HELD_BYTES = 1 << 20
# Packed weights of one panel and one block of channels: they stream from the second-level cache.
WEIGHTS_BYTES = 256 << 10
# Channels times lines that a tile reads: a cache line of 64 bytes for each of 256 is 16 KiB, two lines where
# a tile lies across: what a first-level cache of 32 KiB holds, or nearly, beside the weights that stream
# through.
WINDOW_LINES = 256
# Pixels per unit, at least: a weight is packed (about one cycle) once per unit, and used once per 16 pixels.
PIXELS = 256
# Units of a large problem, at least, so that a few threads share them evenly.
UNITS = 16


# Two vectors of output channels by many scalars come nearest to the machine's limit on most layers. Another
# tile has to be better by more than a twentieth: each needs kernels of its own, and a network should need
# few.
STANDARD_VECTORS = 2
STANDARD_COST = 0.95


# Winograd's algorithm: with fewer channels than these, its transforms cost more than the products that it
# saves (measured with AVX-512).
WINOGRAD_CHANNELS = 16
# Numbers of a unit's pieces, for one channel: their transformed input with a block of channels is 1 MiB,
# their sums for a panel half of it; and transforming a weight costs as much as some six products of each
# place.
_WINOGRAD_NUMBERS = 4096
# Input channels whose products are summed at a time: a piece's sums are read and written once in so many. The
# rounding of longer chains would grow.
_WINOGRAD_BLOCK = 64


# Taps of the axes before the last two: sums and transformed inputs of all of them lie in scratch.
WINOGRAD_LEAD_TAPS = 3


def winograd_pays(form: ConvDims, pair: tuple[Scheme, Scheme]) -> bool:
    """Whether a convolution in forward form saves more products than the transforms cost."""
    needed, done = 1.0, 1.0
    sizes, outputs_of = (1, *form.spatial)[-2:], (1, *form.output)[-2:]
    before = (0, *(low for low, _ in form.padding))[-2:]
    for scheme, size, output, low in zip(pair, sizes, outputs_of, before, strict=True):
        # Taps that read the padding cost the definition nothing.
        needed *= sum(max(min(output, size + low - tap) - max(low - tap, 0), 0) for tap in range(scheme.taps))
        done *= scheme.places * -(-output // scheme.outputs)
    outputs, channels = form.out_channels // form.groups, form.in_channels // form.groups
    # A transformed number costs as much as so many products: of the input for all outputs, and the reverse.
    return done * (1 + _WINOGRAD_COST / outputs + _WINOGRAD_COST / channels) < needed


# Cycles of transforming, packing and storing a number of a place, over those of a product (1/16).
_WINOGRAD_COST = 14


def winograd_pieces(places: int) -> int:
    """Pieces of so many products in a unit, about."""
    return _WINOGRAD_NUMBERS // places


def winograd_tile(target: Target, vectors: int, pieces: int) -> int:
    """Pieces of a tile: of two sizes, so that a network needs few kernels, the one that fills up less.

    >>> from tilewright.plan.target import named
    >>> [winograd_tile(named("avx512"), 2, pieces) for pieces in (98, 64, 32)]
    [14, 8, 8]
    """
    most = most_scalars(target, vectors)
    # The smaller has more loads for each product: some 4 % slower.
    sizes = {most: 1.0, most // 2 + 1: 1.04}
    return min(sizes, key=lambda size: -(-pieces // size) * size * sizes[size])


def winograd_channels(channels: int, lead_taps: int, places: int) -> int:
    """Input channels whose products are summed at a time.

    The order of sums follows from it, so it must not depend on the batch.
    """
    most = max(_WINOGRAD_BLOCK // lead_taps, 1)
    return -(-channels // -(-channels // most))


#: Vectors run along output channels, or along the pixels of a row.
SIDES = ("by_channels", "by_pixels")


@dataclass(frozen=True)
class Tile:
    """A micro-kernel's tile: V vectors by S scalars, and along which side of the output the vectors run."""

    side: str
    vectors: int
    scalars: int

    def pixels(self, width: int) -> int:
        """Outputs of a row in one tile."""
        return self.scalars if self.side == "by_channels" else self.vectors * width

    def panel(self, width: int) -> int:
        """Output channels in one tile."""
        return self.vectors * width if self.side == "by_channels" else self.scalars


def most_scalars(target: Target, vectors: int) -> int:
    """The longest tile whose sums, with the vectors and what else a round holds, fit the registers.

    >>> from tilewright.plan.target import named
    >>> most_scalars(named("avx512"), 2), most_scalars(named("avx2"), 2)
    (14, 6)
    """
    return (target.registers - vectors - _factors(target)) // vectors


def _factors(target: Target) -> int:
    """Registers for what the vectors are multiplied with, and for products that are not sums yet."""
    if not target.fused:
        return 2
    # NEON has no multiply-add that reads memory: factors are loaded ahead, four in a register or one in each.
    return 4 if target.name == "neon" else 1


# What vectors along pixels were measured to take beyond the estimate.
_PIXELS_COST = 1.05

# Cycles for a vector of pixels that the panel before has read already, if a tile's pixels have left the
# first-level cache meanwhile: they take more than half of 32 KiB. Measured with 1 to 6 vectors of 64 to 256
# channels.
_PIXELS_AGAIN = 0.5
_FIRST_LEVEL_BYTES = 16 << 10

# Cycles for storing a number, by side and layout: whole vectors, squares turned over, one by one.
_STORE = {
    ("by_channels", "channels"): 0.2,
    ("by_channels", "columns"): 0.9,
    ("by_channels", "columns2"): 0.8,
    ("by_channels", "any"): 1.5,
    ("by_pixels", "columns"): 0.2,
    ("by_pixels", "columns2"): 0.4,
    ("by_pixels", "channels"): 1.5,
    ("by_pixels", "any"): 1.5,
}


def tile_for(
    target: Target,
    width: int,
    outputs: int,
    row: int,
    reduction: int,
    layout: str,
    side: str | None = None,
) -> Tile:
    """The tile that wastes least, for ``outputs`` channels and rows of ``row`` pixels.

    Estimated cycles per useful output, at one vector multiply-add a cycle: the reduction over filled and
    empty lanes, plus what storing costs by ``layout`` (``"columns"`` or ``"channels"`` consecutive, every
    second column, ``"columns2"``, or ``"any"``). ``side`` asks for one of :data:`SIDES`.
    """
    best: tuple[float, Tile] | None = None
    for tile in _candidates(target, width, outputs, row):
        if side not in (None, tile.side):
            continue
        pixels, panel = tile.pixels(width), tile.panel(width)
        panels = -(-outputs // panel)
        # The last tile of a row starts earlier instead of being filled up: some pixels are done twice.
        tiles = -(-row // pixels)
        lanes = tiles * pixels * panels * panel / (row * outputs)
        # Beside the V·S multiply-adds a round loads V vectors (across cache lines if they are pixels: twice
        # the time) and S scalars, two at a time.
        v, s = tile.vectors, tile.scalars
        loads = v * (2 if tile.side == "by_pixels" else 1) + s / 2
        # Fewer sums than the latency of a multiply-add times their rate wait for each other.
        sums = max(v * s, loads, 8 if target.registers > 16 else 10)
        pixel_bytes = reduction * v * target.vector_bytes
        if tile.side == "by_pixels" and panels > 1 and pixel_bytes > _FIRST_LEVEL_BYTES:
            sums += v * _PIXELS_AGAIN
        store = _STORE[tile.side, layout]
        cost = reduction * lanes * sums / (v * s) / width + store * lanes + 40 / (pixels * panel)
        if tile.side == "by_channels" and v == STANDARD_VECTORS:
            cost *= STANDARD_COST
        elif tile.side == "by_pixels":
            cost *= _PIXELS_COST
        if best is None or cost < best[0]:
            best = cost, tile
    assert best is not None
    return best[1]


def _candidates(target: Target, width: int, outputs: int, row: int) -> list[Tile]:
    found = []
    for vectors in (4, 3, 2, 1) if target.registers > 16 else (3, 2, 1):
        if vectors > 1 and (vectors - 1) * width >= outputs:
            continue
        most = most_scalars(target, vectors)
        count = -(-row // most)
        found.append(Tile("by_channels", vectors, -(-row // count)))
    for vectors in (8, 6, 4, 3, 2, 1):
        if vectors > 1 and (vectors - 1) * width >= row:
            continue
        most = most_scalars(target, vectors)
        if most < 1:
            continue
        count = -(-outputs // most)
        found.append(Tile("by_pixels", vectors, -(-outputs // count)))
    return found


def exchanges(width: int, outputs: int, channels: int) -> bool:
    """Whether a weight gradient's vectors should run along input channels: of outputs none would be full."""
    return outputs < min(width, channels)


def weight_tile_for(target: Target, width: int, outputs: int, features: int) -> tuple[int, int, int]:
    """(outputs in a panel, features in a tile, vectors in a panel) that waste least."""
    best: tuple[float, tuple[int, int, int]] | None = None
    for vectors in (4, 3, 2, 1) if target.registers > 16 else (3, 2, 1):
        if vectors > 1 and (vectors - 1) * width >= outputs:
            continue
        # One scalar fewer than fit divides powers of two with less waste: 64 = 5·13 − 1, and 64 = 5·14 − 6.
        most = most_scalars(target, vectors)
        count = -(-features // (most - 1 if features > most else most))
        tile = -(-features // count)
        panel = vectors * width
        lanes = -(-outputs // panel) * panel * count * tile / (outputs * features)
        # As in the forward pass: loads, or sums that wait for each other, can take longer than the sums.
        cycles = max(vectors * tile, vectors + tile / 2, 8) / (vectors * tile)
        cost = lanes * cycles * (STANDARD_COST if vectors == STANDARD_VECTORS else 1)
        if best is None or cost < best[0]:
            best = cost, (panel, tile, vectors)
    assert best is not None
    return best[1]
