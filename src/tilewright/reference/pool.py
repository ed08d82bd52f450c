"""The definition of pooling of every kind and of its gradients, one window at a time.

Written to be read and believed, not to be fast: every other implementation is judged by this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry.adaptive import AdaptiveDims
from tilewright.geometry.boxes import at
from tilewright.geometry.pool import PoolDims

Array = npt.NDArray[Any]


def max_pool(dims: PoolDims, x: Array) -> tuple[Array, Array]:
    """The largest sample of each window and its flat position in the unpadded plane.

    NaN wins over every number; among equals the first in row order is taken.
    """
    y = np.empty(dims.output_shape, dtype=x.dtype)
    indices = np.empty(dims.output_shape, dtype=np.int64)
    for o, places in _window_places(dims):
        for n, c in product(range(dims.batch), range(dims.channels)):
            best, best_place = None, 0
            for place in places:
                value = x[at(n, c, *place)]
                if best is None or (value > best) or (np.isnan(value) and not np.isnan(best)):
                    best, best_place = value, int(np.ravel_multi_index(place, dims.spatial))
            y[at(n, c, *o)] = best
            indices[at(n, c, *o)] = best_place
    return y, indices


def max_pool_gradient(dims: PoolDims, gy: Array, indices: Array) -> Array:
    """Each output's gradient goes to the sample it was taken from."""
    planes = np.zeros((dims.batch, dims.channels, int(np.prod(dims.spatial))), dtype=gy.dtype)
    for n, c in product(range(dims.batch), range(dims.channels)):
        for o in product(*(range(size) for size in dims.output)):
            planes[n, c, indices[at(n, c, *o)]] += gy[at(n, c, *o)]
    return planes.reshape(dims.input_shape)


def avg_pool(dims: PoolDims, x: Array, count_include_pad: bool = True, divisor: int | None = None) -> Array:
    """The sum of each window over its divisor (see :func:`window_divisor`)."""
    y = np.zeros(dims.output_shape, dtype=x.dtype)
    for o, places in _window_places(dims):
        total = sum(x[at(slice(None), slice(None), *place)] for place in places)
        y[at(slice(None), slice(None), *o)] = total / x.dtype.type(
            window_divisor(dims, o, count_include_pad, divisor)
        )
    return y


def avg_pool_gradient(
    dims: PoolDims, gy: Array, count_include_pad: bool = True, divisor: int | None = None
) -> Array:
    """Each output's gradient, over its divisor, goes to every sample of its window."""
    gx = np.zeros(dims.input_shape, dtype=gy.dtype)
    for o, places in _window_places(dims):
        share = gy[at(slice(None), slice(None), *o)] / gy.dtype.type(
            window_divisor(dims, o, count_include_pad, divisor)
        )
        for place in places:
            gx[at(slice(None), slice(None), *place)] += share
    return gx


def window_divisor(
    dims: PoolDims, output: tuple[int, ...], count_include_pad: bool, divisor: int | None
) -> int:
    """What window ``output`` is divided by: ``divisor`` if given, else the number of positions that count.

    Samples of the input always count; positions in the explicit padding count with ``count_include_pad``;
    positions beyond it (where ceil mode lets a window hang over) never do.
    """
    if divisor is not None:
        return divisor
    count = 1
    for axis, o in enumerate(output):
        before, after = dims.padding[axis] if count_include_pad else (0, 0)
        count *= sum(
            1 for place in _axis_places(dims, axis, o) if -before <= place < dims.spatial[axis] + after
        )
    return count


def lp_pool(dims: PoolDims, x: Array, p: float) -> Array:
    """The real p-th root of the sum of p-th powers of each window, with their signs for odd whole p.

    The sum of a window that hangs over the padded end is scaled up to the number of samples of a full window.
    """
    y = np.zeros(dims.output_shape, dtype=x.dtype)
    for o, places in _window_places(dims):
        full = dims.taps / window_divisor(dims, o, True, None)
        total = full * sum(_power(x[at(slice(None), slice(None), *place)], p) for place in places)
        y[at(slice(None), slice(None), *o)] = _sign(total, p) * np.abs(total) ** (1 / p)
    return y


def lp_pool_gradient(dims: PoolDims, gy: Array, x: Array, p: float) -> Array:
    """By the chain rule: dy/ds · ds/dx, with s the sum; 0 where the sum is 0."""
    gx = np.zeros(dims.input_shape, dtype=gy.dtype)
    for o, places in _window_places(dims):
        full = dims.taps / window_divisor(dims, o, True, None)
        total = full * sum(_power(x[at(slice(None), slice(None), *place)], p) for place in places)
        zero = total == 0
        slope = np.abs(np.where(zero, 1, total)) ** (1 / p - 1) / p
        share = np.where(zero, 0, gy[at(slice(None), slice(None), *o)] * slope * full)
        for place in places:
            sample = x[at(slice(None), slice(None), *place)]
            # The derivative of a power that keeps its sign doesn't, and the other way round.
            sign = 1 if p % 2 == 1 else np.sign(sample)
            gx[at(slice(None), slice(None), *place)] += share * p * np.abs(sample) ** (p - 1) * sign
    return gx


def _power(x: Array, p: float) -> Array:
    return np.asarray(_sign(x, p) * np.abs(x) ** p)


def _sign(x: Any, p: float) -> Any:
    return np.sign(x) if p % 2 == 1 else 1


def adaptive_avg_pool(dims: AdaptiveDims, x: Array) -> Array:
    """The mean of each window."""
    y = np.zeros(dims.output_shape, dtype=x.dtype)
    for o, box in _adaptive_boxes(dims):
        samples = x[at(slice(None), slice(None), *box)]
        y[at(slice(None), slice(None), *o)] = samples.mean(axis=tuple(range(2, 2 + dims.rank)))
    return y


def adaptive_avg_pool_gradient(dims: AdaptiveDims, gy: Array) -> Array:
    """Each output's gradient shared equally among the samples of its window."""
    gx = np.zeros(dims.input_shape, dtype=gy.dtype)
    for o, box in _adaptive_boxes(dims):
        count = int(np.prod([part.stop - part.start for part in box]))
        share = gy[at(slice(None), slice(None), *o)] / count
        gx[at(slice(None), slice(None), *box)] += share.reshape(*share.shape, *(1,) * dims.rank)
    return gx


def adaptive_max_pool(dims: AdaptiveDims, x: Array) -> tuple[Array, Array]:
    """The largest sample of each window and its flat position, by the rules of :func:`max_pool`."""
    y = np.empty(dims.output_shape, dtype=x.dtype)
    indices = np.empty(dims.output_shape, dtype=np.int64)
    for o, box in _adaptive_boxes(dims):
        places = list(product(*(range(part.start, part.stop) for part in box)))
        for n, c in product(range(dims.batch), range(dims.channels)):
            best = places[0]
            for place in places[1:]:
                value, largest = x[at(n, c, *place)], x[at(n, c, *best)]
                if value > largest or (np.isnan(value) and not np.isnan(largest)):
                    best = place
            y[at(n, c, *o)] = x[at(n, c, *best)]
            indices[at(n, c, *o)] = int(np.ravel_multi_index(best, dims.spatial))
    return y, indices


def max_unpool(x: Array, indices: Array, spatial: tuple[int, ...]) -> Array:
    """Each value at its index in a plane of zeros; of those that share one, the last in row order stays."""
    planes = np.zeros((*x.shape[:2], int(np.prod(spatial))), dtype=x.dtype)
    for place in np.ndindex(x.shape):
        planes[place[0], place[1], indices[place]] = x[place]
    return planes.reshape(*x.shape[:2], *spatial)


def max_unpool_gradient(gy: Array, indices: Array) -> Array:
    """The gradient at each value's index, if it is the one that stayed there."""
    planes = gy.reshape(*gy.shape[:2], int(np.prod(gy.shape[2:])))
    gx = np.zeros(indices.shape, dtype=gy.dtype)
    seen = set()
    for place in reversed(list(np.ndindex(indices.shape))):
        target = (*place[:2], int(indices[place]))
        if target not in seen:
            gx[place] = planes[target]
        seen.add(target)
    return gx


def _adaptive_boxes(dims: AdaptiveDims) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each output with the box of samples it covers."""
    for o in product(*(range(size) for size in dims.output)):
        yield o, tuple(slice(*dims.window(axis, index)) for axis, index in enumerate(o))


def _axis_places(dims: PoolDims, axis: int, o: int) -> list[int]:
    start = o * dims.stride[axis] - dims.padding[axis][0]
    return [start + t * dims.dilation[axis] for t in range(dims.kernel[axis])]


def _window_places(dims: PoolDims) -> Iterator[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Each output with the samples its window holds, in row order."""
    for o in product(*(range(size) for size in dims.output)):
        per_axis = [
            [place for place in _axis_places(dims, axis, index) if 0 <= place < dims.spatial[axis]]
            for axis, index in enumerate(o)
        ]
        yield o, list(product(*per_axis))
