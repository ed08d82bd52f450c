"""The normal distribution: its cumulative function and its density, which NumPy does not have.

For z ≥ 0 the complementary error function is written as

    erfc(z) = t · exp(p(t)) · exp(−z²),   t = 1 / (1 + z/2)

where p is smooth on all of (0, 1] (Press et al., "Numerical Recipes", 3rd ed., section 6.2.2). The polynomial
that meets it at Chebyshev's points is worked out once, from the ``erfc`` of Python's ``math``, so no table of
constants is copied.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.op.memory import in_blocks
from tilewright.op.select import write_selected

Array = npt.NDArray[Any]

# By item size. Measured against math.erfc, more terms than these gain nothing: rounding is what is left.
_DEGREES = {4: 10, 8: 26}
# erfc(26) = 6e-296 is the last whole number's that float64 holds in full; beyond 28 erfc is 0 in every dtype.
_FITTED_TO = 26.0
_ZERO_FROM = 28.0
_T_LEAST = 1.0 / (1.0 + _FITTED_TO / 2.0)
# By item size: the integer of that size, and a mask that leaves a float half of its digits.
_UPPER_HALF: dict[int, tuple[Any, int]] = {4: (np.int32, -1 << 12), 8: (np.int64, -1 << 27)}

#: How many rooms :func:`write_normal_cdf` takes.
ROOMS = 4


@cache
def _powers(degree: int) -> tuple[float, ...]:
    """The coefficients of p, highest first, as a polynomial in u from −1 to 1: t runs from _T_LEAST to 1."""
    # Only GELU needs it, and it takes a while to import.
    from numpy.polynomial import chebyshev

    def p(u: Array) -> Array:
        t = _T_LEAST + (u + 1.0) * (1.0 - _T_LEAST) / 2.0
        z = 2.0 / t - 2.0
        values = [math.log(math.erfc(one)) + one * one for one in z.tolist()]
        return np.asarray(values) - np.log(t)

    interpolate: Any = chebyshev.chebinterpolate  # its stub takes no functions of arrays
    # All of them are below 1, so adding up powers costs no more digits than Chebyshev's own polynomials do.
    return tuple(float(c) for c in chebyshev.cheb2poly(interpolate(p, degree))[::-1])


def _write_upper_tail(out: Array, z: Array, t: Array, u: Array, rest: Array) -> None:
    """Write P(N > z) for z ≥ 0 (NaN stays NaN) to ``out``; z is overwritten, the others are rooms like it."""
    one = z.dtype.type
    # erfc is taken of z/√2.
    np.minimum(z, one(_ZERO_FROM * math.sqrt(2.0)), out=z)
    np.multiply(z, one(math.sqrt(0.125)), out=t)
    np.add(one(1), t, out=t)
    np.divide(one(1), t, out=t)
    np.multiply(t, one(2.0 / (1.0 - _T_LEAST)), out=u)
    np.subtract(u, one((1.0 + _T_LEAST) / (1.0 - _T_LEAST)), out=u)
    highest, *lower = _powers(_DEGREES[z.dtype.itemsize])
    # Horner's scheme, in place.
    np.multiply(u, one(highest), out=out)
    for coefficient in lower[:-1]:
        np.add(out, one(coefficient), out=out)
        np.multiply(out, u, out=out)
    np.add(out, one(lower[-1]), out=out)
    # What z² is wrong by, the result is wrong by relatively. So z is cut in two: the square of the upper half
    # of its digits is exact, and the rest is small.
    whole, mask = _UPPER_HALF[z.dtype.itemsize]
    np.bitwise_and(z.view(whole), whole(mask), out=u.view(whole))
    np.subtract(z, u, out=rest)
    np.add(z, u, out=z)
    np.multiply(rest, z, out=rest)
    np.multiply(rest, one(0.5), out=rest)
    np.subtract(out, rest, out=out)
    np.exp(out, out=out)
    np.multiply(out, t, out=out)
    np.multiply(u, u, out=u)
    np.multiply(u, one(-0.5), out=u)
    np.exp(u, out=u)
    np.multiply(out, u, out=out)
    np.multiply(out, one(0.5), out=out)


def write_normal_cdf(out: Array, x: Array, z: Array, t: Array, u: Array, rest: Array) -> None:
    """Write :func:`normal_cdf` of a block to ``out``; the others are :data:`ROOMS` rooms like it."""
    one = x.dtype.type
    np.absolute(x, out=z)
    _write_upper_tail(out, z, t, u, rest)
    np.subtract(one(1), out, out=t)
    np.copyto(z, out)
    write_selected(out, x > 0, t, z, u)


def normal_cdf(x: Array) -> Array:
    """The probability that a standard normal number is at most x: (1 + erf(x/√2)) / 2.

    Args:
        x: float32 or float64 array of any shape.

    Small probabilities keep their digits: for x below 0, where 1 + erf would cancel, the tail itself is
    computed, to a few units in the last place as long as it is a normal number. The absolute error is below
    3e-7 in float32 and 1e-15 in float64.
    """
    return in_blocks(write_normal_cdf, x, rooms=ROOMS)


def write_normal_density(out: Array, x: Array) -> None:
    """Write :func:`normal_density` of a block to ``out``."""
    one = x.dtype.type
    np.multiply(x, x, out=out)
    np.multiply(out, one(-0.5), out=out)
    np.exp(out, out=out)
    np.multiply(out, one(1.0 / math.sqrt(2.0 * math.pi)), out=out)


def normal_density(x: Array) -> Array:
    """exp(−x²/2) / √(2π)."""
    return in_blocks(write_normal_density, x)
