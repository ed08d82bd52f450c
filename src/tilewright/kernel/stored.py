"""How arrays lie in memory where kernels compute in float32: float16 and bfloat16 are read and written so."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def stored_of(dtype: np.dtype[Any]) -> str:
    """What kernels call a half, one of :data:`tilewright.kernel.builder.halves.STORED`; "" for other floats.

    >>> stored_of(np.dtype(np.float16)), stored_of(np.dtype(np.float32))
    ('half', '')
    """
    if dtype.itemsize > 2:
        return ""
    return "half" if dtype.kind == "f" else "bfloat"


def single(array: Array) -> Array:
    """A small array in C order, of halves as float32."""
    if array.dtype.itemsize > 2:
        return np.ascontiguousarray(array)
    return array.astype(np.float32, order="C")


def rounded_to(array: Array, to: Array) -> None:
    """Writes an array into another, of halves rounded to the nearest."""
    np.copyto(to, array, casting="unsafe" if to.dtype.itemsize == 2 else "same_kind")
