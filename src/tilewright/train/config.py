"""What a run was made from: everything needed to rebuild its network and to take it up again.

The same facts stand in two places: ``config.toml`` of the run folder, for people and for resuming, and the
metadata of ``model.safetensors``, so that the one file is enough to use the network.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from tilewright._version import __version__
from tilewright.data import Dataset, ImageSet
from tilewright.nn import Module
from tilewright.train.schedules import Schedule

FORMAT = 1


@dataclass(frozen=True)
class ModelConfig:
    """The network: a name that ``nn.models.create`` knows, or of a class of one's own, and its options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataConfig:
    """The images: a name, the folder they were read from (if any), and what a network must know of them."""

    name: str
    train_samples: int
    test_samples: int
    image_shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    folder: str | None = None
    augment: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser's class name and its numbers (``lr``, ``momentum``, …)."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate's curve: of :class:`~tilewright.train.schedules.Schedule`, or a class's name."""

    name: str = "none"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingConfig:
    """How long and in what portions it learns, from which seed, and what keeps it on the way.

    What is None or 0 is off; the meanings are those of :class:`~tilewright.train.Trainer`'s arguments.
    """

    task: str
    epochs: int
    batch_size: int
    seed: int
    validate_every: int
    log_every: int
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    label_smoothing: float = 0.0
    class_weight: tuple[float, ...] | None = None
    mixup: float = 0.0
    loss: str | None = None
    ignore_index: int | None = None


@dataclass(frozen=True)
class RunConfig:
    """All of it, the versions that made the run, and the recipe (if there is one) to make it again."""

    model: ModelConfig
    data: DataConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    recipe: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As nested dictionaries that TOML and JSON can both hold (what is None is left out)."""
        found: dict[str, Any] = _with_lists(asdict(self))
        if not self.recipe:
            del found["recipe"]
        return {"format": FORMAT, **found}


def _with_lists(value: Any) -> Any:
    """Tuples as lists, which is what files give back; without what is None, which TOML doesn't have."""
    if isinstance(value, dict):
        return {key: _with_lists(item) for key, item in value.items() if item is not None}
    return [_with_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def describe_run(
    model: Module,
    data: ImageSet | tuple[Dataset[Any], Dataset[Any]],
    optimizer: Any,
    training: TrainingConfig,
    folder: str | os.PathLike[str] | None = None,
    *,
    schedule: Any = None,
    recipe: Mapping[str, Any] | None = None,
) -> RunConfig:
    """The configuration of a run, read off the objects that it is made of.

    A network that ``nn.models`` made knows its name and options; another is noted by its class, and only
    its author can rebuild it. A schedule that isn't a :class:`Schedule` is noted by its class as well.
    """
    known = getattr(model, "config", None)
    if isinstance(known, dict) and isinstance(known.get("name"), str):
        options = {key: _plain(value) for key, value in known.items() if key != "name"}
        network = ModelConfig(known["name"], options)
    else:
        network = ModelConfig(type(model).__name__)
    # One group of numbers is what the file has room for; parameters are no numbers.
    group = optimizer.param_groups[0]
    numbers = {key: _plain(value) for key, value in group.items() if key != "params" and value is not None}
    return RunConfig(
        network,
        _describe_data(data, folder),
        OptimizerConfig(type(optimizer).__name__, numbers),
        training,
        _describe_schedule(schedule),
        dict(recipe or {}),
        versions(),
    )


def _describe_schedule(schedule: Any) -> ScheduleConfig:
    if schedule is None:
        return ScheduleConfig()
    if not isinstance(schedule, Schedule):
        return ScheduleConfig(type(schedule).__name__)
    options = {
        name: value for name, value in asdict(schedule).items() if name != "name" and value is not None
    }
    # A constant rate has no use for the numbers of the curves.
    return ScheduleConfig(schedule.name, {} if schedule.is_constant else options)


def _describe_data(
    data: ImageSet | tuple[Dataset[Any], Dataset[Any]], folder: str | os.PathLike[str] | None
) -> DataConfig:
    # Absolute, so that a run is taken up from anywhere.
    place = None if folder is None else os.path.abspath(folder)
    if isinstance(data, ImageSet):
        return DataConfig(
            data.name,
            len(data.train),
            len(data.test),
            tuple(data.image_shape),
            tuple(data.classes),
            data.mean,
            data.std,
            place,
            _augmentations(data.train),
            tuple(data.columns),
        )
    train, test = data
    shape = tuple(map(int, np.shape(train[0][0])))
    return DataConfig("own data", len(train), len(test), shape, folder=place, augment=_augmentations(train))


def _augmentations(data: Any) -> tuple[str, ...]:
    """What changes the images, outermost first, in words; it must be the same when a run is taken up."""
    found = []
    while data is not None:
        augment = getattr(data, "augment", None)
        if augment is not None:
            found.append(f"{augment!r} with seed {getattr(data, 'seed', None)}")
        data = getattr(data, "dataset", None)
    return tuple(found)


def _plain(value: Any) -> Any:
    """Options as files hold them: a NumPy number becomes Python's, a list a tuple."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


def versions() -> dict[str, str]:
    """The versions of what decides a run's numbers."""
    return {
        "tilewright": __version__,
        "numpy": np.__version__,
        "llvmlite": _version("llvmlite"),
        "python": platform.python_version(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def same_facts(before: RunConfig, now: RunConfig) -> list[str]:
    """The fields that keep a run from being taken up, as sentences' parts; none where it can be.

    The number of epochs and the patience may grow, the folder of the data may move, versions may change.
    """
    ours, theirs = before.to_dict(), now.to_dict()
    for found in (ours, theirs):
        found["data"].pop("folder", None)
        for name in ("epochs", "log_every", "patience", "min_delta"):
            found["training"].pop(name, None)
    return [
        f"{table}.{key}={ours[table].get(key)!r} there and {theirs[table].get(key)!r} here"
        for table in ("model", "data", "optimizer", "training", "schedule")
        for key in sorted({*ours[table], *theirs[table]})
        if ours[table].get(key) != theirs[table].get(key)
    ]
