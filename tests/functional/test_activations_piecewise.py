"""Activations made of pieces: values by hand, gradients, PyTorch's behaviour, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import Array, against_torch, check_kinds, check_layouts, normal, pytorch

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

# Name, our function, the same call for PyTorch's functional module.
_CALLS: dict[str, tuple[Any, Any]] = {
    "hardsigmoid": (F.hardsigmoid, lambda f, x: f.hardsigmoid(x)),
    "hardswish": (F.hardswish, lambda f, x: f.hardswish(x)),
    "hardshrink": (lambda x: F.hardshrink(x, 0.7), lambda f, x: f.hardshrink(x, 0.7)),
    "softshrink": (lambda x: F.softshrink(x, 0.7), lambda f, x: f.softshrink(x, 0.7)),
    "rrelu": (lambda x: F.rrelu(x, 0.2, 0.6), lambda f, x: f.rrelu(x, 0.2, 0.6)),
}
_EVERY = pytest.mark.parametrize("name", _CALLS)
_EXACT = {"rtol": 0, "atol": 0, "reason": "exact"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (F.hardsigmoid, [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]),
        (F.hardswish, [-0.0, -0.0, -0.375, 0.0, 1.125, 3.0, 8.0]),
        (F.hardshrink, [-4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 8.0]),
        (lambda x: F.hardshrink(x, 1.5), [-4.0, -3.0, 0.0, 0.0, 0.0, 3.0, 8.0]),
        (F.softshrink, [-3.5, -2.5, -1.0, 0.0, 1.0, 2.5, 7.5]),
        (lambda x: F.softshrink(x, 2), [-2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 6.0]),
        (lambda x: F.rrelu(x, 0.25, 0.75), [-2.0, -1.5, -0.75, 0.0, 1.5, 3.0, 8.0]),
        (lambda x: F.prelu(x, np.array([0.25])), [-1.0, -0.75, -0.375, 0.0, 1.5, 3.0, 8.0]),
    ],
)
def test_values_by_hand(function: Any, expected: list[float]) -> None:
    x = np.array([-4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 8.0])
    assert_same(function(x), expected, **_EXACT)


def test_a_slope_for_each_channel() -> None:
    x = np.array([[[-2.0, 1.0], [-2.0, 1.0]], [[-4.0, -6.0], [3.0, -1.0]]])
    y = F.prelu(x, np.array([0.5, 2.0]))
    assert_same(y, [[[-1.0, 1.0], [-4.0, 1.0]], [[-2.0, -3.0], [3.0, -2.0]]], **_EXACT)
    w = tw.tensor([0.5, 2.0], dtype=tw.float64, requires_grad=True)
    F.prelu(tw.tensor(x), w).sum().backward()
    # The sums of what is below 0 in each channel.
    assert_same(w.grad, [-12.0, -3.0], **_EXACT)


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_dtypes_and_inputs_kept(name: str, dtype: Any) -> None:
    for shape in ((3, 4), ()):
        check_kinds(_CALLS[name][0], normal(shape, 1, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "slopes"), [((3, 4), 4), ((2, 3, 4), 3), ((3, 4), 1), ((5,), 1), ((), 1)])
def test_kinds_of_learnt_slopes(shape: tuple[int, ...], slopes: int, dtype: Any) -> None:
    check_kinds(F.prelu, normal(shape, 1, dtype), normal((slopes,), 2, dtype))
    check_kinds(F.prelu, normal(shape, 1, dtype), normal((), 2, dtype))


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(name: str, dtype: Any) -> None:
    check_layouts(_CALLS[name][0], normal((3, 4, 5), 2, dtype))


def test_layouts_of_learnt_slopes() -> None:
    check_layouts(lambda x: F.prelu(x, normal((4,), 1)), normal((3, 4, 5), 2))
    # So large that it is worked out in blocks.
    x = normal((3, 4, 90, 91), 3, np.float32)
    one, each = np.array([0.25], np.float32), np.full(4, 0.25, np.float32)
    assert_same(F.prelu(x, one), F.prelu(x, each), **_EXACT)
    assert_same(F.prelu(x, one), np.where(x > 0, x, x / 4), **_EXACT)


@_EVERY
def test_gradients_are_difference_quotients(name: str) -> None:
    # Away from the kinks at 0, ±0.7 and ±3, where no difference quotient holds.
    x = tw.tensor([[-2.3, -0.6, 0.17, 0.41], [1.1, 2.9, 7.3, -6.2]], dtype=tw.float64, requires_grad=True)
    assert gradcheck(_CALLS[name][0], [x])
    assert gradgradcheck(_CALLS[name][0], [x])


@pytest.mark.parametrize(
    ("shape", "slopes"), [((3, 4), 4), ((2, 3, 2, 2), 3), ((3, 4), 1), ((5,), 1), ((), 1)]
)
def test_gradients_of_learnt_slopes(shape: tuple[int, ...], slopes: int) -> None:
    x, w = (tw.tensor(normal(s, 1), requires_grad=True) for s in (shape, (slopes,)))
    assert gradcheck(F.prelu, [x, w])
    assert gradgradcheck(F.prelu, [x, w])
    assert gradcheck(lambda w: F.prelu(x.detach(), w), [w])
    assert gradcheck(lambda x: F.prelu(x, w.detach()), [x])


_SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e30, -1e30, 3.0, -3.0, 0.7, -0.7, 1e-30]
# PyTorch's gradient at NaN is 1 in 8 elements and 0 in 17 for these; of hardswish it is 1 or NaN.
_TORCH_IS_OF_TWO_MINDS = ("hardshrink", "softshrink", "hardswish")


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_nan_and_kinks_like_torch(name: str, dtype: Any) -> None:
    ours, theirs = _CALLS[name]
    functional = pytorch().nn.functional
    values = [v for v in _SPECIAL if name not in _TORCH_IS_OF_TWO_MINDS or not math.isnan(v)]
    # Its sixth is a float32 number there, whatever the dtype.
    rtol = 5e-7 if name == "hardsigmoid" else 4 * float(np.finfo(dtype).eps)
    against_torch(
        ours,
        lambda x: theirs(functional, x),
        [np.array(values, dtype)],
        rtol=rtol,
        atol=0,
        reason="a few roundings",
    )


def test_learnt_slopes_at_infinity_and_nan() -> None:
    functional = pytorch().nn.functional
    x = np.array([[math.inf, -math.inf, 0.0, -0.0, 2.0, -2.0]])
    against_torch(F.prelu, functional.prelu, [x, np.array([0.5])], rtol=0, atol=0, reason="exact")
    assert_same(F.prelu(np.array([math.nan, 1.0]), np.array([0.0])), [math.nan, 1.0], **_EXACT)
    # A slope of 0 makes NaN of −∞, as 0 · ∞ is; one of ∞ leaves what is above 0 alone.
    y = F.prelu(np.array([-math.inf, 3.0]), np.array([0.0]))
    assert_same(y, [math.nan, 3.0], **_EXACT)
    assert_same(F.prelu(np.array([-1.0, 3.0]), np.array([math.inf])), [-math.inf, 3.0], **_EXACT)


@pytest.mark.parametrize("name", [*_CALLS, "prelu"])
def test_nan_stays(name: str) -> None:
    function = _CALLS[name][0] if name in _CALLS else lambda x: F.prelu(x, np.array([0.5]))
    assert np.isnan(function(np.array([np.nan, 1.0])))[0]


def test_inplace_gives_the_same_and_leaves_the_input() -> None:
    x = normal((5,), 3)
    for function in (F.hardsigmoid, F.hardswish, F.rrelu):
        assert_same(function(x, inplace=True), function(x), **_EXACT)
        t = tw.tensor(x, requires_grad=True)
        assert_same(function(t * 1.0, inplace=True), function(x), **_EXACT)
    assert_same(x, normal((5,), 3), rtol=0, atol=0, reason="inputs are never written to")


def test_random_slopes_are_drawn_evenly_and_anew() -> None:
    tw.manual_seed(3)
    x = np.full((40000,), -1.0)
    x[0] = 5.0
    slopes = -F.rrelu(x, 0.25, 0.75, training=True)[1:]
    assert 0.25 <= float(slopes.min()) < 0.26
    assert 0.74 < float(slopes.max()) <= 0.75
    # Six deviations of the mean of 40,000 even numbers: 6 · 0.5/√12/200.
    assert_same(np.asarray(slopes.mean()), np.asarray(0.5), rtol=0, atol=0.0044, reason="chance, one in 1e9")
    again = -F.rrelu(x, 0.25, 0.75, training=True)[1:]
    assert not np.array_equal(slopes, again)
    tw.manual_seed(3)
    assert_same(-F.rrelu(x, 0.25, 0.75, training=True)[1:], slopes, rtol=0, atol=0, reason="the same seed")
    t = tw.tensor(x, requires_grad=True)
    y = F.rrelu(t, 0.25, 0.75, training=True)
    y.sum().backward()
    # Each element's slope is what it was multiplied by.
    assert_same(t.grad, y.detach() / t.detach(), rtol=1e-15, atol=0, reason="a rounding")
    assert_same(F.rrelu(x, 0.5, 0.5, training=True), F.rrelu(x, 0.5, 0.5), **_EXACT)


def test_no_elements() -> None:
    for function, _ in _CALLS.values():
        assert function(np.zeros((0, 3))).shape == (0, 3)
    w = tw.ones(3, requires_grad=True)
    F.prelu(tw.zeros(0, 3), w).sum().backward()
    assert_same(w.grad, np.zeros(3, np.float32), **_EXACT)
    assert F.prelu(np.zeros((2, 0)), np.zeros(0)).shape == (2, 0)
    assert F.rrelu(np.zeros((0, 3)), training=True).shape == (0, 3)


_X: Array = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.prelu(_X, np.zeros(2)),
            ShapeError,
            "prelu needs weight with one slope or one per channel, of shape (1,) or (3,). Received: weight "
            "with shape (2,) and dtype float64, input with shape (2, 3) and dtype float64.",
        ),
        (
            lambda: F.prelu(_X, np.zeros((1, 3))),
            ShapeError,
            "prelu needs weight with one slope or one per channel, of shape (1,) or (3,). Received: weight",
        ),
        (
            lambda: F.prelu(_X, np.zeros(3, np.float32)),
            DtypeError,
            "prelu needs operands of one dtype. Received: input of float64, weight of float32.",
        ),
        (
            lambda: F.prelu(_X, 0.25),
            DtypeError,
            "prelu needs weight to be a NumPy array or a Tensor. Received: weight of type float.",
        ),
        (
            lambda: F.prelu(_X.astype(int), np.zeros(3)),
            DtypeError,
            "prelu needs input of one of the dtypes float32, float64, in native byte order. Received: input",
        ),
        (
            lambda: F.rrelu(_X, 0.5, 0.25),
            ArgumentError,
            "rrelu needs finite numbers with lower ≤ upper. Received: lower=0.5, upper=0.25.",
        ),
        (
            lambda: F.rrelu(_X, upper=math.inf),
            ArgumentError,
            "rrelu needs finite numbers with lower ≤ upper. Received: lower=0.125, upper=inf.",
        ),
        (
            lambda: F.rrelu(_X.astype(int), training=True),
            DtypeError,
            "rrelu needs input of one of the dtypes float32, float64, in native byte order. Received: input",
        ),
        (
            lambda: F.softshrink(_X, -0.5),
            ArgumentError,
            "softshrink needs lambd of at least 0. Received: lambd=-0.5.",
        ),
        (
            lambda: F.hardshrink(_X, "0.5"),
            DtypeError,
            "hardshrink needs lambd to be a number. Received: lambd='0.5'.",
        ),
        (
            lambda: F.hardswish(np.array([1, 2])),
            DtypeError,
            "hardswish needs input of one of the dtypes float32, float64, in native byte order. Received:",
        ),
        (
            lambda: F.hardsigmoid([1.0]),
            DtypeError,
            "hardsigmoid needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
