"""Activations behind a convolution: the same in its store and after it; gradients from the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import awkward, conv_dims, random_array
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.errors import ArgumentError, DtypeError
from tilewright.geometry import ConvDims
from tilewright.op import conv as conv_op
from tilewright.op.arrays import is_channels_last
from tilewright.op.conv import conv_forward
from tilewright.op.fused import ACTIVATIONS, activate, positive, sigmoid_gradient, sloped, tanh_gradient
from tilewright.plan import choose

Array = np.ndarray[Any, Any]

SLOPE = 0.25
EXACT = {"rtol": 0, "atol": 0, "reason": "choosing, and one product: nothing to round differently"}
APPLIED = tuple(name for name in ACTIVATIONS if name != "none")

# Vectors along channels and along pixels, tails of both, a strided stem, groups, 1×1, three axes.
GEOMETRIES = [
    ConvDims.of((2, 3, 13, 17), (19, 3, 3, 3), padding=1),
    ConvDims.of((1, 1, 28, 28), (8, 1, 5, 5), padding=2),
    ConvDims.of((2, 40, 7, 7), (33, 40, 3, 3), padding=1),
    ConvDims.of((2, 3, 23, 23), (16, 3, 7, 7), stride=2, padding=3),
    ConvDims.of((2, 16, 9, 9), (24, 8, 3, 3), groups=2),
    ConvDims.of((3, 24, 6, 5), (17, 24, 1, 1)),
    ConvDims.of((1, 9, 5, 6, 7), (10, 9, 2, 3, 2)),
    ConvDims.of((2, 8, 50), (12, 8, 5), dilation=2),
]


def tolerance(activation: str, dtype: Any) -> dict[str, Any]:
    if activation in ("relu", "leaky_relu"):
        return EXACT
    eps = float(np.finfo(dtype).eps)
    return {
        "rtol": 8 * eps,
        "atol": 2 * eps,
        "reason": "each way is within 4 units in the last place, or in a curve's tail within a rounding of 1",
    }


def operands(dims: ConvDims, dtype: Any) -> tuple[Array, Array, Array]:
    return (
        random_array(dims.input_shape, 1, dtype),
        # Sums of size 3 or so: both ends of the curves, and their middle.
        random_array(dims.weight_shape, 2, dtype) * dtype(3 / np.sqrt(dims.reduction)),
        random_array((dims.out_channels,), 3, dtype),
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", APPLIED)
def test_in_the_store_and_after_it(activation: str, dtype: Any, channels_last: bool) -> None:
    for dims in GEOMETRIES:
        x, w, bias = operands(dims, dtype)
        if channels_last:
            x = awkward(x, "channels-last")
        for b in (bias, None):
            y = conv_forward(dims, x, w, b, activation=activation, slope=SLOPE)
            expected = activate(conv_forward(dims, x, w, b), activation, SLOPE)
            assert_same(y, expected, **tolerance(activation, dtype))
            assert is_channels_last(y) == is_channels_last(x)


@settings(max_examples=80)
@given(conv_dims(), st.sampled_from(APPLIED), st.booleans())
def test_random_geometries(dims: ConvDims, activation: str, single: bool) -> None:
    dtype = np.float32 if single else np.float64
    x, w, bias = operands(dims, dtype)
    y = conv_forward(dims, x, w, bias, activation=activation, slope=SLOPE)
    expected = activate(conv_forward(dims, x, w, bias), activation, SLOPE)
    assert_same(y, expected, **tolerance(activation, dtype))


@pytest.mark.parametrize("family", ["numpy-windows", "reference"])
@pytest.mark.parametrize("activation", APPLIED)
def test_families_that_do_not_store_it_are_followed_by_it(activation: str, family: str) -> None:
    dims = GEOMETRIES[0]
    x, w, bias = operands(dims, np.float64)
    y = conv_forward(dims, x, w, bias, activation=activation, slope=SLOPE, family=family)
    alone = conv_forward(dims, x, w, bias, family=family)
    assert_same(y, activate(alone, activation, SLOPE), **EXACT)


def test_compiled_families_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dims = GEOMETRIES[0]
    if not choose("forward", dims, "float32").target:
        pytest.skip("needs the compiled families")

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("a pass over the result, though the family stores the activation")

    told = []
    run = conv_op.run
    monkeypatch.setattr(conv_op, "activate", refuse)
    monkeypatch.setattr(conv_op, "run", lambda plan, *given: (told.append(given[4:]), run(plan, *given)))
    x, w, bias = operands(dims, np.float32)
    y = conv_forward(dims, x, w, bias, activation="leaky_relu", slope=SLOPE)
    assert told == [("leaky_relu", SLOPE)]
    assert (y < 0).any() and (y > 0).any()


def test_special_numbers() -> None:
    # One tap of 1: what comes in is what the activation gets.
    dims = ConvDims.of((1, 1, 64), (16, 1, 1))
    x = np.zeros((1, 1, 64))
    x[0, 0, :6] = [np.nan, np.inf, -np.inf, -0.0, -1e300, 5e-324]
    for activation in APPLIED:
        y = conv_forward(dims, x, np.ones((16, 1, 1)), activation=activation, slope=SLOPE)[0, 0, :6]
        expected = activate(x[0, 0, :6].copy(), activation, SLOPE)
        assert_same(y, expected, **EXACT if activation != "gelu" else tolerance(activation, np.float64))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(0, 3, 6, 5), (2, 0, 6, 5)])
def test_where_only_the_bias_is_left(shape: tuple[int, ...], activation: str) -> None:
    dims = ConvDims.of(shape, (4, shape[1], 3, 3), padding=1)
    x, w = np.zeros(shape), np.ones(dims.weight_shape)
    bias = np.array([-2.0, 0.0, 1.0, 3.0])
    y = conv_forward(dims, x, w, bias, activation=activation, slope=SLOPE)
    expected = np.broadcast_to(activate(bias, activation, SLOPE).reshape(-1, 1, 1), dims.output_shape)
    assert_same(y, expected, **EXACT)
    nothing = conv_forward(dims, x, w, activation=activation, slope=SLOPE)
    at_zero = 0.5 if activation == "sigmoid" else 0.0
    assert_same(nothing, np.full(dims.output_shape, at_zero), **EXACT)


def test_whole_numbers() -> None:
    dims = ConvDims.of((1, 1, 4), (1, 1, 2))
    x, w = np.array([[[1, -2, 3, -4]]]), np.array([[[1, 2]]])
    assert conv_forward(dims, x, w, activation="relu").tolist() == [[[0, 4, 0]]]
    with pytest.raises(DtypeError) as error:
        conv_forward(dims, x, w, activation="tanh", op="conv1d")
    assert str(error.value).startswith(
        "conv1d needs input of one of the dtypes float32, float64, in native byte order. Received: input"
    )


def test_an_unknown_activation() -> None:
    with pytest.raises(ArgumentError) as error:
        conv_forward(GEOMETRIES[0], *operands(GEOMETRIES[0], np.float64), activation="swish")
    names = "none, relu, leaky_relu, tanh, sigmoid, silu, gelu"
    assert str(error.value) == f"conv needs activation to be one of {names}. Received: activation='swish'."


# A handful, and more than a block (16,384 elements), and a rest.
@pytest.mark.parametrize("size", [7, 40_001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_from_the_result(dtype: Any, size: int) -> None:
    g, x = random_array((size,), 4, dtype), random_array((size,), 5, dtype)
    one = dtype(1)
    y = np.tanh(x)
    assert_same(tanh_gradient(g, y), g * (one - y * y), **EXACT)
    y = one / (one + np.exp(-x))
    assert_same(sigmoid_gradient(g, y), g * (y * (one - y)), **EXACT)
    y = activate(x, "leaky_relu", SLOPE)
    assert_same(positive(y), x > 0, **EXACT)
    assert_same(sloped(g, positive(y), SLOPE), np.where(x > 0, g, g * dtype(SLOPE)), **EXACT)
