"""Softmax and log-softmax along an axis, with their gradients.

The largest element is subtracted first, so that exp never overflows. Work arrays lie in C order whatever the
layout of the input, so that a slice is summed in the same order, and to the same bits, in whatever batch it
comes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import buffers
from tilewright.op.arrays import FLOATS, check_array
from tilewright.op.memory import copy_in_c_order, pooled

Array = npt.NDArray[Any]

_exp, _multiply, _subtract = pooled(np.exp), pooled(np.multiply), pooled(np.subtract)


def _reduced(function: np.ufunc, x: Array, axis: int) -> Array:
    """``function.reduce`` along the axis, which is kept with size 1."""
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return np.asarray(function.reduce(x, axis=axis, keepdims=True, out=buffers.empty(shape, x.dtype)))


def _shifted(x: Array, axis: int) -> Array:
    """Gives x minus its largest element along the axis, as a new array in C order."""
    largest = _reduced(np.maximum, x, axis)
    return np.subtract(x, largest, out=buffers.empty(x.shape, x.dtype))


def softmax(x: Array, axis: int) -> Array:
    """Gives exp(x) / Σ exp(x), the sum along ``axis``.

    Args:
        x: float32 or float64, rank ≥ 1.
        axis: from 0 to rank − 1.

    A slice with NaN or +∞ in it, or of nothing but −∞, gives NaN.
    """
    check_array(x, "input", "softmax", FLOATS)
    if x.size == 0:
        return np.empty(x.shape, x.dtype)
    result = _shifted(x, axis)
    np.exp(result, out=result)
    result /= _reduced(np.add, result, axis)
    return result


def softmax_gradient(g: Array, y: Array, axis: int) -> Array:
    """The gradient of softmax from its result y: y · (g − Σ g·y)."""
    product = np.multiply(g, y, out=buffers.empty(y.shape, y.dtype))
    return np.asarray(_multiply(y, _subtract(g, _reduced(np.add, product, axis))))


def log_softmax(x: Array, axis: int) -> Array:
    """Gives x − log Σ exp(x), the sum along ``axis``; arguments as for :func:`softmax`."""
    check_array(x, "input", "log_softmax", FLOATS)
    if x.size == 0:
        return np.empty(x.shape, x.dtype)
    result = _shifted(x, axis)
    total = _reduced(np.add, _exp(result), axis)
    result -= np.log(total, out=total)
    return result


def log_softmax_gradient(g: Array, y: Array, axis: int) -> Array:
    """The gradient of log-softmax from its result y: g − exp(y) · Σ g."""
    total = _reduced(np.add, copy_in_c_order(g), axis)
    return np.asarray(_subtract(g, _multiply(_exp(y), total)))
