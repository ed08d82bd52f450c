"""Axes in parts, for images that are filtered part by part: which samples each part reads, and what it trims.

A part of an axis is filtered together with its halo, the samples that its outputs reach on either side. At
an edge of the axis there are none, and the border stands there, as it does for the whole axis: a reflecting
border needs the samples that it repeats, and one that goes round those of the other end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tilewright.image.borders import CONSTANT, WRAP, source_index

#: First sample and the one behind the last.
Range = tuple[int, int]


class Span(NamedTuple):
    """One part of an axis.

    Attributes:
        start, stop: its outputs.
        ranges: the samples that are read for it, in this order; one range, or, where a border goes round the
            axis, several.
        lead: where, of what is read, the sample of the first output stands.
    """

    start: int
    stop: int
    ranges: tuple[Range, ...]
    lead: int

    @property
    def kept(self) -> slice:
        """Of what is filtered, the outputs."""
        return slice(self.lead, self.lead + self.stop - self.start)

    @property
    def length(self) -> int:
        """How many samples are read."""
        return sum(high - low for low, high in self.ranges)


def spans_of(size: int, parts: Iterable[int], before: int, after: int, border: str) -> list[Span]:
    """The parts of an axis of ``size`` samples.

    Args:
        size: of the axis.
        parts: how many outputs each part has; together they are ``size``.
        before: how far an output reaches towards the first sample.
        after: how far towards the last.
        border: of the axis, by its own name.

    >>> [span.ranges for span in spans_of(10, (4, 4, 2), 1, 1, "nearest")]
    [((0, 5),), ((3, 9),), ((7, 10),)]
    >>> spans_of(10, (4, 6), 1, 1, "wrap")[0].ranges
    ((9, 10), (0, 5))
    """
    found, start = [], 0
    for part in parts:
        found.append(_span(size, start, start + part, before, after, border))
        start += part
    return found


def even_parts(size: int, most: int, whole: int = 1) -> tuple[int, ...]:
    """Parts of at most ``most`` outputs, each but the last a multiple of ``whole``.

    A part has at least ``whole`` outputs, if there are so many.

    >>> even_parts(10, 4), even_parts(10, 7, 4), even_parts(0, 4)
    ((4, 4, 2), (4, 4, 2), (0,))
    """
    step = max(most // whole, 1) * whole
    return tuple(min(step, size - start) for start in range(0, size, step)) or (0,)


def _span(size: int, start: int, stop: int, before: int, after: int, border: str) -> Span:
    low, high = max(start - before, 0), min(stop + after, size)
    if before + after and start < stop and high - low == 1:
        # Sums of a single row may be added up in another order than those of several.
        low, high = max(low - 1, 0), min(low + 2, size)
    # How far outputs reach beyond the edges.
    beyond = max(before - start, 0), max(stop + after - size, 0)
    if not any(beyond) or border == CONSTANT or (start, stop) == (0, size) or start == stop:
        return Span(start, stop, ((low, high),), start - low)
    if border == WRAP:
        first = start - before + beyond[0]
        place = source_index(size, *beyond, border)[first : first + before + stop - start + after]
        return Span(start, stop, _ranges(place), before)
    # What stands beyond an edge is copied from so many samples on this side of it.
    if beyond[0]:
        high = max(high, min(beyond[0] + 1, size))
    if beyond[1]:
        low = min(low, max(size - beyond[1] - 1, 0))
    return Span(start, stop, ((low, high),), start - low)


def _ranges(place: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Range, ...]:
    """Places that follow each other, as ranges."""
    ends = np.flatnonzero(np.diff(place) != 1)
    firsts, lasts = [0, *(ends + 1).tolist()], [*ends.tolist(), place.size - 1]
    return tuple((int(place[a]), int(place[b]) + 1) for a, b in zip(firsts, lasts, strict=True))
