"""Batch norm compiled: which arrays it serves, and that NumPy gives the same where it doesn't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from op.test_passes import LAYOUTS, normal, without_kernels

from tilewright.kernel import jit
from tilewright.op import channel_passes, norm

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

#: Orders in memory that the kernels know.
SERVED = ("C order", "channels last", "read-only")


def numbers_of(channels: int, dtype: Any) -> tuple[Any, ...]:
    return normal((channels,), 3, dtype), normal((channels,), 4, dtype)


def in_the_widest_type(x: Any, g: Any, weight: Any, bias: Any) -> tuple[list[Any], list[float]]:
    """Statistics, the result, the gradients; and what their errors are measured by: what was added up."""
    over, shape = (0, 2, 3), (1, -1, 1, 1)
    x, g, weight, bias = (one.astype(np.longdouble) for one in (x, g, weight, bias))
    mean, variance = x.mean(axis=over), x.var(axis=over)
    inverse = 1 / np.sqrt(variance + 1e-5)
    standard = (x - mean.reshape(shape)) * inverse.reshape(shape)
    scale = (inverse * weight).reshape(shape)
    y = standard * weight.reshape(shape) + bias.reshape(shape)
    sums, moments = g.sum(axis=over), (g * standard).sum(axis=over)
    pull, tilt = g.mean(axis=over, keepdims=True), (g * standard).mean(axis=over, keepdims=True)
    gx = (g - pull - standard * tilt) * scale
    sizes = [
        np.abs(x).mean(axis=over).max(),
        variance.max(),
        np.abs(x).max() * np.abs(scale).max() + np.abs(bias).max(),
        np.abs(g).max() * np.abs(scale).max(),
        np.abs(g * standard).sum(axis=over).max(),
        np.abs(g).sum(axis=over).max(),
    ]
    return [mean, variance, y, gx, moments, sums], [float(size) for size in sizes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", SERVED)
@pytest.mark.parametrize("shape", [(6, 8, 30, 40), (4, 3, 9, 700), (60, 100, 2, 3)])
def test_as_good_as_the_dtype(
    shape: tuple[int, ...], layout: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, g = (LAYOUTS[layout](normal(shape, seed, dtype) + dtype(seed)) for seed in (1, 2))
    before = x.copy(), g.copy()
    weight, bias = numbers_of(shape[1], dtype)
    assert channel_passes.rows_of(x) is not None

    def both() -> tuple[Any, ...]:
        mean, variance = norm.channel_statistics(x)
        inverse = norm.inverse_deviation(variance, 1e-5)
        y = norm.batch_norm(x, weight, bias, mean, inverse)
        return mean, variance, y, *norm.batch_norm_gradient(g, x, weight, mean, inverse)

    found, numpys = both(), without_kernels(monkeypatch, both)
    eps = float(np.finfo(dtype).eps)
    # What is rounded: single operations for arrays, and sums in float64. Of float64 they are sums of 10,000
    # numbers or so, added in several hundred lanes.
    for one, wanted, size in zip(found, *in_the_widest_type(x, g, weight, bias), strict=True):
        error = np.abs(one - wanted).max() / size
        assert error <= (4 if dtype is np.float32 else 150) * eps, error
    for one, other in zip(found, numpys, strict=True):
        assert one.strides == other.strides, "laid out as NumPy lays it out"
    for now, then in zip((x, g), before, strict=True):
        assert_same(now, then, rtol=0, atol=0, reason="operands are not written to")


def test_a_gradient_of_another_layout_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = normal((6, 8, 30, 40), 1), normal((6, 8, 30, 40), 2)
    mean, inverse = np.zeros(8), np.ones(8)
    wanted = norm.batch_norm_gradient(g, x, None, mean, inverse)
    for layout in LAYOUTS:
        if layout == "spread":
            continue
        for given in (x, LAYOUTS["channels last"](x)):
            found = norm.batch_norm_gradient(LAYOUTS[layout](g), given, None, mean, inverse)
            for one, other in zip(found, wanted, strict=True):
                assert_same(one, other, rtol=2e-6, atol=2e-6, reason="float32, summed in another order")


@pytest.mark.parametrize("weight", [None, "given"])
@pytest.mark.parametrize("bias", [None, "given"])
@pytest.mark.parametrize("layout", SERVED)
def test_normalising_has_the_bits_of_the_formula(
    layout: str, weight: Any, bias: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = LAYOUTS[layout](normal((6, 8, 30, 40), 1))
    x = np.where(x < -2, np.float32(-0.0), x) if layout == "C order" else x
    given = numbers_of(8, np.float32)
    mean, inverse = np.zeros(8), np.abs(normal((8,), 5, np.float64))
    operands = (given[0] if weight else None, given[1] if bias else None, mean, inverse)
    found = norm.batch_norm(x, *operands)
    wanted = without_kernels(monkeypatch, lambda: norm.batch_norm(x, *operands))
    assert_same(found, wanted, rtol=0, atol=0, reason="each operation is rounded on its own, as in NumPy")
    assert (np.signbit(found) == np.signbit(wanted)).all(), "also zeros"
    # As in every batch that a sample may come in.
    assert_same(norm.batch_norm(x[2:5], *operands), found[2:5], rtol=0, atol=0, reason="the same bits")


@pytest.mark.parametrize("layout", SERVED)
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e6])
def test_a_mean_much_larger_than_the_deviations_costs_no_digits(layout: str, offset: float) -> None:
    x = LAYOUTS[layout](normal((6, 8, 30, 40), 1) + np.float32(offset))
    # Also where the first number of a channel is far from all others.
    far = x.copy(order="K")
    far[0, :, 0, 0] = 3e4 - offset
    for given in (x, far):
        mean, variance = norm.channel_statistics(given)
        exact = given.astype(np.longdouble)
        assert_same(
            mean, exact.mean(axis=(0, 2, 3)).astype(np.float64), rtol=1e-12, atol=1e-12, reason="float64"
        )
        # At worst n · 2^-53 for n = 7200, and as much again for each few additions that were rounded.
        assert_same(
            variance, exact.var(axis=(0, 2, 3)).astype(np.float64), rtol=1e-10, atol=0, reason="float64"
        )


def test_equal_numbers_have_no_variance() -> None:
    x = np.broadcast_to(normal((8,), 1)[:, None, None], (6, 8, 30, 40)).copy()
    mean, variance = norm.channel_statistics(x)
    assert not variance.any()
    assert_same(mean, x[0, :, 0, 0].astype(np.float64), rtol=0, atol=0, reason="nothing is rounded")


@pytest.mark.parametrize("layout", SERVED)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 2, 0, 0), (3, 2, 7, 9)])
def test_nan_and_infinity_as_in_numpy(
    layout: str, number: float, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = normal((6, 8, 30, 40), 1)
    x[place] = number
    x = LAYOUTS[layout](x)
    with np.errstate(all="ignore"):
        found = norm.channel_statistics(x)
        wanted = without_kernels(monkeypatch, lambda: norm.channel_statistics(x))
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other, rtol=1e-6, atol=1e-6, reason="NumPy adds planes in float32")


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in SERVED])
def test_other_layouts_are_for_numpy(layout: str) -> None:
    x = LAYOUTS[layout](normal((6, 8, 30, 40), 1))
    assert channel_passes.rows_of(x) is None
    found, same = norm.channel_statistics(x), norm.channel_statistics(x.copy())
    for one, other in zip(found, same, strict=True):
        assert_same(one, other, rtol=1e-6, atol=1e-6, reason="NumPy adds planes in float32")


def test_small_arrays_and_other_dtypes_are_for_numpy() -> None:
    x = normal((10, 9, 100), 6)
    assert channel_passes.rows_of(x) is not None
    for other in (x[:1], x.astype(np.float16), x.astype(np.int32), x.astype(x.dtype.newbyteorder())):
        assert channel_passes.rows_of(other) is None
        assert channel_passes.statistics(other) is None
        assert channel_passes.gradient_sums(other, np.zeros(9), other) is None
        assert channel_passes.scaled("norm", other, ()) is None
    assert channel_passes.gradient_sums(x, np.zeros(9), x.astype(np.float64)) is None
    assert channel_passes.scaled("pull", x, (), x[:, :, :50]) is None
