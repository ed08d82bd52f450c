"""What a network is asked to do with a batch, and how well it did: a loss, and what counts as right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tilewright import functional as F
from tilewright.autograd.create import as_tensor
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.nn import Module
from tilewright.train.label_options import checked_smoothing, checked_weights
from tilewright.train.tallies import ClassTally, NoTally, NumberTally, PixelTally, Tally

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A batch's result.

    Attributes:
        loss: mean (or sum) over the batch, a Tensor of one number that can be run backward.
        outputs: what the network said, (batch, …).
        truth: what it should have said, in the form that figures are made from.
        correct: how many answers are right; 0 where the task knows no right and wrong.
        images: the size of the batch.
        weight: what the sum is divided by for the mean: numbers, labels, or the weights of their classes. The
            mean over several batches is the mean of their losses in these shares.
        judged: how many answers are right or wrong: images, or labelled pixels.
    """

    loss: Tensor
    outputs: Array
    truth: Array
    correct: int
    images: int
    weight: float
    judged: int


class Task(Protocol):
    """A kind of work, by name.

    Attributes:
        name: ``classify``, ``reconstruct``, ``regress`` or ``segment``.
        counts_right: whether answers are right or wrong, so that there is an accuracy.
        score: the figure that decides which weights are best; empty: the loss.
    """

    name: str
    counts_right: bool
    score: str

    def run(
        self, model: Module, images: Array, labels: Array, training: bool = False, reduction: str = "mean"
    ) -> Outcome:
        """Forward a batch and judge it: images (batch, …), labels (batch, …).

        With ``training``, the loss is the one that is learnt from (smoothed, weighted); otherwise the plain
        one, by which runs can be compared. ``reduction`` is ``mean`` or ``sum``.
        """
        ...

    def tally(self) -> Tally:
        """A fresh count of what this task's figures are made from."""
        ...


class Classify:
    """Name the class of each image: softmax cross-entropy of the network's (batch, classes) logits.

    Args:
        label_smoothing: the share of each label that is spread evenly over all classes, while learning.
        class_weight: (classes,) factors of the classes, while learning; None: all weigh alike.

    Raises:
        ArgumentError, DtypeError: a number outside its range.
    """

    name = "classify"
    counts_right = True
    score = "accuracy"

    def __init__(self, label_smoothing: float = 0.0, class_weight: Sequence[float] | None = None) -> None:
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.class_weight = checked_weights(class_weight)

    def run(
        self, model: Module, images: Array, labels: Array, training: bool = False, reduction: str = "mean"
    ) -> Outcome:
        """Forward a batch; the answer is the class of the largest logit, the first of equals.

        Labels are integers, (batch,); while learning also shares of the classes, (batch, classes), which is
        what mixing images up makes of labels.

        Raises:
            DtypeError: the labels aren't integers, one for each image.
            ShapeError: the network doesn't answer with (batch, classes).
        """
        are_shares = training and labels.dtype.kind == "f" and labels.ndim == 2 and labels.shape[1] > 0
        truth = labels.argmax(axis=1) if are_shares else labels
        if truth.dtype.kind not in "iu" or truth.shape != images.shape[:1]:
            raise DtypeError(
                "The task 'classify' needs one integer label for each image.", describe(labels=truth)
            )
        logits = model(as_tensor(images))
        if logits.ndim != 2 or len(logits) != len(images):
            raise ShapeError(
                "The task 'classify' needs a network that answers with (batch, classes).",
                f"outputs of shape {tuple(logits.shape)} for images of shape {images.shape}",
            )
        outputs = logits.detach().numpy()
        if are_shares:
            shares = as_tensor(_widened(labels, logits.shape[1]).astype(logits.dtype, copy=False))
            weight = _as_constant(self.class_weight, logits)
            smoothing = self.label_smoothing
            loss = F.cross_entropy(logits, shares, weight, label_smoothing=smoothing, reduction=reduction)
            divisor = float(len(images))
        else:
            loss, divisor = _class_loss(logits, labels, self, training, reduction)
        correct = int(np.count_nonzero(outputs.argmax(axis=1) == truth))
        return Outcome(loss, outputs, truth, correct, len(images), divisor, len(images))

    def tally(self) -> Tally:
        """Counts the confusion matrix, and the best five."""
        return ClassTally()


class Reconstruct:
    """Give back the image: mean squared error of the network's output against the image's pixels.

    The network sees standardised images and answers with pixels, as they were before: (v · std) + mean.

    Args:
        mean: the mean that was taken off the pixels.
        std: the deviation that they were divided by.
    """

    name = "reconstruct"
    counts_right = False
    score = ""

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        self.mean = np.float32(mean)
        self.std = np.float32(std)

    def pixels(self, images: Array) -> Array:
        """Standardised images as pixels."""
        return images * self.std + self.mean

    def run(
        self, model: Module, images: Array, labels: Array, training: bool = False, reduction: str = "mean"
    ) -> Outcome:
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
        loss = F.mse_loss(outputs, as_tensor(self.pixels(images)), reduction=reduction)
        return Outcome(loss, outputs.detach().numpy(), labels, 0, len(images), float(images.size), 0)

    def tally(self) -> Tally:
        """Counts nothing: the loss says it all."""
        return NoTally()


#: The losses of the task ``regress``, by PyTorch's names.
LOSSES: dict[str, Callable[..., Any]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
}


class Regress:
    """Say one number, or several, for each image: (batch, …) outputs against targets of that shape.

    A network that answers with (batch, 1) suits targets (batch,) as well.

    Args:
        loss: ``mse``, ``l1``, ``smooth_l1`` or ``huber``.

    Raises:
        ArgumentError: another loss.
    """

    name = "regress"
    counts_right = False
    score = ""

    def __init__(self, loss: str = "mse") -> None:
        if loss not in LOSSES:
            raise ArgumentError(
                f"The task 'regress' needs a loss of {', '.join(LOSSES)}.", describe(loss=loss)
            )
        self.loss = loss

    def run(
        self, model: Module, images: Array, labels: Array, training: bool = False, reduction: str = "mean"
    ) -> Outcome:
        """Forward a batch.

        Raises:
            DtypeError: the targets aren't real numbers.
            ShapeError: outputs and targets aren't of one shape.
        """
        if labels.dtype.kind not in "fiu" or labels.shape[:1] != images.shape[:1]:
            raise DtypeError(
                "The task 'regress' needs real numbers as targets, one or several for each image.",
                describe(labels=labels),
            )
        outputs = model(as_tensor(images))
        if tuple(outputs.shape) == (*labels.shape, 1):
            outputs = outputs.reshape(labels.shape)
        if tuple(outputs.shape) != labels.shape:
            raise ShapeError(
                "The task 'regress' needs a network whose output has the targets' shape.",
                f"outputs of shape {tuple(outputs.shape)} for targets of shape {labels.shape}",
            )
        targets = as_tensor(labels.astype(outputs.dtype, copy=False))
        loss = LOSSES[self.loss](outputs, targets, reduction=reduction)
        return Outcome(loss, outputs.detach().numpy(), labels, 0, len(images), float(labels.size), 0)

    def tally(self) -> Tally:
        """Counts what MAE, RMSE and R² are made from."""
        return NumberTally()


#: The class number that stands for "not labelled", as in PyTorch's losses.
NOT_LABELLED = -100


class Segment:
    """Name the class of each pixel: cross-entropy of (batch, classes, …) logits against (batch, …) masks.

    Args:
        label_smoothing: as in :class:`Classify`.
        class_weight: as in :class:`Classify`.
        ignore_index: pixels of this class number have no share in anything.

    Raises:
        ArgumentError, DtypeError: a number outside its range.
    """

    name = "segment"
    counts_right = True
    score = "mean_iou"

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weight: Sequence[float] | None = None,
        ignore_index: int = NOT_LABELLED,
    ) -> None:
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.class_weight = checked_weights(class_weight)
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
            raise ArgumentError(
                "The task 'segment' needs ignore_index to be an integer.", describe(ignore_index=ignore_index)
            )
        self.ignore_index = ignore_index

    def run(
        self, model: Module, images: Array, labels: Array, training: bool = False, reduction: str = "mean"
    ) -> Outcome:
        """Forward a batch. Masks of (batch, 1, …) are taken without their axis of one.

        Raises:
            DtypeError: the masks aren't of integers.
            ShapeError: the network doesn't answer with two classes or more for each of the masks' pixels.
        """
        masks = labels[:, 0] if labels.ndim == images.ndim and labels.shape[1] == 1 else labels
        if masks.dtype.kind not in "iub" or masks.ndim < 2 or len(masks) != len(images):
            raise DtypeError(
                "The task 'segment' needs a mask of integers, (batch, height, width), for the images.",
                describe(labels=labels),
            )
        masks = masks.astype(np.int64, copy=False)
        logits = model(as_tensor(images))
        shape = tuple(logits.shape)
        if len(shape) != masks.ndim + 1 or shape[1] < 2 or (shape[0], *shape[2:]) != masks.shape:
            raise ShapeError(
                "The task 'segment' needs a network that answers with (batch, classes, …), two classes or "
                "more, for each pixel of the masks.",
                f"outputs of shape {shape} for masks of shape {masks.shape}",
            )
        loss, weight = _class_loss(logits, masks, self, training, reduction, self.ignore_index)
        outputs = logits.detach().numpy()
        labelled = masks != self.ignore_index
        correct = int(np.count_nonzero((outputs.argmax(axis=1) == masks) & labelled))
        judged = int(np.count_nonzero(labelled))
        return Outcome(loss, outputs, masks, correct, len(images), weight, judged)

    def tally(self) -> Tally:
        """Counts the confusion matrix of the pixels."""
        return PixelTally(self.ignore_index)


TASKS = ("classify", "reconstruct", "regress", "segment")


def find_task(name: str, mean: float = 0.0, std: float = 1.0, **options: Any) -> Task:
    """The task of that name, on images standardised with ``mean`` and ``std``.

    Args:
        name: one of ``TASKS``.
        mean: the mean that was taken off the pixels.
        std: the deviation that they were divided by.
        options: of the task's class.

    Raises:
        ArgumentError: there is no such task, or it doesn't take such an option.
    """
    made = {"classify": Classify, "reconstruct": Reconstruct, "regress": Regress, "segment": Segment}.get(
        name
    )
    if made is None:
        raise ArgumentError(f"A task is one of {', '.join(TASKS)}.", describe(task=name))
    try:
        own = {"mean": mean, "std": std} if name == "reconstruct" else {}
        task: Task = made(**own, **options)
    except TypeError as error:
        if not isinstance(error, DtypeError):
            raise ArgumentError(f"The task {name!r} has no such option.", describe(**options)) from error
        raise
    return task


def _class_loss(
    logits: Tensor,
    labels: Array,
    task: Classify | Segment,
    training: bool,
    reduction: str,
    ignore_index: int = NOT_LABELLED,
) -> tuple[Tensor, float]:
    """The mean loss or the sum, and what makes the one of the other."""
    target = as_tensor(labels.astype(np.int64, copy=False))
    if not training or (task.class_weight is None and not task.label_smoothing):
        loss = F.cross_entropy(logits, target, ignore_index=ignore_index, reduction=reduction)
        return loss, float(np.count_nonzero(labels != ignore_index))
    factors = task.class_weight
    loss = F.cross_entropy(
        logits,
        target,
        _as_constant(factors, logits),
        ignore_index=ignore_index,
        label_smoothing=task.label_smoothing,
        reduction=reduction,
    )
    labelled = labels[labels != ignore_index]
    return loss, float(len(labelled) if factors is None else factors[labelled].sum())


def _widened(shares: Array, classes: int) -> Array:
    """Shares (batch, k) of the first k classes, as shares of all (batch, classes)."""
    if shares.shape[1] > classes:
        raise ShapeError(
            f"The task 'classify' needs shares of the {classes} classes that the network answers with.",
            describe(labels=shares),
        )
    missing = classes - shares.shape[1]
    return np.pad(shares, ((0, 0), (0, missing))) if missing else shares


def _as_constant(factors: Array | None, like: Tensor) -> Tensor | None:
    return None if factors is None else as_tensor(factors.astype(like.dtype))
