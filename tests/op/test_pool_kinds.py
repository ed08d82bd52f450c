"""Lp and adaptive pooling, unpooling and float16 averages on arrays.

Against the reference, in tiles, in any layout, in bounded memory.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, pool_dims, random_array
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import AdaptiveDims, PoolDims
from tilewright.kernel import buffers
from tilewright.op import adaptive_pool, lp_pool, planes, window_sums
from tilewright.op.pool import avg_pool, avg_pool_gradient, max_pool, max_pool_gradient, take_by_index

Array = np.ndarray[Any, Any]

_FLOAT64 = {"rtol": 1e-10, "atol": 1e-10, "reason": "the same sum in another order, float64"}
_EXACT = {"rtol": 0, "atol": 0, "reason": "samples are copied, positions are exact"}
# A sum kept in float32 and rounded to float16 once: half a unit in the last of 11 bits.
_HALF = {"rtol": 2.0**-10.9, "atol": 2.0**-24, "reason": "one rounding to float16"}
_MANY = settings(max_examples=500)


@st.composite
def adaptive_dims(draw: st.DrawFn, empty: bool = True) -> AdaptiveDims:
    rank = draw(st.integers(1, 4))
    longest = {1: 20, 2: 8, 3: 5, 4: 3}[rank]
    spatial = draw(st.lists(st.integers(1, longest), min_size=rank, max_size=rank))
    size = draw(st.lists(st.integers(0 if empty else 1, longest + 3), min_size=rank, max_size=rank))
    return AdaptiveDims.of((draw(st.integers(0, 2)), draw(st.integers(0, 3)), *spatial), tuple(size))


# --- against the reference ---------------------------------------------------------------------------------


@_MANY
@given(pool_dims(), st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, 1.5, 0.5]))
def test_lp_pool(dims: PoolDims, p: float) -> None:
    # Zeros among them, and whole windows of zeros; the others are not so small that slopes grow steep.
    x = random_array(dims.input_shape, 1).round(0) * 1.25
    gy = random_array(dims.output_shape, 2)
    y = lp_pool.lp_pool(dims, x, norm_type=p)
    assert_same(y, reference.pool.lp_pool(dims, x, p), **_FLOAT64)
    if p > 1:
        gx = lp_pool.lp_pool_gradient(dims, gy, x, y, norm_type=p)
        # Where powers of both signs cancel, what rounding leaves of a sum decides everything.
        clear = np.abs(y[y != 0]).min(initial=1) > 1e-3
        if clear:
            assert_same(gx, reference.pool.lp_pool_gradient(dims, gy, x, p), **_FLOAT64)


@_MANY
@given(adaptive_dims())
def test_adaptive_avg_pool(dims: AdaptiveDims) -> None:
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    y = adaptive_pool.adaptive_avg_pool(dims, x)
    assert_same(y, reference.pool.adaptive_avg_pool(dims, x), **_FLOAT64)
    gx = adaptive_pool.adaptive_avg_pool_gradient(dims, gy)
    assert_same(gx, reference.pool.adaptive_avg_pool_gradient(dims, gy), **_FLOAT64)


@_MANY
@given(adaptive_dims())
def test_adaptive_max_pool(dims: AdaptiveDims) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(dims.input_shape).round(1)  # ties
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.3] = -np.inf
    y, indices = adaptive_pool.adaptive_max_pool(dims, x)
    expected, places = reference.pool.adaptive_max_pool(dims, x)
    assert_same(y, expected, **_EXACT)
    assert indices is not None
    assert_same(indices, places, **_EXACT)
    without, none = adaptive_pool.adaptive_max_pool(dims, x, indices=False)
    assert none is None
    assert_same(without, expected, **_EXACT)


@_MANY
@given(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.data())
def test_unpooling(rank: int, batch: int, channels: int, data: st.DataObject) -> None:
    spatial = tuple(data.draw(st.integers(1, 4)) for _ in range(rank))
    larger = tuple(data.draw(st.integers(1, 5)) for _ in range(rank))
    shape = (batch, channels, *spatial)
    x, gy = random_array(shape, 1), random_array((batch, channels, *larger), 2)
    indices = np.random.default_rng(3).integers(0, np.prod(larger), shape)  # many share a place
    assert_same(
        planes.put_into_planes(larger, x, indices), reference.pool.max_unpool(x, indices, larger), **_EXACT
    )
    gx = planes.take_what_was_put(gy, indices)
    assert_same(gx, reference.pool.max_unpool_gradient(gy, indices), **_EXACT)
    # What is added everywhere and what is taken everywhere are adjoint.
    assert_same(
        np.asarray(np.vdot(planes.add_to_planes(larger, x, indices), gy)),
        np.asarray(np.vdot(x, planes.take_from_planes(gy, indices))),
        **_FLOAT64,
    )


@_MANY
@given(pool_dims(), st.booleans(), st.none() | st.integers(1, 9))
def test_float16_averages_are_float64_ones_rounded(dims: PoolDims, count: bool, divisor: int | None) -> None:
    if not dims.every_window_sees_input:
        count = True
    x, gy = (
        random_array(shape, i, np.float16) for i, shape in enumerate((dims.input_shape, dims.output_shape))
    )
    arguments: dict[str, Any] = {"count_include_pad": count, "divisor": divisor}
    y = avg_pool(dims, x, **arguments)
    assert y.dtype == np.float16
    assert_same(
        y.astype(float),
        reference.pool.avg_pool(dims, x.astype(float), count, divisor),
        rtol=_HALF["rtol"],
        atol=1e-6,
        reason="one rounding to float16, of a float32 sum that may have cancelled",
    )
    gx = avg_pool_gradient(dims, gy, **arguments)
    assert gx.dtype == np.float16
    assert_same(
        gx.astype(float),
        reference.pool.avg_pool_gradient(dims, gy.astype(float), count, divisor),
        rtol=_HALF["rtol"],
        atol=1e-6,
        reason="one rounding to float16, of a float32 sum that may have cancelled",
    )


def test_long_float16_windows_are_exact_to_rounding() -> None:
    """A thousandth added 4,096 times in float16 stalls at 4; and 65,504 samples have no float16 count."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (1, 2, 70_000)).astype(np.float16)
    exact = x.astype(np.float64)
    pooled = avg_pool(PoolDims.of(x.shape, 4096), x)
    expected = exact[..., : 17 * 4096].reshape(1, 2, 17, 4096).mean(axis=3)
    assert_same(pooled.astype(float), expected, **_HALF)
    whole = adaptive_pool.adaptive_avg_pool(AdaptiveDims.of(x.shape, 1), x)
    assert_same(whole.astype(float), exact.mean(axis=2, keepdims=True), **_HALF)
    ones = np.ones((1, 1, 4096), np.float16)
    overlapping = PoolDims.of(ones.shape, 2048, stride=1)
    gx = avg_pool_gradient(overlapping, np.ones(overlapping.output_shape, np.float16))
    assert gx[0, 0, 2047] == 1  # 2,048 shares of 1/2048


def test_float16_maxima_add_up_their_gradients_in_float32() -> None:
    dims = PoolDims.of((1, 1, 5000), 1)
    indices = np.full(dims.output_shape, 7)
    gx = max_pool_gradient(dims, np.ones(dims.output_shape, np.float16), indices)
    # In float16 the sum would stay at 2,048, where 1 is half its last bit.
    assert gx.dtype == np.float16 and gx[0, 0, 7] == 5000
    assert np.count_nonzero(gx) == 1


# --- in tiles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [64, 256, 4096])
@given(dims=pool_dims())
@settings(max_examples=60)
def test_tiles_of_any_size_give_the_same_sums(budget: int, dims: PoolDims) -> None:
    def tiny(output: tuple[int, ...], per_output: int) -> tuple[int, ...]:
        return window_sums_tile(output, per_output, budget)

    window_sums_tile = window_sums.tile_within
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    y = lp_pool.lp_pool(dims, x, norm_type=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_sums, "tile_within", tiny)
        patch.setattr(window_sums, "SCRATCH_BYTES", budget)
        assert_same(lp_pool.lp_pool(dims, x, norm_type=2), y, **_EXACT)
        gx = lp_pool.lp_pool_gradient(dims, gy, x, y, norm_type=2)
    assert_same(gx, lp_pool.lp_pool_gradient(dims, gy, x, y, norm_type=2), **_EXACT)


@pytest.mark.parametrize("budget", [64, 256, 4096])
@given(dims=adaptive_dims())
@settings(max_examples=60)
def test_adaptive_tiles_of_any_size_give_the_same(budget: int, dims: AdaptiveDims) -> None:
    usual = adaptive_pool.tile_within
    x, gy = random_array(dims.input_shape, 1).round(1), random_array(dims.output_shape, 2)
    expected = (
        adaptive_pool.adaptive_avg_pool(dims, x),
        adaptive_pool.adaptive_avg_pool_gradient(dims, gy),
        *adaptive_pool.adaptive_max_pool(dims, x),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptive_pool, "tile_within", lambda output, size: usual(output, size, budget))
        patch.setattr(adaptive_pool, "SCRATCH_BYTES", budget)
        found = (
            adaptive_pool.adaptive_avg_pool(dims, x),
            adaptive_pool.adaptive_avg_pool_gradient(dims, gy),
            *adaptive_pool.adaptive_max_pool(dims, x),
        )
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert_same(one, other, **_FLOAT64)
    for one, other in zip(found[2:], expected[2:], strict=True):
        assert_same(one, other, **_EXACT)


def test_an_axis_of_2_to_the_24_and_1_samples() -> None:
    """One more than float32 counts: positions and counts are exact."""
    n = 2**24 + 1
    x = np.zeros((1, 1, n), np.int8)
    x[0, 0, n - 1] = 1
    y, indices = max_pool(PoolDims.of(x.shape, 3, stride=2**20, padding=((0, 2**20),)), x)
    assert indices is not None
    assert y[0, 0].tolist() == [0] * 16 + [1]
    assert indices[0, 0].tolist() == [i * 2**20 for i in range(16)] + [n - 1]
    y, indices = adaptive_pool.adaptive_max_pool(AdaptiveDims.of(x.shape, 2), x)
    assert indices is not None
    assert (y[0, 0].tolist(), indices[0, 0].tolist()) == ([0, 1], [0, n - 1])
    back = planes.put_into_planes((n,), y, indices)
    assert np.flatnonzero(back[0, 0]).tolist() == [n - 1]
    ones = np.ones((1, 1, n), np.float32)
    assert adaptive_pool.adaptive_avg_pool(AdaptiveDims.of(ones.shape, 1), ones).tolist() == [[[1.0]]]


# --- memory ------------------------------------------------------------------------------------------------

# The contract's bound for scratch; outputs, and the indices of a maximum, are not scratch.
_BOUND = 4 << 20


def _peak(call: Callable[[], Any]) -> int:
    """Most bytes beyond what the call returns."""
    call()  # tiles are remembered from here on
    buffers.clear()
    before = buffers.statistics().in_use
    tracemalloc.start()
    try:
        result = call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    parts = result if isinstance(result, tuple) else (result,)
    small = sum(part.nbytes for part in parts if part is not None and part.nbytes < buffers.LARGE)
    return most - (buffers.statistics().in_use - before) - small


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scratch_of_sums_is_bounded(dtype: Any) -> None:
    dims = PoolDims.of((1, 16, 512, 512), 3, stride=2, padding=1)
    x, gy = np.ones(dims.input_shape, dtype), np.ones(dims.output_shape, dtype)
    y = lp_pool.lp_pool(dims, x, norm_type=2)
    assert _peak(lambda: lp_pool.lp_pool(dims, x, norm_type=2)) <= _BOUND
    assert _peak(lambda: lp_pool.lp_pool(dims, x, norm_type=2.5)) <= _BOUND
    assert _peak(lambda: lp_pool.lp_pool_gradient(dims, gy, x, y, norm_type=2.5)) <= _BOUND
    assert _peak(lambda: avg_pool(dims, x)) <= _BOUND
    assert _peak(lambda: avg_pool_gradient(dims, gy)) <= _BOUND


@pytest.mark.parametrize("size", [1, (7, 7), (100, 3), (700, 600)])
def test_scratch_of_adaptive_pools_is_bounded(size: Any) -> None:
    dims = AdaptiveDims.of((2, 8, 512, 512), size)
    x, gy = np.ones(dims.input_shape, np.float32), np.ones(dims.output_shape, np.float32)
    assert _peak(lambda: adaptive_pool.adaptive_avg_pool(dims, x)) <= _BOUND
    assert _peak(lambda: adaptive_pool.adaptive_avg_pool_gradient(dims, gy)) <= _BOUND
    assert _peak(lambda: adaptive_pool.adaptive_max_pool(dims, x)) <= _BOUND


# --- layouts, bits, empties --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*AWKWARD, "broadcast"])
def test_any_layout_gives_the_same(kind: str) -> None:
    dims, adaptive = (
        PoolDims.of((2, 3, 7, 6), (3, 2), stride=2, padding=1),
        AdaptiveDims.of((2, 3, 7, 6), (3, 4)),
    )
    plain = random_array(dims.input_shape, 1)
    x = awkward(plain, kind) if kind != "broadcast" else np.broadcast_to(plain[:1, :1], plain.shape)
    plain = np.ascontiguousarray(x)
    _, indices = max_pool(dims, x)
    _, places = max_pool(dims, plain)
    assert indices is not None and places is not None
    assert_same(indices, places, **_EXACT)
    pairs: list[tuple[Any, Any]] = [
        (f(x), f(plain))
        for f in (
            lambda a: lp_pool.lp_pool(dims, a, norm_type=3),
            lambda a: avg_pool(dims, a.astype(np.float16)),
            lambda a: adaptive_pool.adaptive_avg_pool(adaptive, a),
            lambda a: adaptive_pool.adaptive_max_pool(adaptive, a)[0],
            lambda a: adaptive_pool.adaptive_max_pool(adaptive, a)[1],
            lambda a: take_by_index(dims, a, indices),
            lambda a: planes.put_into_planes(
                (9, 9), a, np.broadcast_to(np.arange(42).reshape(7, 6), a.shape)
            ),
            lambda a: planes.take_what_was_put(a, indices),
        )
    ]
    for found, expected in pairs:
        assert_same(found, expected, **_EXACT)
    gy = x[..., :4, :4]
    y = lp_pool.lp_pool(dims, plain, norm_type=2)
    assert_same(
        lp_pool.lp_pool_gradient(dims, gy, x, y, norm_type=2),
        lp_pool.lp_pool_gradient(dims, gy.copy(), plain, y, norm_type=2),
        **_EXACT,
    )
    assert_same(
        adaptive_pool.adaptive_avg_pool_gradient(adaptive, x[..., :3, :4]),
        adaptive_pool.adaptive_avg_pool_gradient(adaptive, plain[..., :3, :4].copy()),
        **_EXACT,
    )


def test_channels_last_stays_so() -> None:
    x = awkward(random_array((2, 8, 9, 9), 1), "channels-last")
    for y in (
        lp_pool.lp_pool(PoolDims.of(x.shape, 3), x, norm_type=2),
        adaptive_pool.adaptive_avg_pool(AdaptiveDims.of(x.shape, 4), x),
        adaptive_pool.adaptive_max_pool(AdaptiveDims.of(x.shape, 4), x)[0],
    ):
        assert y.strides[1] == y.itemsize


def test_a_samples_bits_do_not_depend_on_its_batch() -> None:
    x = random_array((5, 40, 33, 31), 1, np.float32)
    dims, adaptive = PoolDims.of(x.shape, 3, stride=2), AdaptiveDims.of(x.shape, (5, 1))
    for dtype in (np.float32, np.float16):
        some = x.astype(dtype)
        for pool, geometry in (
            (lambda d, a: lp_pool.lp_pool(d, a, norm_type=2.5), dims),
            (avg_pool, dims),
            (adaptive_pool.adaptive_avg_pool, adaptive),
        ):
            whole = pool(geometry, some)
            for first, end in ((0, 1), (1, 3), (3, 5)):
                part = type(geometry)(**{**vars_of(geometry), "batch": end - first})
                assert pool(part, some[first:end]).tobytes() == whole[first:end].tobytes()


def vars_of(dims: Any) -> dict[str, Any]:
    return {name: getattr(dims, name) for name in type(dims).__dataclass_fields__}


@pytest.mark.parametrize("shape", [(0, 2, 4, 4), (2, 0, 4, 4), (0, 0, 4, 4)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_empty_batches_and_no_channels(shape: tuple[int, ...], dtype: Any) -> None:
    dims, adaptive = PoolDims.of(shape, 2, ceil_mode=True), AdaptiveDims.of(shape, 3)
    x, gy, wide = (
        np.zeros(shape, dtype),
        np.zeros(dims.output_shape, dtype),
        np.zeros((*shape[:2], 3, 3), dtype),
    )
    y, indices = max_pool(dims, x)
    assert indices is not None
    assert y.shape == indices.shape == avg_pool(dims, x).shape == dims.output_shape
    assert lp_pool.lp_pool(dims, x, norm_type=2).shape == dims.output_shape
    assert lp_pool.lp_pool_gradient(dims, gy, x, y, norm_type=2).shape == shape
    assert avg_pool_gradient(dims, gy).shape == shape
    assert max_pool_gradient(dims, gy, indices).shape == shape
    assert take_by_index(dims, x, indices).shape == dims.output_shape
    assert adaptive_pool.adaptive_avg_pool(adaptive, x).shape == wide.shape
    assert adaptive_pool.adaptive_avg_pool_gradient(adaptive, wide).shape == shape
    assert adaptive_pool.adaptive_max_pool(adaptive, x)[0].shape == wide.shape
    assert planes.put_into_planes((4, 4), y, indices).shape == shape
    assert planes.take_what_was_put(x, indices).shape == dims.output_shape
