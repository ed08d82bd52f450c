"""Pooling and its gradients on arrays: check, plan, call. Inputs are never written to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry import PoolDims
from tilewright.geometry.axes import as_integer
from tilewright.kernel import buffers, run
from tilewright.op.arrays import FLOATS, check_array, empty_in_layout
from tilewright.plan import choose

Array = npt.NDArray[Any]


def max_pool(
    dims: PoolDims, x: Array, *, indices: bool = True, op: str = "max_pool", family: str | None = None
) -> tuple[Array, Array | None]:
    """The largest sample of each window, and (with ``indices``) its flat position in the unpadded plane.

    NaN wins; among equals the first in row order is taken.

    Raises:
        ArgumentError: some window would see nothing but padding.
        ShapeError, DtypeError: the operand does not fit the geometry.
    """
    _check(op, dims.input_shape, x, "input")
    _check_seen(dims, op)
    y = empty_in_layout(dims.output_shape, x)
    found = buffers.empty(dims.output_shape, np.int64) if indices else None
    if y.size:
        run(choose("max_pool", dims, x.dtype.name, family), x, y, found)
    return y, found


def max_pool_gradient(
    dims: PoolDims, gy: Array, indices: Array, *, op: str = "max_pool", family: str | None = None
) -> Array:
    """Each output's gradient at the sample it was taken from, added up where windows share one."""
    _check(op, dims.output_shape, gy, "gradient", FLOATS)
    gx = empty_in_layout(dims.input_shape, gy)
    gx[...] = 0
    if gy.size:
        run(choose("max_pool_gradient", dims, gy.dtype.name, family), gy, indices, gx)
    return gx


def take_by_index(dims: PoolDims, x: Array, indices: Array) -> Array:
    """The samples at ``indices`` (flat, per plane): the adjoint of :func:`max_pool_gradient`."""
    planes = x.reshape(dims.batch, dims.channels, -1)
    flat = indices.reshape(dims.batch, dims.channels, -1)
    return np.take_along_axis(planes, flat, axis=2).reshape(dims.output_shape)


def avg_pool(
    dims: PoolDims,
    x: Array,
    *,
    count_include_pad: bool = True,
    divisor: int | None = None,
    op: str = "avg_pool",
    family: str | None = None,
) -> Array:
    """The mean of each window; see :func:`window_divisors` for what counts.

    Raises:
        ArgumentError: ``divisor`` is not an integer ≥ 1, or some window has nothing to count.
        ShapeError, DtypeError: the operand does not fit the geometry.
    """
    _check(op, dims.input_shape, x, "input", FLOATS)
    divisors = window_divisors(dims, x.dtype, count_include_pad, divisor, op)
    y = empty_in_layout(dims.output_shape, x)
    if y.size:
        run(choose("avg_pool", dims, x.dtype.name, family), x, y, divisors)
    return y


def avg_pool_gradient(
    dims: PoolDims,
    gy: Array,
    *,
    count_include_pad: bool = True,
    divisor: int | None = None,
    op: str = "avg_pool",
    family: str | None = None,
) -> Array:
    """Each output's gradient shared among the samples of its window."""
    _check(op, dims.output_shape, gy, "gradient", FLOATS)
    divisors = window_divisors(dims, gy.dtype, count_include_pad, divisor, op)
    gx = empty_in_layout(dims.input_shape, gy)
    if gx.size:
        run(choose("avg_pool_gradient", dims, gy.dtype.name, family), gy, gx, divisors)
    return gx


def window_divisors(
    dims: PoolDims, dtype: np.dtype[Any], count_include_pad: bool, divisor: int | None, op: str
) -> Array:
    """What each window's sum is divided by, over the output's spatial axes.

    Samples of the input count; explicit padding counts with ``count_include_pad``; positions beyond it, where
    ceil mode lets a window hang over, never do. ``divisor`` replaces the count.
    """
    if divisor is not None:
        least_one = as_integer(divisor, "divisor_override", op, least=1)
        return np.broadcast_to(dtype.type(least_one), dims.output)
    if not count_include_pad:
        _check_seen(dims, op)
    total = np.ones((1,) * dims.rank, dtype=dtype)
    for axis in range(dims.rank):
        before, after = dims.padding[axis]
        outside = (before, after) if count_include_pad else (0, 0)
        start = np.arange(dims.output[axis], dtype=np.int64) * dims.stride[axis] - before
        step, taps = dims.dilation[axis], dims.kernel[axis]
        first = np.maximum(0, -((start + outside[0]) // step))
        last = np.minimum(taps - 1, (dims.spatial[axis] + outside[1] - 1 - start) // step)
        shape = [1] * dims.rank
        shape[axis] = -1
        total = total * (last - first + 1).astype(dtype).reshape(shape)
    return np.broadcast_to(total, dims.output)


def _check(
    op: str, shape: tuple[int, ...], value: Any, name: str, allowed: tuple[str, ...] | None = None
) -> None:
    array = check_array(value, name, op) if allowed is None else check_array(value, name, op, allowed)
    if array.shape != shape:
        raise ShapeError(f"{op} needs {name} of shape {shape}.", describe(**{name: array}))


def _check_seen(dims: PoolDims, op: str) -> None:
    if not dims.every_window_sees_input:
        raise ArgumentError(
            f"{op} needs every window to hold at least one sample of the input.",
            f"input of size {dims.spatial}, kernel_size={dims.kernel}, stride={dims.stride}, "
            f"padding={dims.padding}, dilation={dims.dilation}",
            "Pad less.",
        )
