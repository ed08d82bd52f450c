"""Lp pooling and its gradient on arrays: the p-th root of the sum of p-th powers, window by window.

    y = s^(1/p),  s = Σ x^p over the window

For odd whole p the powers keep their sign, and so does the root; for any other p they are of |x|. In ceil
mode the sum of a window that hangs over the padded end is scaled up to a full window's number of samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims
from tilewright.geometry.boxes import at
from tilewright.op.arrays import FLOATS
from tilewright.op.pool import avg_pool, avg_pool_gradient, window_divisors
from tilewright.op.pool_arrays import SUMMED, check_fits, result_like, wide
from tilewright.op.powers import is_odd, signed_power, signed_root
from tilewright.op.window_sums import Box, add_over_windows
from tilewright.plan import choose

Array = npt.NDArray[Any]

# Powers that are made at a time: they stay in the L2 cache, and two calls into compiled code hardly show.
_PART_BYTES = 1 << 19


def lp_pool(dims: PoolDims, x: Array, *, norm_type: float, op: str = "lp_pool") -> Array:
    """The root of each window's sum of powers.

    Args:
        dims: the windows; padding counts as zeros.
        x: float16 (added up in float32), float32 or float64.
        norm_type: p, above 0.
        op: the name in messages.

    Raises:
        ShapeError, DtypeError: the operand does not fit the geometry.
    """
    check_fits(op, dims.input_shape, x, "input", SUMMED)
    y = result_like(op, x, dims.output_shape)
    found = wide(x.dtype)
    scale = _scale(dims, found, op)
    if _sums_are_compiled("avg_pool", dims, x):
        for part, some in _parts(dims, x):
            # Planes in C order, so that sums have the same order in every layout.
            powers = signed_power(np.ascontiguousarray(x[part]), norm_type, is_odd(norm_type))
            total = avg_pool(some, powers, divisor=1, op=op)
            if scale is not None:
                total *= scale
            y[part] = signed_root(total, norm_type)
        return y

    def read(n: int, channels: slice, box: Box) -> Array:
        samples = x[at(n, channels, *box)].astype(found, copy=False)
        return signed_power(samples, norm_type, is_odd(norm_type))

    def write(n: int, channels: slice, box: Box, total: Array) -> None:
        if scale is not None:
            total *= scale[box]
        y[at(n, channels, *box)] = signed_root(total, norm_type)

    add_over_windows(dims, dims.batch, dims.channels, found, read, write)
    return y


def lp_pool_gradient(
    dims: PoolDims, gy: Array, x: Array, y: Array, *, norm_type: float, op: str = "lp_pool"
) -> Array:
    """The gradient of :func:`lp_pool`: dy/dx = |y|^(1−p) · x^(p−1), and 0 where y is 0.

    Args:
        dims: the windows.
        gy: the output's gradient.
        x: the input.
        y: the output.
        norm_type: p.
        op: the name in messages.
    """
    check_fits(op, dims.output_shape, gy, "gradient", SUMMED)
    gx = result_like(op, gy, dims.input_shape)
    found = wide(gy.dtype)
    scale = _scale(dims, found, op)
    if _sums_are_compiled("avg_pool_gradient", dims, gy):
        for part, some in _parts(dims, x):
            share = falling(np.ascontiguousarray(y[part]), norm_type)
            share *= gy[part]
            if scale is not None:
                share *= scale
            total = avg_pool_gradient(some, share, divisor=1, op=op)
            np.multiply(total, rising(x[part], norm_type), out=gx[part])
        return gx

    def read(n: int, channels: slice, box: Box) -> Array:
        place = at(n, channels, *box)
        share = falling(y[place].astype(found, copy=False), norm_type)
        share = share * gy[place]
        return np.asarray(share if scale is None else share * scale[box])

    def write(n: int, channels: slice, box: Box, total: Array) -> None:
        place = at(n, channels, *box)
        total *= rising(x[place].astype(found, copy=False), norm_type)
        gx[place] = total

    add_over_windows(dims.adjoint(), dims.batch, dims.channels, found, read, write)
    return gx


def _sums_are_compiled(operation: str, dims: PoolDims, x: Array) -> bool:
    """Whether the sums over windows are those of a compiled pool; powers and roots are NumPy's."""
    if not x.size or 0 in dims.output or x.dtype.name not in FLOATS:
        return False
    if _plane_bytes(dims, x) > _PART_BYTES:  # a plane isn't cut
        return False
    return bool(choose(operation, dims, x.dtype.name).target)


def _parts(dims: PoolDims, x: Array) -> Iterator[tuple[Any, PoolDims]]:
    """Some samples or channels at a time, so that their powers stay in the cache; and their pool."""
    planes = max(_PART_BYTES // _plane_bytes(dims, x), 1)
    samples = planes // dims.channels
    if samples:
        for first in range(0, dims.batch, samples):
            count = min(samples, dims.batch - first)
            yield np.s_[first : first + count], dims.with_batch(count)
        return
    for n in range(dims.batch):
        for first in range(0, dims.channels, planes):
            count = min(planes, dims.channels - first)
            some = replace(dims, batch=1, channels=count)
            yield np.s_[n : n + 1, first : first + count], some


def _plane_bytes(dims: PoolDims, x: Array) -> int:
    return max(math.prod(dims.spatial), math.prod(dims.output)) * x.itemsize


def rising(x: Array, p: float) -> Array:
    """The part of the gradient that is the sample's: the derivative of x^p, over p."""
    return signed_power(x, p - 1, not is_odd(p))


def falling(y: Array, p: float) -> Array:
    """The part of the gradient that is the window's: |y|^(1−p), and 0 where y is 0, also for p = 1."""
    return signed_power(y, 1 - p, False, at_zero=0.0)


def _scale(dims: PoolDims, dtype: np.dtype[Any], op: str) -> Array | None:
    """Samples of a full window over those of each window; None where all are full."""
    if not dims.ceil_mode:
        return None
    counts = window_divisors(dims, dtype, True, None, op)
    return None if (counts == dims.taps).all() else np.divide(dims.taps, counts, dtype=dtype)
