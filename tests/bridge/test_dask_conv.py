"""Convolution of Dask arrays: the bits of the whole array, whatever the chunks; lazily; errors at once."""

from __future__ import annotations

import pickle
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

from tilewright.bridge.dask import conv  # noqa: E402

SAME_BITS = "the same sums in the same order"


def numbers(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape)
    if dtype.startswith("complex"):
        return (values + 1j * values[::-1]).astype(dtype)
    return (values * (5 if "int" in dtype else 1)).astype(dtype)


def assert_conv(x: Any, w: Any, b: Any = None, *, chunks: Any, **arguments: Any) -> None:
    y = conv(da.from_array(x, chunks=chunks), w, b, **arguments)
    whole = tw.conv(x, w, b, **arguments)
    with dask.config.set(scheduler="synchronous"):
        assert_same(y.compute(), whole, rtol=0, atol=0, reason=SAME_BITS)
        # The chunks it says it has are those it has.
        for place in np.ndindex(*(len(sizes) for sizes in y.chunks)):
            sizes = tuple(sizes[i] for sizes, i in zip(y.chunks, place, strict=True))
            if place in ((0,) * y.ndim, tuple(len(some) - 1 for some in y.chunks)):
                assert y.blocks[place].compute().shape == sizes
    assert y.dtype == whole.dtype == y._meta.dtype and y.shape == whole.shape and y._meta.ndim == whole.ndim


def test_a_known_answer_across_a_chunk_border() -> None:
    x = da.from_array(np.array([[[1.0, 2.0, 3.0, 4.0]]]), chunks=(1, 1, 2))
    y = conv(x, np.array([[[1.0, 10.0]]]), np.array([0.5]))
    assert y.compute().tolist() == [[[21.5, 32.5, 43.5]]]
    assert y.chunks == ((1,), (1,), (2, 1))


@st.composite
def cut(draw: Any, size: int) -> tuple[int, ...]:
    """Chunks of an axis, some perhaps empty."""
    ends = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
    return tuple(b - a for a, b in zip([0, *ends], [*ends, size], strict=True))


@st.composite
def cases(draw: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    rank = draw(st.integers(1, 3))
    groups, inputs, outputs = (
        draw(st.sampled_from([1, 2, 16])),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
    )
    sides = {1: 60, 2: 20, 3: 9}[rank]
    spatial = tuple(draw(st.integers(1, sides)) for _ in range(rank))
    kernel = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    arguments: dict[str, Any] = {
        "stride": draw(st.integers(1, 3)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "padding": draw(
            st.one_of(
                st.sampled_from(["same", "full", "valid", "causal"]),
                st.just(tuple((draw(st.integers(-1, 6)), draw(st.integers(-1, 6))) for _ in range(rank))),
            )
        ),
        "padding_mode": draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])),
    }
    dtype = draw(st.sampled_from(["float32", "float64", "float16", "uint8", "int32", "complex64"]))
    shape = (draw(st.integers(1, 2)), inputs * groups, *spatial)
    w = numbers((outputs * groups, inputs, *kernel), dtype, 1)
    b = numbers((outputs * groups,), dtype, 2) if draw(st.booleans()) else None
    return numbers(shape, dtype), w, b, tuple(draw(cut(size)) for size in shape), arguments


@settings(max_examples=100, deadline=None)
@given(cases())
def test_any_chunks_give_the_bits_of_the_whole_array(case: Any) -> None:
    x, w, b, chunks, arguments = case
    try:
        tw.conv(x, w, b, **arguments)
    except tw.TilewrightError as error:
        with pytest.raises(type(error)) as caught:
            conv(da.from_array(x, chunks=chunks), w, b, **arguments)
        assert str(caught.value) == str(error)
        return
    assert_conv(x, w, b, chunks=chunks, **arguments)


@pytest.mark.parametrize("kernel", [(3, 3), (4, 3), (3, 3, 3)])
@pytest.mark.parametrize("padding", ["same", 5])
def test_pieces_of_winograds_algorithm_begin_where_those_of_the_whole_array_do(
    kernel: Any, padding: Any
) -> None:
    spatial = (30, 41) if len(kernel) == 2 else (5, 22, 23)
    x, w = numbers((1, 32, *spatial)), numbers((32, 32, *kernel), seed=1)
    plan = tw.explain(x, w, padding=padding).plan
    assert plan.family == "tiles-winograd"
    for chunks in ((1, 5), (7, 7), (13, 30)):
        assert_conv(x, w, chunks=(1, 32, *(-1,) * (len(kernel) - 2), *chunks), padding=padding)


def test_a_nan_stays_in_the_piece_that_it_is_in() -> None:
    x, w = numbers((1, 32, 30, 41)), numbers((32, 32, 3, 3), seed=1)
    x[0, 3, 11, 20] = np.nan
    assert_conv(x, w, chunks=(1, 32, 6, 11), padding="same")


@pytest.mark.parametrize(
    ("shape", "weight", "arguments"),
    [
        # As many channels as groups: short lines are computed along the channels, long ones aren't.
        ((1, 16, 12, 12), (16, 1, 3, 3), {"padding": "same", "groups": 16}),
        ((1, 16, 40, 40), (16, 1, 5, 5), {"padding": "same", "groups": 16}),
        ((2, 16, 60), (16, 1, 5), {"stride": 2, "groups": 16}),
        # Tall kernels: single lines are added up in another order than several.
        ((1, 2, 40, 40), (3, 2, 9, 9), {}),
        ((1, 1, 30, 30), (1, 1, 15, 2), {"stride": (1, 2)}),
        # A window that is a whole block, of one output.
        ((1, 5, 13, 6), (4, 5, 5, 6), {}),
        ((1, 20, 9), (3, 20, 1), {}),
        # Volumes, a plane at a time.
        ((1, 1, 10, 14, 12), (1, 1, 9, 9, 5), {"padding": "same"}),
    ],
)
def test_blocks_of_a_single_line_or_output_have_the_bits_of_the_whole_array(
    shape: Any, weight: Any, arguments: Any
) -> None:
    x, w = numbers(shape, "float64"), numbers(weight, "float64", 1)
    rank = len(shape) - 2
    for chunks in ((1, *(9,) * (rank - 1)), (*(9,) * (rank - 1), 1), (4,) * rank):
        assert_conv(x, w, chunks=(1, -1, *chunks), **arguments)


def test_many_channels_agree_to_the_rounding_of_a_sum() -> None:
    # With more channels than are added up at a time, lines of another length may change the order.
    x, w = numbers((1, 128, 19, 6, 19)), numbers((16, 128, 2, 1, 4), seed=1)
    y = conv(da.from_array(x, chunks=(1, 128, 2, 6, 4)), w)
    bound = 1024 * np.finfo(np.float32).eps / 2 * np.sqrt(1024)
    reason = "float32 sums of 1024 products of normal numbers: n·u of their size at most, whatever the order"
    assert_same(y.compute(), tw.conv(x, w), rtol=0, atol=bound, reason=reason)


def test_precision_is_that_of_the_moment_the_graph_is_built() -> None:
    x, w = numbers((1, 32, 30, 41)), numbers((32, 32, 3, 3), seed=1)
    with tw.precision("exact"):
        exact, y = tw.conv(x, w), conv(da.from_array(x, chunks=(1, 32, 7, 9)), w)
    assert_same(y.compute(), exact, rtol=0, atol=0, reason=SAME_BITS)
    assert (y.compute() != tw.conv(x, w)).any()


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_small_planes_of_many_channels(mode: str) -> None:
    """Some are computed along the channels, and whether depends on how the padding is come by."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 16, 5, 9), np.float32), rng.standard_normal((16, 1, 3, 3), np.float32)
    assert_conv(x, w, chunks=(1, 7, 2, 4), groups=16, padding="same", padding_mode=mode)


@pytest.mark.parametrize("kernel", ["any", "an outer product"])
def test_large_kernels_are_summed_as_they_are_written(kernel: str) -> None:
    """Neither transforms, which have blocks of their own, nor passes along the axes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, 150, 170), np.float32)
    w = rng.standard_normal((1, 1, 41, 41), np.float32)
    if kernel == "an outer product":
        w = w[..., :1] * w[..., :1, :]
    y = conv(da.from_array(x, chunks=(1, 1, 60, 80)), w, padding=20)
    with tw.precision("exact"):
        exact = tw.conv(x, w, padding=20)
    assert_same(y.compute(), exact, rtol=0, atol=0, reason=SAME_BITS)


def test_unbatched_input_and_dask_weights() -> None:
    x, w, b = numbers((3, 20, 20)), numbers((4, 3, 3, 3), seed=1), numbers((4,), seed=2)
    y = conv(
        da.from_array(x, chunks=(1, 7, 20)), da.from_array(w, chunks=2), da.from_array(b, chunks=1), padding=1
    )
    assert y.chunks == ((4,), (7, 7, 6), (20,))
    assert_same(y.compute(), tw.conv(x, w, b, padding=1), rtol=0, atol=0, reason=SAME_BITS)


def test_nothing_is_computed_before_it_is_asked_for_and_only_what_is_asked_for() -> None:
    met: list[Any] = []

    def chunk(block_info: Any = None) -> Any:
        met.append(block_info[None]["chunk-location"])
        return np.ones(block_info[None]["chunk-shape"])

    x = da.map_blocks(chunk, chunks=((1,), (1,), (10,) * 10), dtype="float64", meta=np.empty((0, 0, 0)))
    y = conv(x, np.ones((1, 1, 3)), padding="same")
    assert not met
    with dask.config.set(scheduler="synchronous"):
        assert y[0, 0, 35:40].compute().tolist() == [3.0] * 5
    # Chunk 3, and those that its halo reaches into.
    assert sorted(met) == [(0, 0, 2), (0, 0, 3), (0, 0, 4)]


def test_chunks_without_outputs_and_arrays_without_samples() -> None:
    x = numbers((2, 3, 10))
    w, b = numbers((2, 3, 2), seed=1), numbers((2,), seed=2)
    assert_conv(x, w, b, chunks=(1, 3, 1), stride=4)
    assert conv(da.from_array(x, chunks=(1, 3, 1)), w, stride=4).chunks == ((1, 1), (2,), (1, 1, 1))
    for shape in ((0, 3, 10), (2, 3, 0)):
        assert_conv(numbers(shape), w, b, chunks=shape, padding=3)
    assert_conv(numbers((2, 0, 10)), numbers((2, 0, 2)), b, chunks=(1, -1, 4))


def test_layouts_of_chunks_are_no_matter() -> None:
    x, w = numbers((1, 20, 20, 3)), numbers((2, 3, 3, 3), seed=1)
    y = conv(da.moveaxis(da.from_array(x, chunks=(1, 7, 6, 3)), -1, 1), w)
    expected = tw.conv(np.ascontiguousarray(np.moveaxis(x, -1, 1)), w)
    assert_same(y.compute(), expected, rtol=0, atol=0, reason=SAME_BITS)


def test_tasks_travel_and_are_named_by_what_they_compute() -> None:
    x, w = da.ones((1, 1, 20), chunks=6), np.ones((1, 1, 3))
    y = conv(x, w)
    assert pickle.loads(pickle.dumps(y)).compute().tolist() == y.compute().tolist()
    assert conv(x, w).name == y.name != conv(x, 2 * w).name


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_the_number_of_threads_is_as_before(scheduler: str) -> None:
    before = tw.get_num_threads()
    tw.set_num_threads(3)
    try:
        with dask.config.set(scheduler=scheduler, num_workers=4):
            conv(da.ones((4, 1, 60, 60), chunks=(1, 1, 30, 30)), np.ones((1, 1, 3, 3))).compute()
        assert tw.get_num_threads() == 3
    finally:
        tw.set_num_threads(before)


X = da.ones((1, 3, 8, 8), chunks=4)
W = np.ones((2, 3, 3, 3))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            (np.ones((1, 3, 8, 8)), W),
            DtypeError,
            "conv needs input to be a Dask array. Received: input of type ndarray. "
            "Make one first: dask.array.from_array(input).",
        ),
        (
            (X, [[1]]),
            DtypeError,
            "conv needs weight to be a NumPy array or a Dask array. Received: weight of type list. "
            "Convert it first: numpy.asarray(weight).",
        ),
        (
            (X, W.astype("float32")),
            DtypeError,
            "conv needs operands of one dtype. Received: input of float64, weight of float32. "
            "Convert one of them with astype.",
        ),
        (
            (X.astype(bool), W),
            DtypeError,
            "conv needs input of one of the dtypes float32, float64, int8, int16, int32, "
            "int64, uint8, uint16, "
            "uint32, uint64, float16, bfloat16, complex64, complex128, in native byte "
            "order. Received: input with "
            "shape (1, 3, 8, 8) and dtype bool. Convert it first, for example input.astype('float32').",
        ),
        (
            (X, np.ones((2, 3))),
            ShapeError,
            "conv needs weight of rank at least 3 (channels, channels, *kernel). "
            "Received: weight with shape (2, 3) and dtype float64.",
        ),
        (
            (X[0, 0], W),
            ShapeError,
            "conv needs input of rank 4 (batch, channels, height, width) or 3 (channels, height, width). "
            "Received: input with shape (8, 8) and dtype float64.",
        ),
        (
            (X, np.ones((2, 2, 3, 3))),
            ShapeError,
            "conv needs weight of shape (out_channels, in_channels/groups, *kernel). Received: input with 3 "
            "channels, weight with shape (2, 2, 3, 3), groups=1. With groups=1 this weight takes 2 channels.",
        ),
        (
            (X, W, np.ones(3)),
            ShapeError,
            "conv needs bias of shape (2,). Received: bias with shape (3,) and dtype float64.",
        ),
        ((X, W, None, 0), ArgumentError, "conv needs stride to be at least 1. Received: stride=0."),
        (
            (X[:, :, da.ones(8, chunks=4) > 0], W),
            ArgumentError,
            "conv needs input to have chunks of known sizes. Received: chunks=((1,), (3,), "
            "(nan, nan), (4, 4)). "
            "Compute them first: input.compute_chunk_sizes().",
        ),
    ],
)
def test_errors_come_when_the_graph_is_built(arguments: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        conv(*arguments)
    assert str(caught.value) == message


def test_an_unknown_padding_mode_is_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        conv(X, W, padding_mode="wrap")
    assert str(caught.value) == (
        "conv needs padding_mode to be one of 'zeros', 'reflect', 'replicate', 'circular'. "
        "Received: padding_mode='wrap'."
    )


def test_chunks_that_are_no_numpy_arrays_are_refused() -> None:
    x = X.map_blocks(np.ma.asarray, meta=np.ma.empty((0, 0, 0, 0)))
    assert conv(X, W).shape == (1, 2, 6, 6)
    with pytest.raises(DtypeError) as caught:
        conv(x, W)
    assert str(caught.value) == (
        "conv needs input to have chunks that are plain NumPy arrays. Received: input with chunks of type "
        "MaskedArray. Convert them first: input.map_blocks(numpy.asarray)."
    )
