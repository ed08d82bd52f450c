"""What all pools ask of the arrays they are given, and where they put their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.kernel import buffers
from tilewright.op.arrays import FLOATS, NUMBERS, check_array, empty_in_layout
from tilewright.op.kinds import COMPLEX, HALVES
from tilewright.op.kinds import sum_dtype as wide

Array = npt.NDArray[Any]

#: What powers of can be added up; halves in float32.
SUMMED = (*HALVES, *FLOATS)
#: What has a mean.
AVERAGED = (*SUMMED, *COMPLEX)
#: What can be compared: no complex numbers.
COMPARED = (*HALVES, *NUMBERS)

__all__ = [
    "AVERAGED",
    "COMPARED",
    "SUMMED",
    "check_fits",
    "empty_indices",
    "indices_like",
    "result_like",
    "wide",
]


def check_fits(op: str, shape: tuple[int, ...], value: Any, name: str, allowed: tuple[str, ...]) -> Array:
    """``value``, if it is an array of this shape and of an allowed dtype.

    Raises:
        ShapeError, DtypeError: it is not.
    """
    array = check_array(value, name, op, allowed)
    if array.shape != shape:
        raise ShapeError(f"{op} needs {name} of shape {shape}.", describe(**{name: array}))
    return array


def empty_indices(op: str, shape: tuple[int, ...]) -> Array:
    """An uninitialised array for positions in planes.

    Raises:
        ShapeError: no memory holds it.
    """
    return _held(op, shape, lambda: buffers.empty(shape, np.int64))


def indices_like(op: str, y: Array) -> Array:
    """An uninitialised array for positions in planes, in the shape and memory layout of ``y``.

    Raises:
        ShapeError: no memory holds it.
    """
    return _held(op, y.shape, lambda: empty_in_layout(y.shape, y, np.int64))


def result_like(op: str, x: Array, shape: tuple[int, ...]) -> Array:
    """An uninitialised array of ``shape`` in the dtype and memory layout of ``x``.

    Raises:
        ShapeError: no memory holds it.
    """
    return _held(op, shape, lambda: empty_in_layout(shape, x))


def _held(op: str, shape: tuple[int, ...], allocate: Callable[[], Array]) -> Array:
    try:
        return allocate()
    except (MemoryError, OverflowError, ValueError):
        raise ShapeError(f"{op} needs a result that memory holds.", describe(shape=shape)) from None
