"""More smooth activations, and softmax's kin: by hand, gradients, PyTorch's behaviour, and refusals."""

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
    "selu": (F.selu, lambda f, x: f.selu(x)),
    "celu": (lambda x: F.celu(x, 0.5), lambda f, x: f.celu(x, 0.5)),
    "celu negative": (lambda x: F.celu(x, -8.0), lambda f, x: f.celu(x, -8.0)),
    "mish": (F.mish, lambda f, x: f.mish(x)),
    "logsigmoid": (F.logsigmoid, lambda f, x: f.logsigmoid(x)),
    "softsign": (F.softsign, lambda f, x: f.softsign(x)),
    "tanhshrink": (F.tanhshrink, lambda f, x: f.tanhshrink(x)),
    "softmin": (lambda x: F.softmin(x, -1), lambda f, x: f.softmin(x, -1)),
    "glu": (F.glu, lambda f, x: f.glu(x)),
}
_EVERY = pytest.mark.parametrize("name", _CALLS)
_POINTWISE = [name for name in _CALLS if name not in ("softmin", "glu")]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            F.selu,
            [1.0507009873554805 * v for v in (1.6732632423543772 * math.expm1(-2.0), 0.0, 0.5, 8.0)],
        ),
        (F.celu, [math.expm1(-2.0), 0.0, 0.5, 8.0]),
        (lambda x: F.celu(x, 4.0), [4 * math.expm1(-0.5), 0.0, 0.5, 8.0]),
        (F.mish, [v * math.tanh(math.log1p(math.exp(v))) for v in (-2.0, 0.0, 0.5, 8.0)]),
        (F.logsigmoid, [-math.log1p(math.exp(-v)) for v in (-2.0, 0.0, 0.5, 8.0)]),
        (F.softsign, [-2 / 3, 0.0, 1 / 3, 8 / 9]),
        (F.tanhshrink, [v - math.tanh(v) for v in (-2.0, 0.0, 0.5, 8.0)]),
        # The first half of the four, times the sigmoid of the second.
        (F.glu, [-2.0 / (1 + math.exp(-0.5)), 0.0]),
    ],
)
def test_values_by_hand(function: Any, expected: list[float]) -> None:
    x = np.array([-2.0, 0.0, 0.5, 8.0])
    assert_same(function(x), expected, rtol=1e-14, atol=1e-15, reason="rounding of a few operations")


def test_softmin_and_glu_along_an_axis() -> None:
    x = -np.log(np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]))
    y = np.array([[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]])
    assert_same(F.softmin(x, 1), y, rtol=1e-15, atol=0, reason="an ulp of exp and log")
    halves = np.array([[2.0, 4.0], [0.0, math.log(3.0)]])
    assert_same(F.glu(halves, 0), [[1.0, 3.0]], rtol=1e-15, atol=0, reason="an ulp of exp and log")
    assert_same(F.softmin(np.array(3.0), 0), np.array(1.0), rtol=0, atol=0, reason="exact")
    narrow = F.softmin(np.array([1.0, 2.0]), 0, dtype=np.float32)
    assert_same(narrow, F.softmin(np.array([1.0, 2.0], np.float32), 0), rtol=0, atol=0, reason="the same")
    assert F.softmin(np.array([1, 2]), 0, dtype=np.float64).dtype == np.float64


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_dtypes_and_inputs_kept(name: str, dtype: Any) -> None:
    check_kinds(_CALLS[name][0], normal((3, 4), 1, dtype))
    if name in _POINTWISE:
        check_kinds(_CALLS[name][0], normal((), 1, dtype))


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(name: str, dtype: Any) -> None:
    check_layouts(_CALLS[name][0], normal((3, 5, 4), 2, dtype))
    # So large that it is worked out in blocks.
    x = normal((3, 50, 300), 2, dtype)
    some = _CALLS[name][0](x[1:2, 7:9])
    assert_same(_CALLS[name][0](x)[1:2, 7:9], some, rtol=1e-6, atol=1e-6, reason="an ulp of exp")


@_EVERY
def test_gradients_are_difference_quotients(name: str) -> None:
    x = tw.tensor([[-1.3, -0.7, 0.17, 0.41], [1.1, 2.9, 7.3, -6.2]], dtype=tw.float64, requires_grad=True)
    assert gradcheck(_CALLS[name][0], [x])
    assert gradgradcheck(_CALLS[name][0], [x])


@_EVERY
def test_third_derivatives(name: str) -> None:
    function = _CALLS[name][0]
    weights = tw.tensor([0.3, -1.1, 0.8, 0.4], dtype=tw.float64)

    def second(x: Any) -> Any:
        y = function(x)
        first = tw.autograd.grad((y * weights[: y.shape[0]]).sum(), [x], create_graph=True)[0]
        return tw.autograd.grad((first * weights).sum(), [x], create_graph=True)[0]

    def at(values: Array) -> Any:
        return tw.tensor(values, requires_grad=True)

    start, direction, step = np.array([-0.9, 0.3, 0.55, -2.0]), np.array([0.6, -0.2, 1.3, 0.5]), 1e-5
    x = at(start)
    third = tw.autograd.grad((second(x) * weights).sum(), [x])[0]
    ends = [(second(at(start + sign * step * direction)) * weights).sum() for sign in (1, -1)]
    assert_same(
        (third * tw.tensor(direction)).sum(),
        np.asarray(((ends[0] - ends[1]) / (2 * step)).item()),
        rtol=1e-6,
        atol=1e-8,
        reason="a central difference with a step of 1e-5",
    )


_SPECIAL = [math.nan, math.inf, -math.inf, 0.0, 1e30, -1e30, 88.0, -88.0, 104.0, -104.0, 1e-30]
# PyTorch's own gradient at NaN differs between dtypes and with the number of elements.
_TORCH_IS_OF_TWO_MINDS = ("selu", "celu", "celu negative")


@pytest.mark.parametrize("name", [name for name in _POINTWISE if name != "softsign"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan_like_torch(name: str, dtype: Any) -> None:
    ours, theirs = _CALLS[name]
    functional = pytorch().nn.functional
    values = [v for v in _SPECIAL if name not in _TORCH_IS_OF_TWO_MINDS or not math.isnan(v)]
    eps = float(np.finfo(dtype).eps)
    # PyTorch's mish takes the logarithm of 1 + exp(x), whose digits are few where exp(x) is small, and its
    # slope of tanhshrink is 1 − (1 − tanh²), which is 0 where tanh² is small.
    fewer_digits = {"mish": 200 * eps, "tanhshrink": eps}
    against_torch(
        ours,
        lambda x: theirs(functional, x),
        [np.array(values, dtype)],
        rtol=16 * eps,
        atol=fewer_digits.get(name, float(np.finfo(dtype).tiny)),
        reason="a few roundings",
    )


def test_softsign_of_large_numbers() -> None:
    # Its slope in PyTorch is a difference of two nearly equal numbers, and NaN at infinity.
    x = tw.tensor([1e30, -1e30, 1e200, math.inf, -math.inf, math.nan], dtype=tw.float64, requires_grad=True)
    y = F.softsign(x)
    nan = math.nan
    assert_same(y, [1.0, -1.0, 1.0, nan, nan, nan], rtol=0, atol=0, reason="exact; ∞/∞ is NaN")
    y.backward(tw.ones(6, dtype=tw.float64))
    assert_same(x.grad, [1e-60, 1e-60, 0.0, 0.0, 0.0, nan], rtol=1e-15, atol=0, reason="1/(1 + |x|)²")


@_EVERY
def test_nan_stays(name: str) -> None:
    assert np.isnan(_CALLS[name][0](np.array([np.nan, 1.0])))[0]


def test_small_results_keep_their_digits() -> None:
    y = F.mish(np.array([-40.0, -700.0]))
    expected = [v * math.exp(v) for v in (-40.0, -700.0)]
    assert_same(y, expected, rtol=1e-13, atol=0, reason="exp; the rest of the series is e^x smaller")
    assert_same(
        F.logsigmoid(np.array([50.0, 700.0])),
        [-math.exp(-50.0), -math.exp(-700.0)],
        rtol=1e-13,
        atol=0,
        reason="exp",
    )
    large = np.array([1000.0, -1000.0])
    assert_same(F.logsigmoid(large), [0.0, -1000.0], rtol=0, atol=0, reason="exact")
    assert_same(F.mish(large), [1000.0, 0.0], rtol=0, atol=0, reason="exact, or below the least number")
    small = np.array([1e-9, -1e-9])
    assert_same(F.celu(small), [1e-9, math.expm1(-1e-9)], rtol=1e-15, atol=0, reason="a rounding")


def test_inplace_gives_the_same_and_leaves_the_input() -> None:
    x = normal((5,), 3)
    for function in (F.selu, F.celu, F.mish):
        assert_same(function(x, inplace=True), function(x), rtol=0, atol=0, reason="the same")
    assert_same(x, normal((5,), 3), rtol=0, atol=0, reason="inputs are never written to")


def test_no_elements() -> None:
    for name, (function, _) in _CALLS.items():
        expected = (0, 2) if name == "glu" else (0, 4)
        assert function(np.zeros((0, 4))).shape == expected
    assert F.glu(np.zeros((3, 0))).shape == (3, 0)


_X: Array = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.celu(_X, 0),
            ArgumentError,
            "celu needs alpha other than 0. Received: alpha=0.0.",
        ),
        (lambda: F.celu(_X, None), DtypeError, "celu needs alpha to be a number. Received: alpha=None."),
        (
            lambda: F.selu(np.array([1, 2])),
            DtypeError,
            "selu needs input of one of the dtypes float32, float64, in native byte order. Received: input",
        ),
        (
            lambda: F.mish([1.0]),
            DtypeError,
            "mish needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.glu(_X),
            ShapeError,
            "glu needs an even size of the axis that it cuts into halves. Received: input with shape (2, 3) "
            "and dtype float64, dim=-1.",
        ),
        (
            lambda: F.glu(np.array(1.0)),
            ShapeError,
            "glu needs an even size of the axis that it cuts into halves. Received: input with shape ()",
        ),
        (
            lambda: F.glu(_X, 2),
            ShapeError,
            "glu needs a dim from -2 to 1 for a tensor of rank 2. Received: dim=2.",
        ),
        (
            lambda: F.glu(np.array([1, 2])),
            DtypeError,
            "glu needs input of one of the dtypes float32, float64, in native byte order. Received: input",
        ),
        (
            lambda: F.softmin(_X),
            ArgumentError,
            "softmin needs dim, the axis along which results add up to 1. Received: dim=None, input with "
            "shape",
        ),
        (
            lambda: F.softmin("x", 0),
            DtypeError,
            "softmin needs input to be a NumPy array or a Tensor. Received: input of type str.",
        ),
        (
            lambda: F.logsigmoid(None),
            DtypeError,
            "logsigmoid needs input to be a NumPy array or a Tensor. Received: input of type NoneType.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
