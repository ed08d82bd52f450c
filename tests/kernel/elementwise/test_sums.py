"""Sums of channels: exact where sums can be, close where not, and the same bits for any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import both_sides, every_dtype, every_target, with_threads

from tilewright.kernel.elementwise import call
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

# (samples, channels, places): few and many of each, one more and one less than vectors, pieces and shares.
SHAPES = (
    (1, 1, 1), (1, 1, 2), (3, 2, 15), (2, 3, 16), (2, 3, 17), (5, 1, 63), (1, 4, 64), (1, 4, 65), (2, 2, 127),
    (1, 2, 1023), (1, 2, 1024), (1, 2, 1025), (3, 1, 2049), (40, 3, 49), (7, 33, 100), (50, 1, 1000),
    (1, 1, 70001), (300, 2, 77), (60, 32, 784),
    (2, 1, 1), (31, 3, 1), (32, 15, 1), (33, 16, 1), (100, 17, 1), (70, 63, 1), (65, 64, 1), (64, 65, 1),
    (200, 129, 1), (3, 20000, 1), (9000, 7, 1), (40000, 1, 1),
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


@every_target
@every_dtype
@both_sides
def test_sums_of_integers_are_exact(target: Target, dtype: Any, side: str) -> None:
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        # Small enough for every partial sum to be exact in float32.
        x = rng.integers(-50, 51, shape)
        found = call.channel_sums(guarded(x.astype(dtype), side), target=target)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, x.sum(axis=(0, 2)))


@every_target
@every_dtype
def test_rounding_is_less_than_numpys(target: Target, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    eps = np.finfo(dtype).eps
    wide = np.float64 if dtype is np.float32 else np.longdouble
    ours, theirs = [], []
    for shape in SHAPES:
        x = (rng.random(shape) + 0.5).astype(dtype)
        exact = x.astype(wide).sum(axis=(0, 2))
        found = call.channel_sums(x, target=target)
        # All numbers are positive, so every addition errs by at most half a unit of the sum: 18 or 32 in x's
        # own type, and those in float64, which for doubles are as many as there are rows and pieces.
        samples, _, places = shape
        deep = 32 if dtype is np.float32 else 150 + samples + places // 1024
        assert (np.abs(found - exact) <= deep * eps / 2 * exact).all(), shape
        if samples * places > 1000:
            ours.append(np.abs(found.astype(dtype) - exact).max() / exact.max())
            theirs.append(np.abs(x.sum(axis=(0, 2)) - exact).max() / exact.max())
    assert np.mean(ours) < np.mean(theirs)
    # Where only the last rounding is left, NumPy may be luckier with it.
    assert all(mine < max(other, 2 * eps) for mine, other in zip(ours, theirs, strict=True))


@every_target
@every_dtype
def test_nan_and_infinity_reach_their_channel_only(target: Target, dtype: Any) -> None:
    for shape in ((5, 4, 300), (300, 20, 1)):
        for place in ((0, 0, 0), (4, 3, -1), (2, 1, shape[2] // 2)):
            for number, sum in ((np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf)):
                x = np.ones(shape, dtype)
                x[place] = number
                expected = np.full(shape[1], float(shape[0] * shape[2]))
                expected[place[1]] = sum
                np.testing.assert_array_equal(call.channel_sums(x, target=target), expected)
        x = np.ones(shape, dtype)
        x[0, 1, 0], x[-1, 1, -1] = np.inf, -np.inf
        assert np.isnan(call.channel_sums(x, target=target)[1])


@every_dtype
def test_same_bits_for_any_number_of_threads(dtype: Any) -> None:
    rng = np.random.default_rng(2)
    for shape in ((60, 3, 784), (60, 32, 784), (20000, 24, 1)):
        x = rng.standard_normal(shape).astype(dtype)
        first = with_threads(1, lambda x=x: call.channel_sums(x).tobytes())
        for count in (2, 3, 7):
            assert with_threads(count, lambda x=x: call.channel_sums(x).tobytes()) == first
