"""Pooling and its gradients on arrays: check, plan, call. Inputs are never written to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError
from tilewright.geometry import PoolDims
from tilewright.geometry.axes import as_integer
from tilewright.geometry.boxes import at
from tilewright.kernel import pool_planes, run
from tilewright.op.arrays import name_of
from tilewright.op.kinds import FLOAT32, is_bfloat16, is_half
from tilewright.op.pieces import PIECE_BYTES
from tilewright.op.planes import add_to_planes, take_from_planes
from tilewright.op.pool_arrays import (
    AVERAGED,
    COMPARED,
    SUMMED,
    check_fits,
    indices_like,
    result_like,
    wide,
)
from tilewright.op.window_sums import Box, add_over_windows
from tilewright.plan import Plan, choose

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
    check_fits(op, dims.input_shape, x, "input", COMPARED)
    _check_seen(dims, op)
    y = result_like(op, x, dims.output_shape)
    found = indices_like(op, y) if indices else None
    if y.size and (halves := _compiled_plan("max_pool", dims, x, family)) is not None:
        run(halves, x, y, found)
    elif is_bfloat16(x.dtype):
        _bfloat16_max_pool(dims, x, y, found, op)
    elif y.size:
        run(choose("max_pool", dims, name_of(x.dtype), family), x, y, found)
    return y, found


def max_pool_gradient(
    dims: PoolDims, gy: Array, indices: Array, *, op: str = "max_pool", family: str | None = None
) -> Array:
    """Each output's gradient at the sample it was taken from, added up where windows share one."""
    check_fits(op, dims.output_shape, gy, "gradient", SUMMED)
    gx = result_like(op, gy, dims.input_shape)
    if wide(gy.dtype) != gy.dtype:
        halves = _compiled_plan("max_pool_gradient", dims, gy, family) if gx.size else None
        if halves is None or not pool_planes.gradient_serves(halves, gy, gx):
            return add_to_planes(dims.spatial, gy, indices, op=op)
        run(halves, gy, indices, gx)
    elif gx.size:
        run(choose("max_pool_gradient", dims, name_of(gy.dtype), family), gy, indices, gx)
    return gx


def take_by_index(dims: PoolDims, x: Array, indices: Array) -> Array:
    """The samples at ``indices`` (flat, per plane): the adjoint of :func:`max_pool_gradient`."""
    return take_from_planes(x, indices)


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
    check_fits(op, dims.input_shape, x, "input", AVERAGED)
    y = result_like(op, x, dims.output_shape)
    if x.dtype.kind == "c":
        for part, of in ((y.real, x.real), (y.imag, x.imag)):
            part[...] = avg_pool(
                dims, of, count_include_pad=count_include_pad, divisor=divisor, op=op, family=family
            )
        return y
    divisors = window_divisors(dims, wide(x.dtype), count_include_pad, divisor, op)
    if y.size and (halves := _compiled_plan("avg_pool", dims, x, family)) is not None:
        run(halves, x, y, divisors)
    elif divisors.dtype != x.dtype:
        _half_avg_pool(dims, x, y, divisors)
    elif y.size:
        run(choose("avg_pool", dims, name_of(x.dtype), family), x, y, divisors)
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
    check_fits(op, dims.output_shape, gy, "gradient", AVERAGED)
    gx = result_like(op, gy, dims.input_shape)
    if gy.dtype.kind == "c":
        for part, of in ((gx.real, gy.real), (gx.imag, gy.imag)):
            part[...] = avg_pool_gradient(
                dims, of, count_include_pad=count_include_pad, divisor=divisor, op=op, family=family
            )
        return gx
    divisors = window_divisors(dims, wide(gy.dtype), count_include_pad, divisor, op)
    if gx.size and (halves := _compiled_plan("avg_pool_gradient", dims, gy, family)) is not None:
        run(halves, gy, gx, divisors)
    elif divisors.dtype != gy.dtype:
        _half_avg_pool_gradient(dims, gy, gx, divisors)
    elif gx.size:
        run(choose("avg_pool_gradient", dims, name_of(gy.dtype), family), gy, gx, divisors)
    return gx


def _compiled_plan(operation: str, dims: PoolDims, x: Array, family: str | None) -> Plan | None:
    """The plan of the compiled family, which reads and writes halves itself; None if there is none for x."""
    if not is_half(x.dtype):
        return None
    plan = choose(operation, dims, FLOAT32.name, family)
    return plan if plan.target else None


def _bfloat16_max_pool(dims: PoolDims, x: Array, y: Array, found: Array | None, op: str) -> None:
    """Writes the maxima, compared as float32, which holds each bfloat16 as it is; some samples at a time."""
    together = max(PIECE_BYTES * dims.batch // max((x.size + y.size) * FLOAT32.itemsize, 1), 1)
    for first in range(0, dims.batch, together):
        some = slice(first, min(first + together, dims.batch))
        part = dims.with_batch(some.stop - some.start)
        largest, places = max_pool(part, x[some].astype(FLOAT32), indices=found is not None, op=op)
        y[some] = largest
        if found is not None:
            found[some] = places


def _half_avg_pool(dims: PoolDims, x: Array, y: Array, divisors: Array) -> None:
    """Writes each window's mean into ``y``; sums are kept in the divisors' dtype, and rounded once."""

    def write(n: int, channels: slice, box: Box, total: Array) -> None:
        total /= divisors[box]
        y[at(n, channels, *box)] = total

    add_over_windows(
        dims,
        dims.batch,
        dims.channels,
        divisors.dtype,
        lambda n, channels, box: x[at(n, channels, *box)],
        write,
    )


def _half_avg_pool_gradient(dims: PoolDims, gy: Array, gx: Array, divisors: Array) -> None:
    """Writes the gradient of the input, which is the same sums along the windows turned round."""

    def read(n: int, channels: slice, box: Box) -> Array:
        return np.asarray(np.divide(gy[at(n, channels, *box)], divisors[box], dtype=divisors.dtype))

    def write(n: int, channels: slice, box: Box, total: Array) -> None:
        gx[at(n, channels, *box)] = total

    add_over_windows(dims.adjoint(), dims.batch, dims.channels, divisors.dtype, read, write)


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
    if not dims.ceil_mode and (count_include_pad or not any(map(any, dims.padding))):
        return np.broadcast_to(dtype.type(dims.taps), dims.output)
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


def _check_seen(dims: PoolDims, op: str) -> None:
    if not dims.every_window_sees_input:
        raise ArgumentError(
            f"{op} needs every window to hold at least one sample of the input.",
            f"input of size {dims.spatial}, kernel_size={dims.kernel}, stride={dims.stride}, "
            f"padding={dims.padding}, dilation={dims.dilation}",
            "Pad less.",
        )
