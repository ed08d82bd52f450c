"""Parts of a data set that keep its classes in proportion, and weights that make up for rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from tilewright.data.arrays import Dataset, Subset, TensorDataset, split_counts
from tilewright.data.checks import as_count, length_of
from tilewright.data.order import permutation, seed_from
from tilewright.errors import DtypeError, ShapeError, describe

Array = np.ndarray[Any, Any]
SampleT = TypeVar("SampleT")


def stratified_split(
    dataset: Dataset[SampleT],
    lengths: Sequence[int] | Sequence[float],
    generator: int | np.random.Generator | None = None,
    labels: Any = None,
) -> list[Subset[SampleT]]:
    """Split a data set into disjoint random parts that have all classes in the same proportions.

    A class gives each part its share to within one sample. Each part keeps the data set's order.

    Args:
        dataset: what to split.
        lengths: whole numbers that add up to ``len(dataset)``, or fractions that add up to 1, as in
            :func:`random_split`.
        generator: a seed, a NumPy generator, or None for a fresh seed. The same seed gives the same split.
        labels: (samples,) the class of each; None: found by :func:`labels_of`.

    Returns:
        One :class:`Subset` per length, in order.

    Raises:
        ArgumentError: a length is negative, or they don't add up.
        ShapeError: there isn't one label for each sample.
        DtypeError: labels that are neither integers, truths nor texts.

    >>> data = [("image", label) for label in [0] * 8 + [1] * 4]
    >>> [[label for _, label in part] for part in stratified_split(data, [0.75, 0.25], generator=0)]
    [[0, 0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 1]]
    """
    op = "stratified_split"
    total = length_of(dataset, op)
    counts = split_counts(lengths, total, op)
    seed = seed_from(generator, "generator", op)
    found = labels_of(dataset) if labels is None else np.asarray(labels)
    if found.shape != (total,):
        raise ShapeError(f"{op} needs one label for each of {total} samples.", describe(labels=found))
    if found.size and found.dtype.kind not in "iubUS":
        raise DtypeError(f"{op} needs integers, truths or texts as labels.", describe(labels=found))
    numbers = [np.flatnonzero(found == label) for label in np.unique(found)]
    shares = _shares([len(members) for members in numbers], counts)
    taken: list[list[Array]] = [[np.empty(0, np.int64)] for _ in counts]
    for stream, (members, sizes) in enumerate(zip(numbers, shares, strict=True)):
        shuffled = members[permutation(len(members), seed, stream)]
        for part, start, size in zip(taken, np.cumsum([0, *sizes]), sizes, strict=False):
            part.append(shuffled[start : start + size])
    return [Subset(dataset, np.sort(np.concatenate(part))) for part in taken]


def _shares(rows: list[int], columns: list[int]) -> list[list[int]]:
    """How many samples of each class (row) go into each part (column): whole numbers that add up both ways.

    Proportions are rounded down; what is missing in a class goes, one each, to the parts that miss most. That
    this comes out even, whichever class begins, is what Havel and Hakimi found for graphs: the rounded-off
    remainders are below 1 and add up, so there is a way, and taking from the neediest keeps one open.
    """
    total = max(1, sum(rows))
    found = [[row * column // total for column in columns] for row in rows]
    missing = [column - sum(sizes[j] for sizes in found) for j, column in enumerate(columns)]
    for row, sizes in zip(rows, found, strict=True):
        neediest = sorted(range(len(columns)), key=lambda j: -missing[j])
        for j in neediest[: row - sum(sizes)]:
            sizes[j] += 1
            missing[j] -= 1
    return found


def labels_of(dataset: Any) -> Array:
    """The labels of all samples, (samples,): those the data set holds, or else the last part of each sample.

    Data sets hold them as ``labels`` or ``targets``; of a ``TensorDataset`` the last tensor counts. For
    another data set every sample is made once, which may take its time.

    Raises:
        ShapeError: the labels found aren't one for each sample.
        ArgumentError: it is no data set.

    >>> labels_of([("a", 3), ("b", 5)])
    array([3, 5])
    """
    total = length_of(dataset, "labels_of")
    for name in ("labels", "targets"):
        held = getattr(dataset, name, None)
        if held is not None and hasattr(held, "__len__") and not callable(held) and len(held) == total:
            return np.asarray(held)
    if isinstance(dataset, TensorDataset):
        last = dataset.tensors[-1]
        return np.asarray(last.detach().numpy() if hasattr(last, "detach") else last)
    found = []
    for index in range(total):
        try:
            label = dataset[index][-1]
        except (TypeError, IndexError, KeyError) as error:
            raise ShapeError(
                "labels_of needs samples whose last part is one label.", f"a sample {index} without parts"
            ) from error
        found.append(label.item() if hasattr(label, "item") and np.ndim(label) == 0 else label)
    try:
        return np.asarray(found)
    except ValueError as error:
        raise ShapeError(
            "labels_of needs samples whose last part is one label.", "labels of several shapes"
        ) from error


def class_counts(labels: Any, classes: int = 0) -> Array:
    """How many samples each class has, (classes,) int64.

    Args:
        labels: (samples,) class numbers from 0, or a data set that has them (see :func:`labels_of`).
        classes: at least so many classes are counted.

    Raises:
        ShapeError: the labels aren't of rank 1.
        DtypeError: they are no class numbers.
        ArgumentError: ``classes`` is no number from 0 to 16,777,216, or ``labels`` has none at all.

    >>> class_counts([0, 2, 2])
    array([1, 0, 2])
    """
    least = as_count(classes, "classes", "class_counts", _MOST_CLASSES)
    return np.bincount(_class_numbers(labels, "class_counts"), minlength=least).astype(np.int64)


def class_weights(labels: Any, classes: int = 0) -> Array:
    """Weights that let every class count alike in a loss: n / (classes · samples of the class), float32.

    scikit-learn's "balanced" formula; a class without samples gets 1. For ``cross_entropy(weight=…)``.

    Args:
        labels: (samples,) class numbers from 0, or a data set that has them.
        classes: at least so many classes are counted.

    Raises:
        ShapeError, DtypeError, ArgumentError: as :func:`class_counts`.

    >>> class_weights([0, 0, 0, 1])
    array([0.6666667, 2.       ], dtype=float32)
    """
    counts = class_counts(labels, classes)
    balanced = counts.sum() / (max(1, len(counts)) * np.maximum(counts, 1))
    return np.where(counts > 0, balanced, 1.0).astype(np.float32)


def sample_weights(labels: Any) -> Array:
    """The weight of each sample, (samples,) float64, by which a sampler draws all classes equally often.

    For :class:`~tilewright.data.WeightedRandomSampler`: one over the number of samples of its class.

    Args:
        labels: (samples,) class numbers from 0, or a data set that has them.

    Raises:
        ShapeError, DtypeError: as :func:`class_counts`.

    >>> sample_weights([0, 0, 1])
    array([0.5, 0.5, 1. ])
    """
    numbers = _class_numbers(labels, "sample_weights")
    weights: Array = 1 / np.maximum(np.bincount(numbers), 1)[numbers]
    return weights


# More classes than any data set has; a label beyond it is some other number, and counting up to it would fill
# the memory.
_MOST_CLASSES = 2**24


def _class_numbers(labels: Any, op: str) -> Array:
    found: Any = labels
    if not isinstance(found, np.ndarray):
        if hasattr(found, "detach"):
            found = found.detach().numpy()
        elif isinstance(found, (list, tuple)) and all(np.ndim(one) == 0 for one in found):
            found = np.asarray(found)
        elif isinstance(found, (str, bytes, range)) or not (
            hasattr(found, "__len__") and hasattr(found, "__getitem__")
        ):
            raise DtypeError(f"{op} needs class numbers, or a data set.", describe(labels=labels))
        else:
            found = labels_of(found)
    if found.ndim != 1:
        raise ShapeError(
            f"{op} needs one class number per sample, an array of rank 1.", describe(labels=found)
        )
    if found.dtype.kind not in "iub" and found.size:
        raise DtypeError(f"{op} needs integers as class numbers.", describe(labels=found))
    if found.size and not (found.min() >= 0 and found.max() < _MOST_CLASSES):
        raise DtypeError(
            f"{op} needs class numbers from 0 to {_MOST_CLASSES - 1}.",
            f"labels from {found.min()} to {found.max()}",
        )
    return np.asarray(found, dtype=np.int64)
