"""What the losses refuse, and in what words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.geometry.axes import MOST_AXES

_S, _T = np.zeros((2, 3)), np.array([0, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.cross_entropy(_S, np.array([0, 3])),
            ArgumentError,
            "cross_entropy needs labels from 0 to 2, or ignore_index=-100. Received: target[1]=3.",
        ),
        (
            lambda: F.nll_loss(np.zeros((2, 3, 2)), np.array([[0, 1], [-1, 0]])),
            ArgumentError,
            "nll_loss needs labels from 0 to 2, or ignore_index=-100. Received: target[1, 0]=-1.",
        ),
        (
            lambda: F.cross_entropy(np.zeros(3), np.array(7)),
            ArgumentError,
            "cross_entropy needs labels from 0 to 2, or ignore_index=-100. Received: target=7.",
        ),
        (
            lambda: F.cross_entropy(_S, np.array([0.0, 1.0])),
            DtypeError,
            "cross_entropy needs labels of an integer dtype. Received: target with shape (2,) and dtype "
            "float64. "
            "Class labels are integers: target.astype('int64'). Probabilities have the input's shape (2, 3).",
        ),
        (
            lambda: F.nll_loss(_S, _S),
            DtypeError,
            "nll_loss needs labels of an integer dtype. Received: target with shape (2, 3) and dtype "
            "float64. "
            "Class labels are integers: target.astype('int64').",
        ),
        (
            lambda: F.cross_entropy(_S, np.array([True, False])),
            DtypeError,
            "cross_entropy needs labels of an integer dtype. Received: target with shape (2,) and dtype "
            "bool.",
        ),
        (
            lambda: F.cross_entropy(_S, np.zeros((2, 3), np.int64)),
            ShapeError,
            "cross_entropy needs target of shape (2,) for input of shape (2, 3): one label for each place. "
            "Received: target with shape (2, 3) and dtype int64. Numbers of the input's shape are taken as "
            "probabilities if they are floats.",
        ),
        (
            lambda: F.nll_loss(_S, np.zeros((2, 1), np.int64)),
            ShapeError,
            "nll_loss needs target of shape (2,) for input of shape (2, 3): one label for each place. "
            "Received: "
            "target with shape (2, 1) and dtype int64. Reshape it: target.reshape((2,)).",
        ),
        (
            lambda: F.cross_entropy(np.array(1.0), np.array(0)),
            ShapeError,
            "cross_entropy needs input of shape (batch, classes, ...) or (classes,). Received: input with "
            "shape ().",
        ),
        (
            lambda: F.cross_entropy(_S, [0, 1]),
            DtypeError,
            "cross_entropy needs target to be a NumPy array or a Tensor. Received: target of type list.",
        ),
        (
            lambda: F.cross_entropy(_S.tolist(), _T),
            DtypeError,
            "cross_entropy needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.cross_entropy(_S, _T, np.ones(2)),
            ShapeError,
            "cross_entropy needs weight of shape (3,), one per class. Received: weight with shape (2,)",
        ),
        (
            lambda: F.cross_entropy(_S, _S, np.ones(2)),
            ShapeError,
            "cross_entropy needs weight of shape (3,), one per class. Received: weight with shape (2,)",
        ),
        (
            lambda: F.nll_loss(_S, _T, np.ones(3, np.float32)),
            DtypeError,
            "nll_loss needs operands of one dtype. Received: input of float64, weight of float32.",
        ),
        (
            lambda: F.cross_entropy(_S, _S.astype(np.float32)),
            DtypeError,
            "cross_entropy needs operands of one dtype. Received: input of float64, target of float32.",
        ),
        (
            lambda: F.cross_entropy(_S, _T, tw.ones(3, dtype=tw.float64, requires_grad=True)),
            ArgumentError,
            "cross_entropy takes weight as a constant, without a gradient. Received: weight with shape "
            "(3,) and "
            "dtype float64. Pass weight.detach().",
        ),
        (
            lambda: F.cross_entropy(_S, _T, label_smoothing=1.5),
            ArgumentError,
            "cross_entropy needs label_smoothing from 0 to 1. Received: label_smoothing=1.5.",
        ),
        (
            lambda: F.cross_entropy(_S, _S, label_smoothing=-0.1),
            ArgumentError,
            "cross_entropy needs label_smoothing from 0 to 1. Received: label_smoothing=-0.1.",
        ),
        (
            lambda: F.cross_entropy(_S, _S, ignore_index=1),
            ArgumentError,
            "cross_entropy takes ignore_index for class labels only, not for probabilities. Received: "
            "ignore_index=1, target with shape (2, 3) and dtype float64.",
        ),
        (
            lambda: F.cross_entropy(_S, _T, reduction="average"),
            ArgumentError,
            "cross_entropy needs reduction to be one of 'none', 'mean', 'sum'. Received: "
            "reduction='average'.",
        ),
        (
            lambda: F.kl_div(_S, _S, reduction="batch"),
            ArgumentError,
            "kl_div needs reduction to be one of 'none', 'mean', 'sum', 'batchmean'. Received: "
            "reduction='batch'.",
        ),
        (
            lambda: F.mse_loss(_S, np.zeros((2, 1))),
            ShapeError,
            "mse_loss needs input and target of one shape. Received: input with shape (2, 3) and dtype "
            "float64, "
            "target with shape (2, 1) and dtype float64. Reshape one of them, or broadcast it on purpose "
            "with "
            "numpy.broadcast_to or expand.",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(_S, _S.astype(np.float32)),
            DtypeError,
            "binary_cross_entropy_with_logits needs operands of one dtype. Received: input of float64, "
            "target of",
        ),
        (
            lambda: F.l1_loss(_S.astype(int), _S),
            DtypeError,
            "l1_loss needs input of one of the dtypes float32, float64, in native byte order.",
        ),
        (
            lambda: F.huber_loss(_S, 0.0),
            DtypeError,
            "huber_loss needs target to be a NumPy array or a Tensor. Received: target of type float.",
        ),
        (
            lambda: F.huber_loss(_S, _S, delta=0),
            ArgumentError,
            "huber_loss needs delta above 0. Received: delta=0.",
        ),
        (
            lambda: F.smooth_l1_loss(_S, _S, beta=-1),
            ArgumentError,
            "smooth_l1_loss needs beta of at least 0. Received: beta=-1.",
        ),
        (
            lambda: F.mse_loss(_S, _S, weight=np.ones(3)),
            ShapeError,
            "mse_loss needs weight of the input's shape (2, 3). Received: weight with shape (3,) and "
            "dtype float64.",
        ),
        (
            lambda: F.binary_cross_entropy(np.array([0.5, 1.5, np.nan]), np.zeros(3)),
            ArgumentError,
            "binary_cross_entropy needs input to be probabilities, from 0 to 1. Received: input with 2 of 3 "
            "elements outside, the first 1.5. For logits, use binary_cross_entropy_with_logits.",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(_S, _S, pos_weight=np.ones(2)),
            ShapeError,
            "binary_cross_entropy_with_logits needs pos_weight of a shape that broadcasts to the input's "
            "(2, 3). "
            "Received: pos_weight with shape (2,) and dtype float64.",
        ),
        (
            lambda: F.binary_cross_entropy(_S, _S, np.ones((2, 2, 3))),
            ShapeError,
            "binary_cross_entropy needs weight of a shape that broadcasts to the input's (2, 3). "
            "Received: weight",
        ),
        (
            lambda: F.binary_cross_entropy(_S, _S, np.ones((1,) * MOST_AXES)),
            ShapeError,
            "binary_cross_entropy needs weight of a shape that broadcasts to the input's (2, 3). "
            "Received: weight",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
