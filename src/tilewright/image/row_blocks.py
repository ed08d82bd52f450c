"""One term of a filter over blocks of an image's rows, in order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.borders import CONSTANT, fill_border
from tilewright.image.in_place import convolve, dense_in_place, is_line, lines, padded_copy, pays_in_place
from tilewright.image.terms import Outside, Term
from tilewright.kernel import buffers

Array = npt.NDArray[Any]

# A whole number of vectors, of any processor and dtype: 64 bytes of the smallest number computed in.
_ALIGNED = 16


class TermRows:
    """One term, of blocks of rows in order.

    Of a product, the passes along all axes but the first are kept of the rows that the next block needs, too.
    """

    def __init__(self, x: Array, term: Term, dtype: np.dtype[Any], outside: Outside) -> None:
        self.x, self.term, self.dtype, self.outside = x, term, dtype, outside
        dense = term.dense()
        self.kernel = None if dense is None else dense.astype(dtype)
        rank = x.ndim - 2
        self.inner = [
            (axis, _along(axis, vector, rank, dtype)) for axis, vector in term.vectors[::-1] if axis
        ]
        self.first = next((_along(0, vector, rank, dtype) for axis, vector in term.vectors if not axis), None)
        #: the constant border, after the passes along the other axes
        self.cval = outside.cval * math.prod(float(vector.sum()) for axis, vector in term.vectors if axis)
        #: rows after the passes along the other axes: those from ``_known[0]`` to ``_known[1]`` of the image
        self._rows = np.empty((x.shape[0], 0, *x.shape[2:]), dtype)
        self._known = (0, 0)

    def write(self, first: int, last: int, out: Array) -> None:
        """Writes rows ``first`` … ``last`` − 1 into ``out``, of the dtype that is computed in."""
        x, channels = self.x, self.x.shape[-1]
        if self.kernel is not None:
            ranges = [(first, last), *((0, size) for size in x.shape[2:-1])]
            copy = padded_copy(x, self.term, ranges, self.outside, self.dtype)
            convolve(lines(copy), self.kernel, channels, lines(out))
            return
        if self.first is None:
            self._passes(first, last, out)
            return
        low, high = first - self.term.befores[0], last + self.term.afters[0]
        start = self._make_room(low, high)
        rows = self._rows[:, : high - low]
        for begin, end, inside in _cut(start, high, x.shape[1]):
            part = rows[:, begin - low : end - low]
            if inside or self.outside.border != CONSTANT:
                self._passes(begin, end, part)
            else:
                with np.errstate(all="ignore"):
                    part[...] = self.cval
        convolve(lines(rows), self.first, channels, lines(out))

    def _make_room(self, low: int, high: int) -> int:
        """Brings the rows that are known to the front of those from ``low`` to ``high``; how far they go."""
        begin, end = self._known
        start = end if begin <= low < end < high else low
        kept = self._rows[:, low - begin : start - begin]
        if self._rows.shape[1] < high - low:
            more = buffers.empty((self.x.shape[0], high - low, *self.x.shape[2:]), self.dtype)
        else:
            more = self._rows
            if low - begin < start - low:
                kept = kept.copy()
        # The memory is the same for every block, so that it stays in cache.
        more[:, : start - low] = kept
        self._rows, self._known = more, (low, high)
        return start

    def _passes(self, first: int, last: int, out: Array) -> None:
        """The passes along all axes but the first, of rows that all lie inside the image, or all outside."""
        x, outside, channels = self.x, self.outside, self.x.shape[-1]
        term = _alone(self.term, self.inner[0][0])
        inside = first >= 0 and last <= x.shape[1]
        cval, source = outside.cval, x
        for number, (_, weights) in enumerate(self.inner):
            if number + 1 < len(self.inner):
                following = self.inner[number + 1][0]
                before, after = self.term.befores[following], self.term.afters[following]
                padded = _room(out.shape, following, before, after, self.dtype)
                stop = padded.shape[following + 1] - after
                to = padded[(slice(None),) * (following + 1) + (slice(before, stop),)]
            else:
                padded, to, before, stop, following = out, out, 0, 0, 0
            if number:
                convolve(lines(source), weights, channels, lines(to))
            elif inside and x.dtype == self.dtype and is_line(x) and pays_in_place(x[:, first:last], term, 1):
                dense_in_place(x[:, first:last], term, weights, to, outside)
            else:
                ranges = [(first, last), *((0, size) for size in x.shape[2:-1])]
                copy = padded_copy(x, term, ranges, outside, self.dtype)
                convolve(lines(copy), weights, channels, lines(to))
            if number + 1 < len(self.inner):
                cval *= float(weights.sum())
                with np.errstate(all="ignore"):
                    fill_border(padded, following + 1, before, stop, outside.border, cval)
                source = padded


def _along(axis: int, vector: Array, rank: int, dtype: np.dtype[Any]) -> Array:
    """A vector as a kernel."""
    return vector.astype(dtype).reshape(tuple(-1 if one == axis else 1 for one in range(rank)))


def _alone(term: Term, axis: int) -> Term:
    """A term that reaches along one axis only, as another one does."""
    befores = tuple(before if one == axis else 0 for one, before in enumerate(term.befores))
    sizes = tuple(size if one == axis else 1 for one, size in enumerate(term.sizes))
    return Term(None, (), befores, sizes)


def _cut(start: int, stop: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """A range of rows in parts that lie before the image, in it (True), and behind it."""
    for low, high, inside in (
        (start, min(stop, 0), False),
        (max(start, 0), min(stop, size), True),
        (max(start, size), stop, False),
    ):
        if low < high:
            yield low, high, inside


def _room(shape: tuple[int, ...], axis: int, before: int, after: int, dtype: np.dtype[Any]) -> Array:
    """An array of some shape, and more along one axis; behind what is before, rows begin aligned."""
    wide = list(shape)
    if axis < len(shape) - 3:
        wide[axis + 1] += before + after
        return buffers.empty(tuple(wide), dtype)
    pixels = _ALIGNED // math.gcd(_ALIGNED, shape[-1])
    lead = -(-before // pixels) * pixels
    wide[-2] = -(-(lead + shape[-2] + after) // pixels) * pixels
    return buffers.empty(tuple(wide), dtype)[..., lead - before : lead + shape[-2] + after, :]
