"""Filters of Dask arrays: the bits of the whole image, whatever the chunks, in every border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright.errors import ArgumentError, DtypeError, ShapeError

da = pytest.importorskip("dask.array", reason="the bridge is to Dask")
pytest.importorskip("llvmlite", reason="without compiled families the BLAS decides the last bits")

import dask  # noqa: E402

from tilewright.bridge.dask import filter  # noqa: E402

SAME_BITS = "the same sums in the same order"


def assert_filter(image: Any, kernel: Any, chunks: Any, **arguments: Any) -> None:
    whole = tw.image.filter(image, kernel, **arguments)
    found = filter(da.from_array(image, chunks=chunks), kernel, **arguments)
    assert found.chunks == da.from_array(image, chunks=chunks).chunks
    assert (found.dtype, found.shape) == (whole.dtype, whole.shape)
    with dask.config.set(scheduler="synchronous"):
        assert_same(found.compute(), whole, rtol=0, atol=0, reason=SAME_BITS)


@pytest.mark.parametrize(
    ("border", "outside"),
    [
        ("reflect", (1, 13)),
        ("mirror", (2, 10)),
        ("nearest", (1, 13)),
        ("wrap", (13, 1)),
        ("constant", (10, 10)),
    ],
)
def test_a_known_answer_across_chunk_borders_and_at_the_edges(border: str, outside: tuple[int, int]) -> None:
    row = da.from_array(np.array([1, 2, 10, 10, 13]), chunks=(1, 2, 2))
    found = filter(row, [1, 1, 1], border=border, cval=10.0).compute()
    first, last = outside
    assert found.tolist() == [first + 3, 13, 22, 33, 23 + last]


@st.composite
def cut(draw: Any, size: int) -> tuple[int, ...]:
    ends = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
    return tuple(b - a for a, b in zip([0, *ends], [*ends, size], strict=True))


@st.composite
def cases(draw: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    rank = draw(st.integers(1, 3))
    sides = {1: 40, 2: 20, 3: 9}[rank]
    shape = [draw(st.integers(1, sides)) for _ in range(rank)]
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    vectors = [rng.standard_normal(draw(st.integers(1, 9))) for _ in range(rank)]
    kind = draw(st.sampled_from(["dense", "vectors", "vector", "named"]))
    kernel: Any = vectors if rank > 1 else vectors[0]
    if kind == "dense":
        kernel = rng.standard_normal(tuple(vector.size for vector in vectors))
    elif kind == "vector":
        kernel = vectors[0]
    elif kind == "named":
        kernel = draw(st.sampled_from(["gaussian", "laplacian", "sharpen"]))
    arguments: dict[str, Any] = {
        "border": draw(st.sampled_from(["reflect", "mirror", "nearest", "wrap", "constant"])),
        "cval": draw(st.sampled_from([0.0, 1.5, -3.0, 1000.0])),
        "flip": draw(st.booleans()),
        "dtype": draw(st.sampled_from([None, None, "float32", "int16"])),
    }
    if draw(st.booleans()):
        arguments["channel_axis"] = draw(st.integers(0, rank))
        shape.insert(arguments["channel_axis"], draw(st.integers(1, 4)))
    dtype = draw(st.sampled_from(["float32", "float64", "float16", "uint8", "uint16", "int32", "bool"]))
    image = (rng.random(shape) * 200).astype(dtype)
    return image, kernel, tuple(draw(cut(size)) for size in shape), arguments


@settings(max_examples=120, deadline=None)
@given(cases())
def test_any_chunks_give_the_bits_of_the_whole_image(case: Any) -> None:
    image, kernel, chunks, arguments = case
    assert_filter(image, kernel, chunks, **arguments)


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap", "constant"])
@pytest.mark.parametrize("origin", [-2, 0, 2])
def test_a_kernel_wider_than_the_image_and_moved(border: str, origin: int) -> None:
    image = np.random.default_rng(0).random((5, 3))
    kernel = np.random.default_rng(1).random((12, 7))
    for chunks in (1, 2, (4, 3)):
        assert_filter(image, kernel, chunks, border=border, origin=origin, cval=0.3)


def test_what_is_not_finite_stays_where_the_definition_puts_it() -> None:
    image = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    image[4, 5], image[13, 2] = np.nan, np.inf
    assert_filter(image, tw.image.gaussian(1.0), 7)


def test_an_image_without_samples() -> None:
    assert_filter(np.zeros((0, 5)), np.ones((3, 3)), (0, 2))


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    def never(block: Any) -> Any:
        raise AssertionError("computed")

    image = da.zeros((20, 20), chunks=5).map_blocks(never, meta=np.empty((0, 0)))
    found = filter(image, "gaussian")
    with pytest.raises(AssertionError, match="computed"), dask.config.set(scheduler="synchronous"):
        found.compute()


IMAGE = da.ones((8, 8), chunks=4)


@pytest.mark.parametrize(
    ("image", "kernel", "arguments", "kind", "message"),
    [
        (
            np.ones((8, 8)),
            "gaussian",
            {},
            DtypeError,
            "filter needs image to be a Dask array. Received: image of type ndarray. "
            "Make one first: dask.array.from_array(image).",
        ),
        (
            IMAGE,
            "gaussian",
            {"border": "round"},
            ArgumentError,
            "filter needs border to be one of 'reflect', 'mirror', 'nearest', 'wrap', "
            "'constant', 'grid-mirror', "
            "'grid-wrap', 'grid-constant'. Received: border='round'.",
        ),
        (
            IMAGE.astype(complex),
            "gaussian",
            {},
            DtypeError,
            "filter needs image to be of bools, integers, float16, float32, float64. "
            "Received: image with shape (8, 8) and dtype complex128.",
        ),
        (
            IMAGE,
            np.ones((3, 3, 3)),
            {},
            ShapeError,
            "filter needs a kernel of the image's spatial rank 2, or vectors. Received: "
            "kernel with shape (3, 3, 3) "
            "and dtype float64. Name the axis of the channels with channel_axis if the image has one.",
        ),
        (
            IMAGE[0],
            [1, 2],
            {"channel_axis": 0},
            ShapeError,
            "filter needs an image with a spatial axis. Received: image with shape (8,) and dtype float64.",
        ),
    ],
)
def test_errors_come_when_the_graph_is_built(
    image: Any, kernel: Any, arguments: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        filter(image, kernel, **arguments)
    assert str(caught.value) == message
