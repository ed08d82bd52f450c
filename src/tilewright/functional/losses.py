"""Losses: PyTorch's names and defaults, for arrays and Tensors.

``reduction`` is "mean" (the default), "sum" or "none" (one value per element or label). Arguments that
PyTorch has after its deprecated ``size_average`` are taken by name only, so that nothing is taken for another
thing. Weights are constants. Where PyTorch would broadcast an input of another shape than its target, with a
warning, these functions refuse. float16 is computed in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import rules_loss as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.arithmetic import cast
from tilewright.autograd.tape import apply
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.activations import _flag, _number, log_softmax
from tilewright.functional.halves import takes_halves
from tilewright.functional.operands import Operand, check_operand
from tilewright.geometry.axes import LARGEST, as_integer
from tilewright.op.arrays import FLOATS, check_array, check_same_dtype
from tilewright.op.labels import check_class_weight, check_smoothing, in_one_pass, read_labels
from tilewright.op.loss import REDUCTIONS, check_reduction

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


@takes_halves
def cross_entropy(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """The negative log-probability that softmax of the scores gives to the right class.

    Args:
        input: scores (logits), floating: (batch, classes, *rest), or (classes,) for a single sample.
        target: the right classes, integers from 0 to classes − 1: (batch, *rest), or of rank 0 for a single
            sample. Or probabilities: floating, of the input's shape and dtype.
        weight: (classes,), a factor for each class. A mean over class labels divides by the factors' sum.
        ignore_index: labels with this number count for nothing (class labels only).
        reduction: "mean", "sum" or "none". The mean is over labels, not over scores.
        label_smoothing: the share of each label, from 0 to 1, that is spread evenly over all classes.

    Returns:
        Rank 0; with "none" one value per label. A mean over no label at all is NaN.

    Raises:
        ShapeError: shapes don't fit.
        DtypeError: labels are no integers, or dtypes differ.
        ArgumentError: a label is out of range, or an option is unknown.

    >>> import numpy as np
    >>> round(float(cross_entropy(np.zeros((2, 4)), np.array([0, 3]))), 6)
    1.386294
    """
    op = "cross_entropy"
    check_reduction(reduction, op)
    check_operand(input, "input", op)
    labels = _array(target)
    smoothing = _number(op, label_smoothing=label_smoothing)
    ignored = _class_number(op, ignore_index)
    if getattr(labels, "dtype", np.dtype(bool)).kind == "f" and labels.shape == input.shape and input.ndim:
        if ignored >= 0:
            raise ArgumentError(
                "cross_entropy takes ignore_index for class labels only, not for probabilities.",
                describe(ignore_index=ignore_index, target=target),
            )
        return _soft_cross_entropy(input, target, weight, reduction, smoothing)
    checked = read_labels(
        op,
        tuple(input.shape),
        _array(input).dtype,
        labels,
        _constant(op, "weight", weight),
        ignored,
        smoothing,
    )
    if in_one_pass(_array(input), checked):
        values = apply("cross_entropy", input, labels=checked)
    else:
        values = apply("nll", log_softmax(input, 1 if input.ndim > 1 else 0), labels=checked)
    return _reduced(values, reduction, checked.divisor if reduction == "mean" else None)


def _soft_cross_entropy(input: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    axis = 1 if input.ndim > 1 else 0
    classes = input.shape[axis]
    check_same_dtype("cross_entropy", input=_array(input), target=_array(target))
    factors = _constant("cross_entropy", "weight", weight)
    check_class_weight("cross_entropy", factors, classes, _array(input).dtype)
    check_smoothing("cross_entropy", smoothing)
    scores = log_softmax(input, axis)
    values = apply("soft_labels", scores, target, weight=factors, smoothing=smoothing)
    return _reduced(values, reduction, _size(values))


@takes_halves
def nll_loss(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """The negative log-probability of the right class, from log-probabilities.

    Arguments, results and errors as for :func:`cross_entropy` with class labels, but ``input`` holds
    log-probabilities (from :func:`log_softmax`).
    """
    check_reduction(reduction, "nll_loss")
    check_operand(input, "input", "nll_loss")
    checked = read_labels(
        "nll_loss",
        tuple(input.shape),
        _array(input).dtype,
        _array(target),
        _constant("nll_loss", "weight", weight),
        _class_number("nll_loss", ignore_index),
    )
    values = apply("nll", input, labels=checked)
    return _reduced(values, reduction, checked.divisor if reduction == "mean" else None)


@takes_halves
def mse_loss(
    input: Operand, target: Operand, *, reduction: str = "mean", weight: Operand | None = None
) -> Any:
    """The squared difference, (input − target)².

    Args:
        input: floating, any shape.
        target: the same shape and dtype; integers are taken as numbers of that dtype.
        reduction: "mean", "sum" or "none".
        weight: a factor for each element, of the same shape; the mean then divides by their sum.

    Raises:
        ShapeError: shapes differ.
        DtypeError: dtypes differ.
        ArgumentError: ``reduction`` is unknown.

    >>> import numpy as np
    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    return _difference("mse", input, target, reduction, weight)


@takes_halves
def l1_loss(
    input: Operand, target: Operand, *, reduction: str = "mean", weight: Operand | None = None
) -> Any:
    """The absolute difference, |input − target|; arguments and errors as for :func:`mse_loss`."""
    return _difference("l1", input, target, reduction, weight)


@takes_halves
def smooth_l1_loss(input: Operand, target: Operand, *, reduction: str = "mean", beta: float = 1.0) -> Any:
    """With d = input − target: ½·d²/beta where |d| < beta, otherwise |d| − ½·beta.

    Arguments and errors as for :func:`mse_loss`; ``beta`` is at least 0, and 0 gives :func:`l1_loss`.

    Girshick, "Fast R-CNN", 2015.
    """
    found = _number("smooth_l1_loss", beta=beta)
    if not found >= 0:
        raise ArgumentError("smooth_l1_loss needs beta of at least 0.", describe(beta=beta))
    return _difference("smooth_l1", input, target, reduction, None, beta=found)


@takes_halves
def huber_loss(
    input: Operand,
    target: Operand,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Operand | None = None,
) -> Any:
    """With d = input − target: ½·d² where |d| ≤ delta, otherwise delta·(|d| − ½·delta).

    Arguments and errors as for :func:`mse_loss`; ``delta`` is above 0. A weighted mean divides by the number
    of elements here, as PyTorch's does.

    Huber, "Robust estimation of a location parameter", 1964.
    """
    found = _number("huber_loss", delta=delta)
    if not found > 0:
        raise ArgumentError("huber_loss needs delta above 0.", describe(delta=delta))
    return _difference("huber", input, target, reduction, weight, delta=found)


def _difference(name: str, input: Any, target: Any, reduction: str, weight: Any, **attributes: float) -> Any:
    op = f"{name}_loss"
    check_reduction(reduction, op)
    check_operand(input, "input", op)
    factors = _constant(op, "weight", weight)
    if factors is not None:
        check_array(factors, "weight", op, FLOATS)
        if factors.shape != tuple(input.shape):
            raise ShapeError(
                f"{op} needs weight of the input's shape {tuple(input.shape)}.", describe(weight=factors)
            )
        check_same_dtype(op, input=_array(input), weight=factors)
    values = apply(name, input, _numbers_like(input, target), weight=factors, **attributes)
    # PyTorch's weighted mean divides by the sum of the weights, but for huber_loss by their number.
    by_weight = factors is not None and name != "huber"
    divisor = float(np.add.reduce(factors, axis=None)) if by_weight else _size(values)
    return _reduced(values, reduction, divisor)


@takes_halves
def binary_cross_entropy(
    input: Operand, target: Operand, weight: Operand | None = None, *, reduction: str = "mean"
) -> Any:
    """−(target · log(input) + (1 − target) · log(1 − input)), each logarithm taken as at least −100.

    Args:
        input: probabilities, from 0 to 1, any shape.
        target: the same shape and dtype, usually from 0 to 1.
        weight: factors that broadcast to the input's shape; a mean still divides by the number of elements.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: the input has numbers outside 0 … 1 or NaN, or ``reduction`` is unknown.
        ShapeError, DtypeError: the operands don't fit.
    """
    op = "binary_cross_entropy"
    check_reduction(reduction, op)
    check_operand(input, "input", op)
    values = apply("bce", input, _numbers_like(input, target), weight=_constant(op, "weight", weight))
    return _reduced(values, reduction, _size(values))


@takes_halves
def binary_cross_entropy_with_logits(
    input: Operand,
    target: Operand,
    weight: Operand | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Operand | None = None,
) -> Any:
    """:func:`binary_cross_entropy` of sigmoid(input), computed without forming it: no logit is too large.

    Args:
        input: logits, any shape.
        target: the same shape and dtype, usually from 0 to 1.
        weight: factors that broadcast to the input's shape.
        reduction: "mean", "sum" or "none".
        pos_weight: factors of the positive term (where the target is 1); they broadcast to the input's shape.

    Raises:
        ArgumentError: ``reduction`` is unknown.
        ShapeError, DtypeError: the operands don't fit.
    """
    op = "binary_cross_entropy_with_logits"
    check_reduction(reduction, op)
    check_operand(input, "input", op)
    values = apply(
        "bce_with_logits",
        input,
        _numbers_like(input, target),
        weight=_constant(op, "weight", weight),
        pos_weight=_constant(op, "pos_weight", pos_weight),
    )
    return _reduced(values, reduction, _size(values))


@takes_halves
def kl_div(input: Operand, target: Operand, *, reduction: str = "mean", log_target: bool = False) -> Any:
    """The divergence of Kullback and Leibler, element by element: target · (log(target) − input).

    Args:
        input: log-probabilities, any shape.
        target: probabilities of the same shape and dtype (0 · log 0 is 0); with ``log_target`` their
            logarithms.
        reduction: "batchmean" (the sum over the size of axis 0, which is the definition), "mean" (over all
            elements), "sum" or "none".
        log_target: the target holds log-probabilities.

    Raises:
        ArgumentError: ``reduction`` is unknown.
        ShapeError, DtypeError: the operands don't fit.

    Kullback and Leibler, "On information and sufficiency", 1951.
    """
    check_reduction(reduction, "kl_div", (*REDUCTIONS, "batchmean"))
    check_operand(input, "input", "kl_div")
    logs = _flag("kl_div", log_target=log_target)
    values = apply("kl_div", input, _numbers_like(input, target), log_target=logs)
    if reduction == "batchmean":
        return _reduced(values, "mean", float(input.shape[0] if input.ndim else 1))
    return _reduced(values, reduction, _size(values))


def _class_number(op: str, ignore_index: Any) -> int:
    """``ignore_index`` as an int, which may be below 0.

    Raises:
        ArgumentError: it is none.
    """
    return as_integer(ignore_index, "ignore_index", op, least=-LARGEST)


def _array(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _size(values: Any) -> float:
    return float(_array(values).size)


def _reduced(values: Any, reduction: str, divisor: float | None) -> Any:
    if reduction == "none":
        return values
    return apply("loss_total", values, divisor=divisor if reduction == "mean" else None)


def _numbers_like(input: Any, target: Any) -> Any:
    """The target; whole numbers and bools in the input's dtype."""
    found = _array(target)
    if isinstance(found, np.ndarray) and found.dtype.kind in "biu":
        return cast(target, input.dtype)
    return target


def _constant(op: str, name: str, value: Any) -> Any:
    """The array of a weight, which gradients don't flow to.

    A copy: it is read again when gradients are computed, whatever the caller has written to it by then.

    Raises:
        ArgumentError: it requires gradients.
    """
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ArgumentError(
                f"{op} takes {name} as a constant, without a gradient.",
                describe(**{name: value}),
                f"Pass {name}.detach().",
            )
        value = value._data
    return np.array(value) if isinstance(value, np.ndarray) else value
