"""Rectangles around the connected parts of a mask, from its runs: no loop over pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.components import _check_connectivity, _checked, _runs_of

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Regions:
    """The connected parts of a mask, in the order in which their first pixels are met row by row.

    Attributes:
        top, left: of the smallest rectangle around each.
        bottom, right: the row and the column behind its last.
        area: pixels in each part.
    """

    top: Ints
    left: Ints
    bottom: Ints
    right: Ints
    area: Ints

    def __len__(self) -> int:
        """How many there are."""
        return len(self.area)


def regions(mask: Any, connectivity: int = 2) -> Regions:
    """The rectangles and areas of a mask's connected parts, without an image of their numbers.

    Args:
        mask: (height, width); what isn't zero is set.
        connectivity: 1: neighbours share a side. 2: a corner is enough.

    Raises:
        ShapeError: the mask isn't of rank 2.
        DtypeError: it isn't an array of bools or numbers, or ``connectivity`` is no integer.
        ArgumentError: another connectivity.

    >>> found = regions(np.array([[0, 1, 1], [0, 1, 0], [1, 0, 0]]))
    >>> found.left.tolist(), found.right.tolist(), found.area.tolist()
    ([0], [3], [4])
    """
    pixels = _checked(mask, "mask", "regions")
    _check_connectivity(connectivity, "regions")
    runs = _runs_of(pixels, connectivity)
    width = pixels.shape[1]
    row, start = np.divmod(runs.starts, width + 1)
    end = start + runs.lengths
    roots, part = np.unique(runs.first, return_inverse=True)
    part = part.reshape(-1)
    count = len(roots)
    left, right = np.full(count, width), np.zeros(count, np.int64)
    bottom, area = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.minimum.at(left, part, start)
    np.maximum.at(right, part, end)
    np.maximum.at(bottom, part, row + 1)
    np.add.at(area, part, runs.lengths)
    return Regions(row[roots], left, bottom, right, area)  # a part is numbered by the first of its runs
