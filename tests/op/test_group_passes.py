"""Norms of groups compiled, against the same formulas in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from op.test_passes import LAYOUTS, normal, without_kernels

from tilewright.kernel import jit
from tilewright.op import group_norm as op
from tilewright.op import group_passes

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

#: Shapes and groups: planes, few places, a single one; instance and layer norm; rows of one number.
CASES = (
    ((6, 8, 30, 40), 2), ((6, 8, 30, 40), 8), ((3, 4, 2), 2), ((5, 6, 1, 1), 2), ((1, 1, 3), 1),
    ((40, 768), 1), ((7, 33), 1), ((9, 12), 4), ((4, 5), 5),
)  # fmt: skip


def both_ways(x: Any, g: Any, groups: int, affine: bool, centred: bool) -> list[Any]:
    channels, dtype = x.shape[1], x.dtype
    weight, bias = (normal((channels,), seed, dtype) if affine else None for seed in (3, 4))
    y, found = op.group_norm(x, groups, weight, bias, 1e-5, centred)
    return [y, found.variance, found.inverse, *op.group_norm_gradient(g, x, groups, weight, found, centred)]


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "groups"), CASES)
def test_the_same_as_in_numpy(
    shape: tuple[int, ...],
    groups: int,
    dtype: Any,
    affine: bool,
    centred: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, g = normal(shape, 1, dtype) + dtype(2), normal(shape, 2, dtype)
    if x.size // x.shape[0] == groups:
        # Rows of one number have no variance; what they are divided by is small, and shows every rounding.
        pytest.skip("NumPy's error is as large as the result") if dtype is np.float32 else None
    eps = float(np.finfo(dtype).eps)
    layouts = ["C order", "every second", "backwards"] + (["channels last"] if len(shape) == 4 else [])
    first = None
    for layout in layouts:
        here, there = LAYOUTS[layout](x), LAYOUTS[layout](g)
        assert group_passes.group_norm(here, groups, None, None, 1e-5, centred) is not None
        found = both_ways(here, there, groups, affine, centred)
        wanted = without_kernels(monkeypatch, lambda here=here, there=there: both_ways(
            here, there, groups, affine, centred
        ))  # fmt: skip
        for one, two in zip(found, wanted, strict=True):
            scale = float(np.abs(two).max()) + 1
            assert_same(one, two, rtol=0, atol=2000 * eps * scale, reason="differences of two numbers")
            assert one.strides == two.strides
        first = first or found
        assert_same(found[0], first[0], rtol=0, atol=0, reason="the same bits in every layout")
        assert_same(here, x, rtol=0, atol=0, reason="operands are not written to")
        assert_same(there, g, rtol=0, atol=0, reason="operands are not written to")


@pytest.mark.parametrize(("shape", "groups"), CASES)
def test_a_sample_has_the_same_bits_in_every_batch(shape: tuple[int, ...], groups: int) -> None:
    x = np.concatenate([normal(shape, seed) for seed in range(20)])
    weight, bias = normal(shape[1:2], 30), normal(shape[1:2], 31)
    whole, _ = op.group_norm(x, groups, weight, bias, 1e-5)
    for some in (slice(0, 1), slice(3, 5), slice(9, 20)):
        found, _ = op.group_norm(x[some], groups, weight, bias, 1e-5)
        assert_same(found, whole[some], rtol=0, atol=0, reason="the same bits")


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 24)])
def test_nan_and_infinity_stay_in_their_group(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (np.nan, np.inf, -np.inf):
        for place in (0, 3):
            x = normal(shape, 1)
            x.reshape(5, -1)[2, place] = number
            with np.errstate(all="ignore"):
                found, _ = op.group_norm(x, 2, None, None, 1e-5)
            rows = found.reshape(10, 12)
            assert np.isnan(rows[4]).all()
            assert np.isfinite(np.delete(rows, 4, axis=0)).all()


def test_a_mean_much_larger_than_the_deviations_costs_no_digits() -> None:
    x = normal((4, 1000), 1) + np.float32(1e5)
    exact = x.astype(np.float64)
    wanted = (exact - exact.mean(axis=1, keepdims=True)) / np.sqrt(exact.var(axis=1, keepdims=True) + 1e-5)
    found, _ = op.group_norm(x, 1, None, None, 1e-5)
    assert_same(found.astype(np.float64), wanted, rtol=0, atol=2e-6, reason="float32 of numbers up to 4")
