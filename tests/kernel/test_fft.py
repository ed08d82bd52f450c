"""Convolution in the frequency domain: blocks, parts, errors, bits, and when it is chosen."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, random_array
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import conv_fft, run, threads
from tilewright.op.conv import conv_data_gradient, conv_forward
from tilewright.plan import choose, compiled, explain, fft, forget, named, precision

pytest.importorskip("scipy.fft", reason="transforms are SciPy's: pip install 'tilewright[fft]'")

Array = np.ndarray[Any, Any]
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "transforms of a few thousand numbers, float64"}

# Several blocks along every axis, on a line, in planes and in volumes; parts of a kernel; channels.
_LARGE = {
    "line": ConvDims.of((2, 1, 40_000), (1, 1, 200), padding=17),
    "causal": ConvDims.of((1, 2, 9000), (2, 1, 1500), padding="causal", groups=2),
    "plane": ConvDims.of((2, 1, 300, 500), (1, 1, 31, 25), padding=(15, 3)),
    "row": ConvDims.of((1, 1, 40, 5000), (1, 1, 1, 257), padding=(2, 128)),
    "column": ConvDims.of((1, 1, 3000, 40), (1, 1, 257, 1), padding=(128, 1)),
    "volume": ConvDims.of((1, 1, 40, 50, 60), (1, 1, 11, 9, 13), padding=4),
    "channels": ConvDims.of((2, 6, 130, 90), (4, 3, 21, 19), padding=10, groups=2),
    "dilated": ConvDims.of((1, 1, 120, 140), (1, 1, 9, 7), dilation=(5, 3), padding="same"),
    "cropped": ConvDims.of((1, 1, 200, 200), (1, 1, 20, 20), padding=((-9, 30), (25, -40))),
    "whole": ConvDims.of((1, 1, 70, 64), (1, 1, 70, 64)),
}


@pytest.mark.parametrize("dims", _LARGE.values(), ids=_LARGE)
def test_large_kernels(dims: ConvDims) -> None:
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy, bias = random_array(dims.output_shape, 3), random_array((dims.out_channels,), 4)
    expected = {"rtol": 1e-11, "atol": 1e-9, "reason": "sums of up to 4,480 products, float64"}
    y = np.full(dims.output_shape, np.nan)
    run(choose("forward", dims, "float64", "fft"), x, w, bias, y)
    assert_same(y, conv_forward(dims, x, w, bias, exact=True), **expected)
    gx = np.full(dims.input_shape, np.nan)
    run(choose("data_gradient", dims, "float64", "fft"), gy, w, gx)
    assert_same(gx, conv_data_gradient(dims, gy, w, exact=True), **expected)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_small_blocks_and_parts_of_kernels(data: st.DataObject) -> None:
    """With little scratch small kernels are cut as large ones are, between the gaps of a dilation too."""
    rank = data.draw(st.integers(1, 3))
    kernel = [data.draw(st.integers(1, (40, 9, 4)[rank - 1])) for _ in range(rank)]
    dilation = [data.draw(st.integers(1, 3)) for _ in range(rank)]
    padding = [data.draw(st.integers(0, 5)) for _ in range(rank)]
    spatial = [
        max(d * (k - 1) + 1, data.draw(st.integers(1, (300, 40, 12)[rank - 1])))
        for k, d in zip(kernel, dilation, strict=True)
    ]
    groups, each = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    dims = ConvDims.of(
        (2, groups * each, *spatial),
        (2 * groups, each, *kernel),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
    )
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy, bias = random_array(dims.output_shape, 3), random_array((dims.out_channels,), 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "SCRATCH_BYTES", data.draw(st.sampled_from([6000, 20_000, 100_000])))
        fft.blocks_of.cache_clear()
        forget()
        try:
            if fft.blocks_of(dims, 8) is None or fft.blocks_of(dims.adjoint(), 8) is None:
                return
            y, gx = np.full(dims.output_shape, np.nan), np.full(dims.input_shape, np.nan)
            run(choose("forward", dims, "float64", "fft"), x, w, bias, y)
            run(choose("data_gradient", dims, "float64", "fft"), gy, w, gx)
        finally:
            patch.undo()
            fft.blocks_of.cache_clear()
            forget()
    assert_same(y, reference.conv.forward(dims, x, w, bias), **_FLOAT64)
    assert_same(gx, reference.conv.data_gradient(dims, gy, w), **_FLOAT64)


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_layouts(kind: str) -> None:
    for dims in (_LARGE["channels"], ConvDims.of((2, 2, 900), (2, 1, 60), groups=2)):
        x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
        y = awkward(np.full(dims.output_shape, np.nan), "holes")
        run(choose("forward", dims, "float64", "fft"), awkward(x, kind), awkward(w, kind), None, y)
        expected = conv_forward(dims, x, w, exact=True)
        assert_same(y, expected, rtol=1e-11, atol=1e-10, reason="sums of 1,197 products, float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["line", "plane", "volume", "channels"])
@pytest.mark.parametrize("kind", ["normal", "picture"])
def test_the_error_is_within_the_documented_bound(name: str, dtype: str, kind: str) -> None:
    """eps · log2(numbers of a block) times the norms of what a block reads and of the kernels."""
    dims = _LARGE[name]
    rng = np.random.default_rng(5)
    make = rng.standard_normal if kind == "normal" else rng.random
    x, w = make(dims.input_shape).astype(dtype), make(dims.weight_shape).astype(dtype)
    y = np.empty(dims.output_shape, dtype)
    run(choose("forward", dims, dtype, "fft"), x, w, None, y)
    wide = np.longdouble if dtype == "float64" else np.float64
    if np.finfo(wide).eps >= np.finfo(dtype).eps:
        pytest.skip("nothing here is wider than float64")
    expected = conv_forward(dims, x.astype(np.float64), w.astype(np.float64), exact=True)
    error = np.abs(y - expected).max()
    blocks = fft.blocks_of(dims, x.itemsize)
    assert blocks is not None
    numbers = int(np.prod([blocks.lengths[axis] for axis in blocks.axes]))
    # A block reads no more than so many samples; the largest norm that any so large a part of x has.
    inputs = dims.in_channels // dims.groups
    read = np.sqrt(
        np.sort(np.abs(x.ravel()))[::-1][: numbers * inputs].astype(np.float64) ** 2
        @ np.ones(min(numbers * inputs, x.size))
    )
    kernel = np.sqrt((w.astype(np.float64) ** 2).sum(axis=tuple(range(1, w.ndim))).max())
    bound = np.finfo(dtype).eps * np.log2(numbers) * read * kernel
    # The sums written out that it is compared with have errors of their own in float64.
    assert error <= bound
    # … and the bound says something: it is no more than some hundred times what comes out.
    assert error >= bound / 1000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("operand", ["x", "w"])
@pytest.mark.parametrize("name", ["line", "plane", "channels"])
def test_what_is_not_finite_comes_out_where_the_definition_puts_it(
    name: str, operand: str, value: float
) -> None:
    dims = _LARGE[name]
    x, w = random_array(dims.input_shape, 1, np.float32), random_array(dims.weight_shape, 2, np.float32)
    bias = random_array((dims.out_channels,), 3, np.float32)
    whole = np.empty(dims.output_shape, np.float32)
    plan = choose("forward", dims, "float32", "fft")
    run(plan, x, w, bias, whole)
    array = x if operand == "x" else w
    array[(0, 0, *(n // 2 for n in array.shape[2:]))] = value
    y = np.empty(dims.output_shape, np.float32)
    run(plan, x, w, bias, y)
    expected = conv_forward(dims, x, w, bias, exact=True)
    # The sample is the definition's, bit for bit; the next is what it is without the other.
    assert np.isfinite(expected[0]).any() or operand == "w"
    assert not np.isfinite(expected[0]).all()
    assert y[0].tobytes() == expected[0].tobytes()
    if operand == "x" and dims.batch > 1:
        assert y[1].tobytes() == whole[1].tobytes()


def test_sums_that_overflow_in_between_are_written_out() -> None:
    dims = ConvDims.of((1, 1, 4000), (1, 1, 500))
    # The transform of a line of equal numbers begins with their sum: here more than float32 holds.
    x, w = np.full(dims.input_shape, 3e35, np.float32), np.zeros(dims.weight_shape, np.float32)
    w[..., 0] = 1
    y = np.empty(dims.output_shape, np.float32)
    run(choose("forward", dims, "float32", "fft"), x, w, None, y)
    assert_same(y, x[..., : y.shape[-1]].copy(), rtol=0, atol=0, reason="a kernel of a single 1")


@pytest.mark.parametrize("name", ["line", "plane", "volume", "channels"])
def test_bits_depend_on_neither_threads_nor_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_fft, "_WORTH_A_THREAD", 1)
    dims = _LARGE[name].with_batch(3)
    x, w = random_array(dims.input_shape, 1, np.float32), random_array(dims.weight_shape, 2, np.float32)

    def of(first: int, last: int) -> bytes:
        some = dims.with_batch(last - first)
        y = np.empty(some.output_shape, np.float32)
        run(choose("forward", some, "float32", "fft"), x[first:last], w, None, y)
        return y.tobytes()

    before = threads.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            found.append(of(0, 3))
        assert len(set(found)) == 1
        assert b"".join(of(n, n + 1) for n in range(3)) == found[0]
    finally:
        threads.set_num_threads(before)


def test_an_error_in_a_thread_comes_out() -> None:
    def wrong() -> None:
        raise MemoryError("made up")

    with pytest.raises(MemoryError, match="made up"):
        conv_fft.in_parallel([wrong, lambda: None])


@pytest.mark.parametrize("name", _LARGE)
def test_scratch_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dims = _LARGE[name]
    before = threads.get_num_threads()
    x, w = np.ones(dims.input_shape, np.float32), np.ones(dims.weight_shape, np.float32)
    y = np.empty(dims.output_shape, np.float32)
    plan = choose("forward", dims, "float32", "fft")
    assert plan.scratch_bytes <= compiled.SCRATCH_BYTES
    try:
        threads.set_num_threads(1)
        run(plan, x, w, None, y)
        tracemalloc.start()
        try:
            run(plan, x, w, None, y)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    finally:
        threads.set_num_threads(before)
    assert most <= plan.scratch_bytes + 65_536  # steps and the like


# -- when it is chosen -----------------------------------------------------------------------------------

_PICTURE = ConvDims.of((1, 1, 1080, 1920), (1, 1, 63, 63), padding="same")
_SIGNAL = ConvDims.of((1, 1, 1 << 20), (1, 1, 1023), padding="same")


@pytest.mark.parametrize("dims", [_PICTURE, _SIGNAL], ids=["picture", "signal"])
def test_large_kernels_are_transformed_and_small_ones_not(dims: ConvDims) -> None:
    dtype = "float32"
    for target in ("avx512", "avx2", "baseline", "neon"):
        assert choose("forward", dims, dtype, None, "channels_first", named(target)).family == "fft"
        assert choose("data_gradient", dims, dtype, None, "channels_first", named(target)).family == "fft"
    small = ConvDims.of(dims.input_shape, (1, 1, *(5,) * dims.rank), padding="same")
    assert choose("forward", small, dtype).family == "planes"
    assert choose("weight_gradient", dims, dtype).family != "fft"
    assert choose("forward", dims, "int32").family != "fft"
    assert choose("forward", dims, dtype, exact=True).family != "fft"
    assert choose("forward", dims, "float64").family != "fft"
    with precision("exact"):
        assert choose("forward", dims, dtype).family != "fft"


def test_the_choice_and_the_blocks_do_not_depend_on_the_batch() -> None:
    for k in range(9, 64, 2):
        dims = ConvDims.of((1, 1, 200, 300), (1, 1, k, k), padding="same")
        plans = {choose("forward", dims.with_batch(n), "float32").family for n in (1, 2, 100)}
        assert len(plans) == 1
        tiles = {choose("forward", dims.with_batch(n), "float32", "fft").tile for n in (1, 2, 100)}
        assert len(tiles) == 1


def test_narrow_registers_are_transformed_earlier() -> None:
    def first(target: str) -> int:
        for k in range(5, 99, 2):
            dims = ConvDims.of((1, 1, 1080, 1920), (1, 1, k, k), padding="same")
            if choose("forward", dims, "float32", None, "channels_first", named(target)).family == "fft":
                return k
        raise AssertionError("never")

    assert 15 <= first("avx512") <= 41
    assert first("baseline") < first("avx2") < first("avx512")


def test_explain_says_why() -> None:
    answers = dict(explain("forward", _PICTURE, "float32").answers)
    assert answers == {"fft": "accepts: chosen"}
    small = ConvDims.of((1, 1, 1080, 1920), (1, 1, 11, 11), padding="same")
    answers = dict(explain("forward", small, "float32").answers)
    assert answers["fft"].startswith("declines: transforms would take ")
    assert answers["fft"].endswith(" times what the sums do, by estimate")
    strided = ConvDims.of((1, 1, 1080, 1920), (1, 1, 63, 63), stride=2)
    assert dict(explain("forward", strided, "float32").answers)["fft"] == "declines: it needs stride 1"
    with precision("exact"):
        answers = dict(explain("forward", _PICTURE, "float32").answers)
    assert answers["fft"] == 'declines: precision("exact") is set'
    answers = dict(explain("forward", _PICTURE, "float64").answers)
    assert answers["fft"] == "declines: float64 is computed as the definition writes it"
    answers = dict(explain("forward", _PICTURE, "float32", exact=True).answers)
    assert answers["fft"] == "declines: these sums have to be exact"


def test_without_scipy_the_sums_are_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    fft.unavailable.cache_clear()
    forget()
    try:
        assert choose("forward", _PICTURE, "float32").family == "planes"
        answer = dict(explain("forward", _PICTURE, "float32").answers)["fft"]
        assert answer.startswith("declines: it needs SciPy, which can't be imported (")
        assert answer.endswith("): pip install 'tilewright[fft]'")
    finally:
        monkeypatch.undo()
        fft.unavailable.cache_clear()
        forget()


def test_whole_numbers_stay_whole() -> None:
    """Integers are carried by float64, in which neither a transform nor passes may leave fractions."""
    rng = np.random.default_rng(3)
    dims = ConvDims.of((1, 1, 200, 200), (1, 1, 61, 61), padding="same")
    x = rng.integers(-128, 128, dims.input_shape).astype(np.int8)
    w = rng.integers(-128, 128, dims.weight_shape).astype(np.int8)
    gy = rng.integers(-128, 128, dims.output_shape).astype(np.int8)
    # Sums of whole numbers below 2⁵³ are exact in float64.
    wide = [array.astype(np.float64) for array in (x, w, gy)]
    y = conv_forward(dims, wide[0], wide[1], exact=True).astype(np.int64).astype(np.int8)
    gx = conv_data_gradient(dims, wide[2], wide[1], exact=True).astype(np.int64).astype(np.int8)
    assert_same(conv_forward(dims, x, w), y, rtol=0, atol=0, reason="exact modulo their range")
    assert_same(conv_data_gradient(dims, gy, w), gx, rtol=0, atol=0, reason="exact modulo their range")


@pytest.mark.parametrize("normalize", ["weights", "count"])
def test_windows_that_meet_nothing_stay_zero(normalize: str) -> None:
    """What is divided by is counted exactly: a transform would leave a few 1e-17 where there is nothing."""
    x, w = random_array((1, 1, 200, 200), 1), random_array((1, 1, 61, 61), 2)
    mask = np.zeros(x.shape, bool)
    mask[..., :90] = True
    y = tw.functional.masked_conv(x, w, mask=mask, normalize=normalize)
    assert not y[..., 90:].any()
    # A line of ones is no outer product, so nothing but the request for exact sums keeps transforms away.
    line, long = (random_array(shape, 3).astype(np.float32) for shape in ((1, 1, 20_000), (1, 1, 2001)))
    assert choose("forward", ConvDims.of(line.shape, long.shape), "float32").family == "fft"
    there = np.arange(20_000) < 9000
    found = tw.functional.masked_conv(line, long, mask=there, normalize=normalize)
    assert not found[..., 9000:].any()
    few = y[..., 89]  # windows that meet one column only
    kernel = np.abs(w[0, 0])
    for row in (0, 70):
        met = (x[0, 0, row : row + 61, 89] * w[0, 0, :, 0]).sum()
        share = kernel.sum() / kernel[:, 0].sum() if normalize == "weights" else 61.0
        same = {"rtol": 1e-9, "atol": 1e-9, "reason": "an error of a transform, 61 to 80 times as large"}
        assert_same(few[0, 0, row : row + 1], np.array([met * share]), **same)
