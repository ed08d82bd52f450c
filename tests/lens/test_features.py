"""Feature maps: the input, a row for each layer, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import MARKED, Digits, Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.features import draw_features


def test_each_layer_is_named_with_its_shape_and_scale(tmp_path: Path, seen: Seen, digits: Digits) -> None:
    image = digits.images[7]
    signed = np.concatenate([image[:, :, 1:] - image[:, :, :-1]] * 20)
    pooled = np.maximum(signed[:3, ::2, ::2], 0)
    pixels = read_png(
        draw_features(image, [("conv1", signed), ("pool1", pooled)], tmp_path / "f.png", title="Seven")
    )
    words = seen.words()
    for expected in ("Seven", "input 1 × 8 × 8", "conv1", "20 × 8 × 7", "pool1", "3 × 4 × 4"):
        assert expected in words
    assert f"16 of 20 shown, ±{np.abs(signed).max():.3g}" in words
    assert f"3 maps, 0 to {pooled.max():.3g}" in words
    assert count(pixels, MARKED) == 0


def test_pixels_that_are_not_finite_are_marked(tmp_path: Path, seen: Seen) -> None:
    image = np.ones((1, 4, 4))
    maps = np.zeros((1, 4, 4))
    maps[0, 1, 2] = np.nan
    pixels = read_png(draw_features(image, [("relu", maps)], tmp_path / "f.png"))
    # One pixel of 16 in a map of 0.72 inches: 26 pixels a side, but for the smoothing at its edges.
    assert 20**2 <= count(pixels, MARKED) <= 30**2
    assert "magenta: not a finite number" in seen.all_words()
    maps[:] = np.nan
    read_png(draw_features(image * np.inf, [("relu", maps)], tmp_path / "f.png"))


def test_a_very_deep_network_is_cut_and_says_so(tmp_path: Path, seen: Seen) -> None:
    maps = [(f"layer {place}", np.ones((1, 2, 2))) for place in range(70)]
    draw_features(np.ones((3, 4, 4)), maps, tmp_path / "f.png")
    assert "; the first 64 of 70 layers" in seen.all_words()
    assert "layer 63" in seen.words() and "layer 64" not in seen.words()


ONE = np.ones((1, 2, 2))


@pytest.mark.parametrize(
    ("image", "maps", "kind", "message"),
    [
        (ONE, [], ArgumentError, "draw_features needs the maps of at least one layer. Received: maps=[]."),
        (
            ONE[0],
            [("a", ONE)],
            ShapeError,
            "draw_features needs image of rank 3 (channels, height, width). "
            "Received: image with shape (2, 2) and dtype float64.",
        ),
        (
            ONE,
            [("a", ONE), ("b", ONE[None])],
            ShapeError,
            "draw_features needs maps of 'b' of rank 3 (channels, height, width). "
            "Received: maps of 'b' with shape (1, 1, 2, 2) and dtype float64.",
        ),
        (
            ONE,
            [("a", np.array([[["x"]]]))],
            DtypeError,
            "draw_features needs maps of 'a' made of real numbers. "
            "Received: maps of 'a' with shape (1, 1, 1) and dtype <U1.",
        ),
        (
            ONE,
            [("a", ONE, 3)],
            ShapeError,
            "draw_features needs maps as pairs of a layer's name and its array. "
            "Received: maps[0]=('a', array(",
        ),
    ],
)
def test_bad_maps_are_refused(
    image: Any, maps: Any, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        draw_features(image, maps, tmp_path / "f.png")
    assert str(caught.value).startswith(message)


def test_a_map_that_is_not_shown_does_not_set_the_scale(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).standard_normal((20, 5, 5))
    image = np.zeros((1, 5, 5))
    draw_features(image, [("conv", maps)], tmp_path / "before.png")
    maps[18] *= 1000
    draw_features(image, [("conv", maps)], tmp_path / "after.png")
    assert (tmp_path / "before.png").read_bytes() == (tmp_path / "after.png").read_bytes()
