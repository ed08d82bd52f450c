"""Options of losses of classes, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, describe

Array = np.ndarray[Any, Any]


def checked_smoothing(value: Any) -> float:
    """The share of a label that is spread over all classes, from 0 to below 1.

    Raises:
        ArgumentError: another value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ArgumentError(
            "Training needs label_smoothing to be a number from 0 to below 1.",
            describe(label_smoothing=value),
        )
    return float(value)


def checked_weights(given: Sequence[float] | None) -> Array | None:
    """Factors of the classes as float64, (classes,); None where all weigh alike.

    Raises:
        ArgumentError: they aren't finite numbers of at least 0, or all are 0.
    """
    if given is None:
        return None
    try:
        factors = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        factors = np.zeros(0)
    is_right = factors.ndim == 1 and (np.isfinite(factors) & (factors >= 0)).all()
    if not is_right or not factors.any():
        raise ArgumentError(
            "Training needs class_weight to be finite numbers of at least 0, not all 0, one for each class.",
            describe(class_weight=given),
        )
    return factors
