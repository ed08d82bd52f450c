"""The call of adaptive max pooling over windows of unequal sizes: tables, and how work is cut into units."""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.pools import uneven
from tilewright.kernel.sampling.pick import picks
from tilewright.kernel.sampling.tables import Matrix, columns_of
from tilewright.plan.target import Target, host

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

_SCALARS = {"f": "float", "d": "double"}
# Samples that a unit reads, at least: some 10 µs of work.
_UNIT_SAMPLES = 1 << 14


class _Line(NamedTuple):
    """Tables of the outputs of a line: blocks of them (or the windows), and of each layer its lanes."""

    columns: Integers
    bases: Integers
    lanes: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    blocks: int


def uneven_max(x: Array, out: Array, indices: Array, deep: bool, *, target: Target | None = None) -> None:
    """Writes the largest sample of each window and its flat position in its plane.

    Args:
        x: (planes, rows, columns), or if ``deep`` (samples, rows, columns, channels), in C order; floats.
        out: the same with the windows for rows and columns.
        indices: int64, of the shape of ``out``.
        deep: whether channels lie innermost.
        target: what to compile for; this process's when left out.
    """
    target = target or host()
    scalar, layout = _SCALARS[x.dtype.char], "channels" if deep else "lines"
    kernel = jit.address(
        uneven.name(scalar, layout), lambda target: uneven.emit(target, scalar, layout), target
    )
    planes, height, size = x.shape[:3]
    lines, places = out.shape[1:3]
    channels = x.shape[3] if deep else 1
    rows = _windows(height, lines)
    if deep:
        windows = _windows(size, places)
        line = _Line(windows, windows, _NONE, _NONE, places)
    else:
        line = _line(size, places, target.vector_bytes // x.itemsize, picks(target, scalar))
    work = x[0].size
    together = max(_UNIT_SAMPLES // work, 1)
    few = min(max(lines * _UNIT_SAMPLES // work, 1), lines)
    parts = -(-lines // few)
    table = array(
        "q",
        (
            address(x), address(indices), address(out),
            address(rows), address(line.columns), address(line.bases),
            address(line.lanes), address(line.numbers),
            planes, together, lines, few, parts, places, line.blocks,
            size, height, channels,
        ),
    )  # fmt: skip
    threads.run(kernel, -(-planes // together) * parts, table.buffer_info()[0], 0)


_NONE = np.zeros(0, np.int32)


@lru_cache(maxsize=256)
def _windows(n: int, m: int) -> Integers:
    """Where the windows of an axis start and end."""
    return np.array([(o * n // m, -(-(o + 1) * n // m)) for o in range(m)], np.int64)


@lru_cache(maxsize=256)
def _line(n: int, m: int, width: int, picked: bool) -> _Line:
    starts, ends = _windows(n, m).T
    longest = int((ends - starts).max())
    sources = np.minimum(starts[:, None] + np.arange(longest), ends[:, None] - 1)
    matrix = Matrix(n, np.arange(m + 1) * longest, sources.reshape(-1), np.ones(m * longest))
    columns = columns_of(matrix, np.dtype(np.float32), width, picked)
    # The column of each lane; lanes beyond the last output repeat it.
    numbers = [sources[np.minimum(first + np.arange(width), m - 1)].T for first in range(0, m, width)]
    own = np.ascontiguousarray(np.concatenate(numbers), np.int32)
    return _Line(columns.blocks, columns.bases, columns.lanes, own, len(columns.blocks))
