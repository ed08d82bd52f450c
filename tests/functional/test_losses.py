"""Losses: values by hand, gradients, PyTorch's behaviour, labels checked, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import Array, against_torch, check_kinds, check_layouts, normal, shapes

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_REDUCTIONS = st.sampled_from(["none", "mean", "sum"])
_SEEDS = st.integers(0, 2**32 - 1)
_ROUNDING = {"rtol": 1e-14, "atol": 1e-15, "reason": "rounding of a few operations"}


def _torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")


def _torch_functional() -> Any:
    _torch()
    import torch.nn.functional

    return torch.nn.functional


def _probabilities(shape: tuple[int, ...], seed: int, axis: int | None = None) -> Array:
    x = np.exp(normal(shape, seed))
    return x / (1.0 + x) if axis is None else x / x.sum(axis=axis, keepdims=True)


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
        arrays = (_probabilities((2, 3), seed).astype(dtype) for seed in (1, 2))
        check_kinds(_POSITIVE[name], *arrays)


@pytest.mark.parametrize("name", [*_PAIRS, *_POSITIVE, *_SINGLE])
def test_layouts(name: str) -> None:
    if name in _SINGLE:
        check_layouts(_SINGLE[name], normal((2, 4, 3), 1))
        return
    function = {**_PAIRS, **_POSITIVE}[name]
    x = _probabilities((4, 5, 3), 1)
    check_layouts(lambda t: function(x[: len(t)], t), _probabilities((4, 5, 3), 2))
    check_layouts(lambda t: function(t, x[: len(t)]), _probabilities((4, 5, 3), 2))


@pytest.mark.parametrize("name", [*_PAIRS, *_POSITIVE])
def test_gradients_of_pairs_are_difference_quotients(name: str) -> None:
    make = _probabilities if name in _POSITIVE else normal
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
    x, t = _probabilities((2, 3), 1), _probabilities((2, 3), 2)
    function = {**_PAIRS, **_POSITIVE}[name]
    both = [tw.tensor(x, requires_grad=True), tw.tensor(t, requires_grad=True)]
    function(*both).backward()
    one = tw.tensor(x if first else t, requires_grad=True)
    (function(one, t) if first else function(x, one)).backward()
    assert_same(one.grad, both[0 if first else 1].grad, rtol=0, atol=0, reason="the same computation")


# --- PyTorch ------------------------------------------------------------------------------------------------


@given(
    batch=st.integers(1, 4),
    classes=st.integers(1, 5),
    rest=shapes(0, 2, 3),
    single=st.booleans(),
    ignore=st.sampled_from([-100, 0, 2, -1]),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    reduction=_REDUCTIONS,
    seed=_SEEDS,
)
def test_class_labels_like_torch(
    batch: int,
    classes: int,
    rest: tuple[int, ...],
    single: bool,
    ignore: int,
    weighted: bool,
    smoothing: float,
    reduction: str,
    seed: int,
) -> None:
    functional = _torch_functional()
    rng = np.random.default_rng(seed)
    shape = (classes,) if single else (batch, classes, *rest)
    target = np.asarray(rng.integers(0, classes, () if single else (batch, *rest)))
    target = np.where(rng.random(target.shape) < 0.2, ignore, target)
    weight = np.exp(normal((classes,), seed)) if weighted else None
    options = {"ignore_index": ignore, "reduction": reduction}

    def tensor(array: Array | None) -> Any:
        return None if array is None else _torch().tensor(array)

    scores = normal(shape, seed)
    against_torch(
        lambda x: F.cross_entropy(x, target, weight, label_smoothing=smoothing, **options),
        lambda x: functional.cross_entropy(
            x, tensor(target), tensor(weight), label_smoothing=smoothing, **options
        ),
        [scores],
    )
    against_torch(
        lambda x: F.nll_loss(x, tw.tensor(target), None if weight is None else tw.tensor(weight), **options),
        lambda x: functional.nll_loss(x, tensor(target), tensor(weight), **options),
        [scores],
    )


@given(
    shape=shapes(1, 4, 4),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1]),
    reduction=_REDUCTIONS,
    seed=_SEEDS,
)
def test_class_probabilities_like_torch(
    shape: tuple[int, ...], weighted: bool, smoothing: float, reduction: str, seed: int
) -> None:
    functional, torch = _torch_functional(), _torch()
    classes = shape[1] if len(shape) > 1 else shape[0]
    weight = np.exp(normal((classes,), seed)) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    against_torch(
        lambda x, t: F.cross_entropy(x, t, weight, **options),
        lambda x, t: functional.cross_entropy(
            x, t, None if weight is None else torch.tensor(weight), **options
        ),
        [normal(shape, seed), _probabilities(shape, seed + 1, axis=1 if len(shape) > 1 else 0)],
    )


@given(
    name=st.sampled_from(["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"]),
    shape=shapes(0, 4),
    size=st.sampled_from([0.3, 1.0, 2.5]),
    reduction=_REDUCTIONS,
    weighted=st.booleans(),
    seed=_SEEDS,
)
def test_differences_like_torch(
    name: str, shape: tuple[int, ...], size: float, reduction: str, weighted: bool, seed: int
) -> None:
    functional, torch = _torch_functional(), _torch()
    options: dict[str, Any] = {"reduction": reduction}
    options |= {"huber_loss": {"delta": size}, "smooth_l1_loss": {"beta": size}}.get(name, {})
    mine, other = dict(options), dict(options)
    if weighted and name != "smooth_l1_loss":
        weight = np.asarray(np.exp(normal(shape, seed + 2)))
        mine["weight"], other["weight"] = weight, torch.tensor(weight)
    against_torch(
        lambda x, t: getattr(F, name)(x, t, **mine),
        lambda x, t: getattr(functional, name)(x, t, **other),
        [normal(shape, seed), normal(shape, seed + 1)],
    )


@given(shape=shapes(0, 4), reduction=_REDUCTIONS, weighted=st.booleans(), seed=_SEEDS, data=st.data())
def test_binary_cross_entropy_like_torch(
    shape: tuple[int, ...], reduction: str, weighted: bool, seed: int, data: Any
) -> None:
    functional, torch = _torch_functional(), _torch()
    part = shape[data.draw(st.integers(0, len(shape))) :]
    weight = np.asarray(np.exp(normal(part, seed + 2))) if weighted else None
    factor = None if weight is None else torch.tensor(weight)
    operands = [_probabilities(shape, seed), _probabilities(shape, seed + 1)]
    against_torch(
        lambda x, t: F.binary_cross_entropy(x, t, weight, reduction=reduction),
        lambda x, t: functional.binary_cross_entropy(x, t, factor, reduction=reduction),
        operands,
    )
    logits = [normal(shape, seed) * 5, operands[1]]
    against_torch(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, weight, reduction=reduction, pos_weight=weight),
        lambda x, t: functional.binary_cross_entropy_with_logits(
            x, t, factor, reduction=reduction, pos_weight=factor
        ),
        logits,
    )
    against_torch(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=reduction),
        lambda x, t: functional.binary_cross_entropy_with_logits(x, t, reduction=reduction),
        logits,
    )


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@given(
    shape=shapes(1, 4),
    reduction=st.sampled_from(["none", "mean", "sum", "batchmean"]),
    log_target=st.booleans(),
    seed=_SEEDS,
)
def test_kl_div_like_torch(shape: tuple[int, ...], reduction: str, log_target: bool, seed: int) -> None:
    functional = _torch_functional()
    target = _probabilities(shape, seed)
    options = {"reduction": reduction, "log_target": log_target}
    against_torch(
        lambda x, t: F.kl_div(x, t, **options),
        lambda x, t: functional.kl_div(x, t, **options),
        [normal(shape, seed + 1), np.log(target) if log_target else target],
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_probabilities_like_torch(dtype: Any) -> None:
    functional = _torch_functional()
    x, t = (a.reshape(-1).astype(dtype) for a in np.meshgrid([0.0, 1e-9, 0.5, 1.0], [0.0, 0.5, 1.0]))
    against_torch(
        lambda x, t: F.binary_cross_entropy(x, t, reduction="none"),
        lambda x, t: functional.binary_cross_entropy(x, t, reduction="none"),
        [x, t],
        rtol=1e-8 if dtype is np.float64 else 4 * float(np.finfo(dtype).eps),
        atol=float(np.finfo(dtype).eps),
        reason="PyTorch's 1e-12 is a float32 in every dtype",
        # In the target PyTorch gives ±∞ at 0 and 1, here it is the slope of the logarithm cut off at −100.
        gradients=[0],
    )
    # The gradient of 0 · log 0 in the target is NaN there and −∞ here.
    against_torch(
        lambda x: F.kl_div(x, t, reduction="sum"),
        lambda x: functional.kl_div(x, _torch().tensor(t), reduction="sum"),
        [x],
        rtol=4 * float(np.finfo(dtype).eps),
        atol=float(np.finfo(dtype).eps),
        reason="a few roundings",
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_like_torch(dtype: Any) -> None:
    functional = _torch_functional()
    x, t = (
        a.reshape(-1).astype(dtype)
        for a in np.meshgrid([-np.inf, -1e4, -90.0, 0.0, 90.0, 1e4, np.inf, np.nan], [0.0, 0.5, 1.0])
    )
    against_torch(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"),
        lambda x, t: functional.binary_cross_entropy_with_logits(x, t, reduction="none"),
        [x, t],
        rtol=4 * float(np.finfo(dtype).eps),
        atol=float(np.finfo(dtype).tiny),
        reason="a few roundings",
    )
    rows = np.array([[np.inf, 0.0], [-np.inf, 0.0], [np.nan, 0.0], [1e4, -1e4]], dtype)
    for labels in ([0, 0, 0, 0], [1, 1, 1, 1]):
        target = np.array(labels)
        against_torch(
            lambda x, target=target: F.cross_entropy(x, target, reduction="none"),
            lambda x, target=target: functional.cross_entropy(x, _torch().tensor(target), reduction="none"),
            [rows],
            rtol=0,
            atol=0,
            reason="exact numbers, infinities and NaN",
        )


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


# --- refusals -----------------------------------------------------------------------------------------------

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
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
