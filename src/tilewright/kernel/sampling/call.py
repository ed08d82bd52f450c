"""The calls of sparse matrices: how planes are cut into units. All take the ``target`` to compile for."""

from __future__ import annotations

import struct
from array import array
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.sampling import program
from tilewright.kernel.sampling.pick import picks
from tilewright.kernel.sampling.tables import Columns, Matrix, Rows, columns_of, rows_of
from tilewright.plan.compiled import SCRATCH_BYTES
from tilewright.plan.target import Target, host

Array = npt.NDArray[Any]

_SCALARS = {"f": "float", "d": "double"}
# Rows between two passes: a share of the L2 cache.
_BETWEEN_BYTES = 1 << 19
# Bytes that a unit writes, at least: what it takes to hand one over hardly shows, nor do the rows that two
# neighbours both compute.
_UNIT_BYTES = 1 << 16
# Fewer elements of a sample than half a vector are columns of their own.
_DEEP = 2


class Work(NamedTuple):
    """What to do: matrices of (planes, rows, columns, inner), and which comes first."""

    rows: Matrix | None
    columns: Matrix | None
    rows_first: bool
    row_count: int
    column_count: int
    inner: int


class _Ready(NamedTuple):
    """Tables, and how a plane is cut."""

    rows: Rows | None
    columns: Rows | Columns | None
    spans: npt.NDArray[np.int64]
    rows_a_unit: int
    row_blocks: int
    #: Elements of a row in scratch, and of all of them.
    between: int
    scratch: int


def sampled(x: Array, out: Array, work: Work, *, target: Target | None = None) -> bool:
    """Writes what matrices make of x to ``out``; False if a few rows alone would exceed the scratch.

    Args:
        x: (planes, rows, columns, inner) in C order, none of them 0; floats.
        out: the same, with the sizes that the matrices give.
        work: the matrices, at least one.
        target: see above.
    """
    target = target or host()
    scalar = _SCALARS[x.dtype.char]
    width = target.vector_bytes // x.itemsize
    inner = work.inner
    deep = work.columns is not None and inner * _DEEP >= width
    if work.columns is not None and not deep and inner > 1:
        work = work._replace(
            columns=_spread(work.columns, inner), column_count=work.column_count * inner, inner=1
        )
    planes = len(x)
    ready = _ready(work, x.dtype, target, planes, deep)
    if ready is None:
        return False
    if work.rows is None:
        kind = "columns"
    elif work.columns is None:
        kind = "rows"
    else:
        kind = "rows_columns" if work.rows_first else "columns_rows"
    matrices = [matrix for matrix in (work.rows, work.columns) if matrix is not None]
    moves = all(matrix.moves for matrix in matrices)
    kernel = jit.address(
        program.name(scalar, kind, deep, moves),
        lambda target: program.emit(target, scalar, kind, deep, moves),
        target,
    )
    rows, columns = ready.rows, ready.columns
    tables = [0] * 7
    if rows is not None:
        tables[:3] = address(rows.starts), address(rows.sources), address(rows.weights)
    if isinstance(columns, Rows):
        tables[3:6] = address(columns.starts), address(columns.sources), address(columns.weights)
    elif columns is not None:
        found = columns.blocks, columns.lanes, columns.weights, columns.bases
        tables[3:] = [address(table) for table in found]
    x_row, y_row = work.column_count * work.inner, out[0, 0].size
    row_count, plane = out.shape[1], out[0].size
    together = max(_UNIT_BYTES // (plane * x.itemsize), 1) if ready.row_blocks == 1 else 1
    blocks = (
        0
        if columns is None
        else len(columns.starts) - 1
        if isinstance(columns, Rows)
        else len(columns.blocks)
    )
    starts = [-0.0 if matrix is None or matrix.covers else 0.0 for matrix in (work.rows, work.columns)]
    table = array(
        "q",
        (
            address(x), address(out), *tables[:3], address(ready.spans), *tables[3:],
            planes, together, row_count, ready.rows_a_unit, ready.row_blocks,
            x[0].size, plane, x_row, y_row, work.inner, ready.between,
            blocks, y_row // work.inner, *struct.unpack("=2q", struct.pack("=2d", *starts)),
        ),
    )  # fmt: skip
    units = -(-planes // together) * ready.row_blocks
    threads.run(kernel, units, table.buffer_info()[0], ready.scratch * x.itemsize)
    return True


@lru_cache(maxsize=128)
def _spread(matrix: Matrix, inner: int) -> Matrix:
    return matrix.spread(inner)


@lru_cache(maxsize=256)
def _ready(work: Work, dtype: np.dtype[Any], target: Target, planes: int, deep: bool) -> _Ready | None:
    width = target.vector_bytes // dtype.itemsize
    rows = None if work.rows is None else rows_of(work.rows, dtype)
    columns: Rows | Columns | None = None
    if work.columns is not None:
        columns = (
            rows_of(work.columns, dtype)
            if deep
            else columns_of(work.columns, dtype, width, picks(target, _SCALARS[dtype.char]))
        )
    height = work.row_count if work.rows is None else work.rows.height
    wide = work.column_count if work.columns is None else work.columns.height
    written = wide * work.inner * dtype.itemsize
    # A few units for each of many cores, of rows enough to be worth it.
    share = max(-(-height * planes // 32), _UNIT_BYTES // written, 1)
    if planes > 1 and height * written <= 4 * _UNIT_BYTES:
        share = height
    few = min(share, height)
    spans = np.zeros((1, 2), np.int64)
    between = scratch = 0
    if work.rows is not None and work.columns is not None:
        if work.rows_first:
            between = scratch = work.column_count * work.inner
        else:
            between = -(-wide * work.inner // width) * width
            while True:
                firsts = np.arange(0, height, few)
                lasts = np.minimum(firsts + few, height) - 1
                spans = np.stack([work.rows.first_sources[firsts], work.rows.last_sources[lasts]], axis=1)
                # Where nothing is taken, nothing is needed.
                spans[:, 1] = np.maximum(spans[:, 1], spans[:, 0])
                scratch = int((spans[:, 1] - spans[:, 0]).max()) * between
                if few == 1 or scratch * dtype.itemsize <= _BETWEEN_BYTES:
                    break
                few = -(-few // 2)
        if scratch * dtype.itemsize > SCRATCH_BYTES:
            return None
    return _Ready(rows, columns, np.ascontiguousarray(spans), few, -(-height // few), between, scratch)
