"""A kernel over an image that stays where it lies, and what every part of the work on images shares.

Arrays are (batch, *spatial, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError
from tilewright.geometry import ConvDims
from tilewright.image.borders import CONSTANT
from tilewright.image.gathering import gather
from tilewright.image.terms import Outside, Term
from tilewright.kernel import run
from tilewright.plan import Plan, choose

Array = npt.NDArray[Any]

# Rows that are computed together, at least, if there are as many: the family for planes adds the taps of a
# single row in another order than those of several.
LEAST_ROWS = 2
# Copies of images up to so many bytes take less than the pieces along four edges: some 100 µs.
_IN_PLACE_BYTES = 1 << 20


def is_line(x: Array) -> bool:
    """Whether the last axis and the channels are one line, and the rows begin at whole numbers."""
    line = x.shape[-1] == 1 or x.strides[-1] == x.itemsize
    line = line and (x.shape[-2] == 1 or x.strides[-2] == x.shape[-1] * x.itemsize)
    return line and x.flags.aligned and all(stride % x.itemsize == 0 for stride in x.strides)


def lines(x: Array) -> Array:
    """The view of an array that :func:`is_line` with the channels within the last axis."""
    # Never a copy: NumPy merges axes whose strides allow it.
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def pays_in_place(x: Array, term: Term, first: int = 0) -> bool:
    """Whether to spare an image the copy with a border, for the work on the edges of axes from ``first`` on.

    It is computed twice there, in pieces of their own; that pays for large images with edges that are a small
    part of them.
    """
    sizes = zip(x.shape[1 + first : -1], term.sizes[first:], strict=True)
    small = all(taps == 1 or size >= max(4 * taps, 2 * LEAST_ROWS) for size, taps in sizes)
    return small and x.nbytes >= _IN_PLACE_BYTES


def dense_in_place(x: Array, term: Term, kernel: Array, out: Array, outside: Outside) -> None:
    """Filters an image where it lies with zeros around it, then what that made wrong along the edges."""
    spatial = x.shape[1:-1]
    convolve(lines(x), kernel, x.shape[-1], lines(out), pads=(term.befores, term.afters))
    if outside.border == CONSTANT and outside.cval == 0:
        return
    # The first rows and the last ones, and more than one of each.
    first = max(term.befores[0], LEAST_ROWS) if term.befores[0] else 0
    last = spatial[0] - (max(term.afters[0], LEAST_ROWS) if term.afters[0] else 0)
    if first:
        _box(x, term, kernel, out, outside, 0, 0, first)
    if last < spatial[0]:
        _box(x, term, kernel, out, outside, 0, last, spatial[0])
    for axis in range(1, len(spatial)):
        before, after = term.befores[axis], term.afters[axis]
        if before:
            _box(x, term, kernel, out, outside, axis, 0, before)
        if after:
            _box(x, term, kernel, out, outside, axis, spatial[axis] - after, spatial[axis])


def _box(
    x: Array, term: Term, kernel: Array, out: Array, outside: Outside, axis: int, first: int, last: int
) -> None:
    """The outputs of positions ``first`` … ``last`` − 1 of an axis, from a padded copy."""
    # Axes behind this one are continued by zeros once more: their boxes come later.
    ranges = [(0, size) for size in x.shape[1:-1]]
    ranges[axis] = (first, last)
    sides = []
    for number, (before, after) in enumerate(zip(term.befores, term.afters, strict=True)):
        if number <= axis:
            low, high = ranges[number]
            ranges[number] = (low - before, high + after)
            before = after = 0
        sides.append((before, after))
    copy = gather(x, ranges, outside.border, outside.cval, x.dtype)
    part = out[(slice(None),) * (axis + 1) + (slice(first, last),)]
    befores, afters = zip(*sides, strict=True)
    convolve(lines(copy), kernel, x.shape[-1], lines(part), pads=(befores, afters))


def padded_copy(
    x: Array, term: Term, ranges: Sequence[tuple[int, int]], outside: Outside, dtype: np.dtype[Any]
) -> Array:
    """What the outputs of a box read."""
    wide = [
        (low - before, high + after)
        for (low, high), before, after in zip(ranges, term.befores, term.afters, strict=True)
    ]
    return gather(x, wide, outside.border, outside.cval, dtype)


def convolve(
    x: Array,
    kernel: Array,
    channels: int,
    out: Array,
    pads: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
) -> None:
    """Writes x ⋆ kernel into ``out``: (batch, *spatial), channels within the last axis, zeros as padding."""
    padding = None
    if pads is not None:
        padding = tuple(zip(*pads, strict=True))
    plan = _plan(x.shape, kernel.shape, channels, padding, x.dtype.name)
    run(
        plan, x[:, np.newaxis], np.ascontiguousarray(kernel)[np.newaxis, np.newaxis], None, out[:, np.newaxis]
    )


# As many as there are programs of the family for planes.
@lru_cache(maxsize=1024)
def _plan(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    channels: int,
    padding: tuple[tuple[int, int], ...] | None,
    dtype: str,
) -> Plan:
    """The plan of a filter: by planes, if they take it, so that its sums don't depend on the image's size."""
    if padding is None:
        padding = ((0, 0),) * len(kernel)
    wide = tuple((before, after) for before, after in padding[:-1])
    last = (padding[-1][0] * channels, padding[-1][1] * channels)
    dims = ConvDims.of(
        (shape[0], 1, *shape[1:]),
        (1, 1, *kernel),
        padding=(*wide, last),
        dilation=(*(1,) * (len(kernel) - 1), channels),
        op="filter",
    )
    try:
        return choose("forward", dims, dtype, "planes")
    except ArgumentError:
        return choose("forward", dims, dtype)
