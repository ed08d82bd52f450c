"""Running statistics of normalisation: checked, updated in place, and kept in halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.autograd.operands import cast, raw
from tilewright.autograd.tape import is_tensor, no_grad
from tilewright.op import norm as op
from tilewright.op.kinds import FLOAT32, is_half


def check_running(name: str, running_mean: Any, running_var: Any) -> None:
    """Refuse running statistics that can't be updated in place; None and Tensors pass.

    Raises:
        DtypeError: an array is read-only.
    """
    for which, running in (("running_mean", running_mean), ("running_var", running_var)):
        if isinstance(running, np.ndarray):
            op.check_writable(running, which, name)


def move_running(running: Any, found: Any, share: float) -> None:
    """(1 − share) · running + share · found, in place."""
    _write(running, op.moved_average(raw(running), found, share))


def _write(running: Any, values: Any) -> None:
    if is_tensor(running):
        with no_grad():
            running.copy_(values)
        return
    running[...] = values


def all_halves(*operands: Any) -> bool:
    """Whether all operands that are given, one at least, are arrays or Tensors of the same kind of halves."""
    given = [raw(x) for x in operands if x is not None]
    first = given[0] if given else None
    if not isinstance(first, np.ndarray) or first.dtype.itemsize != 2 or not is_half(first.dtype):
        return False
    return all(isinstance(x, np.ndarray) and x.dtype == first.dtype for x in given)


def in_float32(
    function: Callable[..., Any],
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    *options: Any,
    moves: bool,
) -> Any:
    """A normalisation of halves computed in float32, and its result rounded back.

    Running statistics that it ``moves`` are rounded back too.
    """
    half = input.dtype
    wide = [None if x is None else cast(x, FLOAT32) for x in (input, running_mean, running_var, weight, bias)]
    if moves:
        check_running(function.__name__, running_mean, running_var)
    y = function(*wide, *options)
    for running, moved in zip((running_mean, running_var), wide[1:3], strict=True):
        if moves and running is not None:
            _write(running, raw(moved).astype(half))
    return cast(y, half)
