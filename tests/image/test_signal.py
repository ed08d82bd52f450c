"""Convolution of two arrays, full, same and valid: by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

signal = tw.image.signal


def test_by_hand() -> None:
    # (1 + 2t + 3t²)(1 + t) = 1 + 3t + 5t² + 3t³
    assert signal.convolve([1, 2, 3], [1, 1]).tolist() == [1, 3, 5, 3]
    assert signal.convolve([1, 2, 3], [1, 1], "same").tolist() == [1, 3, 5]
    assert signal.convolve([1, 2, 3], [1, 1], "valid").tolist() == [3, 5]
    assert signal.convolve([1, 1], [1, 2, 3], "valid").tolist() == [3, 5]
    assert signal.correlate([1, 2, 3], [0, 1]).tolist() == [1, 2, 3, 0]
    assert signal.correlate([1j, 2.0], [1j]).tolist() == [1 + 0j, -2j]


def test_whole_numbers_are_exact() -> None:
    big = np.array([2**62, 3], np.int64)
    assert signal.convolve(big, np.array([1, 1], np.int64)).tolist() == [2**62, 2**62 + 3, 3]
    assert signal.convolve(np.array([200], np.uint8), np.array([2], np.uint8)).tolist() == [144]
    assert signal.convolve([True, False], [True, True]).tolist() == [True, True, False]


def test_transforms_agree_with_sums() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((70, 90)), rng.standard_normal((40, 31))
    for mode in ("full", "same", "valid"):
        direct, auto = (signal.convolve(x, w, mode, method) for method in ("direct", "auto"))
        # The error of a transform is relative to the largest results: some 100 here.
        assert_same(auto, direct, rtol=0, atol=1e-11, reason="Fourier transforms of float64")
        assert not (auto == direct).all(), "1,240 taps are for transforms"
    ints = rng.integers(-9, 9, (70, 90))
    assert_same(
        signal.convolve(ints, ints[:40, :31], method="fft"),
        signal.convolve(ints, ints[:40, :31]),
        rtol=0,
        atol=0,
        reason="whole numbers, rounded",
    )


def test_what_is_not_finite_stays_where_it_is() -> None:
    x = np.zeros((64, 64))
    x[5, 5] = np.nan
    found = signal.convolve(x, np.ones((30, 30)), "same")
    assert (
        np.isnan(found).sum() == np.isnan(signal.convolve(x, np.ones((30, 30)), "same", "direct")).sum() < 900
    )


def test_nothing_and_single_numbers() -> None:
    assert signal.convolve([], [1.0]).shape == (0,)
    assert signal.convolve(np.array(3), np.array(4)) == 12
    assert signal.convolve(np.float16([1, 2]), np.float16([0.5])).dtype == np.float16


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: signal.convolve([1.0], [[1.0]]),
            tw.ShapeError,
            "convolve needs arrays of the same rank. Received: in1 with shape (1,) and dtype "
            "float64, in2 with shape "
            "(1, 1) and dtype float64.",
        ),
        (
            lambda: signal.correlate([1.0], [1.0], "middle"),
            tw.ArgumentError,
            "correlate needs mode to be one of 'full', 'valid', 'same'. Received: mode='middle'.",
        ),
        (
            lambda: signal.correlate([1.0], [1.0], method=None),
            tw.ArgumentError,
            "correlate needs method to be one of 'auto', 'direct', 'fft'. Received: method=None.",
        ),
        (
            lambda: signal.convolve(np.ones((2, 3)), np.ones((3, 2)), "valid"),
            tw.ShapeError,
            "convolve with mode 'valid' needs one array to be at least as large as the other on every axis. "
            "Received: in1 with shape (2, 3) and dtype float64, in2 with shape (3, 2) and dtype float64.",
        ),
        (
            lambda: signal.convolve("abc", [1.0]),
            tw.DtypeError,
            "convolve needs in1 to be of bools, integers, float16, float32, float64 or complex "
            "numbers. Received: "
            "in1 with shape () and dtype <U3.",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
