"""One filter for every image: by hand, every dtype and layout, same bits however it is cut, and OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.image import correlating, in_place, terms
from tilewright.image.kernels import dense_term
from tilewright.image.plane_terms import is_over_planes

RNG = np.random.default_rng(0)
SHARP = np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def by_definition(image: Any, kernel: Any, border: str, cval: float = 0.0) -> Any:
    """Every window of the padded image, in float64; the kernel has the image's rank."""
    pads = [(size // 2, size - 1 - size // 2) for size in kernel.shape]
    padded = tw.image.pad_border(np.asarray(image, np.float64), pads, border, cval)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    return (windows * kernel).sum(axis=tuple(range(-kernel.ndim, 0)))


def outer(vectors: Any) -> Any:
    whole = np.ones(())
    for vector in vectors:
        whole = np.multiply.outer(whole, vector)
    return whole


# -- known answers


def test_by_hand() -> None:
    row = np.array([[0.0, 1.0, 4.0, 9.0]])
    slope = np.array([[-1.0, 0.0, 1.0]])
    for border, expected in (
        ("reflect", [1, 4, 8, 5]),
        ("mirror", [0, 4, 8, 0]),
        ("nearest", [1, 4, 8, 5]),
        ("wrap", [-8, 4, 8, -4]),
        ("constant", [-1, 4, 8, -2]),
    ):
        assert tw.image.filter(row, slope, border=border, cval=2.0).tolist() == [expected]
    assert tw.image.filter(row, slope, flip=True)[0].tolist() == [-1, -4, -8, -5]
    assert tw.image.filter(row, slope, origin=(0, 1), border="constant").tolist() == [[0, 1, 4, 8]]
    assert tw.image.filter(row[0], [1.0, 1.0]).tolist() == [0, 1, 5, 13]


def test_rounding_is_to_even_and_clips() -> None:
    pixels = np.array([1, 3, 5, 255], np.uint8)
    assert tw.image.filter(pixels, [0.5]).tolist() == [0, 2, 2, 128]
    assert tw.image.filter(pixels, [2.0]).tolist() == [2, 6, 10, 255]
    assert tw.image.filter(pixels, [-1.0]).tolist() == [0, 0, 0, 0]
    assert tw.image.filter(pixels, [-1.0], dtype=np.int16).tolist() == [-1, -3, -5, -255]
    assert tw.image.filter(pixels, [0.5], dtype=np.float32).tolist() == [0.5, 1.5, 2.5, 127.5]
    assert tw.image.filter(np.array([True, False, True]), [1 / 3, 1 / 3, 1 / 3]).tolist() == [
        True,
        True,
        True,
    ]
    assert tw.image.filter(np.array([True, False]), [0.5]).tolist() == [False, False]


def test_the_ends_of_every_integer() -> None:
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        limits = np.iinfo(dtype)
        ends = np.array([limits.min, limits.max], dtype)
        # Numbers above 2⁵³ are rounded to float64 on the way.
        exact = ends.itemsize < 8
        same = tw.image.filter(ends, [1.0])
        assert same.dtype == dtype
        assert (same == ends).all() or not exact
        assert tw.image.filter(ends, [4.0]).tolist() == [limits.min, limits.max]
        assert tw.image.filter(ends, [-4.0])[1] == (limits.min if limits.min else 0)
        assert tw.image.filter(np.array([np.inf, -np.inf, np.nan]), [1.0], dtype=dtype).tolist() == [
            limits.max,
            limits.min,
            0,
        ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_stay(dtype: str) -> None:
    image = RNG.standard_normal((9, 11)).astype(dtype)
    expected = by_definition(image, SHARP, "reflect").astype(dtype)
    found = tw.image.filter(image, SHARP)
    # Nine products, and the rounding to the dtype.
    assert_same(found, expected, rtol=0, atol=100 * float(np.finfo(dtype).eps), reason="sums of 9 products")


def test_nan_and_infinity_reach_as_far_as_the_kernel() -> None:
    image = np.zeros((40, 50), np.float32)
    image[20, 20], image[0, 49] = np.nan, np.inf
    for kernel in (np.ones((3, 5)), [np.ones(3), np.ones(5)]):
        found = tw.image.filter(image, kernel, border="constant")
        assert np.isnan(found).sum() == 15
        assert np.isinf(found).sum() == 6
    assert np.isnan(tw.image.filter(np.zeros((5, 5)), SHARP, border="constant", cval=np.nan)).sum() == 16


# -- kernels


def test_ways_to_give_a_kernel() -> None:
    image = RNG.random((12, 13))
    vector = np.array([1.0, 2.0, 1.0])
    expected = by_definition(image, np.outer(vector, vector), "mirror")
    for kernel in (
        np.outer(vector, vector),
        np.outer(vector, vector).tolist(),
        vector,
        (1, 2, 1),
        [vector, vector],
        (vector, vector),
        tw.image.Filter("mine", ((vector, vector),), "by hand", signed=False),
        tw.image.Filter("mine", (np.outer(vector, vector),), "by hand", signed=False),
    ):
        found = tw.image.filter(image, kernel, border="mirror")
        assert_same(found, expected, rtol=0, atol=1e-14, reason="sums of 9 products below 16")
    column = tw.image.filter(image, [vector, [1.0]], border="mirror")
    assert_same(
        column, by_definition(image, vector[:, None], "mirror"), rtol=0, atol=1e-14, reason="3 products"
    )
    by_name = tw.image.filter(image, "sobel")
    assert_same(by_name, tw.image.filter(image, tw.image.named("sobel")), rtol=0, atol=0, reason="the same")


def test_sums_of_kernels() -> None:
    image = RNG.random((30, 31))
    for name in ("unsharp", "difference_of_gaussians", "laplacian_of_gaussian"):
        one = tw.image.named(name)
        expected = by_definition(image, one.kernel, "reflect")
        assert_same(
            tw.image.filter(image, one), expected, rtol=0, atol=1e-13, reason="passes instead of a kernel"
        )


# -- every rank, dtype, layout and border


def _cases() -> Any:
    rng = np.random.default_rng(1)
    for number in range(400):
        rank = int(rng.integers(1, 5))
        spatial = rng.integers(1, (60, 30, 9, 6)[rank - 1], rank).tolist()
        channels = int(rng.integers(0, 5))
        dtype = ("float64", "float32", "uint8", "int32")[number % 4]
        shape = [*spatial, channels] if channels else spatial
        image = (
            rng.standard_normal(shape) if dtype == "float64" else rng.integers(0, 256, shape).astype(dtype)
        )
        vectors = [rng.standard_normal(rng.integers(1, 8 if rank < 3 else 4)) for _ in spatial]
        border = tw.image.border_names()[number % 5]
        yield rank, channels, image, vectors, border


def test_products_and_kernels_of_any_rank_and_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (rank, channels, image, vectors, border) in enumerate(_cases()):
        # Blocks of a few rows, or all at once.
        for name in ("PASS_BYTES", "BLOCK_BYTES"):
            monkeypatch.setattr(correlating, name, (64, 4096, 1 << 20)[number % 3])
        # Pictures in kernels of their own, or as volumes are.
        own = (lambda *_: False) if number % 5 < 2 else is_over_planes
        monkeypatch.setattr(correlating, "is_over_planes", own)
        # Filtered where it lies, with the edges apart; or from a copy with a border.
        monkeypatch.setattr(in_place, "_IN_PLACE_BYTES", 0 if number % 2 else 1 << 40)
        # Passes for any product, or for large ones.
        monkeypatch.setattr(terms, "_FEW_TAPS", (0, 27)[number // 2 % 2])
        wanted = np.float32 if image.dtype == np.float32 else np.float64
        whole = outer(vectors)
        expected = by_definition(image, whole[..., None] if channels else whole, border, 1.5)
        size = max(float(np.abs(image).max()), 1.5) * float(np.abs(whole).sum())
        for kernel in ([*vectors] if rank > 1 else vectors[0], whole):
            found = tw.image.filter(
                image, kernel, border=border, cval=1.5, channel_axis=-1 if channels else None, dtype=wanted
            )
            room = (1e-6 if wanted is np.float32 else 1e-14) * size * rank
            assert_same(
                found, expected.astype(wanted), rtol=0, atol=room, reason="rounding of sums and products"
            )


def test_layouts_have_the_same_bits() -> None:
    image = RNG.random((41, 53, 3), dtype=np.float32)
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    wide = np.zeros((41, 53, 4), np.float32)
    wide[..., :3] = image
    for kernel in (RNG.random((3, 3)), RNG.random((5, 4)), [RNG.random(7), RNG.random(5)], "unsharp"):
        expected = tw.image.filter(image, kernel, channel_axis=-1, border="mirror")
        assert expected.flags.c_contiguous
        for view, axis in (
            (planes, 0),
            (np.moveaxis(planes, 0, -1), 2),
            (np.asfortranarray(image), -1),
            (wide[..., :3], -1),
            (image[::-1][::-1], -1),
            (np.repeat(image, 2, axis=1)[:, ::2], -1),
            (np.moveaxis(image, -1, 1), 1),
        ):
            kept = view.copy()
            view.setflags(write=False)
            found = tw.image.filter(view, kernel, channel_axis=axis, border="mirror")
            assert_same(np.moveaxis(found, axis, -1), expected, rtol=0, atol=0, reason="the same sums")
            assert (view == kept).all()
        one = tw.image.filter(image[..., 1], kernel, border="mirror")
        assert_same(one, expected[..., 1], rtol=0, atol=0, reason="the same sums")


@pytest.mark.parametrize("kernel", [(3, 3), (9, 9), (13, 2), (1, 15), (15, 1), (17, 11), "passes"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("own", [True, False])
def test_blocks_edges_and_threads_leave_no_trace(
    kernel: Any, dtype: str, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not own:  # as volumes are filtered
        monkeypatch.setattr(correlating, "is_over_planes", lambda *_: False)
    # 13 and 17 rows of taps are taken apart into unequal pieces on a processor with 32 registers.
    rng = np.random.default_rng(2)
    image = rng.random((150, 71)).astype(np.float32) if dtype != "float64" else rng.random((150, 71))
    if dtype == "uint8":
        image = (image * 255).astype(np.uint8)
    weights: Any = [rng.random(9), rng.random(11)] if kernel == "passes" else rng.random(kernel)
    dtype = "float32" if dtype == "uint8" else dtype
    whole = tw.image.filter(image, weights, border="mirror", dtype=dtype)
    for low, high in ((0, 40), (37, 90), (60, 150), (149, 150), (100, 101)):
        # A part with what it needs around it, as a volume larger than memory is filtered.
        first, last = max(low - 20, 0), min(high + 20, 150)
        if low >= 20 and high <= 130:
            part = tw.image.filter(image[first:last], weights, border="mirror", dtype=dtype)
            assert_same(part[20:-20], whole[low:high], rtol=0, atol=0, reason="the same sums")
    threads = tw.get_num_threads()
    try:
        for count, size in ((1, 64), (2, 20000), (3, 1 << 30)):
            tw.set_num_threads(count)
            for name in ("PASS_BYTES", "BLOCK_BYTES"):
                monkeypatch.setattr(correlating, name, size)
            monkeypatch.setattr(in_place, "_IN_PLACE_BYTES", 0 if count < 3 else 1 << 40)
            again = tw.image.filter(image, weights, border="mirror", dtype=dtype)
            assert_same(again, whole, rtol=0, atol=0, reason="the same sums")
    finally:
        tw.set_num_threads(threads)


def test_pixels_of_very_many_channels() -> None:
    """Bands of a spectrum: as many as fit a kernel's scratch, and more."""
    for channels, kernel in ((499, np.ones((9, 9))), (999, np.ones((9, 9))), (2001, [np.ones(15)] * 2)):
        image = RNG.integers(0, 9, (6, 70, channels)).astype(np.float64)
        found = tw.image.filter(image, kernel, channel_axis=-1, border="wrap")
        some = tw.image.filter(np.ascontiguousarray(image[..., -1]), kernel, border="wrap")
        assert_same(found[..., -1], some, rtol=0, atol=0, reason="whole numbers are summed exactly")


def test_an_image_without_pixels() -> None:
    for shape in ((0,), (0, 5), (5, 0), (3, 0, 2)):
        assert tw.image.filter(np.zeros(shape, np.uint8), np.ones((3,) * len(shape))).shape == shape
    assert tw.image.filter(np.zeros((4, 4, 0)), SHARP, channel_axis=-1).shape == (4, 4, 0)
    assert tw.image.filter(np.ones((1, 1)), np.ones((9, 9))).tolist() == [[81.0]]


def test_lists_and_big_endian_numbers() -> None:
    assert tw.image.filter([[1, 2], [3, 4]], np.ones((1, 1))).tolist() == [[1, 2], [3, 4]]
    swapped = np.arange(6, dtype=">i2").reshape(2, 3)
    found = tw.image.filter(swapped, np.ones((3, 3)))
    assert found.dtype == np.int16
    assert found.tolist() == tw.image.filter(swapped.astype(np.int16), np.ones((3, 3))).tolist()


# -- OpenCV


OPENCV = {
    "reflect": "BORDER_REFLECT",
    "mirror": "BORDER_REFLECT_101",
    "nearest": "BORDER_REPLICATE",
    "constant": "BORDER_CONSTANT",
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_opencv(dtype: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is what this is compared with")
    rng = np.random.default_rng(3)
    for number in range(150):
        shape = (*rng.integers(1, 40, 2).tolist(), *((3,) if number % 2 else ()))
        image = (
            rng.random(shape).astype(dtype) if dtype[0] == "f" else rng.integers(0, 256, shape).astype(dtype)
        )
        size = rng.integers(1, 8, 2)
        # Whole weights: OpenCV computes in float32, where their sums are exact, as ours are.
        kernel = rng.integers(-4, 5, size).astype(np.float32)
        if number % 3 == 0:
            kernel /= 8
        name, value = list(OPENCV.items())[number % 4]
        if name == "mirror" and 1 in shape[:2]:
            continue
        theirs = cv2.filter2D(image, -1, kernel, borderType=getattr(cv2, value))
        ours = tw.image.filter(image, kernel, border=name, channel_axis=-1 if number % 2 else None)
        room = {"float32": 2e-5, "float64": 1e-13}.get(dtype, 0)
        assert_same(
            ours, theirs.reshape(shape), rtol=0, atol=room, reason="sums of up to 49 products of up to 4"
        )


def test_any_weights_on_bytes_are_off_by_one_at_most() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is what this is compared with")
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, (200, 300, 3)).astype(np.uint8)
    kernel = rng.random((5, 5)) / 12
    exact = np.clip(by_definition(image, kernel[..., None], "mirror"), 0, 255)
    ours = tw.image.filter(image, kernel, border="mirror", channel_axis=-1)
    theirs = cv2.filter2D(image, -1, kernel)
    # Sums in float32 are within 1e-4 of the exact ones, so they round alike but next to a half.
    assert (np.abs(ours - exact) <= 0.5 + 1e-4).all()
    assert (ours != theirs).mean() < 1e-3


# -- refusals


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: tw.image.filter(np.zeros((4, 4, 3)), SHARP),
            tw.ShapeError,
            "filter needs a kernel of the image's spatial rank 3, or vectors. Received: kernel with "
            "shape (3, 3) and "
            "dtype float64. Name the axis of the channels with channel_axis if the image has one.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), [np.ones(3), np.ones(3), np.ones(3)]),
            tw.ShapeError,
            "filter needs a vector for each of the image's 2 spatial axes. Received: 3 vectors.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4, 4)), tw.image.named("box")),
            tw.ShapeError,
            "filter needs a filter of the image's spatial rank 3. Received: the filter box of rank "
            "2. Make one with "
            "named(name, rank), and name the axis of the channels with channel_axis.",
        ),
        (
            lambda: tw.image.filter(np.array(3.0), SHARP),
            tw.ShapeError,
            "filter needs an image with a spatial axis. Received: image with shape () and dtype float64.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), np.ones((0, 3))),
            tw.ShapeError,
            "filter needs kernel to have an element on every axis. Received: kernel with shape (0, "
            "3) and dtype "
            "float64.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, origin=2),
            tw.ArgumentError,
            "filter needs origin to keep the output within a kernel of 3: between -1 and 1. "
            "Received: origin=2.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, origin=0.5),
            tw.DtypeError,
            "filter needs origin to be an integer, or one for each axis. Received: origin=0.5.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, origin=(0, 0, 0)),
            tw.ShapeError,
            "filter needs origin to be an integer, or one for each of 2 spatial axes. Received: "
            "origin=(0, 0, 0).",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, channel_axis=2),
            tw.ArgumentError,
            "filter needs channel_axis to be an axis of the image. Received: channel_axis=2, image "
            "with shape (4, 4) "
            "and dtype float64.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, channel_axis="last"),
            tw.DtypeError,
            "filter needs channel_axis to be an integer or None. Received: channel_axis='last'.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, dtype="picture"),
            tw.DtypeError,
            "filter needs dtype to be a dtype. Received: dtype='picture'.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, dtype=complex),
            tw.DtypeError,
            "filter needs dtype to be of bools, integers, float16, float32 or float64. Received: "
            "dtype=complex128.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4), complex), SHARP),
            tw.DtypeError,
            "filter needs image to be of bools, integers, float16, float32, float64. Received: image "
            "with shape "
            "(4, 4) and dtype complex128.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), None),
            tw.DtypeError,
            "filter needs kernel to be an array of numbers. Received: kernel=None.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), "blurry"),
            tw.ArgumentError,
            f"named needs the name of a filter: {', '.join(tw.image.names())}. Received: name='blurry'.",
        ),
        (
            lambda: tw.image.filter(np.zeros((4, 4)), SHARP, cval="black"),
            tw.DtypeError,
            "filter needs cval to be a real number. Received: cval='black'.",
        ),
        (
            lambda: tw.image.correlate(np.zeros((4, 4)), SHARP, axes=(0, 0)),
            tw.ArgumentError,
            "correlate needs axes of the input's 2, each but once. Received: axes=(0, 0).",
        ),
        (
            lambda: tw.image.correlate(np.zeros((4, 4)), SHARP, axes="x"),
            tw.DtypeError,
            "correlate needs axes to be integers or None. Received: axes='x'.",
        ),
        (
            lambda: tw.image.correlate(np.zeros((4, 4)), np.ones(3)),
            tw.ShapeError,
            "correlate needs weights with an axis for each of the 2 that are filtered. Received: "
            "weights with shape "
            "(3,) and dtype float64.",
        ),
        (
            lambda: tw.image.correlate(np.zeros((4, 4)), SHARP, output=np.zeros((4, 5))),
            tw.ShapeError,
            "correlate needs an output of the input's shape (4, 4). Received: output with shape (4, "
            "5) and dtype "
            "float64.",
        ),
        (
            lambda: tw.image.correlate(np.zeros((4, 4)), SHARP, output=np.broadcast_to(0.0, (4, 4))),
            tw.ArgumentError,
            "correlate needs an output that can be written to. Received: output with shape (4, 4) "
            "and dtype float64.",
        ),
        (
            lambda: tw.image.correlate(3.0, SHARP),
            tw.ShapeError,
            "correlate needs an input with an axis. Received: input with shape () and dtype float64.",
        ),
        (
            lambda: tw.image.correlate1d(np.zeros(4), SHARP),
            tw.ShapeError,
            "correlate1d needs weights to be a vector. Received: weights with shape (3, 3) and dtype "
            "float64.",
        ),
        (
            lambda: tw.image.sobel(np.zeros(4), 1),
            tw.ArgumentError,
            "sobel needs axis to be one of the input's 1. Received: axis=1.",
        ),
        (
            lambda: tw.image.sobel(np.zeros(4), None),
            tw.DtypeError,
            "sobel needs axis to be an integer. Received: axis=None.",
        ),
        (
            lambda: tw.image.gaussian_filter(np.zeros((4, 4)), (1, 2, 3)),
            tw.ShapeError,
            "gaussian_filter needs one sigma, or one for each of 2 axes. Received: sigma=(1, 2, 3).",
        ),
        (
            lambda: tw.image.gaussian_filter(np.zeros(4), -1.0),
            tw.ArgumentError,
            "gaussian_filter needs sigma to be a finite number of 0 or more. Received: sigma=-1.0.",
        ),
        (
            lambda: tw.image.gaussian_filter(np.zeros(4), float("nan")),
            tw.ArgumentError,
            "gaussian_filter needs sigma to be a finite number of 0 or more. Received: sigma=nan.",
        ),
        (
            lambda: tw.image.gaussian_filter(np.zeros(4), 1e9),
            tw.ArgumentError,
            "gaussian_filter needs at most 1048576 taps along an axis. Received: 8000000000 taps.",
        ),
        (
            lambda: tw.image.gaussian_filter1d(np.zeros(4), 1.0, order="2"),
            tw.DtypeError,
            "gaussian_filter1d needs order to be an integer. Received: order='2'.",
        ),
        (
            lambda: tw.image.uniform_filter(np.zeros(4), 0),
            tw.ArgumentError,
            "uniform_filter needs a size of 1 or more. Received: size=0.",
        ),
        (
            lambda: tw.image.uniform_filter(np.zeros(4), 2.0),
            tw.DtypeError,
            "uniform_filter needs size to be an integer. Received: size=2.0.",
        ),
        (
            lambda: tw.image.generic_laplace(np.zeros(4), "sobel"),
            tw.DtypeError,
            "generic_laplace needs a derivative that can be called. Received: derivative='sobel'.",
        ),
        (
            lambda: tw.image.laplace(np.zeros((4, 4)), mode=("wrap", "mirror", "wrap")),
            tw.ShapeError,
            "laplace needs one mode, or one for each of 2 axes. Received: mode=('wrap', 'mirror', 'wrap').",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message


def test_kernels_that_are_products_run_in_passes() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal(7), rng.standard_normal(5)
    whole = np.outer(*vectors)
    term = dense_term(whole, (0, 0), False)
    assert term.kernel is None and [axis for axis, _ in term.vectors] == [0, 1]
    product = np.outer(*(vector for _, vector in term.vectors))
    np.testing.assert_allclose(product, whole, rtol=1e-15)
    # What is summed along lines is no larger than the image: nothing overflows on the way.
    assert np.abs(term.vectors[1][1]).sum() <= 1
    other = whole.copy()
    other[3, 3] *= 1 + 1e-14
    # Of weights near the largest numbers a vector might have larger ones.
    large, none = np.full((9, 9), 1e38), np.full((5, 5), np.nan)
    for kernel in (other, whole[:3, :3], np.ones((1, 40)), np.ones((3, 5, 5)), none, large):
        assert dense_term(kernel, (0,) * kernel.ndim, False).kernel is kernel
    huge = tw.image.filter(np.full((9, 9), 1e-3, np.float32), large)
    assert_same(huge, np.full((9, 9), 81e35, np.float32), rtol=1e-5, atol=0, reason="float32")
    with tw.precision("exact"):
        assert dense_term(whole, (0, 0), False).kernel is whole
    assert dense_term(np.zeros((6, 6)), (0, 0), True).kernel is None
    image = rng.standard_normal((40, 50, 3))
    for flip in (False, True):
        passes = tw.image.filter(image, whole, channel_axis=-1, flip=flip)
        with tw.precision("exact"):
            one_go = tw.image.filter(image, whole, channel_axis=-1, flip=flip)
        assert_same(passes, one_go, rtol=0, atol=1e-13, reason="35 products of float64, in another order")
