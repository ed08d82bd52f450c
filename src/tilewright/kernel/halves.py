"""Small arrays brought from halves to float32 for a kernel, and back: by a compiled pass where that pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import buffers
from tilewright.kernel.elementwise import call

Array = npt.NDArray[Any]

# NumPy takes some 2 ns for a number of float16, and a call 5 µs.
_LARGE = 4096


def single(array: Array) -> Array:
    """An array in C order, of halves as float32."""
    array = np.ascontiguousarray(array)
    return array if array.dtype.itemsize > 2 else widened(array)


def widened(array: Array) -> Array:
    """Halves as float32, in the same order in memory."""
    if array.size < _LARGE:
        return array.astype(np.float32)
    found = np.empty_like(array, np.float32)
    rounded_to(array, found)
    return found


def rounded_to(array: Array, to: Array) -> None:
    """Writes an array into another: float32 as halves, rounded to the nearest, or the other way round."""
    if array.dtype == to.dtype:
        np.copyto(to, array)
    elif array.size < _LARGE or not (_dense(array, to) and array.flags.aligned and to.flags.aligned):
        np.copyto(to, array, casting="unsafe")
    else:
        call.rounded(array, to)


def rounded(array: Array, dtype: np.dtype[Any]) -> Array:
    """An array in C order in another dtype, as :func:`rounded_to` writes it; itself, if it has that one."""
    if array.dtype == dtype:
        return array
    found = buffers.empty(array.shape, dtype)
    rounded_to(array, found)
    return found


def _dense(a: Array, b: Array) -> bool:
    """Whether elements of both follow each other in the same order."""
    if a.flags.c_contiguous and b.flags.c_contiguous:
        return True
    back = sorted(range(a.ndim), key=lambda axis: -a.strides[axis])
    return a.transpose(back).flags.c_contiguous and b.transpose(back).flags.c_contiguous
