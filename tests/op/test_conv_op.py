"""The door for arrays: what it checks, empty arrays, integers, layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, random_array

from tilewright import reference
from tilewright.errors import DtypeError, ShapeError
from tilewright.geometry import ConvDims
from tilewright.op.arrays import is_channels_last
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient

_DIMS = ConvDims.of((2, 3, 6, 5), (4, 3, 3, 3), padding=1)
_X, _W = random_array((2, 3, 6, 5), 1, np.float32), random_array((4, 3, 3, 3), 2, np.float32)
_B = random_array((4,), 3, np.float32)
_GY = random_array((2, 4, 6, 5), 4, np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: conv_forward(_DIMS, _X[:1], _W),
            ShapeError,
            "conv needs input of shape (2, 3, 6, 5). Received:",
        ),
        (lambda: conv_forward(_DIMS, _X, _W[:, :2]), ShapeError, "conv needs weight of shape (4, 3, 3, 3)."),
        (lambda: conv_forward(_DIMS, _X, _W, _B[:3]), ShapeError, "bias with shape (3,) and dtype float32"),
        (
            lambda: conv_forward(_DIMS, _X, _W.astype(np.float64)),
            DtypeError,
            "operands of one dtype. Received: input of float32, weight of float64. Convert one of them",
        ),
        (
            lambda: conv_forward(_DIMS, _X.astype(bool), _W),
            DtypeError,
            "input with shape (2, 3, 6, 5) and dtype bool",
        ),
        (lambda: conv_forward(_DIMS, _X.astype(">f4"), _W), DtypeError, "in native byte order"),
        (
            lambda: conv_forward(_DIMS, [1.0], _W),
            DtypeError,
            "NumPy array or a Tensor. Received: input of type list",
        ),  # type: ignore[arg-type]
        (lambda: conv_data_gradient(_DIMS, _X, _W), ShapeError, "conv needs input of shape (2, 4, 6, 5)."),
        (
            lambda: conv_weight_gradient(_DIMS, _X, _X),
            ShapeError,
            "conv needs gradient of shape (2, 4, 6, 5).",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_integers_are_exact(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 3, (2, 3, 6, 5)).astype(dtype), rng.integers(0, 3, (4, 3, 3, 3)).astype(dtype)
    y = conv_forward(_DIMS, x, w)
    assert y.dtype == np.dtype(dtype)
    # Sums of 27 products below 5 fit every one of these types but int8's top, where both wrap alike.
    exact = reference.conv.forward(_DIMS, x.astype(np.int64), w.astype(np.int64)).astype(dtype)
    assert_same(y, exact, rtol=0, atol=0, reason="integer sums are exact")


def test_large_integers_do_not_pass_through_floats() -> None:
    dims = ConvDims.of((1, 1, 3), (1, 1, 2))
    x = np.array([[[2**62 + 1, 1, 3]]])
    y = conv_forward(dims, x, np.array([[[1, 1]]]))
    assert y.tolist() == [[[2**62 + 2, 4]]]


@pytest.mark.parametrize("shape", [(0, 3, 6, 5), (2, 0, 6, 5)])
def test_empty_batch_or_channels(shape: tuple[int, ...]) -> None:
    weight = (4, shape[1], 3, 3)
    dims = ConvDims.of(shape, weight, padding=1)
    x, w = np.zeros(shape, np.float32), np.ones(weight, np.float32)
    y = conv_forward(dims, x, w, _B)
    assert y.shape == (shape[0], 4, 6, 5)
    assert_same(
        y, np.broadcast_to(_B.reshape(-1, 1, 1), y.shape), rtol=0, atol=0, reason="only the bias is left"
    )
    gw = conv_weight_gradient(dims, x, np.ones_like(y))
    assert_same(gw, np.zeros(weight, np.float32), rtol=0, atol=0, reason="an empty sum is zero")
    gx = conv_data_gradient(dims, np.ones_like(y), w)
    assert_same(gx, np.zeros(shape, np.float32), rtol=0, atol=0, reason="an empty sum is zero")


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_operands_are_taken_and_left_alone(kind: str) -> None:
    x, w = awkward(_X, kind), awkward(_W, kind)
    before = x.copy(), w.copy()
    y = conv_forward(_DIMS, x, w, _B)
    assert_same(y, conv_forward(_DIMS, _X, _W, _B), rtol=1e-5, atol=1e-5, reason="float32, another BLAS path")
    for now, then in zip((x, w), before, strict=True):
        assert_same(now, then, rtol=0, atol=0, reason="inputs are never written to")


def test_broadcast_operands() -> None:
    x = np.broadcast_to(np.float32(2), (2, 3, 6, 5))
    w = np.broadcast_to(_W[:1], _W.shape)
    y = conv_forward(_DIMS, x, w)
    full = conv_forward(_DIMS, np.ascontiguousarray(x), np.ascontiguousarray(w))
    assert_same(y, full, rtol=1e-6, atol=1e-6, reason="float32, another BLAS path")


def test_the_output_follows_the_inputs_layout() -> None:
    last = awkward(_X, "channels-last")
    assert is_channels_last(last)
    assert is_channels_last(conv_forward(_DIMS, last, _W))
    assert not is_channels_last(conv_forward(_DIMS, _X, _W))
    assert is_channels_last(conv_data_gradient(_DIMS, awkward(_GY, "channels-last"), _W))


def test_nan_and_infinity_come_out_where_the_definition_puts_them() -> None:
    x = np.zeros((1, 1, 7))
    x[0, 0, 2], x[0, 0, 6] = np.nan, np.inf
    y = conv_forward(ConvDims.of((1, 1, 7), (1, 1, 3)), x, np.ones((1, 1, 3)))
    np.testing.assert_array_equal(y[0, 0], [np.nan, np.nan, np.nan, 0.0, np.inf])
