"""One place that turns what a caller wrote for an axis argument into a tuple of plain integers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, describe

#: An integer for every axis at once, or one integer per spatial axis.
PerAxis = int | tuple[int, ...] | list[int]

# Sizes and products of sizes are exact Python integers, so nothing overflows here. A single argument
# is bounded by what a 64-bit signed index can address, which is what NumPy and compiled code hold.
LARGEST = 2**63 - 1
# NumPy's arrays have no more.
MOST_AXES = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32


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


def as_rank(value: Any, op: str) -> int:
    """A number of spatial axes.

    Raises:
        ArgumentError: it is no integer, under 1, or more than arrays have.
    """
    rank = as_integer(value, "rank", op, least=1)
    if rank > MOST_AXES - 2:
        raise ArgumentError(
            f"{op} needs rank to be at most {MOST_AXES - 2}, beside the axes of batch and channels.",
            describe(rank=value),
        )
    return rank


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


def as_flag(value: Any, name: str, op: str) -> bool:
    """One truth value: True or False (NumPy's too), or 0 or 1.

    Raises:
        DtypeError: it is anything else. A text such as "no" would count as true.
    """
    if value is True or value is False:  # the common case, kept cheap
        return value is True
    # NumPy's bool is called so in NumPy 2, and bool_ before.
    if type(value).__name__ in ("bool", "bool_") or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise DtypeError(f"{op} needs {name} to be True or False.", describe(**{name: value}))


def as_shape(value: Any, name: str, op: str) -> tuple[Any, ...]:
    """A shape as a tuple that a cache can look up; :func:`sizes` says whether its entries are sizes.

    Raises:
        ArgumentError: it is no tuple or list, or one that holds another.
    """
    if isinstance(value, (tuple, list)):
        shape = tuple(value)
        try:
            hash(shape)
        except TypeError:
            pass
        else:
            return shape
    raise ArgumentError(f"{op} needs {name} to be a shape, one integer per axis.", describe(**{name: value}))


def as_op(value: Any) -> str:
    """The name that messages begin with; caches look geometries up by it too.

    Raises:
        DtypeError: it is no text.
    """
    if not isinstance(value, str):
        raise DtypeError(
            "A geometry needs op to be a text, the name that messages begin with.", describe(op=value)
        )
    return value


def sizes(shape: Any, name: str, op: str) -> tuple[int, ...]:
    """The sizes of an array's shape as plain integers, each at least 0."""
    return tuple(as_integer(size, f"every size of {name}", op, least=0) for size in shape)


def ceil_div(a: int, b: int) -> int:
    """The least integer not below a/b, exactly (also for negative a)."""
    return -(-a // b)
