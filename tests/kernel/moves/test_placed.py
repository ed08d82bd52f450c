"""Samples moved by their flat positions, and columns added up: NumPy's bits on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.elementwise.arrays import both_sides, every_target, with_threads

from tilewright.errors import ArgumentError, TilewrightError
from tilewright.geometry import ConvDims
from tilewright.kernel.moves import call
from tilewright.kernel.moves.placed import KINDS
from tilewright.op import planes, window_lines, windows
from tilewright.plan import Target, runnable

pytest.importorskip("llvmlite", reason="compiles through LLVM")


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def in_python(kind: str, x: Any, indices: Any, out: Any) -> Any:
    """The definition, for (planes, samples)."""
    y = np.zeros_like(out)
    for n, own in enumerate(indices):
        last = {int(index): o for o, index in enumerate(own)}
        for o, index in enumerate(own):
            if kind == "put":
                y[n, index] = x[n, o]
            elif kind == "add":
                y[n, index] += x[n, o]
            elif kind == "take" or last[int(index)] == o:
                y[n, o] = x[n, index]
    return y


@every_target
@both_sides
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "float64"])
def test_samples_by_their_positions(target: Target, side: str, kind: str, dtype: str) -> None:
    if kind == "add" and dtype[0] == "i":
        return
    rng = np.random.default_rng(5)
    for count, places, channels in ((1, 1, 1), (5, 33, 1), (40, 16, 3), (7, 70, 20), (30, 130, 16)):
        own, plane = (3 * channels, count), (3 * channels, places)
        taking = kind in ("take", "last")
        x = (rng.standard_normal(plane if taking else own) * 50).astype(dtype)
        indices = rng.integers(0, places, own)
        wanted = in_python(kind, x, indices, np.empty(own if taking else plane, dtype))
        for deep in (False, True):
            if deep:
                arrays = [
                    np.ascontiguousarray(a.reshape(3, channels, -1).swapaxes(1, 2))
                    for a in (x, indices, wanted)
                ]
            else:
                arrays = [x, indices, wanted]
            for junk in (-77, 33):
                out = guarded(np.full_like(arrays[2], junk), side)
                given_x, given_indices = (guarded(a, side) for a in arrays[:2])
                assert call.placed_samples(kind, given_x, given_indices, out, deep, target=target)
                np.testing.assert_array_equal(out, arrays[2])


@pytest.mark.parametrize("wrong", [-1, 24, 1 << 62, -(1 << 63)])
@pytest.mark.parametrize("deep", [False, True])
def test_an_index_that_is_none_touches_nothing_and_is_named(wrong: int, deep: bool) -> None:
    indices = np.tile(np.arange(6), (1, 2, 1)).reshape(1, 2, 2, 3)
    indices[0, 1, 1, 0] = wrong
    x = np.ones(indices.shape, np.float32)
    for kind in KINDS:
        plane = guarded(np.ones((2, 24), np.float32))
        own = x.reshape(2, 6)
        pair = (plane, own.copy()) if kind in ("take", "last") else (own, plane)
        assert call.placed_samples(kind, pair[0], indices.reshape(2, 6), pair[1], False) is False
    if deep:
        x, indices = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, indices))
    with pytest.raises(ArgumentError, match=rf"index {wrong} at \(0, 1, 1, 0\)"):
        planes.put_into_planes((4, 6), x, indices)


@pytest.mark.parametrize("last", [False, True])
def test_unpooling_for_any_number_of_threads_and_split(last: bool) -> None:
    rng = np.random.default_rng(1)
    x, g = rng.standard_normal((9, 40, 20, 21)), rng.standard_normal((9, 40, 40, 42))
    indices = rng.integers(0, 40 * 42, x.shape)
    if last:
        x, g, indices = (
            np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, g, indices)
        )

    def every() -> list[Any]:
        return [
            planes.put_into_planes((40, 42), x, indices),
            planes.take_what_was_put(g, indices),
            planes.add_to_planes((40, 42), x, indices),
            planes.take_from_planes(g, indices),
        ]

    first = with_threads(1, every)
    for count in (2, 3, 7):
        for one, other in zip(with_threads(count, every), first, strict=True):
            assert one.tobytes() == other.tobytes() and one.strides == other.strides
    for n in (0, 8):
        np.testing.assert_array_equal(
            planes.put_into_planes((40, 42), x[n : n + 1], indices[n : n + 1]), first[0][n : n + 1]
        )


def windows_of(data: st.DataObject) -> ConvDims | None:
    rank = data.draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    try:
        return ConvDims.of(
            (2, 3, *each(1, 40 if rank < 3 else 9)),
            (1, 3, *each(1, 5)),
            stride=each(1, 3),
            dilation=each(1, 2),
            padding=tuple(zip(each(0, 5), each(0, 5), strict=True)),
        )
    except TilewrightError:
        return None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_columns_are_what_numpy_gives(data: st.DataObject) -> None:
    dims = windows_of(data)
    if dims is None:
        return
    dtype = data.draw(st.sampled_from(["int8", "float16", "float32", "float64", "complex64"]))
    x = (np.random.default_rng(2).standard_normal(dims.input_shape) * 50).astype(dtype)
    if data.draw(st.booleans()):
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if data.draw(st.booleans()):
        x = x[::-1, :, ::-1]
    columns = windows.unfold(dims, x)
    back = windows.fold(dims, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_lines, "_serves", lambda dims: False)
        np.testing.assert_array_equal(columns, windows.unfold(dims, x))
        np.testing.assert_array_equal(back, windows.fold(dims, columns))


@both_sides
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_on_every_instruction_set_between_guard_pages(side: str, dtype: str) -> None:
    for dims in (
        ConvDims.of((2, 3, 9, 70), (1, 3, 3, 3), padding=1),
        ConvDims.of((1, 2, 5, 9, 33), (1, 2, 2, 3, 4), stride=(1, 2, 3), padding=2, dilation=(1, 1, 2)),
        ConvDims.of((3, 2, 129), (1, 2, 5), stride=2),
        ConvDims.of((1, 1, 3), (1, 1, 1), padding=9),
    ):
        one = dims.with_batch(1)
        x = np.random.default_rng(3).standard_normal(dims.input_shape).astype(dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(window_lines, "_serves", lambda dims: False)
            columns = windows.unfold(dims, x)
            wanted = windows.fold(dims, columns)
        count = dims.batch * dims.in_channels
        strides = tuple(stride // x.itemsize for stride in x.strides)
        for target in runnable():
            for by_tap in (False, True):
                for junk in (np.nan, -7e7):
                    out = guarded(np.full_like(columns, junk), side)
                    work = window_lines._unfolding(one, strides[2:], by_tap)
                    at = call.Planes(dims.batch, dims.in_channels, *strides[:2])
                    call.moved(guarded(x, side), out, at, work, x.itemsize, target=target)
                    np.testing.assert_array_equal(out, columns)
            for junk in (np.nan, -7e7):
                back = guarded(np.full_like(x, junk), side)
                call.folded_lines(
                    guarded(columns, side), back, count, window_lines._folding(one), target=target
                )
                np.testing.assert_array_equal(back, wanted)


def test_columns_for_any_number_of_threads_and_split() -> None:
    dims = ConvDims.of((5, 4, 90, 130), (1, 4, 3, 3), padding=1)
    x = np.random.default_rng(3).standard_normal(dims.input_shape).astype(np.float32)
    columns = with_threads(1, lambda: windows.unfold(dims, x))
    back = with_threads(1, lambda: windows.fold(dims, columns))
    for count in (2, 3, 7):
        assert with_threads(count, lambda: windows.unfold(dims, x)).tobytes() == columns.tobytes()
        assert with_threads(count, lambda: windows.fold(dims, columns)).tobytes() == back.tobytes()
    one = dims.with_batch(1)
    np.testing.assert_array_equal(windows.unfold(one, x[2:3]), columns[2:3])
    np.testing.assert_array_equal(windows.fold(one, columns[2:3]), back[2:3])
