"""Lp pooling and its gradient on arrays: the p-th root of the sum of p-th powers, window by window.

    y = s^(1/p),  s = Σ x^p over the window

For odd whole p the powers keep their sign, and so does the root; for any other p they are of |x|. In ceil
mode the sum of a window that hangs over the padded end is scaled up to a full window's number of samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims
from tilewright.geometry.boxes import at
from tilewright.op.pool import window_divisors
from tilewright.op.pool_arrays import SUMMED, check_fits, result_like, wide
from tilewright.op.powers import is_odd, signed_power, signed_root
from tilewright.op.window_sums import Box, add_over_windows

Array = npt.NDArray[Any]


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
