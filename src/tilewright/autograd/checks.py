"""Axes and shapes as callers give them, checked once."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.geometry.axes import MOST_AXES
from tilewright.op.arrays import broadcast_shape


class OutOfRangeError(ShapeError, IndexError):
    """An axis or an index that the tensor doesn't have; also an IndexError, as Python's protocols need."""


def whole(name: str, value: Any, what: str) -> int:
    """``value`` as an int; a float or a text is refused."""
    try:
        return operator.index(value)
    except TypeError:
        raise DtypeError(f"{name} needs {what} as an int.", describe(found=value)) from None


def axis(name: str, dim: Any, rank: int) -> int:
    """One axis, counted from the end when negative; a tensor of rank 0 lets 0 and -1 pass."""
    found = whole(name, dim, "dim")
    span = max(rank, 1)
    if not -span <= found < span:
        raise OutOfRangeError(
            f"{name} needs a dim from {-span} to {span - 1} for a tensor of rank {rank}.", describe(dim=found)
        )
    return found % span


def axes(name: str, dim: Any, rank: int) -> tuple[int, ...]:
    """Some axes, in rising order; None or none at all are all of them."""
    if dim is None:
        return tuple(range(rank))
    if isinstance(dim, (tuple, list)):
        found = tuple(axis(name, d, rank) for d in dim)
        if not found:
            return tuple(range(rank))
        if len(set(found)) != len(found):
            raise ArgumentError(f"{name} needs each dim once.", describe(dim=tuple(dim)))
    else:
        found = (axis(name, dim, rank),)
    return tuple(sorted(found)) if rank else ()


def check_rank(name: str, rank: int) -> None:
    """Refuse to make a result of more axes than arrays have."""
    if rank > MOST_AXES:
        raise ShapeError(f"{name} needs a result of at most {MOST_AXES} axes.", f"a result of {rank} axes")


def sizes(name: str, given: Sequence[Any]) -> tuple[int, ...]:
    """Sizes given as ``f(2, 3)``, ``f((2, 3))`` or ``f([2, 3])``."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    check_rank(name, len(given))
    return tuple(whole(name, size, "each size") for size in given)


def shape_to_make(name: str, given: Sequence[Any]) -> tuple[int, ...]:
    """Like :func:`sizes`, for a tensor to be made: no size is negative."""
    found = sizes(name, given)
    if any(size < 0 for size in found):
        raise ShapeError(f"{name} needs sizes of 0 or more.", describe(size=found))
    return found


def broadcast(name: str, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that ``shapes`` broadcast to."""
    try:
        return broadcast_shape(*(tuple(shape) for shape in shapes))
    except ValueError:
        raise shapes_differ(name, *shapes) from None


def shapes_differ(name: str, *shapes: Sequence[int]) -> ShapeError:
    """The error for operands that don't broadcast."""
    return ShapeError(
        f"{name} needs shapes that broadcast: from the last axis back, sizes are equal or 1.",
        " and ".join(str(tuple(shape)) for shape in shapes),
    )
