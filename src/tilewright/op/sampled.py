"""Sparse matrices along axes of arrays, by compiled passes: two neighbouring axes in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel.sampling.call import Work, sampled
from tilewright.kernel.sampling.tables import Matrix
from tilewright.op import memory
from tilewright.op.kinds import sum_dtype
from tilewright.plan import compiled

Array = npt.NDArray[Any]
#: An axis, and what is done along it.
Step = tuple[int, Matrix]

_FLOATS = {4: np.float32, 8: np.float64}
# Outputs of an axis, and terms, up to which tables are made.
_MOST = 1 << 22
# Elements of a sample from which on those of an axis are rows.
_NARROW = 8


def along(op: str, x: Array, out: Array, steps: Sequence[Step]) -> bool:
    """Writes to ``out`` what matrices along axes make of x, one after the other; False if NumPy had better.

    Halves are computed in float32 and rounded once.

    Args:
        op: the name for messages.
        x: in any layout, no axis of it empty.
        out: of the dtype of x, its elements in the order of those of x.
        steps: in order.
    """
    dtype = sum_dtype(x.dtype)
    steps = [(axis, matrix) for axis, matrix in steps if not matrix.same]
    if not steps or not out.size or not _serves(dtype, steps):
        return False
    # The axes from the widest stride to the narrowest: rows are then contiguous.
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    work, result = x.transpose(order), out.transpose(order)
    if work.dtype != dtype or not work.flags.c_contiguous or not work.flags.aligned:
        work = memory.copy_in_c_order(work) if work.dtype == dtype else np.ascontiguousarray(work, dtype)
    whole = result.dtype == dtype and result.flags.c_contiguous
    after = result if whole else memory.empty_for(op, result.shape, dtype)
    if not _applied(op, work, after, [(order.index(axis), matrix) for axis, matrix in steps]):
        return False
    if not whole:
        result[...] = after
    return True


def serves(dtype: np.dtype[Any]) -> bool:
    """Whether compiled passes compute with this dtype here."""
    return dtype.char in "fd" and compiled.serves("float32")


def _serves(dtype: np.dtype[Any], steps: Sequence[Step]) -> bool:
    """Whether compiled passes compute this: floats, and what is only moved if it is as wide as a float."""
    if not compiled.serves("float32") or any(len(matrix.sources) > _MOST for _, matrix in steps):
        return False
    if dtype.char in "fd":
        return True
    return dtype.kind in "iu" and dtype.itemsize in _FLOATS and all(matrix.moves for _, matrix in steps)


def _applied(op: str, x: Array, out: Array, steps: Sequence[Step]) -> bool:
    """The same for arrays in C order, and places of axes."""
    if x.dtype.kind != "f":
        # Only moved, never computed with.
        x, out = x.view(_FLOATS[x.itemsize]), out.view(_FLOATS[x.itemsize])
    work, done = x, 0
    while done < len(steps):
        group = list(steps[done : done + 2])
        places = sorted(place for place, _ in group)
        beside = len(group) == 2 and math.prod(work.shape[places[0] + 1 : places[1]]) == 1
        if not beside:
            group, places = group[:1], [group[0][0]]
        sizes = list(work.shape)
        for place, matrix in group:
            sizes[place] = matrix.height
        done += len(group)
        after = out if done == len(steps) else memory.empty_for(op, tuple(sizes), work.dtype)
        if not _one(work, after, dict(group), places, group[0][0] == places[0]):
            return False
        work = after
    return True


def _one(x: Array, out: Array, matrices: dict[int, Matrix], places: list[int], rows_first: bool) -> bool:
    """Along one axis or two neighbours."""
    first, last = places[0], places[-1]
    outer, inner = math.prod(x.shape[:first]), math.prod(x.shape[last + 1 :])
    if len(places) == 2:
        rows, columns = (matrices[place] for place in places)
        work = Work(rows, columns, rows_first, x.shape[first], x.shape[last], inner)
    elif inner < _NARROW:
        work = Work(None, matrices[last], True, 1, x.shape[last], inner)
    else:
        work = Work(matrices[first], None, True, x.shape[first], 1, inner)
    shape = (outer, work.row_count, work.column_count, inner)
    heights = [
        n if m is None else m.height for n, m in zip(shape[1:3], (work.rows, work.columns), strict=True)
    ]
    return sampled(x.reshape(shape), out.reshape(outer, *heights, inner), work)
