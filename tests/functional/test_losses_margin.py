"""Losses with a margin, and the distances that two of them take: values by hand, gradients, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import check_kinds, check_layouts, normal

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_ROUNDING = {"rtol": 1e-14, "atol": 1e-15, "reason": "rounding of a few operations"}
_EXACT = {"rtol": 0, "atol": 0, "reason": "exact"}

_SIGNS = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
_ROW_SIGNS = np.array([1.0, -1.0])
_ZEROS_AND_ONES = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
_LABELS = np.array([2, 0])
_LISTS = np.array([[0, 2, -1], [1, -1, 0]])
_WEIGHT = np.array([0.5, 2.0, 1.5])


def _in_dtype(constant: Any, like: Any) -> Any:
    return constant.astype(like.dtype)


# Every loss of (2, 3), and how many of its operands have a gradient.
_LOSSES: dict[str, tuple[Any, int]] = {
    "soft margin": (lambda x, **k: F.soft_margin_loss(x, _in_dtype(_SIGNS, x), **k), 1),
    "hinge": (lambda x, **k: F.hinge_embedding_loss(x, _in_dtype(_SIGNS, x), 0.9, **k), 1),
    "ranking": (lambda x, b, **k: F.margin_ranking_loss(x, b, _in_dtype(_SIGNS, x), 0.3, **k), 2),
    "multi": (lambda x, **k: F.multi_margin_loss(x, _LABELS, **k), 1),
    "multi squared": (lambda x, **k: F.multi_margin_loss(x, _LABELS, 2, 0.7, _in_dtype(_WEIGHT, x), **k), 1),
    "multilabel": (lambda x, **k: F.multilabel_margin_loss(x, _LISTS, **k), 1),
    "multilabel soft": (
        lambda x, **k: F.multilabel_soft_margin_loss(
            x, _in_dtype(_ZEROS_AND_ONES, x), _in_dtype(_WEIGHT, x), **k
        ),
        1,
    ),
    "cosine": (lambda x, b, **k: F.cosine_embedding_loss(x, b, _in_dtype(_ROW_SIGNS, x), -0.9, **k), 2),
    "triplet": (lambda x, p, n, **k: F.triplet_margin_loss(x, p, n, 3.0, **k), 3),
    "triplet swapped": (lambda x, p, n, **k: F.triplet_margin_loss(x, p, n, 3.0, 1.5, swap=True, **k), 3),
}
_EVERY = pytest.mark.parametrize("name", _LOSSES)


# --- by hand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            lambda **k: F.soft_margin_loss(np.array([2.0, -1.0]), np.array([1, -1]), **k),
            [math.log1p(math.exp(-2.0)), math.log1p(math.exp(-1.0))],
        ),
        (
            lambda **k: F.soft_margin_loss(np.array([1e4, -1e4]), np.array([-1.0, -1.0]), **k),
            [1e4, 0.0],
        ),
        (
            lambda **k: F.hinge_embedding_loss(np.array([0.25, 0.25, 3.0]), np.array([1, -1, -1]), **k),
            [0.25, 0.75, 0.0],
        ),
        # Neither 1 nor −1 counts as both: 0.25 + max(0, 2 − 0.25).
        (lambda **k: F.hinge_embedding_loss(np.array([0.25]), np.array([0.0]), 2.0, **k), [2.0]),
        (
            lambda **k: F.margin_ranking_loss(
                np.array([3.0, 3.0, 1.0]), np.array([1.0, 1.0, 1.5]), np.array([1, -1, 1]), 0.5, **k
            ),
            [0.0, 2.5, 1.0],
        ),
        # (1 − 0.5 + 0.25 and 1 − 0.5 + 1) / 3; then the squares, twice as heavy.
        (
            lambda **k: F.multi_margin_loss(np.array([[0.25, 0.5, 1.0]]), np.array([1]), **k),
            [0.75],
        ),
        (
            lambda **k: F.multi_margin_loss(
                np.array([[0.25, 0.5, 1.0]]), np.array([1]), 2, 1.0, np.array([1.0, 2.0, 1.0]), **k
            ),
            [2 * (0.75**2 + 1.5**2) / 3],
        ),
        # PyTorch's own example: 1 − (0.8 − 0.2), 1 − (0.8 − 0.4), 1 − (0.1 − 0.2), 1 − (0.1 − 0.4), over 4.
        (
            lambda **k: F.multilabel_margin_loss(
                np.array([[0.1, 0.2, 0.4, 0.8]]), np.array([[3, 0, -1, 1]]), **k
            ),
            [(0.4 + 0.6 + 1.1 + 1.3) / 4],
        ),
        (
            lambda **k: F.multilabel_soft_margin_loss(
                np.array([[0.0, math.log(3.0)]]), np.array([[1, 0]]), **k
            ),
            [(math.log(2.0) + math.log(4.0)) / 2],
        ),
        (
            lambda **k: F.cosine_embedding_loss(
                np.array([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]]),
                np.array([[4.0, 3.0], [4.0, 3.0], [-4.0, -3.0]]),
                np.array([1, -1, -1]),
                0.5,
                **k,
            ),
            [0.04, 0.46, 0.0],
        ),
        (
            lambda **k: F.triplet_margin_loss(
                np.zeros((2, 2)),
                np.array([[3.0, 4.0], [0.0, 1.0]]),
                np.array([[6.0, 8.0], [0.0, 1.5]]),
                eps=0.0,
                **k,
            ),
            [0.0, 0.5],
        ),
        # The positive is 0.5 from the negative, nearer than the anchor is.
        (
            lambda **k: F.triplet_margin_loss(
                np.zeros((1, 2)), np.array([[0.0, 1.0]]), np.array([[0.0, 1.5]]), eps=0.0, swap=True, **k
            ),
            [1.5],
        ),
    ],
)
def test_by_hand(function: Any, expected: list[float]) -> None:
    loose = {**_ROUNDING, "rtol": 1e-11, "reason": "PyTorch adds 1e-12 to squared lengths of 25"}
    assert_same(function(reduction="none"), expected, **loose)
    assert_same(function(reduction="sum"), np.asarray(sum(expected)), **loose)
    assert_same(function(), np.asarray(sum(expected) / len(expected)), **loose)


def test_single_samples() -> None:
    x = normal((3,), 1)
    for batched, single in (
        (F.multi_margin_loss(x[None], np.array([1])), F.multi_margin_loss(x, np.array(1))),
        (F.multilabel_margin_loss(x[None], _LISTS[:1]), F.multilabel_margin_loss(x, _LISTS[0])),
        (
            F.cosine_embedding_loss(x[None], 1 - x[None], np.array([1])),
            F.cosine_embedding_loss(x, 1 - x, np.array(1)),
        ),
        (
            F.triplet_margin_loss(x[None], x[None] * 2, -x[None]),
            F.triplet_margin_loss(x, x * 2, -x),
        ),
    ):
        assert_same(single, batched, **_ROUNDING)
    assert F.multi_margin_loss(x, np.array(1), reduction="none").shape == ()


def test_cosine_similarity_by_hand() -> None:
    a, b = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 2.0], [1.0, 1.0]])
    assert_same(F.cosine_similarity(a, b), [0.96, 0.0, 0.0], **_ROUNDING)
    assert_same(F.cosine_similarity(a, b[0]), [0.96, 0.8, 0.0], **_ROUNDING)
    assert_same(F.cosine_similarity(a.T, b.T, dim=0), [0.96, 0.0, 0.0], **_ROUNDING)
    # Shorter than eps: divided by eps.
    short = np.array([[3e-9, 4e-9]])
    assert_same(F.cosine_similarity(short, b[:1]), [0.48], **_ROUNDING)


def test_pairwise_distance_by_hand() -> None:
    a, b = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[4.0, -2.0], [0.0, 0.0]])
    for p, expected in ((1.0, 7.0), (2.0, 5.0), (3.0, 91 ** (1 / 3)), (math.inf, 4.0)):
        assert_same(F.pairwise_distance(a, b, p, 0.0), [expected, 0.0], **_ROUNDING)
    assert F.pairwise_distance(a, b, keepdim=True).shape == (2, 1)
    assert_same(F.pairwise_distance(a, b[0], eps=0.0), [5.0, math.sqrt(20.0)], **_ROUNDING)
    # eps goes to the difference, before its length is taken.
    assert_same(F.pairwise_distance(a[1], b[1], 2.0, 3.0), np.asarray(math.sqrt(18.0)), **_ROUNDING)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, math.inf])
def test_the_distance_of_equal_vectors_has_slope_0(p: float) -> None:
    x = tw.tensor([[1.0, 2.0]], dtype=tw.float64, requires_grad=True)
    y = F.pairwise_distance(x, tw.tensor([[1.0, 2.0]], dtype=tw.float64), p, 0.0)
    (first,) = tw.autograd.grad(y.sum(), x, create_graph=True)
    assert_same(first.detach(), np.zeros((1, 2)), **_EXACT)
    (second,) = tw.autograd.grad((first * first).sum(), x, allow_unused=True)
    assert second is None or np.isfinite(second.numpy()).all()


# --- kinds, layouts, gradients ------------------------------------------------------------------------------


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_dtypes_and_inputs_kept(name: str, dtype: Any) -> None:
    function, count = _LOSSES[name]
    arrays = [normal((2, 3), seed, dtype) for seed in range(count)]
    for reduction in ("none", "mean", "sum"):
        check_kinds(lambda *x, r=reduction: function(*x, reduction=r), *arrays)


@_EVERY
def test_layouts(name: str) -> None:
    function, count = _LOSSES[name]
    rest = [normal((2, 3), seed) for seed in range(1, count)]
    if name.startswith("triplet"):
        check_layouts(
            lambda x: function(x, *(r[: len(x)] for r in rest), reduction="none"), normal((2, 3), 0)
        )
        return
    x = normal((2, 3), 0)
    for view in (np.asfortranarray(x), np.flip(np.flip(x).copy()), np.repeat(x, 2, axis=1)[:, ::2]):
        y = function(view, *rest, reduction="none")
        assert_same(y, function(x, *rest, reduction="none"), **_ROUNDING)


@_EVERY
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradients_are_difference_quotients(name: str, reduction: str) -> None:
    function, count = _LOSSES[name]
    inputs = [tw.tensor(normal((2, 3), seed), requires_grad=True) for seed in range(count)]
    assert gradcheck(lambda *x: function(*x, reduction=reduction), inputs)
    assert gradgradcheck(lambda *x: function(*x, reduction=reduction), inputs)


def test_gradients_of_targets() -> None:
    x, t = (tw.tensor(normal((2, 3), seed), requires_grad=True) for seed in (1, 2))
    for function in (F.soft_margin_loss, F.multilabel_soft_margin_loss):
        assert gradcheck(function, [x, t])
        assert gradgradcheck(function, [x, t])
    for dim in (0, 1):
        assert gradcheck(lambda a, b, d=dim: F.cosine_similarity(a, b, d), [x, t])
        assert gradgradcheck(lambda a, b, d=dim: F.cosine_similarity(a, b, d), [x, t])
    for p in (1.0, 1.5, 2.0, math.inf):
        assert gradcheck(lambda a, b, p=p: F.pairwise_distance(a, b, p), [x, t])
        assert gradgradcheck(lambda a, b, p=p: F.pairwise_distance(a, b, p), [x, t])


# --- corner cases -------------------------------------------------------------------------------------------


def test_no_samples() -> None:
    x = np.zeros((0, 3))
    signs, labels = np.zeros((0, 3)), np.zeros(0, np.int64)
    for each in (
        lambda **k: F.soft_margin_loss(x, signs, **k),
        lambda **k: F.hinge_embedding_loss(x, signs, **k),
        lambda **k: F.margin_ranking_loss(x, x, signs, **k),
        lambda **k: F.multi_margin_loss(x, labels, **k),
        lambda **k: F.multilabel_margin_loss(x, np.zeros((0, 3), np.int64), **k),
        lambda **k: F.multilabel_soft_margin_loss(x, signs, **k),
        lambda **k: F.cosine_embedding_loss(x, x, np.zeros(0), **k),
        lambda **k: F.triplet_margin_loss(x, x, x, **k),
    ):
        assert each(reduction="none").shape[0] == 0
        assert_same(each(reduction="sum"), np.array(0.0), **_EXACT)
        assert_same(each(), np.array(math.nan), **_EXACT)
    assert F.cosine_similarity(x, x).shape == (0,)
    assert F.pairwise_distance(x, x).shape == (0,)


def test_no_classes() -> None:
    nothing = np.zeros((2, 0))
    lists = np.zeros((2, 0), np.int64)
    assert_same(F.multilabel_margin_loss(nothing, lists, reduction="none"), [0.0, 0.0], **_EXACT)
    y = F.multilabel_soft_margin_loss(nothing, nothing, reduction="none")
    assert_same(y, [math.nan, math.nan], **_EXACT)
    assert_same(F.pairwise_distance(nothing, nothing), [0.0, 0.0], **_EXACT)


def test_nan_stays() -> None:
    x = np.array([[0.1, math.nan, 0.3], [0.1, 0.2, 0.3]])
    for name, (function, count) in _LOSSES.items():
        y = function(x, *[normal((2, 3), seed) for seed in range(1, count)], reduction="none")
        found = np.isnan(y).reshape(2, -1)
        assert found[0].any(), name
        assert not found[1].any(), name


def test_whole_numbers_are_taken_as_targets() -> None:
    x = normal((2, 3), 1, np.float32)
    for target in (_SIGNS.astype(np.int64), _SIGNS.astype(np.int8), tw.tensor(_SIGNS).int()):
        y = F.soft_margin_loss(x, np.asarray(target) if not isinstance(target, tw.Tensor) else target.numpy())
        assert_same(y, F.soft_margin_loss(x, _SIGNS.astype(np.float32)), **_EXACT)


# --- refusals -----------------------------------------------------------------------------------------------

_X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.soft_margin_loss(_X, _X[:, :1]),
            ShapeError,
            "soft_margin_loss needs input and target of one shape. Received: input with shape (2, 3) and "
            "dtype",
        ),
        (
            lambda: F.soft_margin_loss(_X, _X, reduction="max"),
            ArgumentError,
            "soft_margin_loss needs reduction to be one of 'none', 'mean', 'sum'. Received: reduction='max'.",
        ),
        (
            lambda: F.hinge_embedding_loss(_X, None),
            DtypeError,
            "hinge_embedding_loss needs target to be a NumPy array or a Tensor. Received: target of type",
        ),
        (
            lambda: F.hinge_embedding_loss(_X, _X, "1"),
            DtypeError,
            "hinge_embedding_loss needs margin to be a number. Received: margin='1'.",
        ),
        (
            lambda: F.margin_ranking_loss(_X, _X[0], _X),
            ShapeError,
            "margin_ranking_loss needs input1 and input2 of one shape. Received: input1 with shape (2, 3) "
            "and",
        ),
        (
            lambda: F.margin_ranking_loss(_X, _X.astype(np.float32), _X),
            DtypeError,
            "margin_ranking_loss needs operands of one dtype. Received: input1 of float64, input2 of "
            "float32.",
        ),
        (
            lambda: F.margin_ranking_loss([1.0], _X, _X),
            DtypeError,
            "margin_ranking_loss needs input1 to be a NumPy array or a Tensor. Received: input1 of type "
            "list.",
        ),
        (
            lambda: F.multi_margin_loss(_X, np.array([0, 3])),
            ArgumentError,
            "multi_margin_loss needs labels from 0 to 2. Received: target[1]=3.",
        ),
        (
            lambda: F.multi_margin_loss(_X, _LABELS, 3),
            ArgumentError,
            "multi_margin_loss needs p to be 1 or 2. Received: p=3.",
        ),
        (
            lambda: F.multi_margin_loss(_X[None], _LABELS),
            ShapeError,
            "multi_margin_loss needs input of shape (batch, classes) or (classes,). Received: input with "
            "shape "
            "(1, 2, 3)",
        ),
        (
            lambda: F.multi_margin_loss(_X, _LABELS, weight=np.ones(2)),
            ShapeError,
            "multi_margin_loss needs weight of shape (3,), one per class. Received: weight with shape (2,)",
        ),
        (
            lambda: F.multi_margin_loss(_X, _LABELS.astype(float)),
            DtypeError,
            "multi_margin_loss needs labels of an integer dtype. Received: target with shape (2,) and dtype",
        ),
        (
            lambda: F.multilabel_margin_loss(_X, np.array([[0, 3, -1], [1, -1, -1]])),
            ArgumentError,
            "multilabel_margin_loss needs labels from 0 to 2, and −1 after the last. Received: target with "
            "3.",
        ),
        (
            lambda: F.multilabel_margin_loss(_X, _LABELS),
            ShapeError,
            "multilabel_margin_loss needs input of shape (batch, classes) or (classes,), and target of the "
            "same "
            "shape. Received: input with shape (2, 3)",
        ),
        (
            lambda: F.multilabel_margin_loss(_X, _X),
            DtypeError,
            "multilabel_margin_loss needs labels of an integer dtype. Received: target with shape (2, 3)",
        ),
        (
            lambda: F.multilabel_soft_margin_loss(_X, _X, np.ones(2)),
            ShapeError,
            "multilabel_soft_margin_loss needs weight of a shape that broadcasts to the input's (2, 3). "
            "Received:",
        ),
        (
            lambda: F.multilabel_soft_margin_loss(np.array(1.0), np.array(1.0)),
            ShapeError,
            "multilabel_soft_margin_loss needs input of shape (..., classes). Received: input with shape ()",
        ),
        (
            lambda: F.cosine_embedding_loss(_X, _X, _X),
            ShapeError,
            "cosine_embedding_loss needs inputs of shape (batch, features) with target (batch,), or "
            "(features,) "
            "with rank 0. Received: input1 with shape (2, 3) and dtype float64, target with shape (2, 3)",
        ),
        (
            lambda: F.cosine_embedding_loss(_X, _X, _ROW_SIGNS.astype(np.float32)),
            DtypeError,
            "cosine_embedding_loss needs operands of one dtype. Received: input1 of float64, target of "
            "float32.",
        ),
        (
            lambda: F.triplet_margin_loss(_X, _X, _X[:1]),
            ShapeError,
            "triplet_margin_loss needs anchor, positive and negative of one shape, with an axis. Received: "
            "anchor",
        ),
        (
            lambda: F.triplet_margin_loss(_X, _X, _X, 0.0),
            ArgumentError,
            "triplet_margin_loss needs margin above 0. Received: margin=0.0.",
        ),
        (
            lambda: F.triplet_margin_loss(_X, _X, _X, p=0.0),
            ArgumentError,
            "pairwise_distance needs p above 0. Received: p=0.0.",
        ),
        (
            lambda: F.pairwise_distance(np.array(1.0), np.array(2.0)),
            ShapeError,
            "pairwise_distance needs operands with an axis. Received: x1 with shape () and dtype float64, x2",
        ),
        (
            lambda: F.pairwise_distance(_X, np.zeros(2)),
            ShapeError,
            "pairwise_distance needs shapes that broadcast: from the last axis back, sizes are equal or 1. "
            "Received: (2, 3) and (2,).",
        ),
        (
            lambda: F.cosine_similarity(_X, _X, dim=2),
            ShapeError,
            "cosine_similarity needs a dim from -2 to 1 for a tensor of rank 2. Received: dim=2.",
        ),
        (
            lambda: F.cosine_similarity(_X, 3.0),
            DtypeError,
            "cosine_similarity needs x2 to be a NumPy array or a Tensor. Received: x2 of type float.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
