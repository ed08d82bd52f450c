"""What a training run came to, as an object and as plain values for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tilewright.train.checkpoint import write_whole
from tilewright.train.config import RunConfig
from tilewright.train.report import Report
from tilewright.train.scores import Score


@dataclass(frozen=True)
class Result:
    """What a training run came to.

    Attributes:
        steps: updates of the weights.
        seconds: training time, over all sessions of a resumed run.
        best: the best validation; its weights are the run's ``model.safetensors``.
        last: the validation after the last step.
        run_dir: the run folder, or None.
        report: the best weights judged once more, and the pictures drawn; None without a run folder.
        stopped_early: whether it ended before the last epoch, as there was no more progress.
    """

    steps: int
    seconds: float
    best: Score
    last: Score
    run_dir: str | None
    report: Report | None
    stopped_early: bool = False


def as_dict(config: RunConfig, result: Result) -> dict[str, Any]:
    """A result as plain values; figures that aren't numbers stay NaN."""
    report = result.report
    found: dict[str, Any] = {
        "run": result.run_dir,
        "model": config.model.name,
        "dataset": config.data.name,
        "task": config.training.task,
        "epochs": config.training.epochs,
        "steps": result.steps,
        "stopped_early": result.stopped_early,
        "seconds": round(result.seconds, 3),
        "best": asdict(result.best),
        "last": asdict(result.last),
    }
    if report is None:
        return found
    test = report.test
    found["test"] = {
        "loss": test.loss,
        "accuracy": test.accuracy,
        "correct": test.correct,
        "images": test.images,
        **test.figures,
    }
    if test.per_class:
        names = config.data.classes or tuple(map(str, range(len(next(iter(test.per_class.values()))))))
        rows = zip(*test.per_class.values(), strict=True)
        found["classes"] = [
            {"class": name, **dict(zip(test.per_class, row, strict=True))}
            for name, row in zip(names, rows, strict=False)
        ]
    if test.matrix is not None:
        found["confusion"] = test.matrix.tolist()
    if report.reconstruction is not None:
        found["reconstruction"] = {**asdict(report.reconstruction), "ratio": report.reconstruction.ratio}
    found["pictures"] = [str(path) for path in report.pictures]
    found["samples"] = [str(path) for path in report.samples]
    found["notices"] = report.notices
    return found


def write_report(path: Path, config: RunConfig, result: Result) -> None:
    """Write ``report.json``: the figures of a finished run, without the places of its files.

    Raises:
        OSError: the disk refuses.
    """
    places = ("run", "pictures", "samples", "notices")
    found = {key: value for key, value in as_dict(config, result).items() if key not in places}
    write_whole(path, (json.dumps(_finite(found), indent=2, ensure_ascii=False) + "\n").encode())


def _finite(value: Any) -> Any:
    """Null for what is not a finite number, which JSON doesn't have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
