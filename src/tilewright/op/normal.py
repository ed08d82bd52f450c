"""The normal distribution: its cumulative function and its density, which NumPy does not have.

For z ≥ 0 the complementary error function is written as

    erfc(z) = t · exp(−z² + p(t)),   t = 1 / (1 + z/2)

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

from tilewright.op.select import select

Array = npt.NDArray[Any]

# By item size. Measured against math.erfc, more terms than these gain nothing: rounding is what is left.
_DEGREES = {4: 10, 8: 26}
# erfc(26) = 6e-296 is the last whole number's that float64 holds in full; beyond 28 erfc is 0 in every dtype.
_FITTED_TO = 26.0
_ZERO_FROM = 28.0
_T_LEAST = 1.0 / (1.0 + _FITTED_TO / 2.0)
# Elements worked on at a time: few enough for the dozens of passes of the polynomial to stay in the L2 cache,
# many enough for the cost of a NumPy call not to show.
_BLOCK = 32768


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


def _upper_tail(z: Array) -> Any:
    """erfc(z) / 2 for a flat block of z ≥ 0 (NaN stays NaN)."""
    one = z.dtype.type
    z = np.minimum(z, one(_ZERO_FROM))
    t = one(1) / (one(1) + z * one(0.5))
    u = t * one(2.0 / (1.0 - _T_LEAST)) - one((1.0 + _T_LEAST) / (1.0 - _T_LEAST))
    highest, *lower = _powers(_DEGREES[z.dtype.itemsize])
    # Horner's scheme, in place.
    now = u * one(highest)
    for coefficient in lower[:-1]:
        now += one(coefficient)
        now *= u
    now += one(lower[-1])
    now -= z * z
    np.exp(now, out=now)
    now *= t
    now *= one(0.5)
    return now


def normal_cdf(x: Array) -> Array:
    """The probability that a standard normal number is at most x: (1 + erf(x/√2)) / 2.

    Args:
        x: float32 or float64 array of any shape.

    Small probabilities keep their digits: for x below 0, where 1 + erf would cancel, the tail itself is
    computed. The absolute error is below 3e-7 in float32 and 1e-15 in float64.
    """
    flat = np.ravel(x)
    result = np.empty(flat.shape, flat.dtype)
    one = flat.dtype.type
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        tail = _upper_tail(np.abs(block) * one(math.sqrt(0.5)))
        result[start : start + _BLOCK] = select(block > 0, one(1) - tail, tail, tail.dtype)
    return result.reshape(x.shape)


def normal_density(x: Array) -> Array:
    """exp(−x²/2) / √(2π)."""
    one = x.dtype.type
    return np.asarray(np.exp(x * x * one(-0.5)) * one(1.0 / math.sqrt(2.0 * math.pi)))
