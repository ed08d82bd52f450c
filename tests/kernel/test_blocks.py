"""Weights that are packed once for all units, and lines that are read where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from guarded import guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel.tiled import check, dense_dims, pointwise_dims

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, conv_tiles, run, threads
from tilewright.kernel.tiles import blocks
from tilewright.kernel.tiles.convolve import Program
from tilewright.plan import choose, runnable, tiles
from tilewright.plan.compiled import SCRATCH_BYTES

_TARGETS = runnable()


def guarded_buffer(shape: int, dtype: Any) -> Any:
    """Memory of the very size before an unreadable page, full of NaN."""
    return guarded(np.full(shape, 0xFF, dtype))


@pytest.fixture
def always_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weights are always packed before, in several ranges of output channels, and units are small."""
    for module, name, value in [
        (blocks, "SAVED", -float("inf")),
        (blocks, "SHARED_BYTES", 48 << 10),
        (blocks, "_ROUNDING", 0),
        (blocks, "_SHARED_PIXELS", 8),
        (tiles, "PACKED_BYTES", 6 << 10),
        (tiles, "HELD_BYTES", 4 << 10),
        (tiles, "WINDOW_LINES", 12),
        (buffers, "LARGE", 0),
        (buffers, "empty", guarded_buffer),
    ]:
        monkeypatch.setattr(module, name, value)
    conv_tiles.forget()
    yield
    conv_tiles.forget()


@pytest.mark.usefixtures("always_shared")
@pytest.mark.parametrize("target", _TARGETS, ids=str)
def test_shared_weights(target: Any) -> None:
    ranges = set()

    @settings(max_examples=150, deadline=None)
    @given(
        dims=st.one_of(dense_dims(), pointwise_dims()),
        dtype=st.sampled_from(["float32", "float64"]),
        last=st.tuples(st.booleans(), st.booleans()),
    )
    def try_one(dims: ConvDims, dtype: str, last: tuple[bool, bool]) -> None:
        check(dims, dtype, target, last)
        program = forward_program(dims, dtype)
        if program.shared:
            ranges.add(-(-program.shared.outputs // program.shared.range_outputs))

    try_one()
    assert max(ranges) > 1, "weights are packed in several ranges too"


def forward_program(dims: ConvDims, dtype: str = "float32") -> Program:
    """Of contiguous arrays."""
    x, y = np.empty(dims.input_shape, dtype), np.empty(dims.output_shape, dtype)
    return conv_tiles.program_for(choose("forward", dims, dtype, "tiles-channels"), x.strides, y.strides)


_LAYERS = [
    ConvDims.of((8, 192, 17, 17), (320, 192, 3, 3), stride=2),
    ConvDims.of((8, 512, 14, 14), (512, 512, 3, 3), stride=2, padding=1),
    ConvDims.of((8, 512, 7, 7), (2048, 512, 1, 1)),
]


@pytest.mark.parametrize("dims", _LAYERS, ids=str)
def test_shared_weights_and_scratch_keep_to_the_bound(dims: ConvDims) -> None:
    program = forward_program(dims)
    assert program.shared
    assert program.shared.size + program.scratch_bytes <= SCRATCH_BYTES


@pytest.mark.parametrize(
    "dims",
    [
        ConvDims.of((3, 192, 9, 9), (320, 192, 3, 3), stride=2),
        ConvDims.of((5, 300, 7, 7), (170, 300, 1, 1)),
        ConvDims.of((3, 96, 35, 35), (48, 96, 1, 1)),
    ],
    ids=str,
)
def test_bits_are_the_same_whoever_packs(dims: ConvDims, monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = (random_array(shape, 1).astype("f4") for shape in (dims.input_shape, dims.weight_shape))
    found = []
    before = threads.get_num_threads()
    try:
        for saved in (float("inf"), -float("inf")):
            monkeypatch.setattr(blocks, "SAVED", saved)
            conv_tiles.forget()
            for family in ("tiles-channels", "tiles-pixels"):
                for count in (1, 2, 3):
                    threads.set_num_threads(count)
                    y = np.full(dims.output_shape, np.nan, "f4")
                    run(choose("forward", dims, "float32", family), x, w, None, y)
                    found.append(y)
    finally:
        threads.set_num_threads(before)
        conv_tiles.forget()
    for other in found[1:]:
        assert_same(other, found[0], rtol=0, atol=0, reason="the order of a sum is the geometry's")


@pytest.mark.parametrize("stride", [1, 2, (3, 1), (1, 2)])
@pytest.mark.parametrize("side", ["tiles-channels", "tiles-pixels"])
@pytest.mark.parametrize(
    "part",
    [
        (slice(None), slice(None), slice(None), slice(None)),
        (slice(None), slice(None), slice(1, 30), slice(2, 29)),
        (slice(None, None, -1), slice(None, None, 2), slice(None, None, 3), slice(None)),
        (slice(None), slice(None), slice(None, None, -1), slice(None, None, -1)),
    ],
    ids=["whole", "cropped", "every second channel", "backwards"],
)
def test_lines_that_lie_in_a_larger_array(
    part: tuple[slice, ...], side: str, stride: int | tuple[int, int]
) -> None:
    """They are read where they lie, unless vectors run along columns that are not consecutive."""
    x = guarded(random_array((2, 44, 31, 33), 1).astype("f4"))[part]
    w = random_array((37, x.shape[1], 1, 1), 2).astype("f4")
    dims = ConvDims.of(x.shape, w.shape, stride=stride)
    y = guarded(np.full(dims.output_shape, np.nan, "f4"))
    run(choose("forward", dims, "float32", side), x, w, None, y)
    rows, columns = dims.stride
    read = x[:, :, ::rows, ::columns].astype(np.float64)
    expected = np.einsum("nchw,kc->nkhw", read, w[:, :, 0, 0].astype(np.float64))
    assert_same(y, expected.astype("f4"), rtol=1e-5, atol=1e-4, reason="rounding of sums of 44 products")
