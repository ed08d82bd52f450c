"""Reconstructions beside their baselines: errors over all samples, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import MARKED, Digits, Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.reconstruction import draw_reconstruction


def test_rows_errors_and_ratio(tmp_path: Path, seen: Seen, digits: Digits) -> None:
    inputs = digits.images[:50]
    outputs = inputs + 0.5
    mean = inputs.mean(axis=0)
    path = tmp_path / "r.png"
    read_png(
        draw_reconstruction(
            inputs, outputs, path, ratio=24.5, baselines={"mean image": mean, "zero": 0 * inputs}
        )
    )
    words = seen.words()
    assert "Reconstruction at a compression of 24.5 to 1" in words
    assert "MSE: mean squared error over 50 samples, 10 of them shown" in words
    # The rows from top to bottom, each with what stands below its name.
    assert words[2:] == [
        "input",
        "reconstruction",
        "MSE 0.25",  # every pixel is off by exactly 0.5
        "mean image",
        f"MSE {np.mean((inputs.astype(np.float64) - mean.astype(np.float64)) ** 2):.3g}",
        "zero",
        f"MSE {np.mean(inputs.astype(np.float64) ** 2):.3g}",
        "absolute error",
        "largest 0.5",
    ]


def test_a_perfect_reconstruction_has_no_error(tmp_path: Path, seen: Seen) -> None:
    images = np.random.default_rng(3).random((1, 3, 8, 8))
    read_png(draw_reconstruction(images, images, tmp_path / "r.png", ratio=8))
    assert "MSE: mean squared error over 1 sample" in seen.words()
    assert "MSE 0" in seen.words() and "largest 0" in seen.words()


def test_images_without_channels_are_taken(tmp_path: Path) -> None:
    images = np.random.default_rng(3).random((4, 8, 8))
    plain = draw_reconstruction(images, 0.5 * images, tmp_path / "a.png", ratio=8).read_bytes()
    channels = draw_reconstruction(images[:, None], 0.5 * images[:, None], tmp_path / "b.png", ratio=8)
    assert channels.read_bytes() == plain


def test_what_is_not_finite_is_marked_and_said(tmp_path: Path, seen: Seen) -> None:
    images = np.zeros((2, 4, 4))
    images[0, 0, 0] = np.inf
    pixels = read_png(draw_reconstruction(images, images, tmp_path / "r.png", ratio=2))
    assert count(pixels, MARKED) > 0
    assert "MSE not finite" in seen.words()
    assert "magenta: not a finite number" in seen.all_words()


ONE = np.zeros((1, 4, 4))


@pytest.mark.parametrize(
    ("inputs", "outputs", "more", "kind", "message"),
    [
        (
            ONE,
            np.zeros((2, 4, 4)),
            {"ratio": 2},
            ShapeError,
            "draw_reconstruction needs outputs of the shape of inputs, (1, 4, 4). "
            "Received: outputs with shape (2, 4, 4) and dtype float64.",
        ),
        (
            ONE,
            ONE,
            {"ratio": 2, "baselines": {"mean": np.zeros((4, 5))}},
            ShapeError,
            "draw_reconstruction needs baseline 'mean' of the shape of inputs, (1, 4, 4). "
            "Received: baseline 'mean' with shape (4, 5) and dtype float64.",
        ),
        (
            ONE[0],
            ONE[0],
            {"ratio": 2},
            ShapeError,
            "draw_reconstruction needs inputs of rank 4 (samples, channels, height, width) or "
            "3 (samples, height, width). Received: inputs with shape (4, 4) and dtype float64.",
        ),
        (
            ONE,
            ONE.astype(complex),
            {"ratio": 2},
            DtypeError,
            "draw_reconstruction needs outputs made of real numbers. "
            "Received: outputs with shape (1, 4, 4) and dtype complex128.",
        ),
        (
            ONE,
            ONE,
            {"ratio": 0},
            ArgumentError,
            "draw_reconstruction needs a compression ratio above 0. Received: ratio=0.",
        ),
        (
            ONE,
            ONE,
            {"ratio": float("nan")},
            ArgumentError,
            "draw_reconstruction needs a compression ratio above 0. Received: ratio=nan.",
        ),
        (
            ONE,
            ONE,
            {"ratio": "8"},
            ArgumentError,
            "draw_reconstruction needs a compression ratio above 0. Received: ratio='8'.",
        ),
    ],
)
def test_bad_input_is_refused(
    inputs: Any, outputs: Any, more: dict[str, Any], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        draw_reconstruction(inputs, outputs, tmp_path / "r.png", **more)
    assert str(caught.value) == message
