"""float16 for functions that are written for float32 and float64.

Eleven bits are too few to compute with: a variance, a sum or a difference of two exponentials loses all of
them. So halves are widened to float32, and only what comes out is rounded back. Gradients take the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from tilewright.autograd.operands import cast, raw
from tilewright.autograd.taped import Taped

Arguments = ParamSpec("Arguments")

_HALF, _SINGLE = np.dtype(np.float16), np.dtype(np.float32)
# float32 and float64: whatever stands beside them, nothing is widened.
_SETTLED = "fd"


def _floating_dtype(value: Any) -> Any:
    """The dtype of a floating array or Tensor, None for anything else."""
    if not isinstance(value, (np.ndarray, Taped)):
        return None
    dtype = raw(value).dtype
    return dtype if dtype.kind == "f" else None


def takes_halves(function: Callable[Arguments, Any]) -> Callable[Arguments, Any]:
    """A function of arrays and Tensors that takes float16 too: widened first, the result rounded back.

    Operands are left alone, for the function to refuse, unless all that are floating are float16.

    >>> double = takes_halves(lambda x: x * np.float32(2))
    >>> double(np.array([1.5], np.float16))
    array([3.], dtype=float16)
    """

    @wraps(function)
    def taking(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
        # The first operand decides for nearly every call, and costs next to nothing.
        first = args[0] if args else None
        data = first._data if isinstance(first, Taped) else first
        if isinstance(data, np.ndarray) and data.dtype.char in _SETTLED:
            return function(*args, **kwargs)
        if {*map(_floating_dtype, (*args, *kwargs.values()))} - {None} != {_HALF}:
            return function(*args, **kwargs)
        widened: Any = function
        found = widened(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})
        return cast(found, _HALF)

    return taking


def _wide(value: Any) -> Any:
    """A float16 array or Tensor in float32, anything else as it is."""
    return cast(value, _SINGLE) if _floating_dtype(value) == _HALF else value
