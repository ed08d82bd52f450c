"""Operands of every dtype that convolution takes, and what their sums are in a wider one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]

HALVES = ("float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
EVERY = ("float32", "float64", *HALVES, *COMPLEX, *INTEGERS)

# Half a step of the significand, and what sums of a few hundred products lose in the dtype they are made in.
_RELATIVE = {
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "float32": 3e-6,
    "complex64": 3e-6,
    "float64": 1e-12,
    "complex128": 1e-12,
}


def dtype_named(name: str) -> np.dtype[Any]:
    """A dtype by name; a test of bfloat16 skips where there is none."""
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="bfloat16 needs it: pip install 'tilewright[bfloat16]'")
    return np.dtype(name)


def sample(shape: tuple[int, ...], seed: int, name: str) -> Array:
    """Normally distributed numbers; integers from the whole range of their dtype."""
    dtype, drawn = dtype_named(name), np.random.default_rng(seed)
    if dtype.kind in "iu":
        range_of = np.iinfo(dtype)
        return drawn.integers(range_of.min, range_of.max, shape, dtype, endpoint=True)
    x = drawn.standard_normal(shape)
    return (x + 1j * drawn.standard_normal(shape) if dtype.kind == "c" else x).astype(dtype)


def wide(x: Array) -> Array:
    """The same numbers where sums of them are exact or nearly so: modulo 2⁶⁴ for integers."""
    if x.dtype.kind in "iu":
        return x.astype(np.int64)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def tolerance(name: str, size: float = 1.0) -> dict[str, Any]:
    """How far a sum whose products are of this size may be from that of :func:`wide` operands."""
    if name not in _RELATIVE:
        return {"rtol": 0, "atol": 0, "reason": "integers are exact modulo their range"}
    relative = _RELATIVE[name]
    if name in HALVES:
        # float32's rounding may tip the one that follows.
        return {"rtol": relative * 1.001, "atol": 3e-6 * size, "reason": "one rounding of a sum in float32"}
    return {"rtol": relative, "atol": relative * size, "reason": f"a sum in {name}, in another order"}
