"""Copies of a part of an image that may reach beyond its edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.borders import source_index
from tilewright.kernel import buffers
from tilewright.op.moved import runs

Array = npt.NDArray[Any]
#: First position and the one behind the last, of each spatial axis; positions may lie outside the image.
Ranges = Sequence[tuple[int, int]]

# Copying slice by slice is faster than element by element until slices are many (and then they are small:
# padding that goes round an image of a few pixels many times).
_SLICES = 64


def gather(x: Array, ranges: Ranges, border: str, cval: float, dtype: np.dtype[Any]) -> Array:
    """The samples of a box of positions, as a new C-ordered array of ``dtype``.

    Args:
        x: (batch, *spatial, channels).
        ranges: the box, of every spatial axis.
        border: what stands outside, by its own name; an axis that the box leaves must have samples unless
            it is constant.
        cval: the constant border's value.
        dtype: of the copy.
    """
    spatial = x.shape[1:-1]
    copy = buffers.empty((x.shape[0], *(high - low for low, high in ranges), x.shape[-1]), dtype)
    pieces = [_pieces(size, *pair, border) for size, pair in zip(spatial, ranges, strict=True)]
    if math.prod(len(some) for some in pieces) > _SLICES:
        indices = [_positions(size, *pair, border) for size, pair in zip(spatial, ranges, strict=True)]
        boxes: Any = np.ix_(*(np.maximum(index, 0) for index in indices))
        copy[...] = x[(slice(None), *boxes)]
        for axis, index in enumerate(indices, start=1):
            if (index < 0).any():
                np.moveaxis(copy, axis, 0)[index < 0] = cval
        return copy
    for some in product(*pieces):
        to = copy[(slice(None), *(outputs for outputs, _ in some))]
        if any(inputs is None for _, inputs in some):
            with np.errstate(all="ignore"):
                to[...] = cval
        else:
            np.copyto(to, x[(slice(None), *(inputs for _, inputs in some))], casting="unsafe")
    return copy


# Blocks of an image are many, and where they leave it, alike.
@lru_cache(maxsize=1024)
def _pieces(size: int, low: int, high: int, border: str) -> list[tuple[slice, slice | None]]:
    """What a range of positions takes, in slices: from where (None: from nowhere) to where."""
    if low >= 0 and high <= size:
        return [(slice(0, high - low), slice(low, high))]
    return [
        (run.outputs(), None if run.source < 0 else run.inputs())
        for run in runs(_positions(size, low, high, border))
    ]


def _positions(size: int, low: int, high: int, border: str) -> npt.NDArray[np.int64]:
    """The sample at each position of a range, or nowhere."""
    before, after = max(-low, 0), max(high - size, 0)
    index = source_index(size, before, after, border)
    return index[low + before : high + before]
