"""The normal distribution against Python's own erfc, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.op.normal import normal_cdf, normal_density


def _exact(x: Any) -> Any:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.astype(np.float64).reshape(-1)]).reshape(
        x.shape
    )


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_cumulative_function(dtype: Any, error: float) -> None:
    x = np.concatenate([np.linspace(-9, 9, 40001), np.linspace(-0.01, 0.01, 2001)]).astype(dtype)
    y = normal_cdf(x)
    assert_same(y, _exact(x).astype(dtype), rtol=0, atol=error, reason="the error the docstring promises")
    assert (y[:-1][np.diff(x) > 0.001] <= 1).all()


@pytest.mark.parametrize(
    ("dtype", "rtol", "reason"),
    [
        (np.float32, 1e-6, "16 roundings, among them those of two functions exp"),
        (np.float64, 4e-13, "erfc is told x/√2, rounded: x² roundings of the result"),
    ],
)
def test_small_probabilities_keep_their_digits(dtype: Any, rtol: float, reason: str) -> None:
    x = np.linspace(-12, -1, 5000).astype(dtype)
    expected = _exact(x).astype(dtype)
    assert_same(normal_cdf(x), expected, rtol=rtol, atol=0, reason=reason)


def test_far_out_and_special() -> None:
    x = np.array([-np.inf, -60.0, 0.0, 60.0, np.inf, np.nan])
    with np.errstate(under="ignore"):
        y = normal_cdf(x)
    assert_same(
        y, [0.0, 0.0, 0.5, 1.0, 1.0, np.nan], rtol=1e-15, atol=0, reason="limits, and a rounding at 0"
    )


def test_shapes_and_layouts() -> None:
    x = np.linspace(-3, 3, 60).reshape(3, 4, 5)
    expected = normal_cdf(x)
    for view in (
        np.asfortranarray(x),
        np.flip(np.flip(x).copy()),
        x[:, ::2],
        np.broadcast_to(x[:1], x.shape),
    ):
        where = np.searchsorted(x.reshape(-1), view.reshape(-1)).reshape(view.shape)
        assert_same(normal_cdf(view), expected.reshape(-1)[where], rtol=0, atol=0, reason="the same numbers")
    assert normal_cdf(np.zeros((0, 2))).shape == (0, 2)
    assert normal_cdf(np.array(0.0)).shape == ()
    # More than a block of them.
    long = np.tile(x.reshape(-1), 1000)
    assert_same(
        normal_cdf(long), np.tile(expected.reshape(-1), 1000), rtol=0, atol=0, reason="the same numbers"
    )


def test_density() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    expected = [math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x]
    assert_same(normal_density(x), expected, rtol=1e-15, atol=0, reason="a few roundings")
