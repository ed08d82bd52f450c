"""Curves of several runs: panels, looks, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lens.pictures import Seen

from tilewright.errors import ArgumentError
from tilewright.lens.curves import Measure
from tilewright.lens.runs import draw_runs


def rows(scale: float, count: int = 5, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "train_loss": scale / step,
            "val_loss": scale / step,
            "val_accuracy": 1 - 1 / step,
            **more,
        }
        for step in range(1, count + 1)
    ]


def test_two_panels_and_a_colour_for_each_run(tmp_path: Path, seen: Seen) -> None:
    draw_runs({"slow": rows(2.0), "fast": rows(1.0)}, tmp_path / "a.png", "Two runs")
    figure = seen.figures[-1]
    assert {"slow", "fast", "Two runs", "loss", "accuracy"} <= set(seen.words())
    panels = figure.axes[1:]
    assert len(panels) == 2
    # Behind each validation its training, where less is better.
    assert [len(panel.lines) for panel in panels] == [4, 2]
    assert len({line.get_color() for line in panels[0].lines}) == 2


def test_a_score_of_ones_own(tmp_path: Path, seen: Seen) -> None:
    score = Measure("R²", "", "val_r2", False, False)
    draw_runs({"a": rows(1.0, val_r2=-0.5), "b": rows(1.0, val_r2=0.75)}, tmp_path / "a.png", score=score)
    assert "R²" in seen.words() and "accuracy" not in seen.words()


def test_without_a_score_there_is_one_panel(tmp_path: Path, seen: Seen) -> None:
    run = [{"step": 1, "val_loss": 0.5}, {"step": 2, "val_loss": 0.25}]
    draw_runs({"a": run, "b": rows(1.0, val_accuracy=None)}, tmp_path / "a.png")
    assert len(seen.figures[-1].axes) == 2
    # A run without any validation is named all the same.
    draw_runs({"a": run, "begun": [{"step": 1, "train_loss": 1.0}]}, tmp_path / "a.png")
    assert "begun" in seen.words()


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(ArgumentError, match=r"draw_runs needs 1 to 100 runs\. Received: runs=0\."):
        draw_runs({}, path)
    with pytest.raises(ArgumentError, match=r"draw_runs needs at least one row of measurements\."):
        draw_runs({"a": []}, path)
    with pytest.raises(
        ArgumentError, match=r"draw_runs needs at least one finite validation\. Received: runs=\['a'"
    ):
        draw_runs({"a": [{"step": 1, "train_loss": 1.0, "val_loss": float("nan")}]}, path)
    with pytest.raises(
        ArgumentError, match=r"draw_runs needs numbers in its rows\. Received: row 0: val_loss='x'\."
    ):
        draw_runs({"a": [{"step": 1, "val_loss": "x"}]}, path)
    with pytest.raises(ArgumentError, match=r"draw_runs needs a finite step in every row\."):
        draw_runs({"a": [{"val_loss": 1.0}]}, path)
