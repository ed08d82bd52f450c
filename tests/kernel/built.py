"""Functions of the builder and of the tiles, compiled for a target and called with arrays and numbers."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np

from tilewright.kernel import jit
from tilewright.kernel.builder import Function
from tilewright.plan import Target, runnable

TARGETS = [target.name for target in runnable()]
#: LLVM's floats and NumPy's.
DTYPES: dict[str, Any] = {"float": np.float32, "double": np.float64}
#: What outputs hold before.
JUNK = -77.0

_RESULTS: dict[str, Any] = {"void": None, "i64": ctypes.c_int64, "double": ctypes.c_double}
_numbers = count()


def width_of(target: Target, scalar: str) -> int:
    """Lanes of a vector register."""
    return target.vector_bytes // np.dtype(DTYPES[scalar]).itemsize


class Loaded:
    """A compiled function; it takes arrays (or None) for pointers, ints for i64, floats for double."""

    def __init__(
        self, name: str, emit: Callable[[Target], str], target: Target, returns: str = "void"
    ) -> None:
        self.address = jit.address(name, emit, target)
        self._result = _RESULTS[returns]

    def __call__(self, *values: Any) -> Any:
        passed = [_passed(value) for value in values]
        return ctypes.CFUNCTYPE(self._result, *map(type, passed))(self.address)(*passed)


def built(
    target: Target, arguments: Mapping[str, str], body: Callable[[Function], Any], returns: str = "void"
) -> Loaded:
    """The function whose body ``body(f)`` emits, compiled."""
    name = f"built_{next(_numbers)}"

    def emit(target: Target) -> str:
        f = Function(name, target, arguments, returns=returns)
        body(f)
        return f.text()

    return Loaded(name, emit, target, returns)


def _passed(value: Any) -> Any:
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(value)


def bits(array: Any) -> Any:
    """The bits of floats, so that −0 differs from 0 and every NaN from every other."""
    found = np.asarray(array)
    return found.view({4: np.uint32, 8: np.uint64}[found.itemsize])


def numbers(scalar: str, *shape: int, seed: int = 0) -> Any:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(DTYPES[scalar])


def special(scalar: str) -> Any:
    """Numbers of all kinds: both zeros, subnormal, huge, infinite, NaN."""
    limits = np.finfo(DTYPES[scalar])
    found = [0.0, 1.0, 1.5, math.pi, 0.1, limits.smallest_subnormal, limits.tiny, limits.max, math.inf]
    return np.array([*found, *[-x for x in found], math.nan], DTYPES[scalar])
