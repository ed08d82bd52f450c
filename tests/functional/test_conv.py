"""The public convolution functions: kinds, ranks, unbatched input, padding forms, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import conv_dims, random_array
from hypothesis import given, settings

import tilewright as tw
import tilewright.functional as F
from tilewright import reference
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.geometry import ConvDims

_X, _W = random_array((2, 4, 6, 7), 1), random_array((6, 2, 3, 3), 2)
_EXACT = {"rtol": 0, "atol": 0, "reason": "the same computation"}
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}


@given(conv_dims(input_dilation=False))
@settings(max_examples=100)
def test_any_rank(dims: ConvDims) -> None:
    x, w, b = (
        random_array(dims.input_shape, 1),
        random_array(dims.weight_shape, 2),
        random_array((dims.out_channels,), 3),
    )
    y = tw.conv(x, w, b, dims.stride, dims.padding, dims.dilation, dims.groups)
    assert_same(y, reference.conv.forward(dims, x, w, b), **_FLOAT64)


def test_arrays_in_arrays_out_and_tensors_in_tensors_out() -> None:
    y = F.conv2d(_X, _W, groups=2)
    assert type(y) is np.ndarray
    t = F.conv2d(tw.tensor(_X), tw.tensor(_W), groups=2)
    assert isinstance(t, tw.Tensor)
    assert not t.requires_grad
    assert_same(t, y, **_EXACT)
    mixed = F.conv2d(_X, tw.tensor(_W, requires_grad=True), groups=2)
    assert isinstance(mixed, tw.Tensor)
    assert mixed.requires_grad


@pytest.mark.parametrize("function", [F.conv1d, F.conv2d, F.conv3d])
def test_unbatched(function: Any) -> None:
    rank = int(function.__name__[4])
    x, w = random_array((3, *(5,) * rank), 1), random_array((2, 3, *(2,) * rank), 2)
    assert_same(function(x, w), function(x[None], w)[0], **_EXACT)
    back = getattr(F, f"conv_transpose{rank}d")
    v = np.moveaxis(w, 0, 1)
    assert_same(back(x, v), back(x[None], v)[0], **_EXACT)


def test_transposed_is_multiplication_by_the_transposed_matrix() -> None:
    """5 → 3 → 5: the transposed convolution is the matrix of the convolution, transposed."""
    kernel = np.array([[[1.0, 2.0, 3.0]]])
    matrix = np.stack([tw.conv(unit[None, None], kernel)[0, 0] for unit in np.eye(5)], axis=1)
    y = np.array([4.0, 5.0, 6.0])
    assert_same(tw.conv_transpose(y[None, None], kernel)[0, 0], matrix.T @ y, **_FLOAT64)


def test_convolve_flips_the_spatial_axes_only() -> None:
    w = random_array((6, 4, 3, 2), 5)
    assert_same(tw.convolve(_X, w), tw.conv(_X, w[:, :, ::-1, ::-1]), **_FLOAT64)
    t = tw.convolve(tw.tensor(_X), tw.tensor(w, requires_grad=True))
    assert_same(t, tw.convolve(_X, w), **_EXACT)
    assert t.requires_grad


def test_padding_forms_agree() -> None:
    w = random_array((1, 4, 3, 3), 6)
    expected = tw.conv(np.pad(_X, ((0, 0), (0, 0), (1, 2), (0, 3))), w)
    assert_same(tw.conv(_X, w, padding=((1, 2), (0, 3))), expected, **_FLOAT64)
    assert_same(tw.conv(_X, w, padding="same"), tw.conv(_X, w, padding=(1, 1)), **_EXACT)
    assert_same(tw.conv(_X, w, padding=-1), tw.conv(_X[:, :, 1:-1, 1:-1], w), **_FLOAT64)


_BAD: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: F.conv2d(np.zeros((4, 4)), np.zeros((1, 1, 3, 3))),
        ShapeError,
        "conv2d needs input of rank 4 (batch, channels, height, width) or 3 (channels, height, width). "
        "Received: input with shape (4, 4) and dtype float64. Add the missing axes: input[None, None].",
    ),
    (
        lambda: F.conv2d(_X, _W[0]),
        ShapeError,
        "conv2d needs weight of rank 4 (channels, channels, kernel height,",
    ),
    (
        lambda: F.conv1d(_X, _W),
        ShapeError,
        "conv1d needs weight of rank 3 (channels, channels, kernel length).",
    ),
    (
        lambda: tw.conv(_X, _W[0, 0]),
        ShapeError,
        "conv needs weight of rank at least 3 (channels, channels, *kernel).",
    ),
    (lambda: tw.conv(_X[0, 0, 0], _W), ShapeError, "Add the missing axes: input[None, None, None]."),
    (lambda: F.conv2d(_X, _W), ShapeError, "With groups=1 this weight takes 2 channels."),
    (
        lambda: F.conv2d([[1.0]], _W),
        DtypeError,
        "conv2d needs input to be a NumPy array or a Tensor. Received: input",
    ),
    (lambda: F.conv2d(_X, "w"), DtypeError, "conv2d needs weight to be a NumPy array or a Tensor."),
    (
        lambda: F.conv2d(_X, _W, 1.0, groups=2),
        DtypeError,
        "conv2d needs bias to be a NumPy array or a Tensor.",
    ),
    (
        lambda: F.conv2d(_X, _W.astype(np.float32), groups=2),
        DtypeError,
        "conv2d needs operands of one dtype.",
    ),
    (lambda: F.conv2d(_X, _W, np.zeros(5), groups=2), ShapeError, "conv2d needs bias of shape (6,)."),
    (lambda: F.conv2d(_X, _W, stride=0, groups=2), ArgumentError, "conv2d needs stride to be at least 1."),
    (
        lambda: F.conv_transpose2d(_X, _W, groups=2),
        ShapeError,
        "conv_transpose2d needs weight of shape (in_channels,",
    ),
    (
        lambda: tw.explain(3, _W),
        ArgumentError,
        "explain needs input to be an array or a shape. Received: input=3.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), _BAD)
def test_refusals(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_explain() -> None:
    explanation = tw.explain(_X, _W, groups=2, operation="weight_gradient")
    assert explanation.plan.family == "planes"
    assert explanation.plan.dtype == "float64"
    assert str(explanation).startswith("weight_gradient by planes: float64")
