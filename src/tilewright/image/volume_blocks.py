"""A volume block by block: how large blocks may be, and which samples are kept between them.

Blocks stand in columns along the first axis. Down a column, every layer of the source's chunks is read once:
what the next block needs again, its halo, is kept. So memory is that of a block and its neighbour, whatever
the volume, and only the halos across columns are read twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_integer
from tilewright.image.parted import Job
from tilewright.image.spans import Range

Array = npt.NDArray[Any]

# What a block takes, in arrays of its size with its halo: the samples that were read, the same put together,
# the result with its halo, and what is kept of that. A layer of the source's chunks may have been read ahead.
_ARRAYS = 4


class Source(Protocol):
    """Where a volume is read from.

    Attributes:
        name: for messages.
        shape, dtype: of the volume.
        grid: sizes along the axes of what is stored, and so read, as one.
        attributes: what else the file says of its volume.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    grid: tuple[int, ...]
    attributes: dict[str, Any]

    def read(self, box: Sequence[Range]) -> Array:
        """The samples of a box."""
        ...

    def close(self) -> None:
        """No more will be read."""
        ...


class Target(Protocol):
    """Where a volume is written to.

    Attributes:
        grid: sizes along the axes of what is stored as one: blocks are made of whole ones.
    """

    grid: tuple[int, ...]

    def write(self, start: Sequence[int], values: Array) -> None:
        """A block, whose first sample has this place."""
        ...

    def finish(self) -> None:
        """All is written: from now on it is there under its name."""
        ...

    def drop(self) -> None:
        """Nothing stays, unless all was finished."""
        ...


class Column:
    """The samples of a column of blocks, read once from the first to the last.

    Args:
        source: what is read.
        across: the ranges that are read of the axes behind the first.
    """

    def __init__(self, source: Source, across: Sequence[Sequence[Range]]) -> None:
        self._source, self._across = source, across
        self._layers: list[tuple[int, Array]] = []

    def read(self, ranges: Sequence[Range]) -> Array:
        """The samples of ranges of the first axis, one behind the other."""
        if len(ranges) > 1:
            # A border that goes round: the far end is read by itself.
            return np.concatenate([self._read(low, high) for low, high in ranges])
        low, high = ranges[0]
        self._layers = [(start, rows) for start, rows in self._layers if start + len(rows) > low]
        if self._layers and self._layers[0][0] > low:
            self._layers = []
        end = self._layers[-1][0] + len(self._layers[-1][1]) if self._layers else low
        step, size = self._source.grid[0], self._source.shape[0]
        while end < high:
            # One layer of the stored grid at a time.
            stop = min((end // step + 1) * step, size)
            self._layers.append((end, self._read(end, stop)))
            end = stop
        rows = [part[max(low - start, 0) : high - start] for start, part in self._layers]
        first = self._layers[0] if self._layers else None
        if first is not None and first[0] < low:
            # What lies before the block won't be asked for again.
            self._layers[0] = (low, first[1][low - first[0] :].copy())
            rows[0] = self._layers[0][1][: high - low]
        return np.concatenate([part for part in rows if len(part)]) if rows else self._read(low, high)

    def _read(self, low: int, high: int) -> Array:
        if all(len(ranges) == 1 for ranges in self._across):
            return self._source.read([(low, high), *(ranges[0] for ranges in self._across)])
        return self._joined((low, high), (), list(self._across))

    def _joined(self, rows: Range, chosen: tuple[Range, ...], left: list[Sequence[Range]]) -> Array:
        if not left:
            return self._source.read([rows, *chosen])
        parts = [self._joined(rows, (*chosen, one), left[1:]) for one in left[0]]
        return np.concatenate(parts, axis=1 + len(chosen)) if len(parts) > 1 else parts[0]


def block_of(
    source: Source, job: Job, grid: Sequence[int], block: Any, memory: int, whole: Sequence[int], op: str
) -> tuple[int, ...]:
    """How many outputs along each axis are computed at a time.

    Args:
        source: what is read.
        job: the filter.
        grid: blocks are multiples of it.
        block: asked for, one size for every axis or for each; None: as large as memory allows.
        memory: bytes for all arrays together.
        whole: axes that aren't divided.
        op: the name for messages.

    Raises:
        ArgumentError: sizes that aren't integers from 1 on, or more memory is needed for the smallest block.
    """
    shape, rank = source.shape, len(source.shape)
    halos = [before + after for before, after in zip(job.befores, job.afters, strict=True)]
    itemsize = max(source.dtype.itemsize, job.dtype.itemsize)

    def needed(sizes: Sequence[int]) -> int:
        extents = [min(size + halo, n) for size, halo, n in zip(sizes, halos, shape, strict=True)]
        rows = _ARRAYS * extents[0] + min(source.grid[0], shape[0])
        return itemsize * rows * math.prod(extents[1:])

    if block is not None:
        given = list(block) if isinstance(block, (tuple, list)) else [block] * rank
        if len(given) != rank:
            raise ArgumentError(
                f"{op} needs block to be an integer or {rank} of them, one for each axis.",
                describe(block=block),
            )
        asked = [as_integer(size, "block", op, least=1) for size in given]
        sizes = [max(size // step, 1) * step for size, step in zip(asked, grid, strict=True)]
    else:
        sizes = list(grid)
    for axis in whole:
        sizes[axis] = max(shape[axis], 1)
    if needed(sizes) > memory:
        raise ArgumentError(
            f"{op} needs more memory than it may use for a block of {tuple(sizes)} of {source.name!r}.",
            describe(memory=memory),
            f"Allow it memory={needed(sizes)}, or store the volume in smaller chunks.",
        )
    while block is None:
        grown = [
            [*sizes[:axis], 2 * size, *sizes[axis + 1 :]]
            for axis, size in enumerate(sizes)
            if size < shape[axis]
        ]
        grown = [trial for trial in grown if needed(trial) <= memory]
        if not grown:
            break
        # The halo that is read and computed again costs least; of equals, the last axis grows.
        sizes = min(
            reversed(grown), key=lambda trial: math.prod(1 + h / s for h, s in zip(halos, trial, strict=True))
        )
    return tuple(sizes)
