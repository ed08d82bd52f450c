"""Other sizes: worked numbers, the definition in loops, and PyTorch's, OpenCV's and Pillow's pictures."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.resizing import METHODS, downsample, resize, upsample

EXACT = "whole numbers, or the same integers"
SINGLE = "a few roundings of float32"


def same(actual: Any, expected: Any) -> None:
    assert_same(actual, expected, rtol=0, atol=0, reason=EXACT)


# Known answers.


def test_a_row_made_longer() -> None:
    row = np.array([0.0, 4.0, 8.0])
    same(upsample(row), np.array([0.0, 0, 4, 4, 8, 8]))
    same(upsample(row, 2, "linear"), np.array([0.0, 1, 3, 5, 7, 8]))
    same(upsample(row.astype(np.uint8), 2, "linear"), np.array([0, 1, 3, 5, 7, 8], np.uint8))
    same(upsample(np.array([True, False]), 2), np.array([True, True, False, False]))


def test_a_row_made_shorter() -> None:
    row = np.array([0.0, 2, 4, 6, 8, 10])
    same(downsample(row, 2), np.array([1.0, 5, 9]))
    same(downsample(row, 3), np.array([2.0, 8]))
    same(downsample(row, 2, antialias=False), np.array([2.0, 6, 10]))
    same(downsample(row, 2, antialias=False, method="linear"), np.array([1.0, 5, 9]))
    # Four pixels of one and a half each: 0 and half of 2, the other half and 4, …
    same(resize(row, 4, "area") * 3, np.array([2.0, 10, 20, 28]))
    same(downsample(row, 100), np.array([5.0]))


def test_integers_are_rounded_half_to_even_and_clipped() -> None:
    same(downsample(np.array([0, 1, 2, 3, 254, 255], np.uint8)), np.array([0, 2, 254], np.uint8))
    step = np.array([0, 0, 255, 255], np.uint8)
    cubic = upsample(step.astype(np.float64), 2, "cubic")
    assert cubic.max() > 255 and cubic.min() < 0  # it overshoots
    same(upsample(step, 2, "cubic"), np.clip(np.rint(cubic), 0, 255).astype(np.uint8))
    large = np.array([2**53 - 3, 2**53 - 1], np.int64)
    same(downsample(large), np.array([2**53 - 2]))


def test_channels_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    found = resize(image, (9, 4), "cubic", channel_axis=-1)
    assert found.shape == (9, 4, 3)
    for channel in range(3):
        same(found[..., channel], resize(image[..., channel], (9, 4), "cubic"))
    same(resize(np.moveaxis(image, 2, 0), (9, 4), "cubic", channel_axis=0), np.moveaxis(found, 2, 0))


def test_the_same_size_is_a_copy() -> None:
    image = np.random.default_rng(0).random((3, 4))
    for method in METHODS:
        found = resize(image, (3, 4), method)
        same(found, image)
        assert not np.shares_memory(found, image)


def test_a_constant_stays_one_and_a_ramp_stays_where_it_is() -> None:
    for method in METHODS:
        for shape in ((5, 3), (14, 31), (7, 20)):
            found = resize(np.full((7, 9), 100, np.uint8), shape, method)
            same(found, np.full(shape, 100, np.uint8))
    # Sample i lies at (i + ½)·n/m − ½, of a ramp that is its own position.
    for length in (13, 24, 40):
        place = (np.arange(length) + 0.5) * 20 / length - 0.5
        found = resize(np.arange(20.0), length, "linear", antialias=False)
        inner = (place > 2) & (place < 17)
        assert_same(found[inner], place[inner], rtol=1e-12, atol=1e-12, reason="roundings of float64")


def area_by_definition(row: np.ndarray, size: int) -> np.ndarray:
    scale = len(row) / size
    found = np.zeros(size)
    for i in range(size):
        for j in range(len(row)):
            found[i] += max(0.0, min((i + 1) * scale, j + 1) - max(i * scale, j)) * row[j]
    return found / scale


def test_area_is_the_mean_of_what_is_covered() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        row = rng.random(int(rng.integers(1, 25)))
        size = int(rng.integers(1, 30))
        expected = area_by_definition(row, size)
        assert_same(
            resize(row, size, "area"), expected, rtol=1e-12, atol=1e-12, reason="roundings of float64"
        )


def test_nan_stays_where_it_has_a_weight() -> None:
    row = np.array([np.nan, 1, 2, 3, 4, 5, 6])
    for method in METHODS:
        found = resize(row, 4, method)
        assert np.isnan(found[0]) and np.isfinite(found[2:]).all()


def test_volumes_and_arrays_of_every_kind() -> None:
    volume = np.random.default_rng(2).random((4, 5, 6))
    expected = downsample(volume, (2, 1, 3))
    assert_same(
        expected,
        volume.reshape(2, 2, 5, 2, 3).mean((1, 4)),
        rtol=1e-14,
        atol=0,
        reason="roundings of float64",
    )
    for method in METHODS:
        whole = resize(volume, (3, 7, 6), method)
        assert whole.shape == (3, 7, 6)
        for view in (np.asfortranarray(volume), volume[::-1][::-1], volume.astype(">f8")):
            assert_same(resize(view, (3, 7, 6), method), whole, rtol=1e-13, atol=1e-13, reason="float64")
    four = np.random.default_rng(3).random((2, 4, 2, 4))
    expected = four.reshape(1, 2, 2, 2, 1, 2, 2, 2).mean((1, 3, 5, 7))
    assert_same(downsample(four, 2), expected, rtol=1e-13, atol=0, reason="roundings of float64")
    read_only = np.broadcast_to(np.arange(4, dtype=np.uint8), (3, 4))
    same(upsample(read_only, (1, 2)), np.repeat(read_only, 2, axis=1))
    assert upsample(np.float16([1, 2]), 2, "linear").dtype == np.float16


# Peers.


def test_pytorch_gives_the_same_numbers() -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    rng = np.random.default_rng(4)
    names = {"nearest": "nearest-exact", "linear": "bilinear", "cubic": "bicubic"}
    for _ in range(200):
        image = rng.random(rng.integers(1, 20, 2)).astype(np.float32)
        shape = tuple(rng.integers(1, 30, 2).tolist())
        method = str(rng.choice(list(names)))
        antialias = method != "nearest" and bool(rng.random() < 0.5)
        antialias = antialias and any(new < old for new, old in zip(shape, image.shape, strict=True))
        words = {} if method == "nearest" else {"antialias": antialias}
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(image)[None, None], size=shape, mode=names[method], **words
        )[0, 0].numpy()
        found = resize(image, shape, method, antialias)
        assert_same(found, expected, rtol=2e-6, atol=2e-6, reason=SINGLE)


def test_opencv_gives_the_same_bytes() -> None:
    cv2 = pytest.importorskip("cv2", reason="compares with OpenCV")
    rng = np.random.default_rng(5)
    for _ in range(100):
        image = rng.integers(0, 256, (*rng.integers(4, 40, 2), 3), dtype=np.uint8)
        height, width = (int(size) for size in rng.integers(4, 60, 2))
        near = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        # Where a centre lies on the edge of two pixels, rounding decides in OpenCV.
        found = resize(image, (height, width), "nearest", channel_axis=2)
        rows, columns = (
            (2 * np.arange(new) + 1) * old % (2 * new) != 0
            for new, old in zip((height, width), image.shape, strict=False)
        )
        same(found[rows][:, columns], near[rows][:, columns])
        # OpenCV's integers have weights of 11 bits: a level more or less.
        for method, flag in (("linear", cv2.INTER_LINEAR), ("cubic", cv2.INTER_CUBIC)):
            expected = cv2.resize(image, (width, height), interpolation=flag).astype(int)
            found = resize(image, (height, width), method, antialias=False, channel_axis=2)
            assert np.abs(found - expected).max() <= 1
        if height <= image.shape[0] and width <= image.shape[1]:
            expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(int)
            found = resize(image, (height, width), "area", channel_axis=2)
            assert np.abs(found - expected).max() <= 1


def test_pillow_gives_the_same_bytes_where_pictures_shrink() -> None:
    pillow = pytest.importorskip("PIL.Image", reason="compares with Pillow")
    rng = np.random.default_rng(6)
    for _ in range(60):
        image = rng.integers(0, 256, rng.integers(8, 60, 2), dtype=np.uint8)
        shape = tuple(int(rng.integers(1, size + 1)) for size in image.shape)
        for method, flag in (("linear", pillow.Resampling.BILINEAR), ("cubic", pillow.Resampling.BICUBIC)):
            expected = np.asarray(pillow.fromarray(image).resize(shape[::-1], flag)).astype(int)
            # Pillow rounds after each axis, and clips the overshoot of the first one.
            found = resize(image, shape, method).astype(int)
            assert np.abs(found - expected).max() <= (1 if method == "linear" else 12)
            assert np.abs(found - expected).mean() <= 0.6


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: resize(np.zeros((2, 3)), (4, 4, 4)),
            ShapeError,
            "resize needs one shape, or one for each of 2 axes. Received: shape=(4, 4, 4).",
        ),
        (
            lambda: resize(np.zeros((2, 3)), (4, 0)),
            ArgumentError,
            "resize needs shape to be between 1 and 2147483648. Received: shape=0.",
        ),
        (
            lambda: resize(np.zeros((2, 3)), 2.0),
            DtypeError,
            "resize needs shape to be an integer. Received: shape=2.0.",
        ),
        (
            lambda: resize(np.zeros((2, 3)), 4, "bilinear"),
            ArgumentError,
            "resize needs method to be one of 'nearest', 'linear', 'cubic', 'area'. Received: "
            "method='bilinear'.",
        ),
        (
            lambda: resize(np.zeros((2, 3), bool), 4),
            DtypeError,
            "resize needs integers or floats for the method 'linear'; bools go with 'nearest'. "
            "Received: image "
            "with shape (2, 3) and dtype bool.",
        ),
        (
            lambda: resize(np.zeros((0, 3)), 4),
            ShapeError,
            "resize needs an image with pixels. Received: image with shape (0, 3) and dtype float64.",
        ),
        (
            lambda: resize(np.zeros((2, 3)), 2**31),
            ArgumentError,
            "resize needs a result of at most 2³⁵ values. Received: shape=(2147483648, 2147483648).",
        ),
        (
            lambda: upsample(np.zeros(3), 0.5),
            ArgumentError,
            "upsample needs factor to be a finite number of 1 or more. Received: factor=0.5.",
        ),
        (
            lambda: upsample(np.zeros(3), 1e12),
            ArgumentError,
            "upsample needs a factor that makes no axis longer than 2147483648 pixels. Received: "
            "factor=1000000000000.0.",
        ),
        (
            lambda: downsample(np.zeros(3), float("nan")),
            ArgumentError,
            "downsample needs factor to be a finite number of 1 or more. Received: factor=nan.",
        ),
        (
            lambda: downsample(np.zeros(3), "2"),
            DtypeError,
            "downsample needs factor to be a number. Received: factor='2'.",
        ),
        (
            lambda: downsample(np.zeros((3, 3)), (1, 2, 3)),
            ShapeError,
            "downsample needs one factor, or one for each of 2 axes. Received: factor=(1, 2, 3).",
        ),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
