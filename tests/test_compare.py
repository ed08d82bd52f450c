"""The compare helper must fail on a wrong answer, whatever is wrong with it."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same

_RIGHT = np.array([[1.0, np.nan, np.inf], [0.0, -2.0, 3.0]])


def _same(actual: object, expected: object = _RIGHT) -> None:
    assert_same(actual, expected, rtol=1e-6, atol=0, reason="a test of the helper")


def test_equal_passes() -> None:
    _same(_RIGHT.copy())
    _same(_RIGHT * (1 + 5e-7))
    _same(np.zeros((0, 3)), np.zeros((0, 3)))
    _same(np.array([1, 2]), np.array([1, 2]))


@pytest.mark.parametrize(
    ("index", "value"),
    [((0, 0), 1.0001), ((0, 1), 0.0), ((0, 2), -np.inf), ((0, 2), 1e300), ((1, 0), np.nan), ((1, 0), 1e-30)],
)
def test_one_wrong_value_fails(index: tuple[int, int], value: float) -> None:
    wrong = _RIGHT.copy()
    wrong[index] = value
    with pytest.raises(AssertionError, match=f"1 of 6 values differ .* worst at \\({index[0]}, {index[1]}\\)"):
        _same(wrong)


def test_wrong_shape_or_dtype_fails() -> None:
    with pytest.raises(AssertionError, match="shape"):
        _same(_RIGHT[None])
    with pytest.raises(AssertionError, match="dtype float32, expected float64"):
        _same(_RIGHT.astype(np.float32))
    with pytest.raises(AssertionError, match="1 of 2 values"):
        _same(np.array([1, 3]), np.array([1, 2]))


def test_a_tolerance_needs_a_reason() -> None:
    with pytest.raises(AssertionError, match="needs its reason"):
        assert_same(1.0, 1.0, rtol=0, atol=0, reason="")
