"""Kernels of every rank: their scale, how many of how many are shown, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.kernels import draw_kernels

DEEP_ORANGE, DEEP_BLUE = (0x7A, 0x2B, 0x00), (0x08, 0x30, 0x6B)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((32, 1, 5, 5), "32 of 32 kernels of size 5 × 5 (32 out × 1 in)"),
        ((64, 3, 7, 7), "63 of 192 kernels of size 7 × 7 (64 out × 3 in)"),
        ((128, 64, 3, 3), "64 of 8,192 kernels of size 3 × 3 (128 out × 64 in)"),
        ((100, 1, 1, 7), "64 of 100 kernels of size 1 × 7 (100 out × 1 in)"),
        ((2, 5, 1, 1), "10 of 10 kernels of size 1 × 1 (2 out × 5 in)"),
        ((1, 1, 3, 3), "1 of 1 kernel of size 3 × 3 (1 out × 1 in)"),
        ((40, 2, 9), "24 of 80 kernels of size 9 (40 out × 2 in)"),
        ((8, 2, 3, 5, 5), "12 of 16 kernels of size 3 × 5 × 5 (8 out × 2 in)"),
    ],
)
def test_it_says_how_many_of_how_many_are_shown(
    shape: tuple[int, ...], words: str, tmp_path: Path, seen: Seen
) -> None:
    weights = np.random.default_rng(1).normal(size=shape)
    weights.flat[0] = -4.5
    read_png(draw_kernels(weights, tmp_path / "kernels.png"))
    assert words + ", one scale: ±4.5" in seen.all_words()


def test_more_slices_than_fit_are_counted(tmp_path: Path, seen: Seen) -> None:
    draw_kernels(np.ones((1, 1, 20, 2, 2)), tmp_path / "kernels.png")
    assert "; the first 12 of 20 slices" in seen.all_words()


def test_all_tiles_share_one_scale_with_zero_white(tmp_path: Path) -> None:
    weights = np.zeros((2, 1, 1, 1))
    weights[:, 0, 0, 0] = (2.0, -2.0)
    pixels = read_png(draw_kernels(weights, tmp_path / "kernels.png"))
    # A tile is 0.82 inches of 144 pixels square, less its frame of at most 2 pixels on each side.
    assert count(pixels, DEEP_ORANGE) >= 114**2
    assert count(pixels, DEEP_BLUE) >= 114**2
    weights[1] = 0.0
    pixels = read_png(draw_kernels(weights, tmp_path / "kernels.png"))
    assert count(pixels, DEEP_ORANGE) >= 114**2
    assert count(pixels, DEEP_BLUE) < 114  # the end of the scale's bar alone


def test_weights_of_zero_are_drawn(tmp_path: Path) -> None:
    for rank in (1, 2, 3):
        read_png(draw_kernels(np.zeros((1, 1) + (3,) * rank), tmp_path / "kernels.png"))


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        (
            np.ones((3, 3)),
            ShapeError,
            "draw_kernels needs weights of rank 5 (out, in, depth, height, width) or "
            "4 (out, in, height, width) or "
            "3 (out, in, length). Received: weights with shape (3, 3) and dtype float64.",
        ),
        (
            np.ones((0, 1, 3, 3)),
            ShapeError,
            "draw_kernels needs weights with at least one value. "
            "Received: weights with shape (0, 1, 3, 3) and dtype float64.",
        ),
        (
            np.ones((1, 1, 3), dtype=complex),
            DtypeError,
            "draw_kernels needs weights made of real numbers. "
            "Received: weights with shape (1, 1, 3) and dtype complex128.",
        ),
        (
            np.array([[[0.0, np.nan, -np.inf]]]),
            ArgumentError,
            "draw_kernels needs every value of weights to be finite. "
            "Received: 2 of 3 values not finite, the first at index (0, 0, 1).",
        ),
    ],
)
def test_bad_weights_are_refused(weights: Any, kind: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as caught:
        draw_kernels(weights, tmp_path / "kernels.png")
    assert str(caught.value) == message
