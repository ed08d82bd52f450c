"""Reading and writing ``config.toml``: every field checked, and named where it is wrong."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tilewright.data.order import SEED_LIMIT
from tilewright.errors import FileFormatError, describe, need_extra
from tilewright.files import open_regular
from tilewright.train.checkpoint import write_whole
from tilewright.train.config import (
    FORMAT,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainingConfig,
)
from tilewright.train.tasks import TASKS

# A configuration is a page of text; anything much longer is another kind of file.
_MAX_BYTES = 2**20
# Sizes and counts of a model (channels, classes, a side of an image). With the number of a model's options
# this bounds what a file can make the program allocate before its tensors are compared.
_MAX_SIZE = 2**20


def write_config(path: str | os.PathLike[str], config: RunConfig) -> None:
    """Write ``config.toml``, whole or not at all.

    Raises:
        MissingExtraError: tomli_w isn't installed.
    """
    try:
        import tomli_w
    except ImportError as error:
        raise need_extra("tomli-w", "train", "Writing config.toml") from error
    write_whole(path, tomli_w.dumps(config.to_dict()).encode("utf-8"))


def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """Read ``config.toml``.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: it isn't TOML, or a field is missing, unknown, of another type or out of range; the
            message names the file and the field.
    """
    name = os.fspath(path)
    with open_regular(path, "read_config") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise FileFormatError(f"Configuration {name!r} needs to be at most {_MAX_BYTES} bytes long.")
    try:
        found = tomllib.loads(content.decode("utf-8"))
    # TOMLDecodeError and UnicodeDecodeError are ValueErrors; brackets without end exhaust the stack.
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"Configuration {name!r} isn't a TOML file in UTF-8.", str(error) or type(error).__name__
        ) from error
    return config_from(found, name)


def config_from(found: Mapping[str, Any], source: str | os.PathLike[str]) -> RunConfig:
    """A configuration from the dictionaries that :meth:`RunConfig.to_dict` makes, every field checked.

    Args:
        found: the dictionaries.
        source: the file they came from, for messages.

    Raises:
        FileFormatError: naming the file and the field.
    """
    name = os.fspath(source)
    if found.get("format") != FORMAT or isinstance(found.get("format"), bool):
        raise FileFormatError(
            f"{name!r} needs to be a configuration of format {FORMAT}, as this version of Tilewright writes.",
            describe(format=found.get("format")),
        )
    top = _Table(found, name, "")
    top.has_only("format", "model", "data", "optimizer", "training", "schedule", "recipe", "versions")
    model, optimizer = top.table("model"), top.table("optimizer")
    model.has_only("name", "options")
    optimizer.has_only("name", "options")
    return RunConfig(
        ModelConfig(model.text("name"), model.options("options")),
        _data_from(top.table("data")),
        OptimizerConfig(optimizer.text("name"), optimizer.options("options")),
        _training_from(top.table("training")),
        _schedule_from(top),
        top.plain("recipe") if "recipe" in found else {},
        {key: str(value) for key, value in top.table("versions").found.items()},
    )


def _data_from(data: _Table) -> DataConfig:
    data.has_only(*(name for name in DataConfig.__dataclass_fields__))
    std = data.number("std")
    if std <= 0:
        raise data.wrong("std", "a number above 0")
    return DataConfig(
        data.text("name"),
        data.count("train_samples", low=0),
        data.count("test_samples", low=0),
        data.counts("image_shape"),
        data.texts("classes"),
        data.number("mean"),
        std,
        data.text("folder") if "folder" in data.found else None,
        data.texts("augment") if "augment" in data.found else (),
        data.texts("columns") if "columns" in data.found else (),
    )


def _training_from(training: _Table) -> TrainingConfig:
    # lr_decay is what a schedule was called in the first version.
    training.has_only(*(name for name in TrainingConfig.__dataclass_fields__), "lr_decay")
    task = training.text("task")
    if task not in TASKS:
        raise training.wrong("task", f"one of {', '.join(TASKS)}")
    given = training.found
    return TrainingConfig(
        task,
        training.count("epochs"),
        training.count("batch_size"),
        training.count("seed", low=0, high=SEED_LIMIT - 1),
        training.count("validate_every"),
        training.count("log_every"),
        accumulate=training.count("accumulate") if "accumulate" in given else 1,
        patience=training.count("patience") if "patience" in given else None,
        class_weight=training.numbers("class_weight") if "class_weight" in given else None,
        loss=training.text("loss") if "loss" in given else None,
        ignore_index=training.count("ignore_index", low=-(2**53)) if "ignore_index" in given else None,
        **{
            name: training.number(name)
            for name in ("clip_norm", "clip_value", "ema", "min_delta", "label_smoothing", "mixup")
            if name in given
        },
    )


def _schedule_from(top: _Table) -> ScheduleConfig:
    if "schedule" in top.found:
        schedule = top.table("schedule")
        schedule.has_only("name", "options")
        return ScheduleConfig(schedule.text("name"), schedule.plain("options"))
    training = top.table("training")
    return ScheduleConfig(training.text("lr_decay") if "lr_decay" in training.found else "none")


class _Table:
    """A table of the file, and the checks of its fields."""

    def __init__(self, found: Mapping[str, Any], file: str, path: str) -> None:
        self.found = found
        self.file = file
        self.path = path

    def wrong(self, key: str, needed: str) -> FileFormatError:
        field_name = f"{self.path}{key}"
        received = describe(**{field_name: self.found[key]}) if key in self.found else "no such field"
        return FileFormatError(f"{self.file!r} needs {field_name} to be {needed}.", received)

    def has_only(self, *keys: str) -> None:
        strange = sorted(set(self.found) - set(keys))
        if strange:
            raise FileFormatError(
                f"{self.file!r} needs fields that a run's configuration has.",
                ", ".join(f"{self.path}{key}" for key in strange[:5]),
            )

    def table(self, key: str) -> _Table:
        value = self.found.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "a table")
        return _Table(value, self.file, f"{self.path}{key}.")

    def text(self, key: str) -> str:
        value = self.found.get(key)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a text that isn't empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.found.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def number(self, key: str) -> float:
        value = self.found.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
            raise self.wrong(key, "a finite number")
        return float(value)

    def count(self, key: str, low: int = 1, high: int = 2**53) -> int:
        value = self.found.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def counts(self, key: str) -> tuple[int, ...]:
        value = self.found.get(key)
        if (
            not isinstance(value, list)
            or not 1 <= len(value) <= 8
            or not all(type(item) is int and 1 <= item <= _MAX_SIZE for item in value)
        ):
            raise self.wrong(key, f"a list of one to eight sizes, each from 1 to {_MAX_SIZE}")
        return tuple(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self.found.get(key)
        if (
            not isinstance(value, list)
            or not value
            or not all(type(item) in (int, float) and _is_finite(item) for item in value)
        ):
            raise self.wrong(key, "a list of finite numbers")
        return tuple(map(float, value))

    def plain(self, key: str) -> dict[str, Any]:
        """Settings that are only kept: texts, truths, finite numbers, and lists of these."""
        table = self.table(key)
        for name, value in table.found.items():
            items = value if isinstance(value, list) else [value]
            if not all(
                isinstance(i, (bool, str)) or (type(i) in (int, float) and _is_finite(i)) for i in items
            ):
                raise table.wrong(name, "a text, a truth, a finite number, or a list of these")
        return dict(table.found)

    def options(self, key: str) -> dict[str, Any]:
        """Options of a model or optimiser: numbers, truths, texts, and lists of these."""
        table = self.table(key)
        for name, value in table.found.items():
            items = value if isinstance(value, list) else [value]
            if not all(isinstance(item, (bool, int, float, str)) and _is_modest(item) for item in items):
                raise table.wrong(
                    name, f"a text, a truth, a number of at most {_MAX_SIZE}, or a list of these"
                )
        return {name: tuple(v) if isinstance(v, list) else v for name, v in table.found.items()}


def _is_modest(item: bool | int | float | str) -> bool:
    return isinstance(item, str) or (_is_finite(item) and abs(item) <= _MAX_SIZE)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def path_of(folder: str | os.PathLike[str]) -> Path:
    """The configuration's place in a run folder."""
    return Path(folder) / "config.toml"
