"""Dropout: what is dropped, how often, what is kept, gradients, seeds and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import check_kinds, normal, shapes

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same numbers"}


@given(
    shape=shapes(0, 4, 6, smallest=0),
    p=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_each_element_is_dropped_or_scaled(shape: tuple[int, ...], p: float, seed: int, dtype: Any) -> None:
    x = normal(shape, seed, dtype)
    y = F.dropout(x, p)
    scale = dtype(1 / (1 - p))
    assert y.dtype == x.dtype
    assert_same(y, np.where(y == 0, dtype(0), x * scale), **_EXACT)


def test_about_as_many_are_dropped_as_asked() -> None:
    tw.manual_seed(1)
    for p in (0.1, 0.5, 0.8):
        dropped = float((F.dropout(np.ones(100_000), p) == 0).mean())
        # Five standard deviations of a mean of 100,000: 0.8 % at most, and the seed is fixed.
        assert abs(dropped - p) < 5 * (p * (1 - p) / 100_000) ** 0.5


@pytest.mark.parametrize("function", [F.dropout, F.dropout1d, F.dropout2d, F.dropout3d])
def test_evaluation_and_p_of_0_give_the_input_itself(function: Any) -> None:
    x = normal((2, 3, 4, 5) if function is not F.dropout1d else (2, 3, 4), 1)
    t = tw.tensor(x, requires_grad=True)
    for given_ in (x, t):
        assert function(given_, 0.5, training=False) is given_
        assert function(given_, 0.0) is given_


def test_p_of_1_gives_zeros_and_nan_stays() -> None:
    y = F.dropout(np.array([1.0, -2.0, np.nan]), 1.0)
    assert_same(y, [0.0, 0.0, np.nan], **_EXACT)
    x = tw.ones(3, requires_grad=True)
    F.dropout(x, 1).sum().backward()
    assert_same(x.grad, np.zeros(3, np.float32), **_EXACT)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (F.dropout1d, (40, 50, 6)),
        (F.dropout1d, (2000, 6)),
        (F.dropout2d, (40, 50, 3, 2)),
        (F.dropout3d, (40, 50, 3, 2, 1)),
        (F.dropout3d, (2000, 3, 2, 1)),
    ],
)
def test_whole_channels_are_dropped(function: Any, shape: tuple[int, ...]) -> None:
    tw.manual_seed(2)
    y = function(np.ones(shape, np.float32), 0.25)
    planes = y.reshape(2000, 6)
    assert (planes == planes[:, :1]).all()
    kept = planes[:, 0] != 0
    assert_same(planes[kept, 0], np.full(kept.sum(), np.float32(1 / 0.75)), **_EXACT)
    # Five standard deviations of a mean of 2000.
    assert abs(kept.mean() - 0.75) < 5 * (0.25 * 0.75 / 2000) ** 0.5


@pytest.mark.parametrize("function", [F.dropout, F.dropout2d])
def test_the_seed_decides(function: Any) -> None:
    x = normal((4, 8, 3, 3), 1)

    def drawn(given_: Any) -> Any:
        tw.manual_seed(7)
        return function(given_, 0.3)

    first = drawn(x)
    assert_same(drawn(x), first, **_EXACT)
    assert_same(drawn(tw.tensor(x)), first, **_EXACT)
    assert (function(x, 0.3) != first).any()


@pytest.mark.parametrize("function", [F.dropout, F.dropout2d])
def test_kinds_and_gradients(function: Any) -> None:
    def drawn(x: Any) -> Any:
        tw.manual_seed(3)
        return function(x, 0.4, inplace=True)

    for dtype in (np.float32, np.float64):
        check_kinds(drawn, normal((2, 4, 3, 2), 1, dtype))
    x = tw.tensor(normal((2, 3, 2, 2), 1), requires_grad=True)
    assert gradcheck(drawn, [x])
    assert gradgradcheck(lambda x: drawn(x) ** 2, [x])


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(normal((3, 4), 1)),
        normal((3, 4), 1)[::-1, ::-2],
        np.broadcast_to(normal((4,), 1), (3, 4)),
        np.zeros((0, 4)),
    ],
)
def test_layouts(x: Any) -> None:
    tw.manual_seed(4)
    y = F.dropout(x)
    tw.manual_seed(4)
    assert_same(F.dropout(np.array(x, order="C")), y, **_EXACT)


_X = np.ones((2, 3, 4, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.dropout(_X, 1.5),
            ArgumentError,
            "dropout needs p, the probability of a 0, from 0 to 1. Received: p=1.5.",
        ),
        (
            lambda: F.dropout2d(_X, -0.1, training=False),
            ArgumentError,
            "dropout2d needs p, the probability of a 0, from 0 to 1. Received: p=-0.1.",
        ),
        (
            lambda: F.dropout(_X, float("nan")),
            ArgumentError,
            "dropout needs p, the probability of a 0, from 0 to 1.",
        ),
        (lambda: F.dropout(_X, "half"), DtypeError, "dropout needs p to be a number. Received: p='half'."),
        (lambda: F.dropout(_X, True), DtypeError, "dropout needs p to be a number. Received: p=True."),
        (
            lambda: F.dropout([1.0]),
            DtypeError,
            "dropout needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.dropout3d(_X.astype(int)),
            DtypeError,
            "dropout3d needs input of one of the dtypes float32, float64, in native byte order.",
        ),
        (
            lambda: F.dropout1d(_X),
            ShapeError,
            "dropout1d needs input of rank 3 (batch, channels, length) or 2 (channels, length). Received: "
            "input "
            "with shape (2, 3, 4, 5) and dtype float64.",
        ),
        (
            lambda: F.dropout2d(_X[0]),
            ShapeError,
            "dropout2d needs input of rank 4 (batch, channels, height, width). Received: input with shape "
            "(3, 4, 5) "
            "and dtype float64. For (batch, channels, length) use dropout1d; for one sample "
            "dropout2d(input[None])[0].",
        ),
        (
            lambda: F.dropout3d(_X[0]),
            ShapeError,
            "dropout3d needs input of rank 5 (batch, channels, depth, height, width) or 4 (channels, "
            "depth, height, "
            "width). Received: input with shape (3, 4, 5)",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
