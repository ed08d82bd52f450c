"""What the trainer's arguments must be, and what they mean for its task."""

from __future__ import annotations

from typing import Any

from tilewright.data import Dataset, ImageSet
from tilewright.data.augment import MixUp
from tilewright.errors import ArgumentError, describe
from tilewright.train.balance import count_labels
from tilewright.train.config import RunConfig, TrainingConfig
from tilewright.train.tasks import TASKS, Task, find_task

# Which tasks take which of the trainer's arguments.
_OF_TASKS = {
    "label_smoothing": ("classify", "segment"),
    "class_weight": ("classify", "segment"),
    "loss": ("regress",),
    "ignore_index": ("segment",),
}
_MIXABLE = ("classify", "regress")


def check_counts(**counts: Any) -> None:
    """Refuse what isn't a whole number of at least 1.

    Raises:
        ArgumentError: naming the first such argument.
    """
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError(
                f"Trainer needs {name} to be a whole number of at least 1.", describe(**{name: value})
            )


def two_parts(data: ImageSet | tuple[Dataset[Any], Dataset[Any]]) -> tuple[Dataset[Any], Dataset[Any]]:
    """The samples to learn from, and those to validate on.

    Raises:
        ArgumentError: the data is of another form, or one of the two is empty.
    """
    if isinstance(data, ImageSet):
        return data.train, data.test
    if not isinstance(data, tuple) or len(data) != 2:
        raise ArgumentError(
            "Trainer needs data as an ImageSet, or as a pair of data sets: to learn from, to validate on.",
            describe(data=data),
        )
    for part in data:
        if not hasattr(part, "__len__") or len(part) == 0:
            raise ArgumentError("Trainer needs data sets with at least one sample.", describe(data=part))
    return data


def mixed(data: Dataset[Any], alpha: float, task: str, classes: int, seed: int) -> Dataset[Any]:
    """The training samples, mixed in pairs; for an ``alpha`` of 0, as they are.

    Args:
        data: the samples.
        alpha: of the Beta(alpha, alpha) distribution that shares follow.
        task: what is learnt; classes and numbers can be mixed.
        classes: how many there are; 0: as many as labels tell.
        seed: what the shares follow.

    Raises:
        ArgumentError: an alpha outside its range, or a task that nothing is mixed for.
    """
    if alpha == 0 and not isinstance(alpha, bool):
        return data
    if task not in _MIXABLE:
        raise ArgumentError(
            f"Mixing images up needs one of the tasks {', '.join(_MIXABLE)}.",
            describe(task=task, mixup=alpha),
        )
    if task == "classify":
        return MixUp(data, classes or len(count_labels(data)), alpha, seed=seed)
    return MixUp(data, None, alpha, seed=seed)


def task_of(config: RunConfig) -> Task:
    """The task that a run's configuration describes.

    Raises:
        ArgumentError: there is no such task, or it doesn't take an option that is set.
    """
    return find_task(
        config.training.task, config.data.mean, config.data.std, **_task_options(config.training)
    )


def _task_options(training: TrainingConfig) -> dict[str, Any]:
    found = {}
    for name, tasks in _OF_TASKS.items():
        value = getattr(training, name)
        if value is None or (name == "label_smoothing" and value == 0 and not isinstance(value, bool)):
            continue
        if training.task in TASKS and training.task not in tasks:
            raise ArgumentError(
                f"Trainer takes {name} for the task {' or '.join(map(repr, tasks))} only.",
                describe(task=training.task, **{name: value}),
            )
        found[name] = value
    return found
