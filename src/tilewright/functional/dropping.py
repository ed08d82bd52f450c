"""Dropout: PyTorch's names, order and defaults.

What is kept is divided by 1 − p, so that expected values stay the same and nothing changes in evaluation.
Masks come from the library's generator: :func:`tilewright.manual_seed` makes them repeat. ``inplace`` is
taken for PyTorch's sake: the input is never written to, so use what is returned.

Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks
from overfitting", 2014; whole channels: Tompson et al., "Efficient object localization using convolutional
networks", 2015.
"""

from __future__ import annotations

from typing import Any

from tilewright.autograd import rules_activation as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.errors import ShapeError, describe
from tilewright.functional.operands import Operand, axis_names, check_operand
from tilewright.geometry.axes import as_flag
from tilewright.op.dropout import check_probability, kept
from tilewright.op.random import chosen

__all__ = ["dropout", "dropout1d", "dropout2d", "dropout3d"]


def dropout(input: Operand, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Each element on its own becomes 0 with probability p; the rest is divided by 1 − p.

    Args:
        input: floating, any shape.
        p: from 0 to 1; 1 gives zeros.
        training: False gives the input itself.
        inplace: no effect.

    Raises:
        ArgumentError: p is outside 0 … 1.
        DtypeError: the input is not floating, or p no number.
    """
    return _dropout("dropout", input, p, training, inplace, lambda shape: shape)


def dropout1d(input: Operand, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (batch, channels, length) or (channels, length) become 0; see :func:`dropout`."""
    return _by_channel("dropout1d", 1, input, p, training, inplace)


def dropout2d(input: Operand, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (batch, channels, height, width) become 0; see :func:`dropout`.

    Rank 3 is refused: PyTorch reads it as (batch, channels, length) here and elsewhere as (channels, height,
    width).
    """
    return _by_channel("dropout2d", 2, input, p, training, inplace)


def dropout3d(input: Operand, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (batch, channels, depth, height, width) or of one sample become 0.

    See :func:`dropout`.
    """
    return _by_channel("dropout3d", 3, input, p, training, inplace)


def _by_channel(op: str, rank: int, input: Any, p: float, training: bool, inplace: bool) -> Any:
    check_operand(input, "input", op)
    axes = axis_names(rank)
    if rank == 2 and input.ndim != 4:
        advice = ""
        if input.ndim == 3:
            advice = "For (batch, channels, length) use dropout1d; for one sample dropout2d(input[None])[0]."
        raise ShapeError(
            "dropout2d needs input of rank 4 (batch, channels, height, width).", describe(input=input), advice
        )
    if input.ndim not in (rank + 1, rank + 2):
        raise ShapeError(
            f"{op} needs input of rank {rank + 2} (batch, channels, {axes}) "
            f"or {rank + 1} (channels, {axes}).",
            describe(input=input),
        )
    return _dropout(op, input, p, training, inplace, lambda shape: (*shape[:-rank], *([1] * rank)))


def _dropout(op: str, input: Any, p: Any, training: bool, inplace: bool, mask_shape: Any) -> Any:
    check_operand(input, "input", op)
    probability = check_probability(p, op)
    as_flag(inplace, "inplace", op)
    if not as_flag(training, "training", op) or probability == 0.0:
        return input
    shape = tuple(input.shape)
    drawn_shape = mask_shape(shape)
    if drawn_shape == shape:
        return apply("dropout", input, p=probability, key=chosen(None).words(2), op_name=op)
    keep = kept(drawn_shape, probability)
    return apply("drop", input, keep=keep, p=probability, op_name=op)
