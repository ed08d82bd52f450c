"""Every compiled family on float16 and bfloat16: the bits of float32's result, rounded once.

On every instruction set, with guard pages and poisoned outputs; what float32 computes is tried elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from geometries import AWKWARD, awkward, conv_dims, pool_dims, random_array
from guarded import guarded
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples_of_dtypes import HALVES, dtype_named

from tilewright.geometry import ConvDims, PoolDims
from tilewright.kernel import jit, run, threads
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.pool import avg_pool, avg_pool_gradient, max_pool, max_pool_gradient, window_divisors
from tilewright.plan import FAMILIES, Plan, runnable

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

Array = np.ndarray[Any, Any]
every_half = pytest.mark.parametrize("name", HALVES)

_CONVOLUTIONS = [
    ConvDims.of((2, 16, 20, 20), (16, 1, 3, 3), padding=1, groups=16),
    ConvDims.of((1, 24, 15, 14), (24, 1, 3, 3), padding=1, stride=2, groups=24),
    ConvDims.of((2, 3, 17, 41), (4, 3, 5, 5), padding=2),
    ConvDims.of((2, 35, 7, 7), (35, 1, 3, 3), padding=1, groups=35),
    ConvDims.of((2, 8, 90), (8, 1, 4), padding=((3, 0),), dilation=2, groups=8),
    ConvDims.of((2, 20, 9, 33), (40, 20, 3, 3), padding=1),
    ConvDims.of((2, 18, 19, 21), (33, 18, 3, 3), padding=1, stride=2),
    ConvDims.of((2, 40, 9, 11), (70, 40, 1, 1)),
    ConvDims.of((1, 300, 7, 8), (3, 300, 1, 1)),
    ConvDims.of((1, 96, 37), (100, 96, 1)),
    ConvDims.of((1, 24, 3, 6, 20), (16, 12, 2, 3, 3), padding=1, groups=2),
    ConvDims.of((2, 10, 5, 5), (12, 10, 5, 5)),
]


def plans(operation: str, dims: Any, layout: str) -> list[Plan]:
    """The plans of all compiled families, for all instruction sets."""
    answers = [family.answer(operation, dims, "float32", layout, True) for family in FAMILIES]
    return [
        replace(answer, target=target.name)
        for answer in answers
        if isinstance(answer, Plan) and answer.target
        for target in runnable()
    ]


def arranged(array: Array, layout: str, side: str = "end") -> Array:
    """In a layout, at the edge of memory."""
    if layout == "channels_first":
        return guarded(np.ascontiguousarray(array), side)
    return np.moveaxis(guarded(np.ascontiguousarray(np.moveaxis(array, 1, -1)), side), -1, 1)


def same_bits(found: Array, single: Array) -> None:
    """``found`` is ``single``, rounded once; NaNs are NaNs."""
    with np.errstate(all="ignore"):
        expected = single.astype(found.dtype)
    nan = np.isnan(single)
    np.testing.assert_array_equal(np.isnan(found.astype(np.float32)), nan)
    a, b = (np.ascontiguousarray(array).view(np.uint16) for array in (found, expected))
    np.testing.assert_array_equal(a[~nan], b[~nan])


def written(shape: tuple[int, ...], layout: str, dtype: Any, junk: float) -> Array:
    return arranged(np.full(shape, junk, dtype), layout)


def check(dims: ConvDims, name: str, layout: str) -> None:
    half = dtype_named(name)
    x, w, gy = (
        random_array(shape, seed).astype(half)
        for seed, shape in enumerate((dims.input_shape, dims.weight_shape, dims.output_shape))
    )
    bias, back = (random_array((n,), 7).astype(half) for n in (dims.out_channels, dims.in_channels))
    X, W, G, B, C = (operand.astype(np.float32) for operand in (x, w, gy, bias, back))
    x, gy, w = arranged(x, layout), arranged(gy, layout, "start"), guarded(w)
    X, G = arranged(X, layout), arranged(G, layout)
    for plan in plans("forward", dims, layout):
        y, Y = (written(dims.output_shape, layout, *kind) for kind in ((half, np.nan), (np.float32, 7)))
        run(plan, x, w, guarded(bias), y, "relu")
        run(plan, X, W, B, Y, "relu")
        same_bits(y, Y)
    for plan in plans("data_gradient", dims, layout):
        gx, GX = (written(dims.input_shape, layout, *kind) for kind in ((half, np.nan), (np.float32, 7)))
        run(plan, gy, w, gx, guarded(back))
        run(plan, G, W, GX, C)
        same_bits(gx, GX)
    for plan in plans("weight_gradient", dims, layout):
        gw, GW = guarded(np.full(w.shape, np.nan, half)), np.full(w.shape, 7, np.float32)
        run(plan, x, gy, gw)
        run(plan, X, G, GW)
        same_bits(gw, GW)


# Each in both layouts, in one of them of either kind of half: kernels are the same but for the conversions.
_WAYS = [
    (dims, layout, HALVES[(number + side) % 2])
    for number, dims in enumerate(_CONVOLUTIONS)
    for side, layout in enumerate(("channels_first", "channels_last"))
]


@pytest.mark.parametrize(("dims", "layout", "name"), _WAYS, ids=lambda value: str(value))
def test_convolutions(dims: ConvDims, layout: str, name: str) -> None:
    check(dims, name, layout)


@settings(max_examples=15)
@given(conv_dims(), st.sampled_from(HALVES), st.sampled_from(["channels_first", "channels_last"]))
@example(ConvDims.of((1, 1, 5), (1, 1, 9), padding=9), "float16", "channels_first")
def test_random_convolutions(dims: ConvDims, name: str, layout: str) -> None:
    check(dims, name, layout)


@every_half
@pytest.mark.parametrize("dims", _CONVOLUTIONS[1:8:2], ids=str)
def test_bits_depend_on_neither_threads_nor_batch(dims: ConvDims, name: str) -> None:
    half = dtype_named(name)
    x, w, gy = (
        random_array(shape, seed).astype(half)
        for seed, shape in enumerate((dims.input_shape, dims.weight_shape, dims.output_shape))
    )
    before = threads.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            results = conv_forward(dims, x, w), conv_data_gradient(dims, gy, w)
            found.append((*results, conv_weight_gradient(dims, x, gy)))
    finally:
        threads.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            assert a.tobytes() == b.tobytes()
    alone = dims.with_batch(1)
    assert conv_forward(alone, x[:1], w).tobytes() == found[0][0][:1].tobytes()
    assert conv_data_gradient(alone, gy[:1], w).tobytes() == found[0][1][:1].tobytes()


@every_half
@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_layouts(kind: str, name: str) -> None:
    half = dtype_named(name)
    for dims in (_CONVOLUTIONS[0], _CONVOLUTIONS[5]):
        x, w, gy = (
            awkward(random_array(shape, seed).astype(half), kind)
            for seed, shape in enumerate((dims.input_shape, dims.weight_shape, dims.output_shape))
        )
        X, W, G = (awkward(operand.astype(np.float32), kind) for operand in (x, w, gy))
        same_bits(conv_forward(dims, x, w), conv_forward(dims, X, W))
        same_bits(conv_data_gradient(dims, gy, w), conv_data_gradient(dims, G, W))
        same_bits(conv_weight_gradient(dims, x, gy), conv_weight_gradient(dims, X, G))


@every_half
def test_a_result_out_of_range_is_infinite_and_nan_stays(name: str) -> None:
    """The sums are float32's: 60000 + 60000 is a number until it is stored."""
    half = dtype_named(name)
    dims = ConvDims.of((1, 2, 4, 40), (2, 1, 1, 2), groups=2)
    x = np.full(dims.input_shape, np.finfo(np.float16).max, half)
    x[0, 0, 0, :3], x[0, 0, 1, 5], x[0, 1, 2, 7] = 2.0**-24, np.nan, -np.inf
    w = np.ones(dims.weight_shape, half)
    gy = np.ones(dims.output_shape, half)
    same_bits(conv_forward(dims, x, w), conv_forward(dims, x.astype(np.float32), w.astype(np.float32)))
    same_bits(
        conv_weight_gradient(dims, x, gy),
        conv_weight_gradient(dims, x.astype(np.float32), gy.astype(np.float32)),
    )


_POOLS = [
    PoolDims.of((2, 17, 20, 33), (2, 2), stride=2),
    PoolDims.of((2, 17, 21, 33), (3, 3), stride=2, padding=1),
    PoolDims.of((2, 3, 12, 120), (3, 3), stride=1, padding=1),
    PoolDims.of((2, 3, 24, 120), (5, 4), stride=(2, 1), padding=2, ceil_mode=True),
    PoolDims.of((1, 3, 30, 42), (6, 7), stride=(6, 7)),
    PoolDims.of((1, 20, 9, 9), (9, 9)),
    PoolDims.of((1, 2, 100), (3,), stride=3, dilation=2),
]


def check_pool(dims: PoolDims, name: str, layout: str) -> None:
    half = dtype_named(name)
    x = random_array(dims.input_shape, 1).astype(half)
    x[random_array(dims.input_shape, 2) > 2.2] = np.nan
    gy = random_array(dims.output_shape, 3).astype(half)
    X, G = (arranged(operand.astype(np.float32), layout) for operand in (x, gy))
    x, gy = arranged(x, layout), arranged(gy, layout, "start")

    def both(shape: tuple[int, ...]) -> tuple[Array, Array]:
        return written(shape, layout, half, np.nan), written(shape, layout, np.float32, 7)

    places = None
    if dims.every_window_sees_input:
        for plan in plans("max_pool", dims, layout):
            y, Y = both(dims.output_shape)
            places, PLACES = (written(dims.output_shape, layout, np.int64, junk) for junk in (-1, -2))
            run(plan, x, y, places)
            run(plan, X, Y, PLACES)
            same_bits(y, Y)
            np.testing.assert_array_equal(places, PLACES)
            run(plan, x, y, None)
            same_bits(y, Y)
    for plan in plans("max_pool_gradient", dims, layout) if places is not None else []:
        gx, GX = both(dims.input_shape)
        run(plan, gy, places, gx)
        run(plan, G, places, GX)
        same_bits(gx, GX)
    for padded in (True, False):
        if not (padded or dims.every_window_sees_input):
            continue
        divisors = window_divisors(dims, np.dtype(np.float32), padded, None, "avg_pool")
        for plan in plans("avg_pool", dims, layout):
            y, Y = both(dims.output_shape)
            run(plan, x, y, divisors)
            run(plan, X, Y, divisors)
            same_bits(y, Y)
        for plan in plans("avg_pool_gradient", dims, layout):
            gx, GX = both(dims.input_shape)
            run(plan, gy, gx, divisors)
            run(plan, G, GX, divisors)
            same_bits(gx, GX)


@every_half
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dims", _POOLS, ids=str)
def test_pools(dims: PoolDims, layout: str, name: str) -> None:
    check_pool(dims, name, layout)


@settings(max_examples=20)
@given(pool_dims(), st.sampled_from(HALVES), st.sampled_from(["channels_first", "channels_last"]))
def test_random_pools(dims: PoolDims, name: str, layout: str) -> None:
    check_pool(dims, name, layout)


@every_half
@pytest.mark.parametrize("dims", _POOLS, ids=str)
def test_pools_as_they_are_called(dims: PoolDims, name: str) -> None:
    x, gy = (
        random_array(shape, seed).astype(dtype_named(name))
        for seed, shape in enumerate((dims.input_shape, dims.output_shape))
    )
    X, G = x.astype(np.float32), gy.astype(np.float32)
    (y, places), (Y, PLACES) = max_pool(dims, x), max_pool(dims, X)
    same_bits(y, Y)
    assert places is not None and PLACES is not None
    np.testing.assert_array_equal(places, PLACES)
    same_bits(max_pool_gradient(dims, gy, places), max_pool_gradient(dims, G, places))
    same_bits(avg_pool(dims, x), avg_pool(dims, X))
    same_bits(avg_pool_gradient(dims, gy), avg_pool_gradient(dims, G))
