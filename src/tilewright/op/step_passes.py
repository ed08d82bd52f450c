"""Compiled steps of optimisers, in place and with the bits of their formulas in NumPy.

Each returns whether it was done: not for arrays of other dtypes than float32 and float64, or of different
dtypes or orders in memory, or with gaps. The arguments are those of
:mod:`tilewright.kernel.elementwise.steps`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from tilewright.kernel import buffers
from tilewright.kernel.elementwise import steps
from tilewright.op.memory import memory_order
from tilewright.op.passes import serves

Array = npt.NDArray[Any]


def adam_step(
    p: Array, g: Array, m: Array, v: Array, t: Array | None, numbers: tuple[float, ...], **truths: bool
) -> bool:
    """Adam's step."""
    return _stepped(steps.adam_step, (p, g, m, v, t), numbers, truths)


def sgd_step(p: Array, g: Array, v: Array | None, numbers: tuple[float, ...], **truths: bool) -> bool:
    """SGD's step; not for small arrays, which NumPy is done with before a call would have begun."""
    return p.nbytes >= buffers.LARGE and _stepped(steps.sgd_step, (p, g, v), numbers, truths)


def rmsprop_step(
    p: Array,
    g: Array,
    v: Array,
    m: Array | None,
    b: Array | None,
    numbers: tuple[float, ...],
    **truths: bool,
) -> bool:
    """RMSprop's step; not for small arrays either."""
    return p.nbytes >= buffers.LARGE and _stepped(steps.rmsprop_step, (p, g, v, m, b), numbers, truths)


def _stepped(
    step: Callable[..., None],
    arrays: tuple[Array | None, ...],
    numbers: tuple[float, ...],
    truths: dict[str, bool],
) -> bool:
    first = arrays[0]
    assert first is not None
    if not serves(first):
        return False
    order = memory_order(first)
    if order is None:
        return False
    for x in arrays:
        if x is not None and not (
            x.dtype == first.dtype and x.shape == first.shape and x.flags.aligned and memory_order(x) == order
        ):
            return False
    step(*arrays, numbers, **truths)
    return True
