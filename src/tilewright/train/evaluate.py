"""How well a network does on a data set: losses, right answers, and what it said."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilewright.autograd.tape import no_grad
from tilewright.data import DataLoader, Dataset
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.nn import Module
from tilewright.train.metrics import confusion_matrix
from tilewright.train.rows import RunningSums
from tilewright.train.tasks import Task, find_task

__all__ = ["Evaluation", "as_pair", "batch_for", "confusion_matrix", "evaluate", "softmax"]

Array = np.ndarray[Any, Any]

# Large enough to keep two cores busy, small enough that the widest layer of the ready models takes 25 MB.
_BATCH = 256
# Values of a batch of images, at most (4 MiB of float32): a layer may make a hundred times as many.
_BATCH_VALUES = 2**20


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's result on a data set.

    Attributes:
        loss: mean over the images (over the labelled pixels, where pixels are classified).
        accuracy: share of right answers, or None where the task knows no right and wrong.
        correct: how many answers were right.
        images: how many images were judged.
        inputs: the images as the network saw them, (images, …), when asked to keep them; else None.
        outputs: what it said, (images, …), in the same case.
        labels: the labels, (images, …), in the same case.
        figures: the task's other figures by name, such as ``balanced_accuracy``, ``rmse`` or ``mean_iou``.
        matrix: the confusion matrix (classes, classes), where there are classes.
        per_class: figures of each class, lists by name.
        score: the figure that decides which weights are best (more is better); None: the loss does.
    """

    loss: float
    accuracy: float | None
    correct: int
    images: int
    inputs: Array | None = None
    outputs: Array | None = None
    labels: Array | None = None
    figures: dict[str, float] = field(default_factory=dict)
    matrix: Array | None = None
    per_class: dict[str, list[float]] = field(default_factory=dict)
    score: float | None = None


def evaluate(
    model: Module,
    data: Dataset[Any],
    task: str | Task = "classify",
    *,
    keep: bool | int = False,
    batch_size: int | None = None,
    workers: int = 0,
) -> Evaluation:
    """Run a network over a data set in evaluation mode; the mode it was in returns afterwards.

    Args:
        model: the network.
        data: (image, label) samples.
        task: ``classify``, ``reconstruct``, ``regress`` or ``segment``, or a task made by
            :func:`~tilewright.train.tasks.find_task`.
        keep: whether to keep the images, what the network said, and the labels; a number keeps those of the
            first so many images.
        batch_size: images at a time, which changes nothing but the memory needed; None: up to 256, fewer
            where they are large.
        workers: threads that make batches ahead of time.

    Raises:
        ArgumentError: the data set is empty.
        ShapeError: samples aren't pairs, or the network's answers don't suit the task.

    >>> evaluate(model, digits().test).accuracy  # doctest: +SKIP
    0.9833333333333333
    """
    if len(data) == 0:
        raise ArgumentError("evaluate needs a data set with at least one sample.", describe(samples=0))
    chosen = find_task(task) if isinstance(task, str) else task
    wanted = (len(data) if keep else 0) if isinstance(keep, bool) else keep
    sums = RunningSums()
    tally = chosen.tally()
    kept: list[tuple[Array, Array, Array]] = []
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            size = batch_size or batch_for(data)
            for batch in DataLoader(data, batch_size=size, num_workers=workers):
                images, labels = as_pair(batch)
                outcome = chosen.run(model, images, labels)
                left = wanted - sums.images
                sums.add(
                    float(outcome.loss.item()),
                    outcome.correct,
                    outcome.images,
                    weight=outcome.weight,
                    judged=outcome.judged,
                )
                tally.add(outcome.outputs, outcome.truth)
                if left > 0:
                    # Copies, so that three images kept don't hold on to a whole batch.
                    part = (images, outcome.outputs, outcome.truth)
                    first, said, truth = (array[:left].copy() for array in part)
                    kept.append((first, said, truth))
    finally:
        # One by one: a part that was kept in evaluation mode (a frozen batch norm) stays so.
        for module, mode in modes:
            module.training = mode
    accuracy = sums.accuracy if chosen.counts_right else None
    inputs, outputs, truths = (
        (np.concatenate(column) for column in zip(*kept, strict=True)) if kept else (None, None, None)
    )
    figures = tally.figures()
    return Evaluation(
        sums.mean_loss,
        accuracy,
        sums.correct,
        sums.images,
        inputs,
        outputs,
        truths,
        figures,
        tally.matrix,
        tally.per_class(),
        {**figures, "accuracy": accuracy}.get(chosen.score),
    )


def batch_for(data: Dataset[Any]) -> int:
    """How many images of a data set are looked at together when nothing is learnt."""
    sample = data[0]
    values = math.prod(np.shape(sample[0])) if isinstance(sample, (tuple, list)) and sample else 1
    return max(1, min(_BATCH, _BATCH_VALUES // max(1, values)))


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
