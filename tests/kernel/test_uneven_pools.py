"""Adaptive max pooling over windows of unequal sizes, and Lp pooling through compiled sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import both_sides, every_dtype, every_target, with_threads

from tilewright.geometry import AdaptiveDims, PoolDims
from tilewright.kernel.pools.uneven_call import uneven_max
from tilewright.op import adaptive_pool, lp_pool
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

SIZES = (((1, 1), (1, 1)), ((15, 15), (7, 7)), ((3, 70), (2, 33)), ((9, 40), (13, 61)), ((5, 200), (2, 3)))


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def samples(shape: tuple[int, ...], dtype: Any) -> Any:
    """Ties, −∞ and NaN among them."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal(shape).round(1).astype(dtype)
    x[rng.random(shape) < 0.3] = -np.inf
    x[rng.random(shape) < 0.03] = np.nan
    return x


def largest(x: Any, sizes: tuple[int, int]) -> tuple[Any, Any]:
    """The definition, for (planes, rows, columns)."""
    dims = AdaptiveDims.of((1, len(x), *x.shape[1:]), sizes)
    y, indices = np.empty((len(x), *sizes), x.dtype), np.empty((len(x), *sizes), np.int64)
    for plane in range(len(x)):
        for o in range(sizes[0]):
            for p in range(sizes[1]):
                (top, bottom), (left, right) = dims.window(0, o), dims.window(1, p)
                window = x[plane, top:bottom, left:right]
                # The first NaN counts as the largest.
                h, w = np.unravel_index(int(window.argmax()), window.shape)
                y[plane, o, p] = window[h, w]
                indices[plane, o, p] = (top + h) * x.shape[2] + left + w
    return y, indices


@every_target
@every_dtype
@both_sides
def test_maxima_and_positions(target: Target, dtype: Any, side: str) -> None:
    for sizes, outputs in SIZES:
        for channels in (1, 5, 19):
            x = samples((2 * channels, *sizes), dtype)
            wanted = largest(x, outputs)
            for deep in (False, True):

                def laid(array: Any, deep: bool = deep, channels: int = channels) -> Any:
                    if not deep:
                        return array
                    return np.ascontiguousarray(
                        np.moveaxis(array.reshape(2, channels, *array.shape[1:]), 1, -1)
                    )

                for junk in (np.nan, 7e7):
                    y = guarded(np.full_like(laid(wanted[0]), junk), side)
                    indices = guarded(np.full_like(laid(wanted[1]), -9), side)
                    uneven_max(guarded(laid(x), side), y, indices, deep, target=target)
                    np.testing.assert_array_equal(y, laid(wanted[0]))
                    np.testing.assert_array_equal(indices, laid(wanted[1]))


@pytest.mark.parametrize("last", [False, True])
def test_for_any_number_of_threads_and_split(last: bool) -> None:
    dims = AdaptiveDims.of((5, 40, 33, 45), (7, 11))
    x = samples(dims.input_shape, np.float32)
    g = np.random.default_rng(2).standard_normal(dims.output_shape).astype(np.float32)
    pool = PoolDims.of((5, 40, 33, 45), 3, stride=2, padding=1, ceil_mode=True)
    if last:
        x, g = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, g))
    plain = np.nan_to_num(x, neginf=-2.0)

    def every(x: Any = x, plain: Any = plain, g: Any = g) -> list[Any]:
        batch = len(x)
        some = AdaptiveDims(batch, *(dims.channels, dims.spatial, dims.output))
        y = lp_pool.lp_pool(pool.with_batch(batch), plain, norm_type=2)
        return [
            *adaptive_pool.adaptive_max_pool(some, x),
            adaptive_pool.adaptive_avg_pool(some, plain),
            adaptive_pool.adaptive_avg_pool_gradient(some, g),
            y,
            lp_pool.lp_pool_gradient(pool.with_batch(batch), y, plain, y, norm_type=2),
        ]

    first = with_threads(1, every)
    for count in (2, 3, 7):
        for one, other in zip(with_threads(count, every), first, strict=True):
            assert one.tobytes() == other.tobytes()
    for one, other in zip(every(x[3:4], plain[3:4], g[3:4]), first, strict=True):
        np.testing.assert_array_equal(one, other[3:4])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [1, 2, 2.5, 4])
def test_lp_pools_are_what_numpy_gives(dtype: str, p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rtol = 1e-5 if dtype == "float32" else 1e-12
    rng = np.random.default_rng(6)
    for shape, arguments in (
        ((2, 3, 9, 14), {"kernel": 2}),
        ((2, 3, 9, 14), {"kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((2, 17, 30), {"kernel": 4, "stride": 3}),
        ((1, 2, 5, 6, 7), {"kernel": (2, 1, 3)}),
        ((3, 40, 150, 151), {"kernel": 2}),
    ):
        arguments = dict(arguments)
        dims = PoolDims.of(shape, arguments.pop("kernel"), **arguments)
        x = rng.standard_normal(shape).astype(dtype)
        x[rng.random(shape) < 0.1] = 0
        for given in (x, np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)):
            y = lp_pool.lp_pool(dims, given, norm_type=p)
            g = rng.standard_normal(y.shape).astype(dtype)
            back = lp_pool.lp_pool_gradient(dims, g, given, y, norm_type=p)
            with monkeypatch.context() as patch:
                patch.setattr(lp_pool, "_sums_are_compiled", lambda *arguments: False)
                wanted = lp_pool.lp_pool(dims, given, norm_type=p)
                wanted_back = lp_pool.lp_pool_gradient(dims, g, given, y, norm_type=p)
            np.testing.assert_allclose(y, wanted, rtol=rtol, atol=rtol)
            np.testing.assert_allclose(back, wanted_back, rtol=10 * rtol, atol=10 * rtol)
            assert y.strides == wanted.strides and back.strides == wanted_back.strides
