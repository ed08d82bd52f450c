"""The pooling door for arrays: what it checks, empty arrays, integers, rules for NaN and −∞."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.geometry import PoolDims
from tilewright.op.pool import avg_pool, avg_pool_gradient, max_pool, take_by_index

_DIMS = PoolDims.of((1, 2, 4, 4), 3, stride=(2, 1), padding=1)
_X = np.arange(32.0).reshape(1, 2, 4, 4)


def test_known_answer() -> None:
    y, indices = max_pool(_DIMS, _X)
    np.testing.assert_array_equal(y[0, 0], [[5, 6, 7, 7], [13, 14, 15, 15]])
    np.testing.assert_array_equal(y[0, 1], [[21, 22, 23, 23], [29, 30, 31, 31]])
    assert indices is not None
    np.testing.assert_array_equal(take_by_index(_DIMS, _X, indices), y)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integers_with_padding(dtype: str) -> None:
    x = -_X.astype(dtype) if dtype != "uint8" else _X.astype(dtype)
    y, indices = max_pool(_DIMS, x)
    assert y.dtype == np.dtype(dtype)
    expected = [[0, 0, -1, -2], [-4, -4, -5, -6]] if dtype != "uint8" else [[5, 6, 7, 7], [13, 14, 15, 15]]
    assert y[0, 0].tolist() == expected
    assert indices is not None


def test_nan_wins_and_a_window_of_minus_infinity_keeps_a_position() -> None:
    x = np.full((1, 1, 6), -np.inf)
    x[0, 0, 1] = np.nan
    dims = PoolDims.of(x.shape, 3, stride=1, padding=1)
    y, indices = max_pool(dims, x)
    np.testing.assert_array_equal(y[0, 0], [np.nan, np.nan, np.nan, -np.inf, -np.inf, -np.inf])
    assert indices is not None
    assert indices[0, 0].tolist() == [1, 1, 1, 2, 3, 4]
    without, none = max_pool(dims, x, indices=False)
    assert none is None
    assert_same(without, y, rtol=0, atol=0, reason="samples are copied")


def test_empty_arrays() -> None:
    dims = PoolDims.of((0, 2, 4), 2)
    y, indices = max_pool(dims, np.zeros((0, 2, 4)))
    assert y.shape == (0, 2, 2)
    assert indices is not None
    assert indices.shape == (0, 2, 2)
    assert avg_pool(dims, np.zeros((0, 2, 4))).shape == (0, 2, 2)
    assert avg_pool_gradient(dims, np.zeros((0, 2, 2))).shape == (0, 2, 4)


def test_divisor_override() -> None:
    dims = PoolDims.of((1, 1, 4), 2)
    y = avg_pool(dims, np.array([[[1.0, 2.0, 3.0, 5.0]]]), divisor=4)
    assert y.tolist() == [[[0.75, 2.0]]]


_LONELY = PoolDims.of((1, 1, 1), 2, dilation=3, padding=3, stride=1)
_AHEAD = PoolDims.of((1, 1, 2), 1, padding=2)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: max_pool(_DIMS, _X[:, :1]),
            ShapeError,
            "max_pool needs input of shape (1, 2, 4, 4). Received:",
        ),
        (
            lambda: max_pool(_DIMS, _X.astype(bool)),
            DtypeError,
            "input with shape (1, 2, 4, 4) and dtype bool",
        ),
        (
            lambda: avg_pool(_DIMS, _X.astype(int)),
            DtypeError,
            "one of the dtypes float16, bfloat16, float32, float64",
        ),
        (
            lambda: avg_pool(_DIMS, _X, divisor=0),
            ArgumentError,
            "divisor_override to be at least 1. Received:",
        ),
        (
            lambda: max_pool(_AHEAD, np.zeros((1, 1, 2))),
            ArgumentError,
            "every window to hold at least one sample of the input. Received: input of size (2,)",
        ),
        (lambda: avg_pool(_AHEAD, np.zeros((1, 1, 2)), count_include_pad=False), ArgumentError, "Pad less."),
    ],
)
def test_refusals(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_windows_of_padding_alone_average_to_zero_when_padding_counts() -> None:
    y = avg_pool(_AHEAD, np.ones((1, 1, 2)))
    assert y.tolist() == [[[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]]]
    assert _LONELY.output == (4,)
