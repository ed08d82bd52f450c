"""From the places that move to rectangles around connected ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.functional import max_pool2d
from tilewright.image.video.regions import regions

# Gaps of up to twice this many (shrunken) pixels within a thing are closed: a car's windows are as dark as
# the street, and a cyclist's spokes are thin.
_REACH = 3
# Two rectangles of which one covers this share of the other are one thing.
_SHARED = 0.3

Rectangle = tuple[int, int, int, int, int]


def outline(moving: npt.NDArray[np.bool_]) -> list[Rectangle]:
    """(top, left, bottom, right, area) of each thing in a mask; bottom and right are exclusive.

    Closing (a dilation, then an erosion) joins what stands close; rectangles that overlap are joined, too.

    Args:
        moving: (height, width).
    """
    if not moving.any():
        return []
    found = regions(close(moving, _REACH))
    rectangles = [
        (int(top), int(left), int(bottom), int(right), int(area))
        for top, left, bottom, right, area in zip(
            found.top, found.left, found.bottom, found.right, found.area, strict=True
        )
    ]
    return _joined(rectangles)


def close(mask: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """The mask without gaps of up to 2·reach pixels: a max pool, then a min pool, over squares.

    >>> close(np.array([[1, 0, 0, 1, 0, 0]], bool), 1).astype(int)
    array([[1, 1, 1, 1, 0, 0]])
    """
    size = 2 * reach + 1
    # What lies beyond the frame is not set for the dilation and set for the erosion, as max pools pad.
    wide = max_pool2d(mask[None, None].astype(np.float32), size, 1, reach)
    narrow: Any = max_pool2d(-wide, size, 1, reach)
    closed: npt.NDArray[np.bool_] = narrow[0, 0] < -0.5
    return closed


def _joined(rectangles: list[Rectangle]) -> list[Rectangle]:
    """Rectangles, with those that overlap by a good share of the smaller one made to one."""
    found: list[Rectangle] = []
    # Small ones join large ones, and a joined one may reach a further one: begin anew with it.
    todo = sorted(rectangles, key=lambda one: (-one[4], one))
    while todo:
        one = todo.pop(0)
        at = next((at for at, other in enumerate(found) if _share(one, other) >= _SHARED), None)
        if at is None:
            found.append(one)
            continue
        other = found.pop(at)
        top, left = min(one[0], other[0]), min(one[1], other[1])
        bottom, right = max(one[2], other[2]), max(one[3], other[3])
        todo.insert(0, (top, left, bottom, right, one[4] + other[4]))
    return sorted(found)


def _share(one: Rectangle, other: Rectangle) -> float:
    """What both cover, over the smaller one's area."""
    down = min(one[2], other[2]) - max(one[0], other[0])
    across = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((r[2] - r[0]) * (r[3] - r[1]) for r in (one, other))
    return max(0, down) * max(0, across) / smaller
