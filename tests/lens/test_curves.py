"""The curves of a run: what is drawn, what is said, what is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import MARKED, Seen, count, read_png

from tilewright.errors import ArgumentError
from tilewright.lens.curves import _running_mean, draw_curves


def rows(steps: int, **columns: Any) -> list[dict[str, Any]]:
    return [
        {"step": step} | {name: make(step) for name, make in columns.items()} for step in range(1, steps + 1)
    ]


def test_two_panels_with_the_best_validation_of_each(tmp_path: Path, seen: Seen) -> None:
    run = rows(
        30, epoch=lambda s: (s - 1) // 10 + 1, train_loss=lambda s: 1 / s, train_accuracy=lambda s: s / 30
    )
    run[9] |= {"val_loss": 0.35, "val_accuracy": 0.9123}
    run[19] |= {"val_loss": 0.25, "val_accuracy": 0.95}
    run[29] |= {"val_loss": 0.3, "val_accuracy": 0.9371}
    read_png(draw_curves(run, tmp_path / "curves.png", title="digits"))
    words = seen.words()
    assert "digits" in words
    assert "up to step 30, 3 epochs" in words
    assert "best: 0.25 at step 20" in words
    assert "best: 95.00 % at step 20" in words
    assert "loss (log scale)" in words  # it falls by a factor of 30
    # The numbers of the epochs above each of the two panels.
    assert words.count("epoch 1") == 2
    assert len(seen.figures[-1].axes) == 3  # the sheet behind, and two panels


def test_an_autoencoder_has_one_panel(tmp_path: Path, seen: Seen) -> None:
    run = rows(9, train_loss=lambda s: 2.0 - s / 10, val_loss=lambda s: "", train_accuracy=lambda s: None)
    read_png(draw_curves(run, tmp_path / "curves.png"))
    assert len(seen.figures[-1].axes) == 2
    assert "loss" in seen.words() and "accuracy" not in seen.words()


def test_rows_of_a_csv_file_draw_the_same_picture(tmp_path: Path) -> None:
    run = rows(
        12, epoch=lambda s: s // 6, train_loss=lambda s: 3.5 / s, val_loss=lambda s: "" if s % 4 else 2.5 / s
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(run[0]))
    writer.writeheader()
    writer.writerows(run)
    read = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert isinstance(read[0]["train_loss"], str)
    first = draw_curves(run, tmp_path / "a.png").read_bytes()
    assert draw_curves(read, tmp_path / "b.png").read_bytes() == first
    # Rows out of order, as after a resumed run, are put in order.
    assert draw_curves(run[6:] + run[:6], tmp_path / "c.png").read_bytes() == first


def test_a_value_that_is_not_finite_is_marked(tmp_path: Path, seen: Seen) -> None:
    run = rows(20, train_loss=lambda s: 1 / s)
    plain = read_png(draw_curves(run, tmp_path / "plain.png"))
    assert count(plain, MARKED) == 0
    run[10]["train_loss"] = float("nan")
    run[11]["train_loss"] = "inf"
    run[12]["train_loss"] = -1.7e308
    broken = read_png(draw_curves(run, tmp_path / "broken.png"))
    assert count(broken, MARKED) > 0
    assert "not finite" in seen.words()


def test_many_rows_get_a_running_mean(tmp_path: Path, seen: Seen) -> None:
    draw_curves(rows(80, train_loss=lambda s: 1.0 + s % 2), tmp_path / "curves.png")
    assert "training" in seen.words()
    draw_curves(rows(400, train_loss=lambda s: 1.0 + s % 2), tmp_path / "curves.png")
    assert "training (mean of 11 rows)" in seen.words()


def test_the_running_mean_is_centred_and_exact_on_small_integers() -> None:
    values = np.array([3.0, 6.0, 9.0, 0.0, 3.0])
    assert _running_mean(values, 3).tolist() == [4.5, 6.0, 5.0, 4.0, 1.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "draw_curves needs at least one row of measurements. Received: rows=[]."),
        (
            [{"step": 1, "train_accuracy": 0.5}],
            "draw_curves needs at least one finite train_loss or val_loss. Received: rows=1.",
        ),
        (
            [{"step": 1, "train_loss": 1.0}, {"train_loss": 1.0}],
            "draw_curves needs a finite step in every row. Received: row 1: {'train_loss': 1.0}.",
        ),
        (
            [{"step": 1, "train_loss": "much"}],
            "draw_curves needs numbers in its rows. Received: row 0: train_loss='much'.",
        ),
        (
            [{"step": 1, "train_loss": [1.0]}],
            "draw_curves needs numbers in its rows. Received: row 0: train_loss=[1.0].",
        ),
        ([(1, 2.0)], "draw_curves needs rows that are mappings. Received: rows[0]=(1, 2.0)."),
    ],
)
def test_bad_rows_are_refused(given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        draw_curves(given, tmp_path / "curves.png")
    assert str(caught.value) == message
