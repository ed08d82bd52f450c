"""A convolution with its activation: in one step or two, whichever is right, with the same numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

import tilewright as tw
from tilewright.autograd.tape import each_step
from tilewright.errors import ShapeError
from tilewright.functional import fused
from tilewright.functional.fused import conv_activation

F = tw.functional

CLOSE = {"rtol": 1e-14, "atol": 1e-15, "reason": "float64: the smooth curves are a few roundings apart"}
PLAIN = (1, 0, 1, 1)  # stride, padding, dilation, groups


def operands() -> tuple[Any, Any, Any]:
    shapes = ((2, 3, 9), (8, 3, 4), (8,))
    return tuple(random_array(shape, seed) for seed, shape in enumerate(shapes))  # type: ignore[return-value]


def steps_of(*given: Any, **named: Any) -> list[str]:
    return list(each_step(conv_activation(*given, **named)._node))


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "silu", "gelu"])
@pytest.mark.parametrize("batched", [True, False])
def test_arrays_and_tensors_with_and_without_batch(activation: str, batched: bool) -> None:
    x, w, b = operands()
    if not batched:
        x = x[0]
    expected = getattr(F, activation)(F.conv1d(x, w, b, 2, 1))
    found = conv_activation(1, x, w, b, 2, 1, 1, 1, activation)
    assert isinstance(found, np.ndarray)
    assert_same(found, expected, **CLOSE)
    found = conv_activation(None, tw.tensor(x), tw.tensor(w), b, 2, 1, 1, 1, activation)
    assert isinstance(found, tw.Tensor)
    assert_same(found, expected, **CLOSE)


def test_messages_name_the_function_that_two_steps_would_call() -> None:
    x, w, b = operands()
    for rank, name in ((1, "conv1d"), (None, "conv")):
        with pytest.raises(ShapeError) as error:
            conv_activation(rank, x[:, :2], w, b, *PLAIN, "relu")
        with pytest.raises(ShapeError) as expected:
            (F.conv1d if rank else F.conv)(x[:, :2], w, b)
        assert str(error.value) == str(expected.value)
        assert str(error.value).startswith(f"{name} needs ")


def test_silu_and_gelu_take_two_steps_while_a_gradient_may_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    apply = fused.apply
    monkeypatch.setattr(
        fused, "apply", lambda name, *given, **named: names.append(name) or apply(name, *given, **named)
    )
    x, w, b = (tw.tensor(array) for array in operands())
    for place in range(3):
        given = [v.detach().requires_grad_(number == place) for number, v in enumerate((x, w, b))]
        assert steps_of(1, *given, *PLAIN, "silu") == ["silu", "conv"]
        assert steps_of(1, *given, *PLAIN, "gelu") == ["gelu", "conv"]
        assert names == []
        with tw.no_grad():
            conv_activation(1, *given, *PLAIN, "gelu")
        assert names.pop() == "conv_gelu"
    assert not conv_activation(1, x, w, b, *PLAIN, "silu").requires_grad
    assert names == ["conv_silu"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slopes_that_turn_signs_around_or_lose_them_take_two_steps(dtype: Any) -> None:
    x, w, b = (tw.tensor(array.astype(dtype), requires_grad=True) for array in operands())
    most = float(np.finfo(dtype).max)
    for slope in (0.0, 0.01, 1.0, 3.0, most):
        assert steps_of(1, x, w, b, *PLAIN, "leaky_relu", slope) == ["conv_leaky_relu"]
    for slope in (-0.01, math.inf, -math.inf, math.nan, *([] if dtype is np.float64 else [1e39])):
        assert steps_of(1, x, w, b, *PLAIN, "leaky_relu", slope) == ["leaky_relu", "conv"]


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0, 7.0, -0.5])
def test_any_slope_gives_the_same_bits_and_gradients(slope: float) -> None:
    found = []
    for way in (
        lambda x, w, b: conv_activation(1, x, w, b, *PLAIN, "leaky_relu", slope),
        lambda x, w, b: F.leaky_relu(F.conv1d(x, w, b), slope),
    ):
        leaves = [tw.tensor(array, requires_grad=True) for array in operands()]
        y = way(*leaves)
        (y * y).sum().backward()
        found.append([y.detach(), *(leaf.grad for leaf in leaves)])
    for a, b in zip(*found, strict=True):
        assert_same(a, b, rtol=0, atol=0, reason="the same arrays go through the same steps")


def test_whole_numbers_take_two_steps() -> None:
    x, w = np.array([[[1, -2, 3]]]), np.array([[[1, 1]]])
    assert conv_activation(1, x, w, None, *PLAIN, "relu").tolist() == [[[0, 1]]]
    y = conv_activation(1, tw.tensor(x), tw.tensor(w), None, *PLAIN, "tanh")
    assert_same(y, F.tanh(F.conv1d(tw.tensor(x), tw.tensor(w))), rtol=0, atol=0, reason="the same two calls")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid", "silu", "gelu"])
def test_special_numbers(activation: str, dtype: Any) -> None:
    # Sixteen channels of one tap of 1: what comes in is what the activation gets.
    x = np.array([[[math.nan, math.inf, -math.inf, -0.0, 1e30, -1e30, *range(-120, 121)]]], dtype)
    w = np.ones((16, 1, 1), dtype)
    found = conv_activation(1, x, w, None, *PLAIN, activation, 0.3)
    y = F.conv1d(x, w)
    expected = F.leaky_relu(y, 0.3) if activation == "leaky_relu" else getattr(F, activation)(y)
    # GELU in two steps takes P(N ≤ x) below 1e-38 from the few bits that a small float32 has left.
    rtol = 1e-13 if dtype is np.float64 else 1e-6
    atol = 20 * float(np.finfo(dtype).tiny)
    assert_same(found, expected, rtol=rtol, atol=atol, reason="a few roundings apart, save where subnormal")
