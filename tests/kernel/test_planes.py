"""What the family for few channels does in its own ways: writing past caches, turning, exact gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, conv_planes, run, threads
from tilewright.kernel.planes import beside_program, program, weights_program
from tilewright.kernel.planes.taps import heights_of
from tilewright.plan import Plan, choose, named, runnable

Array = np.ndarray[Any, Any]
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}


@contextmanager
def small_blocks(past: bool = False, packed: int = 4096) -> Iterator[None]:
    """Blocks so small that small arrays have many; ``past``: all that may be is written past the caches.

    Of channels beside each other, too, which mostly have a kernel of their own: see test_beside.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside_program, "program", lambda *_: None)
        patch.setattr(conv_planes, "TURNED", 16)
        for module in (program, weights_program):
            patch.setattr(module, "PACKED_BYTES", packed)
        if past:
            patch.setattr(program, "PAST_BYTES", 0)
        conv_planes.forget()
        yield
    conv_planes.forget()


def aligned(shape: tuple[int, ...], layout: str, dtype: str = "float64") -> Array:
    """An array of junk that begins where large ones of the library do."""
    order = (0, *range(2, len(shape)), 1) if layout == "channels_last" else tuple(range(len(shape)))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.full(size + buffers.ALIGNMENT, 0xFF, np.uint8)
    start = -raw.ctypes.data % buffers.ALIGNMENT
    flat = raw[start : start + size].view(dtype)
    return flat.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def plans(operation: str, dims: ConvDims, layout: str = "channels_first") -> list[Plan]:
    plan = choose(operation, dims, "float64", "planes", layout)
    return [replace(plan, target=target.name) for target in runnable()]


def in_layout(array: Array, layout: str) -> Array:
    if layout == "channels_first":
        return np.ascontiguousarray(array)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_past_the_caches(layout: str, data: st.DataObject) -> None:
    """Lines of whole vectors, in many blocks of lines and of parts of lines."""
    rank = data.draw(st.integers(1, 3))
    spatial = [data.draw(st.integers(1, 6)) for _ in range(rank - 1)]
    spatial.append(data.draw(st.sampled_from([48, 64, 200])))
    channels = data.draw(st.sampled_from([8, 16]))
    kernel = [data.draw(st.sampled_from([1, 3])) for _ in range(rank)]
    dims = ConvDims.of(
        (2, channels, *spatial),
        (channels, 1, *kernel),
        padding=tuple(k // 2 for k in kernel),
        groups=channels,
    )
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    bias = random_array((channels,), 3)
    expected = reference.conv.forward(dims, x, w, bias)
    with small_blocks(past=True):
        for plan in plans("forward", dims, layout):
            y = aligned(dims.output_shape, layout)
            found = conv_planes.program_for(plan, in_layout(x, layout).strides, y.strides)
            assert found.kernels["sum"][0].endswith("_past")
            run(plan, in_layout(x, layout), w, bias, y)
            assert_same(y, expected, **_FLOAT64)


@settings(max_examples=15)
@given(data=st.data())
def test_gradients_of_stride_2_past_the_caches(data: st.DataObject) -> None:
    """Their outputs of two phases take turns in a line."""
    kernel = [data.draw(st.sampled_from([1, 2, 3, 4])) for _ in range(2)]
    dims = ConvDims.of(
        (2, 4, data.draw(st.integers(3, 9)), data.draw(st.sampled_from([64, 96, 400]))),
        (4, 1, *kernel),
        stride=2,
        padding=tuple(k // 2 for k in kernel),
        groups=4,
    )
    gy, w = random_array(dims.output_shape, 1), random_array(dims.weight_shape, 2)
    expected = reference.conv.data_gradient(dims, gy, w)
    with small_blocks(past=True):
        for plan in plans("data_gradient", dims):
            gx = aligned(dims.input_shape, "channels_first")
            found = conv_planes.program_for(plan, gy.strides, gx.strides)
            assert found.kernels["put"][0].endswith("both_past")
            run(plan, gy, w, gx)
            assert_same(gx, expected, **_FLOAT64)


def test_an_output_that_is_not_aligned_is_not_written_past_the_caches() -> None:
    dims = ConvDims.of((1, 8, 4, 16), (8, 1, 3, 3), padding=1, groups=8)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    y = aligned((dims.output_shape[1] * 64 + 1,), "channels_first")[1:].reshape(dims.output_shape)
    with small_blocks(past=True):
        for plan in plans("forward", dims):
            run(plan, x, w, None, y)
            assert_same(y, reference.conv.forward(dims, x, w), **_FLOAT64)


@settings(max_examples=40)
@given(data=st.data())
def test_small_planes_of_many_channels(data: st.DataObject) -> None:
    """They are turned: all strides, paddings and dilations, and channels that don't fill the last vector."""
    rank = data.draw(st.integers(1, 3))
    channels = data.draw(st.integers(16, 40))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(rank)]
    try:
        dims = ConvDims.of(
            (data.draw(st.integers(1, 3)), channels, *(data.draw(st.integers(1, 9)) for _ in range(rank))),
            (channels, 1, *kernel),
            stride=tuple(data.draw(st.integers(1, 3)) for _ in range(rank)),
            padding=tuple((data.draw(st.integers(-1, 2)), data.draw(st.integers(0, 3))) for _ in range(rank)),
            dilation=tuple(data.draw(st.integers(1, 2)) for _ in range(rank)),
            groups=channels,
        )
    except ValueError:
        return
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy, bias = random_array(dims.output_shape, 3), random_array((channels,), 4)
    for plan in plans("forward", dims):
        y = np.full(dims.output_shape, np.nan)
        run(plan, x, w, bias, y)
        assert_same(y, reference.conv.forward(dims, x, w, bias), **_FLOAT64)
        kernels = conv_planes.program_for(plan, x.strides, y.strides).kernels
        assert "turn_planes" in kernels.get("pack", kernels.get("turn_in"))[0]
    for plan in plans("data_gradient", dims):
        gx = np.full(dims.input_shape, np.nan)
        run(plan, gy, w, gx)
        assert_same(gx, reference.conv.data_gradient(dims, gy, w), **_FLOAT64)
    for plan in plans("weight_gradient", dims):
        gw = np.full(dims.weight_shape, np.nan)
        run(plan, x, gy, gw)
        assert_same(gw, reference.conv.weight_gradient(dims, x, gy), **_FLOAT64)


@settings(max_examples=25)
@given(data=st.data())
def test_channels_side_by_side(data: st.DataObject) -> None:
    """Block by block, several vectors of channels each: many blocks, and a last vector that is not full."""
    rank = data.draw(st.integers(1, 3))
    channels = data.draw(st.integers(9, 150))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(rank)]
    try:
        dims = ConvDims.of(
            (data.draw(st.integers(1, 3)), channels, *(data.draw(st.integers(1, 12)) for _ in range(rank))),
            (channels, 1, *kernel),
            stride=tuple(data.draw(st.integers(1, 3)) for _ in range(rank)),
            padding=tuple((data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))) for _ in range(rank)),
            dilation=tuple(data.draw(st.integers(1, 2)) for _ in range(rank)),
            groups=channels,
        )
    except ValueError:
        return
    x, gy = (
        in_layout(random_array(shape, 1), "channels_last") for shape in (dims.input_shape, dims.output_shape)
    )
    w, bias = random_array(dims.weight_shape, 2), random_array((channels,), 4)
    before = threads.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, small_blocks():
        patch.setattr(program, "TOGETHER_LEAST", 0)
        patch.setattr(program, "TOGETHER_PLACES", data.draw(st.sampled_from([1, 1 << 20, 1 << 12])))
        patch.setattr(program, "WORK", 1)
        patch.setattr(weights_program, "WORK", 1)
        threads.set_num_threads(3)
        try:
            for plan in plans("forward", dims, "channels_last"):
                y = in_layout(np.full(dims.output_shape, np.nan), "channels_last")
                run(plan, x, w, bias, y)
                assert_same(y, reference.conv.forward(dims, x, w, bias), **_FLOAT64)
            for plan in plans("data_gradient", dims, "channels_last"):
                gx = in_layout(np.full(dims.input_shape, np.nan), "channels_last")
                run(plan, gy, w, gx)
                assert_same(gx, reference.conv.data_gradient(dims, gy, w), **_FLOAT64)
            for plan in plans("weight_gradient", dims):
                gw = np.full(dims.weight_shape, np.nan)
                run(plan, x, gy, gw)
                assert_same(gw, reference.conv.weight_gradient(dims, x, gy), **_FLOAT64)
        finally:
            threads.set_num_threads(before)


def test_how_many_channels_side_by_side() -> None:
    large = ConvDims.of((8, 144, 56, 56), (144, 1, 3, 3), groups=144)
    assert program.together_of(large, 64, 9) == 9
    assert program.together_of(replace(large, spatial=(14, 14)), 64, 9) == 1
    # Blocks keep 512 places, and 60 vectors go in equal parts.
    assert program.together_of(large, 64, 60) == 20
    assert program.together_of(large, 64, 61) == 1
    assert program.TOGETHER_BYTES // (64 * 20) >= program.TOGETHER_PLACES


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_weight_gradient_is_not_finite_only_where_the_definition_says_so(value: float) -> None:
    dims = ConvDims.of((1, 2, 6, 7), (2, 1, 3, 3), padding=1, groups=2)
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    x[0, 1, 0, 0] = value
    expected = reference.conv.weight_gradient(dims, x, gy)
    assert np.isfinite(expected[1]).any() and not np.isfinite(expected[1]).all()
    for plan in plans("weight_gradient", dims):
        gw = np.zeros(dims.weight_shape)
        run(plan, x, gy, gw)
        assert_same(gw, expected, **_FLOAT64)


_NETWORKS = [
    ConvDims.of((3, 32, 28, 28), (32, 1, 3, 3), padding=1, groups=32),
    ConvDims.of((3, 24, 7, 7), (24, 1, 3, 3), padding=1, stride=2, groups=24),
    ConvDims.of((3, 12, 20, 33), (12, 3, 5, 5), padding=2, groups=4),
    ConvDims.of((3, 1, 300, 200), (1, 1, 3, 3), padding=1),
    ConvDims.of((3, 4, 5000), (4, 1, 4), padding=((3, 0),), dilation=2, groups=4),
]


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dims", _NETWORKS, ids=str)
def test_bits_depend_on_neither_threads_nor_batch(dims: ConvDims, layout: str) -> None:
    x = in_layout(random_array(dims.input_shape, 1, np.float32), layout)
    gy = in_layout(random_array(dims.output_shape, 2, np.float32), layout)
    w = random_array(dims.weight_shape, 3, np.float32)

    def all_of(count: int) -> tuple[Array, Array, Array]:
        some = dims.with_batch(count)
        y = in_layout(np.empty(some.output_shape, np.float32), layout)
        gx = in_layout(np.empty(some.input_shape, np.float32), layout)
        gw = np.empty(dims.weight_shape, np.float32)
        run(choose("forward", some, "float32", "planes", layout), x[:count], w, None, y)
        run(choose("data_gradient", some, "float32", "planes", layout), gy[:count], w, gx)
        run(choose("weight_gradient", some, "float32", "planes", layout), x[:count], gy[:count], gw)
        return y, gx, gw

    before = threads.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            found.append(all_of(3))
        one = all_of(1)
    finally:
        threads.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            assert a.tobytes() == b.tobytes()
    assert one[0].tobytes() == in_layout(found[0][0][:1], layout).tobytes()
    assert one[1].tobytes() == in_layout(found[0][1][:1], layout).tobytes()


def test_columns_are_taken_apart_into_pieces_of_two_heights() -> None:
    for target in runnable():
        for lengths in ([1], [2, 1], [3], [4, 3], [5, 5, 2], [7], [11], [31], [6, 4]):
            high, low = heights_of(target, lengths)
            assert high <= target.registers // 4 - 1
            assert {length % high for length in lengths} <= {0, low}
    assert heights_of(named("avx512"), []) == (1, 0)
