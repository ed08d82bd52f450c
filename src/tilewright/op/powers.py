"""Powers and roots that keep a sign, as Lp pooling and its gradients need them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def is_odd(p: float) -> bool:
    """Whether ``p`` is an odd whole number, so that x^p has the sign of x."""
    return p % 2 == 1


def signed_power(x: Array, exponent: float, odd: bool, at_zero: float = 1.0) -> Array:
    """|x|^exponent, with the sign of x if ``odd``, and 0 (no pole) where x is 0.

    Args:
        x: floating.
        exponent: any number.
        odd: keep the sign.
        at_zero: the value of |0|^0, without sign.

    >>> signed_power(np.array([-2.0, 0.0, 2.0]), -1.0, True)
    array([-0.5,  0. ,  0.5])
    """
    if exponent == 0:
        return np.asarray(np.sign(x) if odd else np.where(x == 0, x.dtype.type(at_zero), x.dtype.type(1)))
    if exponent == 1:
        return x if odd else np.abs(x)
    if exponent == 2:
        return x * np.abs(x) if odd else x * x
    if exponent == 3 and odd:
        return x * x * x
    size = np.abs(x)
    found = size if exponent == -1 else np.power(size, x.dtype.type(abs(exponent)))
    if exponent < 0:
        found = np.divide(1, found, out=np.zeros_like(found), where=size != 0)
    return np.copysign(found, x) if odd else found


def signed_root(total: Array, p: float) -> Array:
    """The number whose :func:`signed_power` to ``p`` is ``total``; it may be ``total`` itself.

    >>> signed_root(np.array([-8.0, 27.0]), 3)
    array([-2.,  3.])
    """
    if p == 1:
        return total
    if p == 2:
        return np.asarray(np.sqrt(total))
    if p == 3:
        return np.asarray(np.cbrt(total))
    found = np.power(np.abs(total), total.dtype.type(1 / p))
    return np.asarray(np.copysign(found, total) if is_odd(p) else found)
