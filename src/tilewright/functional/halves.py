"""float16 and bfloat16 for functions that are written for float32 and float64.

Eleven bits, or eight, are too few to compute with: a variance, a sum or a difference of two exponentials
loses all of them. So halves are widened to float32, and only what comes out is rounded back. Gradients take
the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from tilewright.autograd.operands import cast, raw
from tilewright.autograd.taped import Taped
from tilewright.op.kinds import FLOAT32, is_floating, is_half

Arguments = ParamSpec("Arguments")

# float32 and float64: whatever stands beside them, nothing is widened.
_SETTLED = "fd"


def _floating_dtype(value: Any) -> Any:
    """The dtype of a floating array or Tensor, None for anything else."""
    if not isinstance(value, (np.ndarray, Taped)):
        return None
    dtype = raw(value).dtype
    return dtype if is_floating(dtype) else None


def takes_halves(function: Callable[Arguments, Any]) -> Callable[Arguments, Any]:
    """A function of arrays and Tensors that takes halves too: widened first, the result rounded back.

    Operands are left alone, for the function to refuse, unless all that are floating are float16, or all are
    bfloat16.

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
        dtypes = {*map(_floating_dtype, (*args, *kwargs.values()))} - {None}
        if len(dtypes) != 1 or not is_half(half := dtypes.pop()):
            return function(*args, **kwargs)
        widened: Any = function
        found = widened(*map(_wide, args), **{name: _wide(value) for name, value in kwargs.items()})
        return cast(found, half)

    return taking


def _wide(value: Any) -> Any:
    """An array or Tensor of halves in float32, anything else as it is."""
    dtype = _floating_dtype(value)
    return value if dtype is None or not is_half(dtype) else cast(value, FLOAT32)
