"""The compare helper fails on everything that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same

EXACT = {"rtol": 0, "atol": 0, "reason": "the same numbers"}


def test_equal_arrays_pass() -> None:
    assert_same(np.array([1.0, np.nan, np.inf]), np.array([1.0, np.nan, np.inf]), **EXACT)
    assert_same(np.array([1, 2]), [1, 2], **EXACT)
    assert_same(np.zeros((0, 3)), np.zeros((0, 3)), **EXACT)


def test_within_the_tolerance_passes() -> None:
    assert_same(np.array([1.0 + 1e-7]), np.array([1.0]), rtol=1e-6, atol=0, reason="a test of the tolerance")
    assert_same(np.array([1e-7]), np.array([0.0]), rtol=0, atol=1e-6, reason="a test of the tolerance")


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (
            np.array([1.0, 2.0]),
            np.array([1.0, 3.0]),
            r"1 of 2 values differ; the worst at \(1,\): .*2.0.* instead of",
        ),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]]), r"the worst at \(1, 1\)"),
        (np.array([1.0], np.float32), np.array([1.0]), "dtype float32 instead of float64"),
        (np.array([1]), np.array([True]), "dtype int64 instead of bool"),
        (np.zeros((2, 1)), np.zeros((2,)), r"shape \(2, 1\) instead of \(2,\)"),
        (np.zeros((1, 3)), np.zeros((2, 3)), r"shape \(1, 3\) instead of \(2, 3\)"),
        (np.array([np.nan]), np.array([1.0]), "nan"),
        (np.array([1.0]), np.array([np.nan]), "nan"),
        (np.array([np.inf]), np.array([-np.inf]), "inf"),
        (np.array([1e300]), np.array([np.inf]), "inf"),
        (1.0, np.array(1.0), "actual is a builtins.float, no array and no Tensor"),
        ([1.0], np.array([1.0]), "actual is a builtins.list, no array and no Tensor"),
        (None, np.array([1.0]), "actual is a builtins.NoneType"),
    ],
)
def test_what_is_wrong_fails(actual: object, expected: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_same(actual, expected, **EXACT)


def test_infinity_is_never_within_a_tolerance() -> None:
    with pytest.raises(AssertionError, match="1 of 1 values differ"):
        assert_same(np.array([1.0]), np.array([np.inf]), rtol=1.0, atol=1e9, reason="a test of infinity")


def test_the_worst_of_several_is_named() -> None:
    with pytest.raises(AssertionError, match=r"2 of 3 values differ; the worst at \(2,\)"):
        assert_same(np.array([0.0, 0.1, 0.5]), np.zeros(3), rtol=0, atol=0.01, reason="a test of the message")


def test_a_tolerance_without_reason_fails() -> None:
    with pytest.raises(AssertionError, match="needs a reason"):
        assert_same(np.zeros(1), np.zeros(1), rtol=0, atol=0, reason=" ")


def test_a_negative_tolerance_fails() -> None:
    with pytest.raises(AssertionError, match="0 or more"):
        assert_same(np.zeros(1), np.zeros(1), rtol=-1, atol=0, reason="nothing")


def test_a_value_just_outside_the_tolerance_fails() -> None:
    with pytest.raises(AssertionError, match="1 of 1 values differ"):
        assert_same(
            np.array([1.0 + 2e-6]), np.array([1.0]), rtol=1e-6, atol=0, reason="a test of the tolerance"
        )


def test_complex_numbers_are_compared_part_by_part() -> None:
    x = np.array([1 + 2j, complex(np.nan, 1), complex(np.inf, -np.inf)])
    assert_same(x, x.copy(), **EXACT)
    near = {"rtol": 1e-6, "atol": 0, "reason": "a test of the tolerance"}
    # Relative to |1 + 1000j|.
    assert_same(np.array([1.0009 + 1000j]), np.array([1 + 1000j]), **near)
    for wrong in (1 + 2.1j, 1.1 + 2j, complex(1, np.nan)):
        with pytest.raises(AssertionError, match="1 of 1 values differ"):
            assert_same(np.array([wrong]), np.array([1 + 2j]), **near)
    with pytest.raises(AssertionError, match="1 of 1 values differ"):
        assert_same(np.array([complex(np.nan, 1)]), np.array([complex(np.nan, 2)]), **near)
    with pytest.raises(AssertionError, match="dtype complex64 instead of complex128"):
        assert_same(x.astype(np.complex64), x, **near)


def test_bfloat16_is_compared_as_numbers() -> None:
    pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes: pip install 'tilewright[bfloat16]'")
    x = np.array([1.0, np.nan, np.inf]).astype("bfloat16")
    assert_same(x, x.copy(), **EXACT)
    half = {"rtol": 2.0**-8, "atol": 0, "reason": "half a step of eight bits"}
    assert_same(np.array([1.0]).astype("bfloat16"), np.array([1.0]).astype("bfloat16"), **half)
    with pytest.raises(AssertionError, match="1 of 1 values differ"):
        assert_same(np.array([1.0]).astype("bfloat16"), np.array([1.0078125]).astype("bfloat16"), **half)
