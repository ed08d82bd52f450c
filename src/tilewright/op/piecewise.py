"""Activation functions made of straight or parabolic pieces, each with the gradient that its rule needs.

What :mod:`tilewright.op.activation` says of its functions holds for these: float32 or float64 arrays of any
shape in, new arrays of the same dtype out, worked out block by block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.op.arrays import FLOATS, check_array, check_same_dtype
from tilewright.op.memory import in_blocks
from tilewright.op.select import write_selected, write_where

Array = npt.NDArray[Any]

# Where the ramp of hard sigmoid and hard swish ends on either side, and how wide that makes it
# (Howard et al., "Searching for MobileNetV3", 2019).
_REACH, _WIDTH = 3.0, 6.0


def _checked(x: Array, op: str) -> type[Any]:
    """The dtype's own scalar: a constant made with it never widens the result."""
    scalar: type[Any] = check_array(x, "input", op, FLOATS).dtype.type
    return scalar


# --- hard sigmoid, hard swish ------------------------------------------------------------------------------


def hardsigmoid(x: Array) -> Array:
    """(x + 3)/6, brought into [0, 1]."""
    _checked(x, "hardsigmoid")
    return in_blocks(_hardsigmoid, x)


def _hardsigmoid(out: Array, x: Array) -> None:
    one = x.dtype.type
    np.add(x, one(_REACH), out=out)
    np.maximum(out, one(0), out=out)
    np.minimum(out, one(_WIDTH), out=out)
    np.divide(out, one(_WIDTH), out=out)


def hardsigmoid_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`hardsigmoid`: g/6 where −3 < x < 3, and 0 elsewhere (also where x is NaN)."""
    return in_blocks(_hardsigmoid_gradient, g, x, rooms=1)


def _hardsigmoid_gradient(out: Array, g: Array, x: Array, share: Array) -> None:
    one = g.dtype.type
    np.divide(g, one(_WIDTH), out=share)
    inside = x > one(-_REACH)
    np.logical_and(inside, x < one(_REACH), out=inside)
    write_where(out, inside, share)


def hardswish(x: Array) -> Array:
    """Gives x · hardsigmoid(x); at −∞ it is NaN, as −∞ · 0 is."""
    _checked(x, "hardswish")
    return in_blocks(_hardswish, x)


def _hardswish(out: Array, x: Array) -> None:
    one = x.dtype.type
    np.add(x, one(_REACH), out=out)
    np.maximum(out, one(0), out=out)
    np.minimum(out, one(_WIDTH), out=out)
    np.multiply(x, out, out=out)
    np.divide(out, one(_WIDTH), out=out)


def hardswish_gradient(g: Array, x: Array) -> Array:
    """The gradient of :func:`hardswish`: 0 where x ≤ −3, g where x ≥ 3, and g · (x/3 + ½) between."""
    return in_blocks(_hardswish_gradient, g, x, rooms=2)


def _hardswish_gradient(out: Array, g: Array, x: Array, ramp: Array, room: Array) -> None:
    one = g.dtype.type
    np.divide(x, one(_REACH), out=ramp)
    np.add(ramp, one(0.5), out=ramp)
    np.multiply(g, ramp, out=ramp)
    write_selected(out, x >= one(_REACH), g, ramp, room)
    np.copyto(room, out)
    above = x <= one(-_REACH)
    np.logical_not(above, out=above)
    write_where(out, above, room)


# --- shrinking ---------------------------------------------------------------------------------------------


def hardshrink(x: Array, limit: float) -> Array:
    """Gives x where it is outside [−limit, limit], and 0 inside; NaN stays."""
    one = _checked(x, "hardshrink")
    return in_blocks(_outside, x, x, one(limit))


def shrink_gradient(g: Array, x: Array, limit: float) -> Array:
    """The gradient of :func:`hardshrink` and :func:`softshrink`: g where x is outside, and 0 inside."""
    return in_blocks(_outside, g, x, g.dtype.type(limit))


def _outside(out: Array, chosen: Array, x: Array, limit: Any) -> None:
    inside = x <= limit
    np.logical_and(inside, x >= -limit, out=inside)
    np.logical_not(inside, out=inside)
    write_where(out, inside, chosen)


def softshrink(x: Array, limit: float) -> Array:
    """Gives x − limit above ``limit``, x + limit below −limit, and 0 between; NaN stays.

    Raises:
        ArgumentError: ``limit`` is below 0.
    """
    one = _checked(x, "softshrink")
    if not limit >= 0:
        raise ArgumentError("softshrink needs lambd of at least 0.", describe(lambd=limit))
    return in_blocks(_softshrink, x, one(limit), rooms=1)


def _softshrink(out: Array, x: Array, limit: Any, room: Array) -> None:
    zero = x.dtype.type(0)
    np.subtract(x, limit, out=out)
    np.maximum(out, zero, out=out)
    np.add(x, limit, out=room)
    np.minimum(room, zero, out=room)
    # One of the two is 0.
    np.add(out, room, out=out)


# --- slopes that are learnt --------------------------------------------------------------------------------


def check_slopes(x: Array, weight: Array) -> None:
    """Refuse slopes for ``prelu`` that are neither one number nor one for each channel of x.

    Raises:
        ShapeError, DtypeError: naming both.
    """
    check_array(x, "input", "prelu", FLOATS)
    check_array(weight, "weight", "prelu", FLOATS)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(
            f"prelu needs weight with one slope or one per channel, of shape (1,) or ({channels},).",
            describe(weight=weight, input=x),
        )
    check_same_dtype("prelu", input=x, weight=weight)


def prelu(x: Array, slope: Array) -> Array:
    """Gives x where x > 0, otherwise slope · x, for slopes that broadcast to the shape of x."""
    _checked(x, "prelu")
    if slope.size == 1:
        return in_blocks(_prelu, x, slope.reshape(()), rooms=2)
    return in_blocks(_prelu, x, slope, rooms=2)


def _prelu(out: Array, x: Array, slope: Any, bent: Array, room: Array) -> None:
    np.multiply(x, slope, out=bent)
    write_selected(out, x > 0, x, bent, room)


def prelu_gradient(g: Array, x: Array, slope: Array) -> Array:
    """The gradient of :func:`prelu` in x: g where x > 0, otherwise slope · g."""
    if slope.size == 1:
        return in_blocks(_prelu_gradient, g, x, slope.reshape(()), rooms=2)
    return in_blocks(_prelu_gradient, g, x, slope, rooms=2)


def _prelu_gradient(out: Array, g: Array, x: Array, slope: Any, bent: Array, room: Array) -> None:
    np.multiply(g, slope, out=bent)
    write_selected(out, x > 0, g, bent, room)


def product_below(a: Array, b: Array, x: Array) -> Array:
    """Gives a · b where x ≤ 0 or NaN, and 0 elsewhere: what each element adds to the gradient of a slope."""
    return in_blocks(_product_below, a, b, x, rooms=1)


def _product_below(out: Array, a: Array, b: Array, x: Array, product: Array) -> None:
    np.multiply(a, b, out=product)
    above = x > 0
    np.logical_not(above, out=above)
    write_where(out, above, product)


def check_bounds(lower: float, upper: float) -> None:
    """Refuse bounds of ``rrelu``'s slopes that are not finite, or the wrong way round.

    Raises:
        ArgumentError: naming both.
    """
    if not (np.isfinite(lower) and np.isfinite(upper) and lower <= upper):
        raise ArgumentError(
            "rrelu needs finite numbers with lower ≤ upper.", describe(lower=lower, upper=upper)
        )
