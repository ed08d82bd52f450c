"""Pooling by taps: one comparison or addition per tap over the positions where it meets the input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims
from tilewright.geometry.boxes import at
from tilewright.kernel import buffers
from tilewright.kernel.overlap import Meeting, tiles
from tilewright.plan import Plan

Array = npt.NDArray[Any]


def max_pool(plan: Plan, x: Array, y: Array, indices: Array | None) -> None:
    """Writes the largest sample of each window into ``y``, its flat position into ``indices`` if given.

    NaN wins over every number; among equals the first in row order is taken.
    """
    dims = _pool(plan)
    for tile in tiles(dims, plan.tile):
        if indices is not None:
            positions = [(meeting, _flat_positions(dims, meeting)) for meeting in tile.meetings]
        for n, channels in _planes(plan):
            best = _filled((channels.stop - channels.start, *tile.shape), x.dtype, _least(x.dtype))
            if indices is None:
                for meeting in tile.meetings:
                    seen = x[at(n, channels, *meeting.inputs)]
                    place = best[at(slice(None), *meeting.outputs)]
                    np.maximum(place, seen, out=place)
            else:
                taken = _filled(best.shape, np.int64, 0)
                fresh = _filled(tile.shape, np.bool_, True)
                for meeting, position in positions:
                    _take_larger(meeting, position, x[at(n, channels, *meeting.inputs)], best, taken, fresh)
                indices[at(n, channels, *tile.outputs)] = taken
            y[at(n, channels, *tile.outputs)] = best


def _take_larger(
    meeting: Meeting, position: Array, seen: Array, best: Array, taken: Array, fresh: Array
) -> None:
    """One tap's samples replace the best so far where they are larger, NaN, or the first of their window."""
    box = (slice(None), *meeting.outputs)
    place = best[box]
    better, number = (buffers.empty(place.shape, np.bool_) for _ in range(2))
    # Not "seen > place", which a NaN never is.
    np.less_equal(seen, place, out=better)
    np.logical_not(better, out=better)
    np.equal(place, place, out=number)
    np.logical_and(better, number, out=better)
    # A window's first sample is always taken, so that a window of −∞ still points at one of its own.
    better |= fresh[meeting.outputs]
    fresh[meeting.outputs] = False
    np.copyto(place, seen, where=better)
    np.copyto(taken[box], position, where=better)


def max_pool_gradient(plan: Plan, gy: Array, indices: Array, gx: Array) -> None:
    """Adds each output's gradient to the sample it was taken from, in row order; ``gx`` starts at zero."""
    dims = _pool(plan)
    pixels = math.prod(dims.spatial)
    for n in range(dims.batch):
        for c in range(dims.channels):
            plane = _filled((pixels,), gy.dtype, 0)
            np.add.at(plane, indices[n, c].reshape(-1), gy[n, c].reshape(-1))
            gx[n, c] = plane.reshape(dims.spatial)


def avg_pool(plan: Plan, x: Array, y: Array, divisors: Array) -> None:
    """Writes each window's sum over its divisor into ``y``."""
    dims = _pool(plan)
    for tile in tiles(dims, plan.tile):
        for n, channels in _planes(plan):
            total = _filled((channels.stop - channels.start, *tile.shape), x.dtype, 0)
            for meeting in tile.meetings:
                total[at(slice(None), *meeting.outputs)] += x[at(n, channels, *meeting.inputs)]
            np.divide(total, divisors[tile.outputs], out=y[at(n, channels, *tile.outputs)])


def avg_pool_gradient(plan: Plan, gy: Array, gx: Array, divisors: Array) -> None:
    """Writes the gradient of the input: each output's share goes to every sample of its window."""
    dims = _pool(plan)
    gx[...] = 0
    for tile in tiles(dims, plan.tile):
        for n, channels in _planes(plan):
            share = buffers.empty((channels.stop - channels.start, *tile.shape), gy.dtype)
            np.divide(gy[at(n, channels, *tile.outputs)], divisors[tile.outputs], out=share)
            for meeting in tile.meetings:
                gx[at(n, channels, *meeting.inputs)] += share[at(slice(None), *meeting.outputs)]


def _pool(plan: Plan) -> PoolDims:
    assert isinstance(plan.dims, PoolDims)
    return plan.dims


def _planes(plan: Plan) -> Iterator[tuple[int, slice]]:
    """Each sample with runs of as many of its channels as the plan takes at a time."""
    dims = _pool(plan)
    for n in range(dims.batch):
        for first in range(0, dims.channels, plan.samples):
            yield n, slice(first, min(first + plan.samples, dims.channels))


def _flat_positions(dims: PoolDims, meeting: Meeting) -> Array:
    """The flat position in the unpadded plane of each sample a tap meets."""
    flat = np.zeros((1,) * dims.rank, dtype=np.int64)
    for axis, part in enumerate(meeting.inputs):
        shape = [1] * dims.rank
        places = np.arange(part.start, part.stop, part.step, dtype=np.int64)
        shape[axis] = places.size
        wider = buffers.empty((*flat.shape[:axis], places.size, *flat.shape[axis + 1 :]), np.int64)
        flat = np.add(flat * dims.spatial[axis], places.reshape(shape), out=wider)
    return flat


def _filled(shape: tuple[int, ...], dtype: npt.DTypeLike, value: Any) -> Array:
    """A work array, from the pool of buffers: every step of a training takes one of the same size."""
    found = buffers.empty(shape, dtype)
    found[...] = value
    return found


def _least(dtype: np.dtype[Any]) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
