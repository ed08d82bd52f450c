"""Numbers over numbers: the figures beside the panels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lens.pictures import Seen

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.predictions import draw_predictions


def test_figures_stand_beside_the_panels(tmp_path: Path, seen: Seen) -> None:
    targets = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    outputs = targets + np.array([[1.0, 0.5], [-1.0, 0.5], [1.0, 0.5]])
    draw_predictions(targets, outputs, tmp_path / "a.png", ["length", "width"])
    words = seen.words()
    # Errors of 1; the targets' variance is 8/3. Where targets are all alike there is no R².
    assert "RMSE 1, R² 0.625" in words
    assert "RMSE 0.5" in words
    assert {"length", "width", "target", "answer", "3 samples"} <= set(words)


def test_one_number_needs_no_name(tmp_path: Path, seen: Seen) -> None:
    draw_predictions([1.0, 2.0], [1.0, 2.0], tmp_path / "a.png")
    assert "number 0" not in seen.words()
    draw_predictions([[1.0, 2.0]], [[1.0, 2.0]], tmp_path / "a.png")
    assert {"number 0", "number 1", "1 sample"} <= set(seen.words())


def test_points_that_are_not_finite_are_left_out(tmp_path: Path, seen: Seen) -> None:
    draw_predictions([1.0, 2.0, 3.0, 4.0], [1.0, np.nan, 3.0, np.inf], tmp_path / "a.png")
    assert "RMSE 0, R² 1.000" in seen.words()


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(
        ShapeError, match=r"needs outputs of the shape of targets, \(2,\)\. Received: outputs with"
    ):
        draw_predictions([1.0, 2.0], [1.0], path)
    with pytest.raises(ArgumentError, match=r"draw_predictions needs a pair of finite numbers\."):
        draw_predictions([1.0, np.nan], [np.inf, 1.0], path)
    with pytest.raises(DtypeError, match=r"draw_predictions needs targets"):
        draw_predictions(["a"], [1.0], path)
    with pytest.raises(ShapeError, match=r"draw_predictions needs outputs"):
        draw_predictions([1.0], [[[1.0]]], path)
