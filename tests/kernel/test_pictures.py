"""Kernels over two axes of pictures: the definition's sums, on every instruction set, between guard pages."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from guarded import guarded
from kernel.elementwise.arrays import both_sides, every_target, with_threads

from tilewright.image.borders import source_index
from tilewright.kernel import jit
from tilewright.kernel.pictures.call import takes_dtype, takes_passes, takes_window, two_passes, window
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

Array = np.ndarray[Any, Any]
KINDS = (
    ("float32", "float32", "float32"),
    ("float64", "float64", "float64"),
    ("uint8", "float32", "uint8"),
    ("uint8", "float32", "float32"),
    ("uint16", "float64", "uint16"),
    ("float32", "float32", "uint8"),
)
# (pictures, rows, pixels, channels), taps along, taps across
CASES = (
    ((1, 1, 1, 1), 1, 1),
    ((2, 1, 1, 3), 4, 3),
    ((1, 3, 5, 1), 3, 3),
    ((1, 2, 40, 2), 5, 9),
    ((2, 7, 33, 3), 15, 15),
    ((1, 5, 70, 3), 2, 1),
    ((1, 9, 17, 4), 17, 2),
    ((1, 6, 11, 5), 9, 4),
    ((1, 5, 9, 7), 6, 5),
    ((1, 4, 3, 33), 5, 7),
    ((1, 30, 400, 1), 33, 2),
    ((1, 4, 1300, 3), 3, 3),
)


both_ways = pytest.mark.parametrize("way", ["passes", "window"])


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def whole(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Small whole numbers: their sums are exact in whatever order, and halves of them are ties."""
    rng = np.random.default_rng([seed, *shape])
    low = 0 if np.dtype(dtype).kind == "u" else -9
    return rng.integers(low, 10, shape).astype(dtype)


def sources_of(x: Array, along: Array, across: Array, border: str) -> tuple[Array, Array, Array]:
    """Where the rows and the pixels beyond the edges come from; one tap more before an output than after."""
    rows, pixels = x.shape[1:3]
    above, before = len(across) // 2, len(along) // 2
    places = source_index(pixels, before, len(along) - 1 - before, border)
    return (
        source_index(rows, above, len(across) - 1 - above, border),
        places[:before],
        places[before + pixels :],
    )


def run(kind: str, x: Array, out: Array, across: Array, along: Array, *more: Any, **target: Any) -> None:
    """The product of two vectors, as passes or as a window."""
    if kind == "passes":
        two_passes(x, out, across, along, *more, **target)
    else:
        weights = np.outer(across, along)
        weights = guarded(weights, "start") if target else weights
        window(x, out, weights, *more, **target)


def definition(
    x: Array, along: Array, across: Array, sources: tuple[Array, Array, Array], cval: float
) -> Array:
    """The sums, tap by tap, in float64."""
    rows, left, right = sources
    places = np.concatenate([left, np.arange(x.shape[2]), right])
    with np.errstate(all="ignore"):
        wide = x.astype(float)[:, np.maximum(rows, 0)][:, :, np.maximum(places, 0)]
        wide[:, rows < 0] = cval
        wide[:, :, places < 0] = cval
        pixels, height = x.shape[2], len(rows) - len(across) + 1
        h = sum(wide[:, :, t : t + pixels] * weight for t, weight in enumerate(along.tolist()))
        return sum(h[:, t : t + height] * weight for t, weight in enumerate(across.tolist()))


def rounded(values: Array, dtype: str) -> Array:
    """Floats as the result is to hold them."""
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.nan_to_num(np.clip(np.rint(values), limits.min, limits.max), nan=0.0).astype(dtype)


def poisoned(shape: tuple[int, ...], dtype: str, side: str) -> tuple[Array, Array]:
    return tuple(guarded(np.full(shape, value, dtype), side) for value in (77, 99))


@both_ways
@every_target
@both_sides
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_sums_of_whole_numbers_are_exact(
    way: str, target: Target, side: str, kind: tuple[str, str, str]
) -> None:
    given, computed, wanted = kind
    borders = ("reflect", "constant", "wrap", "mirror", "nearest")
    for number, (shape, taps, taps_across) in enumerate(CASES):
        x = guarded(whole(shape, given, number), side)
        # Quarters, so that sums of them end in ties; still exact.
        along = guarded(whole((taps,), computed, 50 + number) * np.array(0.5, computed), side)
        across = guarded(whole((taps_across,), computed, 90 + number) * np.array(0.5, computed), side)
        border, before = borders[number % len(borders)], x.copy()
        sources = sources_of(x, along, across, border)
        cval = -2.0 if border == "constant" else np.nan
        expected = rounded(definition(x, along, across, sources, cval), wanted)
        for out in poisoned(shape, wanted, side):
            run(way, x, out, across, along, sources, cval, target=target)
            assert_same(out, expected, rtol=0, atol=0, reason="whole numbers are summed exactly")
        assert_same(x, before, rtol=0, atol=0, reason="what is read is not written")


@both_ways
@every_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_any_numbers(way: str, target: Target, dtype: str) -> None:
    rng = np.random.default_rng(3)
    for shape, taps, taps_across in CASES:
        x = rng.standard_normal(shape).astype(dtype)
        x[rng.random(shape) < 0.002] = rng.choice([np.nan, np.inf, -np.inf])
        along, across = (rng.standard_normal(count).astype(dtype) for count in (taps, taps_across))
        sources = sources_of(x, along, across, "mirror")
        expected = definition(x, along, across, sources, 0.0)
        out = np.full(shape, 77, dtype)
        run(way, x, out, across, along, sources, 0.0, target=target)
        finite = np.where(np.isfinite(x), np.abs(x), 0)
        largest = float(definition(finite, np.abs(along), np.abs(across), sources, 0.0).max())
        tight = {"float32": 1e-6, "float64": 1e-14}[dtype] * (1 + (taps + taps_across) / 16)
        assert_same(
            out, expected.astype(dtype), rtol=0, atol=tight * largest, reason="a few roundings of the terms"
        )


@both_ways
@every_target
def test_integers_of_what_is_none(way: str, target: Target) -> None:
    """Clipped, halves to even, NaN as 0."""
    row = np.array([np.nan, np.inf, -np.inf, -0.5, 0.5, 1.5, 2.5, 254.5, 255.5, 1e30, -1e30], np.float32)
    x = np.tile(row, 3)[np.newaxis, np.newaxis, :, np.newaxis]
    one, nothing = np.ones(1, np.float32), np.zeros(0, int)
    out = np.full(x.shape, 7, np.uint8)
    run(way, x, out, one, one, (np.zeros(1, int), nothing, nothing), 0.0, target=target)
    expected = np.tile(np.array([0, 255, 0, 0, 0, 2, 2, 254, 255, 255, 0], np.uint8), 3)
    assert_same(out, expected.reshape(x.shape), rtol=0, atol=0, reason="integers")


@both_ways
@pytest.mark.parametrize(("source", "to"), [("uint8", "uint8"), ("float32", "float32")])
def test_how_a_picture_is_cut_leaves_no_trace(way: str, source: str, to: str) -> None:
    rng = np.random.default_rng(9)
    along, across = (rng.standard_normal(count).astype(np.float32) / 8 for count in (9, 5))
    x = (rng.random((2, 130, 900, 3)) * 250).astype(source)
    sources = rows, left, right = sources_of(x, along, across, "reflect")
    out = np.empty(x.shape, to)
    with_threads(1, lambda: run(way, x, out, across, along, sources, 0.0))
    for count in (2, 3, 7):
        again = np.full_like(out, 3)
        with_threads(count, lambda again=again: run(way, x, again, across, along, sources, 0.0))
        assert_same(again, out, rtol=0, atol=0, reason="the same bits for any number of threads")
    for first, last in ((0, 1), (1, 4), (4, 77), (77, 130)):
        part = np.empty((2, last - first, 900, 3), to)
        run(way, x, part, across, along, (rows[first : last + 4], left, right), 0.0)
        assert_same(part, out[:, first:last], rtol=0, atol=0, reason="the same bits for any block of rows")
    one = np.empty((1, *x.shape[1:]), to)
    run(way, x[1:], one, across, along, sources, 0.0)
    assert_same(one, out[1:], rtol=0, atol=0, reason="the same bits for any batch")


@both_ways
def test_large_results_are_whole_and_settled(way: str) -> None:
    """Those past the caches; and rows that are no whole vectors, or not aligned."""
    rng = np.random.default_rng(11)
    along = across = np.array([0.25, 0.5, 0.25], np.float32)
    for pixels, offset in ((1024, 0), (1023, 0), (1024, 1)):
        x = rng.integers(0, 64, (1, 2100, pixels, 1)).astype(np.float32)
        memory = np.full(x.size + 32, 5, np.float32)
        start = -(memory.ctypes.data // 4) % 16 + offset
        out = memory[start : start + x.size].reshape(x.shape)
        sources = sources_of(x, along, across, "wrap")
        run(way, x, out, across, along, sources, 0.0)
        expected = definition(x, along, across, sources, 0.0).astype(np.float32)
        assert_same(out, expected, rtol=0, atol=0, reason="sixteenths of whole numbers are exact")
        assert (memory[:start] == 5).all() and (memory[start + x.size :] == 5).all()


@both_ways
def test_rows_may_lie_anywhere(way: str) -> None:
    """Strides between rows and pictures, backwards too."""
    base = whole((2, 9, 3, 20, 3), "float32", 1)
    along, across = whole((5,), "float32", 2), whole((3,), "float32", 3)
    for x in (base[:, ::2, 1], base[:, ::-1, 2], base[::-1, :, 0]):
        sources = sources_of(x, along, across, "nearest")
        room = np.full((2, 2 * x.shape[1], 20, 3), 8, np.float32)
        run(way, x, room[::-1, ::2], across, along, sources, 0.0)
        expected = definition(x, along, across, sources, 0.0).astype(np.float32)
        assert_same(room[::-1, ::2], expected, rtol=0, atol=0, reason="whole numbers are summed exactly")
        assert (room[::-1, 1::2] == 8).all()


def test_what_is_taken_fits_the_scratch() -> None:
    """Every number of taps that is taken runs (which asserts the bound), on pictures of any width."""
    assert takes_passes(15, 15, 3) and not takes_passes(3, 129, 1) and not takes_passes(1 << 14, 3, 1)
    assert takes_window(9, 9, 3) and not takes_window(2, 41, 1)
    tried = 0
    for taps, taps_across, channels in product((1, 81, 128), (1, 60, 81, 200), (1, 3, 40)):
        for way, takes in (("passes", takes_passes), ("window", takes_window)):
            if not takes(taps_across, taps, channels):
                continue
            tried += 1
            for dtype in (np.float32, np.float64):
                x = np.ones((1, 2, 3000, channels), dtype)
                along, across = np.ones(taps, dtype), np.ones(taps_across, dtype)
                out = np.empty_like(x)
                run(way, x, out, across, along, sources_of(x, along, across, "wrap"), 0.0)
                expected = np.full_like(x, taps * taps_across)
                assert_same(out, expected, rtol=0, atol=0, reason="ones are counted exactly")
    assert tried > 16


def test_many_channels_fit_the_scratch_or_are_not_taken() -> None:
    """Numbers of channels that vectors don't divide make the least blocks of columns wide."""
    taken = 0
    for channels, taps in product((224, 499, 999, 1000, 2001, 5003), (1, 3, 9, 15)):
        for way, takes in (("passes", takes_passes), ("window", takes_window)):
            if not takes(taps, taps, channels):
                continue
            taken += 1
            x = whole((1, 5, 130, channels), "float64", taps)
            along = across = whole((taps,), "float64", 7)
            sources = sources_of(x, along, across, "mirror")
            out = np.full(x.shape, np.nan)
            run(way, x, out, across, along, sources, 0.0)
            expected = definition(x, along, across, sources, 0.0)
            assert_same(out, expected, rtol=0, atol=0, reason="whole numbers are summed exactly")
    assert taken >= 12


def test_which_dtypes_are_read_as_they_are() -> None:
    single, double = np.dtype("float32"), np.dtype("float64")
    assert all(takes_dtype(np.dtype(name), single) for name in ("float32", "uint8", "uint16"))
    assert not any(takes_dtype(np.dtype(name), single) for name in ("float64", "int8", ">u2", "float16"))
    assert takes_dtype(double, double)


def test_without_a_compiler_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "available", lambda: False)
    assert not takes_passes(3, 3, 1) and not takes_window(3, 3, 1)
