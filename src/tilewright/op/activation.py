"""Activation functions on arrays, each with the gradient that its rule needs.

A function ``f_gradient(g, x, …)`` gives ``g · df/dx``. All of them take float32 or float64 arrays of any
shape, return new arrays of the same dtype, and carry NaN and infinity to where the definition puts them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.op.arrays import FLOATS, check_array
from tilewright.op.normal import normal_cdf, normal_density
from tilewright.op.select import select

Array = npt.NDArray[Any]

# GELU's tanh form: √(2/π) and the cubic term (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016).
GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715


def _checked(x: Array, op: str) -> type[Any]:
    """The dtype's own scalar: a constant made with it never widens the result."""
    scalar: type[Any] = check_array(x, "input", op, FLOATS).dtype.type
    return scalar


def leaky_relu(x: Array, slope: float) -> Array:
    """Gives x where x > 0, otherwise slope · x."""
    one = _checked(x, "leaky_relu")
    # One of the two is 0.
    return np.asarray(np.maximum(x, one(0)) + np.minimum(x, one(0)) * one(slope))


def leaky_relu_gradient(g: Array, x: Array, slope: float) -> Array:
    """The gradient of :func:`leaky_relu`; at 0 it is that of the left side."""
    return select(x > 0, g, g * g.dtype.type(slope), g.dtype)


def elu(x: Array, alpha: float) -> Array:
    """Gives x where x > 0, otherwise alpha · (exp(x) − 1)."""
    one = _checked(x, "elu")
    # One of the two is 0.
    return np.asarray(np.maximum(x, one(0)) + np.expm1(np.minimum(x, one(0))) * one(alpha))


def elu_gradient(g: Array, x: Array, alpha: float) -> Array:
    """The gradient of :func:`elu`; at 0 it is that of the left side."""
    one = g.dtype.type
    return select(x > 0, g, g * (np.exp(np.minimum(x, one(0))) * one(alpha)), g.dtype)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), with exp only ever of −|x|: nothing overflows, small results keep their digits."""
    one = x.dtype.type
    # exp(x) / (1 + exp(x)) below 0 and 1 / (1 + exp(−x)) above.
    return np.asarray(np.exp(np.minimum(x, one(0))) / (np.exp(-np.abs(x)) + one(1)))


def softplus(x: Array, beta: float, threshold: float) -> Array:
    """log(1 + exp(beta · x)) / beta, and x itself where beta · x > threshold."""
    one = _checked(x, "softplus")
    if not beta > 0 or not math.isfinite(beta):
        raise ArgumentError("softplus needs beta to be a finite number above 0.", describe(beta=beta))
    scaled = x * one(beta)
    soft = np.log1p(np.exp(-np.abs(scaled))) + np.maximum(scaled, one(0))
    return select(scaled > one(threshold), x, soft / one(beta), x.dtype)


def softplus_gradient(g: Array, x: Array, beta: float, threshold: float) -> Array:
    """The gradient of :func:`softplus`."""
    scaled = np.asarray(x * g.dtype.type(beta))
    return select(scaled > g.dtype.type(threshold), g, g * sigmoid(scaled), g.dtype)


def silu(x: Array) -> Array:
    """Gives x · sigmoid(x)."""
    _checked(x, "silu")
    return np.asarray(x * sigmoid(x))


def silu_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`silu`."""
    one = g.dtype.type
    s = sigmoid(x)
    return np.asarray(g * (s * (x * (one(1) - s) + one(1))))


def gelu(x: Array) -> Array:
    """Gives x · P(N ≤ x) for a standard normal N."""
    _checked(x, "gelu")
    return np.asarray(x * normal_cdf(x))


def gelu_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`gelu`."""
    return np.asarray(g * (normal_cdf(x) + x * normal_density(x)))


def gelu_tanh(x: Array) -> Array:
    """GELU with the cumulative function approximated by a tanh."""
    one = _checked(x, "gelu")
    return np.asarray(x * one(0.5) * (np.tanh(_gelu_inner(x)) + one(1)))


def gelu_tanh_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`gelu_tanh`."""
    one = g.dtype.type
    t = np.tanh(_gelu_inner(x))
    inner_slope = (x * x * one(3 * GELU_CUBIC) + one(1)) * one(GELU_SCALE)
    return np.asarray(g * ((t + one(1)) * one(0.5) + x * one(0.5) * (one(1) - t * t) * inner_slope))


def _gelu_inner(x: Array) -> Any:
    one = x.dtype.type
    return (x + x * x * x * one(GELU_CUBIC)) * one(GELU_SCALE)


def hardtanh(x: Array, low: float, high: float, op: str = "hardtanh") -> Array:
    """Brings x into [low, high]."""
    one = _checked(x, op)
    if not low <= high:
        raise ArgumentError(f"{op} needs min_val ≤ max_val.", describe(min_val=low, max_val=high))
    return np.asarray(np.minimum(np.maximum(x, one(low)), one(high)))


def hardtanh_gradient(g: Array, x: Array, low: float, high: float) -> Array:
    """The gradient of :func:`hardtanh`: 0 at the bounds and beyond them, as PyTorch has it."""
    one = g.dtype.type
    # Written so that NaN passes the gradient on.
    return select(~((x <= one(low)) | (x >= one(high))), g, 0.0, g.dtype)


def threshold(x: Array, threshold: float, value: float) -> Array:
    """Gives x where x > threshold, otherwise ``value``; NaN stays."""
    one = _checked(x, "threshold")
    return select(x <= one(threshold), value, x, x.dtype)


def threshold_gradient(g: Array, x: Array, threshold: float) -> Array:
    """The gradient of :func:`threshold`."""
    return select(~(x <= g.dtype.type(threshold)), g, 0.0, g.dtype)
