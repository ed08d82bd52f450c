"""What the pooling functions ask of their operands, and how their results go back."""

from __future__ import annotations

from typing import Any

from tilewright.autograd.tape import is_grad_enabled
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.operands import Operand, check_operand
from tilewright.op.kinds import COMPLEX
from tilewright.op.pool_arrays import COMPARED

_ADVICE = {
    "kernel_size": "list the kernel's size per spatial axis.",
    "output_size": "list the output's size per spatial axis.",
    "rank": "say its rank.",
}


def rank_of(op: str, input: Operand, listed: Any, name: str) -> int:
    """Spatial axes of an any-rank pool: one per entry of a listed argument, else all but batch and channels.

    Raises:
        ArgumentError: the list is empty.
        ShapeError: there is no list, and no spatial axis.
        DtypeError: ``input`` is neither an array nor a Tensor.
    """
    check_operand(input, "input", op, (*COMPARED, *COMPLEX))
    if isinstance(listed, (tuple, list)):
        if not listed:
            raise ArgumentError(f"{op} needs {name} with at least one axis.", describe(**{name: listed}))
        return len(listed)
    rank = int(input.ndim) - 2
    if rank < 1:
        raise ShapeError(
            f"{op} needs input (batch, channels, *spatial) with at least one spatial axis.",
            describe(input=input),
            f"For an input without batch, {_ADVICE[name]}",
        )
    return rank


def follows(x: Operand) -> bool:
    """Whether a gradient will come back to ``x``."""
    return isinstance(x, Tensor) and x.requires_grad and is_grad_enabled()


def with_indices(result: Any, *, batched: bool, wanted: bool, kept: bool) -> Any:
    """What a maximum gives its caller: the values, and with ``wanted`` where they were.

    Args:
        result: the values, or a pair of values and positions.
        batched: whether the input came with a batch axis.
        wanted: whether the caller asked for the positions.
        kept: whether the tape keeps the positions, too: the caller then gets their own.
    """
    parts = result if isinstance(result, tuple) else (result,)
    if not batched:
        parts = tuple(part[0] for part in parts)
    if not wanted:
        return parts[0]
    values, places = parts
    return values, places.clone() if kept else places
