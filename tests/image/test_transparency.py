"""Colours for pixels that are not seen: those of the nearest that are."""

from __future__ import annotations

import numpy as np
from compare import assert_same

from tilewright.image.picture import Picture
from tilewright.image.transparency import visible_colours

SAME = "the same integers"


def same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert_same(actual, expected, rtol=0, atol=0, reason=SAME)


def test_by_hand() -> None:
    pixels = np.array([[10, 99, 99, 99], [30, 99, 99, 200]], np.uint8)
    alpha = np.array([[1, 0, 0, 0], [255, 0, 0, 7]], np.uint8)
    # The left square of two by two sees 10 and 30, the right one 200.
    same(
        visible_colours(Picture(pixels, alpha)), np.array([[10, 20, 200, 200], [30, 20, 200, 200]], np.uint8)
    )


def test_what_is_seen_stays_and_what_is_not_has_no_say() -> None:
    rng = np.random.default_rng(0)
    for case in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 40, 2))
        dtype = (np.uint8, np.uint16, np.float32)[case % 3]
        top = 1 if dtype == np.float32 else np.iinfo(dtype).max
        shape3 = shape if case % 2 else (*shape, 3)
        pixels = (rng.random(shape3) * top).astype(dtype)
        alpha = ((rng.random(shape) < rng.random()) * top).astype(dtype)
        seen = alpha > 0
        found = visible_colours(Picture(pixels, alpha))
        assert (found.shape, found.dtype) == (pixels.shape, pixels.dtype)
        same(found[seen], pixels[seen])
        if not seen.any():
            same(found, pixels)
            continue
        junk = pixels.copy()
        junk[~seen] = np.nan if dtype == np.float32 else 77
        same(visible_colours(Picture(junk, alpha)), found)
        # Means of what is seen: never beyond it. float64 sums, rounded to float32 once.
        low, high = pixels[seen].min(), pixels[seen].max()
        assert found.min() >= low * (1 - 1e-6) and found.max() <= high * (1 + 1e-6)


def test_one_colour_fills_all() -> None:
    pixels = np.zeros((33, 70, 3), np.uint16)
    alpha = np.zeros((33, 70), np.uint16)
    pixels[20, 41], alpha[20, 41] = (1, 40000, 65535), 3
    assert (visible_colours(Picture(pixels, alpha)) == pixels[20, 41]).all()


def test_opaque_pictures_are_not_copied() -> None:
    pixels = np.zeros((2, 2), np.uint8)
    assert visible_colours(Picture(pixels)) is pixels
    assert visible_colours(Picture(pixels, pixels + 1)) is pixels
    assert visible_colours(Picture(pixels, pixels)) is pixels
