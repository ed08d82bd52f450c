"""The definition of max and average pooling and their gradients, one window at a time.

Written to be read and believed, not to be fast: every other implementation is judged by this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

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
