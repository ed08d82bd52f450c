"""Kinds of dtypes: halves, complex numbers, and what gradients exist for.

bfloat16 is no dtype of NumPy's own. The package ml_dtypes gives it one, of kind "V", which NumPy's functions
take; but a sum keeps eight bits all along, and Python's numbers beside it make float32. So what adds up does
so in float32, as for float16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.errors import need_extra

HALVES = ("float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
#: Kinds of the dtypes that tensors have gradients in. Of kind "V" they have bfloat16 alone.
DIFFERENTIABLE = "fVc"
#: Those of the real ones among them.
REAL = "fV"

FLOAT16, FLOAT32, FLOAT64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)


def bfloat16() -> np.dtype[Any]:
    """The dtype bfloat16: the upper half of a float32.

    Raises:
        MissingExtraError: ml_dtypes is not installed.
    """
    try:
        import ml_dtypes
    except ImportError as error:
        raise need_extra("ml_dtypes", "bfloat16", "The dtype bfloat16") from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether this is bfloat16, whoever made the array."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether this is float16 or bfloat16."""
    return dtype == FLOAT16 or is_bfloat16(dtype)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether this is a real floating dtype, bfloat16 among them."""
    return dtype.kind == "f" or is_bfloat16(dtype)


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which numbers of ``dtype`` are added up: halves in float32, all others in their own."""
    return FLOAT32 if is_half(dtype) else dtype


def real_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the parts of complex numbers; any other dtype as it is.

    >>> real_of(np.dtype("complex64"))
    dtype('float32')
    """
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
