"""Losses: values by hand, kinds and layouts, gradients, and corner cases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import Array, check_kinds, check_layouts, normal, probabilities

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck

_ROUNDING = {"rtol": 1e-14, "atol": 1e-15, "reason": "rounding of a few operations"}


# --- by hand ------------------------------------------------------------------------------------------------

_P = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
_L = math.log


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (_L(4) - _L(0.7)) / 2),
        ({"reduction": "sum"}, _L(4) - _L(0.7)),
        ({"weight": np.array([1.0, 2.0, 3.0])}, (2 * _L(4) - 3 * _L(0.7)) / 5),
        ({"ignore_index": 1}, -_L(0.7)),
        ({"ignore_index": 1, "reduction": "sum"}, -_L(0.7)),
    ],
)
def test_classes_by_hand(options: dict[str, Any], expected: float) -> None:
    target = np.array([1, 2])
    wanted = np.asarray(expected)
    assert_same(F.nll_loss(np.log(_P), target, **options), wanted, **_ROUNDING)
    # Softmax doesn't see a constant added to all scores of a place.
    scores = np.log(_P) + np.array([[3.0], [-7.0]])
    assert_same(F.cross_entropy(scores, target, **options), wanted, **_ROUNDING)


def test_classes_by_hand_one_by_one() -> None:
    y = F.cross_entropy(np.log(_P), np.array([1, -100]), reduction="none")
    assert_same(y, [_L(4), 0.0], **_ROUNDING)
    one = F.cross_entropy(np.log(_P[0]), np.array(2))
    assert_same(one, np.asarray(_L(4)), **_ROUNDING)


def test_label_smoothing_by_hand() -> None:
    # 0.7 of the label stays, and each of the three classes gets another 0.1.
    expected = -(0.8 * _L(0.5) + 0.1 * _L(0.25) + 0.1 * _L(0.25))
    y = F.cross_entropy(np.log(_P[:1]), np.array([0]), label_smoothing=0.3)
    assert_same(y, np.asarray(expected), **_ROUNDING)


def test_probabilities_by_hand() -> None:
    target = np.array([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
    expected = (0.2 * _L(2) + 0.8 * _L(4) - _L(0.7)) / 2
    assert_same(F.cross_entropy(np.log(_P), target), np.asarray(expected), **_ROUNDING)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (F.mse_loss, [0.0, 0.25, 9.0, 1.0]),
        (F.l1_loss, [0.0, 0.5, 3.0, 1.0]),
        (F.smooth_l1_loss, [0.0, 0.125, 2.5, 0.5]),
        (lambda x, t, **k: F.smooth_l1_loss(x, t, beta=2.0, **k), [0.0, 0.0625, 2.0, 0.25]),
        (lambda x, t, **k: F.smooth_l1_loss(x, t, beta=0.0, **k), [0.0, 0.5, 3.0, 1.0]),
        (F.huber_loss, [0.0, 0.125, 2.5, 0.5]),
        (lambda x, t, **k: F.huber_loss(x, t, delta=0.5, **k), [0.0, 0.125, 1.375, 0.375]),
    ],
)
def test_differences_by_hand(function: Any, expected: list[float]) -> None:
    x, t = np.array([1.0, 2.0, 5.0, -1.0]), np.array([1.0, 1.5, 2.0, 0.0])
    assert_same(function(x, t, reduction="none"), expected, rtol=0, atol=0, reason="exact")
    total = np.asarray(sum(expected))
    assert_same(function(x, t, reduction="sum"), total, rtol=0, atol=0, reason="exact")
    assert_same(function(x, t), total / 4, rtol=0, atol=0, reason="exact")


def test_weights_of_elements() -> None:
    x, t, w = np.array([1.0, 2.0, 5.0]), np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 1.0])
    # PyTorch's huber_loss divides by the number of elements, the others by the sum of the weights.
    for function, divisor in ((F.mse_loss, 4), (F.l1_loss, 4), (F.huber_loss, 3)):
        each = function(x, t, reduction="none")
        assert_same(function(x, t, weight=w, reduction="none"), each * w, rtol=0, atol=0, reason="exact")
        mean = np.asarray((each * w).sum() / divisor)
        assert_same(function(x, t, weight=w), mean, rtol=0, atol=0, reason="exact")


def test_binary_cross_entropy_by_hand() -> None:
    x, t = np.array([0.25, 0.9, 0.0, 1.0]), np.array([1.0, 0.3, 1.0, 0.0])
    each = [_L(4), -(0.3 * _L(0.9) + 0.7 * math.log1p(-0.9)), 100.0, 100.0]
    assert_same(F.binary_cross_entropy(x, t, reduction="none"), each, **_ROUNDING)
    logits, target = np.array([_L(3), -1e4, 1e4]), np.array([1.0, 1.0, 0.25])
    y = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    assert_same(y, [-_L(0.75), 1e4, 0.75e4], **_ROUNDING)


def test_kl_div_by_hand() -> None:
    q, p = np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([[1.0, 0.0], [0.3, 0.7]])
    each = np.array([[_L(2), 0.0], [0.3 * _L(0.3 / 0.9), 0.7 * _L(7)]])
    assert_same(F.kl_div(np.log(q), p, reduction="none"), each, **_ROUNDING)
    assert_same(F.kl_div(np.log(q), p, reduction="batchmean"), np.asarray(each.sum() / 2), **_ROUNDING)
    assert_same(F.kl_div(np.log(q), p), np.asarray(each.sum() / 4), **_ROUNDING)
    logs = np.log(p[1:])
    assert_same(F.kl_div(np.log(q[1:]), logs, log_target=True, reduction="none"), each[1:], **_ROUNDING)


# --- kinds, layouts, gradients ------------------------------------------------------------------------------

_LABELS = np.array([[2, 0, -100], [1, 1, 3]])
_CLASS_WEIGHT = np.array([0.5, 1.5, 1.0, 2.0])
_PAIRS: dict[str, Any] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": lambda x, t: F.smooth_l1_loss(x, t, beta=0.6),
    "huber": lambda x, t: F.huber_loss(x, t, delta=0.7),
    "weighted huber": lambda x, t: F.huber_loss(x, t, weight=np.full(x.shape, 3, x.dtype)),
    "bce_with_logits": lambda x, t: F.binary_cross_entropy_with_logits(x, t),
    "weighted bce_with_logits": lambda x, t: F.binary_cross_entropy_with_logits(
        x, t, np.array(2.0, x.dtype), pos_weight=np.array([1.0, 2.0, 0.5], x.dtype)
    ),
    "soft cross_entropy": lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1),
    "weighted soft cross_entropy": lambda x, t: F.cross_entropy(
        x, t, np.arange(1, x.shape[1] + 1).astype(x.dtype), label_smoothing=0.1, reduction="sum"
    ),
    "kl_div log_target": lambda x, t: F.kl_div(x, t, log_target=True),
}
_POSITIVE: dict[str, Any] = {
    "bce": F.binary_cross_entropy,
    "weighted bce": lambda x, t: F.binary_cross_entropy(x, t, np.array([0.5, 1.0, 2.0], x.dtype)),
    "kl_div": lambda x, t: F.kl_div(x, t, reduction="batchmean"),
}
_SINGLE: dict[str, Any] = {
    "nll": lambda x: F.nll_loss(x, _LABELS[: len(x)]),
    "cross_entropy": lambda x: F.cross_entropy(x, _LABELS[: len(x)]),
    "smoothed cross_entropy": lambda x: F.cross_entropy(
        x, _LABELS[: len(x)], _CLASS_WEIGHT.astype(x.dtype), label_smoothing=0.2
    ),
    "each cross_entropy": lambda x: F.cross_entropy(x, _LABELS[: len(x)], reduction="none"),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*_PAIRS, *_POSITIVE, *_SINGLE])
def test_kinds_dtypes_and_inputs_kept(name: str, dtype: Any) -> None:
    if name in _SINGLE:
        check_kinds(_SINGLE[name], normal((2, 4, 3), 1, dtype))
    elif name in _PAIRS:
        check_kinds(_PAIRS[name], normal((2, 3), 1, dtype), normal((2, 3), 2, dtype))
    else:
        arrays = (probabilities((2, 3), seed).astype(dtype) for seed in (1, 2))
        check_kinds(_POSITIVE[name], *arrays)


@pytest.mark.parametrize("name", [*_PAIRS, *_POSITIVE, *_SINGLE])
def test_layouts(name: str) -> None:
    if name in _SINGLE:
        check_layouts(_SINGLE[name], normal((2, 4, 3), 1))
        return
    function = {**_PAIRS, **_POSITIVE}[name]
    x = probabilities((4, 5, 3), 1)
    check_layouts(lambda t: function(x[: len(t)], t), probabilities((4, 5, 3), 2))
    check_layouts(lambda t: function(t, x[: len(t)]), probabilities((4, 5, 3), 2))


@pytest.mark.parametrize("name", [*_PAIRS, *_POSITIVE])
def test_gradients_of_pairs_are_difference_quotients(name: str) -> None:
    make = probabilities if name in _POSITIVE else normal
    x, t = (tw.tensor(make((2, 3), seed), requires_grad=True) for seed in (3, 4))
    function = {**_PAIRS, **_POSITIVE}[name]
    assert gradcheck(function, [x, t])
    assert gradgradcheck(function, [x, t])


@pytest.mark.parametrize("name", _SINGLE)
def test_gradients_of_scores_are_difference_quotients(name: str) -> None:
    x = tw.tensor(normal((2, 4, 3), 5), requires_grad=True)
    assert gradcheck(_SINGLE[name], [x])
    assert gradgradcheck(_SINGLE[name], [x])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", [*_PAIRS, *_POSITIVE])
def test_an_array_beside_a_tensor(name: str, first: bool) -> None:
    x, t = probabilities((2, 3), 1), probabilities((2, 3), 2)
    function = {**_PAIRS, **_POSITIVE}[name]
    both = [tw.tensor(x, requires_grad=True), tw.tensor(t, requires_grad=True)]
    function(*both).backward()
    one = tw.tensor(x if first else t, requires_grad=True)
    (function(one, t) if first else function(x, one)).backward()
    assert_same(one.grad, both[0 if first else 1].grad, rtol=0, atol=0, reason="the same computation")


# --- corners ------------------------------------------------------------------------------------------------


def test_a_mean_of_nothing_is_nan() -> None:
    nothing = np.zeros((0, 3))
    assert np.isnan(F.cross_entropy(nothing, np.zeros(0, np.int64)))
    assert np.isnan(F.cross_entropy(np.zeros((2, 3)), np.array([-100, -100])))
    assert np.isnan(F.mse_loss(nothing, nothing))
    assert_same(F.mse_loss(nothing, nothing, reduction="sum"), np.asarray(0.0), rtol=0, atol=0, reason="0")
    no_classes = F.cross_entropy(np.zeros((2, 0)), np.array([-100, -100]), np.zeros(0), reduction="none")
    assert_same(no_classes, [0.0, 0.0], rtol=0, atol=0, reason="all labels are ignored")
    x = tw.zeros(0, 3, requires_grad=True)
    F.mse_loss(x, tw.zeros(0, 3)).backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32"])
def test_labels_of_every_integer_dtype(dtype: str) -> None:
    expected = F.cross_entropy(np.log(_P), np.array([1, 2]))
    y = F.cross_entropy(np.log(_P), np.array([1, 2], dtype))
    assert_same(y, expected, rtol=0, atol=0, reason="the same labels")


@pytest.mark.parametrize("target", [np.array([1, 0, 1]), np.array([True, False, True])])
def test_whole_numbers_as_targets(target: Array) -> None:
    x = np.array([0.5, 0.25, 0.75], np.float32)
    for function in (F.mse_loss, F.l1_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        expected = function(x, target.astype(np.float32))
        assert_same(function(x, target), expected, rtol=0, atol=0, reason="the same numbers")
        assert_same(function(tw.tensor(x), tw.tensor(target)), expected, rtol=0, atol=0, reason="the same")


def test_labels_written_over_before_backward() -> None:
    x = tw.tensor(np.log(_P), requires_grad=True)
    target, weight = np.array([1, 2]), np.array([1.0, 2.0, 3.0])
    loss = F.cross_entropy(x, target, weight, label_smoothing=0.1)
    target[:], weight[:] = 0, 0.0
    loss.backward()
    again = tw.tensor(np.log(_P), requires_grad=True)
    F.cross_entropy(again, np.array([1, 2]), np.array([1.0, 2.0, 3.0]), label_smoothing=0.1).backward()
    assert_same(x.grad, again.grad, rtol=0, atol=0, reason="the labels of the forward pass")


@given(batch=st.integers(1, 7), seed=st.integers(0, 99))
def test_a_sample_s_loss_is_the_same_bits_in_any_batch(batch: int, seed: int) -> None:
    x = normal((batch, 11, 3), seed, np.float32)
    target = np.random.default_rng(seed).integers(0, 11, (batch, 3))
    together = F.cross_entropy(x, target, reduction="none", label_smoothing=0.1)
    for i in range(batch):
        alone = F.cross_entropy(x[i : i + 1], target[i : i + 1], reduction="none", label_smoothing=0.1)
        assert_same(alone[0], together[i], rtol=0, atol=0, reason="a sample's own bits")


def test_the_target_of_certain_logits_has_the_slope_of_its_definition() -> None:
    # −pos_weight · log σ(x) + log(1 − σ(x)), the slope in the target, at x = ±∞ and 0
    x = np.array([-np.inf, np.inf, 0.0])
    target = tw.tensor(np.array([0.5, 0.5, 0.5]), requires_grad=True)
    with np.errstate(all="ignore"):
        loss = F.binary_cross_entropy_with_logits(
            tw.tensor(x), target, reduction="sum", pos_weight=np.array(0.75)
        )
        loss.backward()
    expected = np.array([np.inf, -np.inf, -0.25 * math.log(2.0)])
    assert_same(target.grad, expected, **_ROUNDING)
