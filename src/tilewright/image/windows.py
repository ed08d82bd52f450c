"""Weighted means over the pixels around each pixel, with weights that depend on the pixels: tile by tile.

Of two pixels each looks at the other with the same weight, so that every pair is weighed once. A tile is read
as one long row; partners at one shift then lie at one distance, and all work is on contiguous memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.gathering import gather

Array = npt.NDArray[Any]
#: What weighs pairs: of the long rows (channels, samples) of a tile, the shift along each axis, and the
#: distance between partners in the row; gives the weights of the pairs (samples − distance).
Weigh = Callable[[Array, tuple[int, ...], int, Sequence[int]], Array]

# Pixels of a tile, its margins left out: with half a dozen arrays of its size the second cache is full.
_TILE = 2**15


def weighted_mean(
    planes: Array,
    reach: Sequence[int],
    margin: int,
    weigh: Weigh,
    own_weight: float,
    border: str,
    cval: float,
) -> Array:
    """Of each pixel the mean of those up to ``reach`` away, itself counting ``own_weight``.

    Args:
        planes: (channels, *spatial), float32 or float64.
        reach: along each axis.
        margin: what ``weigh`` looks at beyond the two pixels, along all axes.
        weigh: weighs the pairs of a shift.
        own_weight: of the pixel itself.
        border: what stands beyond the edges.
        cval: what the constant border is made of.
    """
    out = np.empty_like(planes)
    spatial = planes.shape[1:]
    edges = [one + margin for one in reach]
    side = max(round(_TILE ** (1 / len(spatial))), 2 * max(edges), 1)
    for corner in itertools.product(*(range(0, size, side) for size in spatial)):
        ends = [min(start + side, size) for start, size in zip(corner, spatial, strict=True)]
        ranges = [(start - edge, end + edge) for start, end, edge in zip(corner, ends, edges, strict=True)]
        tile = gather(planes[..., np.newaxis], ranges, border, cval, planes.dtype)[..., 0]
        inner = tuple(slice(edge, tile.shape[axis + 1] - edge) for axis, edge in enumerate(edges))
        whole = tuple(slice(start, end) for start, end in zip(corner, ends, strict=True))
        out[(slice(None), *whole)] = _of_tile(tile, reach, weigh, own_weight)[(slice(None), *inner)]
    return out


def _of_tile(tile: Array, reach: Sequence[int], weigh: Weigh, own_weight: float) -> Array:
    shape = tile.shape[1:]
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    rows = tile.reshape(len(tile), -1)
    own = tile.dtype.type(own_weight)
    total, weights = own * rows, np.full(rows.shape[1], own)
    for shift in itertools.product(*(range(-one, one + 1) for one in reach)):
        # Of a shift and its opposite, the one that leads onwards in the row.
        if shift <= (0,) * len(shift):
            continue
        distance = sum(one * step for one, step in zip(shift, steps, strict=True))
        pair = weigh(rows, shift, distance, steps)
        weights[:-distance] += pair
        weights[distance:] += pair
        for values, sums in zip(rows, total, strict=True):
            sums[:-distance] += pair * values[distance:]
            sums[distance:] += pair * values[:-distance]
    total /= weights
    found: Array = total.reshape(tile.shape)
    return found


def squared_difference(rows: Array, distance: int) -> Array:
    """Summed over the channels, of every sample and its partner."""
    found: Array = rows[0, distance:] - rows[0, :-distance]
    found *= found
    for row in rows[1:]:
        more = row[distance:] - row[:-distance]
        more *= more
        found += more
    return found


def box_sums(values: Array, size: int, steps: Sequence[int]) -> Array:
    """Sums over boxes of ``size`` along every axis, at the sample that is in the middle of each.

    Where a box hangs over the end of the row, the sum is of what the next row begins with: such samples lie
    in the margin. At both ends of the row, where there is no box, it is 0.
    """
    found = values
    for step in steps:
        found = _running_sums(found, size, step)
    half = (size - 1) // 2 * sum(steps)
    whole = np.zeros_like(values)
    whole[half : half + len(found)] = found
    return whole


def _running_sums(values: Array, size: int, step: int) -> Array:
    """Of every sample the sum of ``size`` of them, ``step`` apart, by doubling: 1, 2, 4, … at a time."""
    length = len(values) - (size - 1) * step
    power, width, taken = values, 1, 0
    total: Array | None = None
    while True:
        if size & width:
            part = power[taken * step : taken * step + length]
            total = part.copy() if total is None else np.add(total, part, out=total)
            taken += width
        if taken == size:
            assert total is not None
            return total
        power = power[: len(power) - width * step] + power[width * step :]
        width *= 2
