"""Tiles and blocks of the compiled families: which side vectors run along, how large they are, and why."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.plan.target import Target

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


# Winograd's algorithm: with fewer channels or shorter lines than these, its transforms cost more than the
# products that it saves (measured with AVX-512).
WINOGRAD_CHANNELS = 16
WINOGRAD_OUTPUTS = 11
# The weight gradient transforms along channels, so short lines cost it less.
WINOGRAD_WEIGHT_OUTPUTS = 6
# Pieces in a row that the weight gradient's scratch has room for.
WINOGRAD_ROW = 240
# Pieces of 2×2 outputs in a unit, about: transforming a weight costs as much as some six products with it.
WINOGRAD_PIECES = 126
# Input channels whose products are summed at a time: a piece's sums are read and written once in so many.
_WINOGRAD_BLOCK = 64
# The transformed input of a unit: 16 numbers for each piece and channel.
_WINOGRAD_BYTES = 1200 << 10


def winograd_channels(channels: int, lead_taps: int, pieces: int) -> int:
    """Input channels whose products are summed at a time, for rows of so many pieces; 0 if none would fit.

    The order of sums follows from it, so it must not depend on the batch.
    """
    room = max(WINOGRAD_PIECES, pieces) + 64
    most = min(_WINOGRAD_BYTES // (4 * 16 * room * lead_taps), _WINOGRAD_BLOCK // min(lead_taps, 8))
    # Sums of one panel have to fit beside it.
    if 4 * 16 * room * 2 * 16 > _WINOGRAD_BYTES * 2 or most < 1:
        return 0
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


# Cycles for storing a number, by side and layout: whole vectors, squares turned over, one by one.
_STORE = {
    ("by_channels", "channels"): 0.2,
    ("by_channels", "columns"): 0.6,
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
        store = _STORE[tile.side, layout]
        cost = reduction * lanes * sums / (v * s) / width + store * lanes + 40 / (pixels * panel)
        if tile.side == "by_channels" and v == STANDARD_VECTORS:
            cost *= STANDARD_COST
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
