"""Windows laid out as columns (unfold), and columns added up where their windows lay (fold).

Fold is the adjoint of unfold. Both go tap by tap: all that one tap sees, or gives, is one box of the input.
"""

from __future__ import annotations

import math
from typing import Any

import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at
from tilewright.kernel.overlap import tiles
from tilewright.op import memory
from tilewright.op.arrays import MULTIPLIED, check_array
from tilewright.op.kinds import sum_dtype
from tilewright.op.pad import DTYPES
from tilewright.op.window_lines import folded, unfolded

Array = npt.NDArray[Any]


def unfold(dims: ConvDims, x: Array, *, op: str = "unfold") -> Array:
    """(batch, channels, *spatial) → (batch, channels · taps, windows), zeros outside x.

    ``dims`` is a convolution of these windows.

    Raises:
        DtypeError: neither numbers nor bools.
        ShapeError: no memory holds the result.
    """
    check_array(x, "input", op, DTYPES)
    shape = (dims.batch, dims.in_channels, dims.taps, *dims.output)
    y = memory.empty_for(op, shape, x.dtype)
    if unfolded(dims, x, y):
        return y.reshape(columns_shape(dims))
    # A tap that sees nothing but padding has no meeting.
    (tile,) = tiles(dims, dims.output)
    whole = {meeting.number for meeting in tile.meetings if meeting.whole}
    for number in range(dims.taps):
        if number not in whole:
            y[:, :, number] = 0
    for meeting in tile.meetings:
        y[at(slice(None), slice(None), meeting.number, *meeting.outputs)] = x[at(..., *meeting.inputs)]
    return y.reshape(columns_shape(dims))


def fold(dims: ConvDims, columns: Array, *, op: str = "fold") -> Array:
    """(batch, channels · taps, windows) → (batch, channels, *spatial): each sample the sum of its copies.

    Integers are added in their dtype, halves in float32.

    Raises:
        DtypeError: no numbers.
        ShapeError: no memory holds the result.
    """
    check_array(columns, "input", op, MULTIPLIED)
    x = memory.empty_for(op, dims.input_shape, sum_dtype(columns.dtype))
    if x.dtype == columns.dtype and folded(dims, columns, x):
        return x
    x[...] = 0
    parts = columns.reshape(dims.batch, dims.in_channels, dims.taps, *dims.output)
    (tile,) = tiles(dims, dims.output)
    for meeting in tile.meetings:
        given = parts[at(slice(None), slice(None), meeting.number, *meeting.outputs)]
        x[at(..., *meeting.inputs)] += given
    return x.astype(columns.dtype, copy=False)


def columns_shape(dims: ConvDims) -> tuple[int, int, int]:
    """Shape of the columns: (batch, channels · taps, windows)."""
    return dims.batch, dims.in_channels * dims.taps, math.prod(dims.output)
