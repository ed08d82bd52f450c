"""The mistakes: which, in what order, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import MARKED, Digits, Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.mistakes import draw_mistakes

TEN = [str(digit) for digit in range(10)]


def test_the_most_confident_come_first(tmp_path: Path, seen: Seen, digits: Digits) -> None:
    images, truth = digits.images[:100], digits.labels[:100]
    predicted = truth.copy()
    predicted[:50] = (truth[:50] + 1) % 10
    confidence = np.linspace(0.5, 0.99, 100)
    read_png(draw_mistakes(images, truth, predicted, confidence, TEN, tmp_path / "m.png"))
    words = seen.words()
    assert "The 36 most confident of 50 mistakes" in words
    assert "in 100 samples (50.00 %); the answer and its probability, and the truth" in words
    answers = [word for word in words if word.startswith("is ")]
    # Confidence grows with the index, so the surest mistake is the last of the wrong ones.
    assert answers == [f"is {truth[place]}" for place in range(49, 13, -1)]
    assert words.index(f"{100 * confidence[49]:.0f} %") < words.index(f"{100 * confidence[30]:.0f} %")


def test_equal_confidence_keeps_the_order_of_the_samples(tmp_path: Path, seen: Seen) -> None:
    draw_mistakes(np.zeros((5, 4, 4)), [0, 1, 2, 3, 4], [9] * 5, [0.5] * 5, TEN, tmp_path / "m.png")
    assert [word for word in seen.words() if word.startswith("is ")] == [f"is {digit}" for digit in range(5)]


def test_no_mistakes_are_said_to_be_none(tmp_path: Path, seen: Seen) -> None:
    read_png(draw_mistakes(np.zeros((5, 4, 4)), [1] * 5, [1] * 5, [0.5] * 5, TEN, tmp_path / "m.png"))
    assert seen.words() == ["No mistakes", "All 5 samples were answered correctly."]
    draw_mistakes(np.zeros((1, 4, 4)), [1], [1], [0.5], TEN, tmp_path / "m.png")
    assert seen.words() == ["No mistakes", "The one sample was answered correctly."]


def test_bad_pixels_are_marked_only_where_they_are_shown(tmp_path: Path, seen: Seen) -> None:
    images = np.zeros((2, 1, 4, 4))
    images[1, 0, 0, 0] = np.nan
    assert (
        count(read_png(draw_mistakes(images, [0, 1], [1, 1], [1, 1], TEN, tmp_path / "m.png")), MARKED) == 0
    )
    assert "1 mistake" in seen.words()
    assert count(read_png(draw_mistakes(images, [0, 1], [0, 0], [1, 1], TEN, tmp_path / "m.png")), MARKED) > 0
    assert "magenta: not a finite number" in seen.all_words()


TWO = np.zeros((2, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            (np.zeros((2, 16)), [0, 1], [0, 1], [1, 1], TEN),
            ShapeError,
            "draw_mistakes needs images of rank 4 (samples, channels, height, width) or "
            "3 (samples, height, width). "
            "Received: images with shape (2, 16) and dtype float64.",
        ),
        (
            (np.zeros((0, 4, 4)), [], [], [], TEN),
            ShapeError,
            "draw_mistakes needs images with at least one value. "
            "Received: images with shape (0, 4, 4) and dtype float64.",
        ),
        (
            (TWO, [0, 1, 2], [0, 1], [1, 1], TEN),
            ShapeError,
            "draw_mistakes needs truth of shape (2,), one per sample. "
            "Received: truth with shape (3,) and dtype int64.",
        ),
        (
            (TWO, [0, 1], [0.0, 1.0], [1, 1], TEN),
            DtypeError,
            "draw_mistakes needs predicted made of integers, the class numbers. "
            "Received: predicted with shape (2,) and dtype float64.",
        ),
        (
            (TWO, [0, 1], [0, 10], [1, 1], TEN),
            ArgumentError,
            "draw_mistakes needs predicted between 0 and 9. Received: predicted=10.",
        ),
        (
            (TWO, [-1, 1], [0, 1], [1, 1], TEN),
            ArgumentError,
            "draw_mistakes needs truth between 0 and 9. Received: truth=-1.",
        ),
        (
            (TWO, [0, 1], [0, 1], [1, 1, 1], TEN),
            ShapeError,
            "draw_mistakes needs confidence of shape (2,), one per sample. "
            "Received: confidence with shape (3,) and dtype float64.",
        ),
        (
            (TWO, [0, 1], [0, 1], [1, 85.0], TEN),
            ArgumentError,
            "draw_mistakes needs confidence between 0 and 1. Received: confidence[1]=85.0.",
        ),
        (
            (TWO, [0, 1], [0, 1], [np.nan, 1], TEN),
            ArgumentError,
            "draw_mistakes needs confidence between 0 and 1. Received: confidence[0]=nan.",
        ),
        (
            (TWO, [0, 1], [0, 1], [1, 1], []),
            ArgumentError,
            "draw_mistakes needs the name of at least one class. Received: classes=[].",
        ),
    ],
)
def test_bad_input_is_refused(arguments: Any, kind: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as caught:
        draw_mistakes(*arguments, tmp_path / "m.png")
    assert str(caught.value) == message


def test_a_rounding_above_one_is_still_a_probability(tmp_path: Path, seen: Seen) -> None:
    draw_mistakes(TWO, [0, 1], [1, 0], np.nextafter(np.ones(2, np.float32), 2), TEN, tmp_path / "m.png")
    assert seen.words().count("100 %") == 2
