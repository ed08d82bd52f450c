"""How good answers are, in figures: for classes, for numbers, and for every pixel of a picture.

Most figures about classes follow from the confusion matrix alone, so they take it: (classes, classes) counts
with a row for each true class and a column for each answer. It can be summed over batches, and pixels count
in it like samples.

======================================  ===============================================================
:func:`confusion_matrix`                counts, from true classes and answers
:func:`accuracy`                        share of right answers (of pixels: pixel accuracy)
:func:`balanced_accuracy`               mean over the classes of their recall
:func:`precision`, :func:`recall`       per class: of what was answered so, or is so, the share that is right
:func:`f1`                              per class: the harmonic mean of these two (for pixels: Dice)
:func:`iou`, :func:`mean_iou`           per class: pixels in both over pixels in either; their mean
:func:`top_k_accuracy`                  share of samples whose class is among the k best scores
:func:`mean_absolute_error`             of numbers: the mean distance
:func:`root_mean_squared_error`         of numbers: the root of the mean squared distance
:func:`r2_score`                        of numbers: the share of their variance that is explained
======================================  ===============================================================

All work in float64, and take NumPy arrays or Tensors. Names, conventions and values are scikit-learn's where
it has the figure.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

Array = np.ndarray[Any, Any]

AVERAGES = ("macro", "weighted", "micro")


def confusion_matrix(truth: Any, answers: Any, classes: int, *, ignore_index: int | None = None) -> Array:
    """Counts (classes, classes): a row for each true class, a column for each answer.

    Args:
        truth: integers from 0 to classes − 1, any shape.
        answers: integers of the same range and shape.
        classes: how many classes there are.
        ignore_index: where ``truth`` has this number, the answer isn't counted.

    Raises:
        DtypeError: an array isn't of integers.
        ShapeError: the shapes differ.
        ArgumentError: a number outside its range.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    array([[1, 0],
           [1, 1]])
    """
    op = "confusion_matrix"
    count = _count(classes, "classes", op)
    given, said = _array(truth), _array(answers)
    for name, array in (("truth", given), ("answers", said)):
        if array.dtype.kind not in "iu":
            raise DtypeError(f"{op} needs {name} as integers.", describe(**{name: array}))
    if given.shape != said.shape:
        raise ShapeError(f"{op} needs one answer for each truth.", describe(truth=given, answers=said))
    rows, columns = given.ravel(), said.ravel()
    if ignore_index is not None:
        counted = rows != ignore_index
        rows, columns = rows[counted], columns[counted]
    for name, array in (("truth", rows), ("answers", columns)):
        if array.size and not (array.min() >= 0 and array.max() < count):
            raise ArgumentError(
                f"{op} needs {name} from 0 to {count - 1}, as there are {count} classes.",
                f"{name} from {array.min()} to {array.max()}",
            )
    # int64 holds the product of any row and column number that fits the matrix into memory.
    flat = np.bincount(rows.astype(np.int64) * count + columns.astype(np.int64), minlength=count * count)
    return flat.reshape(count, count)


def accuracy(matrix: Any) -> float:
    """The share of right answers; NaN of an empty matrix.

    >>> accuracy([[1, 0], [1, 2]])
    0.75
    """
    counts = _matrix(matrix, "accuracy")
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def balanced_accuracy(matrix: Any) -> float:
    """The mean recall of the classes that occur: each weighs alike, however many samples it has.

    NaN of an empty matrix.

    >>> balanced_accuracy([[8, 0], [1, 1]])
    0.75
    """
    counts = _matrix(matrix, "balanced_accuracy")
    there = counts.sum(axis=1) > 0
    return float((np.diag(counts)[there] / counts.sum(axis=1)[there]).mean()) if there.any() else float("nan")


def precision(matrix: Any, average: str | None = None, *, zero_division: float = 0.0) -> Any:
    """Of the samples that were answered with a class, the share that is of it.

    Args:
        matrix: (classes, classes) counts.
        average: None for each class, (classes,); ``macro``: the mean over the classes that are there or were
            answered; ``weighted``: the mean weighted by how often a class is there; ``micro``: the accuracy.
        zero_division: the value for a class that was never answered.

    Raises:
        ShapeError, DtypeError, ArgumentError: the matrix is none of counts, or the average is unknown.

    >>> precision([[3, 1], [0, 4]]).tolist()
    [1.0, 0.8]
    """
    counts = _matrix(matrix, "precision")
    return _averaged(counts, _ratio(np.diag(counts), counts.sum(axis=0), zero_division), average, "precision")


def recall(matrix: Any, average: str | None = None, *, zero_division: float = 0.0) -> Any:
    """Of the samples of a class, the share that was answered so.

    Arguments and errors as for :func:`precision`; ``zero_division`` is the value for a class without samples.

    >>> recall([[3, 1], [0, 4]]).tolist()
    [0.75, 1.0]
    """
    counts = _matrix(matrix, "recall")
    return _averaged(counts, _ratio(np.diag(counts), counts.sum(axis=1), zero_division), average, "recall")


def f1(matrix: Any, average: str | None = None, *, zero_division: float = 0.0) -> Any:
    """The harmonic mean of precision and recall: 2·right / (there + answered). Of pixels, it is called Dice.

    Arguments and errors as for :func:`precision`; ``zero_division`` is the value for a class that is neither
    there nor answered.

    Sources: van Rijsbergen, "Information Retrieval", 1979; Dice, "Measures of the amount of ecologic
    association between species", 1945.

    >>> f1([[3, 1], [0, 4]]).round(4).tolist()
    [0.8571, 0.8889]
    """
    counts = _matrix(matrix, "f1")
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return _averaged(counts, _ratio(2 * np.diag(counts), both, zero_division), average, "f1")


def iou(matrix: Any) -> Array:
    """Intersection over union of each class, (classes,): right / (there + answered − right).

    NaN for a class that is neither there nor answered, which :func:`mean_iou` leaves out.

    Source: Jaccard, "The distribution of the flora in the alpine zone", 1912.

    >>> iou([[3, 1], [0, 4]]).tolist()
    [0.75, 0.8]
    """
    counts = _matrix(matrix, "iou")
    right = np.diag(counts)
    return _ratio(right, counts.sum(axis=0) + counts.sum(axis=1) - right, float("nan"))


def mean_iou(matrix: Any) -> float:
    """The mean of :func:`iou` over the classes that are there or were answered; NaN of an empty matrix.

    >>> mean_iou([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    0.775
    """
    return _mean_of_known(iou(_matrix(matrix, "mean_iou")))


def mean_dice(matrix: Any) -> float:
    """The mean of :func:`f1` over the classes that are there or were answered; NaN of an empty matrix.

    >>> round(mean_dice([[3, 1], [0, 4]]), 4)
    0.873
    """
    return _mean_of_known(f1(_matrix(matrix, "mean_dice"), zero_division=float("nan")))


def top_k_accuracy(scores: Any, labels: Any, k: int = 5) -> float:
    """The share of samples whose class is among the ``k`` best scores; of equal ones, the first counts first.

    A score that is NaN is never among the best, and a class whose score is NaN never counts as right.

    Args:
        scores: (samples, classes) real numbers.
        labels: (samples,) integers from 0 to classes − 1.
        k: at least 1; with as many as there are classes, or more, every (known) class is among them.

    Raises:
        ShapeError, DtypeError, ArgumentError: an array of another shape or type, or a number out of range.

    >>> top_k_accuracy(np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]), np.array([2, 2]), k=2)
    0.5
    """
    op = "top_k_accuracy"
    most = _count(k, "k", op)
    found, wanted = _array(scores), _array(labels)
    if found.ndim != 2 or wanted.shape != found.shape[:1]:
        raise ShapeError(
            f"{op} needs scores (samples, classes) and as many labels.", describe(scores=found, labels=wanted)
        )
    if found.dtype.kind not in "fiu" or wanted.dtype.kind not in "iu":
        raise DtypeError(f"{op} needs real scores and integer labels.", describe(scores=found, labels=wanted))
    if wanted.size == 0:
        return float("nan")
    if wanted.min() < 0 or wanted.max() >= found.shape[1]:
        raise ArgumentError(
            f"{op} needs labels from 0 to {found.shape[1] - 1}, as there are {found.shape[1]} classes.",
            f"labels from {wanted.min()} to {wanted.max()}",
        )
    return float(count_top_k(found, wanted, most) / len(wanted))


def count_top_k(scores: Array, labels: Array, k: int) -> int:
    """How many samples have their class among the ``k`` best scores; unchecked, for batch after batch."""
    own = scores[np.arange(len(labels)), labels][:, None]
    places = np.arange(scores.shape[1])
    # Ahead of a sample's own class: all better ones, and equal ones that stand before it.
    ahead = (scores > own) | ((scores == own) & (places < labels[:, None]))
    return int(np.count_nonzero((ahead.sum(axis=1) < k) & (own[:, 0] == own[:, 0])))


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """The mean of |output − target| over all numbers; NaN of none.

    Args:
        outputs: real numbers of any shape.
        targets: as many, of the same shape.

    Raises:
        ShapeError, DtypeError: the shapes differ, or something isn't a real number.

    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    said, wanted = _numbers(outputs, targets, "mean_absolute_error")
    return float(np.abs(said - wanted).mean()) if said.size else float("nan")


def root_mean_squared_error(outputs: Any, targets: Any) -> float:
    """The root of the mean of (output − target)² over all numbers; arguments as for the absolute error.

    >>> root_mean_squared_error(np.array([1.0, 1.0]), np.array([1.0, 3.0])) == 2 ** 0.5
    True
    """
    said, wanted = _numbers(outputs, targets, "root_mean_squared_error")
    return float(np.sqrt(np.square(said - wanted).mean())) if said.size else float("nan")


def r2_score(outputs: Any, targets: Any) -> float:
    """The coefficient of determination: 1 − Σ(target − output)² / Σ(target − mean target)².

    1 is perfect, 0 is as good as always answering the mean. With several numbers a sample, the mean of each
    one's coefficient. Where the targets are all equal it is 1 if the answers are too, and else 0.

    Args:
        outputs: (samples, …) real numbers.
        targets: of the same shape.

    Raises:
        ShapeError, DtypeError: as for the absolute error, or there is no sample axis.

    >>> r2_score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])).__round__(4)
    0.7857
    """
    said, wanted = _numbers(outputs, targets, "r2_score")
    if said.ndim == 0:
        raise ShapeError("r2_score needs numbers with an axis of samples.", describe(outputs=said))
    if said.size == 0:
        return float("nan")
    wanted = wanted.reshape(len(wanted), -1)
    missed = np.square(said.reshape(wanted.shape) - wanted).sum(axis=0)
    spread = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
    return mean_determination(missed, spread)


def mean_determination(missed: Array, spread: Array) -> float:
    """The mean of 1 − missed/spread over the numbers of a sample, from sums of squares of each, (k,)."""
    constant = np.where(missed == 0, 1.0, 0.0)
    # Compared with 0, so that a NaN comes out as one.
    return float(np.where(spread == 0, constant, 1 - missed / np.where(spread == 0, 1.0, spread)).mean())


def _array(value: Any) -> Array:
    try:
        return np.asarray(value.detach().numpy() if isinstance(value, Tensor) else value)
    except ValueError as error:  # lists of different lengths
        raise DtypeError(
            "Metrics take arrays, Tensors, or lists that make one.", describe(value=value)
        ) from error


def _count(value: Any, name: str, op: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise ArgumentError(
            f"{op} needs {name} to be a whole number of at least 1.", describe(**{name: value})
        )
    return number


def _matrix(matrix: Any, op: str) -> Array:
    counts = _array(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.shape[0] == 0:
        raise ShapeError(f"{op} needs a confusion matrix (classes, classes).", describe(matrix=counts))
    if counts.dtype.kind not in "iu":
        raise DtypeError(f"{op} needs a confusion matrix of integers.", describe(matrix=counts))
    if counts.min() < 0:
        raise ArgumentError(
            f"{op} needs a confusion matrix of counts, 0 or more.", f"{counts.min()} in the matrix"
        )
    return counts


def _ratio(part: Array, whole: Array, otherwise: float) -> Array:
    found: Array = np.where(whole > 0, part / np.maximum(whole, 1), otherwise)
    return found


def _averaged(counts: Array, values: Array, average: str | None, op: str) -> Any:
    if average is None:
        return values
    if average not in AVERAGES:
        raise ArgumentError(
            f"{op} needs average to be None or one of {', '.join(AVERAGES)}.", describe(average=average)
        )
    there = counts.sum(axis=1)
    if average == "micro":
        return accuracy(counts)
    seen = there + counts.sum(axis=0) > 0
    if not seen.any():
        return float("nan")
    if average == "macro":
        return float(values[seen].mean())
    # A class without samples has the weight 0, whatever its value is.
    return float((values[there > 0] * (there[there > 0] / there.sum())).sum())


def _mean_of_known(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _numbers(outputs: Any, targets: Any, op: str) -> tuple[Array, Array]:
    said, wanted = _array(outputs), _array(targets)
    for name, array in (("outputs", said), ("targets", wanted)):
        if array.dtype.kind not in "fiu":
            raise DtypeError(f"{op} needs {name} as real numbers.", describe(**{name: array}))
    if said.shape != wanted.shape:
        raise ShapeError(
            f"{op} needs as many outputs as targets, in one shape.", describe(outputs=said, targets=wanted)
        )
    return said.astype(np.float64), wanted.astype(np.float64)
