"""The definition of pools a window's tap at a time, for whole planes at once.

:mod:`tilewright.reference` goes from window to window, which takes seconds for the planes of a network; these
do the same sums in the same order with an array for each tap, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims

Array = npt.NDArray[Any]
Index = tuple[Any, ...]


def max_pool(dims: PoolDims, x: Array) -> tuple[Array, Array]:
    """The largest sample of each window, and which tap has it: the first in row order among equals."""
    laid_out = _lay_out(dims, x, -np.inf)
    best = np.full((*x.shape[:2], *dims.output), -np.inf, x.dtype)
    taps = np.zeros(best.shape, np.int64)
    for tap, window in enumerate(_windows(dims)):
        seen = laid_out[window]
        larger = seen > best
        best[larger] = seen[larger]
        taps[larger] = tap
    return best, taps


def max_pool_gradient(dims: PoolDims, gy: Array, taps: Array) -> Array:
    """Each output's gradient at the sample that its tap has taken."""
    laid_out = _lay_out(dims, np.zeros((*gy.shape[:2], *dims.spatial), gy.dtype), 0)
    for tap, window in enumerate(_windows(dims)):
        laid_out[window] += np.where(taps == tap, gy, 0)
    return laid_out[_inside(dims)]


def avg_pool(dims: PoolDims, x: Array) -> Array:
    """The mean of each window; padding counts, and what ceil mode hangs over does not."""
    laid_out = _lay_out(dims, x, 0)
    return np.asarray(sum(laid_out[window] for window in _windows(dims)) / _counted(dims))


def avg_pool_gradient(dims: PoolDims, gy: Array) -> Array:
    """Each output's gradient, over what its window counts, at every sample of the window."""
    laid_out = _lay_out(dims, np.zeros((*gy.shape[:2], *dims.spatial), gy.dtype), 0)
    share = gy / _counted(dims)
    for window in _windows(dims):
        laid_out[window] += share
    return laid_out[_inside(dims)]


def _counted(dims: PoolDims) -> Array:
    """How many positions of each window are samples or padding."""
    counted = np.zeros((1, 1, *_laid_out_sizes(dims)))
    counted[_places((0, n + before + after) for n, (before, after) in _axes(dims))] = 1
    return np.asarray(sum(counted[window] for window in _windows(dims)))


def _lay_out(dims: PoolDims, x: Array, outside: float) -> Array:
    laid_out = np.full((*x.shape[:2], *_laid_out_sizes(dims)), outside, x.dtype)
    laid_out[_inside(dims)] = x
    return laid_out


def _laid_out_sizes(dims: PoolDims) -> list[int]:
    """As far as the padding or the last window, whichever ends later."""
    ends = ((o - 1) * s + r + 1 for o, s, r in zip(dims.output, dims.stride, dims.reach, strict=True))
    return [max(n + before + after, end) for (n, (before, after)), end in zip(_axes(dims), ends, strict=True)]


def _inside(dims: PoolDims) -> Index:
    """Where the samples are."""
    return _places((before, before + n) for n, (before, _) in _axes(dims))


def _windows(dims: PoolDims) -> Iterator[Index]:
    """For each tap, in row order, the positions that it reads over all outputs."""
    for tap in product(*(range(size) for size in dims.kernel)):
        firsts = [t * d for t, d in zip(tap, dims.dilation, strict=True)]
        yield (
            slice(None),
            slice(None),
            *(
                slice(first, first + s * (o - 1) + 1, s)
                for first, s, o in zip(firsts, dims.stride, dims.output, strict=True)
            ),
        )


def _axes(dims: PoolDims) -> Iterator[tuple[int, tuple[int, int]]]:
    return zip(dims.spatial, dims.padding, strict=True)


def _places(ranges: Any) -> Index:
    return (slice(None), slice(None), *(slice(start, end) for start, end in ranges))
