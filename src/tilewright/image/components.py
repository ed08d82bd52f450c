"""Connected parts of a mask, found without a loop over pixels.

Pixels that follow each other in a row are a *run*, and a part of the mask is a set of runs that touch. Runs
that touch are found for all rows at once by binary search; which belong together by hooking: every run
points to one with a smaller number, and the smallest of its part in the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

Mask = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


class _Runs(NamedTuple):
    """The runs of a mask in reading order, and for each the number of the first run of its part."""

    starts: Whole
    lengths: Whole
    first: Whole


def label(mask: Any, connectivity: int = 1) -> tuple[npt.NDArray[np.int32], int]:
    """Number the connected parts of a mask, from 1 on in reading order; 0 is what isn't in the mask.

    Args:
        mask: (height, width) bools; of other numbers, those that aren't 0.
        connectivity: 1: pixels touch at their sides, as ``scipy.ndimage.label`` has it by default; 2: at
            their corners, too.

    Returns:
        (height, width) int32, and how many parts there are.

    Raises:
        ShapeError: a mask of another rank.
        DtypeError: no array of numbers.
        ArgumentError: another connectivity.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.label(np.array([[1, 1, 0], [0, 0, 1]]))
    (array([[1, 1, 0],
           [0, 0, 2]], dtype=int32), 2)
    """
    found = _checked(mask, "mask", "label")
    _check_connectivity(connectivity, "label")
    runs = _runs_of(found, connectivity)
    roots, numbers = np.unique(runs.first, return_inverse=True)
    labels = np.zeros(found.shape, np.int32)
    labels[found] = np.repeat(numbers.astype(np.int32) + 1, runs.lengths)
    return labels, len(roots)


def connected_to(mask: Any, seeds: Any, connectivity: int = 2) -> Mask:
    """The connected parts of ``mask`` in which there is a seed.

    Args:
        mask: (height, width) bools.
        seeds: of the same shape; those outside the mask don't count.
        connectivity: 1: pixels touch at their sides; 2: at their corners, too.

    Raises:
        ShapeError, DtypeError, ArgumentError: as :func:`label`; also two different shapes.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.connected_to(np.array([[1, 1, 0, 1]]), np.array([[0, 1, 0, 0]]))
    array([[ True,  True, False, False]])
    """
    op = "connected_to"
    found, wanted = _checked(mask, "mask", op), _checked(seeds, "seeds", op)
    _check_connectivity(connectivity, op)
    if found.shape != wanted.shape:
        raise ShapeError(f"{op} needs a mask and seeds of one shape.", describe(mask=found, seeds=wanted))
    runs = _runs_of(found, connectivity)
    kept = np.zeros(found.shape, np.bool_)
    if len(runs.starts):
        # Of the pixels of the mask one after the other: whether there is a seed in each run.
        begins = np.cumsum(runs.lengths) - runs.lengths
        has_seed = np.logical_or.reduceat(wanted[found], begins)
        is_kept = np.zeros(len(runs.starts), np.bool_)
        is_kept[runs.first[has_seed]] = True
        kept[found] = np.repeat(is_kept[runs.first], runs.lengths)
    return kept


def _runs_of(mask: Mask, connectivity: int) -> _Runs:
    """The runs of a mask; positions are those in rows that have a column more, which is never in the mask."""
    height, width = mask.shape
    stride = width + 1
    padded = np.zeros(height * stride + 1, np.bool_)
    # From position 1 on: the one before a row's first pixel is the empty column of the row above.
    padded[1:].reshape(height, stride)[:, :width] = mask
    changes = np.flatnonzero(padded[1:] != padded[:-1])
    starts, ends = changes[::2], changes[1::2]
    # The runs of the next row that each run touches are neighbours in order: from `low` to below `high`.
    touches = ("left", "right") if connectivity == 2 else ("right", "left")
    low = np.searchsorted(ends, starts + stride, touches[0])  # type: ignore[call-overload]
    high = np.searchsorted(starts, ends + stride, touches[1])  # type: ignore[call-overload]
    counts = np.maximum(high - low, 0)
    above = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts) - counts
    below = np.arange(len(above)) - np.repeat(before - low, counts)
    return _Runs(starts, ends - starts, _first_of_each_part(len(starts), above, below))


def _first_of_each_part(count: int, one: Whole, other: Whole) -> Whole:
    """For each of ``count`` nodes the smallest number in its part of the graph with these edges."""
    parent = np.arange(count)
    while len(one):
        # All nodes point to the root of their tree. Of two trees with an edge between them the root with the
        # larger number is hung below the other; below the smallest if there are several.
        small, large = np.minimum(one, other), np.maximum(one, other)
        np.minimum.at(parent, large, small)
        while True:
            shorter = parent[parent]
            if np.array_equal(shorter, parent):
                break
            parent = shorter
        one, other = parent[small], parent[large]
        apart = one != other
        one, other = one[apart], other[apart]
    return parent


def _checked(mask: Any, name: str, op: str) -> Mask:
    from tilewright.image.borders import check_pixels

    found = check_pixels(mask, name, op)
    if found.ndim != 2:
        raise ShapeError(f"{op} needs {name} of shape (height, width).", describe(**{name: found}))
    return found.astype(np.bool_, copy=False)


def _check_connectivity(connectivity: Any, op: str) -> None:
    if isinstance(connectivity, (bool, np.bool_)) or not isinstance(connectivity, (int, np.integer)):
        raise DtypeError(f"{op} needs connectivity to be an integer.", describe(connectivity=connectivity))
    if connectivity not in (1, 2):
        raise ArgumentError(f"{op} needs connectivity to be 1 or 2.", describe(connectivity=connectivity))
