"""Noise taken away: the definitions in loops, OpenCV and scikit-image beside them, and wrong calls."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image import windows
from tilewright.image.noise import estimate_sigma
from tilewright.image.restoration import (
    METHODS,
    denoise,
    denoise_bilateral,
    denoise_nl_means,
    unsharp_mask,
)

DOUBLE = "sums in another order, in float64"


def psnr(found: np.ndarray, clean: np.ndarray) -> float:
    return -10 * math.log10(float(np.mean((found - clean) ** 2)))


def around(image: np.ndarray, reach: int, mode: str) -> np.ndarray:
    """Every pixel's surroundings: (*shape, 2·reach + 1, …)."""
    padded = np.pad(image, reach, mode=mode)  # type: ignore[call-overload]
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * image.ndim)


# The definitions, in loops.


def bilateral(image: np.ndarray, size: int, colour: float, spatial: float) -> np.ndarray:
    seen = around(image, size // 2, "symmetric")
    grid = np.indices((size,) * image.ndim) - size // 2
    near = np.exp(-(grid**2).sum(0) / (2 * spatial**2))
    out = np.empty_like(image)
    for at in np.ndindex(image.shape):
        weights = near * np.exp(-((seen[at] - image[at]) ** 2) / (2 * colour**2))
        out[at] = (weights * seen[at]).sum() / weights.sum()
    return out


def nonlocal_means(image: np.ndarray, patch: int, reach: int, h: float, sigma: float) -> np.ndarray:
    half = patch // 2
    padded = np.pad(image, reach + half, mode="reflect")
    patches = np.lib.stride_tricks.sliding_window_view(padded, (patch,) * image.ndim)
    out = np.empty_like(image)
    for at in np.ndindex(image.shape):
        middle = tuple(i + reach for i in at)
        weights = total = 0.0
        for shift in itertools.product(range(-reach, reach + 1), repeat=image.ndim):
            there = tuple(i + j for i, j in zip(middle, shift, strict=True))
            distance = np.mean((patches[there] - patches[middle]) ** 2) - 2 * sigma**2
            weight = math.exp(-max(distance, 0) / h**2)
            weights += weight
            total += weight * padded[tuple(i + half for i in there)]
        out[at] = total / weights
    return out


@pytest.mark.parametrize("shape", [(9,), (7, 11), (1, 5), (5, 6, 7)])
def test_bilateral_is_its_definition(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).random(shape)
    found = denoise_bilateral(image, 5, 0.3, 1.2)
    assert_same(found, bilateral(image, 5, 0.3, 1.2), rtol=1e-12, atol=1e-13, reason=DOUBLE)


@pytest.mark.parametrize(("patch", "reach"), [(1, 2), (3, 2), (5, 3), (7, 1), (3, 0)])
@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_nonlocal_means_are_their_definition(patch: int, reach: int, sigma: float) -> None:
    image = np.random.default_rng(1).random((12, 14))
    found = denoise_nl_means(image, patch, reach, 0.25, sigma)
    expected = nonlocal_means(image, patch, reach, 0.25, sigma)
    assert_same(found, expected, rtol=1e-11, atol=1e-12, reason=DOUBLE)


def test_nonlocal_means_of_volumes_and_lines() -> None:
    for shape in ((20,), (6, 7, 8)):
        image = np.random.default_rng(2).random(shape)
        found = denoise_nl_means(image, 3, 2, 0.3)
        assert_same(found, nonlocal_means(image, 3, 2, 0.3, 0), rtol=1e-11, atol=1e-12, reason=DOUBLE)


def test_channels_weigh_together() -> None:
    grey = np.random.default_rng(3).random((8, 9))
    colour = np.stack([grey] * 4, axis=-1)
    # Four equal channels are twice as far apart as one.
    found = denoise_bilateral(colour, 5, 0.4, 1.0, channel_axis=-1)
    expected = denoise_bilateral(grey, 5, 0.2, 1.0)
    assert_same(found[..., 2], expected, rtol=1e-12, atol=1e-13, reason=DOUBLE)
    # And their mean squared difference is that of one.
    found = denoise_nl_means(colour, 3, 2, 0.2, channel_axis=-1)
    assert_same(found[..., 1], denoise_nl_means(grey, 3, 2, 0.2), rtol=1e-12, atol=1e-13, reason=DOUBLE)


def test_tiles_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(4).random((30, 33)).astype(np.float32)
    calls = [lambda: denoise_bilateral(image, 5, 0.2), lambda: denoise_nl_means(image, 3, 2, 0.2)]
    whole = [call() for call in calls]
    monkeypatch.setattr(windows, "_TILE", 49)
    for call, expected in zip(calls, whole, strict=True):
        assert call().tobytes() == expected.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
def test_every_method_keeps_what_has_no_noise(method: str, dtype: str) -> None:
    image = np.full((9, 10), 100).astype(dtype)
    found = denoise(image, method)
    assert_same(found, image, rtol=1e-6, atol=0, reason="a mean of equal numbers, in float32")
    assert found is not image


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_picture_better(method: str, data_root: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
    with pillow.open(data_root / "photos" / "camera.png") as file:
        clean = np.asarray(file.convert("L"))[128:384, 128:384] / 255
    noisy = clean + np.random.default_rng(0).normal(0, 0.08, clean.shape)
    before, after = psnr(noisy, clean), psnr(denoise(noisy, method), clean)
    # 22 dB; 26 by the median to 29 by non-local means.
    assert after > before + (5.5 if method in ("bilateral", "nonlocal") else 3.5)
    levels = np.clip(np.rint(noisy * 255), 0, 255).astype(np.uint8)
    assert psnr(denoise(levels, method) / 255, clean) > before + 3


def test_scikit_image_does_no_better(data_root: Path) -> None:
    restoration = pytest.importorskip("skimage.restoration", reason="compares with scikit-image")
    pillow = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
    with pillow.open(data_root / "photos" / "coins.png") as file:
        clean = np.asarray(file.convert("L"))[:120, :120] / 255
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.08, clean.shape), 0, 1)
    found = denoise_nl_means(noisy, h=0.06, sigma=0.08)
    assert psnr(found, clean) > psnr(restoration.denoise_nl_means(noisy, h=0.06, sigma=0.08), clean) - 0.05


def test_the_bilateral_filter_is_opencvs_in_a_square() -> None:
    cv2 = pytest.importorskip("cv2", reason="compares with OpenCV")
    image = np.random.default_rng(5).random((20, 22)).astype(np.float32)
    # OpenCV looks at a disc, of which a square of 3 lacks the corners unless the Gaussian makes them small.
    expected = cv2.bilateralFilter(image, 5, 0.3, 0.45, borderType=cv2.BORDER_REFLECT)
    found = denoise_bilateral(image, 5, 0.3, 0.45)
    # Outside the disc weigh exp(−5/(2·0.45²)) = 4e-6 and less; OpenCV's table of exp has steps of about 1e-4.
    assert np.abs(found - expected).max() < 1e-3


# How much noise.


@pytest.mark.parametrize("sigma", [0.5, 5.0, 40.0])
def test_noise_is_measured(sigma: float) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((256, 256))
    picture = 100 + 50 * np.sin(rows / 20) + (columns > 128) * 60
    assert estimate_sigma(picture + rng.normal(0, sigma, picture.shape)) == pytest.approx(sigma, rel=0.05)


def test_noise_of_channels_volumes_and_nothing() -> None:
    rng = np.random.default_rng(1)
    image = np.stack([rng.normal(0, sigma, (200, 200)) for sigma in (1, 2, 4)], axis=-1)
    assert estimate_sigma(image, channel_axis=-1) == pytest.approx([1, 2, 4], rel=0.05)
    assert estimate_sigma(image, True, channel_axis=-1) == pytest.approx(7 / 3, rel=0.05)
    assert estimate_sigma(rng.normal(0, 3, (30, 30, 30))) == pytest.approx(3, rel=0.05)
    assert estimate_sigma(rng.normal(0, 3, 5000)) == pytest.approx(3, rel=0.1)
    assert estimate_sigma(np.full((5, 5), 7)) == 0.0
    assert estimate_sigma(np.ones((1, 1))) == 0.0
    image[3, 3] = np.nan
    assert estimate_sigma(image, True, channel_axis=-1) == pytest.approx(7 / 3, rel=0.05)


def test_details_are_those_of_the_wavelet() -> None:
    from tilewright.image.noise import _DETAIL, _details

    # Two vanishing moments and length 1: it answers to no ramp, and to noise as it is.
    taps = np.array(_DETAIL)
    assert abs(taps.sum()) < 1e-15 and abs((taps * np.arange(4)).sum()) < 1e-15
    assert (taps**2).sum() == pytest.approx(1, abs=1e-15)
    found = _details(np.array([1.0, 2, 4, 8]), 0)
    extended = np.array([4.0, 2, 1, 1, 2, 4, 8, 8, 4, 2])
    expected = [sum(taps[j] * extended[3 + 2 * k + 1 - j] for j in range(4)) for k in range(3)]
    assert_same(found, np.array(expected), rtol=0, atol=1e-15, reason="roundings of float64")


# Sharper.


def test_unsharp_masks_are_scikit_images() -> None:
    filters = pytest.importorskip("skimage.filters", reason="compares with scikit-image")
    rng = np.random.default_rng(6)
    for _ in range(20):
        image = rng.random((12, 15)) * 1.2 - (0.1 if rng.random() < 0.5 else 0)
        words = {"radius": float(rng.uniform(0.3, 3)), "amount": float(rng.uniform(-1, 3))}
        words["preserve_range"] = bool(rng.random() < 0.5)
        expected = filters.unsharp_mask(image, **words)
        assert_same(unsharp_mask(image, **words), expected, rtol=1e-12, atol=1e-12, reason=DOUBLE)


def test_unsharp_masks_of_integers_stay_integers() -> None:
    edge = np.repeat(np.array([50, 200], np.uint8), 6)[None]
    found = unsharp_mask(edge, 1, 3)
    assert found.dtype == np.uint8 and found.min() == 0 and found.max() == 255
    assert_same(unsharp_mask(edge, 1, 0), edge, rtol=0, atol=0, reason="nothing is added")


# All kinds of arrays.


@pytest.mark.parametrize("method", METHODS)
def test_arrays_of_every_kind(method: str) -> None:
    image = np.random.default_rng(7).random((12, 10))
    expected = denoise(image, method)
    wide = np.zeros((24, 20))
    wide[::2, ::2] = image
    for view in (
        np.asfortranarray(image),
        wide[::2, ::2],
        image[::-1][::-1],
        image.tolist(),
        image.astype(">f8"),
    ):
        assert_same(denoise(view, method), expected, rtol=1e-13, atol=1e-14, reason=DOUBLE)
    wide.setflags(write=False)
    denoise(wide, method)
    for shape in ((1, 1), (1,), (2, 1, 3)):
        assert denoise(np.full(shape, 7, np.uint8), method).shape == shape
    assert denoise(np.zeros((0, 4)), method, border="constant").shape == (0, 4)


@pytest.mark.parametrize("method", METHODS)
def test_nan_reaches_no_further_than_the_window(method: str) -> None:
    image = np.random.default_rng(9).random((40, 40))
    image[30, 30] = np.nan
    words = {"patch_size": 3, "patch_distance": 4} if method == "nonlocal" else {}
    found = denoise(image, method, **words)
    assert np.isfinite(found[:20, :20]).all()
    assert np.isnan(found[30, 30]) == (method != "median")


def test_vanishing_and_huge_numbers() -> None:
    image = np.random.default_rng(10).random((6, 7)).astype(np.float32)
    for tiny in (1e-300, 1e-30):
        same = denoise_bilateral(image, 5, tiny, tiny)
        assert_same(same, image, rtol=1e-6, atol=0, reason="a mean of one number, in float32")
        same = denoise_nl_means(image, 1, 2, tiny)
        assert_same(same, image, rtol=1e-6, atol=0, reason="a mean of one number, in float32")
    mean = denoise_nl_means(image, 1, 2, 1e30, border="wrap")[2, 2]
    assert mean == pytest.approx(float(image[:5, :5].mean()), rel=1e-5)


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap", "constant"])
@pytest.mark.parametrize("method", METHODS)
def test_every_border(method: str, border: str) -> None:
    image = np.random.default_rng(8).random((6, 7))
    # Without it, non-local means measure the noise, which depends a little on where a picture begins.
    words = {"h": 0.3} if method == "nonlocal" else {}
    found = denoise(image, method, border=border, cval=5, **words)
    assert found.shape == image.shape and np.isfinite(found).all()
    if border == "wrap":
        rolled = denoise(np.roll(image, (2, 3), (0, 1)), method, border=border, **words)
        assert_same(rolled, np.roll(found, (2, 3), (0, 1)), rtol=1e-12, atol=1e-13, reason=DOUBLE)


IMAGE = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: denoise(IMAGE, "wavelet"),
            ArgumentError,
            "denoise needs method to be one of 'median', 'mean', 'gaussian', 'bilateral', 'nonlocal'. "
            "Received: "
            "method='wavelet'.",
        ),
        (
            lambda: denoise(IMAGE, "bilateral", size=3),
            ArgumentError,
            "denoise takes win_size, sigma_color, sigma_spatial for the method 'bilateral'. Received: "
            "size=3.",
        ),
        (
            lambda: denoise_bilateral(IMAGE, 4),
            ArgumentError,
            "denoise_bilateral needs win_size to be odd. Received: win_size=4.",
        ),
        (
            lambda: denoise_bilateral(IMAGE, sigma_color=0),
            ArgumentError,
            "denoise_bilateral needs sigma_color to be a finite number above 0. Received: sigma_color=0.",
        ),
        (
            lambda: denoise_bilateral(IMAGE, sigma_spatial=float("inf")),
            ArgumentError,
            "denoise_bilateral needs sigma_spatial to be a finite number above 0. Received: "
            "sigma_spatial=inf.",
        ),
        (
            lambda: denoise_bilateral(IMAGE > 0),
            DtypeError,
            "denoise_bilateral needs an image of integers or floats. Received: image with shape (4, 5) "
            "and dtype "
            "bool. Bools go through median_filter.",
        ),
        (
            lambda: denoise_bilateral(np.zeros((0, 3)), sigma_color=1),
            ShapeError,
            "denoise_bilateral with border 'reflect' needs a sample to continue on every padded axis. "
            "Received: "
            "(3, 3) for axis 0 of an array with shape (0, 3).",
        ),
        (
            lambda: denoise_nl_means(IMAGE, 3, -1),
            ArgumentError,
            "denoise_nl_means needs patch_distance to be between 0 and 200. Received: patch_distance=-1.",
        ),
        (
            lambda: denoise_nl_means(IMAGE, 3.0),
            DtypeError,
            "denoise_nl_means needs patch_size to be an integer. Received: patch_size=3.0.",
        ),
        (
            lambda: denoise_nl_means(IMAGE, h="1"),
            DtypeError,
            "denoise_nl_means needs h to be a number. Received: h='1'.",
        ),
        (
            lambda: denoise_nl_means(IMAGE, sigma=-1),
            ArgumentError,
            "denoise_nl_means needs sigma to be a finite number of 0 or more. Received: sigma=-1.",
        ),
        (
            lambda: denoise_nl_means(IMAGE, h=1, border="edge"),
            ArgumentError,
            "denoise_nl_means needs border to be one of 'reflect', 'mirror', 'nearest', 'wrap', 'constant', "
            "'grid-mirror', 'grid-wrap', 'grid-constant'. Received: border='edge'.",
        ),
        (
            lambda: estimate_sigma(np.zeros((0, 3))),
            ShapeError,
            "estimate_sigma needs an image with pixels. Received: image with shape (0, 3) and dtype float64.",
        ),
        (
            lambda: unsharp_mask(IMAGE, -1),
            ArgumentError,
            "unsharp_mask needs radius to be a finite number of 0 or more. Received: radius=-1.",
        ),
        (
            lambda: unsharp_mask(IMAGE, 1, float("nan")),
            ArgumentError,
            "unsharp_mask needs amount to be a finite number. Received: amount=nan.",
        ),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
