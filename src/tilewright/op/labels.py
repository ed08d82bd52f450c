"""Class labels for losses: checked once, then a frozen value; and the losses that read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.kernel import buffers
from tilewright.kernel.elementwise import rows
from tilewright.op import memory
from tilewright.op.arrays import FLOATS, NUMBERS, check_array, check_same_dtype
from tilewright.op.passes import serves

Array = npt.NDArray[Any]

_add, _multiply = memory.pooled(np.add), memory.pooled(np.multiply)

_INTEGERS = tuple(name for name in NUMBERS if name not in FLOATS)


@dataclass(frozen=True)
class Labels:
    """Which class is right, for every label of a batch.

    Attributes:
        index: int64, (batch, *rest): the class of each label, 0 where it is ignored.
        keep: bool of the same shape, False where a label is ignored; None if none is.
        factor: the weight of each label's class, in the loss's dtype; None without weights.
        weight: the weight of each class; None without weights.
        smoothing: the share that is spread evenly over all classes.
        batched: False if there was a single sample without a batch axis.
    """

    index: Array
    keep: Array | None
    factor: Array | None
    weight: Array | None
    smoothing: float
    batched: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the labels as they were given."""
        return self.index.shape if self.batched else self.index.shape[1:]

    @property
    def divisor(self) -> float:
        """What a mean divides by: how many labels count, each by the weight of its class."""
        if self.factor is not None:
            counted = self.factor if self.keep is None else self.factor[self.keep]
            return float(np.add.reduce(counted, axis=None))
        return float(self.index.size if self.keep is None else np.count_nonzero(self.keep))


def read_labels(
    op: str,
    shape: tuple[int, ...],
    dtype: Any,
    target: Array,
    weight: Array | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
) -> Labels:
    """Check class labels against scores of ``shape`` (batch, classes, *rest) or (classes,).

    Args:
        op: the name for messages.
        shape: of the scores.
        dtype: of the scores.
        target: integers from 0 to classes − 1, or ``ignore_index``; (batch, *rest), or of rank 0.
        weight: (classes,), a factor for each class.
        ignore_index: labels with this number count for nothing; None where there are none such.
        label_smoothing: from 0 to 1.

    Raises:
        DtypeError: labels are no integers, or the weights' dtype is another.
        ShapeError: shapes don't fit.
        ArgumentError: a label is out of range.
    """
    if not shape:
        raise ShapeError(
            f"{op} needs input of shape (batch, classes, ...) or (classes,).", f"input with shape {shape}"
        )
    batched = len(shape) > 1
    classes = shape[1] if batched else shape[0]
    expected = (shape[0], *shape[2:]) if batched else ()
    _check_target(op, target, shape, expected)
    check_class_weight(op, weight, classes, dtype)
    check_smoothing(op, label_smoothing)
    if target.dtype == np.uint64:
        # What int64 doesn't hold must not come out as another number.
        target = np.minimum(target, np.uint64(2**63 - 1))
    # Copies: the caller may fill the same memory with the next batch before gradients are computed.
    index = np.array(target, dtype=np.int64, order="C").reshape(expected if batched else (1,))
    keep = None
    if ignore_index is not None and (ignored := index == ignore_index).any():
        keep = ~ignored
        index[ignored] = 0
    outside = (index < 0) | (index >= classes)
    # With no classes at all the 0 of an ignored label is no fault.
    if keep is not None:
        outside &= keep
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        ignoring = "" if ignore_index is None else f", or ignore_index={ignore_index}"
        raise ArgumentError(
            f"{op} needs labels from 0 to {classes - 1}{ignoring}.",
            f"target[{', '.join(map(str, place))}]={index[place]}" if batched else f"target={index[place]}",
        )
    if weight is not None and classes:
        weight = np.array(weight)
        return Labels(index, keep, weight[index], weight, label_smoothing, batched)
    return Labels(index, keep, None, None, label_smoothing, batched)


def _check_target(op: str, target: Array, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    check_array(target, "target", op, (*NUMBERS, "bool"))
    if target.dtype.name not in _INTEGERS:
        advice = "Class labels are integers: target.astype('int64')."
        if op == "cross_entropy" and target.dtype.kind == "f":
            advice += f" Probabilities have the input's shape {shape}."
        raise DtypeError(f"{op} needs labels of an integer dtype.", describe(target=target), advice)
    if target.shape != expected:
        advice = ""
        if target.shape == shape and op == "cross_entropy":
            advice = "Numbers of the input's shape are taken as probabilities if they are floats."
        elif int(np.prod(target.shape)) == int(np.prod(expected)):
            advice = f"Reshape it: target.reshape({expected})."
        raise ShapeError(
            f"{op} needs target of shape {expected} for input of shape {shape}: one label for each place.",
            describe(target=target),
            advice,
        )


def check_class_weight(op: str, weight: Array | None, classes: int, dtype: Any) -> None:
    """Refuse class weights that are not one per class, in the dtype of the scores.

    Raises:
        ShapeError, DtypeError: naming the weights.
    """
    if weight is None:
        return
    check_array(weight, "weight", op, FLOATS)
    if weight.shape != (classes,):
        raise ShapeError(f"{op} needs weight of shape ({classes},), one per class.", describe(weight=weight))
    check_same_dtype(op, input=np.empty(0, dtype), weight=weight)


def check_smoothing(op: str, label_smoothing: float) -> None:
    """Refuse a share outside 0 … 1.

    Raises:
        ArgumentError: naming it.
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(
            f"{op} needs label_smoothing from 0 to 1.", describe(label_smoothing=label_smoothing)
        )


def _weights_along(labels: Labels, x: Array) -> Array:
    """The class weights, shaped to broadcast against (batch, classes, *rest)."""
    assert labels.weight is not None
    return labels.weight.reshape(1, -1, *([1] * (x.ndim - 2)))


def nll(x: Array, labels: Labels) -> Array:
    """The negative log-probability of the right class, for each label.

    Args:
        x: log-probabilities, (batch, classes, *rest) or (classes,).
        labels: from :func:`read_labels`.

    Returns:
        −(1 − smoothing) · w_t · x_t − smoothing / classes · Σ_c w_c · x_c, with the weights w and the right
        class t, in the shape of the labels; 0 where a label is ignored.
    """
    one = check_array(x, "input", "nll_loss", FLOATS).dtype.type
    x = x if labels.batched else x[None]
    if x.shape[1] == 0:
        # No classes: every label is ignored.
        return np.zeros(labels.shape, x.dtype)
    values = -np.take_along_axis(x, labels.index[:, None], axis=1)[:, 0]
    if labels.factor is not None:
        values *= labels.factor
    if labels.smoothing:
        every = np.negative(x, out=buffers.empty(x.shape, x.dtype))
        if labels.weight is not None:
            every = np.multiply(every, _weights_along(labels, x), out=every)
        spread = np.add.reduce(every, axis=1)
        values = values * one(1.0 - labels.smoothing) + spread * one(labels.smoothing / x.shape[1])
    if labels.keep is not None:
        values = np.where(labels.keep, values, one(0))
    return values.reshape(labels.shape)


def nll_gradient(g: Array, labels: Labels, shape: tuple[int, ...]) -> Array:
    """The gradient of :func:`nll` in log-probabilities of ``shape``."""
    one = g.dtype.type
    full = shape if labels.batched else (1, *shape)
    result = memory.zeros(full, g.dtype)
    if result.size == 0:
        return result.reshape(shape)
    g = np.negative(g).reshape(labels.index.shape)
    if labels.keep is not None:
        g = np.where(labels.keep, g, one(0))
    if labels.smoothing:
        share = g[:, None] * one(labels.smoothing / full[1])
        result += share if labels.weight is None else share * _weights_along(labels, result)
        g = g * one(1.0 - labels.smoothing)
    if labels.factor is not None:
        g = g * labels.factor
    index = labels.index[:, None]
    np.put_along_axis(result, index, np.take_along_axis(result, index, axis=1) + g[:, None], axis=1)
    return result.reshape(shape)


def in_one_pass(x: Any, labels: Labels) -> bool:
    """Whether :func:`cross_entropy` serves these scores: one row for each label, nothing spread.

    It depends on nothing that tells batches apart, so a sample has the same bits in all of them.
    """
    return x.ndim in (1, 2) and x.size > 0 and not labels.smoothing and serves(x)


def cross_entropy(x: Array, labels: Labels) -> tuple[Array, Array, Array]:
    """:func:`nll` of the log-softmax of scores, which are read once; see :func:`in_one_pass`.

    Returns:
        The losses; and for the gradient, the largest score of each label and Σ exp(x − largest).
    """
    scores = _in_rows(x)
    largest, total = rows.totals(scores)
    chosen = np.take_along_axis(scores, labels.index[:, None], axis=1)[:, 0]
    # As log-softmax has it: first the difference, which is exact for the numbers that matter.
    values = np.log(total) - np.subtract(chosen, largest)
    if labels.factor is not None:
        values *= labels.factor
    if labels.keep is not None:
        values[~labels.keep] = 0.0
    return values.astype(x.dtype, copy=False).reshape(labels.shape), largest, total


def cross_entropy_gradient(g: Array, x: Array, labels: Labels, largest: Array, total: Array) -> Array:
    """The gradient of :func:`cross_entropy` in scores: g · (softmax(x) − 1 at the right class)."""
    pull = g.reshape(labels.index.shape)
    if labels.factor is not None:
        pull = pull * labels.factor
    if labels.keep is not None:
        pull = np.where(labels.keep, pull, g.dtype.type(0))
    scores = _in_rows(x)
    out = buffers.empty(scores.shape, scores.dtype)
    rows.shares(scores, largest, (pull / total).astype(x.dtype, copy=False), out)
    out[np.arange(len(out)), labels.index] -= pull
    return out.reshape(x.shape)


def _in_rows(x: Array) -> Array:
    """Scores as rows in C order, one for each label."""
    scores = x if x.ndim == 2 else x[None]
    return scores if scores.flags.c_contiguous and scores.flags.aligned else memory.copy_in_c_order(scores)


def soft_labels(x: Array, target: Array, weight: Array | None, smoothing: float) -> Array:
    """−Σ_c w_c · x_c · ((1 − smoothing) · target_c + smoothing / classes) over axis 1 (axis 0 at rank 1).

    Args:
        x: log-probabilities, (batch, classes, *rest) or (classes,).
        target: probabilities of the same shape.
        weight: (classes,), a factor for each class.
        smoothing: the share that is spread evenly over all classes.
    """
    axis = 1 if x.ndim > 1 else 0
    product = np.multiply(x, spread_labels(target, weight, smoothing), out=buffers.empty(x.shape, x.dtype))
    return np.asarray(np.negative(np.add.reduce(product, axis=axis)))


def spread_labels(target: Array, weight: Array | None, smoothing: float) -> Array:
    """The factors that :func:`soft_labels` gives to the log-probabilities."""
    one = target.dtype.type
    axis = 1 if target.ndim > 1 else 0
    if smoothing:
        target = _add(_multiply(target, one(1.0 - smoothing)), one(smoothing / max(target.shape[axis], 1)))
    if weight is not None:
        target = _multiply(target, weight.reshape(-1, *([1] * (target.ndim - 1 - axis))))
    return np.asarray(target)
