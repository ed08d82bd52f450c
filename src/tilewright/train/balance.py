"""Weights that make up for classes that are rarer than others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.data import DataLoader, Dataset
from tilewright.data.splits import class_counts
from tilewright.errors import ArgumentError, describe
from tilewright.train.evaluate import as_pair, batch_for
from tilewright.train.tasks import NOT_LABELLED

Array = np.ndarray[Any, Any]


def class_weights(
    given: Sequence[float] | str | None,
    data: Dataset[Any],
    classes: int = 0,
    ignore_index: int = NOT_LABELLED,
) -> tuple[float, ...] | None:
    """The weights of the classes that a user asks for.

    Args:
        given: numbers; ``balanced``: n / (classes · samples of the class), which is scikit-learn's formula,
            and 1 for a class without samples; or None for none.
        data: the training samples, which ``balanced`` counts.
        classes: how many there are; 0: as many as labels tell.
        ignore_index: a label that doesn't count.

    Raises:
        ArgumentError: another text.
        DtypeError: labels that are no numbers of classes.

    >>> from tilewright.data import ArrayDataset
    >>> class_weights("balanced", ArrayDataset(np.zeros((4, 1)), np.array([0, 0, 0, 1])))
    (0.6666666666666666, 2.0)
    """
    if given is None:
        return None
    if not isinstance(given, str):
        return tuple(given)
    if given != "balanced":
        raise ArgumentError(
            "Trainer needs class_weight to be numbers, 'balanced' or None.", describe(class_weight=given)
        )
    counts = count_labels(data, classes, ignore_index)
    seen = counts > 0
    weights = np.where(seen, counts.sum() / (max(1, len(counts)) * np.maximum(counts, 1)), 1.0)
    return tuple(weights.tolist())


def count_labels(data: Dataset[Any], classes: int = 0, ignore_index: int = NOT_LABELLED) -> Array:
    """How often each class is a label, (classes,) or more of them where labels are larger.

    Raises:
        DtypeError: labels that are no numbers of classes.
    """
    counts = np.zeros(classes, np.int64)
    for batch in _labels(data):
        found = class_counts(batch[batch != ignore_index], len(counts))
        found[: len(counts)] += counts
        counts = found
    return counts


def _labels(data: Dataset[Any]) -> Any:
    held = getattr(data, "labels", None)
    if isinstance(held, np.ndarray) and len(held) == len(data):
        yield held
        return
    for batch in DataLoader(data, batch_size=batch_for(data)):
        yield as_pair(batch)[1]
