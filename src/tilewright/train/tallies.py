"""Counting over a data set, batch after batch, what its figures are made from. Nothing is kept but sums."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tilewright.train.metrics import (
    balanced_accuracy,
    confusion_matrix,
    count_top_k,
    f1,
    iou,
    mean_determination,
    mean_dice,
    mean_iou,
    precision,
    recall,
)

Array = np.ndarray[Any, Any]

# What the best scores of a large classification are judged by, since Krizhevsky, Sutskever and Hinton (2012).
TOP = 5


class Tally(Protocol):
    """What is counted of a network's answers.

    Attributes:
        names: of the figures that there may be.
    """

    names: tuple[str, ...]

    @property
    def matrix(self) -> Array | None:
        """The confusion matrix (classes, classes), where there are classes."""
        ...

    def add(self, outputs: Array, truth: Array) -> None:
        """Take in a batch."""
        ...

    def figures(self) -> dict[str, float]:
        """The figures by name."""
        ...

    def per_class(self) -> dict[str, list[float]]:
        """Figures of each class by name; none where there are no classes."""
        ...


class NoTally:
    """For a task that is judged by its loss alone."""

    names: tuple[str, ...] = ()
    matrix: Array | None = None

    def add(self, outputs: Array, truth: Array) -> None:
        """Nothing is counted."""

    def figures(self) -> dict[str, float]:
        """None."""
        return {}

    def per_class(self) -> dict[str, list[float]]:
        """None."""
        return {}


class ClassTally:
    """Of classified samples: outputs (batch, classes), labels (batch,)."""

    names: tuple[str, ...] = ("balanced_accuracy", "macro_f1", f"top_{TOP}_accuracy")

    def __init__(self) -> None:
        self.matrix: Array | None = None
        self._top = 0

    def add(self, outputs: Array, truth: Array) -> None:
        """Take in a batch."""
        classes = outputs.shape[1]
        counts = confusion_matrix(truth, outputs.argmax(axis=1), classes)
        self.matrix = counts if self.matrix is None else self.matrix + counts
        if classes > TOP:
            self._top += count_top_k(outputs, truth, TOP)

    def figures(self) -> dict[str, float]:
        """Balanced accuracy, the mean of F1 over the classes, and with enough classes top-5 accuracy."""
        if self.matrix is None:
            return {}
        found = {"balanced_accuracy": balanced_accuracy(self.matrix), "macro_f1": f1(self.matrix, "macro")}
        if len(self.matrix) > TOP:
            found[f"top_{TOP}_accuracy"] = self._top / int(self.matrix.sum())
        return found

    def per_class(self) -> dict[str, list[float]]:
        """Precision, recall, F1, and how many samples there are."""
        if self.matrix is None:
            return {}
        return {
            "precision": precision(self.matrix).tolist(),
            "recall": recall(self.matrix).tolist(),
            "f1": f1(self.matrix).tolist(),
            "samples": self.matrix.sum(axis=1).tolist(),
        }


class PixelTally:
    """Of classified pixels: outputs (batch, classes, …), masks (batch, …).

    Args:
        ignore_index: pixels of this class are not counted.
    """

    names: tuple[str, ...] = ("mean_iou", "mean_dice")

    def __init__(self, ignore_index: int) -> None:
        self.matrix: Array | None = None
        self.ignore_index = ignore_index

    def add(self, outputs: Array, truth: Array) -> None:
        """Take in a batch."""
        classes = outputs.shape[1]
        counts = confusion_matrix(truth, outputs.argmax(axis=1), classes, ignore_index=self.ignore_index)
        self.matrix = counts if self.matrix is None else self.matrix + counts

    def figures(self) -> dict[str, float]:
        """The means over the classes of intersection over union, and of Dice."""
        if self.matrix is None:
            return {}
        return {"mean_iou": mean_iou(self.matrix), "mean_dice": mean_dice(self.matrix)}

    def per_class(self) -> dict[str, list[float]]:
        """Intersection over union, Dice, and how many pixels there are."""
        if self.matrix is None:
            return {}
        return {
            "iou": iou(self.matrix).tolist(),
            "dice": f1(self.matrix, zero_division=float("nan")).tolist(),
            "pixels": self.matrix.sum(axis=1).tolist(),
        }


class NumberTally:
    """Of numbers: outputs and targets (batch, …), in float64.

    Sums of squared differences from the mean are merged batch by batch, so that large targets with little
    spread keep their figures.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.
    """

    names: tuple[str, ...] = ("mae", "rmse", "r2")
    matrix: Array | None = None

    def __init__(self) -> None:
        self._samples = 0
        self._numbers = 0
        self._distance = 0.0
        self._missed: Array | None = None
        self._mean: Array = np.zeros(1)
        self._spread: Array = np.zeros(1)

    def add(self, outputs: Array, truth: Array) -> None:
        """Take in a batch."""
        wanted = truth.astype(np.float64).reshape(len(truth), -1)
        away = outputs.astype(np.float64).reshape(wanted.shape) - wanted
        samples, mean = len(wanted), wanted.mean(axis=0)
        missed, spread = np.square(away).sum(axis=0), np.square(wanted - mean).sum(axis=0)
        self._distance += float(np.abs(away).sum())
        self._numbers += away.size
        if self._missed is None:
            self._missed, self._mean, self._spread = missed, mean, spread
        else:
            total = self._samples + samples
            shift = mean - self._mean
            self._missed = self._missed + missed
            self._spread = self._spread + spread + np.square(shift) * (self._samples * samples / total)
            self._mean = self._mean + shift * (samples / total)
        self._samples += samples

    def figures(self) -> dict[str, float]:
        """Mean absolute error, root of the mean squared error, and the coefficient of determination."""
        if self._missed is None or self._numbers == 0:
            return {}
        return {
            "mae": self._distance / self._numbers,
            "rmse": float(np.sqrt(self._missed.sum() / self._numbers)),
            "r2": mean_determination(self._missed, self._spread),
        }

    def per_class(self) -> dict[str, list[float]]:
        """None."""
        return {}
