"""Losses that ask for a margin: PyTorch's hinge, ranking, multi-class, triplet and cosine losses.

As in :mod:`tilewright.functional.losses`, arguments that PyTorch has after its deprecated ``size_average``
are taken by name only, and shapes that differ are refused where PyTorch would broadcast. float16 is computed
in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd.arithmetic import minimum, where
from tilewright.autograd.elementwise import clamp, sqrt
from tilewright.autograd.indexing import gather
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import apply
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.functional.activations import _flag, _number
from tilewright.functional.activations_smooth import logsigmoid
from tilewright.functional.composing import check_floating, composed
from tilewright.functional.distances import pairwise_distance
from tilewright.functional.halves import takes_halves
from tilewright.functional.losses import _constant, _numbers_like, _reduced, _size
from tilewright.functional.operands import Operand
from tilewright.op.arrays import NUMBERS, check_array, check_same_dtype
from tilewright.op.labels import read_labels
from tilewright.op.loss import check_pair, check_reduction, check_weight

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
]

# What PyTorch adds to squared lengths in cosine_embedding_loss.
_LEAST_SQUARE = 1e-12


def _averaged(values: Any, reduction: str) -> Any:
    return _reduced(values, reduction, _size(values))


@takes_halves
def soft_margin_loss(input: Operand, target: Operand, *, reduction: str = "mean") -> Any:
    """log(1 + exp(−target · input)), for targets of 1 and −1; nothing overflows.

    Args:
        input: floating, any shape.
        target: 1 or −1, of the same shape and dtype; integers are taken as numbers of that dtype.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: shapes differ.
        DtypeError: dtypes differ or are not floating.
        ArgumentError: ``reduction`` is unknown.

    >>> import numpy as np
    >>> float(soft_margin_loss(np.array([1000.0, -1000.0]), np.array([1.0, 1.0])))
    500.0
    """
    op = "soft_margin_loss"
    check_reduction(reduction, op)
    check_floating(op, input=input)
    target = _numbers_like(input, target)
    check_pair(raw(input), raw(target), op)

    def loss(x: Any, t: Any) -> Any:
        return _averaged(apply("softplus", -(t * x), beta=1.0, threshold=float("inf")), reduction)

    return composed(loss, input, target)


@takes_halves
def hinge_embedding_loss(
    input: Operand, target: Operand, margin: float = 1.0, *, reduction: str = "mean"
) -> Any:
    """The input where the target is 1, and max(0, margin − input) where it is −1.

    The input is a distance: of pairs that belong together (1), and of pairs that don't (−1). Arguments and
    errors as for :func:`soft_margin_loss`; any other target counts as both.

    >>> import numpy as np
    >>> hinge_embedding_loss(np.array([0.25, 0.25, 3.0]), np.array([1.0, -1.0, -1.0]), reduction="none")
    array([0.25, 0.75, 0.  ])
    """
    op = "hinge_embedding_loss"
    check_reduction(reduction, op)
    far = _number(op, margin=margin)
    check_floating(op, input=input)
    target = _numbers_like(input, target)
    check_pair(raw(input), raw(target), op)

    def loss(x: Any, t: Any) -> Any:
        apart = where(t == 1.0, 0.0, clamp(far - x, min=0.0))
        together = where(t == -1.0, 0.0, x)
        return _averaged(apart + together, reduction)

    return composed(loss, input, target)


@takes_halves
def margin_ranking_loss(
    input1: Operand, input2: Operand, target: Operand, margin: float = 0.0, *, reduction: str = "mean"
) -> Any:
    """max(0, −target · (input1 − input2) + margin): target 1 asks for the first to be larger, −1 the second.

    Args:
        input1: floating, any shape.
        input2: of the same shape and dtype.
        target: 1 or −1, of the same shape and dtype; integers are taken as numbers of that dtype.
        margin: by how much.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: ``reduction`` is unknown.
    """
    op = "margin_ranking_loss"
    check_reduction(reduction, op)
    far = _number(op, margin=margin)
    _check_inputs(op, input1, input2)
    target = _numbers_like(input1, target)
    check_pair(raw(input1), raw(target), op)
    return composed(
        lambda a, b, t: _averaged(clamp(far - t * (a - b), min=0.0), reduction), input1, input2, target
    )


def _check_inputs(op: str, input1: Any, input2: Any) -> None:
    """Refuse two inputs that are not of one shape and one floating dtype."""
    check_floating(op, input1=input1, input2=input2)
    if tuple(input1.shape) != tuple(input2.shape):
        raise ShapeError(
            f"{op} needs input1 and input2 of one shape.", describe(input1=input1, input2=input2)
        )
    check_same_dtype(op, input1=raw(input1), input2=raw(input2))


@takes_halves
def multi_margin_loss(
    input: Operand,
    target: Operand,
    p: int = 1,
    margin: float = 1.0,
    weight: Operand | None = None,
    *,
    reduction: str = "mean",
) -> Any:
    """Σ over the wrong classes of max(0, margin − right score + wrong score)^p, over the number of classes.

    Args:
        input: scores, floating: (batch, classes), or (classes,) for a single sample.
        target: the right classes, integers: (batch,), or of rank 0 or shape (1,) for a single sample.
        p: 1 or 2.
        margin: by how much the right score is to be larger.
        weight: (classes,), a factor for the class that is right.
        reduction: "mean" (over samples), "sum" or "none".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: a label is out of range, p is neither 1 nor 2, or ``reduction`` is unknown.

    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", 2001.

    >>> import numpy as np
    >>> float(multi_margin_loss(np.array([[0.25, 1.0, 0.75, 0.0]]), np.array([1])))
    0.25
    """
    op = "multi_margin_loss"
    check_reduction(reduction, op)
    far = _number(op, margin=margin)
    if isinstance(p, bool) or not isinstance(p, (int, float)) or p not in (1, 2):
        raise ArgumentError("multi_margin_loss needs p to be 1 or 2.", describe(p=p))
    check_floating(op, input=input)
    if input.ndim > 2:
        raise ShapeError(
            "multi_margin_loss needs input of shape (batch, classes) or (classes,).", describe(input=input)
        )
    # A single sample's label may have an axis of its own, and a single score none.
    shape = tuple(input.shape) or (1,)
    given = raw(target)
    of_target = getattr(given, "shape", ())
    if len(shape) == 1 and of_target == (1,):
        given = given.reshape(())
    labels = read_labels(op, shape, input.dtype, given, _constant(op, "weight", weight), None)
    of_values = labels.shape if labels.batched else of_target
    classes = shape[-1]
    right = labels.index[:, None] == np.arange(classes)

    def loss(x: Any) -> Any:
        scores = x if labels.batched else x.reshape(1, classes)
        short = far - gather(scores, 1, labels.index[:, None]) + scores
        # Written so that NaN stays.
        short = where(right | (short._data <= 0), 0.0, short)
        values = (short * short if p == 2 else short).sum(1) / max(classes, 1)
        if labels.factor is not None:
            values = values * labels.factor
        return _averaged(values.reshape(of_values), reduction)

    return composed(loss, input)


@takes_halves
def multilabel_margin_loss(input: Operand, target: Operand, *, reduction: str = "mean") -> Any:
    """Σ over right and wrong classes of max(0, 1 − right score + wrong score), over the number of classes.

    Args:
        input: scores, floating: (batch, classes), or (classes,) for a single sample.
        target: the right classes of each sample, integers of the same shape; what stands at the first −1 and
            after it doesn't count.
        reduction: "mean" (over samples), "sum" or "none".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: a label is out of range, or ``reduction`` is unknown.

    Takes memory for batch · classes² numbers.

    >>> import numpy as np
    >>> scores, right = np.array([[0.1, 0.2, 0.4, 0.8]]), np.array([[3, 0, -1, 1]])
    >>> round(float(multilabel_margin_loss(scores, right)), 6)
    0.85
    """
    op = "multilabel_margin_loss"
    check_reduction(reduction, op)
    check_floating(op, input=input)
    labels = check_array(raw(target), "target", op, NUMBERS)
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"{op} needs labels of an integer dtype.", describe(target=target))
    shape = tuple(input.shape) or (1,)
    if len(shape) > 2 or labels.shape != tuple(input.shape):
        raise ShapeError(
            f"{op} needs input of shape (batch, classes) or (classes,), and target of the same shape.",
            describe(input=input, target=target),
        )
    classes = shape[-1]
    rows = labels.astype(np.int64).reshape(-1, classes) if classes else labels.reshape(shape[0], 0)
    listed = np.logical_and.accumulate(rows != -1, axis=1) if classes else rows != -1
    outside = listed & ((rows < 0) | (rows >= classes))
    if outside.any():
        raise ArgumentError(
            f"{op} needs labels from 0 to {classes - 1}, and −1 after the last.",
            f"target with {rows[outside][0]}",
        )
    index = np.where(listed, rows, 0).astype(np.int64)
    right = np.zeros(rows.shape, np.bool_)
    sample, place = np.nonzero(listed)
    right[sample, index[sample, place]] = True
    counted = listed[:, :, None] & ~right[:, None, :]

    def loss(x: Any) -> Any:
        scores = x.reshape(index.shape)
        short = 1.0 - gather(scores, 1, index).unsqueeze(2) + scores.unsqueeze(1)
        short = where(~counted | (short._data <= 0), 0.0, short)
        values = short.sum((1, 2)) / max(classes, 1)
        return _averaged(values.reshape(shape[:-1]), reduction)

    return composed(loss, input)


@takes_halves
def multilabel_soft_margin_loss(
    input: Operand, target: Operand, weight: Operand | None = None, *, reduction: str = "mean"
) -> Any:
    """−(target · log σ(input) + (1 − target) · log σ(−input)), averaged over the last axis, the classes.

    Args:
        input: logits, floating, (batch, ..., classes).
        target: 0 or 1, of the same shape and dtype; integers are taken as numbers of that dtype.
        weight: factors that broadcast to the input's shape, usually (classes,).
        reduction: "mean" (over samples), "sum" or "none".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: ``reduction`` is unknown.
    """
    op = "multilabel_soft_margin_loss"
    check_reduction(reduction, op)
    check_floating(op, input=input)
    target = _numbers_like(input, target)
    check_pair(raw(input), raw(target), op)
    if input.ndim == 0:
        raise ShapeError(f"{op} needs input of shape (..., classes).", describe(input=input))
    factors = _constant(op, "weight", weight)
    check_weight(factors, tuple(input.shape), input.dtype, "weight", op)

    def loss(x: Any, t: Any) -> Any:
        each = -(t * logsigmoid(x) + (1.0 - t) * logsigmoid(-x))
        if factors is not None:
            each = each * factors
        # By its own division: the mean of no classes is NaN, without NumPy's warning.
        classes = x.shape[-1]
        return _averaged(each.sum(-1) / (classes if classes else float("nan")), reduction)

    return composed(loss, input, target)


@takes_halves
def cosine_embedding_loss(
    input1: Operand, input2: Operand, target: Operand, margin: float = 0.0, *, reduction: str = "mean"
) -> Any:
    """1 − cos where the target is 1, and max(0, cos − margin) where it is −1; 0 for any other target.

    Args:
        input1: vectors, floating: (batch, features), or (features,).
        input2: of the same shape and dtype.
        target: 1 for vectors that are to be alike, −1 for the others: (batch,), or of rank 0.
        margin: the cosine that those others may have.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: ``reduction`` is unknown.
    """
    op = "cosine_embedding_loss"
    check_reduction(reduction, op)
    alike = _number(op, margin=margin)
    _check_inputs(op, input1, input2)
    target = _numbers_like(input1, target)
    check_floating(op, target=target)
    check_same_dtype(op, input1=raw(input1), target=raw(target))
    if input1.ndim not in (1, 2) or tuple(target.shape) != tuple(input1.shape[:-1]):
        raise ShapeError(
            f"{op} needs inputs of shape (batch, features) with target (batch,), or (features,) with rank 0.",
            describe(input1=input1, target=target),
        )

    def loss(a: Any, b: Any, t: Any) -> Any:
        squares = ((a * a).sum(-1) + _LEAST_SQUARE) * ((b * b).sum(-1) + _LEAST_SQUARE)
        cosine = (a * b).sum(-1) / sqrt(squares)
        together = where(t == 1.0, 1.0 - cosine, 0.0)
        apart = where(t == -1.0, clamp(cosine - alike, min=0.0), 0.0)
        return _averaged(together + apart, reduction)

    return composed(loss, input1, input2, target)


@takes_halves
def triplet_margin_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Any:
    """max(0, margin + d(anchor, positive) − d(anchor, negative)) with :func:`pairwise_distance` as d.

    Args:
        anchor: vectors, floating: (batch, features), or (features,).
        positive: what they are to be near to, of the same shape and dtype.
        negative: what they are to be far from, of the same shape and dtype.
        margin: how much farther; above 0.
        p: of the distance.
        eps: of the distance.
        swap: count d(positive, negative) instead of d(anchor, negative) where it is the smaller one.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError, DtypeError: the operands don't fit.
        ArgumentError: margin or p is not above 0, or ``reduction`` is unknown.

    Balntas, Riba, Ponsa and Mikolajczyk, "Learning local feature descriptors with triplets and shallow
    convolutional neural networks", 2016.
    """
    op = "triplet_margin_loss"
    check_reduction(reduction, op)
    far, power, little = _number(op, margin=margin), _number(op, p=p), _number(op, eps=eps)
    swap = _flag(op, swap=swap)
    if not far > 0:
        raise ArgumentError("triplet_margin_loss needs margin above 0.", describe(margin=margin))
    check_floating(op, anchor=anchor, positive=positive, negative=negative)
    if not tuple(anchor.shape) == tuple(positive.shape) == tuple(negative.shape) or not anchor.ndim:
        raise ShapeError(
            "triplet_margin_loss needs anchor, positive and negative of one shape, with an axis.",
            describe(anchor=anchor, positive=positive, negative=negative),
        )
    check_same_dtype(op, anchor=raw(anchor), positive=raw(positive), negative=raw(negative))

    def loss(a: Any, near: Any, away: Any) -> Any:
        distance = pairwise_distance(a, away, power, little)
        if swap:
            distance = minimum(distance, pairwise_distance(near, away, power, little))
        return _averaged(
            clamp(pairwise_distance(a, near, power, little) - distance + far, min=0.0), reduction
        )

    return composed(loss, anchor, positive, negative)
