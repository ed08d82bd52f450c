"""Losses for rare classes and small objects: focal loss and Dice loss.

PyTorch itself has neither; :func:`sigmoid_focal_loss` has the name and arguments that its companion
torchvision gives it. float16 is computed in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd.elementwise import clamp, expm1, sigmoid
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import apply
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.activations import _flag, _number, log_softmax
from tilewright.functional.composing import check_floating, composed
from tilewright.functional.halves import takes_halves
from tilewright.functional.losses import _class_number, _constant, _numbers_like, _reduced, _size
from tilewright.functional.operands import Operand
from tilewright.op.labels import read_labels
from tilewright.op.loss import check_pair, check_reduction

__all__ = ["dice_loss", "focal_loss", "sigmoid_focal_loss"]


def _exponent(op: str, gamma: Any) -> float:
    found = _number(op, gamma=gamma)
    if not 0 <= found < float("inf"):
        raise ArgumentError(f"{op} needs gamma to be a finite number of at least 0.", describe(gamma=gamma))
    return found


def _dimmed(values: Any, wrong: Any, gamma: float) -> Any:
    """Values · wrong^gamma, with the probability of being wrong kept from 0, where powers have no slope."""
    if gamma == 0.0:
        return values
    return values * clamp(wrong, min=float(np.finfo(wrong.dtype).tiny)) ** gamma


@takes_halves
def sigmoid_focal_loss(
    input: Operand,
    target: Operand,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Any:
    """alpha_t · (1 − p_t)^gamma · cross-entropy, for questions that are each answered by yes or no.

    p = sigmoid(input) is the probability of yes, and p_t that of the right answer, p·target + (1 − p)·(1 −
    target); alpha_t is alpha for yes and 1 − alpha for no. What is answered well already counts for little.

    Args:
        input: logits, floating, any shape.
        target: 1 for yes, 0 for no (or between), of the same shape and dtype; integers and bools are taken as
            numbers of that dtype.
        alpha: from 0 to 1; None or −1 leaves it out.
        gamma: at least 0; 0 leaves the factor out.
        reduction: "none" (the default, as in torchvision), "mean" or "sum".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: alpha, gamma or ``reduction`` is outside its rule.

    Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", 2017, equation 5.

    >>> import numpy as np
    >>> y = sigmoid_focal_loss(np.log(np.array([9.0, 9.0])), np.array([1.0, 0.0]), alpha=None)
    >>> (y / -np.log([0.9, 0.1])).round(6)
    array([0.01, 0.81])
    """
    op = "sigmoid_focal_loss"
    check_reduction(reduction, op)
    power = _exponent(op, gamma)
    share = None if alpha is None else _number(op, alpha=alpha)
    if share == -1:
        share = None
    if share is not None and not 0 <= share <= 1:
        raise ArgumentError(
            "sigmoid_focal_loss needs alpha from 0 to 1, or −1 or None to leave it out.",
            describe(alpha=alpha),
        )
    check_floating(op, input=input)
    target = _numbers_like(input, target)
    check_pair(raw(input), raw(target), op)

    def loss(x: Any, t: Any) -> Any:
        entropy = apply("bce_with_logits", x, t, weight=None, pos_weight=None)
        # 1 − p_t as a sum of what is not negative: 1 − p would have lost its digits where p is near 1.
        values = _dimmed(entropy, sigmoid(-x) * t + sigmoid(x) * (1.0 - t), power)
        if share is not None:
            values = values * (t * share + (1.0 - t) * (1.0 - share))
        return _reduced(values, reduction, _size(values))

    return composed(loss, input, target)


@takes_halves
def focal_loss(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """−weight_t · (1 − p_t)^gamma · log(p_t), with the probability p_t that softmax gives to the right class.

    With gamma 0 it is :func:`tilewright.functional.cross_entropy`, in every argument.

    Args:
        input: scores (logits), floating: (batch, classes, *rest), or (classes,) for a single sample.
        target: the right classes, integers: (batch, *rest), or of rank 0 for a single sample.
        weight: (classes,), the paper's alpha. The mean divides by the factors' sum.
        gamma: at least 0: how much less counts what is classified well already.
        ignore_index: labels with this number count for nothing.
        reduction: "mean", "sum" or "none". The mean is over labels; the paper divides the sum by the number
            of labels that are not background.

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: a label is out of range, gamma is negative, or ``reduction`` is unknown.

    Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", 2017.

    >>> import numpy as np
    >>> y = focal_loss(np.log(np.array([[0.9, 0.1], [0.9, 0.1]])), np.array([0, 1]), reduction="none")
    >>> (y / -np.log([0.9, 0.1])).round(6)
    array([0.01, 0.81])
    """
    op = "focal_loss"
    check_reduction(reduction, op)
    power = _exponent(op, gamma)
    check_floating(op, input=input)
    ignored = _class_number(op, ignore_index)
    factors = _constant(op, "weight", weight)
    labels = read_labels(op, tuple(input.shape), input.dtype, raw(target), factors, ignored)
    plain = read_labels(op, tuple(input.shape), input.dtype, raw(target), None, ignored)

    def loss(x: Any) -> Any:
        entropy = apply("nll", log_softmax(x, 1 if x.ndim > 1 else 0), labels=plain)
        values = _dimmed(entropy, -expm1(-entropy), power)
        if labels.factor is not None:
            values = values * labels.factor.reshape(labels.shape)
        return _reduced(values, reduction, labels.divisor if reduction == "mean" else None)

    return composed(loss, input)


@takes_halves
def dice_loss(
    input: Operand,
    target: Operand,
    *,
    per_class: bool = False,
    squared: bool = True,
    smooth: float = 1.0,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """1 − (2·Σ p·t + smooth) / (Σ p² + Σ t² + smooth): how little a predicted region overlaps the true one.

    The sums are over all places and classes of a sample. A class of few pixels weighs as much as its overlap,
    however large the background is.

    Args:
        input: probabilities p from 0 to 1 (of sigmoid or softmax), floating: (batch, classes, *rest).
        target: what is there: t from 0 to 1, of the input's shape (integers and bools are taken as numbers);
            or the right classes as integers, (batch, *rest).
        per_class: sum over places only, so that every class counts alike.
        squared: False takes Σ p + Σ t below the line.
        smooth: at least 0, added above and below the line: a sample in which nothing is, and is found, has
            loss 0. With 0 that is NaN.
        ignore_index: places whose class is this number count for nothing (class labels only).
        reduction: "mean", "sum" or "none": (batch,), or (batch, classes) with ``per_class``.

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: the input has numbers outside 0 … 1 or NaN, a label is out of range, or an option is
            unknown.

    Milletari, Navab and Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical image
    segmentation", 2016, section 3.

    >>> import numpy as np
    >>> p = np.array([[[1.0, 1.0, 0.0, 0.0]]])
    >>> float(dice_loss(p, np.array([[[0.0, 1.0, 0.0, 0.0]]]), smooth=0.0).round(6))
    0.333333
    """
    op = "dice_loss"
    check_reduction(reduction, op)
    little = _number(op, smooth=smooth)
    per_class, squared = _flag(op, per_class=per_class), _flag(op, squared=squared)
    ignored = None if ignore_index is None else _class_number(op, ignore_index)
    if not little >= 0:
        raise ArgumentError("dice_loss needs smooth of at least 0.", describe(smooth=smooth))
    check_floating(op, input=input)
    if input.ndim < 2:
        raise ShapeError("dice_loss needs input of shape (batch, classes, ...).", describe(input=input))
    _check_probabilities(op, raw(input))
    places, counted = _places(op, input, target, ignored)
    over = tuple(range(2 if per_class else 1, input.ndim))

    def loss(p: Any, t: Any) -> Any:
        if counted is not None:
            p = p * counted
        both = (p * t).sum(over) if over else p * t
        sizes = p * p + t * t if squared else p + t
        sizes = sizes.sum(over) if over else sizes
        values = 1.0 - (both * 2.0 + little) / (sizes + little)
        return _reduced(values, reduction, _size(values))

    return composed(loss, input, places)


def _places(op: str, input: Any, target: Any, ignore_index: int | None) -> tuple[Any, Any]:
    """The target as numbers of the input's shape; and 0 where a label is ignored and 1 elsewhere, or None."""
    found = raw(target)
    labelled = (
        isinstance(found, np.ndarray) and found.dtype.kind in "iu" and found.shape != tuple(input.shape)
    )
    if not labelled:
        if ignore_index is not None:
            raise ArgumentError(
                "dice_loss takes ignore_index for class labels only.",
                describe(ignore_index=ignore_index, target=target),
            )
        numbers = _numbers_like(input, target)
        check_pair(raw(input), raw(numbers), op)
        return numbers, None
    labels = read_labels(op, tuple(input.shape), input.dtype, found, None, ignore_index)
    hot = labels.index[:, None] == np.arange(input.shape[1]).reshape(-1, *([1] * (input.ndim - 2)))
    if labels.keep is None:
        return hot.astype(input.dtype), None
    keep = labels.keep[:, None]
    return (hot & keep).astype(input.dtype), keep.astype(input.dtype)


def _check_probabilities(op: str, x: Any) -> None:
    outside = ~((x >= 0) & (x <= 1))
    if outside.any():
        raise ArgumentError(
            f"{op} needs input to be probabilities, from 0 to 1.",
            f"input with {int(outside.sum())} of {x.size} elements outside, the first {x[outside][0]}",
            "For logits, take softmax over the classes, or sigmoid, first.",
        )
