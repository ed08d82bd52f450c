"""The confusion matrix: counts, shares, totals, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import Seen, read_png
from matplotlib.text import Text

from tilewright.errors import ArgumentError, ShapeError
from tilewright.lens.confusion import _percent, _shades, draw_confusion


def test_counts_shares_totals_and_accuracy(tmp_path: Path, seen: Seen) -> None:
    matrix = [[90, 10, 0], [0, 199, 1], [0, 0, 0]]
    read_png(draw_confusion(matrix, ["cat", "dog", "cow"], tmp_path / "c.png"))
    words = seen.words()
    assert "Accuracy 96.33 %" in words  # 289 of 300
    assert "289 of 300 right; a cell's shade is its share of the row" in words
    for expected in ("90", "90 %", "10", "10 %", "199", "1", "< 1 %", "100", "200", "cat", "dog", "cow"):
        assert expected in words, expected
    assert "> 99 %" in words  # 199 of 200 is neither 99 nor 100
    assert "–" in words  # the share of a class of which there is no sample


def test_beyond_thirty_classes_only_shades(tmp_path: Path, seen: Seen) -> None:
    for classes, counted in ((30, 30), (31, 0)):
        names = [f"c{place}" for place in range(classes)]
        draw_confusion(777 * np.eye(classes, dtype=np.int64), names, tmp_path / "c.png")
        # Counts on the diagonal are bold, totals are not.
        bold = [text for text in seen.figures[-1].findobj(Text) if text.get_fontweight() == "bold"]
        assert [text.get_text() for text in bold].count("777") == counted


def test_right_is_blue_and_wrong_is_orange_and_deeper_with_the_share() -> None:
    right, little, none, some, wrong = _shades(np.array([[-1.0, -0.25, 0.0, 0.25, 1.0]]))[0]
    assert none.tolist() == pytest.approx([1.0] * 3, abs=1e-6)
    assert right[2] > right[0] and little[2] > little[0]
    assert wrong[0] > wrong[2] and some[0] > some[2]
    assert right.sum() < little.sum() < 3.0 > some.sum() > wrong.sum()


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (1e-9, "< 1 %"),
        (0.005, "< 1 %"),
        (0.01, "1 %"),
        (0.5, "50 %"),
        (0.99, "99 %"),
        (0.995, "> 99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, words: str) -> None:
    assert _percent(share) == words


def test_float_counts_are_counts(tmp_path: Path) -> None:
    whole = draw_confusion([[1, 2], [0, 3]], ["a", "b"], tmp_path / "a.png").read_bytes()
    floats = draw_confusion([[1.0, 2.0], [0.0, 3.0]], ["a", "b"], tmp_path / "b.png").read_bytes()
    assert whole == floats


@pytest.mark.parametrize(
    ("matrix", "classes", "kind", "message"),
    [
        (
            [[1, 2]],
            ["a", "b"],
            ShapeError,
            "draw_confusion needs matrix of shape (2, 2), one row and column per class. "
            "Received: matrix with shape (1, 2) and dtype float64, classes=2.",
        ),
        (
            [1, 2],
            ["a"],
            ShapeError,
            "draw_confusion needs matrix of rank 2 (truth, answer). "
            "Received: matrix with shape (2,) and dtype int64.",
        ),
        (
            [[1]],
            [],
            ArgumentError,
            "draw_confusion needs the name of at least one class. Received: classes=[].",
        ),
        (
            [[1, 0.5], [0, 1]],
            ["a", "b"],
            ArgumentError,
            "draw_confusion needs counts: whole numbers that are not negative. Received: matrix[0, 1]=0.5.",
        ),
        (
            [[1, 0], [-3, 1]],
            ["a", "b"],
            ArgumentError,
            "draw_confusion needs counts: whole numbers that are not negative. Received: matrix[1, 0]=-3.0.",
        ),
        (
            [[np.nan]],
            ["a"],
            ArgumentError,
            "draw_confusion needs counts: whole numbers that are not negative. Received: matrix[0, 0]=nan.",
        ),
        (
            [[0]],
            ["a"],
            ArgumentError,
            "draw_confusion needs at least one sample. Received: a matrix of zeros.",
        ),
    ],
)
def test_bad_matrices_are_refused(
    matrix: Any, classes: list[str], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        draw_confusion(matrix, classes, tmp_path / "c.png")
    assert str(caught.value) == message


def test_an_accuracy_is_never_rounded_to_all(tmp_path: Path, seen: Seen) -> None:
    for mistakes, words in ((1, "Accuracy over 99.99 %"), (0, "Accuracy 100.00 %"), (9, "Accuracy 99.99 %")):
        draw_confusion([[60000 - mistakes, mistakes], [0, 40000]], ["a", ""], tmp_path / "c.png")
        assert words in seen.words()
