"""Focal and Dice loss: values by hand, gradients, corner cases, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import check_kinds, check_layouts, normal, probabilities

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_ROUNDING = {"rtol": 1e-13, "atol": 1e-15, "reason": "rounding of a few operations"}
_EXACT = {"rtol": 0, "atol": 0, "reason": "exact"}
_LOG = math.log


# --- focal loss ---------------------------------------------------------------------------------------------


def test_binary_focal_loss_by_hand() -> None:
    # sigmoid(log 9) = 0.9, sigmoid(log 3) = 0.75.
    x, t = np.array([_LOG(9), _LOG(9), _LOG(3), -_LOG(3)]), np.array([1, 0, 1, 1])
    plain = [0.01 * -_LOG(0.9), 0.81 * _LOG(10), 0.0625 * -_LOG(0.75), 0.5625 * _LOG(4)]
    assert_same(F.sigmoid_focal_loss(x, t, None), plain, **_ROUNDING)
    assert_same(F.sigmoid_focal_loss(x, t, -1), plain, **_ROUNDING)
    weighted = [0.25 * plain[0], 0.75 * plain[1], 0.25 * plain[2], 0.25 * plain[3]]
    assert_same(F.sigmoid_focal_loss(x, t), weighted, **_ROUNDING)
    assert_same(F.sigmoid_focal_loss(x, t, reduction="sum"), np.asarray(sum(weighted)), **_ROUNDING)
    assert_same(F.sigmoid_focal_loss(x, t, reduction="mean"), np.asarray(sum(weighted) / 4), **_ROUNDING)
    root = F.sigmoid_focal_loss(x[:1], t[:1], None, 0.5)
    assert_same(root, [math.sqrt(0.1) * -_LOG(0.9)], **_ROUNDING)
    # Half sure of yes is half right either way.
    soft = F.sigmoid_focal_loss(x[:1], np.array([0.5]), None, 1.0)
    assert_same(soft, [0.5 * (-0.5 * _LOG(0.9) + 0.5 * _LOG(10))], **_ROUNDING)


def test_focal_loss_of_classes_by_hand() -> None:
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    each = [0.75**2 * _LOG(4), 0.3**2 * -_LOG(0.7)]
    target = np.array([1, 2])
    assert_same(F.focal_loss(np.log(p), target, reduction="none"), each, **_ROUNDING)
    assert_same(F.focal_loss(np.log(p), target), np.asarray(sum(each) / 2), **_ROUNDING)
    weight = np.array([1.0, 2.0, 3.0])
    mean = (2 * each[0] + 3 * each[1]) / 5
    assert_same(F.focal_loss(np.log(p), target, weight), np.asarray(mean), **_ROUNDING)
    some = F.focal_loss(np.log(p), target, ignore_index=1, reduction="none")
    assert_same(some, [0.0, each[1]], **_ROUNDING)
    assert_same(F.focal_loss(np.log(p), target, ignore_index=1), np.asarray(each[1]), **_ROUNDING)
    single = F.focal_loss(np.log(p[0]), np.array(1), gamma=1.0)
    assert_same(single, np.asarray(0.75 * _LOG(4)), **_ROUNDING)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_without_gamma_it_is_cross_entropy(reduction: str) -> None:
    x, target = normal((4, 3, 5), 1), np.random.default_rng(0).integers(0, 3, (4, 5))
    weight = np.array([0.5, 2.0, 1.0])
    options: dict[str, Any] = {"ignore_index": 2, "reduction": reduction}
    expected = F.cross_entropy(x, target, weight, **options)
    assert_same(F.focal_loss(x, target, weight, gamma=0, **options), expected, **_ROUNDING)
    yes = (normal((4, 3), 2) > 0).astype(np.float64)
    expected = F.binary_cross_entropy_with_logits(normal((4, 3), 1), yes, reduction=reduction)
    y = F.sigmoid_focal_loss(normal((4, 3), 1), yes, None, 0.0, reduction)
    assert_same(y, expected, **_EXACT)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sure_answers_have_finite_gradients(gamma: float, dtype: Any) -> None:
    # exp(−2000) is 0 in either dtype: what is right for sure costs nothing, and has no slope.
    x = tw.tensor(np.array([2000.0, -2000.0, 30.0], dtype), requires_grad=True)
    target = np.array([1.0, 0.0, 1.0], dtype)
    y = F.sigmoid_focal_loss(x, target, gamma=gamma)
    (first,) = tw.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = tw.autograd.grad(first.sum(), x)
    scores = tw.tensor(np.array([[2000.0, 0.0], [0.0, 30.0]], dtype), requires_grad=True)
    z = F.focal_loss(scores, np.array([0, 1]), gamma=gamma, reduction="none")
    (of_scores,) = tw.autograd.grad(z.sum(), scores, create_graph=True)
    (again,) = tw.autograd.grad(of_scores.sum(), scores)
    for found in (y, first, second, z, of_scores, again):
        values = found.detach().numpy()
        assert np.isfinite(values).all()
        # exp(−30) is 9e-14, and the wrong class's probability beside it.
        assert float(np.abs(values).max()) < 1e-12
    # What is wrong for sure costs its logit.
    wrong = F.sigmoid_focal_loss(np.array([2000.0, -2000.0], dtype), np.array([0.0, 1.0], dtype), None, gamma)
    assert_same(wrong, np.array([2000.0, 2000.0], dtype), rtol=1e-6, atol=0, reason="a few roundings")


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradients_of_focal_losses(reduction: str, gamma: float) -> None:
    x = tw.tensor(normal((2, 3), 1), requires_grad=True)
    t = tw.tensor(probabilities((2, 3), 2), requires_grad=True)

    def binary(x: Any, t: Any) -> Any:
        return F.sigmoid_focal_loss(x, t, 0.3, gamma, reduction)

    def classes(x: Any) -> Any:
        weight = np.array([0.5, 2.0, 1.0])
        return F.focal_loss(x, np.array([2, 0]), weight, gamma=gamma, reduction=reduction)

    for check in (gradcheck, gradgradcheck):
        assert check(binary, [x, t])
        assert check(classes, [x])


# --- Dice loss ----------------------------------------------------------------------------------------------


def test_dice_loss_by_hand() -> None:
    # Channel 0: overlap 1 of 2 and 1; channel 1: overlap 0.5 of 0.25 + 1 and 2.
    p = np.array([[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0]]])
    t = np.array([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]])
    by_class = [[1 - 2 / 3, 1 - 1.0 / 3.25]]
    y = F.dice_loss(p, t, per_class=True, smooth=0.0, reduction="none")
    assert_same(y, by_class, **_ROUNDING)
    assert_same(F.dice_loss(p, t, per_class=True, smooth=0.0), np.asarray(sum(by_class[0]) / 2), **_ROUNDING)
    whole = F.dice_loss(p, t, smooth=0.0, reduction="none")
    assert_same(whole, [1 - 3.0 / 6.25], **_ROUNDING)
    assert_same(F.dice_loss(p, t, reduction="sum"), np.asarray(1 - 4.0 / 7.25), **_ROUNDING)
    # Sums instead of squares: 2 + 1.5 and 1 + 2.
    plain = F.dice_loss(p, t, squared=False, smooth=0.0, reduction="none")
    assert_same(plain, [1 - 3.0 / 6.5], **_ROUNDING)
    assert_same(F.dice_loss(t, t), np.asarray(0.0), **_EXACT)
    assert_same(F.dice_loss(t, 1 - t, smooth=0.0), np.asarray(1.0), **_EXACT)


def test_dice_loss_of_class_labels() -> None:
    p = probabilities((2, 3, 4), 1, axis=1)
    labels = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
    hot = np.moveaxis(np.eye(3)[labels], -1, 1)
    for per_class in (False, True):
        expected = F.dice_loss(p, hot, per_class=per_class, reduction="none")
        y = F.dice_loss(p, labels, per_class=per_class, reduction="none")
        assert_same(y, expected, **_EXACT)
    # An ignored place is as if it were not there.
    labels[:, 3] = 255
    y = F.dice_loss(p, labels, ignore_index=255, reduction="none")
    assert_same(y, F.dice_loss(p[..., :3], labels[:, :3], reduction="none"), **_ROUNDING)
    x = tw.tensor(p, requires_grad=True)
    F.dice_loss(x, labels, ignore_index=255).backward()
    assert_same(x.grad[..., 3].numpy(), np.zeros((2, 3)), **_EXACT)
    # Masks of bools or whole numbers, of the probabilities' shape.
    mask = hot > 0
    assert_same(F.dice_loss(p, mask), F.dice_loss(p, hot), **_EXACT)
    assert_same(F.dice_loss(p, mask.astype(np.uint8)), F.dice_loss(p, hot), **_EXACT)


def test_nothing_there_and_nothing_found() -> None:
    nothing = np.zeros((2, 1, 3, 3))
    assert_same(F.dice_loss(nothing, nothing), np.asarray(0.0), **_EXACT)
    assert_same(F.dice_loss(nothing, nothing, smooth=0.0), np.asarray(math.nan), **_EXACT)
    # Nine pixels found where nothing is: 1 − 1/(9 + 1).
    assert_same(F.dice_loss(1 - nothing, nothing), np.asarray(0.9), **_ROUNDING)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("squared", [False, True])
def test_gradients_of_dice_loss(per_class: bool, squared: bool) -> None:
    for shape in ((2, 3, 2, 2), (2, 2)):
        p, t = (tw.tensor(probabilities(shape, seed), requires_grad=True) for seed in (1, 2))

        def loss(p: Any, t: Any) -> Any:
            # Difference quotients step over neither 0 nor 1 here.
            return F.dice_loss(p, t, per_class=per_class, squared=squared, smooth=0.5)

        assert gradcheck(loss, [p, t])
        assert gradgradcheck(loss, [p, t])


# --- kinds, layouts, corner cases ---------------------------------------------------------------------------

_LABELS = np.array([[2, 0, 1, 1], [1, -100, 0, 2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_kinds_dtypes_and_inputs_kept(reduction: str, dtype: Any) -> None:
    x, yes = normal((2, 3, 4), 1, dtype), probabilities((2, 3, 4), 2).astype(dtype)
    check_kinds(lambda x, t: F.sigmoid_focal_loss(x, t, reduction=reduction), x, yes)
    check_kinds(lambda x, t: F.focal_loss(x, t, reduction=reduction), x, _LABELS)
    check_kinds(lambda x, t: F.dice_loss(x, t, reduction=reduction), yes, yes[::-1].copy())
    check_kinds(lambda x, t: F.dice_loss(x, t, reduction=reduction), yes, np.maximum(_LABELS, 0))


def test_layouts() -> None:
    x, yes = normal((2, 3, 4), 1), probabilities((2, 3, 4), 2)
    check_layouts(lambda x: F.sigmoid_focal_loss(x, yes[: len(x)]), x)
    check_layouts(lambda x: F.focal_loss(x, _LABELS[: len(x)], reduction="none"), x)
    check_layouts(lambda x: F.dice_loss(x, yes[: len(x)], reduction="none"), yes)


def test_no_samples() -> None:
    x = np.zeros((0, 3, 4))
    for each in (
        lambda **k: F.sigmoid_focal_loss(x, x, **k),
        lambda **k: F.focal_loss(x, np.zeros((0, 4), np.int64), **k),
        lambda **k: F.dice_loss(x, x, **k),
        lambda **k: F.dice_loss(x, np.zeros((0, 4), np.int64), **k),
    ):
        assert each(reduction="none").shape[0] == 0
        assert_same(each(reduction="sum"), np.array(0.0), **_EXACT)
        assert_same(each(reduction="mean"), np.array(math.nan), **_EXACT)


def test_samples_have_their_own_bits() -> None:
    x, p = normal((5, 3, 50), 1, np.float32), probabilities((5, 3, 50), 2, axis=1).astype(np.float32)
    labels = np.random.default_rng(0).integers(0, 3, (5, 50))
    for function, operand, target in (
        (F.sigmoid_focal_loss, x, p),
        (F.focal_loss, x, labels),
        (F.dice_loss, p, labels),
        (F.dice_loss, p, p),
    ):
        together = function(operand, target, reduction="none")
        for i in range(5):
            alone = function(operand[i : i + 1], target[i : i + 1], reduction="none")
            assert_same(alone, together[i : i + 1], rtol=0, atol=0, reason="a sample's own bits")


def test_nan_stays() -> None:
    x = np.array([[math.nan, 0.0], [1.0, 0.0]])
    yes = np.ones((2, 2))
    assert_same(np.isnan(F.sigmoid_focal_loss(x, yes)), [[True, False], [False, False]], **_EXACT)
    y = F.focal_loss(x, np.array([0, 0]), reduction="none")
    assert_same(np.isnan(y), [True, False], **_EXACT)


# --- refusals -----------------------------------------------------------------------------------------------

_P = np.full((2, 3, 4), 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.sigmoid_focal_loss(_P, _P, 1.5),
            ArgumentError,
            "sigmoid_focal_loss needs alpha from 0 to 1, or −1 or None to leave it out. Received: alpha=1.5.",
        ),
        (
            lambda: F.sigmoid_focal_loss(_P, _P, gamma=-1),
            ArgumentError,
            "sigmoid_focal_loss needs gamma to be a finite number of at least 0. Received: gamma=-1.",
        ),
        (
            lambda: F.sigmoid_focal_loss(_P, _P, "a"),
            DtypeError,
            "sigmoid_focal_loss needs alpha to be a number. Received: alpha='a'.",
        ),
        (
            lambda: F.sigmoid_focal_loss(_P, _P[0]),
            ShapeError,
            "sigmoid_focal_loss needs input and target of one shape. Received: input with shape (2, 3, 4)",
        ),
        (
            lambda: F.focal_loss(_P, np.full((2, 4), 3)),
            ArgumentError,
            "focal_loss needs labels from 0 to 2, or ignore_index=-100. Received: target[0, 0]=3.",
        ),
        (
            lambda: F.focal_loss(_P, _P),
            DtypeError,
            "focal_loss needs labels of an integer dtype. Received: target with shape (2, 3, 4) and dtype",
        ),
        (
            lambda: F.focal_loss(_P, _LABELS, np.ones(2)),
            ShapeError,
            "focal_loss needs weight of shape (3,), one per class. Received: weight with shape (2,) and "
            "dtype",
        ),
        (
            lambda: F.focal_loss(_P, _LABELS, gamma=math.nan),
            ArgumentError,
            "focal_loss needs gamma to be a finite number of at least 0. Received: gamma=nan.",
        ),
        (
            lambda: F.focal_loss(_P, _LABELS, reduction="batchmean"),
            ArgumentError,
            "focal_loss needs reduction to be one of 'none', 'mean', 'sum'. Received: reduction='batchmean'.",
        ),
        (
            lambda: F.dice_loss(_P * 4, _P),
            ArgumentError,
            "dice_loss needs input to be probabilities, from 0 to 1. Received: input with 24 of 24 elements "
            "outside, the first 2.0. For logits, take softmax over the classes, or sigmoid, first.",
        ),
        (
            lambda: F.dice_loss(_P * math.nan, _P),
            ArgumentError,
            "dice_loss needs input to be probabilities, from 0 to 1. Received: input with 24 of 24 elements",
        ),
        (
            lambda: F.dice_loss(np.ones(3), np.ones(3)),
            ShapeError,
            "dice_loss needs input of shape (batch, classes, ...). Received: input with shape (3,) and dtype",
        ),
        (
            lambda: F.dice_loss(_P, _P, smooth=-1.0),
            ArgumentError,
            "dice_loss needs smooth of at least 0. Received: smooth=-1.0.",
        ),
        (
            lambda: F.dice_loss(_P, _P, ignore_index=0),
            ArgumentError,
            "dice_loss takes ignore_index for class labels only. Received: ignore_index=0, target with shape",
        ),
        (
            lambda: F.dice_loss(_P, np.full((2, 4), 3)),
            ArgumentError,
            "dice_loss needs labels from 0 to 2. Received: target[0, 0]=3.",
        ),
        (
            lambda: F.dice_loss(_P, np.zeros((2, 5), np.int64)),
            ShapeError,
            "dice_loss needs target of shape (2, 4) for input of shape (2, 3, 4): one label for each place. "
            "Received: target with shape (2, 5) and dtype int64.",
        ),
        (
            lambda: F.dice_loss(_P, _P[:1]),
            ShapeError,
            "dice_loss needs input and target of one shape. Received: input with shape (2, 3, 4) and dtype",
        ),
        (
            lambda: F.dice_loss("p", _P),
            DtypeError,
            "dice_loss needs input to be a NumPy array or a Tensor. Received: input of type str.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
