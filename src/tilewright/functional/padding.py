"""Padding: PyTorch's ``pad``, for any number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.autograd import rules_pad as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, describe
from tilewright.functional.operands import Operand
from tilewright.geometry.axes import LARGEST, as_integer

__all__ = ["pad"]


def pad(input: Operand, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Elements added before and after the last axes, or taken away.

    Args:
        input: numbers (halves and complex numbers too) or bools, any shape.
        pad: (before, after) of the last axis, then of the axis before it, and so on: at most two integers per
            axis. Negative ones crop.
        mode: "constant"; "reflect" (mirrored at the first and the last element, which are not repeated);
            "replicate" (the first and the last element repeated); or "circular" (from the other end). A pad
            wider than the input folds or goes round as often as it must.
        value: what "constant" fills in; 0 by default.

    Returns:
        The same kind and dtype, in the memory order of the input.

    Raises:
        ArgumentError: ``pad`` isn't pairs of integers, ``mode`` is unknown, ``value`` doesn't fit the dtype
            or is given to another mode.
        ShapeError: more pairs than axes, more is cropped than there is, there is nothing to repeat, or no
            memory holds the result.
        DtypeError: ``input`` is neither an array nor a Tensor of these.

    >>> import numpy as np
    >>> pad(np.array([1, 2, 3]), (2, 1), "reflect")
    array([3, 2, 1, 2, 3, 2])
    """
    if not isinstance(pad, (tuple, list)) or len(pad) % 2:
        raise ArgumentError(
            "pad needs pairs of integers: before and after of each axis, the last axis first.",
            describe(pad=pad),
        )
    sides = [as_integer(side, "pad", "pad", least=-LARGEST) for side in pad]
    pairs = tuple(reversed(list(zip(sides[::2], sides[1::2], strict=True))))
    if isinstance(value, Tensor):
        value = value.item()
    # PyTorch lets a 0 pass: code that was written for every mode hands it on.
    zero = isinstance(value, (bool, int, float, np.number)) and value == 0
    if value is not None and not zero and not (isinstance(mode, str) and mode == "constant"):
        raise ArgumentError("pad takes value in mode 'constant' only.", describe(mode=mode, value=value))
    return apply("pad", input, pairs=pairs, mode=mode, value=value)
