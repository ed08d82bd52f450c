"""Masks over pictures: what is painted where, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens import style
from tilewright.lens.masks import MOST_SAMPLES, _colour, _over, _palette, draw_masks

IMAGES = np.random.default_rng(0).random((3, 1, 4, 4))
TRUE = np.zeros((3, 4, 4), int)
TRUE[0, 1:3, 1:3] = 1
TRUE[1, 0] = -100


def test_differences_alone_are_marked(tmp_path: Path, seen: Seen) -> None:
    red = tuple(int(style.VERMILION[place : place + 2], 16) for place in (1, 3, 5))
    same = read_png(draw_masks(IMAGES, TRUE, TRUE, ["ground", "thing"], tmp_path / "a.png"))
    assert count(same, red) == 0  # type: ignore[arg-type]
    words = seen.words()
    assert "100.00 % of the labelled pixels right, in 3 pictures" in words
    assert {"thing", "picture", "truth", "answer", "differences"} <= set(words)
    assert "ground" not in words  # it is the picture itself
    other = TRUE.copy()
    other[2, 3, 3] = 1
    other[1, 0] = 1  # where nothing is labelled, nothing is wrong
    differing = read_png(draw_masks(IMAGES, TRUE, other, ["ground", "thing"], tmp_path / "b.png"))
    assert count(differing, red) > 0  # type: ignore[arg-type]
    assert "97.73 % of the labelled pixels right, in 3 pictures" in seen.words()  # 43 of 44


def test_classes_are_painted_over_and_the_background_is_not() -> None:
    picture = np.full((2, 2, 3), 0.5)
    mask = np.array([[0, 1], [2, -100]])
    palette = _palette([_colour(0), _colour(1)])
    painted = _over(picture, mask, palette, -100)
    assert painted[0, 0].tolist() == [0.5] * 3
    np.testing.assert_allclose(painted[0, 1], 0.35 * 0.5 + 0.65 * np.array(_colour(0)))
    np.testing.assert_allclose(painted[1, 0], 0.35 * 0.5 + 0.65 * np.array(_colour(1)))
    assert (painted[1, 1] != picture[1, 1]).any()  # an even diagonal: hatched


def test_colours_differ_and_lie_in_range() -> None:
    colours = [_colour(place) for place in range(21)]
    assert len(set(colours)) == 21
    assert all(0 <= part <= 1 for colour in colours for part in colour)


def test_a_few_of_many_are_shown(tmp_path: Path, seen: Seen) -> None:
    images = np.zeros((20, 3, 5, 5))
    masks = np.zeros((20, 5, 5), np.uint8)
    draw_masks(images, masks, masks, ["a", "b"], tmp_path / "a.png")
    assert (
        f"100.00 % of the labelled pixels right, in 20 pictures, {MOST_SAMPLES} of them shown" in seen.words()
    )
    draw_masks(images[:1], masks[:1].astype(int) - 100, masks[:1], ["a", "b"], tmp_path / "b.png")
    assert "no pixel is labelled, in 1 picture" in seen.words()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"truth": TRUE.astype(float)},
            DtypeError,
            r"draw_masks needs truth as integers\. Received: truth with",
        ),
        (
            {"answers": TRUE[:2]},
            ShapeError,
            r"draw_masks needs answers of shape \(3, 4, 4\), as the images\.",
        ),
        (
            {"truth": TRUE + 2},
            ArgumentError,
            r"draw_masks needs truth from 0 to 1, as there are 2 classes\. Received: truth from -98 to 3\.",
        ),
        ({"images": IMAGES[0, 0]}, ShapeError, r"draw_masks needs images"),
        ({"images": None}, DtypeError, r"draw_masks needs images"),
        ({"classes": []}, ArgumentError, r"draw_masks needs"),
    ],
)
def test_refusals(tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"images": IMAGES, "truth": TRUE, "answers": TRUE, "classes": ["a", "b"]} | change
    with pytest.raises(error, match=message):
        draw_masks(path=tmp_path / "a.png", **given)
