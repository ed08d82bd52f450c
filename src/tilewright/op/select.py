"""Choosing between two numbers without a branch.

``np.where`` branches on every element; where the condition follows no pattern (a ReLU's signs), the processor
guesses wrong half of the time, and it takes 6 ns per element. Selecting bits takes 0.3 to 0.6 ns, and moves
infinity and NaN untouched, which a product with 0 and 1 would not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.op.memory import in_blocks

Array = npt.NDArray[Any]

# Integers as wide as the numbers, by item size.
_BITS: dict[int, Any] = {2: np.int16, 4: np.int32, 8: np.int64}


def select(condition: Any, chosen: Any, otherwise: Any, dtype: Any) -> Array:
    """``chosen`` where ``condition`` holds and ``otherwise`` elsewhere, broadcast, as a new array.

    Args:
        condition: bools.
        chosen: an array of ``dtype``, or a number; the number 0 is quickest.
        otherwise: an array of ``dtype``, or a number; the number 0 is quickest.
        dtype: of the result, 2, 4 or 8 bytes wide.

    >>> select(np.array([True, False]), np.array([1.0, 2.0]), 0.0, np.float64)
    array([1., 0.])
    """
    found = np.dtype(dtype)
    bits = _BITS[found.itemsize]
    test = np.asarray(condition)
    one, other = np.asarray(chosen, found).view(bits), np.asarray(otherwise, found).view(bits)
    # The bits of 0 (but not of −0) are all 0.
    if other.ndim == 0 and other == 0:
        return in_blocks(_one_or_zero, test, one, dtype=bits).view(found)
    if one.ndim == 0 and one == 0:
        return in_blocks(_zero_or_other, test, other, dtype=bits).view(found)
    return in_blocks(_one_or_other, test, one, other, dtype=bits, rooms=1).view(found)


def write_where(out: Array, condition: Array, chosen: Array) -> None:
    """Write ``chosen`` to ``out`` where ``condition`` holds, and 0 elsewhere. All are of one shape."""
    bits = _BITS[out.dtype.itemsize]
    _one_or_zero(out.view(bits), condition, chosen.view(bits))


def write_selected(out: Array, condition: Array, chosen: Array, otherwise: Array, room: Array) -> None:
    """Write ``chosen`` to ``out`` where ``condition`` holds and ``otherwise`` elsewhere.

    All are of one shape; ``room`` is like ``out``, and none of the others.
    """
    bits = _BITS[out.dtype.itemsize]
    _one_or_other(out.view(bits), condition, chosen.view(bits), otherwise.view(bits), room.view(bits))


def _one_or_zero(out: Array, condition: Array, one: Array) -> None:
    # As integers: a number's bits, times 1 or 0.
    np.copyto(out, condition)
    np.multiply(out, one, out=out)


def _zero_or_other(out: Array, condition: Array, other: Array) -> None:
    _one_or_zero(out, np.logical_not(condition), other)


def _one_or_other(out: Array, condition: Array, one: Array, other: Array, room: Array) -> None:
    np.bitwise_xor(one, other, out=room)
    np.copyto(out, condition)
    # −1, of which all bits are set, or 0.
    np.negative(out, out=out)
    np.bitwise_and(out, room, out=out)
    np.bitwise_xor(out, other, out=out)
