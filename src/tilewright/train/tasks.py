"""What a network is asked to do with a batch, and how well it did: a loss, and what counts as right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tilewright import functional as F
from tilewright.autograd.create import as_tensor
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.nn import Module

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A batch's result.

    Attributes:
        loss: mean over the batch, a Tensor of one number that can be run backward.
        outputs: what the network said, (batch, …).
        correct: images answered rightly; 0 where the task knows no right and wrong.
        images: the size of the batch.
    """

    loss: Tensor
    outputs: Array
    correct: int
    images: int


class Task(Protocol):
    """A kind of work, by name.

    Attributes:
        name: ``classify`` or ``reconstruct``.
        counts_right: whether answers are right or wrong, so that there is an accuracy.
    """

    name: str
    counts_right: bool

    def run(self, model: Module, images: Array, labels: Array) -> Outcome:
        """Forward a batch and judge it: images (batch, …), labels (batch,)."""
        ...


class Classify:
    """Name the class of each image: softmax cross-entropy of the network's (batch, classes) logits."""

    name = "classify"
    counts_right = True

    def run(self, model: Module, images: Array, labels: Array) -> Outcome:
        """Forward a batch; the answer is the class of the largest logit, the first of equals.

        Raises:
            DtypeError: the labels aren't integers, one for each image.
            ShapeError: the network doesn't answer with (batch, classes).
        """
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise DtypeError(
                "The task 'classify' needs one integer label for each image.", describe(labels=labels)
            )
        logits = model(as_tensor(images))
        if logits.ndim != 2 or len(logits) != len(images):
            raise ShapeError(
                "The task 'classify' needs a network that answers with (batch, classes).",
                f"outputs of shape {tuple(logits.shape)} for images of shape {images.shape}",
            )
        loss = F.cross_entropy(logits, as_tensor(labels.astype(np.int64, copy=False)))
        outputs = logits.detach().numpy()
        correct = int(np.count_nonzero(outputs.argmax(axis=1) == labels))
        return Outcome(loss, outputs, correct, len(images))


class Reconstruct:
    """Give back the image: mean squared error of the network's output against the image's pixels.

    The network sees standardised images and answers with pixels, as they were before: (v · std) + mean.

    Args:
        mean: the mean that was taken off the pixels.
        std: the deviation that they were divided by.
    """

    name = "reconstruct"
    counts_right = False

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        self.mean = np.float32(mean)
        self.std = np.float32(std)

    def pixels(self, images: Array) -> Array:
        """Standardised images as pixels."""
        return images * self.std + self.mean

    def run(self, model: Module, images: Array, labels: Array) -> Outcome:
        """Forward a batch; labels are not looked at.

        Raises:
            ShapeError: the output isn't of the input's shape.
        """
        outputs = model(as_tensor(images))
        if tuple(outputs.shape) != images.shape:
            raise ShapeError(
                "The task 'reconstruct' needs a network whose output has its input's shape.",
                f"outputs of shape {tuple(outputs.shape)} for images of shape {images.shape}",
            )
        loss = F.mse_loss(outputs, as_tensor(self.pixels(images)))
        return Outcome(loss, outputs.detach().numpy(), 0, len(images))


TASKS = ("classify", "reconstruct")


def find_task(name: str, mean: float = 0.0, std: float = 1.0) -> Task:
    """The task of that name, on images standardised with ``mean`` and ``std``.

    Raises:
        ArgumentError: there is none.
    """
    if name == "classify":
        return Classify()
    if name == "reconstruct":
        return Reconstruct(mean, std)
    raise ArgumentError(f"A task is one of {', '.join(TASKS)}.", describe(task=name))
