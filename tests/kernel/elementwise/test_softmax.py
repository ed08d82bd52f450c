"""Softmax's passes over rows: right on every target, at every length, with numbers of all kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import assert_same_bits, both_sides, every_dtype, every_target, with_threads

from tilewright.kernel.elementwise import rows
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

SHAPES = (
    *((3, length) for length in (*range(1, 35), 63, 64, 65, 127, 1000, 1001)),
    (1, 20000), (700, 30), (9000, 2), (40, 1024), (100, 999), (0, 5),
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def scores(shape: tuple[int, int], dtype: Any) -> Any:
    return (np.random.default_rng(shape).standard_normal(shape) * 8).astype(dtype)


@every_target
@every_dtype
@both_sides
def test_totals_and_shares(target: Target, dtype: Any, side: str) -> None:
    eps = float(np.finfo(dtype).eps)
    for shape in SHAPES:
        x = guarded(scores(shape, dtype), side)
        before = x.copy()
        largest, total = rows.totals(x, target=target)
        assert_same_bits(largest, x.max(axis=1, initial=-np.inf).astype(dtype))
        exact = np.exp(x.astype(np.longdouble) - largest[:, None])
        # x − largest is rounded once, by up to half a unit of 60; the exponential by a few units of its own.
        allowed = (64 + 4) * eps
        assert total.dtype == np.float64
        np.testing.assert_allclose(total, exact.sum(axis=1).astype(np.float64), rtol=allowed)
        factor = guarded((1 / total).astype(dtype), side)
        for junk in (-77.0, np.nan):
            out = guarded(np.full(shape, junk, dtype), side)
            rows.shares(x, largest, factor, out, target=target)
            wanted = (exact * factor[:, None]).astype(np.float64)
            tiny = float(np.finfo(dtype).smallest_subnormal)
            np.testing.assert_allclose(out, wanted, rtol=allowed, atol=tiny)
        assert_same_bits(x, before)
        rows.shares(x, largest, factor, x, target=target)
        assert_same_bits(x, out)


@every_target
@every_dtype
def test_infinities_and_nan(target: Target, dtype: Any) -> None:
    for length in (3, 16, 40):
        for place in (0, 2, length - 1):
            x = np.zeros((4, length), dtype)
            x[0, place], x[1, place], x[2, place] = -np.inf, np.inf, np.nan
            x[3] = -np.inf
            largest, total = rows.totals(x, target=target)
            assert total[0] == length - 1 and largest[0] == 0
            assert np.isnan(total[1:]).all()
            out = np.empty_like(x)
            rows.shares(x, largest, (1 / total).astype(dtype), out, target=target)
            wanted = np.full(length, dtype(1 / (length - 1)))
            wanted[place] = 0
            assert_same_bits(out[0], wanted)
            assert np.isnan(out[1:]).all()


@every_dtype
def test_far_apart_and_equal_numbers(dtype: Any) -> None:
    x = np.full((2, 21), np.finfo(dtype).max, dtype)
    x[0, 1:] = -np.finfo(dtype).max
    largest, total = rows.totals(x)
    assert total.tolist() == [1.0, 21.0]
    assert_same_bits(largest, x[:, 0])


@every_dtype
def test_the_same_bits_in_every_batch_and_for_any_number_of_threads(dtype: Any) -> None:
    x = scores((700, 130), dtype)

    def found(some: Any) -> Any:
        largest, total = rows.totals(some)
        out = np.empty_like(some)
        rows.shares(some, largest, (1 / total).astype(dtype), out)
        return out

    first = with_threads(1, lambda: found(x))
    for count in (2, 3, 7):
        assert_same_bits(with_threads(count, lambda: found(x)), first)
    assert_same_bits(found(x[300:301].copy()), first[300:301])
