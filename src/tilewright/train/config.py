"""What a run was made from: everything needed to rebuild its network and to take it up again.

The same facts stand in two places: ``config.toml`` of the run folder, for people and for resuming, and the
metadata of ``model.safetensors``, so that the one file is enough to use the network.
"""

from __future__ import annotations

import math
import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tilewright._version import __version__
from tilewright.data import Dataset, ImageSet
from tilewright.data.files import open_regular
from tilewright.data.order import SEED_LIMIT
from tilewright.errors import FileFormatError, describe, need_extra
from tilewright.nn import Module
from tilewright.train.checkpoint import write_whole
from tilewright.train.tasks import TASKS

FORMAT = 1
# A configuration is a page of text; anything much longer is another kind of file.
_MAX_BYTES = 2**20
# Sizes and counts of a model (channels, classes, a side of an image). With the number of a model's options
# this bounds what a file can make the program allocate before its tensors are compared.
_MAX_SIZE = 2**20


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


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser's class name and its numbers (``lr``, ``momentum``, …)."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


#: How the learning rate goes on: as it is, or in a straight line to zero at the last step.
LR_DECAYS = ("none", "linear")


@dataclass(frozen=True)
class TrainingConfig:
    """How long and in what portions it learns, and from which seed."""

    task: str
    epochs: int
    batch_size: int
    seed: int
    validate_every: int
    log_every: int
    lr_decay: str = "none"


@dataclass(frozen=True)
class RunConfig:
    """All of it, and the versions that made the run."""

    model: ModelConfig
    data: DataConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    versions: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As nested dictionaries that TOML and JSON can both hold (what is None is left out)."""
        found = asdict(self)
        found["data"] = {key: value for key, value in found["data"].items() if value is not None}
        return {"format": FORMAT, **_with_lists(found)}


def _with_lists(value: Any) -> Any:
    """Tuples as lists, which is what files give back."""
    if isinstance(value, dict):
        return {key: _with_lists(item) for key, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def describe_run(
    model: Module,
    data: ImageSet | tuple[Dataset[Any], Dataset[Any]],
    optimizer: Any,
    training: TrainingConfig,
    folder: str | os.PathLike[str] | None = None,
) -> RunConfig:
    """The configuration of a run, read off the objects that it is made of.

    A network that ``nn.models`` made knows its name and options; another is noted by its class, and only
    its author can rebuild it.
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
        versions(),
    )


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
        )
    train, test = data
    shape = np.shape(train[0][0])
    return DataConfig("of one's own", len(train), len(test), tuple(map(int, shape)), folder=place)


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
    top.has_only("format", "model", "data", "optimizer", "training", "versions")
    model, data = top.table("model"), top.table("data")
    optimizer, training = top.table("optimizer"), top.table("training")
    model.has_only("name", "options")
    data.has_only("name", "train_samples", "test_samples", "image_shape", "classes", "mean", "std", "folder")
    optimizer.has_only("name", "options")
    training.has_only("task", "epochs", "batch_size", "seed", "validate_every", "log_every", "lr_decay")
    task = training.text("task")
    if task not in TASKS:
        raise training.wrong("task", f"one of {', '.join(TASKS)}")
    lr_decay = training.text("lr_decay") if "lr_decay" in training.found else "none"
    if lr_decay not in LR_DECAYS:
        raise training.wrong("lr_decay", f"one of {', '.join(LR_DECAYS)}")
    std = data.number("std")
    if std <= 0:
        raise data.wrong("std", "a number above 0")
    return RunConfig(
        ModelConfig(model.text("name"), model.options("options")),
        DataConfig(
            data.text("name"),
            data.count("train_samples", low=0),
            data.count("test_samples", low=0),
            data.counts("image_shape"),
            data.texts("classes"),
            data.number("mean"),
            std,
            data.text("folder") if "folder" in data.found else None,
        ),
        OptimizerConfig(optimizer.text("name"), optimizer.options("options")),
        TrainingConfig(
            task,
            training.count("epochs"),
            training.count("batch_size"),
            training.count("seed", low=0, high=SEED_LIMIT - 1),
            training.count("validate_every"),
            training.count("log_every"),
            lr_decay,
        ),
        {key: str(value) for key, value in top.table("versions").found.items()},
    )


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


def same_facts(before: RunConfig, now: RunConfig) -> list[str]:
    """The fields that keep a run from being taken up, as sentences' parts; none where it can be.

    The number of epochs may grow, the folder of the data may move, versions may change.
    """
    ours, theirs = before.to_dict(), now.to_dict()
    for found in (ours, theirs):
        found.pop("versions")
        found["data"].pop("folder", None)
        found["training"].pop("epochs")
        found["training"].pop("log_every")
    return [
        f"{table}.{key}={ours[table].get(key)!r} there and {theirs[table].get(key)!r} here"
        for table in ("model", "data", "optimizer", "training")
        for key in sorted({*ours[table], *theirs[table]})
        if ours[table].get(key) != theirs[table].get(key)
    ]


def path_of(folder: str | os.PathLike[str]) -> Path:
    """The configuration's place in a run folder."""
    return Path(folder) / "config.toml"
