"""Group, instance, layer, RMS and local response norm: values by hand, gradients, bits, and refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import Array, check_kinds, check_layouts, normal

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_ROUNDING = {"rtol": 1e-15, "atol": 1e-15, "reason": "a few roundings"}

# Each norm of (batch, 4, 3, 2) with its parameters' shapes.
_NORMS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "group": (lambda x, w, b: F.group_norm(x, 2, w, b), [(4,), (4,)]),
    "one group": (lambda x, w, b: F.group_norm(x, 1, w, b), [(4,), (4,)]),
    "instance": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), [(4,), (4,)]),
    "layer": (lambda x, w, b: F.layer_norm(x, (3, 2), w, b), [(3, 2), (3, 2)]),
    "layer, last": (lambda x, w, b: F.layer_norm(x, 2, w, b), [(2,), (2,)]),
    "rms": (lambda x, w: F.rms_norm(x, (3, 2), w, 1e-3), [(3, 2)]),
    "response": (lambda x: F.local_response_norm(x, 3, 0.5), []),
    "response, no root": (lambda x: F.local_response_norm(x, 2, 0.5, 1.3), []),
}
_EVERY = pytest.mark.parametrize("name", _NORMS)


# --- by hand ------------------------------------------------------------------------------------------------


def test_group_norm_by_hand() -> None:
    # Group 0 holds 1, 3, 5, 7: mean 4, variance 5. Group 1 holds 2, 2, 2, 6: mean 3, variance 3.
    x = np.array([[[1.0, 3.0], [5.0, 7.0], [2.0, 2.0], [2.0, 6.0]]])
    five, three = math.sqrt(5.0), math.sqrt(3.0)
    plain = [
        [-3 / five, -1 / five],
        [1 / five, 3 / five],
        [-1 / three, -1 / three],
        [-1 / three, 3 / three],
    ]
    assert_same(F.group_norm(x, 2, eps=0.0), [plain], **_ROUNDING)
    weight, bias = np.array([1.0, 2.0, 0.0, -1.0]), np.array([0.0, 10.0, 7.0, 0.5])
    expected = [[w * v + b for v in row] for row, w, b in zip(plain, weight, bias, strict=True)]
    assert_same(F.group_norm(x, 2, weight, bias, 0.0), [expected], **_ROUNDING)
    # Variance 5 and eps 4: divided by 3.
    assert_same(F.group_norm(x, 2, eps=4.0)[:, 0], [[-1.0, -1 / 3]], **_ROUNDING)


def test_layer_norm_by_hand() -> None:
    # Mean 4 and variance 5 over the last two axes, whatever the rest.
    x = np.array([[[1.0, 3.0], [5.0, 7.0]], [[7.0, 5.0], [3.0, 1.0]]])
    w, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    five = math.sqrt(5.0)
    expected = [[[-3, -2 + five], [3, 12 + five]], [[3, 2 + five], [-3, -12 + five]]]
    assert_same(F.layer_norm(x, (2, 2), w, b, 0.0), np.array(expected) / five, **_ROUNDING)
    # Over the last axis alone, pairs that differ by 2 become ∓1.
    assert_same(F.layer_norm(x, [2], eps=0.0)[0], [[-1.0, 1.0], [-1.0, 1.0]], **_ROUNDING)


def test_rms_norm_by_hand() -> None:
    x = np.array([[1.0, 7.0], [-3.0, 4.0]])
    half = math.sqrt(12.5)
    assert_same(F.rms_norm(x, 2, eps=0.0), [[0.2, 1.4], [-3 / half, 4 / half]], **_ROUNDING)
    assert_same(F.rms_norm(x, 2, np.array([10.0, 0.0]), 0.0)[0], [2.0, 0.0], **_ROUNDING)
    # Without eps it is the dtype's precision, which halves what is as small as its root.
    for dtype in (np.float32, np.float64):
        small = np.full(3, math.sqrt(float(np.finfo(dtype).eps)), dtype)
        y = F.rms_norm(small, 3)
        rtol = 4 * float(np.finfo(dtype).eps)
        assert_same(y, np.full(3, math.sqrt(0.5), dtype), rtol=rtol, atol=0, reason="a few roundings")


def test_instance_norm_by_hand() -> None:
    x = np.array([[[1.0, 3.0], [0.0, 4.0]], [[5.0, 9.0], [2.0, 2.0]]])
    mean, variance = np.array([10.0, 20.0]), np.array([1.0, 1.0])
    y = F.instance_norm(x, mean, variance, momentum=0.25, eps=1e-300)
    assert_same(y, [[[-1.0, 1.0], [-1.0, 1.0]], [[-1.0, 1.0], [0.0, 0.0]]], **_ROUNDING)
    # Means 2, 2 and 7, 2; variances over n − 1: 2, 8 and 8, 0. Averaged: 4.5, 2 and 5, 4.
    assert_same(mean, [7.5 + 4.5 / 4, 15.5], **_ROUNDING)
    assert_same(variance, [0.75 + 5 / 4, 1.75], **_ROUNDING)
    again = F.instance_norm(x, mean, variance, use_input_stats=False, eps=0.0)
    scaled = (x - mean.reshape(2, 1)) / np.sqrt(variance).reshape(2, 1)
    assert_same(again, scaled, **_ROUNDING)
    assert_same(mean, [7.5 + 4.5 / 4, 15.5], rtol=0, atol=0, reason="evaluation leaves them")
    # A batch of no samples teaches nothing.
    F.instance_norm(x[:0], mean, variance)
    assert_same(variance, [0.75 + 5 / 4, 1.75], rtol=0, atol=0, reason="nothing was seen")


def test_local_response_norm_by_hand() -> None:
    # Squares 1, 4, 9, 16; neighbourhoods of 3: 5, 14, 29, 25; of 2 (the one before and itself): 1, 5, 13, 25.
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    of_three = np.array([5.0, 14.0, 29.0, 25.0]).reshape(1, 4, 1)
    y = F.local_response_norm(x, 3, alpha=3.0, beta=1.0, k=1.0)
    assert_same(y, x / (1.0 + of_three), **_ROUNDING)
    of_two = np.array([1.0, 5.0, 13.0, 25.0]).reshape(1, 4, 1)
    y = F.local_response_norm(x, 2, alpha=2.0, beta=0.75, k=2.0)
    assert_same(y, x / (2.0 + of_two) ** 0.75, **_ROUNDING)
    everything = F.local_response_norm(x, 99, alpha=99.0, beta=0.5, k=0.0)
    assert_same(everything, x / math.sqrt(30.0), **_ROUNDING)


# --- kinds, layouts, bits -----------------------------------------------------------------------------------


def _operands(name: str, dtype: Any = np.float64, batch: int = 3) -> tuple[Callable[..., Any], list[Array]]:
    function, shapes = _NORMS[name]
    arrays = [normal((batch, 4, 3, 2), 1, dtype)]
    return function, arrays + [normal(shape, seed, dtype) for seed, shape in enumerate(shapes, 2)]


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_dtypes_and_inputs_kept(name: str, dtype: Any) -> None:
    function, arrays = _operands(name, dtype)
    check_kinds(function, *arrays)


@_EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(name: str, dtype: Any) -> None:
    function, (x, *rest) = _operands(name, dtype)
    check_layouts(lambda x: function(x, *rest), x)
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    y = function(last, *rest)
    assert_same(y, function(x, *rest), rtol=0, atol=0, reason="worked on in the same order")
    if "layer" not in name and name != "rms":
        assert y.strides == last.strides


@_EVERY
def test_gradients_are_difference_quotients(name: str) -> None:
    function, arrays = _operands(name, batch=2)
    tensors = [tw.tensor(x, requires_grad=True) for x in arrays]
    assert gradcheck(function, tensors)
    assert gradgradcheck(function, tensors)
    # Parameters alone, and the input alone.
    if len(tensors) > 1:
        assert gradcheck(lambda *p: function(arrays[0], *p), tensors[1:])
        assert gradgradcheck(lambda *p: function(arrays[0], *p), tensors[1:])
        assert gradcheck(lambda x: function(x, *arrays[1:]), tensors[:1])


@_EVERY
def test_both_ways_of_computing_the_gradient_agree(name: str) -> None:
    function, arrays = _operands(name)
    tensors = [tw.tensor(x, requires_grad=True) for x in arrays]
    y = function(*tensors)
    upstream = tw.tensor(normal(tuple(y.shape), 9))
    direct = tw.autograd.grad(y, tensors, upstream, retain_graph=True)
    written_out = tw.autograd.grad(y, tensors, upstream, create_graph=True)
    for one, other in zip(direct, written_out, strict=True):
        assert_same(one, other.detach(), rtol=1e-10, atol=1e-12, reason="differences of nearly equal terms")


@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.sampled_from([2, 4, 6, 12]),
    places=st.sampled_from([(), (1,), (5,), (3, 7), (40, 41)]),
    affine=st.booleans(),
)
def test_a_sample_is_the_same_bits_in_any_batch(
    seed: int, channels: int, places: tuple[int, ...], affine: bool
) -> None:
    x = normal((5, channels, *places), seed, np.float32)
    w = normal((channels,), seed + 1, np.float32) if affine else None
    of_places = normal((channels, *places), seed + 2, np.float32) if affine else None
    calls = [lambda x, g=g: F.group_norm(x, g, w, w) for g in (1, 2, channels)]
    calls.append(lambda x: F.layer_norm(x, (channels, *places), of_places, of_places))
    calls.append(lambda x: F.rms_norm(x, (channels, *places), of_places))
    if len(places):
        calls.append(lambda x: F.local_response_norm(x, 3, 0.5))
    for call in calls:
        together = call(x)
        for some in (slice(0, 1), slice(3, 4), slice(1, 4)):
            assert_same(call(x[some]), together[some], rtol=0, atol=0, reason="a sample's own bits")


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 127, 128, 129, 1000, 20000, 200000])
def test_rows_of_any_length_have_their_own_bits(length: int) -> None:
    x = normal((4, length), 1, np.float32)
    y = F.layer_norm(x, length)
    for i in range(4):
        assert_same(F.layer_norm(x[i], length), y[i], rtol=0, atol=0, reason="a row's own bits")


def test_more_than_a_block() -> None:
    # Many blocks along the batch; several groups of one sample; a group larger than a block.
    for shape, groups in (((70, 40, 10, 10), 4), ((2, 300, 40, 40), 10), ((2, 8, 200, 250), 2)):
        x, w = normal(shape, 1), normal(shape[1:2], 2)
        rows = x.reshape(shape[0], groups, -1)
        centred = rows - rows.mean(2, keepdims=True)
        expected = centred / np.sqrt((centred**2).mean(2, keepdims=True) + 1e-5)
        along = w.reshape(-1, 1, 1)
        y = F.group_norm(x, groups, w, w)
        assert_same(y, expected.reshape(shape) * along + along, rtol=1e-9, atol=1e-11, reason="another order")
        t = tw.tensor(x, requires_grad=True)
        F.group_norm(t, groups).sum().backward()
        assert_same(t.grad, np.zeros(shape), rtol=0, atol=1e-11, reason="the sum is 0 whatever the input")


# --- exactness and corner cases -----------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [1e3, 1e5, 1e6])
def test_float32_far_from_zero(offset: float) -> None:
    # What float32 holds of the input is normalised as float64 would: deviations of 1 on a mean of a million.
    x = (normal((4, 6, 33, 33), 1) + offset).astype(np.float32)
    for call in (
        lambda x: F.group_norm(x, 3),
        lambda x: F.instance_norm(x),
        lambda x: F.layer_norm(x, (33, 33)),
    ):
        y, wide = call(x), call(x.astype(np.float64))
        assert_same(y, wide.astype(np.float32), rtol=2e-6, atol=2e-6, reason="float32 sums of 2,000 numbers")


def test_equal_numbers_give_zeros() -> None:
    # A tenth has no end in binary: sums of it are rounded, and the mean may be another number.
    for number in (0.1, 1e-20, 1e20, -3.3, 7.7e8):
        for places in (3, 35, 1001):
            x = np.full((2, 4, places), number, np.float32)
            nothing = np.zeros(x.shape, np.float32)
            assert_same(F.group_norm(x, 2), nothing, rtol=0, atol=0, reason="the second pass finds it")


def test_a_single_number_is_its_own_mean() -> None:
    x = normal((2, 3, 1), 1)
    assert_same(F.group_norm(x, 3), np.zeros((2, 3, 1)), rtol=0, atol=0, reason="exact")
    bias = np.array([1.0, 2.0, 3.0])
    y = F.layer_norm(x, 1, bias=bias[:1])
    assert_same(y, np.ones((2, 3, 1)), rtol=0, atol=0, reason="exact")


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0), (0, 4, 0, 2)])
def test_no_elements(shape: tuple[int, ...]) -> None:
    x = tw.zeros(*shape, requires_grad=True)
    w, b = tw.ones(4, requires_grad=True), tw.zeros(4, requires_grad=True)
    y = F.group_norm(x, 2, w, b)
    assert tuple(y.shape) == shape
    y.sum().backward()
    for parameter in (w, b):
        assert_same(parameter.grad, np.zeros(4, np.float32), rtol=0, atol=0, reason="nothing was seen")
    assert tuple(x.grad.shape) == shape
    (first,) = tw.autograd.grad(F.group_norm(x, 2, w, b).sum(), w, create_graph=True)
    assert_same(first.detach(), np.zeros(4, np.float32), rtol=0, atol=0, reason="nothing was seen")
    assert F.instance_norm(x).shape == x.shape
    assert F.local_response_norm(x, 3).shape == x.shape
    assert F.layer_norm(x, shape[-1]).shape == x.shape
    assert F.rms_norm(x, shape[-1]).shape == x.shape
    assert F.local_response_norm(np.zeros((2, 0, 3)), 3).shape == (2, 0, 3)
    assert F.group_norm(np.zeros((2, 0, 3)), 3).shape == (2, 0, 3)


def test_nan_and_infinity_stay_in_their_group() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        x = normal((2, 4, 3), 1)
        x[0, 1, 2] = bad
        y = F.group_norm(x, 2)
        spoilt = np.zeros((2, 4, 3), bool)
        spoilt[0, :2] = True
        assert_same(np.isnan(y), spoilt, rtol=0, atol=0, reason="its group and no other")
        y = F.local_response_norm(x, 3)
        spoilt[...] = False
        spoilt[0, :3, 2] = np.isnan(bad)
        spoilt[0, 1, 2] = True
        assert_same(np.isnan(y), spoilt, rtol=0, atol=0, reason="its neighbourhood and no other place")


def test_layer_norm_is_group_norm_of_one_group() -> None:
    x = normal((3, 6), 1)
    w, b = normal((6,), 2), normal((6,), 3)
    together = F.group_norm(x, 1, w, b)
    assert_same(F.layer_norm(x, 6, w, b), together, rtol=0, atol=0, reason="the same definition")
    alone = F.group_norm(normal((2, 4, 5), 4), 4)
    assert_same(F.instance_norm(normal((2, 4, 5), 4)), alone, rtol=0, atol=0, reason="the same definition")


# --- running statistics -------------------------------------------------------------------------------------


def test_running_statistics_of_tensors_move_in_place() -> None:
    x = normal((5, 2, 3), 1)
    mean, variance = np.zeros(2), np.ones(2)
    F.instance_norm(x, mean, variance)
    held = tw.zeros(2, dtype=tw.float64), tw.ones(2, dtype=tw.float64)
    F.instance_norm(tw.tensor(x, requires_grad=True), *held)
    assert_same(held[0], mean, rtol=0, atol=0, reason="the same computation")
    assert_same(held[1], variance, rtol=0, atol=0, reason="the same computation")


# --- refusals -----------------------------------------------------------------------------------------------

_X, _M, _V = np.ones((2, 4, 3)), np.zeros(4), np.ones(4)


def _locked() -> Array:
    array = np.zeros(4)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.group_norm(_X, 3),
            ShapeError,
            "group_norm needs channels that make up num_groups groups of one size. Received: input with "
            "shape "
            "(2, 4, 3) and dtype float64, num_groups=3.",
        ),
        (
            lambda: F.group_norm(_X, 0),
            ArgumentError,
            "group_norm needs num_groups to be at least 1. Received: num_groups=0.",
        ),
        (
            lambda: F.group_norm(_X, 2.0),
            ArgumentError,
            "group_norm needs num_groups to be an integer. Received: num_groups=2.0.",
        ),
        (
            lambda: F.group_norm(np.ones(4), 2),
            ShapeError,
            "group_norm needs input of shape (batch, channels, ...). Received: input with shape (4,) and "
            "dtype",
        ),
        (
            lambda: F.group_norm(_X, 2, np.ones(3)),
            ShapeError,
            "group_norm needs weight of shape (4,), one number per channel. Received: weight with shape (3,)",
        ),
        (
            lambda: F.group_norm(_X, 2, None, np.ones(4, np.float32)),
            DtypeError,
            "group_norm needs operands of one dtype. Received: input of float64, bias of float32.",
        ),
        (
            lambda: F.group_norm(_X, 2, eps=-1.0),
            ArgumentError,
            "group_norm needs eps of at least 0. Received: eps=-1.0.",
        ),
        (
            lambda: F.group_norm(_X, 2, eps=None),
            DtypeError,
            "group_norm needs eps to be a number. Received: eps=None.",
        ),
        (
            lambda: F.group_norm([[1.0]], 1),
            DtypeError,
            "group_norm needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.group_norm(_X.astype(int), 2),
            DtypeError,
            "group_norm needs input of one of the dtypes float32, float64, in native byte order. Received:",
        ),
        (
            lambda: F.instance_norm(_X[..., :1]),
            ShapeError,
            "instance_norm needs input of shape (batch, channels, *spatial) with more than one place. "
            "Received: input with shape (2, 4, 1) and dtype float64.",
        ),
        (
            lambda: F.instance_norm(_X[..., 0]),
            ShapeError,
            "instance_norm needs input of shape (batch, channels, *spatial) with more than one place. "
            "Received:",
        ),
        (
            lambda: F.instance_norm(_X, _M),
            ArgumentError,
            "instance_norm needs running_mean and running_var, both or (with use_input_stats) neither. "
            "Received: running_mean='given', running_var=None, use_input_stats=True.",
        ),
        (
            lambda: F.instance_norm(_X, use_input_stats=False),
            ArgumentError,
            "instance_norm needs running_mean and running_var, both or (with use_input_stats) neither. "
            "Received: running_mean=None, running_var=None, use_input_stats=False.",
        ),
        (
            lambda: F.instance_norm(_X, _M, _locked()),
            DtypeError,
            "instance_norm updates running_var in place and needs an array that can be written to. Received:",
        ),
        (
            lambda: F.instance_norm(_X, np.zeros(3), _V),
            ShapeError,
            "instance_norm needs running_mean of shape (4,), one number per channel. Received: running_mean",
        ),
        (
            lambda: F.layer_norm(_X, 4),
            ShapeError,
            "layer_norm needs input whose last axes have the sizes normalized_shape, at least one of them. "
            "Received: input with shape (2, 4, 3) and dtype float64, normalized_shape=4.",
        ),
        (lambda: F.layer_norm(_X, ()), ShapeError, "layer_norm needs input whose last axes have the sizes"),
        (
            lambda: F.layer_norm(_X, (9, 2, 4, 3)),
            ShapeError,
            "layer_norm needs input whose last axes have the sizes normalized_shape",
        ),
        (
            lambda: F.layer_norm(_X, "3"),
            ArgumentError,
            "layer_norm needs every size of normalized_shape to be an integer. Received: every size",
        ),
        (
            lambda: F.layer_norm(_X, (-3,)),
            ArgumentError,
            "layer_norm needs every size of normalized_shape to be at least 0. Received: every size",
        ),
        (
            lambda: F.layer_norm(_X, 3, np.ones((1, 3))),
            ShapeError,
            "layer_norm needs weight of shape (3,), as normalized_shape. Received: weight with shape (1, 3)",
        ),
        (
            lambda: F.layer_norm(_X, 3, np.ones(3, np.float32)),
            DtypeError,
            "layer_norm needs operands of one dtype. Received: input of float64, weight of float32.",
        ),
        (
            lambda: F.layer_norm(_X, 3, "w"),
            DtypeError,
            "layer_norm needs weight to be a NumPy array or a Tensor. Received: weight of type str.",
        ),
        (
            lambda: F.rms_norm(None, 3),
            DtypeError,
            "rms_norm needs input to be a NumPy array or a Tensor. Received: input of type NoneType.",
        ),
        (
            lambda: F.rms_norm(_X, 3, eps=-1),
            ArgumentError,
            "rms_norm needs eps of at least 0. Received: eps=-1.",
        ),
        (
            lambda: F.local_response_norm(_X, 0),
            ArgumentError,
            "local_response_norm needs size to be at least 1. Received: size=0.",
        ),
        (
            lambda: F.local_response_norm(_X[0], 3),
            ShapeError,
            "local_response_norm needs input of shape (batch, channels, *rest) with at least 3 axes. "
            "Received:",
        ),
        (
            lambda: F.local_response_norm(_X, 3, alpha="a"),
            DtypeError,
            "local_response_norm needs alpha to be a number. Received: alpha='a'.",
        ),
        (
            lambda: F.local_response_norm(_X.astype(int), 3),
            DtypeError,
            "local_response_norm needs input of one of the dtypes float32, float64",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert "Received: " in str(caught.value)
    assert_same(_M, np.zeros(4), rtol=0, atol=0, reason="a refused call moves no statistics")
