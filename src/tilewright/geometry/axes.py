"""One place that turns what a caller wrote for an axis argument into a tuple of plain integers."""

from __future__ import annotations

import operator
from typing import Any

from tilewright.errors import ArgumentError, describe

#: An integer for every axis at once, or one integer per spatial axis.
PerAxis = int | tuple[int, ...] | list[int]

# Sizes and products of sizes are exact Python integers, so nothing overflows here. A single argument
# is bounded by what a 64-bit signed index can address, which is what NumPy and compiled code hold.
LARGEST = 2**63 - 1


def as_integer(value: Any, name: str, op: str, *, least: int) -> int:
    """One integer, from anything that is exactly one (NumPy integers too; never a bool or a float).

    Raises:
        ArgumentError: it is not an integer, is under ``least``, or does not fit 64 bits.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ArgumentError(f"{op} needs {name} to be an integer.", describe(**{name: value}))
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{op} needs {name} to be an integer.", describe(**{name: value})) from None
    if number < least or number > LARGEST:
        bound = f"at least {least}" if number < least else "below 2**63"
        raise ArgumentError(f"{op} needs {name} to be {bound}.", describe(**{name: value}))
    return number


def per_axis(value: Any, rank: int, name: str, op: str, *, least: int) -> tuple[int, ...]:
    """A tuple of ``rank`` integers from one integer (for all axes) or a sequence of exactly ``rank``.

    Raises:
        ArgumentError: wrong length, not integers, or a value under ``least``.

    >>> per_axis(2, 3, "stride", "conv", least=1)
    (2, 2, 2)
    """
    if type(value) is int:  # the common case, kept cheap
        return (as_integer(value, name, op, least=least),) * rank
    if isinstance(value, (tuple, list)):
        if len(value) != rank:
            raise ArgumentError(
                f"{op} needs {name} to be an integer or {rank} of them, one per spatial axis.",
                describe(**{name: value}),
            )
        return tuple(as_integer(item, name, op, least=least) for item in value)
    return (as_integer(value, name, op, least=least),) * rank


def sizes(shape: Any, name: str, op: str) -> tuple[int, ...]:
    """The sizes of an array's shape as plain integers, each at least 0."""
    return tuple(as_integer(size, f"every size of {name}", op, least=0) for size in shape)


def ceil_div(a: int, b: int) -> int:
    """The least integer not below a/b, exactly (also for negative a)."""
    return -(-a // b)
