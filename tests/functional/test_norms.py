"""Batch norm and vectors of unit length: values by hand, gradients, PyTorch's behaviour, and refusals."""

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

_SEEDS = st.integers(0, 2**32 - 1)


def _in_training(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def test_by_hand() -> None:
    # Channel 0 holds 1, 3, 5, 7: mean 4, variance 5. Channel 1 holds 2, 2, 2, 6: mean 3, variance 3.
    x = np.array([[[1.0, 3.0], [2.0, 2.0]], [[5.0, 7.0], [2.0, 6.0]]])
    mean, variance = np.zeros(2), np.ones(2)
    y = F.batch_norm(x, mean, variance, np.array([1.0, 2.0]), np.array([0.0, 10.0]), True, 0.25, 0.0)
    five, three = math.sqrt(5.0), math.sqrt(3.0)
    expected = [[[-3 / five, -1 / five], [10 - 2 / three, 10 - 2 / three]], [[1 / five, 3 / five]]]
    expected[1].append([10 - 2 / three, 10 + 6 / three])
    assert_same(y, expected, rtol=1e-15, atol=0, reason="a few roundings")
    # A quarter of what was found: the variance over n − 1 is 20/3 and 4.
    assert_same(mean, [1.0, 0.75], rtol=0, atol=0, reason="exact")
    assert_same(variance, [0.75 + 5 / 3, 0.75 + 1.0], rtol=1e-15, atol=0, reason="a rounding")
    again = F.batch_norm(x, mean, variance, eps=0.0)
    deviation = np.sqrt(variance).reshape(2, 1)
    assert_same(again, (x - mean.reshape(2, 1)) / deviation, rtol=1e-15, atol=1e-15, reason="roundings")
    assert_same(mean, [1.0, 0.75], rtol=0, atol=0, reason="evaluation leaves the statistics")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
def test_kinds_dtypes_and_inputs_kept(training: bool, dtype: Any) -> None:
    x, w, b = normal((4, 3, 2), 1, dtype), normal((3,), 2, dtype), normal((3,), 3, dtype)

    def run(x: Any, w: Any, b: Any) -> Any:
        statistics = np.zeros(3, dtype), np.ones(3, dtype)
        return F.batch_norm(x, *statistics, w, b, training)

    check_kinds(run, x, w, b)
    check_kinds(lambda x: run(x, None, None), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(dtype: Any) -> None:
    m, v = normal((5,), 1, dtype), np.exp(normal((5,), 2, dtype))
    check_layouts(lambda x: F.batch_norm(x, m, v), normal((3, 5, 4), 3, dtype))
    check_layouts(lambda x: F.normalize(x), normal((3, 5, 4), 3, dtype))
    x = normal((3, 5, 4, 2), 3, dtype)
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    rtol = 32 * float(np.finfo(dtype).eps)
    y = _in_training(last)
    assert_same(y, _in_training(x), rtol=rtol, atol=rtol, reason="sums in another order")
    assert y.strides == last.strides


@pytest.mark.parametrize("shape", [(2, 3), (4, 2), (2, 2, 3), (2, 3, 2, 1)])
def test_gradients_are_difference_quotients(shape: tuple[int, ...]) -> None:
    x = tw.tensor(normal(shape, 1), requires_grad=True)
    w, b = (tw.tensor(normal(shape[1:2], seed), requires_grad=True) for seed in (2, 3))
    m, v = normal(shape[1:2], 4), np.exp(normal(shape[1:2], 5))
    assert gradcheck(_in_training, [x, w, b])
    assert gradgradcheck(_in_training, [x, w, b])
    assert gradcheck(_in_training, [x])
    for some in ((x, w, b), (x,)):
        assert gradcheck(lambda x, *rest: F.batch_norm(x, m, v, *rest), some)
        assert gradgradcheck(lambda x, *rest: F.batch_norm(x, m, v, *rest), some)


def test_both_ways_of_computing_the_gradient_agree() -> None:
    x = tw.tensor(normal((6, 3, 5), 1), requires_grad=True)
    w, b = (tw.tensor(normal((3,), seed), requires_grad=True) for seed in (2, 3))
    upstream = tw.tensor(normal((6, 3, 5), 4))
    y = _in_training(x, w, b)
    direct = tw.autograd.grad(y, [x, w, b], upstream, retain_graph=True)
    written_out = tw.autograd.grad(y, [x, w, b], upstream, create_graph=True)
    for one, other in zip(direct, written_out, strict=True):
        assert_same(one, other.detach(), rtol=1e-12, atol=1e-13, reason="the same formula in another order")


@given(shape=shapes(2, 5, 4), training=st.booleans(), affine=st.booleans(), seed=_SEEDS)
def test_batch_norm_like_torch(shape: tuple[int, ...], training: bool, affine: bool, seed: int) -> None:
    functional, torch = pytorch().nn.functional, pytorch()
    if training and math.prod(shape) // shape[1] < 2:
        shape = (2, *shape[1:])
    channels = shape[1:2]
    mean, variance = normal(channels, seed + 1), np.exp(normal(channels, seed + 2))
    theirs = torch.tensor(mean), torch.tensor(variance)
    arrays = [normal(shape, seed)]
    if affine:
        arrays += [normal(channels, seed + 3), normal(channels, seed + 4)]

    def fill(given: Any) -> Any:
        return given if affine else (None, None)

    against_torch(
        lambda x, *p: F.batch_norm(x, mean, variance, *fill(p), training, 0.3, 1e-3),
        lambda x, *p: functional.batch_norm(x, *theirs, *fill(p), training, 0.3, 1e-3),
        arrays,
        # Where all numbers of a channel are nearly the same, the gradient is a difference of large terms.
        rtol=1e-7,
        atol=1e-7,
    )
    assert_same(mean, theirs[0], rtol=1e-12, atol=1e-14, reason="a few roundings")
    assert_same(variance, theirs[1], rtol=1e-12, atol=1e-14, reason="a few roundings")


def test_float32_statistics_far_from_zero() -> None:
    # A mean 10,000 times the deviation: 13 bits of the 24 go to the mean, and none of the rest is lost.
    x = (normal((64, 3, 33, 33), 1) + 1e4).astype(np.float32)
    y = _in_training(x)
    wide = _in_training(x.astype(np.float64)).astype(np.float32)
    assert_same(y, wide, rtol=0, atol=1e-3, reason="the mean rounded to float32, 5e-4 of a deviation")
    large = np.full((1 << 20, 1), 0.1, np.float32)
    mean, variance = np.zeros(1, np.float32), np.zeros(1, np.float32)
    F.batch_norm(large, mean, variance, training=True, momentum=1.0)
    assert_same(
        mean, np.array([0.1], np.float32), rtol=1e-7, atol=0, reason="a million summands, one rounding"
    )


def test_more_than_a_block() -> None:
    # Many blocks along the batch, and along the channels of one sample.
    for shape in ((70, 40, 10, 10), (2, 300, 40, 40)):
        x = normal(shape, 1)
        over = (0, 2, 3)
        centred = x - x.mean(over, keepdims=True)
        expected = centred / np.sqrt((centred**2).mean(over, keepdims=True) + 1e-5)
        assert_same(_in_training(x), expected, rtol=1e-10, atol=1e-12, reason="sums in another order")
        t = tw.tensor(x, requires_grad=True)
        _in_training(t).sum().backward()
        assert_same(t.grad, np.zeros(shape), rtol=0, atol=1e-12, reason="the sum is 0 whatever the input")


def test_running_statistics_of_tensors_move_in_place() -> None:
    x = normal((5, 2), 1)
    mean, variance = np.zeros(2), np.ones(2)
    F.batch_norm(x, mean, variance, training=True)
    held = tw.zeros(2, dtype=tw.float64), tw.ones(2, dtype=tw.float64)
    F.batch_norm(tw.tensor(x, requires_grad=True), *held, training=True)
    assert_same(held[0], mean, rtol=0, atol=0, reason="the same computation")
    assert_same(held[1], variance, rtol=0, atol=0, reason="the same computation")
    assert not held[0].requires_grad


def test_statistics_that_move_on_before_backward() -> None:
    x = tw.tensor(normal((5, 2), 1), requires_grad=True)
    w = tw.ones(2, dtype=tw.float64, requires_grad=True)
    mean, variance = np.zeros(2), np.ones(2)
    y = F.batch_norm(x, mean, variance, w)
    mean += 5.0
    y.sum().backward()
    assert_same(w.grad, x.detach().numpy().sum(0) / np.sqrt(1 + 1e-5), rtol=1e-14, atol=0, reason="roundings")


def test_nan_and_infinity_stay_in_their_channel() -> None:
    x = normal((4, 3), 1)
    x[0, 0], x[0, 1] = np.nan, np.inf
    y = _in_training(x)
    assert np.isnan(y[:, :2]).all()
    assert np.isfinite(y[:, 2]).all()
    mean, variance = np.zeros(3), np.ones(3)
    y = F.batch_norm(x, mean, variance)
    assert np.isnan(y[0, 0])
    assert y[0, 1] == np.inf
    assert np.isfinite(y[1:]).all()


@given(batch=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_sample_is_the_same_bits_in_any_batch(batch: int, seed: int) -> None:
    x = normal((batch, 7, 3), seed, np.float32)
    m, v = normal((7,), 1, np.float32), np.exp(normal((7,), 2, np.float32))
    for function in (lambda x: F.batch_norm(x, m, v, m, v), F.normalize, lambda x: F.normalize(x, 3.0)):
        together = function(x)
        for i in range(batch):
            assert_same(function(x[i : i + 1])[0], together[i], rtol=0, atol=0, reason="a sample's own bits")


# --- normalize ----------------------------------------------------------------------------------------------


def test_normalize_by_hand() -> None:
    x = np.array([[3.0, -4.0], [0.0, 0.0]])
    assert_same(F.normalize(x), [[0.6, -0.8], [0.0, 0.0]], rtol=1e-15, atol=0, reason="a rounding")
    assert_same(F.normalize(x, 1.0), [[3 / 7, -4 / 7], [0.0, 0.0]], rtol=1e-15, atol=0, reason="a rounding")
    assert_same(F.normalize(x, math.inf), [[0.75, -1.0], [0.0, 0.0]], rtol=0, atol=0, reason="exact")
    assert_same(F.normalize(x, dim=0), [[1.0, -1.0], [0.0, 0.0]], rtol=0, atol=0, reason="exact")
    assert_same(F.normalize(np.array(-2.0), dim=0), np.array(-1.0), rtol=0, atol=0, reason="exact")


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 2.5, math.inf])
def test_normalize_gradients_are_difference_quotients(p: float) -> None:
    x = normal((3, 4), 1)
    # A vector shorter than eps, which divides by eps.
    x[1] *= 1e-2
    t = tw.tensor(x, requires_grad=True)
    for dim in (0, 1):
        assert gradcheck(lambda x, dim=dim: F.normalize(x, p, dim, eps=0.5), [t])
        assert gradgradcheck(lambda x, dim=dim: F.normalize(x, p, dim, eps=0.5), [t])


@given(
    shape=shapes(1, 4),
    p=st.sampled_from([1.0, 2.0, 3.0, 1.5, math.inf]),
    seed=_SEEDS,
    eps=st.sampled_from([1e-12, 0.5]),
    data=st.data(),
)
def test_normalize_like_torch(shape: tuple[int, ...], p: float, seed: int, eps: float, data: Any) -> None:
    functional = pytorch().nn.functional
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    against_torch(
        lambda x: F.normalize(x, p, dim, eps),
        lambda x: functional.normalize(x, p, dim, eps),
        [normal(shape, seed)],
        rtol=1e-8,
        atol=1e-8,
        reason="a difference of larger terms",
    )


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_normalize_of_zeros_has_a_finite_gradient(p: float) -> None:
    x = tw.zeros(2, 3, dtype=tw.float64, requires_grad=True)
    F.normalize(x, p).sum().backward()
    assert_same(x.grad, np.full((2, 3), 1e12), rtol=1e-15, atol=0, reason="one over eps")


# --- refusals -----------------------------------------------------------------------------------------------

_X, _M, _V = np.ones((4, 3)), np.zeros(3), np.ones(3)


def _locked() -> Array:
    array = np.zeros(3)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.batch_norm(np.ones(3), _M, _V),
            ShapeError,
            "batch_norm needs input of shape (batch, channels, ...). Received: input with shape (3,) and "
            "dtype",
        ),
        (
            lambda: F.batch_norm(_X, np.zeros(4), _V),
            ShapeError,
            "batch_norm needs running_mean of shape (3,), one number per channel. Received: running_mean "
            "with shape "
            "(4,) and dtype float64, input with shape (4, 3) and dtype float64.",
        ),
        (
            lambda: F.batch_norm(_X, _M, _V, bias=np.zeros((3, 1))),
            ShapeError,
            "batch_norm needs bias of shape (3,), one number per channel. Received: bias with shape (3, 1)",
        ),
        (
            lambda: F.batch_norm(_X, _M, _V, weight=np.ones(3, np.float32)),
            DtypeError,
            "batch_norm needs operands of one dtype. Received: input of float64, running_mean of float64, "
            "running_var of float64, weight of float32.",
        ),
        (
            lambda: F.batch_norm(_X, None, None),
            ArgumentError,
            "batch_norm needs running_mean and running_var, both or (in training) neither. Received: "
            "running_mean=None, running_var=None, training=False.",
        ),
        (
            lambda: F.batch_norm(_X, _M, None, training=True),
            ArgumentError,
            "batch_norm needs running_mean and running_var, both or (in training) neither. Received: "
            "running_mean='given', running_var=None, training=True.",
        ),
        (
            lambda: F.batch_norm(_X[:1], None, None, training=True),
            ShapeError,
            "batch_norm needs more than one number per channel to normalise by their variance. Received: "
            "input "
            "with shape (1, 3) and dtype float64. Use a larger batch, or evaluation mode.",
        ),
        (
            lambda: F.batch_norm(_X, _locked(), _V, training=True),
            DtypeError,
            "batch_norm updates running_mean in place and needs an array that can be written to. Received: "
            "running_mean with shape (3,) and dtype float64. Pass a copy.",
        ),
        (
            lambda: F.batch_norm(_X, _M, _locked(), training=True),
            DtypeError,
            "batch_norm updates running_var in place and needs an array that can be written to. Received: "
            "running_",
        ),
        (
            lambda: F.batch_norm(_X, _M, _V, eps=-1e-5),
            ArgumentError,
            "batch_norm needs eps of at least 0. Received: eps=-1e-05.",
        ),
        (
            lambda: F.batch_norm(_X, _M, _V, momentum=None),
            DtypeError,
            "batch_norm needs momentum to be a number. Received: momentum=None.",
        ),
        (
            lambda: F.batch_norm(_X.astype(int), _M, _V),
            DtypeError,
            "batch_norm needs input of one of the dtypes float32, float64, in native byte order.",
        ),
        (lambda: F.normalize(_X, 0), ArgumentError, "normalize needs p above 0. Received: p=0.0."),
        (
            lambda: F.normalize(_X, dim=2),
            ShapeError,
            "normalize needs a dim from -2 to 1 for a tensor of rank 2. Received: dim=2.",
        ),
        (
            lambda: F.normalize([3.0, 4.0]),
            DtypeError,
            "normalize needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert_same(_M, np.zeros(3), rtol=0, atol=0, reason="a refused call moves no statistics")
