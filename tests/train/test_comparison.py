"""Runs side by side: short names, settings of runs of all kinds, and which is best."""

from __future__ import annotations

from pathlib import Path

import pytest
from train.nets import tiny_images
from train.test_trainer import trainer_of

from tilewright.errors import ArgumentError
from tilewright.nn import Conv2d, Sequential
from tilewright.train import Trainer
from tilewright.train.comparison import _best, _flat, _names, as_dict, compare, read_run
from tilewright.train.comparison_page import cell


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    assert _names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert _names([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]
    assert _names([tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z"])[:2] == ["x/run", "y/run"]


def test_runs_made_in_python_are_told_by_their_facts(tmp_path: Path) -> None:
    trainer_of(tmp_path / "a", epochs=1).fit()
    trainer_of(tmp_path / "b", epochs=1, schedule="cosine", clip_norm=1.0).fit()
    found = compare([tmp_path / "a", tmp_path / "b"])
    assert found.settings == {
        "training.clip_norm": (None, 1.0),
        "schedule.name": ("none", "cosine"),
        "schedule.warmup": (None, 0),
        "schedule.every": (None, 1),
        "schedule.end": (None, 0.0),
    }
    assert [run.is_finished for run in found.runs] == [True, True]
    assert found.figures["steps"] == (5.0, 5.0)
    # Both have the same three classes, so there is no top five.
    assert "top-5 accuracy" not in found.figures
    assert as_dict(found)["settings"]["training.clip_norm"] == [None, 1.0]


def test_a_run_that_has_just_begun_tells_little(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "a", epochs=1)
    trainer._prepare(resume=False, overwrite=False)
    found = read_run(tmp_path / "a")
    assert (found.figures, found.rows, found.is_finished, found.name) == ({}, [], False, "a")
    trainer_of(tmp_path / "b", epochs=1).fit()
    assert compare([tmp_path / "a", tmp_path / "b"]).figures["steps"] == (None, 5.0)


def test_the_best_are_marked() -> None:
    found = _best(
        {
            "test loss": (0.5, 0.25, None, 0.25),
            "test accuracy": (0.5, 0.75, float("nan"), None),
            "R²": (0.1, 0.1),
            "RMSE": (1.0, None),
            "seconds": (1.0, 2.0),
        }
    )
    assert found == {"test loss": (1, 3), "test accuracy": (1,)}


def test_runs_of_different_tasks_are_not_measured_against_each_other(tmp_path: Path) -> None:
    data = tiny_images()
    trainer_of(tmp_path / "a", epochs=1).fit()
    model = Sequential(Conv2d(1, 1, 3, padding=1))
    Trainer(model, data, task="reconstruct", run_dir=tmp_path / "b", progress=False, pictures=False).fit()
    found = compare([tmp_path / "a", tmp_path / "b"])
    assert found.best == {}
    assert found.settings["training.task"] == ("classify", "reconstruct")
    assert None not in found.figures["test loss"]


def test_options_lose_the_word() -> None:
    assert _flat({"optimizer": {"name": "SGD", "options": {"lr": 1}}, "x": 2}) == {
        "optimizer.name": "SGD",
        "optimizer.lr": 1,
        "x": 2,
    }


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("lr", 0.0003, "0.0003"),
        ("lr", None, "–"),
        ("test accuracy", 0.98333, "98.33 %"),
        ("mean IoU", 1.0, "100.00 %"),
        ("steps", 12000.0, "12000"),
        ("nesterov", True, "yes"),
        ("augment", ["shift=1", "flip"], "shift=1, flip"),
        ("betas", (0.9, 0.999), "0.9, 0.999"),
        ("augment", [], "none"),
        ("model", "unet", "unet"),
        ("test loss", float("nan"), "nan"),
    ],
)
def test_cells(name: str, value: object, text: str) -> None:
    assert cell(name, value) == text


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"Comparing needs at least two runs\. Received: runs=\[\]\."):
        compare([])
    with pytest.raises(
        ArgumentError, match=r"Comparing needs the folders of runs, with config\.toml and metrics"
    ):
        compare([tmp_path, tmp_path / "b"])
