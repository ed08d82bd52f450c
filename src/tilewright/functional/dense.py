"""The dense layer and one-hot vectors: PyTorch's names, order and defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import rules_dense as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.functional.operands import Operand
from tilewright.geometry.axes import as_integer

__all__ = ["linear", "one_hot"]


def linear(input: Operand, weight: Operand, bias: Operand | None = None) -> Any:
    """The dense layer: input · weightᵀ + bias over the last axis.

    Each row's result is the same to the bit whatever rows come with it (see :mod:`tilewright.op.dense`).
    Dtypes are those of :func:`conv`: halves are added up in float32 and rounded once, integers wrap round,
    complex numbers are not conjugated.

    Args:
        input: (*, in_features), any number of leading axes.
        weight: (out_features, in_features), or (in_features,) for a single output without an axis of its own.
        bias: (out_features,).

    Returns:
        (*, out_features), in the dtype of the operands.

    Raises:
        ShapeError: the shapes don't fit.
        DtypeError: the operands' dtypes differ.

    >>> import numpy as np
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    return apply("linear", input, weight, bias)


def one_hot(tensor: Operand, num_classes: int = -1) -> Any:
    """For each label a vector of zeros with a 1 at the label's place.

    Args:
        tensor: integers of at least 0, any shape (*).
        num_classes: the vectors' length; −1 takes one more than the largest label.

    Returns:
        int64, (*, num_classes).

    Raises:
        DtypeError: the labels are no integers.
        ArgumentError: a label is negative or not below ``num_classes``, or there is none to take the length
            from.
        ShapeError: no memory holds the result.

    >>> import numpy as np
    >>> one_hot(np.array([2, 0]))
    array([[0, 0, 1],
           [1, 0, 0]])
    """
    labels = tensor._data if isinstance(tensor, Tensor) else tensor
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        raise DtypeError("one_hot needs labels of an integer dtype.", describe(tensor=labels))
    classes = as_integer(num_classes, "num_classes", "one_hot", least=-1)
    if classes == -1:
        if labels.size == 0:
            raise ArgumentError(
                "one_hot can't take the number of classes from no labels.",
                describe(tensor=labels),
                "Give num_classes.",
            )
        classes = max(int(labels.max()) + 1, 0)
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        worst = int(labels.min()) if int(labels.min()) < 0 else int(labels.max())
        rule = "of at least 0" if worst < 0 else f"from 0 to {classes - 1}"
        raise ArgumentError(
            f"one_hot needs labels {rule}.", f"a label {worst}, {describe(num_classes=num_classes)}"
        )
    return apply("one_hot", tensor, classes=classes)
