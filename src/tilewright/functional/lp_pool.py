"""Lp pooling: PyTorch's names, order and defaults, and the any-rank form; padding and dilation besides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.autograd import rules_pool as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.elementwise import abs as absolute
from tilewright.autograd.elementwise import neg
from tilewright.autograd.tape import apply
from tilewright.errors import ArgumentError, describe
from tilewright.functional.operands import Operand, batched_input
from tilewright.functional.pool_operands import follows, rank_of
from tilewright.geometry import PoolDims
from tilewright.op.pool_arrays import SUMMED

__all__ = ["lp_pool", "lp_pool1d", "lp_pool2d", "lp_pool3d"]


def lp_pool(
    input: Operand,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """The p-th root of the sum of p-th powers over each window: p = 1 is a sum, p = ∞ a maximum of |x|.

    For odd whole p the powers keep their signs, and so does the root, as PyTorch has it (its root of a
    negative sum is NaN; here it is the real one). For any other p they are powers of |x|, also where
    PyTorch's fractional power of a negative number is NaN. For the norm of an odd p, pool ``input.abs()``.

    Where the sum of a window is 0 its gradient is 0, as in PyTorch; for p < 1, so is that of a sample that is
    0.

    Args:
        input: (batch, channels, *spatial), or (channels, *spatial) when ``kernel_size`` lists one integer per
            spatial axis; float16 (computed in float32), float32 or float64.
        norm_type: p: any number above 0, or ∞, or −∞ (the smallest |x|).
        kernel_size: window, an integer or one per axis.
        stride: step of the window; the window itself when not given.
        ceil_mode: also windows that hang over the end, if they start before the padding there. As in PyTorch,
            the sum of one is scaled up to the number of samples of a full window.
        padding: forms as in :func:`max_pool`; padding counts as zeros (and for p = ±∞ not at all).
        dilation: distance between the samples of a window.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`max_pool`; also where ``norm_type`` isn't such a
            number.

    >>> import numpy as np
    >>> lp_pool(np.array([[3.0, 4.0, 0.0, 2.0]]), 2, (2,))
    array([[5., 2.]])
    """
    rank = rank_of("lp_pool", input, kernel_size, "kernel_size")
    return _lp_pool("lp_pool", rank, input, norm_type, kernel_size, stride, ceil_mode, padding, dilation)


def lp_pool1d(
    input: Operand,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """:func:`lp_pool` over (batch, channels, length). PyTorch's ``lp_pool1d``."""
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode, padding, dilation)


def lp_pool2d(
    input: Operand,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """:func:`lp_pool` over (batch, channels, height, width). PyTorch's ``lp_pool2d``."""
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode, padding, dilation)


def lp_pool3d(
    input: Operand,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """:func:`lp_pool` over (batch, channels, depth, height, width). PyTorch's ``lp_pool3d``."""
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode, padding, dilation)


def as_norm(value: Any, op: str) -> float:
    """``norm_type`` as a number.

    Raises:
        ArgumentError: it is no number above 0 and no infinity.
    """
    if isinstance(value, (np.number, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not (value > 0 or value == -math.inf)
    ):
        raise ArgumentError(
            f"{op} needs norm_type to be a number above 0, or an infinity of either sign.",
            describe(norm_type=value),
        )
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _lp_pool(
    op: str,
    rank: int,
    input: Operand,
    norm_type: Any,
    kernel_size: Any,
    stride: Any,
    ceil_mode: bool,
    padding: Any,
    dilation: Any,
) -> Any:
    p = as_norm(norm_type, op)
    x, batched = batched_input(op, rank, input, SUMMED)
    dims = PoolDims.of(
        x.shape, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode, op=op
    )
    if math.isinf(p):
        size = absolute(x)
        largest = size if p > 0 else neg(size)
        y = apply("max_pool", largest, dims=dims, indices=follows(largest), op=op)
        y = y[0] if isinstance(y, tuple) else y
        y = y if p > 0 else neg(y)
    else:
        y = apply("lp_pool", x, dims=dims, norm_type=p, op=op)
    return y if batched else y[0]
