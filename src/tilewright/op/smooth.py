"""Smooth activation functions, each with the gradient that its rule needs.

What :mod:`tilewright.op.activation` says of its functions holds for these: float32 or float64 arrays of any
shape in, new arrays of the same dtype out, worked out block by block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.op.arrays import FLOATS, check_array
from tilewright.op.memory import in_blocks
from tilewright.op.select import write_selected

Array = npt.NDArray[Any]

# With these a layer's outputs keep mean 0 and variance 1 (Klambauer, Unterthiner, Mayr and Hochreiter,
# "Self-normalizing neural networks", 2017, section 2; more digits than the paper prints).
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _checked(x: Array, op: str) -> type[Any]:
    """The dtype's own scalar: a constant made with it never widens the result."""
    scalar: type[Any] = check_array(x, "input", op, FLOATS).dtype.type
    return scalar


# --- exponential units -------------------------------------------------------------------------------------


def exponential_unit(x: Array, scale: float, drop: float, width: float, op: str) -> Array:
    """Gives scale · x where x > 0, otherwise drop · (exp(x/width) − 1).

    Args:
        x: the input.
        scale: the slope above 0.
        drop: how far below 0 it ends.
        width: over how many units of x it ends.
        op: the name for messages.

    Raises:
        ArgumentError: ``width`` is 0.
    """
    one = _checked(x, op)
    if not width != 0:
        raise ArgumentError(f"{op} needs alpha other than 0.", describe(alpha=width))
    return in_blocks(_exponential_unit, x, one(scale), one(drop), one(width), rooms=1)


def _exponential_unit(out: Array, x: Array, scale: Any, drop: Any, width: Any, room: Array) -> None:
    zero = x.dtype.type(0)
    np.minimum(x, zero, out=room)
    np.divide(room, width, out=room)
    np.expm1(room, out=room)
    np.multiply(room, drop, out=room)
    np.maximum(x, zero, out=out)
    np.multiply(out, scale, out=out)
    # One of the two is 0.
    np.add(out, room, out=out)


def exponential_unit_gradient(g: Array, x: Array, scale: float, drop: float, width: float) -> Array:
    """The gradient of :func:`exponential_unit`; at 0 it is that of the left side."""
    one = g.dtype.type
    return in_blocks(_exponential_unit_gradient, g, x, one(scale), one(drop / width), one(width), rooms=2)


def _exponential_unit_gradient(
    out: Array, g: Array, x: Array, scale: Any, steepest: Any, width: Any, room: Array, other: Array
) -> None:
    zero = x.dtype.type(0)
    np.minimum(x, zero, out=room)
    np.divide(room, width, out=room)
    np.exp(room, out=room)
    np.multiply(room, steepest, out=room)
    np.multiply(g, room, out=room)
    np.multiply(g, scale, out=out)
    write_selected(out, x > zero, out, room, other)


# --- mish --------------------------------------------------------------------------------------------------


def mish(x: Array) -> Array:
    """Gives x · tanh(log(1 + exp(x))).

    With a = exp(min(x, 0)) and b = exp(−max(x, 0)) the tangent is a·(a + 2·b)/(a² + 2·a·b + 2·b²): no
    logarithm is taken, nothing overflows, and nothing cancels.

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    _checked(x, "mish")
    return in_blocks(_mish, x, rooms=3)


def _mish(out: Array, x: Array, a: Array, b: Array, bottom: Array) -> None:
    _write_tangent(out, x, a, b, bottom)
    np.multiply(x, out, out=out)


def _write_tangent(out: Array, x: Array, a: Array, b: Array, bottom: Array) -> None:
    """Write tanh(log(1 + exp(x))) to ``out``; a, b and its denominator to the others."""
    zero = x.dtype.type(0)
    np.minimum(x, zero, out=a)
    np.exp(a, out=a)
    np.maximum(x, zero, out=b)
    np.negative(b, out=b)
    np.exp(b, out=b)
    np.add(b, b, out=bottom)
    np.add(a, bottom, out=out)
    np.multiply(a, out, out=out)
    np.multiply(b, bottom, out=bottom)
    np.add(out, bottom, out=bottom)
    np.divide(out, bottom, out=out)


def mish_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`mish`: g · (t + x · (1 − t²) · sigmoid(x)) with the tangent t.

    With a and b as in :func:`mish` and the tangent's denominator d, the factor of x is 4·a·b²·(a + b)/d².
    """
    return in_blocks(_mish_gradient, g, x, rooms=3)


def _mish_gradient(out: Array, g: Array, x: Array, a: Array, b: Array, bottom: Array) -> None:
    _write_tangent(out, x, a, b, bottom)
    np.divide(b, bottom, out=bottom)
    np.add(a, b, out=b)
    np.multiply(a, b, out=a)
    np.multiply(bottom, bottom, out=bottom)
    np.multiply(a, bottom, out=a)
    np.multiply(a, x.dtype.type(4), out=a)
    np.multiply(x, a, out=a)
    np.add(out, a, out=out)
    np.multiply(g, out, out=out)


# --- the others --------------------------------------------------------------------------------------------


def logsigmoid(x: Array) -> Array:
    """The logarithm of sigmoid(x), min(x, 0) − log(1 + exp(−|x|)): nothing is lost where that would be 0."""
    _checked(x, "logsigmoid")
    return in_blocks(_logsigmoid, x, rooms=1)


def _logsigmoid(out: Array, x: Array, room: Array) -> None:
    np.absolute(x, out=room)
    np.negative(room, out=room)
    np.exp(room, out=room)
    np.log1p(room, out=room)
    np.minimum(x, x.dtype.type(0), out=out)
    np.subtract(out, room, out=out)


def logsigmoid_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`logsigmoid`: g · sigmoid(−x)."""
    return in_blocks(_logsigmoid_gradient, g, x, rooms=1)


def _logsigmoid_gradient(out: Array, g: Array, x: Array, room: Array) -> None:
    one = g.dtype.type
    # exp(−x) / (1 + exp(−x)) above 0 and 1 / (1 + exp(x)) below, with exp only ever of −|x|.
    np.maximum(x, one(0), out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.absolute(x, out=room)
    np.negative(room, out=room)
    np.exp(room, out=room)
    np.add(room, one(1), out=room)
    np.divide(out, room, out=out)
    np.multiply(g, out, out=out)


def softsign(x: Array) -> Array:
    """Gives x / (1 + |x|); at ±∞ it is NaN, as ∞/∞ is."""
    _checked(x, "softsign")
    return in_blocks(_softsign, x)


def _softsign(out: Array, x: Array) -> None:
    np.absolute(x, out=out)
    np.add(out, x.dtype.type(1), out=out)
    np.divide(x, out, out=out)


def softsign_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`softsign`: g / (1 + |x|)²."""
    return in_blocks(_softsign_gradient, g, x, rooms=1)


def _softsign_gradient(out: Array, g: Array, x: Array, room: Array) -> None:
    np.absolute(x, out=room)
    np.add(room, g.dtype.type(1), out=room)
    # Twice, since the square may overflow.
    np.divide(g, room, out=out)
    np.divide(out, room, out=out)


def tanhshrink(x: Array) -> Array:
    """Gives x − tanh(x)."""
    _checked(x, "tanhshrink")
    return in_blocks(_tanhshrink, x)


def _tanhshrink(out: Array, x: Array) -> None:
    np.tanh(x, out=out)
    np.subtract(x, out, out=out)


def tanhshrink_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`tanhshrink`: g · tanh(x)²."""
    return in_blocks(_tanhshrink_gradient, g, x)


def _tanhshrink_gradient(out: Array, g: Array, x: Array) -> None:
    np.tanh(x, out=out)
    np.multiply(out, out, out=out)
    np.multiply(g, out, out=out)
