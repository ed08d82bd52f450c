"""Sums over windows, tile by tile, in a dtype wider than the operand's and of what is made from it.

One walk serves both directions. Forward, a tile of outputs adds up, tap by tap, the samples its windows
cover; backward, a tile of input samples adds up the outputs they belong to, along the geometry turned round
(:meth:`~tilewright.geometry.PoolDims.adjoint`). Either way what is added is made once per tile, from the box
that all its taps lie in, and the scratch stays within a constant (unless a single window exceeds it).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims, PoolDims
from tilewright.geometry.boxes import at
from tilewright.kernel import buffers
from tilewright.kernel.overlap import Tile, tiles
from tilewright.plan.plan import SCRATCH_BYTES, tile_within

Array = npt.NDArray[Any]
Box = tuple[slice, ...]
#: ``read(n, channels, box)`` gives (channels, *box), of some planes of sample n.
Read = Callable[[int, slice, Box], Array]
#: ``write(n, channels, box, total)`` takes (channels, *box), and may write to it.
Write = Callable[[int, slice, Box, Array], None]


def add_over_windows(
    dims: PoolDims | ConvDims,
    batch: int,
    channels: int,
    dtype: np.dtype[Any],
    read: Read,
    write: Write,
) -> None:
    """For each output position of a geometry, the sum of what its taps meet.

    Args:
        dims: the windows; channels and batch of a ConvDims are of no importance.
        batch: samples.
        channels: planes of a sample.
        dtype: of the sums.
        read: what is added up, for a box of positions of the geometry's input.
        write: takes the sums for a box of positions of its output.
    """
    # Sums, what is read (a tile's box holds about `stride` samples per output), and as much again for `read`
    # and `write` to work in.
    per_output = 2 * dtype.itemsize * (1 + math.prod(dims.stride))
    size = tile_within(dims.output, per_output)
    planes = max(SCRATCH_BYTES // (math.prod(size) * per_output), 1)
    with np.errstate(all="ignore"):  # NaN and infinity are results like any other
        for tile in tiles(dims, size):
            box = _box(tile)
            # The taps' samples, counted from the corner of the box.
            taps = [
                (
                    meeting.outputs,
                    tuple(
                        slice(s.start - b.start, s.stop - b.start, s.step)
                        for s, b in zip(meeting.inputs, box, strict=True)
                    ),
                )
                for meeting in tile.meetings
            ]
            for n in range(batch):
                for first in range(0, channels, planes):
                    some = slice(first, min(first + planes, channels))
                    total = buffers.empty((some.stop - some.start, *tile.shape), dtype)
                    total[...] = 0
                    if taps:
                        found = read(n, some, box)
                        for outputs, inputs in taps:
                            total[at(slice(None), *outputs)] += found[at(slice(None), *inputs)]
                    write(n, some, tile.outputs, total)


def _box(tile: Tile) -> Box:
    """The least box of input positions that all taps of a tile lie in."""
    per_axis = zip(*(meeting.inputs for meeting in tile.meetings), strict=True)
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in per_axis)
