"""Edges: shapes drawn by hand, scikit-image's pixels on pictures and noise, and wrong calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image import edges
from tilewright.image.edges import canny, non_maximum_suppression
from tilewright.image.gradients import gradient, gradient_magnitude


def disc(size: int = 64, radius: float = 20) -> np.ndarray:
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    return (np.hypot(rows, columns) < radius).astype(np.float64)


# Known answers.


def test_a_disc_has_one_thin_closed_edge() -> None:
    label = pytest.importorskip("tilewright.image.components").label
    found = canny(disc(), sigma=1)
    rows, columns = np.nonzero(found)
    distances = np.hypot(rows - 31.5, columns - 31.5)
    assert np.abs(distances - 20).max() < 1.5
    assert label(found, 2)[1] == 1
    # A closed line that touches itself nowhere parts the inside from the outside, and is about 2πr long.
    assert label(~found, 1)[1] == 2
    assert 0.8 * 2 * np.pi * 20 < found.sum() < 1.3 * 2 * np.pi * 20


def test_hysteresis_keeps_weak_parts_of_strong_lines_only() -> None:
    image = np.zeros((40, 60))
    image[20:, :30] = np.linspace(0.1, 1, 30)  # an edge that fades to the left
    image[5:12, 40:50] = 0.15  # and a square that is nowhere strong
    found = canny(image, sigma=1, low_threshold=0.1, high_threshold=1.5)
    assert found[18:22, 3:28].any(axis=0).all()
    assert not found[:15, 38:].any()
    assert canny(image, sigma=1, low_threshold=0.1, high_threshold=0.2)[:15, 38:].any()


def test_suppression_keeps_the_crest_whatever_its_direction() -> None:
    for angle in np.linspace(0, np.pi, 13):
        rows, columns = np.indices((41, 41)) - 20
        along = np.cos(angle) * columns + np.sin(angle) * rows
        image = np.tanh(along / 3)
        down, right = gradient(image)
        found = non_maximum_suppression(gradient_magnitude(image), down, right, threshold=0.1)
        inner = found[3:-3, 3:-3]
        assert np.abs(along[3:-3, 3:-3][inner]).max() <= 1
        assert inner.sum() >= 35


def test_flat_and_tiny_pictures_have_no_edges() -> None:
    for image in (
        np.zeros((9, 9)),
        np.full((9, 9), 200, np.uint8),
        disc()[:2],
        disc()[:, :1],
        np.ones((0, 5)),
    ):
        for threshold in (None, 0):
            found = canny(image, low_threshold=threshold, high_threshold=threshold)
            assert found.shape == image.shape and found.dtype == bool and not found.any()


def test_nan_and_infinity_harm_no_more_than_their_surroundings() -> None:
    image = disc(96, 30)
    clean = canny(image)
    for value in (np.nan, np.inf):
        image[10, 10] = value
        with np.errstate(all="raise"):
            found = canny(image)
        assert np.array_equal(found[20:, 20:], clean[20:, 20:])


def test_rows_judged_together_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).random((50, 40))
    expected = canny(image)
    monkeypatch.setattr(edges, "_TOGETHER", 1)
    assert np.array_equal(canny(image), expected)


def test_arrays_of_every_kind() -> None:
    image = (disc() * 255).astype(np.uint8)
    expected = canny(image)
    wide = np.zeros((128, 128), np.uint8)
    wide[::2, ::2] = image
    for same in (np.asfortranarray(image), wide[::2, ::2], image[::-1][::-1], image.tolist()):
        assert np.array_equal(canny(same, 1.0, 25.5, 51), expected)
    wide.setflags(write=False)
    canny(wide)
    assert np.array_equal(canny(image.astype(np.uint16) * 257), expected)
    assert np.array_equal(canny(disc() > 0.5), expected)


# scikit-image.

SETTINGS: list[dict[str, Any]] = [
    {},
    {"sigma": 2},
    {"sigma": 0.5, "low_threshold": 0.02, "high_threshold": 0.3},
    {"low_threshold": 0.5, "high_threshold": 0.9, "use_quantiles": True},
    {"sigma": 1.4, "mode": "reflect"},
    {"mode": "nearest", "low_threshold": 0.05},
]


@pytest.mark.parametrize("name", ["camera", "coins", "text"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_pictures_have_scikit_images_edges(name: str, dtype: str, data_root: Path) -> None:
    feature = pytest.importorskip("skimage.feature", reason="compares with scikit-image")
    pillow = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
    with pillow.open(data_root / "photos" / f"{name}.png") as file:
        image = np.asarray(file.convert("L"))
    if dtype != "uint8":
        image = (image / 255).astype(dtype)
    for settings in SETTINGS:
        scale = 255 if dtype == "uint8" and not settings.get("use_quantiles") else 1
        given = {
            key: value * scale if key.endswith("threshold") else value for key, value in settings.items()
        }
        found, wanted = canny(image, **given), feature.canny(image, **given)
        # All pixels alike here. A gradient that is rounded otherwise (in float32, or on another processor)
        # may lose a tie, and with it a few pixels of a line.
        assert np.mean(found != wanted) < (1e-3 if dtype == "float32" else 1e-4), settings


def test_noise_and_masks_have_scikit_images_edges() -> None:
    feature = pytest.importorskip("skimage.feature", reason="compares with scikit-image")
    rng = np.random.default_rng(3)
    different = total = 0
    for _ in range(60):
        image = rng.random(rng.integers(3, 40, 2))
        mask = rng.random(image.shape) < 0.9 if rng.random() < 0.5 else None
        settings = SETTINGS[int(rng.integers(len(SETTINGS)))]
        found = canny(image, mask=mask, **settings)
        different += int((found != feature.canny(image, mask=mask, **settings)).sum())
        total += image.size
    # Rounding, as above; a wrong rule gives thousands.
    assert different <= total * 1e-4


def test_suppression_says_what_is_wrong() -> None:
    one, other = np.zeros((3, 4)), np.zeros((4, 3))
    message = (
        "non_maximum_suppression needs three arrays of one shape (height, width). Received: magnitude "
        "with shape "
        "(3, 4) and dtype float64, along_rows with shape (3, 4) and dtype float64, along_columns with shape "
        "(4, 3) and dtype float64."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        non_maximum_suppression(one, one, other)
    message = (
        "non_maximum_suppression needs magnitude to be floating. Received: magnitude with shape (3, 4) "
        "and dtype "
        "int64."
    )
    with pytest.raises(DtypeError, match=f"^{re.escape(message)}$"):
        non_maximum_suppression(one.astype(np.int64), one, one)
    message = (
        "non_maximum_suppression needs threshold to be a finite number of 0 or more. Received: threshold=-1."
    )
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        non_maximum_suppression(one, one, one, -1)
    message = (
        "non_maximum_suppression needs a mask of the picture's shape (3, 4). Received: mask with shape "
        "(4, 3) and "
        "dtype float64."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        non_maximum_suppression(one, one, one, mask=other)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (
            {"image": np.zeros((4, 5, 3))},
            ShapeError,
            "canny needs a grey picture of shape (height, width). Received: image with shape (4, 5, 3) "
            "and dtype "
            "float64. Take one channel, or the mean of all.",
        ),
        (
            {"low_threshold": 3, "high_threshold": 2},
            ArgumentError,
            "canny needs low_threshold to be no larger than high_threshold. Received: low_threshold=3, "
            "high_threshold=2. Where one isn't given it is 0.1 or 0.2 of the largest value.",
        ),
        (
            {"high_threshold": 2, "use_quantiles": True},
            ArgumentError,
            "canny needs quantiles from 0 to 1. Received: high_threshold=2.",
        ),
        (
            {"low_threshold": float("nan")},
            ArgumentError,
            "canny needs low_threshold to be a finite number of 0 or more. Received: low_threshold=nan.",
        ),
        (
            {"low_threshold": "0.1"},
            DtypeError,
            "canny needs low_threshold to be a number. Received: low_threshold='0.1'.",
        ),
        (
            {"sigma": -1},
            ArgumentError,
            "canny needs sigma to be a finite number of 0 or more. Received: sigma=-1.",
        ),
        ({"sigma": None}, DtypeError, "canny needs sigma to be a number. Received: sigma=None."),
        (
            {"mask": np.ones((3, 3))},
            ShapeError,
            "canny needs a mask of the picture's shape (4, 5). Received: mask with shape (3, 3) and dtype "
            "float64.",
        ),
        (
            {"mode": "edge"},
            ArgumentError,
            "canny needs mode to be one of 'reflect', 'mirror', 'nearest', 'wrap', 'constant', "
            "'grid-mirror', "
            "'grid-wrap', 'grid-constant'. Received: mode='edge'.",
        ),
    ],
)
def test_what_canny_refuses(words: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        canny(**{"image": np.zeros((4, 5)), **words})
