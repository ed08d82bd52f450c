"""What the window functions ask of their operands: kind, rank, and a batch axis where it was left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd.tensor import Tensor
from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.op.arrays import MULTIPLIED, NUMBERS, check_array

#: A NumPy array or a Tensor; results are of the kind that came in.
Operand = Any

_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


def conv_operands(
    op: str, rank: int | None, input: Operand, weight: Operand, bias: Operand
) -> tuple[Any, bool]:
    """Checks kinds and ranks; the batched input, and whether it came batched."""
    check_operand(weight, "weight", op, MULTIPLIED)
    if bias is not None:
        check_operand(bias, "bias", op, MULTIPLIED)
    if rank is not None and weight.ndim != rank + 2:
        raise ShapeError(
            f"{op} needs weight of rank {rank + 2} (channels, channels, {axis_names(rank, 'kernel ')}).",
            describe(weight=weight),
        )
    if weight.ndim < 3:
        raise ShapeError(
            f"{op} needs weight of rank at least 3 (channels, channels, *kernel).", describe(weight=weight)
        )
    return batched_input(op, weight.ndim - 2, input, MULTIPLIED)


def batched_input(op: str, rank: int, input: Operand, allowed: tuple[str, ...] = NUMBERS) -> tuple[Any, bool]:
    """The input with a batch axis, and whether it came with one."""
    check_operand(input, "input", op, allowed)
    if input.ndim == rank + 2:
        return input, True
    if input.ndim == rank + 1:
        return input[None], False
    advice = ""
    if 0 < input.ndim < rank + 1:
        advice = f"Add the missing axes: input[{', '.join(['None'] * (rank + 2 - input.ndim))}]."
    raise ShapeError(
        f"{op} needs input of rank {rank + 2} (batch, channels, {axis_names(rank)}) "
        f"or {rank + 1} (channels, {axis_names(rank)}).",
        describe(input=input),
        advice,
    )


def axis_names(rank: int, prefix: str = "") -> str:
    """Names of the spatial axes of a rank, for messages."""
    names = _AXES.get(rank)
    if names is None:
        return f"{rank} {prefix}axes" if prefix else f"{rank} spatial axes"
    return ", ".join(prefix + name for name in names.split(", "))


def check_operand(value: Any, name: str, op: str, allowed: tuple[str, ...] = NUMBERS) -> None:
    """Refuse what is neither an array of an allowed dtype nor a Tensor (whose dtype the operation checks)."""
    if isinstance(value, Tensor):
        return
    if not isinstance(value, np.ndarray):
        raise DtypeError(
            f"{op} needs {name} to be a NumPy array or a Tensor.",
            f"{name} of type {type(value).__name__}",
            f"Convert it first: numpy.asarray({name}).",
        )
    check_array(value, name, op, allowed)
