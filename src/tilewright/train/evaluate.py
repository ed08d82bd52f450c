"""How well a network does on a data set: losses, right answers, and what it said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright.autograd.tape import no_grad
from tilewright.data import DataLoader, Dataset
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.nn import Module
from tilewright.train.metrics import RunningSums
from tilewright.train.tasks import Task, find_task

Array = np.ndarray[Any, Any]

# Large enough to keep two cores busy, small enough that the widest layer of the ready models takes 25 MB.
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's result on a data set.

    Attributes:
        loss: mean over the images.
        accuracy: share of right answers, or None where the task knows no right and wrong.
        correct: how many answers were right.
        images: how many images were judged.
        inputs: the images as the network saw them, (images, …), when asked to keep them; else None.
        outputs: what it said, (images, …), in the same case.
        labels: the labels, (images,), in the same case.
    """

    loss: float
    accuracy: float | None
    correct: int
    images: int
    inputs: Array | None = None
    outputs: Array | None = None
    labels: Array | None = None


def evaluate(
    model: Module, data: Dataset[Any], task: str | Task = "classify", *, keep: bool = False
) -> Evaluation:
    """Run a network over a data set in evaluation mode; the mode it was in returns afterwards.

    Args:
        model: the network.
        data: (image, label) samples.
        task: ``classify`` or ``reconstruct``, or a task made by :func:`~tilewright.train.tasks.find_task`.
        keep: whether to keep the images, what the network said, and the labels.

    Raises:
        ArgumentError: the data set is empty.
        ShapeError: samples aren't pairs, or the network's answers don't suit the task.

    >>> evaluate(model, digits().test).accuracy  # doctest: +SKIP
    0.9833333333333333
    """
    if len(data) == 0:
        raise ArgumentError("evaluate needs a data set with at least one sample.", describe(samples=0))
    chosen = find_task(task) if isinstance(task, str) else task
    sums = RunningSums()
    kept: list[tuple[Array, Array, Array]] = []
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for batch in DataLoader(data, batch_size=_BATCH):
                images, truth = as_pair(batch)
                outcome = chosen.run(model, images, truth)
                sums.add(float(outcome.loss.item()), outcome.correct, outcome.images)
                if keep:
                    kept.append((images, outcome.outputs, truth))
    finally:
        # One by one: a part that was kept in evaluation mode (a frozen batch norm) stays so.
        for module, mode in modes:
            module.training = mode
    accuracy = sums.accuracy if chosen.counts_right else None
    columns = [np.concatenate(column) for column in zip(*kept, strict=True)] if keep else []
    return Evaluation(sums.mean_loss, accuracy, sums.correct, sums.images, *columns)


def as_pair(batch: Any) -> tuple[Array, Array]:
    """A loader's batch as arrays of images (batch, …) and labels (batch, …).

    Raises:
        ShapeError: it isn't a pair.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        size = f" of {len(batch)}" if hasattr(batch, "__len__") else ""
        raise ShapeError(
            "Training needs a data set whose samples are pairs of an image and a label.",
            f"batches of type {type(batch).__name__}{size}",
        )
    images, labels = (np.asarray(part.numpy() if hasattr(part, "numpy") else part) for part in batch)
    return images, labels


def softmax(logits: Array) -> Array:
    """Probabilities (samples, classes) of logits, in float64, rows adding up to 1.

    Exponentials are taken of differences from the row's largest logit, so that none overflows.

    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(6)
    array([[0.25, 0.75]])
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    result: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def confusion_matrix(truth: Array, answers: Array, classes: int) -> Array:
    """Counts (classes, classes): a row for each true class, a column for each answer.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    array([[1, 0],
           [1, 1]])
    """
    flat = np.bincount(truth * classes + answers, minlength=classes * classes)
    return flat.reshape(classes, classes)
