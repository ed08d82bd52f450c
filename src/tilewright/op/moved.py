"""Samples moved by compiled passes, where arrays are of their kind; where not, None, and NumPy serves.

Nothing is computed, so any dtype of 1, 2, 4 or 8 bytes will do, and twice 8 for complex numbers: what is
moved are integers as wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.kernel.moves import call
from tilewright.kernel.moves.call import Lines, Planes, Table
from tilewright.plan import compiled

Array = npt.NDArray[Any]
#: For each output along an axis, the input it takes; OUTSIDE where it takes the filler.
Index = Table

#: No index lies next to it, so that it begins and ends a run.
OUTSIDE = -(1 << 40)
# Lines, and runs of them, that tables are made for: 32 MiB at most. More are left to NumPy.
_MOST_ENTRIES = 1 << 20
# Lines up to which a table is kept.
_KEPT_LINES = 1 << 14


class Run(NamedTuple):
    """``length`` outputs from ``at`` on that take inputs from ``source`` on, ``step`` (−1, 0 or 1) apart."""

    at: int
    length: int
    source: int
    step: int

    def outputs(self) -> slice:
        """Where the run lies in the output."""
        return slice(self.at, self.at + self.length)

    def inputs(self) -> slice:
        """Where the run lies in the input: one element if ``step`` is 0."""
        if self.step == 0:
            return slice(self.source, self.source + 1)
        stop = self.source + self.length * self.step
        return slice(self.source, stop if stop >= 0 else None, self.step)


def runs(index: Array) -> Iterator[Run]:
    """An index map as runs of evenly spaced indices: slices instead of single elements."""
    steps = np.diff(index)
    changes = np.flatnonzero(np.diff(steps)) + 1
    at = 0
    while at < index.size:
        step = int(steps[at]) if at < steps.size else 0
        count = 1
        if at < steps.size and step in (-1, 0, 1):
            later = np.searchsorted(changes, at, side="right")
            end = int(changes[later]) if later < changes.size else index.size - 1
            count = end - at + 1
        yield Run(at, count, int(index[at]), step if count > 1 else 0)
        at += count


def taken(x: Array, out: Array, maps: Callable[[int], Index | None], key: Any, filler: int = 0) -> bool:
    """Writes x with its axes taken by index to ``out``; False if NumPy had better.

    Args:
        x: any array.
        out: its elements lie in the order of those of x, without gaps.
        maps: for an axis, which of its inputs each output takes; None where it is left as it is.
        key: what decides about the maps, for tables that are kept.
        filler: the bits of what stands where nothing is taken.
    """
    if not compiled.serves("float32") or not out.size or not x.size or x.itemsize not in (1, 2, 4, 8, 16):
        return False
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    result, given = out.transpose(order), x.transpose(order)
    if not result.flags.c_contiguous or (x.itemsize == 16 and filler):
        return False
    touched = [place for place, axis in enumerate(order) if maps(axis) is not None]
    if not touched:
        return False
    first, last = touched[0], touched[-1]
    planes = _planes(given, first, last)
    if planes is None or not given.flags.aligned:
        given = np.ascontiguousarray(given)
        planes = _planes(given, first, last)
        assert planes is not None, "what lies densely is one group"
    lines = math.prod(result.shape[first:last])
    if lines > _MOST_ENTRIES or result.shape[last] > _MOST_ENTRIES:
        return False
    # Elements of 16 bytes are two of 8.
    times = max(x.itemsize // 8, 1)
    size = x.itemsize // times
    inner = math.prod(given.shape[last + 1 :]) * times
    strides = tuple(stride // size for stride in given.strides[first : last + 1])
    asked = _Asked(tuple(order[first : last + 1]), strides, inner, given.shape[first : last + 1])
    found = tuple(maps(axis) for axis in asked.axes)
    work = _kept(key, asked, _Maps(found)) if lines <= _KEPT_LINES else _tables(asked, found)
    scaled = Planes(planes.groups, planes.many, planes.group * times, planes.plane * times)
    call.moved(given, result, scaled, work, size, filler)
    return True


class _Asked(NamedTuple):
    """The axes from the first to the last that is taken by index, as they lie in x (strides in elements)."""

    axes: tuple[int, ...]
    strides: tuple[int, ...]
    inner: int
    shape: tuple[int, ...]


class _Maps:
    """Maps, which the key beside them decides: all are equal to each other."""

    def __init__(self, found: tuple[Index | None, ...]) -> None:
        self.found = found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Maps)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=256)
def _kept(key: Any, asked: _Asked, maps: _Maps) -> Lines:
    return _tables(asked, maps.found)


def _planes(x: Array, first: int, last: int) -> Planes | None:
    """The axes before ``first`` as planes; None if they, or what is innermost, lie in another way."""
    itemsize = x.itemsize
    dense = itemsize
    for n, stride in zip(x.shape[:last:-1], x.strides[:last:-1], strict=True):
        if n != 1 and stride != dense:
            return None
        dense *= n
    if x.shape[last] != 1 and x.strides[last] != dense:
        return None
    if any(stride % itemsize for stride in x.strides):
        return None
    # Neighbouring axes that follow each other are one.
    levels: list[tuple[int, int]] = []
    for n, stride in zip(x.shape[:first], x.strides[:first], strict=True):
        if n == 1:
            continue
        if levels and levels[-1][1] == n * stride:
            levels[-1] = (levels[-1][0] * n, stride)
        else:
            levels.append((n, stride))
    if len(levels) > 2:
        return None
    (groups, group), (many, plane) = [(1, 0)] * (2 - len(levels)) + levels
    return Planes(groups, many, group // itemsize, plane // itemsize)


def _tables(asked: _Asked, maps: Sequence[Index | None]) -> Lines:
    """Which runs of x each line of a plane consists of."""
    *outer, columns = (
        np.arange(n) if index is None else index for n, index in zip(asked.shape, maps, strict=True)
    )
    sources = np.zeros(1, np.int64)
    for index, stride in zip(outer, asked.strides[:-1], strict=True):
        along = np.where(index < 0, OUTSIDE, index * stride)
        sources = (sources[:, None] + along).reshape(-1)
    own = run_table(columns, asked.inner)
    length = len(columns) * asked.inner
    # Behind the runs of a line that takes something, the one of a line that takes nothing.
    table = np.concatenate([own, [[0, length, OUTSIDE, 0]]])
    inside = sources >= OUTSIDE // 2
    lines = np.empty((len(sources), 4), np.int64)
    lines[:, 0] = np.arange(len(sources)) * length
    lines[:, 1] = np.where(inside, sources, 0)
    lines[:, 2] = np.where(inside, 0, len(own))
    lines[:, 3] = np.where(inside, len(own), 1)
    return Lines(lines, table, len(sources) * length)


def run_table(index: Index, inner: int) -> Table:
    """The runs of a line as rows (at, length, source, step), of columns with ``inner`` elements each."""
    found: list[tuple[int, int, int, int]] = []
    for run in runs(index):
        if inner == 1 or run.source < 0:
            found.append((run.at * inner, run.length * inner, run.source, run.step))
        elif run.step == 1:
            found.append((run.at * inner, run.length * inner, run.source * inner, 1))
        else:
            found += [
                ((run.at + i) * inner, inner, (run.source + i * run.step) * inner, 1)
                for i in range(run.length)
            ]
    return np.array(found, np.int64).reshape(-1, 4)
