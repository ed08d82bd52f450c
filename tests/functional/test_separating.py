"""Kernels taken apart within a tolerance, and convolution with the parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd import gradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

Array = np.ndarray[Any, Any]
_SAME = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}


def rebuilt(parts: list[Array]) -> Array:
    """The kernels (out_channels, *kernel) that the parts stand for."""
    channels, products = parts[-1].shape[:2]
    whole = np.ones((), np.float64)
    for part in parts:
        whole = whole * part.astype(np.float64).reshape(channels, products, *part.shape[2:])
    return whole.sum(axis=1)


def blurs() -> Array:
    """Three kernels of 15×13 that need different numbers of products."""
    rows, columns = np.mgrid[-7:8, -6:7].astype(float)
    return np.stack(
        [np.exp(-np.hypot(rows, columns) / 3), np.hypot(rows, columns) < 5.5, np.exp(-(rows**2 + columns**2))]
    ).astype(float)[:, None]


def test_known_kernels() -> None:
    sobel = np.outer([1.0, 2.0, 1.0], [1.0, 0.0, -1.0])[None, None]
    parts = F.separate(sobel, 0)
    assert [part.shape for part in parts] == [(1, 1, 3, 1), (1, 1, 1, 3)]
    assert_same(rebuilt(parts), sobel[0], **_SAME)
    # The sum of two: a Laplacian.
    laplacian = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    parts = F.separate(laplacian, 0)
    assert [part.shape for part in parts] == [(2, 1, 3, 1), (1, 2, 1, 3)]
    assert_same(rebuilt(parts), laplacian[0], **_SAME)
    # The identity's products are equally large: it takes all of them, or a share of the error each.
    assert len(F.separate(np.eye(9)[None, None], 0.0)[0]) == 9
    assert len(F.separate(np.eye(9)[None, None], (3.1 / 9) ** 0.5)[0]) == 6
    assert [part.shape for part in F.separate(np.zeros((2, 1, 4, 5)), 0)] == [(2, 1, 4, 1), (2, 1, 1, 5)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tolerance", [0, 1e-6, 1e-3, 0.03, 0.3, 2.0])
@pytest.mark.parametrize("shape", [(3, 1, 15, 13), (2, 1, 5, 6, 7), (2, 1, 9), (2, 1, 4, 1, 5), (1, 1, 1, 1)])
def test_the_error_is_within_the_tolerance_and_no_product_is_idle(
    shape: tuple[int, ...], tolerance: float, dtype: str
) -> None:
    w = (random_array(shape, 1) + 0.3).astype(dtype)
    if shape == (3, 1, 15, 13):
        w = blurs().astype(dtype)
    parts = F.separate(w, tolerance)
    assert all(part.dtype == w.dtype for part in parts)
    wide = w[:, 0].astype(np.float64)
    axes = tuple(range(1, wide.ndim))
    error = np.sqrt(((rebuilt(parts) - wide) ** 2).sum(axis=axes)) / np.sqrt((wide**2).sum(axis=axes))
    # Of the decomposition, and of the parts.
    rounding = 20 * float(np.finfo(dtype).eps)
    assert (error <= tolerance + rounding).all()
    products = parts[-1].shape[1]
    if products > 1:
        # With one product fewer, some channel would be beyond the tolerance.
        fewer = rebuilt(
            [
                part.reshape(len(w), products, *part.shape[2:])[:, :-1].reshape(
                    *((-1, 1) if part is not parts[-1] else (len(w), products - 1)), *part.shape[2:]
                )
                for part in parts
            ]
        )
        left = np.sqrt(((fewer - wide) ** 2).sum(axis=axes)) / np.sqrt((wide**2).sum(axis=axes))
        assert (left > tolerance - rounding).any()


@pytest.mark.parametrize(
    ("shape", "weight", "arguments"),
    [
        ((2, 3, 30, 40), (3, 1, 9, 7), {"padding": "same", "groups": 3}),
        ((1, 2, 30, 40), (6, 1, 5, 5), {"padding": (1, 3), "stride": (2, 3), "groups": 2}),
        ((1, 1, 30, 40), (1, 1, 5, 4), {"padding": ((3, 0), (-2, 1)), "dilation": (2, 3)}),
        ((1, 1, 30, 40), (1, 1, 7, 5), {"padding": 4, "padding_mode": "reflect"}),
        ((1, 1, 30, 40), (1, 1, 7, 5), {"padding": "causal", "padding_mode": "circular", "stride": 2}),
        ((2, 12, 14, 13), (2, 1, 4, 3, 5), {"padding": 2, "stride": (1, 2, 1), "groups": 2}),
        ((1, 1, 9, 20, 30), (1, 1, 5, 1, 4), {"padding": 2, "stride": 2, "dilation": (1, 1, 2)}),
        ((2, 2, 50), (4, 1, 9), {"padding": 3, "stride": 2, "groups": 2}),
    ],
    ids=lambda value: "×".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_convolution_is_that_of_the_kernel(
    shape: tuple[int, ...], weight: tuple[int, ...], arguments: dict[str, Any]
) -> None:
    x, w, bias = random_array(shape, 1), random_array(weight, 2), random_array((weight[0],), 3)
    y = F.conv_separable(x, F.separate(w, 0), bias, **arguments)
    assert_same(y, F.conv(x, w, bias, **arguments), **_SAME)


def test_tensors_and_gradients() -> None:
    w = blurs()[:, :, ::2, ::2].copy()
    parts = F.separate(tw.tensor(w, requires_grad=True), 1e-2)
    assert all(isinstance(part, tw.Tensor) and not part.requires_grad for part in parts)
    x = tw.tensor(random_array((1, 3, 9, 10), 1), requires_grad=True)
    bias = tw.tensor(random_array((3,), 2), requires_grad=True)
    for part in parts:
        part.requires_grad_()

    def function(x: Any, first: Any, last: Any, bias: Any) -> Any:
        return F.conv_separable(x, [first, last], bias, padding=2, stride=2, groups=3)

    assert gradcheck(function, (x, *parts, bias))


def test_an_output_is_within_the_tolerance() -> None:
    w, x = blurs(), random_array((1, 3, 60, 70), 1)
    exact = F.conv(x, w, groups=3)
    windows = np.lib.stride_tricks.sliding_window_view(x, (15, 13), axis=(2, 3))
    under = np.sqrt((windows**2).sum(axis=(-2, -1)))
    kernel = np.sqrt((w**2).sum(axis=(1, 2, 3)))[:, None, None]
    for tolerance in (1e-4, 1e-2, 0.2):
        y = F.conv_separable(x, F.separate(w, tolerance), groups=3)
        error = np.abs(y - exact)
        assert (error <= tolerance * kernel * under + 1e-12).all()
        assert error.max() > 0


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (
            lambda: F.separate(np.ones((2, 3, 4, 4)), 0.1),
            ShapeError,
            "separate needs weight of shape (out_channels, 1, *kernel), without axes of size 0. Received: "
            "weight with shape (2, 3, 4, 4)",
        ),
        (lambda: F.separate(np.ones((0, 1, 4, 4)), 0.1), ShapeError, "without axes of size 0. Received:"),
        (lambda: F.separate(np.ones((4, 1)), 0.1), ShapeError, "Received: weight with shape (4, 1)"),
        (
            lambda: F.separate(np.ones((1, 1, 4, 4)), -0.1),
            ArgumentError,
            "separate needs tolerance to be a finite number of at least 0. Received: tolerance=-0.1.",
        ),
        (lambda: F.separate(np.ones((1, 1, 4, 4)), float("nan")), ArgumentError, "Received: tolerance=nan."),
        (
            lambda: F.separate(np.ones((1, 1, 4, 4)), "much"),
            DtypeError,
            "separate needs tolerance to be a number. Received: tolerance='much'.",
        ),
        (
            lambda: F.separate(np.full((1, 1, 4, 4), np.inf), 0.1),
            ArgumentError,
            "separate needs weight to be finite. Received: weight with shape (1, 1, 4, 4)",
        ),
        (lambda: F.separate(np.ones((1, 1, 4, 4), int), 0.1), DtypeError, "separate needs weight of one of"),
        (
            lambda: F.conv_separable(np.ones((1, 1, 9, 9)), np.ones((1, 1, 3, 3))),
            ArgumentError,
            "conv_separable needs weights to be the list of parts that separate returns. Received: weights",
        ),
        (lambda: F.conv_separable(np.ones((1, 1, 9, 9)), []), ArgumentError, "Received: weights=[]."),
        (
            lambda: F.conv_separable(np.ones((1, 1, 9, 9)), [np.ones((1, 1, 3, 3))]),
            ShapeError,
            "Received: weights with shapes (1, 1, 3, 3).",
        ),
        (
            lambda: F.conv_separable(np.ones((1, 1, 9, 9)), F.separate(np.eye(3)[None, None], 0)[::-1]),
            ShapeError,
            "Received: weights with shapes (1, 3, 1, 3), (3, 1, 3, 1).",
        ),
        (
            lambda: F.conv_separable(np.ones((1, 2, 9, 9)), F.separate(np.eye(3)[None, None], 0)),
            ShapeError,
            "conv_separable needs weight of shape (out_channels, in_channels/groups, *kernel). Received:",
        ),
        (
            lambda: F.conv_separable(np.ones((9, 9)), F.separate(np.eye(3)[None, None], 0)),
            ShapeError,
            "conv_separable needs input of rank 4",
        ),
        (
            lambda: F.conv_separable(np.ones((1, 1, 9, 9), np.float32), F.separate(np.eye(3)[None, None], 0)),
            DtypeError,
            "needs operands of one dtype. Received:",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as found:
        call()
    assert words in str(found.value)
