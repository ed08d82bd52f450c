"""Activation functions and softmax: values by hand, gradients, PyTorch's behaviour, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import Array, against_torch, check_kinds, check_layouts, normal, pytorch, shapes

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

# Name, our function, the same call for PyTorch's functional module.
_CALLS: dict[str, tuple[Any, Any]] = {
    "relu": (F.relu, lambda f, x: f.relu(x)),
    "relu6": (F.relu6, lambda f, x: f.relu6(x)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), lambda f, x: f.leaky_relu(x, 0.1)),
    "leaky_relu negative": (lambda x: F.leaky_relu(x, -0.3), lambda f, x: f.leaky_relu(x, -0.3)),
    "elu": (lambda x: F.elu(x, 0.7), lambda f, x: f.elu(x, 0.7)),
    "tanh": (F.tanh, lambda f, x: f.tanh(x)),
    "sigmoid": (F.sigmoid, lambda f, x: f.sigmoid(x)),
    "softplus": (F.softplus, lambda f, x: f.softplus(x)),
    "softplus sharp": (lambda x: F.softplus(x, 3.0, 2.0), lambda f, x: f.softplus(x, 3.0, 2.0)),
    "silu": (F.silu, lambda f, x: f.silu(x)),
    "gelu": (F.gelu, lambda f, x: f.gelu(x)),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), lambda f, x: f.gelu(x, approximate="tanh")),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 2.0), lambda f, x: f.hardtanh(x, -0.5, 2.0)),
    "threshold": (lambda x: F.threshold(x, 0.3, -7.0), lambda f, x: f.threshold(x, 0.3, -7.0)),
    "softmax": (lambda x: F.softmax(x, -1), lambda f, x: f.softmax(x, -1)),
    "log_softmax": (lambda x: F.log_softmax(x, -1), lambda f, x: f.log_softmax(x, -1)),
}
_EVERY = pytest.mark.parametrize("name", _CALLS)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (F.relu, [0.0, 0.0, 0.5, 8.0]),
        (F.relu6, [0.0, 0.0, 0.5, 6.0]),
        (F.hardtanh, [-1.0, 0.0, 0.5, 1.0]),
        (lambda x: F.leaky_relu(x), [-0.02, 0.0, 0.5, 8.0]),
        (lambda x: F.leaky_relu(x, 0.5), [-1.0, 0.0, 0.5, 8.0]),
        (lambda x: F.threshold(x, 0.5, 9.0), [9.0, 9.0, 9.0, 8.0]),
        (F.elu, [math.exp(-2.0) - 1.0, 0.0, 0.5, 8.0]),
        (lambda x: F.elu(x, 2.0), [2 * math.exp(-2.0) - 2.0, 0.0, 0.5, 8.0]),
        (F.tanh, [math.tanh(-2.0), 0.0, math.tanh(0.5), math.tanh(8.0)]),
        (F.sigmoid, [1 / (1 + math.exp(2.0)), 0.5, 1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(-8.0))]),
        (F.softplus, [math.log1p(math.exp(v)) for v in (-2.0, 0.0, 0.5, 8.0)]),
        (F.silu, [v / (1 + math.exp(-v)) for v in (-2.0, 0.0, 0.5, 8.0)]),
        (F.gelu, [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in (-2.0, 0.0, 0.5, 8.0)]),
        (
            lambda x: F.gelu(x, approximate="tanh"),
            [
                0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
                for v in (-2.0, 0.0, 0.5, 8.0)
            ],
        ),
    ],
)
def test_values_by_hand(function: Any, expected: list[float]) -> None:
    x = np.array([-2.0, 0.0, 0.5, 8.0])
    assert_same(function(x), expected, rtol=1e-14, atol=1e-15, reason="rounding of a few operations")


def test_softmax_by_hand() -> None:
    x = np.log(np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]))
    y = np.array([[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]])
    assert_same(F.softmax(x, 1), y, rtol=1e-15, atol=0, reason="an ulp of exp and log")
    assert_same(F.log_softmax(x, 1), np.log(y), rtol=1e-14, atol=0, reason="an ulp of exp and log")
    columns = np.array([[1 / 4, 2 / 5, 5 / 7], [3 / 4, 3 / 5, 2 / 7]])
    assert_same(F.softmax(x, dim=0), columns, rtol=1e-15, atol=0, reason="an ulp of exp and log")


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_dtypes_and_inputs_kept(name: str, dtype: Any) -> None:
    check_kinds(_CALLS[name][0], normal((3, 4), 1, dtype))
    if "softmax" not in name:
        check_kinds(_CALLS[name][0], normal((), 1, dtype))


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(name: str, dtype: Any) -> None:
    check_layouts(_CALLS[name][0], normal((3, 4, 5), 2, dtype))


@_EVERY
def test_gradients_are_difference_quotients(name: str) -> None:
    # Away from the kinks at 0, ±0.5, 2, 6, 0.3 and 2/3, where no difference quotient holds.
    x = tw.tensor([[-1.3, -0.7, 0.17, 0.41], [1.1, 2.9, 7.3, -6.2]], dtype=tw.float64, requires_grad=True)
    assert gradcheck(_CALLS[name][0], [x])
    assert gradgradcheck(_CALLS[name][0], [x])


@pytest.mark.parametrize("name", ["elu", "softplus", "silu", "gelu", "gelu tanh", "softmax", "log_softmax"])
def test_third_derivatives(name: str) -> None:
    function = _CALLS[name][0]
    weights = tw.tensor([0.3, -1.1, 0.8], dtype=tw.float64)

    def second(x: Any) -> Any:
        first = tw.autograd.grad((function(x) * weights).sum(), [x], create_graph=True)[0]
        return tw.autograd.grad((first * weights).sum(), [x], create_graph=True)[0]

    def at(values: Array) -> Any:
        return tw.tensor(values, requires_grad=True)

    start, direction, step = np.array([-0.9, 0.3, 0.55]), np.array([0.6, -0.2, 1.3]), 1e-5
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


@_EVERY
@given(shape=shapes(0, 4), seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 1.0, 10.0]))
def test_like_torch(name: str, shape: tuple[int, ...], seed: int, scale: float) -> None:
    ours, theirs = _CALLS[name]
    functional = pytorch().nn.functional
    against_torch(ours, lambda x: theirs(functional, x), [normal(shape, seed) * scale])


@given(shape=shapes(1, 4), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_softmax_along_any_axis_like_torch(shape: tuple[int, ...], seed: int, data: Any) -> None:
    functional = pytorch().nn.functional
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = normal(shape, seed)
    against_torch(lambda x: F.softmax(x, dim), lambda x: functional.softmax(x, dim), [x])
    against_torch(lambda x: F.log_softmax(x, dim), lambda x: functional.log_softmax(x, dim), [x])


# PyTorch's own answer differs between dtypes or with the number of elements: the gradient of relu6 at NaN is
# 1 in 8 elements and 0 in 17, gelu(∞) is NaN in float32 and ∞ in float64.
_TORCH_IS_OF_TWO_MINDS = {"relu6": "nan", "hardtanh": "nan", "elu": "nan", "gelu": "inf"}
_SPECIAL = [math.nan, math.inf, -math.inf, 0.0, 1e30, -1e30, 88.0, -88.0, 104.0, -104.0, 1e-30]


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan_like_torch(name: str, dtype: Any) -> None:
    ours, theirs = _CALLS[name]
    functional = pytorch().nn.functional
    # One number on its own axis, so that softmax of each is also drawn with a neighbour of 1.
    column = np.array([v for v in _SPECIAL if str(v) != _TORCH_IS_OF_TWO_MINDS.get(name)], dtype)
    x = np.stack([column, np.ones_like(column)], axis=1)
    against_torch(
        ours,
        lambda x: theirs(functional, x),
        [x],
        rtol=8 * float(np.finfo(dtype).eps),
        # Below this PyTorch's 1 + erf and 1 + tanh have cancelled, or results are subnormal.
        atol=88 * float(np.finfo(dtype).eps) if "gelu" in name else float(np.finfo(dtype).tiny),
        reason="a few roundings",
    )


@_EVERY
def test_nan_stays(name: str) -> None:
    assert np.isnan(_CALLS[name][0](np.array([np.nan, 1.0])))[0]


def test_gelu_of_infinity() -> None:
    y = F.gelu(np.array([np.inf, -np.inf]))
    assert_same(y, [np.inf, np.nan], rtol=0, atol=0, reason="∞ · 1 and −∞ · 0")


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_special_slices_like_torch(name: str) -> None:
    functional = pytorch().nn.functional
    inf, nan = math.inf, math.nan
    rows = np.array(
        [[inf, 1, 2], [inf, inf, 0], [-inf, 1, 2], [-inf] * 3, [nan, 1, 2], [1e300, 1e300, -1e300]]
    )
    against_torch(lambda x: getattr(F, name)(x, 1), lambda x: getattr(functional, name)(x, 1), [rows])


def test_small_results_keep_their_digits() -> None:
    x = np.array([-30.0, -8.0])
    tail = [0.5 * math.erfc(-v / math.sqrt(2)) * v for v in x]
    assert_same(
        F.gelu(x), tail, rtol=1e-12, atol=0, reason="exp of a square of up to 450, an ulp of which is 6e-14"
    )
    assert_same(F.silu(np.array([-700.0])), [-700 * math.exp(-700)], rtol=1e-13, atol=0, reason="exp")
    assert_same(F.softplus(np.array([-50.0])), [math.exp(-50)], rtol=1e-15, atol=0, reason="exp")
    y = F.log_softmax(np.array([0.0, -1000.0]), 0)
    assert_same(y, [0.0, -1000.0], rtol=0, atol=0, reason="nothing underflows in a logarithm")


@pytest.mark.parametrize("dim", [0, 1, 2])
@given(batch=st.integers(1, 9), seed=st.integers(0, 99), fortran=st.booleans())
def test_softmax_of_a_sample_is_the_same_bits_in_any_batch(
    dim: int, batch: int, seed: int, fortran: bool
) -> None:
    x = normal((batch, 37, 3, 5), seed, np.float32)
    if fortran:
        x = np.asfortranarray(x)
    for function in (F.softmax, F.log_softmax):
        together = function(x, dim + 1)
        for i in range(batch):
            alone = function(x[i : i + 1], dim + 1)
            assert_same(alone[0], together[i], rtol=0, atol=0, reason="a sample's own bits")


def test_inplace_gives_the_same_and_leaves_the_input() -> None:
    x = normal((5,), 3)
    t = tw.tensor(x, requires_grad=True)
    for function in (F.relu, F.relu6, F.leaky_relu, F.elu, F.silu, F.hardtanh):
        assert_same(function(x, inplace=True), function(x), rtol=0, atol=0, reason="the same")
        assert_same(function(t * 1.0, inplace=True), function(x), rtol=0, atol=0, reason="the same")
    assert_same(F.threshold(x, 0.0, 1.0, True), F.threshold(x, 0.0, 1.0), rtol=0, atol=0, reason="the same")
    assert_same(x, normal((5,), 3), rtol=0, atol=0, reason="inputs are never written to")


def test_relu_takes_integers() -> None:
    assert_same(F.relu(np.array([-3, 0, 4])), [0, 0, 4], rtol=0, atol=0, reason="exact")


def test_softmax_in_another_dtype() -> None:
    x = np.array([1, 2, 3])
    y = F.softmax(x, 0, dtype=np.float64)
    assert_same(y, F.softmax(x.astype(np.float64), 0), rtol=0, atol=0, reason="the same")
    assert F.log_softmax(tw.tensor([1.0, 2.0]), 0, dtype=tw.float64).dtype == tw.float64


def test_softmax_of_rank_0() -> None:
    assert_same(F.softmax(np.array(3.0), 0), np.array(1.0), rtol=0, atol=0, reason="exact")
    assert_same(F.log_softmax(np.array(3.0), -1), np.array(0.0), rtol=0, atol=0, reason="exact")


_X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.elu(np.array([1, 2])),
            DtypeError,
            "elu needs input of one of the dtypes float32, float64, in native byte order. Received: input "
            "with "
            "shape (2,) and dtype int64.",
        ),
        (
            lambda: F.relu6([1.0]),
            DtypeError,
            "relu6 needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.relu([1.0]),
            DtypeError,
            "relu needs input to be a NumPy array or a Tensor. Received: input",
        ),
        (
            lambda: F.tanh(1.0),
            DtypeError,
            "tanh needs input to be a NumPy array or a Tensor. Received: input of",
        ),
        (
            lambda: F.sigmoid(None),
            DtypeError,
            "sigmoid needs input to be a NumPy array or a Tensor. Received:",
        ),
        (
            lambda: F.leaky_relu(_X, "a"),
            DtypeError,
            "leaky_relu needs negative_slope to be a number. Received: neg",
        ),
        (lambda: F.elu(_X, None), DtypeError, "elu needs alpha to be a number. Received: alpha=None."),
        (
            lambda: F.hardtanh(_X, True),
            DtypeError,
            "hardtanh needs min_val to be a number. Received: min_val=True.",
        ),
        (
            lambda: F.elu(_X, 10**400),
            ArgumentError,
            "elu needs alpha to be a number that a float holds. Received: alpha=1000",
        ),
        (
            lambda: F.threshold(_X, -(10**5000), 1.0),
            ArgumentError,
            "threshold needs threshold to be a number that a float holds. Received: threshold=<int>.",
        ),
        (
            lambda: F.hardtanh(_X, 2, 1),
            ArgumentError,
            "hardtanh needs min_val ≤ max_val. Received: min_val=2.0, max_val=1.0.",
        ),
        (
            lambda: F.softplus(_X, 0),
            ArgumentError,
            "softplus needs beta to be a finite number above 0. Received: beta=0.0.",
        ),
        (
            lambda: F.gelu(_X, "erf"),
            ArgumentError,
            "gelu needs approximate to be 'none' or 'tanh'. Received: approximate='erf'.",
        ),
        (
            lambda: F.softmax(_X),
            ArgumentError,
            "softmax needs dim, the axis along which results add up to 1. Received: dim=None, input with "
            "shape "
            "(2, 3) and dtype float64. For scores of shape (batch, classes), write softmax(input, dim=1).",
        ),
        (
            lambda: F.log_softmax(_X, 2),
            ShapeError,
            "log_softmax needs a dim from -2 to 1 for a tensor of rank 2. Received: dim=2.",
        ),
        (
            lambda: F.softmax(np.array([1, 2]), 0),
            DtypeError,
            "softmax needs input of one of the dtypes float32, float64",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_gradient_at_the_kinks_is_torch_s() -> None:
    x: Array = np.array([0.0, 6.0, -1.0, 1.0, 0.5])
    functional = pytorch().nn.functional
    for name in ("relu", "relu6", "hardtanh", "leaky_relu", "elu"):
        against_torch(getattr(F, name), getattr(functional, name), [x])
    against_torch(lambda x: F.threshold(x, 0.5, 2.0), lambda x: functional.threshold(x, 0.5, 2.0), [x])
