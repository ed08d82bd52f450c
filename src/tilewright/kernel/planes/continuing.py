"""Padding that continues the samples: which sample stands at a place outside the array.

Along an axis of n samples, place p outside 0 … n−1 holds a copy of sample

    replicate   the nearest: 0 or n−1
    reflect     p folded at the first and the last sample as often as it must, neither being repeated
    circular    p modulo n

so that a line of padding is another line of the same plane, and no padded copy of an array is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[Any]


def continued(places: Places, size: int, mode: str) -> Places:
    """The samples at some places of an axis of ``size`` ≥ 1.

    >>> continued(np.arange(-3, 6), 3, "reflect").tolist()
    [1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    if mode == "replicate":
        return places.clip(0, size - 1)
    if mode == "circular":
        return places % size
    if size == 1:
        return np.zeros_like(places)
    folded = places % (2 * size - 2)
    return np.asarray(np.minimum(folded, 2 * size - 2 - folded))
