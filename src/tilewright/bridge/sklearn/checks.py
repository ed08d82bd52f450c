"""What scikit-learn's own checks leave open: images, weights, and numbers that float32 doesn't reach."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_sample_weight, check_array

from tilewright.errors import ArgumentError

Array = np.ndarray[Any, Any]

# Far outside what images and measurements hold, and its square is still a float64.
_LARGEST = np.finfo(np.float32).max


def in_rows(X: Any, estimator: Any) -> tuple[Any, tuple[int, ...]]:
    """Images as checked rows (n, features), with the shape of one; anything else as it is, with ().

    Args:
        X: images (n, height, width), (n, height, width, channels) and so on, arrays or nested lists; or
            anything that scikit-learn takes for a table.
        estimator: whose name errors mention.

    Raises:
        ValueError, TypeError: scikit-learn's, for images that it refuses.
    """
    if _rank(X) <= 2:
        return X, ()
    X = check_array(X, allow_nd=True, estimator=estimator, input_name="X")
    return X.reshape(len(X), -1), X.shape[1:]


def _rank(X: Any) -> int:
    """Axes of an array, or of nested lists."""
    depth = 0
    while isinstance(X, (list, tuple)) and len(X):
        X = X[0]
        depth += 1
    return depth + int(getattr(X, "ndim", 0))


def refuse_huge(numbers: Array, name: str, estimator: Any) -> None:
    """Refuse, in scikit-learn's words, numbers that float32 doesn't reach: their squares would overflow."""
    if numbers.dtype.kind == "f" and max(abs(numbers.max()), abs(numbers.min())) > _LARGEST:
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = numbers.astype(np.float32)
            assert_all_finite(narrow, estimator_name=type(estimator).__name__, input_name=name)


def read_weights(sample_weight: Any, rows: Array) -> Array:
    """Weights (n,) float64, none below 0, the largest between ½ and 1; ones for None.

    Raises:
        ValueError, TypeError: scikit-learn's: another shape, not finite, below 0.
        ArgumentError: all are 0 (in scikit-learn's words, whose newer versions have said so already).

    >>> read_weights([3.0, 0.0], np.zeros((2, 1)))
    array([0.75, 0.  ])
    """
    weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ArgumentError("Sample weights must contain at least one non-zero number.")
    # Only their ratios matter. A power of two changes no bit of those, and keeps sums from overflowing.
    scaled: Array = np.ldexp(weights, -np.frexp(weights.max())[1])
    return scaled
