"""Activation functions on arrays, each with the gradient that its rule needs.

A function ``f_gradient(g, x, …)`` gives ``g · df/dx``. All of them take float32 or float64 arrays of any
shape, return new arrays of the same dtype, and carry NaN and infinity to where the definition puts them.

Each is worked out block by block in the cache (see :func:`tilewright.op.memory.in_blocks`): the formula
stands in the docstring, its steps write to ``out`` and to the rooms beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.kernel.buffers import LARGE
from tilewright.op import passes
from tilewright.op.arrays import FLOATS, check_array
from tilewright.op.memory import BLOCK, in_blocks, pooled
from tilewright.op.normal import ROOMS, write_normal_cdf, write_normal_density
from tilewright.op.select import select, write_selected, write_where

Array = npt.NDArray[Any]

# GELU's tanh form: √(2/π) and the cubic term (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016).
GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715

_ZEROS = {dtype.char: np.zeros(BLOCK, dtype) for dtype in map(np.dtype, FLOATS)}

_at_most = pooled(np.less_equal, np.bool_)


def _checked(x: Array, op: str) -> type[Any]:
    """The dtype's own scalar: a constant made with it never widens the result."""
    scalar: type[Any] = check_array(x, "input", op, FLOATS).dtype.type
    return scalar


def relu(x: Array) -> Array:
    """max(x, 0) for numbers of any dtype; NaN stays."""
    zero = x.dtype.type(0)
    if x.nbytes < LARGE or x.dtype.kind != "f":
        return np.asarray(np.maximum(x, zero))
    found = passes.curved("relu", x)
    return in_blocks(_relu, x, zero) if found is None else found


def _relu(out: Array, x: Array, zero: Any) -> None:
    # Beside an array of zeros NumPy uses vectors, beside a single one it doesn't: 3.3 against 7.2 µs a block.
    zeros = _ZEROS.get(x.dtype.char)
    beside = zeros[: x.size] if zeros is not None and x.ndim == 1 and x.size <= zeros.size else zero
    np.maximum(x, beside, out=out)


def relu_gradient(g: Array, y: Array) -> Array:
    """The gradient of max(x, 0) from its result y: 0 where y ≤ 0, and g elsewhere (also where y is NaN)."""
    found = passes.sloped("relu", g, y)
    return in_blocks(_relu_gradient, g, y) if found is None else found


def _relu_gradient(out: Array, g: Array, y: Array) -> None:
    passes = np.less_equal(y, y.dtype.type(0))
    np.logical_not(passes, out=passes)
    write_where(out, passes, g)


def leaky_relu(x: Array, slope: float) -> Array:
    """Gives x where x > 0, otherwise slope · x."""
    one = _checked(x, "leaky_relu")
    if x.nbytes >= LARGE:
        found = passes.curved("leaky_relu", x, leak=slope)
        if found is not None:
            return found
    return in_blocks(_leaky_relu, x, one(0), one(slope), rooms=1)


def _leaky_relu(out: Array, x: Array, zero: Any, slope: Any, room: Array) -> None:
    np.minimum(x, zero, out=room)
    np.multiply(room, slope, out=room)
    np.maximum(x, zero, out=out)
    # One of the two is 0.
    np.add(out, room, out=out)


def leaky_relu_gradient(g: Array, x: Array, slope: float) -> Array:
    """The gradient of :func:`leaky_relu`; at 0 it is that of the left side."""
    found = passes.sloped("leaky_relu", g, x, slope)
    return in_blocks(_leaky_relu_gradient, g, x, g.dtype.type(slope), rooms=2) if found is None else found


def _leaky_relu_gradient(out: Array, g: Array, x: Array, slope: Any, room: Array, other: Array) -> None:
    np.multiply(g, slope, out=room)
    write_selected(out, x > 0, g, room, other)


def elu(x: Array, alpha: float) -> Array:
    """Gives x where x > 0, otherwise alpha · (exp(x) − 1)."""
    one = _checked(x, "elu")
    return in_blocks(_elu, x, one(0), one(alpha), rooms=1)


def _elu(out: Array, x: Array, zero: Any, alpha: Any, room: Array) -> None:
    np.minimum(x, zero, out=room)
    np.expm1(room, out=room)
    np.multiply(room, alpha, out=room)
    np.maximum(x, zero, out=out)
    # One of the two is 0.
    np.add(out, room, out=out)


def elu_gradient(g: Array, x: Array, alpha: float) -> Array:
    """The gradient of :func:`elu`; at 0 it is that of the left side."""
    one = g.dtype.type
    return in_blocks(_elu_gradient, g, x, one(0), one(alpha), rooms=2)


def _elu_gradient(out: Array, g: Array, x: Array, zero: Any, alpha: Any, room: Array, other: Array) -> None:
    np.minimum(x, zero, out=room)
    np.exp(room, out=room)
    np.multiply(room, alpha, out=room)
    np.multiply(g, room, out=room)
    write_selected(out, x > 0, g, room, other)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), with exp only ever of −|x|: nothing overflows, small results keep their digits."""
    found = passes.curved("sigmoid", x)
    return in_blocks(_sigmoid, x, rooms=1) if found is None else found


def _sigmoid(out: Array, x: Array, room: Array) -> None:
    one = x.dtype.type
    # exp(x) / (1 + exp(x)) below 0 and 1 / (1 + exp(−x)) above.
    np.minimum(x, one(0), out=out)
    np.exp(out, out=out)
    np.absolute(x, out=room)
    np.negative(room, out=room)
    np.exp(room, out=room)
    np.add(room, one(1), out=room)
    np.divide(out, room, out=out)


def softplus(x: Array, beta: float, threshold: float) -> Array:
    """log(1 + exp(beta · x)) / beta, and x itself where beta · x > threshold."""
    one = _checked(x, "softplus")
    if not beta > 0 or not math.isfinite(beta):
        raise ArgumentError("softplus needs beta to be a finite number above 0.", describe(beta=beta))
    return in_blocks(_softplus, x, one(beta), one(threshold), rooms=2)


def _softplus(out: Array, x: Array, beta: Any, threshold: Any, scaled: Array, soft: Array) -> None:
    np.multiply(x, beta, out=scaled)
    straight = scaled > threshold
    np.absolute(scaled, out=soft)
    np.negative(soft, out=soft)
    np.exp(soft, out=soft)
    np.log1p(soft, out=soft)
    np.maximum(scaled, x.dtype.type(0), out=scaled)
    np.add(soft, scaled, out=soft)
    np.divide(soft, beta, out=soft)
    write_selected(out, straight, x, soft, scaled)


def softplus_gradient(g: Array, x: Array, beta: float, threshold: float) -> Array:
    """The gradient of :func:`softplus`: g · sigmoid(beta · x), and g where beta · x > threshold."""
    one = g.dtype.type
    return in_blocks(_softplus_gradient, g, x, one(beta), one(threshold), rooms=2)


def _softplus_gradient(
    out: Array, g: Array, x: Array, beta: Any, threshold: Any, scaled: Array, slope: Array
) -> None:
    np.multiply(x, beta, out=scaled)
    straight = scaled > threshold
    _sigmoid(slope, scaled, out)
    np.multiply(g, slope, out=slope)
    write_selected(out, straight, g, slope, scaled)


def silu(x: Array) -> Array:
    """Gives x · sigmoid(x)."""
    _checked(x, "silu")
    found = passes.curved("silu", x)
    return in_blocks(_silu, x, rooms=1) if found is None else found


def _silu(out: Array, x: Array, room: Array) -> None:
    _sigmoid(out, x, room)
    np.multiply(x, out, out=out)


def silu_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`silu`: g · (s · (x · (1 − s) + 1)) with s = sigmoid(x)."""
    found = passes.curved("silu", x, g)
    return in_blocks(_silu_gradient, g, x, rooms=1) if found is None else found


def _silu_gradient(out: Array, g: Array, x: Array, s: Array) -> None:
    one = g.dtype.type
    _sigmoid(s, x, out)
    np.subtract(one(1), s, out=out)
    np.multiply(x, out, out=out)
    np.add(out, one(1), out=out)
    np.multiply(s, out, out=out)
    np.multiply(g, out, out=out)


def gelu(x: Array) -> Array:
    """Gives x · P(N ≤ x) for a standard normal N."""
    _checked(x, "gelu")
    found = passes.curved("gelu", x)
    return in_blocks(_gelu, x, rooms=ROOMS) if found is None else found


def _gelu(out: Array, x: Array, *rooms: Array) -> None:
    write_normal_cdf(out, x, *rooms)
    np.multiply(x, out, out=out)


def gelu_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`gelu`: g · (P(N ≤ x) + x · p(x)) with the density p."""
    found = passes.curved("gelu", x, g)
    return in_blocks(_gelu_gradient, g, x, rooms=ROOMS) if found is None else found


def _gelu_gradient(out: Array, g: Array, x: Array, *rooms: Array) -> None:
    write_normal_cdf(out, x, *rooms)
    density = rooms[0]
    write_normal_density(density, x)
    np.multiply(x, density, out=density)
    np.add(out, density, out=out)
    np.multiply(g, out, out=out)


def gelu_tanh(x: Array) -> Array:
    """GELU with the cumulative function approximated: x/2 · (tanh(√(2/π) · (x + 0.044715 · x³)) + 1)."""
    _checked(x, "gelu")
    return in_blocks(_gelu_tanh, x, rooms=1)


def _gelu_tanh(out: Array, x: Array, room: Array) -> None:
    one = x.dtype.type
    _gelu_curve(room, x)
    np.add(room, one(1), out=room)
    np.multiply(x, one(0.5), out=out)
    np.multiply(out, room, out=out)


def gelu_tanh_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`gelu_tanh`.

    With t = tanh(u) and u' = √(2/π) · (1 + 3 · 0.044715 · x²):  g · ((t + 1)/2 + x/2 · (1 − t²) · u').
    """
    return in_blocks(_gelu_tanh_gradient, g, x, rooms=3)


def _gelu_tanh_gradient(out: Array, g: Array, x: Array, t: Array, slope: Array, bend: Array) -> None:
    one = g.dtype.type
    _gelu_curve(t, x)
    np.multiply(x, x, out=slope)
    np.multiply(slope, one(3 * GELU_CUBIC), out=slope)
    np.add(slope, one(1), out=slope)
    np.multiply(slope, one(GELU_SCALE), out=slope)
    np.multiply(x, one(0.5), out=out)
    np.multiply(t, t, out=bend)
    np.subtract(one(1), bend, out=bend)
    np.multiply(out, bend, out=out)
    np.multiply(out, slope, out=out)
    np.add(t, one(1), out=t)
    np.multiply(t, one(0.5), out=t)
    np.add(t, out, out=out)
    np.multiply(g, out, out=out)


def _gelu_curve(out: Array, x: Array) -> None:
    """tanh(√(2/π) · (x + 0.044715 · x³))."""
    one = x.dtype.type
    np.multiply(x, x, out=out)
    np.multiply(out, x, out=out)
    np.multiply(out, one(GELU_CUBIC), out=out)
    np.add(x, out, out=out)
    np.multiply(out, one(GELU_SCALE), out=out)
    np.tanh(out, out=out)


def hardtanh(x: Array, low: float, high: float, op: str = "hardtanh") -> Array:
    """Brings x into [low, high]."""
    one = _checked(x, op)
    if not low <= high:
        raise ArgumentError(f"{op} needs min_val ≤ max_val.", describe(min_val=low, max_val=high))
    return in_blocks(_hardtanh, x, one(low), one(high))


def _hardtanh(out: Array, x: Array, low: Any, high: Any) -> None:
    np.maximum(x, low, out=out)
    np.minimum(out, high, out=out)


def hardtanh_gradient(g: Array, x: Array, low: float, high: float) -> Array:
    """The gradient of :func:`hardtanh`: 0 at the bounds and beyond them, as PyTorch has it."""
    one = g.dtype.type
    return in_blocks(_hardtanh_gradient, g, x, one(low), one(high))


def _hardtanh_gradient(out: Array, g: Array, x: Array, low: Any, high: Any) -> None:
    # Written so that NaN passes the gradient on.
    outside = x <= low
    np.logical_or(outside, x >= high, out=outside)
    np.logical_not(outside, out=outside)
    write_where(out, outside, g)


def threshold(x: Array, threshold: float, value: float) -> Array:
    """Gives x where x > threshold, otherwise ``value``; NaN stays."""
    one = _checked(x, "threshold")
    return select(_at_most(x, one(threshold)), value, x, x.dtype)


def threshold_gradient(g: Array, x: Array, threshold: float) -> Array:
    """The gradient of :func:`threshold`."""
    return select(_at_most(x, g.dtype.type(threshold)), 0.0, g, g.dtype)
