"""Functions composed of Tensor operations, offered for arrays as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.autograd.operands import raw
from tilewright.autograd.tape import is_tensor, made, no_grad
from tilewright.op.arrays import FLOATS, check_array


def composed(function: Callable[..., Any], *operands: Any) -> Any:
    """``function(*operands)``, which is written for Tensors; arrays in → an array out.

    Arrays are given to it as Tensors, so that its operators mean what they mean for Tensors (no warnings from
    NumPy, and arrays of rank 0 stay arrays); None and numbers are passed on.

    >>> composed(lambda x, y: (x / y).sum(), np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    array(1.)
    """
    given = [made(x) if isinstance(x, np.ndarray) else x for x in operands]
    if any(is_tensor(x) for x in operands):
        return function(*given)
    with no_grad():
        return function(*given)._data


def check_floating(op: str, **operands: Any) -> None:
    """Refuse operands that are no arrays or Tensors of float32 or float64.

    Raises:
        DtypeError: naming the operand.
    """
    for name, value in operands.items():
        check_array(raw(value), name, op, FLOATS)
