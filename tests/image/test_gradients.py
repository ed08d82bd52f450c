"""Gradients: ramps whose slope is known, SciPy's and scikit-image's numbers, and wrong calls."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.gradients import OPERATORS, gradient, gradient_direction, gradient_magnitude

EXACT = "sums of few whole numbers, exact in float32"
ROUNDED = "a few roundings of float64"


def ramp(down: float, right: float, shape: tuple[int, int] = (7, 8)) -> np.ndarray:
    rows, columns = np.indices(shape)
    return down * rows + right * columns


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("down", "right"), [(1.0, 0.0), (0.0, 1.0), (3.0, -4.0), (-0.5, 2.0)])
def test_a_ramp_has_its_slope_everywhere(operator: str, down: float, right: float) -> None:
    image = ramp(down, right)
    rows, columns = gradient(image, operator, normalize=True)
    inner = (slice(1, -1), slice(1, -1))
    assert_same(rows[inner], np.full((5, 6), down), rtol=1e-14, atol=1e-14, reason=ROUNDED)
    assert_same(columns[inner], np.full((5, 6), right), rtol=1e-14, atol=1e-14, reason=ROUNDED)
    lengths = gradient_magnitude(image, operator, normalize=True)[inner]
    assert_same(lengths, np.full((5, 6), np.hypot(down, right)), rtol=1e-14, atol=1e-14, reason=ROUNDED)
    sums = gradient_magnitude(image, operator, "l1", normalize=True)[inner]
    assert_same(sums, np.full((5, 6), abs(down) + abs(right)), rtol=1e-14, atol=1e-14, reason=ROUNDED)
    angles = gradient_direction(image, operator)[inner]
    assert_same(angles, np.full((5, 6), np.arctan2(down, right)), rtol=1e-14, atol=1e-14, reason=ROUNDED)


@pytest.mark.parametrize(
    ("operator", "scale"), [("sobel", 8), ("prewitt", 6), ("scharr", 32), ("roberts", 2)]
)
def test_unscaled_answers_to_a_ramp(operator: str, scale: int) -> None:
    rows, _ = gradient(ramp(1, 0).astype(np.uint8), operator)
    assert rows.dtype == np.float32
    assert_same(rows[1:-1, 1:-1], np.full((5, 6), scale, np.float32), rtol=0, atol=0, reason=EXACT)


def test_nothing_has_no_direction() -> None:
    assert not gradient_direction(np.full((4, 5), 7, np.uint8)).any()
    assert not gradient_magnitude(np.full((4, 5), 7.0), "roberts").any()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "float32", "int32", "float64"])
def test_the_dtype_holds_the_differences(dtype: str) -> None:
    wide = dtype in ("int32", "float64")
    found = gradient(np.eye(5).astype(dtype))[0]
    assert found.dtype == (np.float64 if wide else np.float32)


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "wrap", "constant"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_sobel_and_prewitt_are_scipys(mode: str, rank: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="compares with SciPy")
    rng = np.random.default_rng(rank)
    for _ in range(10):
        image = rng.integers(0, 256, rng.integers(1, 9, rank)).astype(np.uint8)
        for operator in ("sobel", "prewitt"):
            found = gradient(image, operator, border=mode, cval=9)
            for axis, one in enumerate(found):
                wanted = getattr(ndimage, operator)(image.astype(np.float32), axis, mode=mode, cval=9)
                if mode == "constant" and rank > 1:
                    # SciPy pads what it has differentiated with the constant again.
                    inner = (slice(1, -1),) * rank
                    one, wanted = one[inner], wanted[inner]
                assert_same(one, wanted, rtol=0, atol=0, reason=EXACT)


def test_magnitudes_are_scikit_images() -> None:
    filters = pytest.importorskip("skimage.filters", reason="compares with scikit-image")
    image = np.random.default_rng(0).random((20, 24))
    for operator in ("sobel", "prewitt", "scharr"):
        # scikit-image divides the difference by 1 where a ramp of 1 gives 2, and the length by √2.
        found = gradient_magnitude(image, operator, normalize=True) * np.sqrt(2)
        assert_same(found, getattr(filters, operator)(image), rtol=1e-12, atol=1e-12, reason=ROUNDED)
    # That of Roberts stands at the lower right corner there.
    found = gradient_magnitude(image, "roberts")[1:, 1:] / 2
    wanted = filters.roberts(image)[:-1, :-1]
    assert_same(found, wanted, rtol=1e-12, atol=1e-12, reason=ROUNDED)


def test_channels_are_taken_alone() -> None:
    image = np.random.default_rng(1).random((6, 7, 3))
    found = gradient_magnitude(image, channel_axis=-1)
    for channel in range(3):
        expected = gradient_magnitude(image[..., channel])
        assert_same(found[..., channel], expected, rtol=1e-13, atol=1e-13, reason=ROUNDED)


def test_nan_stays_near() -> None:
    image = np.zeros((7, 7))
    image[3, 3] = np.nan
    found = gradient_magnitude(image)
    assert np.isnan(found[2:5, 2:5]).sum() >= 8 and not np.isnan(found).sum() > 9


IMAGE = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: gradient(IMAGE, "canny"),
            ArgumentError,
            "gradient needs operator to be one of 'sobel', 'prewitt', 'scharr', 'roberts'. Received: "
            "operator='canny'.",
        ),
        (
            lambda: gradient(np.zeros(4), "roberts"),
            ShapeError,
            "gradient needs an image of two spatial axes for the operator 'roberts'. Received: 1 "
            "spatial axes.",
        ),
        (
            lambda: gradient_magnitude(IMAGE, norm="max"),
            ArgumentError,
            "gradient_magnitude needs norm to be 'l2' or 'l1'. Received: norm='max'.",
        ),
        (
            lambda: gradient_direction(np.zeros((2, 3, 4))),
            ShapeError,
            "gradient_direction needs an image of two spatial axes. Received: image with shape (2, 3, 4) and "
            "dtype float64.",
        ),
        (
            lambda: gradient(np.zeros(3), channel_axis=0),
            ShapeError,
            "gradient needs an image with a spatial axis. Received: image with shape (3,) and dtype float64.",
        ),
        (
            lambda: gradient(IMAGE, channel_axis=2),
            ArgumentError,
            "gradient needs channel_axis to be an axis of the image. Received: channel_axis=2, image "
            "with shape "
            "(4, 5) and dtype float64.",
        ),
        (
            lambda: gradient(None),
            DtypeError,
            "gradient needs image to be of bools, integers, float16, float32, float64. Received: image with "
            "shape () and dtype object.",
        ),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
