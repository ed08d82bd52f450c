"""Masked convolution in one pass: against the same made of two convolutions, and what holds to the bit."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from guarded import guarded
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import PADDING_MODES
from tilewright.kernel import conv_planes, masked_planes, threads
from tilewright.kernel.elementwise import call
from tilewright.kernel.planes import masked_program, program, weights_program
from tilewright.kernel.tiles import convolve
from tilewright.kernel.tiles.fields import Fields
from tilewright.op import continued, masked
from tilewright.plan import choose, runnable

Array = np.ndarray[Any, Any]
_FLOAT64 = {"rtol": 1e-10, "atol": 1e-10, "reason": "quotients of sums in another order, float64"}
_EXACT = {"rtol": 0, "atol": 0, "reason": "the same operations in the same order"}


@st.composite
def masked_dims(draw: st.DrawFn) -> ConvDims:
    rank = draw(st.integers(1, 3))
    spatial, kernel, stride, dilation, padding = [], [], [], [], []
    for axis in range(rank):
        longest = 40 if axis == rank - 1 else 6
        n, k, d = draw(st.integers(1, longest)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
        low, high = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        assume(n + low + high >= d * (k - 1) + 1)
        spatial.append(n)
        kernel.append(k)
        dilation.append(d)
        stride.append(draw(st.integers(1, 3)))
        padding.append((low, high))
    groups = draw(st.sampled_from([1, 1, 2, 5]))
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    dims = ConvDims.of(
        (draw(st.integers(1, 2)), groups * inputs, *spatial),
        (groups * outputs, inputs, *kernel),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
    )
    return replace(dims, padding_mode=draw(st.sampled_from(PADDING_MODES)))


def expected(
    dims: ConvDims, x: Array, present: Array, w: Array, bias: Array, counts: bool, fill: float | None
) -> tuple[Array, Array]:
    """By the definition: two convolutions, and their quotient."""
    there = np.broadcast_to(present, x.shape).astype(x.dtype)
    kept = np.where(there != 0, x, 0)
    if dims.padding_mode != PADDING_MODES[0]:
        _, there = continued.padded(dims, there, "conv")
        dims, kept = continued.padded(dims, kept, "conv")
    size = np.ones_like(w) if counts else np.abs(w)
    met = reference.conv.forward(dims, there, size)
    total = size.reshape(len(w), -1).sum(axis=1).reshape((-1,) + (1,) * dims.rank)
    ratio = np.divide(total, met, out=np.zeros_like(met), where=met != 0)
    y = reference.conv.forward(dims, kept, w) * ratio + bias.reshape((-1,) + (1,) * dims.rank)
    return (y if fill is None else np.where(met != 0, y, fill)), ratio


def layouts(array: Array, last: bool) -> Array:
    if not last:
        return guarded(array)
    return np.moveaxis(guarded(np.ascontiguousarray(np.moveaxis(array, 1, -1))), -1, 1)


@pytest.mark.parametrize("packed", [program.PACKED_BYTES, 4096])
@pytest.mark.parametrize("counts", [False, True])
@settings(max_examples=150)
@given(
    dims=masked_dims(),
    missing=st.sampled_from(["nan", "own", "one", "none"]),
    share=st.sampled_from([0.1, 0.5, 0.95]),
    fill=st.sampled_from([None, 7.0]),
    last=st.booleans(),
)
def test_any_geometry(
    counts: bool, packed: int, dims: ConvDims, missing: str, share: float, fill: float | None, last: bool
) -> None:
    """Arrays end at unreadable pages, outputs are full of junk; in one block, and in many."""
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    bias = random_array((dims.out_channels,), 3)
    shape = dims.input_shape if missing in ("nan", "own") else (1, 1, *dims.spatial)
    present = np.random.default_rng(4).random(shape) >= share
    if missing == "none":
        present[...] = True
    last = last and missing == "nan"
    given_mask = None if missing == "nan" else guarded(present.astype(x.dtype))
    if missing == "nan":
        x[~present] = np.nan
    else:
        x[np.broadcast_to(~present, x.shape)] = np.inf
    results = expected(dims, x, present, w, bias, counts, fill)
    plan = choose("forward", replace(dims, padding_mode=PADDING_MODES[0]), "float64", "planes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masked_program, "PACKED_BYTES", packed)
        masked_planes.forget()
        for target in runnable():
            y, ratios = (layouts(np.full(dims.output_shape, junk), last) for junk in (np.nan, -1e30))
            masked_planes.forward(
                replace(plan, dims=dims, target=target.name),
                layouts(x, last),
                given_mask,
                guarded(w),
                guarded(bias),
                y,
                counts=counts,
                fill=fill,
                ratios=ratios,
            )
            assert_same(y, results[0], **_FLOAT64)
            assert_same(ratios, results[1], **_FLOAT64)
    masked_planes.forget()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=100)
@given(dims=masked_dims())
def test_where_all_is_there_nothing_changes(dtype: str, dims: ConvDims) -> None:
    """The ratio is 1 to the bit: totals are added up in the order in which windows are."""
    x, w = random_array(dims.input_shape, 1).astype(dtype), random_array(dims.weight_shape, 2).astype(dtype)
    inside = replace(dims, padding=((0, 0),) * dims.rank, padding_mode=PADDING_MODES[0])
    assume(all(n > r for n, r in zip(inside.spatial, inside.reach, strict=True)))
    plan = choose("forward", inside, dtype, "planes")
    for target in runnable():
        y, ratios = np.empty(inside.output_shape, dtype), np.empty(inside.output_shape, dtype)
        aimed = replace(plan, target=target.name)
        masked_planes.forward(aimed, x, None, w, None, y, counts=False, ratios=ratios)
        assert_same(ratios, np.ones_like(ratios), **_EXACT)


@pytest.mark.parametrize("counts", [False, True])
def test_bits_of_threads_and_batches(counts: bool) -> None:
    dims = ConvDims.of((3, 6, 60, 90), (6, 2, 3, 5), padding=2, groups=3)
    x = random_array(dims.input_shape, 1).astype(np.float32)
    w = random_array(dims.weight_shape, 2).astype(np.float32)
    gy = random_array(dims.output_shape, 3).astype(np.float32)
    x[np.random.default_rng(3).random(x.shape) < 0.1] = np.nan

    def forward(x: Array) -> Array:
        return masked.masked_forward(replace(dims, batch=len(x)), x, None, w, None, counts=counts)[0]

    def gradients() -> list[Array | None]:
        needs = (True, True, True)
        return list(masked.masked_gradients(dims, gy, x, None, w, needs, counts=counts, filled=False))

    y, slopes = forward(x), gradients()
    assert np.array_equal(np.concatenate([forward(x[i : i + 1]) for i in range(3)]), y)
    before = threads.get_num_threads()
    try:
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            assert np.array_equal(forward(x), y)
            for one, other in zip(gradients(), slopes, strict=True):
                assert one is not None and other is not None
                assert np.array_equal(one, other)
    finally:
        threads.set_num_threads(before)


@settings(max_examples=200)
@given(dims=masked_dims())
def test_scratch_is_bounded(dims: ConvDims) -> None:
    """Also of planes that are as wide as the family takes."""
    dims = replace(dims, spatial=(*dims.spatial[:-1], 5000 + dims.spatial[-1]))
    plan = choose("forward", replace(dims, padding_mode=PADDING_MODES[0]), "float32", "planes")
    strides = (*(0,) * (dims.rank + 1), 4)
    for target in runnable():
        aimed = replace(plan, dims=dims, target=target.name)
        made = masked_planes._program(aimed, strides, strides, (0, 0), False)
        assert made.program.scratch_bytes <= 4 << 20


@pytest.mark.parametrize("counts", [False, True])
@settings(max_examples=60)
@given(dims=masked_dims(), last=st.booleans())
def test_what_gradients_are_made_of(counts: bool, dims: ConvDims, last: bool) -> None:
    shapes = (dims.input_shape, dims.weight_shape, dims.output_shape)
    x, w, g = (random_array(shape, seed) for seed, shape in enumerate(shapes))
    present = np.random.default_rng(4).random(x.shape) >= 0.3
    zero = np.zeros(dims.out_channels)
    sums, ratio = expected(dims, x, present, w, zero, counts, None)
    x[~present] = np.nan
    total = (np.ones_like(w) if counts else np.abs(w)).reshape(len(w), -1).sum(axis=1)
    share = g * sums * ratio / total.reshape((-1,) + (1,) * dims.rank)
    plan = choose("forward", replace(dims, padding_mode=PADDING_MODES[0]), "float64", "planes")
    for target in runnable():
        y, ratios = (layouts(np.full(dims.output_shape, junk), last) for junk in (np.nan, -1e30))
        aimed = replace(plan, dims=dims, target=target.name)
        there = layouts(x, last)
        slopes = layouts(g, last)
        masked_planes.forward(aimed, there, None, w, None, y, counts=counts, ratios=ratios, g=slopes)
        assert_same(y, g * ratio, **_FLOAT64)
        assert_same(ratios, share, **_FLOAT64)


@pytest.mark.parametrize("packed", [program.PACKED_BYTES, 4096])
@settings(max_examples=100)
@given(dims=masked_dims(), last=st.booleans())
def test_weight_gradients_of_what_is_there(packed: int, dims: ConvDims, last: bool) -> None:
    """Of the samples that are not NaN, and of ones in their places; padding with zeros is missing."""
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    present = np.random.default_rng(4).random(x.shape) >= 0.3
    x[~present] = np.nan
    plan = choose("weight_gradient", replace(dims, padding_mode=PADDING_MODES[0]), "float64", "planes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights_program, "PACKED_BYTES", packed)
        conv_planes.forget()
        for part, seen in (("values", np.where(present, x, 0)), ("mask", present.astype(x.dtype))):
            inside = dims
            if dims.padding_mode != PADDING_MODES[0]:
                inside, seen = continued.padded(dims, seen, "conv")
            slopes = reference.conv.weight_gradient(inside, seen, gy)
            for target in runnable():
                gw = guarded(np.full(dims.weight_shape, np.nan))
                aimed = replace(plan, dims=dims, target=target.name)
                conv_planes.weight_gradient(aimed, layouts(x, last), layouts(gy, last), gw, part)
                assert_same(gw, slopes, **_FLOAT64)
    conv_planes.forget()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 20000])
def test_no_gradient_goes_to_what_is_missing(count: int, dtype: str) -> None:
    g, x = random_array((count,), 1).astype(dtype), random_array((count,), 2).astype(dtype)
    x[::3] = np.nan
    for target in runnable():
        out = guarded(np.full(count, np.nan, dtype))
        call.present(guarded(g), guarded(x), out, target=target)
        assert_same(out, np.where(np.isnan(x), 0, g), **_EXACT)


@contextmanager
def exact_scratch() -> Iterator[None]:
    """Behind scratch, full of NaN at first, and behind tables begins a page that nobody may touch."""

    def run_exactly(function: int, units: int, args: int, scratch_bytes: int) -> None:
        scratch = guarded(np.full(scratch_bytes, 0xFF, np.uint8))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
        for unit in reversed(range(units)):
            kind(function)(unit, args, scratch.ctypes.data)

    words_of = convolve.words_of

    def guarded_words_of(fields: Fields, words: convolve.Words) -> Any:
        tables = {name: guarded(word) for name, word in words.items() if isinstance(word, np.ndarray)}
        return words_of(fields, words | tables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "run", run_exactly)
        for module in (masked_program, program, weights_program):
            patch.setattr(module, "words_of", guarded_words_of)
        masked_planes.forget()
        conv_planes.forget()
        yield
    masked_planes.forget()
    conv_planes.forget()


@settings(max_examples=60)
@given(dims=masked_dims(), missing=st.sampled_from(["nan", "one"]), counts=st.booleans())
def test_programs_keep_to_their_scratch(dims: ConvDims, missing: str, counts: bool) -> None:
    """Those of masked convolution, and the others' for the same padding and for what is there."""
    x, w, gy = (
        random_array(shape, seed)
        for seed, shape in enumerate((dims.input_shape, dims.weight_shape, dims.output_shape))
    )
    bias = np.zeros(dims.out_channels)
    present = np.random.default_rng(4).random(x.shape if missing == "nan" else (1, 1, *dims.spatial)) >= 0.3
    whole = x.copy()
    results = expected(dims, x, present, w, bias, counts, None)
    given_mask = guarded(present.astype(x.dtype)) if missing == "one" else None
    if missing == "nan":
        x[~present] = np.nan
    zeros = replace(dims, padding_mode=PADDING_MODES[0])
    inside, longer = (dims, whole)
    if dims != zeros:
        inside, longer = continued.padded(dims, whole, "conv")
    sums = reference.conv.forward(inside, longer, w)
    for target in runnable():
        plan = choose("forward", zeros, "float64", "planes")
        aimed = replace(plan, dims=dims, target=target.name)
        with exact_scratch():
            y, ratios, alone = (np.empty(dims.output_shape) for _ in range(3))
            masked_planes.forward(aimed, guarded(x), given_mask, w, bias, y, counts=counts, ratios=ratios)
            conv_planes.forward(aimed, guarded(whole), w, None, alone)
            assert_same(y, results[0], **_FLOAT64)
            assert_same(alone, sums, **_FLOAT64)
            plan = choose("weight_gradient", zeros, "float64", "planes")
            for part in ("", "values", "mask") if missing == "nan" else ("",):
                gw = np.empty(dims.weight_shape)
                aimed_back = replace(plan, dims=dims, target=target.name)
                conv_planes.weight_gradient(aimed_back, guarded(x), gy, gw, part)
                assert np.isfinite(gw).all() or not part
