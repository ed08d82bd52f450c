"""Depthwise sums of channels that lie beside each other: every way to be cut, between guard pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from guarded import guarded
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import conv_planes, run, threads
from tilewright.kernel.planes import beside, beside_program
from tilewright.op.fused import activate
from tilewright.plan import choose, named, runnable

pytest.importorskip("llvmlite", reason="compiles through LLVM")

Array = np.ndarray[Any, Any]
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}


@contextmanager
def cut(**constants: int) -> Iterator[None]:
    """With other constants, so that small problems have many units, tiles and what large ones have."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(beside_program, name, value)
        conv_planes.forget()
        yield
    conv_planes.forget()


def laid_out(array: Array, layout: str, side: str | None = None) -> Array:
    """A copy in a layout, next to unreadable memory if a side is named."""
    last = layout == "channels_last"
    array = np.ascontiguousarray(np.moveaxis(array, 1, -1) if last else array)
    array = array if side is None else guarded(array, side)
    return np.moveaxis(array, -1, 1) if last else array


@st.composite
def geometries(draw: st.DrawFn) -> ConvDims:
    rank = draw(st.integers(1, 3))
    channels = draw(st.sampled_from([4, 8, 16, 17, 24, 31, 40]))
    most = (40, 24, 7)[rank - 1]
    while True:
        kernel = [draw(st.integers(1, (11, 5, 3)[rank - 1])) for _ in range(rank)]
        try:
            return ConvDims.of(
                (draw(st.integers(1, 3)), channels, *(draw(st.integers(1, most)) for _ in range(rank))),
                (channels, 1, *kernel),
                stride=tuple(draw(st.integers(1, 3)) for _ in range(rank)),
                padding=tuple((draw(st.integers(-1, 4)), draw(st.integers(-1, 4))) for _ in range(rank)),
                dilation=tuple(draw(st.integers(1, 2)) for _ in range(rank)),
                groups=channels,
            )
        except ValueError:
            continue


def served(plan: Any, x: Array, y: Array) -> bool:
    """Whether the program is the one that is meant here."""
    return conv_planes.program_for(plan, x.strides, y.strides).about["side"] == "beside"


_taken = {"channels_first": 0, "channels_last": 0}


@settings(max_examples=60)
@given(dims=geometries(), side=st.sampled_from(["start", "end"]), outputs=st.sampled_from([3, 5, 16]))
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_random_geometries(layout: str, dims: ConvDims, side: str, outputs: int) -> None:
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy, bias = random_array(dims.output_shape, 3), random_array((dims.in_channels,), 4)
    expected = reference.conv.forward(dims, x, w, bias)
    gradient = reference.conv.data_gradient(dims, gy, w)
    of_weights = reference.conv.weight_gradient(dims, x, gy)
    x, gy = laid_out(x, layout, side), laid_out(gy, layout, side)
    w, bias = guarded(w, side), guarded(bias, side)
    # Every way of asking for memory ahead, and units of a line or a plane.
    with cut(WORK=1, _MOST_OUTPUTS=outputs, _AHEAD_BYTES=0, _FEW_LINES=0):
        for target in runnable():
            plan = replace(choose("forward", dims, "float64", "planes", layout), target=target.name)
            for poison in (np.nan, 7.0):
                y = laid_out(np.full(dims.output_shape, poison), layout, side)
                run(plan, x, w, bias, y)
                assert_same(y, expected, **_FLOAT64)
            _taken[layout] += served(plan, x, y)
            plan = replace(choose("data_gradient", dims, "float64", "planes", layout), target=target.name)
            gx = laid_out(np.full(dims.input_shape, np.nan), layout, side)
            run(plan, gy, w, gx)
            assert_same(gx, gradient, **_FLOAT64)
            plan = replace(choose("weight_gradient", dims, "float64", "planes", layout), target=target.name)
            gw = guarded(np.full(dims.weight_shape, np.nan), side)
            run(plan, x, gy, gw)
            assert_same(gw, of_weights, **_FLOAT64)


def test_random_geometries_were_served_by_it() -> None:
    if not all(_taken.values()):
        pytest.skip("the test of random geometries has not been run before")
    assert min(_taken.values()) >= 30


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid", "silu", "gelu"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_activations(layout: str, activation: str) -> None:
    dims = ConvDims.of((2, 20, 9, 11), (20, 1, 3, 3), padding=1, groups=20)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    expected = activate(reference.conv.forward(dims, x, w), activation, 0.2)
    for target in runnable():
        plan = replace(choose("forward", dims, "float64", "planes", layout), target=target.name)
        y = laid_out(np.full(dims.output_shape, np.nan), layout)
        run(plan, laid_out(x, layout), w, None, y, activation, 0.2)
        assert_same(y, expected, rtol=1e-7, atol=1e-7, reason="curves are computed in another way")


@pytest.mark.parametrize("past", [True, False])
def test_past_the_caches(past: bool) -> None:
    dims = ConvDims.of((2, 32, 12, 37), (32, 1, 3, 3), stride=(1, 2), padding=1, groups=32)
    x, w = random_array(dims.input_shape, 1, np.float32), random_array(dims.weight_shape, 2, np.float32)
    expected = reference.conv.forward(dims, x, w)
    with cut(PAST_BYTES=0 if past else 1 << 40):
        for target in runnable():
            plan = replace(choose("forward", dims, "float32", "planes", "channels_last"), target=target.name)
            room = np.full(expected.size + 64, np.nan, np.float32)
            start = -(room.ctypes.data // 4) % 64
            y = room[start : start + expected.size].reshape(2, 12, 19, 32).transpose(0, 3, 1, 2)
            run(plan, laid_out(x, "channels_last"), w, None, y)
            assert_same(y, expected, rtol=1e-5, atol=1e-5, reason="float32")
            kernel = conv_planes.program_for(plan, laid_out(x, "channels_last").strides, y.strides)
            assert kernel.about["side"] == "beside"
            assert np.isnan(room[:start]).all() and np.isnan(room[start + expected.size :]).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_halves_have_the_bits_of_float32_rounded_once(layout: str, dtype: str) -> None:
    for shape, kernel in (((2, 40, 9, 30), (3, 3)), ((1, 17, 12, 12), (5, 3)), ((2, 16, 40), (4,))):
        channels = shape[1]
        x, w, b = (
            tw.tensor(random_array(s, i, np.float32), dtype=dtype)
            for i, s in enumerate((shape, (channels, 1, *kernel), (channels,)))
        )
        if layout == "channels_last":
            x = tw.from_numpy(laid_out(x.numpy(), layout))
        found = tw.functional.conv(x, w, b, padding=1, groups=channels)
        wide = tw.functional.conv(x.float(), w.float(), b.float(), padding=1, groups=channels)
        assert_same(found, wide.to(dtype).numpy(), rtol=0, atol=0, reason="rounded once")


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_weights_that_are_not_finite_meet_the_zeros_of_padding(layout: str, value: float) -> None:
    """By the definition, 0 times infinity is NaN, in padding too: calls met before look again."""
    dims = ConvDims.of((1, 16, 5, 6), (16, 1, 3, 3), padding=1, groups=16)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    x = laid_out(x, layout)
    arguments = {"padding": 1, "groups": 16}
    for _ in range(2):
        assert_same(tw.functional.conv2d(x, w, **arguments), reference.conv.forward(dims, x, w), **_FLOAT64)
    w[3, 0, 0, 1] = value
    expected = reference.conv.forward(dims, x, w)
    assert np.isnan(expected[0, 3, 0]).all()
    for _ in range(2):
        assert_same(tw.functional.conv2d(x, w, **arguments), expected, **_FLOAT64)
    gradient = reference.conv.data_gradient(dims, x, w)
    plan = choose("data_gradient", dims, "float64", "planes", layout)
    gx = laid_out(np.zeros(dims.input_shape), layout)
    run(plan, x, w, gx)
    assert_same(gx, gradient, **_FLOAT64)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_bits_depend_on_neither_threads_nor_batch_nor_tiles(layout: str) -> None:
    dims = ConvDims.of((5, 40, 15, 47), (40, 1, 3, 5), padding=(1, 2), stride=(1, 2), groups=40)
    small = ConvDims.of((5, 40, 9, 9), (40, 1, 3, 3), padding=1, groups=40)
    before = threads.get_num_threads()
    for geometry in (dims, small):
        x = laid_out(random_array(geometry.input_shape, 1, np.float32), layout)
        w = random_array(geometry.weight_shape, 3, np.float32)

        def found(count: int, batch: int, geometry: ConvDims = geometry, x: Array = x, w: Array = w) -> Array:
            some = geometry.with_batch(batch)
            threads.set_num_threads(count)
            y = laid_out(np.full(some.output_shape, np.nan, np.float32), layout)
            run(choose("forward", some, "float32", "planes", layout), x[:batch], w, None, y)
            return y

        try:
            first = found(1, 5)
            for count in (2, 3, 7):
                assert_same(found(count, 5), first, rtol=0, atol=0, reason="the same bits")
            assert_same(found(2, 1), first[:1], rtol=0, atol=0, reason="the same bits")
            with cut(WORK=1, _MOST_OUTPUTS=4):
                assert_same(found(2, 5), first, rtol=0, atol=0, reason="the same bits")
        finally:
            threads.set_num_threads(before)


def test_sums_stay_in_registers() -> None:
    assert beside.most_outputs(named("avx512"), 3) == 27
    assert beside.most_outputs(named("avx2"), 3) == 11
    assert beside.most_outputs(named("avx2"), 31) == 6
