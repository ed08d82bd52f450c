"""Filters by name: their numbers by hand, and those of SciPy, scikit-image and OpenCV."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

image = tw.image
EXACT: dict[str, Any] = {"rtol": 1e-14, "atol": 1e-16, "reason": "the same formula in float64"}
RNG = np.random.default_rng(0)
PICTURE = RNG.random((40, 50))


def test_every_name() -> None:
    assert set(image.names()) == {
        "identity", "box", "gaussian", "binomial", "motion_blur", "unsharp", "sharpen",
        "difference_of_gaussians", "sobel", "prewitt", "scharr", "roberts", "laplacian",
        "laplacian_of_gaussian", "emboss", "gabor",
    }  # fmt: skip
    flat_two = {"motion_blur", "roberts", "emboss", "gabor"}
    for name in image.names():
        for rank in (2,) if name in flat_two else (1, 2, 3, 4):
            one = image.named(name, rank)
            assert one.name == name
            assert one.rank == rank == one.kernel.ndim
            assert one.source.endswith(".")
            assert not any(part.flags.writeable for part in one.parts if isinstance(part, np.ndarray))
            # Signed ones take pixels away somewhere; those that only slope sum to 0, the others to 1.
            assert one.signed == bool((one.kernel < 0).any())
            total = float(one.kernel.sum())
            # A sampled second derivative sums to 0 only as its Gaussian is cut off further out, as SciPy's.
            room = {"gabor": 1.0, "laplacian_of_gaussian": 1e-3}.get(name, 1e-12)
            assert min(abs(total), abs(total - 1)) < room
            pixels = RNG.integers(0, 255, (6,) * rank).astype(np.uint8)
            assert image.filter(pixels, name).dtype == np.uint8
            assert image.filter(pixels, name, dtype=np.int16).dtype == np.int16


def test_by_hand() -> None:
    assert image.identity().kernel.tolist() == [[1.0]]
    assert image.box((1, 4)).kernel.tolist() == [[0.25, 0.25, 0.25, 0.25]]
    assert (image.binomial(3, rank=1).kernel * 8).tolist() == [1, 3, 3, 1]
    assert image.sharpen(rank=1).kernel.tolist() == [-1, 3, -1]
    assert image.laplacian(diagonals=True).kernel.tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]
    assert image.laplacian(rank=3).kernel[1, 1, 1] == -6
    assert image.roberts(0).kernel.tolist() == [[1, 0], [0, -1]]
    assert image.emboss(0).kernel[1].round(12).tolist() == [
        -round(math.sqrt(2), 12),
        1,
        round(math.sqrt(2), 12),
    ]
    assert image.motion_blur(5).kernel.tolist() == [[0.2] * 5]
    assert image.motion_blur(5, 90).kernel.tolist() == [[0.2]] * 5
    assert image.motion_blur(2).kernel.tolist() == [[0.25, 0.5, 0.25]]
    up_to_the_right = image.motion_blur(9, 45).kernel
    assert_same(
        up_to_the_right, up_to_the_right[::-1, ::-1].copy(), rtol=1e-12, atol=1e-15, reason="symmetric"
    )
    assert up_to_the_right[:3, -3:].sum() > 0.3 > up_to_the_right[:3, :3].sum() == 0


def test_a_ramp_has_a_slope_of_one() -> None:
    rows, columns = np.mgrid[:20, :20].astype(np.float64)
    for name in ("sobel", "prewitt", "scharr"):
        for axis, ramp in ((0, rows), (1, columns)):
            found = image.filter(ramp, image.named(name, axis=axis, normalize=True))[2:-2, 2:-2]
            assert_same(found, np.ones((16, 16)), rtol=1e-13, atol=0, reason="exact but for rounding")
            flat = image.filter(ramp, image.named(name, axis=1 - axis, normalize=True))[2:-2, 2:-2]
            assert_same(flat, np.zeros((16, 16)), rtol=0, atol=1e-13, reason="exact but for rounding")


def test_a_waterline_on_unsigned_pixels() -> None:
    step = np.array([[0, 0, 10, 10, 0, 0]] * 3, np.uint8)
    falls = image.filter(step, "sobel")[1]
    assert falls.tolist() == [0, 40, 40, 0, 0, 0], "what is negative is clipped, as by OpenCV's filter2D"
    assert image.filter(step, "sobel", dtype=np.int16)[1].tolist() == [0, 40, 40, -40, -40, 0]


def test_scipy() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is what this is compared with")
    for sigma, truncate in ((0.4, 4.0), (1.0, 3.0), (2.7, 4.0), (5.0, 2.5)):
        ours = image.filter(PICTURE, image.gaussian(sigma, truncate))
        theirs = ndimage.gaussian_filter(PICTURE, sigma, truncate=truncate)
        assert_same(ours, theirs, rtol=1e-13, atol=0, reason="sums in another order")
        ours = image.filter(PICTURE, image.laplacian_of_gaussian(sigma, truncate), border="wrap")
        theirs = ndimage.gaussian_laplace(PICTURE, sigma, mode="wrap", truncate=truncate)
        assert_same(ours, theirs, rtol=0, atol=1e-12, reason="sums in another order; weights up to 20")
    volume = RNG.random((7, 8, 9))
    for axis in range(3):
        for name in ("sobel", "prewitt"):
            ours = image.filter(volume, image.named(name, 3, axis=axis))
            assert_same(ours, getattr(ndimage, name)(volume, axis), rtol=0, atol=1e-13, reason="sums of 18")
    assert_same(
        image.filter(volume, "laplacian"), ndimage.laplace(volume), rtol=0, atol=1e-13, reason="sums of 7"
    )


def test_scikit_image() -> None:
    skimage = pytest.importorskip("skimage.filters", reason="scikit-image is what this is compared with")
    reason = "sums in another order, differently scaled"
    for name in ("sobel", "prewitt", "scharr"):
        for axis in (0, 1):
            ours = image.filter(PICTURE, image.named(name, axis=axis, normalize=True))
            # Theirs is the difference of samples two apart, not halved.
            theirs = getattr(skimage, name)(PICTURE, axis=axis)
            assert_same(2 * ours, theirs, rtol=0, atol=1e-14, reason=reason)
    theirs = skimage.difference_of_gaussians(PICTURE, 1.0, 2.5, mode="nearest")
    ours = image.filter(PICTURE, image.difference_of_gaussians(1.0, 2.5), border="nearest")
    assert_same(ours, theirs, rtol=0, atol=1e-14, reason=reason)
    theirs = skimage.unsharp_mask(PICTURE, 1.5, 0.7, preserve_range=True)
    ours = image.filter(PICTURE, image.unsharp(1.5, 0.7), border="mirror")
    inside = (slice(8, -8), slice(8, -8))
    ours, theirs = ours[inside], theirs[inside]
    clipped = (theirs == 0) | (theirs == 1)
    assert_same(np.where(clipped, 0, ours), np.where(clipped, 0, theirs), rtol=0, atol=1e-13, reason=reason)
    for part, number in (("real", np.real), ("imag", np.imag)):
        for frequency, theta, more in (
            (0.1, 0.0, {}),
            (0.25, 0.8, {"bandwidth": 1.5}),
            (0.4, 2.5, {"sigma_x": 2.0, "sigma_y": 3.0, "offset": 0.3, "n_stds": 2}),
        ):
            theirs = number(skimage.gabor_kernel(frequency, theta, **more))
            ours = image.gabor(frequency, theta, part=part, **more).kernel
            assert_same(ours, np.ascontiguousarray(theirs), rtol=1e-11, atol=1e-15, reason="the same formula")
    bank = image.gabor_bank((0.1, 0.3), 3, bandwidth=2)
    assert [one.size for one in bank] == [
        skimage.gabor_kernel(frequency, math.pi * k / 3, bandwidth=2).shape
        for frequency in (0.1, 0.3)
        for k in range(3)
    ]


def test_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is what this is compared with")
    for name, size in (("sobel", 3), ("scharr", -1)):
        for axis in (0, 1):
            across, down = cv2.getDerivKernels(axis, 1 - axis, size, ktype=cv2.CV_64F)
            assert_same(image.named(name, axis=axis).kernel, np.outer(down, across), **EXACT)
    for order in (2, 4):
        vector = cv2.getGaussianKernel(order + 1, 0, cv2.CV_64F)
        assert_same(
            image.binomial(order).kernel, vector @ vector.T, rtol=1e-7, atol=0, reason="OpenCV's are float32"
        )
    vector = cv2.getGaussianKernel(15, 2.5, cv2.CV_64F)
    assert_same(
        image.gaussian(2.5, truncate=2.8).kernel, vector @ vector.T, rtol=1e-13, atol=0, reason="one formula"
    )
    # OpenCV's wavelength is one over the frequency, its wave is not divided by 2πσ², and gamma is σx / σy.
    sigma, gamma, theta, wavelength = 2.0, 0.5, 0.7, 5.0
    theirs = cv2.getGaborKernel((13, 13), sigma, theta, wavelength, gamma, 0, cv2.CV_64F)
    ours = image.gabor(1 / wavelength, theta, sigma_x=sigma, sigma_y=sigma / gamma).kernel
    ours = ours * (2 * math.pi * sigma * sigma / gamma)
    rows, columns = (size // 2 - 6 for size in ours.shape)
    assert_same(
        ours[rows : rows + 13, columns : columns + 13].copy(),
        theirs,
        rtol=1e-12,
        atol=1e-15,
        reason="one formula",
    )


def test_repr_and_parameters() -> None:
    assert repr(image.named("gaussian", 3, sigma=(0, 1, 2))) == "Filter('gaussian', 1×9×17, signed=False)"
    assert image.gaussian(1.0, rank=2).is_separable
    assert not image.unsharp().is_separable
    assert image.gaussian(1.0, order=(0, 1)).signed


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: image.named("box", 2, radius=3),
            tw.ArgumentError,
            "The filter box has the parameters size. Received: radius=3.",
        ),
        (
            lambda: image.named("identity", 2, size=3),
            tw.ArgumentError,
            "The filter identity has no parameters. Received: size=3.",
        ),
        (
            lambda: image.named("emboss", 3),
            tw.ArgumentError,
            "emboss is a filter of 2 spatial axes. Received: rank=3.",
        ),
        (
            lambda: image.named("box", 0),
            tw.ArgumentError,
            "box needs rank to be between 1 and 30. Received: rank=0.",
        ),
        (
            lambda: image.named("box", "2"),
            tw.DtypeError,
            "box needs rank to be an integer. Received: rank='2'.",
        ),
        (
            lambda: image.named(None),
            tw.ArgumentError,
            f"named needs the name of a filter: {', '.join(image.names())}. Received: name=None.",
        ),
        (
            lambda: image.box(0),
            tw.ArgumentError,
            "box needs size to be between 1 and 1048576. Received: size=0.",
        ),
        (
            lambda: image.box((3, 3, 3)),
            tw.ShapeError,
            "box needs one size, or one for each of 2 axes. Received: size=(3, 3, 3).",
        ),
        (
            lambda: image.gaussian(float("inf")),
            tw.ArgumentError,
            "gaussian needs sigma to be a finite number of 0 or more. Received: sigma=inf.",
        ),
        (
            lambda: image.gaussian("wide"),
            tw.DtypeError,
            "gaussian needs sigma to be a number. Received: sigma='wide'.",
        ),
        (
            lambda: image.gaussian(0.0, order=1),
            tw.ArgumentError,
            "gaussian needs a sigma above 0 to take a derivative. Received: sigma=0.0.",
        ),
        (
            lambda: image.gaussian(1.0, truncate=0),
            tw.ArgumentError,
            "gaussian needs truncate to be a finite number above 0. Received: truncate=0.",
        ),
        (
            lambda: image.binomial(1001),
            tw.ArgumentError,
            "binomial needs order to be between 0 and 1000. Received: order=1001.",
        ),
        (
            lambda: image.named("sobel", axis=2),
            tw.ArgumentError,
            "sobel needs axis to be between -2 and 1. Received: axis=2.",
        ),
        (
            lambda: image.scharr(normalize=1),
            tw.DtypeError,
            "scharr needs normalize to be True or False. Received: normalize=1.",
        ),
        (
            lambda: image.motion_blur(0.5),
            tw.ArgumentError,
            "motion_blur needs length to be a finite number of 1 or more and below 4096. Received: "
            "length=0.5.",
        ),
        (
            lambda: image.gabor(0),
            tw.ArgumentError,
            "gabor needs frequency to be a finite number above 0. Received: frequency=0.",
        ),
        (
            lambda: image.gabor(part="phase"),
            tw.ArgumentError,
            "gabor needs part to be 'real' or 'imag'. Received: part='phase'.",
        ),
        (
            lambda: image.gabor(1e-9),
            tw.ArgumentError,
            "gabor needs a width that a picture may have. Received: sigma_x=562171875",
        ),
        (
            lambda: image.gabor_bank(0.1),
            tw.DtypeError,
            "gabor_bank needs frequencies to be a sequence of numbers. Received: frequencies=0.1.",
        ),
        (
            lambda: image.gabor_bank(theta=3),
            tw.ArgumentError,
            "gabor_bank takes frequencies, orientations and what gabor takes. Received: unknown=['theta'].",
        ),
        (
            lambda: image.gaussian(2000.0).kernel,
            tw.ArgumentError,
            "the kernel of gaussian needs at most 1048576 taps along an axis, and 16777216 in all. "
            "Received: 16001 × "
            "16001 taps.",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(message)
