"""Runs side by side: the settings in which they differ, and what they came to."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.files import open_regular
from tilewright.train.config import RunConfig
from tilewright.train.config_file import read_config
from tilewright.train.rows import Row
from tilewright.train.run import RunFolder

# The result of a run, in the order of a table: its name, and where report.json has it.
_FIGURES = {
    "test loss": ("test", "loss"),
    "test accuracy": ("test", "accuracy"),
    "balanced accuracy": ("test", "balanced_accuracy"),
    "mean F1": ("test", "macro_f1"),
    "top-5 accuracy": ("test", "top_5_accuracy"),
    "mean IoU": ("test", "mean_iou"),
    "mean Dice": ("test", "mean_dice"),
    "mean absolute error": ("test", "mae"),
    "RMSE": ("test", "rmse"),
    "R²": ("test", "r2"),
}
#: Figures of which less is better; of the others, more.
LESS_IS_BETTER = ("test loss", "best validation loss", "mean absolute error", "RMSE")
# How a run went, which is neither better nor worse.
_COURSE = ("best step", "steps", "seconds")
# A report is a page or two; a thousand classes make a confusion matrix of some megabytes.
_MAX_BYTES = 2**28
# Tables of config.toml that aren't settings of a run.
_NO_SETTINGS = ("recipe", "format")


@dataclass(frozen=True, eq=False)
class RunSummary:
    """What is known of one run.

    Attributes:
        name: what it is called in the comparison.
        path: its folder.
        config: what it was made from.
        rows: its measurements.
        figures: what it came to, by name; a run that isn't finished has those of its validations alone.
        is_finished: whether it has a report.
    """

    name: str
    path: Path
    config: RunConfig
    rows: list[Row]
    figures: dict[str, float]
    is_finished: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several runs.

    Attributes:
        runs: the runs, in the order given.
        settings: the settings that differ, by dotted name; a value for each run, None where it has none.
        figures: the results by name; a number for each run, None where it has none.
        best: for each figure that can be better, the numbers of the runs that are best in it.
    """

    runs: tuple[RunSummary, ...]
    settings: dict[str, tuple[Any, ...]]
    figures: dict[str, tuple[float | None, ...]]
    best: dict[str, tuple[int, ...]] = field(default_factory=dict)


def compare(paths: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Read runs, and lay them side by side.

    Args:
        paths: at least two different run folders.

    Raises:
        ArgumentError: fewer, one of them twice, or a folder that is no run.
        FileFormatError: a file of a run is damaged.

    >>> compare(["runs/a", "runs/b"]).figures["test accuracy"]  # doctest: +SKIP
    (0.975, 0.9833333333333333)
    """
    folders = [Path(path) for path in paths]
    if len(folders) < 2:
        raise ArgumentError(
            "Comparing needs at least two runs.", describe(runs=[str(path) for path in folders])
        )
    real = [path.resolve() for path in folders]
    twice = next((path for place, path in enumerate(folders) if real[place] in real[:place]), None)
    if twice is not None:
        raise ArgumentError("Comparing needs each run once.", f"{str(twice)!r} twice")
    runs = tuple(read_run(path, name) for path, name in zip(folders, _names(folders), strict=True))
    tables = [_settings(run.config, all(other.config.recipe for other in runs)) for run in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    settings = {key: tuple(table.get(key) for table in tables) for key in keys}
    differing = {key: values for key, values in settings.items() if any(v != values[0] for v in values)}
    names = list(dict.fromkeys(name for run in runs for name in run.figures))
    figures = {name: tuple(run.figures.get(name) for run in runs) for name in names}
    # A loss of one task says nothing beside that of another.
    is_one_task = len({run.config.training.task for run in runs}) == 1
    return Comparison(runs, differing, figures, _best(figures) if is_one_task else {})


def read_run(path: str | os.PathLike[str], name: str = "") -> RunSummary:
    """What a run folder tells.

    Raises:
        ArgumentError: it is no run's folder.
        FileFormatError: a file in it is damaged.
    """
    run = RunFolder(path)
    if not run.config.is_file() or not run.metrics.path.is_file():
        raise ArgumentError(
            "Comparing needs the folders of runs, with config.toml and metrics.csv.",
            describe(folder=str(run.path)),
        )
    config, rows = read_config(run.config), run.metrics.rows()
    report = _report(run.report) if run.report.is_file() else {}
    figures = {}
    for title, (table, key) in _FIGURES.items():
        value = report.get(table, {}).get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            figures[title] = float(value)
    losses = [row.val_loss for row in rows if row.val_loss is not None and math.isfinite(row.val_loss)]
    if losses:
        figures["best validation loss"] = min(losses)
    accuracies = [row.val_accuracy for row in rows if row.val_accuracy is not None]
    if accuracies:
        figures["best validation accuracy"] = max(accuracies)
    best = report.get("best")
    if isinstance(best, dict) and isinstance(best.get("step"), int):
        figures["best step"] = float(best["step"])
    if rows:
        figures["steps"] = float(rows[-1].step)
        if rows[-1].seconds is not None:
            figures["seconds"] = rows[-1].seconds
    return RunSummary(name or run.path.name, run.path, config, rows, figures, bool(report))


def as_dict(found: Comparison) -> dict[str, Any]:
    """A comparison as plain values, for programs."""
    return {
        "runs": [
            {"name": run.name, "path": str(run.path), "finished": run.is_finished, "figures": run.figures}
            for run in found.runs
        ],
        "settings": {key: list(values) for key, values in found.settings.items()},
        "figures": {key: list(values) for key, values in found.figures.items()},
        "best": {key: [found.runs[place].name for place in places] for key, places in found.best.items()},
    }


def _names(folders: list[Path]) -> list[str]:
    """Short names that differ: the folders' own, with as much of what leads there as tells them apart."""
    parts = [path.resolve().parts for path in folders]
    for count in range(1, max(map(len, parts))):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path.resolve()) for path in folders]


def _settings(config: RunConfig, by_recipe: bool) -> dict[str, Any]:
    """The settings by dotted name: as the command has them where all runs were made by it."""
    found = config.to_dict()
    if by_recipe:
        facts = {"versions": found["versions"], "data": {"samples": found["data"]["train_samples"]}}
        return {**found["recipe"], **_flat(facts)}
    return _flat({name: table for name, table in found.items() if name not in _NO_SETTINGS})


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            # An option of a model is called model.keep, as there is nothing else that it could be.
            found |= _flat(value, prefix if key == "options" else f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _best(figures: Mapping[str, tuple[float | None, ...]]) -> dict[str, tuple[int, ...]]:
    found = {}
    for name, values in figures.items():
        known = [value for value in values if value is not None and math.isfinite(value)]
        if name in _COURSE or len(known) < 2 or min(known) == max(known):
            continue
        top = min(known) if name in LESS_IS_BETTER else max(known)
        found[name] = tuple(place for place, value in enumerate(values) if value == top)
    return found


def _report(path: Path) -> dict[str, Any]:
    name = str(path)
    with open_regular(path, "compare") as file:
        content = file.read(_MAX_BYTES + 1)
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"Report {name!r} isn't a JSON file in UTF-8.", str(error)) from error
    if not isinstance(found, dict) or not isinstance(found.get("test", {}), dict):
        raise FileFormatError(f"Report {name!r} needs to be that of a run.", describe(content=found))
    return found
