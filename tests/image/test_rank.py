"""Rank filters: known answers, SciPy's numbers to the bit, and what SciPy leaves open."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image import rank as ranks
from tilewright.image import rank_blocks
from tilewright.image.rank import (
    maximum_filter,
    median_filter,
    minimum_filter,
    percentile_filter,
    rank_filter,
)

EXACT = "a rank filter moves samples and computes nothing"
MODES = ("reflect", "mirror", "nearest", "wrap", "constant")
DTYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"
)  # fmt: skip


def same(actual: Any, expected: Any) -> None:
    assert_same(actual, expected, rtol=0, atol=0, reason=EXACT)


# Known answers.


def test_a_median_takes_single_wild_values_away() -> None:
    image = np.full((5, 5), 7, np.uint8)
    image[1, 1], image[3, 2] = 255, 0
    same(median_filter(image), np.full((5, 5), 7, np.uint8))
    same(maximum_filter(image)[0], np.array([255, 255, 255, 7, 7], np.uint8))
    same(minimum_filter(image)[4], np.array([7, 0, 0, 0, 7], np.uint8))


def test_of_two_in_the_middle_the_larger_one_is_taken() -> None:
    same(median_filter(np.array([1, 5, 2, 8]), 2), np.array([1, 5, 5, 8]))


def test_ranks_and_percentiles_count_from_both_ends() -> None:
    row = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    same(rank_filter(row, -1, 3), maximum_filter(row, 3))
    same(rank_filter(row, 0, 3), minimum_filter(row, 3))
    same(percentile_filter(row, 50, 3), median_filter(row, 3))
    same(percentile_filter(row, -20, 5), percentile_filter(row, 80, 5))
    same(percentile_filter(row, 100, 3), maximum_filter(row, 3))


def test_axes_leave_the_channels_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    found = median_filter(image, 3, axes=(0, 1))
    for channel in range(3):
        same(found[..., channel], median_filter(image[..., channel], 3))
    same(median_filter(image, (3, 1), axes=(1, 0)), median_filter(image, (1, 3, 1)))
    same(median_filter(image, 3, axes=-3), median_filter(image, (3, 1, 1)))
    footprint = np.array([[1, 1, 0], [0, 1, 0]])
    same(
        median_filter(image, footprint=footprint, axes=(1, 0)),
        median_filter(image, footprint=footprint.T[..., None]),
    )


# SciPy.


def scipys(
    name: str, image: np.ndarray, footprint: np.ndarray | None, *given: Any, **words: Any
) -> np.ndarray:
    """SciPy's answer. Its filter for one axis doesn't see gaps in a footprint, so it gets a picture of "
    "one row."""
    ndimage = pytest.importorskip("scipy.ndimage", reason="compares with SciPy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a size beside a footprint
        if image.ndim > 1:
            return np.asarray(getattr(ndimage, name)(image, *given, footprint=footprint, **words))
        words["size"] = (1, *words["size"]) if "size" in words else None
        words["origin"] = (0, *words["origin"])
        row = None if footprint is None else footprint[None]
        return np.asarray(getattr(ndimage, name)(image[None], *given, footprint=row, **words))[0]


@pytest.mark.parametrize("part", range(20))
def test_two_thousand_cases_are_scipys_to_the_bit(part: int) -> None:
    rng = np.random.default_rng([part, 6])
    for _ in range(100):
        rank = int(rng.integers(1, 4))
        shape = tuple(rng.integers(1, 11, rank).tolist())
        dtype = np.dtype(str(rng.choice(DTYPES)))
        values = rng.integers(0, 2 if dtype.kind == "b" else 100, shape)
        image = (values - 50 if dtype.kind in "if" else values).astype(dtype)
        sizes = tuple(rng.integers(1, 6, rank).tolist())
        footprint = rng.random(sizes) < 0.6 if rng.random() < 0.4 else None
        if footprint is not None and not footprint.any():
            footprint[...] = True
        count = int(np.prod(sizes) if footprint is None else footprint.sum())
        words: dict[str, Any] = {} if footprint is not None else {"size": sizes}
        words["mode"] = str(rng.choice(MODES))
        # A constant that every dtype holds but for its fraction: SciPy's cast of others is undefined in C.
        words["cval"] = (
            float(rng.integers(0, 2)) if dtype.kind == "b" else round(float(rng.uniform(0, 90)), 1)
        )
        words["origin"] = tuple(int(rng.integers(-(size // 2), size - size // 2)) for size in sizes)
        name = str(rng.choice(["median", "minimum", "maximum", "rank", "percentile"])) + "_filter"
        given: tuple[Any, ...] = ()
        if name == "rank_filter":
            given = (int(rng.integers(-count, count)),)
        elif name == "percentile_filter":
            given = (round(float(rng.uniform(-100, 100)), 1),)
        found = getattr(ranks, name)(image, *given, footprint=footprint, **words)
        same(found, scipys(name, image, footprint, *given, **words))


def test_a_real_picture_and_its_noise(data_root: Path) -> None:
    image_files = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
    with image_files.open(data_root / "photos" / "text.png") as file:
        image = np.asarray(file.convert("L"))
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(image.shape) < 0.1, rng.choice([0, 255], image.shape), image).astype(np.uint8)
    for size in (3, 4, 5, 9):
        same(median_filter(noisy, size), scipys("median_filter", noisy, None, size=size))
    found = median_filter(noisy).astype(float)
    # Of the noise's squared error, 8 % stay and belong to thin strokes of the pen.
    assert np.mean((found - image) ** 2) < 0.1 * np.mean((noisy.astype(float) - image) ** 2)


# What SciPy leaves open.


def test_windows_that_fill_their_axis_share_nothing_and_compute_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The median of a pile of frames is one window a pixel: no comparison reaches beyond it."""
    frames = np.random.default_rng(0).integers(0, 99, (15, 5000)).astype(np.int16)
    compared = 0

    def counted(choose: Any) -> Any:
        def count(left: Any, right: Any, out: Any) -> Any:
            nonlocal compared
            compared += len(left)
            return choose(left, right, out=out)

        return count

    known = rank_blocks._chooser
    monkeypatch.setattr(rank_blocks, "_chooser", lambda *which: counted(known(*which)))
    places = tuple((place, 0) for place in range(15))
    found = rank_blocks.of_rank(frames, (15, 1), places, 7, False)
    assert (found[0] == np.sort(frames, axis=0)[7]).all()
    # Fewer than sorting by exchanges takes: 15·14 / 2, of two comparisons each.
    assert 0 < compared <= 15 * 14 * frames.shape[1]


def test_integers_of_64_bits_are_compared_as_integers() -> None:
    row = np.array([2**62, 2**62 + 1, 2**62 + 2, 0, 1], np.int64)
    same(median_filter(row, 3), np.array([2**62, 2**62 + 1, 2**62 + 1, 1, 1]))
    wide = np.array([2**64 - 1, 2**64 - 2, 2**64 - 3], np.uint64)
    same(median_filter(wide, 3, mode="nearest"), np.array([2**64 - 1, 2**64 - 2, 2**64 - 3], np.uint64))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("sizes", [(3, 3), (1, 5), (2, 4)])
def test_nan_counts_as_the_largest(dtype: str, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = rng.standard_normal((9, 11)).astype(dtype)
    image[rng.random(image.shape) < 0.3] = np.nan
    image[0, 0], image[8, 10] = np.inf, -np.inf
    padded = np.pad(image, [(size // 2, size - 1 - size // 2) for size in sizes], mode="symmetric")
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, sizes).reshape(9, 11, -1), axis=2)
    for place in range(sizes[0] * sizes[1]):
        same(rank_filter(image, place, sizes), windows[..., place])


def test_halves_are_taken_as_they_are() -> None:
    image = np.random.default_rng(2).standard_normal((8, 9)).astype(np.float16)
    same(median_filter(image), median_filter(image.astype(np.float64)).astype(np.float16))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_blocks_and_chunks_leave_no_trace(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(3).integers(0, 256, (37, 41)).astype(dtype)
    image[image > 250] = 0
    if dtype == "float32":
        image[image == 0] *= -1  # zeros of both signs
    whole = {size: median_filter(image, size) for size in (3, 5, 6)}
    largest = maximum_filter(image, 7)
    monkeypatch.setattr(ranks, "_BLOCK", 100)
    monkeypatch.setattr(rank_blocks, "_SCRATCH_BYTES", 1)
    monkeypatch.setattr(rank_blocks, "_LEAST_CHUNK", 17)
    for size, expected in whole.items():
        assert median_filter(image, size).tobytes() == expected.tobytes()
    assert maximum_filter(image, 7).tobytes() == largest.tobytes()


def test_large_windows_are_sorted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(4).standard_normal((12, 13))
    expected = median_filter(image, (5, 4)), median_filter(image, footprint=np.eye(5))
    monkeypatch.setattr(rank_blocks, "_MOST_SORTED_TOGETHER", 3)
    monkeypatch.setattr(rank_blocks, "_WINDOW_BYTES", 1000)
    same(median_filter(image, (5, 4)), expected[0])
    same(median_filter(image, footprint=np.eye(5)), expected[1])
    image[3, 3] = np.nan
    assert np.isfinite(median_filter(image, (5, 4))).all()


def test_a_window_of_many_samples() -> None:
    image = np.random.default_rng(5).integers(0, 256, (40, 50), dtype=np.uint8)
    same(median_filter(image, 35), scipys("median_filter", image, None, size=35))


def test_arrays_of_every_kind_are_read_and_none_is_written_to() -> None:
    base = np.random.default_rng(6).integers(0, 99, (12, 14))
    for image in (base[::-1, ::2], base.T, np.broadcast_to(base[:1], (5, 14)), np.asfortranarray(base)):
        image.setflags(write=False)
        same(median_filter(image), median_filter(np.ascontiguousarray(image)))
    same(median_filter(base.tolist()), median_filter(base))
    same(median_filter(np.array([[5]])), np.array([[5]]))
    assert median_filter(np.zeros((0, 4)), mode="constant").shape == (0, 4)
    assert median_filter(np.zeros((3, 0), np.uint8), (3, 1)).shape == (3, 0)
    swapped = base.astype(">i4")
    same(median_filter(swapped), median_filter(base.astype("i4")))


def test_the_constant_keeps_no_fraction_and_fits_its_dtype() -> None:
    image = np.full((1, 1), 7, np.uint8)
    for cval, expected in ((3.9, 3), (-5, 0), (1e9, 255), (np.inf, 255), (np.nan, 0)):
        found = minimum_filter(image, 3, mode="constant", cval=cval)
        assert found[0, 0] == min(expected, 7)


IMAGE = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"size": 0}, ArgumentError, "median_filter needs size to be at least 1. Received: size=0."),
        (
            {"size": (3, 3, 3)},
            ShapeError,
            "median_filter needs size to be an integer or one for each of 2 axes. Received: size=(3, 3, 3).",
        ),
        (
            {"size": 300},
            ArgumentError,
            "median_filter needs a window of at most 65536 samples. Received: a window of 300 × 300.",
        ),
        (
            {"size": 2.5},
            DtypeError,
            "median_filter needs size to be an integer or one per axis. Received: size=2.5.",
        ),
        (
            {"size": "3"},
            DtypeError,
            "median_filter needs size to be an integer or one per axis. Received: size='3'.",
        ),
        (
            {"size": None},
            DtypeError,
            "median_filter needs size to be an integer or one per axis. Received: size=None.",
        ),
        (
            {"footprint": np.ones(3)},
            ShapeError,
            "median_filter needs a footprint of rank 2, that of the axes filtered along. Received: footprint "
            "with shape (3,) and dtype bool.",
        ),
        (
            {"footprint": np.zeros((3, 3))},
            ArgumentError,
            "median_filter needs a footprint that is true somewhere. Received: footprint with shape (3, "
            "3) and "
            "dtype bool. numpy.ones(size).",
        ),
        (
            {"mode": "mirrored"},
            ArgumentError,
            "median_filter needs mode to be one of 'reflect', 'mirror', 'nearest', 'wrap', 'constant', "
            "'grid-mirror', 'grid-wrap', 'grid-constant'. Received: mode='mirrored'.",
        ),
        ({"cval": "0"}, DtypeError, "median_filter needs cval to be a real number. Received: cval='0'."),
        (
            {"origin": 2},
            ArgumentError,
            "median_filter needs origin to keep the window's middle inside the window. Received: origin=2, "
            "size=(3, 3).",
        ),
        (
            {"origin": True},
            DtypeError,
            "median_filter needs origin to be an integer or one per axis. Received: origin=True.",
        ),
        (
            {"axes": 2},
            ArgumentError,
            "median_filter needs axes to be different axes of the image, which has 2. Received: axes=2.",
        ),
        (
            {"axes": (0, -2)},
            ArgumentError,
            "median_filter needs axes to be different axes of the image, which has 2. Received: "
            "axes=(0, -2).",
        ),
        (
            {"axes": "0"},
            DtypeError,
            "median_filter needs axes to be an integer or several. Received: axes='0'.",
        ),
    ],
)
def test_what_is_refused(words: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        median_filter(IMAGE, **words)


def test_images_ranks_and_percentiles_that_are_refused() -> None:
    with pytest.raises(
        DtypeError, match=r"needs image to be of bools, integers, .*Received: image with shape"
    ):
        median_filter(np.zeros((2, 2), complex))
    with pytest.raises(DtypeError, match=r"needs image to be of bools, integers, .*Received: image"):
        median_filter("picture")
    message = (
        "median_filter needs an image with at least one axis. Received: image with shape () and dtype int64."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        median_filter(np.array(3, np.int64))
    with pytest.raises(
        ShapeError, match=r"needs a sample to continue on every padded axis\. Received: \(1, 1\)"
    ):
        median_filter(np.zeros((0, 3)))
    message = "rank_filter needs rank to be from -9 to 8 for a window of 9 samples. Received: rank=9."
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        rank_filter(IMAGE, 9)
    with pytest.raises(
        DtypeError, match=r"^rank_filter needs rank to be an integer\. Received: rank=1\.0\.$"
    ):
        rank_filter(IMAGE, 1.0)  # type: ignore[arg-type]
    message = "percentile_filter needs percentile to be from -100 to 100. Received: percentile=nan."
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        percentile_filter(IMAGE, float("nan"))
    message = "percentile_filter needs percentile to be a number. Received: percentile='50'."
    with pytest.raises(DtypeError, match=f"^{re.escape(message)}$"):
        percentile_filter(IMAGE, "50")  # type: ignore[arg-type]
