"""Windows laid out as columns, and back, by compiled passes: which runs each line is put together from."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel.moves import call
from tilewright.kernel.moves.call import Lines, Planes
from tilewright.op import memory
from tilewright.op.moved import OUTSIDE
from tilewright.plan import compiled

Array = npt.NDArray[Any]

# Lines of a plane, times taps: tables of 32 MiB at most. More are left to NumPy.
_MOST_ENTRIES = 1 << 20
# A plane of samples that stays in the L2 cache is read once for each tap; of a larger one, each line.
_CACHED_BYTES = 1 << 18


def unfolded(dims: ConvDims, x: Array, out: Array) -> bool:
    """Writes the samples that each tap sees to ``out``; False if NumPy had better.

    Args:
        dims: a convolution of the windows.
        x: (batch, channels, *spatial) in any layout.
        out: (batch, channels, taps, *output) in C order.
    """
    size = x.itemsize
    if not _serves(dims) or not out.size or not x.size or size not in (1, 2, 4, 8):
        return False
    if x.strides[-1] != size or not x.flags.aligned or any(stride % size for stride in x.strides):
        x = memory.copy_in_c_order(x)
    strides = tuple(stride // size for stride in x.strides)
    small = math.prod(dims.spatial) * size <= _CACHED_BYTES
    work = _unfolding(dims.with_batch(1), strides[2:], small)
    planes = Planes(dims.batch, dims.in_channels, *strides[:2])
    call.moved(x, out, planes, work, size)
    return True


def folded(dims: ConvDims, columns: Array, out: Array) -> bool:
    """Writes the sums of each sample's copies to ``out``; False if NumPy had better.

    Args:
        dims: a convolution of the windows.
        columns: (batch, channels · taps, windows).
        out: (batch, channels, *spatial) in C order, of the dtype of the columns.
    """
    if not _serves(dims) or columns.dtype.char not in "fd" or not columns.size or not out.size:
        return False
    if not columns.flags.c_contiguous or not columns.flags.aligned:
        columns = memory.copy_in_c_order(columns)
    call.folded_lines(columns, out, dims.batch * dims.in_channels, _folding(dims.with_batch(1)))
    return True


def _serves(dims: ConvDims) -> bool:
    """Whether the windows are plain ones, and tables of their lines not too large."""
    lines = max(math.prod(dims.output[:-1]), math.prod(dims.spatial[:-1]))
    return (
        compiled.serves("float32")
        and all(n == 1 for n in dims.input_dilation)
        and lines * dims.taps <= _MOST_ENTRIES
        and max(dims.output[-1], dims.spatial[-1]) <= _MOST_ENTRIES
    )


def _seen(dims: ConvDims, axis: int, tap: int) -> tuple[int, int, int]:
    """The first output of an axis whose tap sees a sample, how many do, and the first sample."""
    step = dims.stride[axis]
    offset = tap * dims.dilation[axis] - dims.padding[axis][0]
    first = max(-(offset // step), 0)
    end = min((dims.spatial[axis] - 1 - offset) // step + 1, dims.output[axis])
    return first, max(end - first, 0), first * step + offset


@lru_cache(maxsize=64)
def _unfolding(dims: ConvDims, strides: tuple[int, ...], by_tap: bool) -> Lines:
    rank, wide = dims.rank, dims.output[-1]
    # Of each tap along a line: zeros, what it sees, zeros.
    runs: list[tuple[int, int, int, int]] = []
    of_tap = []
    for tap in range(dims.kernel[-1]):
        first, count, sample = _seen(dims, rank - 1, tap)
        first = first if count else wide
        own = [
            (0, first, OUTSIDE, 0),
            (first, count, sample * strides[-1], dims.stride[-1] * strides[-1]),
            (first + count, wide - first - count, OUTSIDE, 0),
        ]
        of_tap.append((len(runs), sum(run[1] > 0 for run in own)))
        # A step of 0 would stand for one element again and again, as it does where there is but one.
        runs += [run for run in own if run[1] > 0]
    nothing = len(runs)
    runs.append((0, wide, OUTSIDE, 0))
    # Outer taps, then the tap along the line, then the lines of outputs.
    sources = np.zeros((1, 1), np.int64)
    for axis in range(rank - 1):
        taps, outputs = np.arange(dims.kernel[axis])[:, None], np.arange(dims.output[axis])
        place = outputs * dims.stride[axis] + taps * dims.dilation[axis] - dims.padding[axis][0]
        inside = (place >= 0) & (place < dims.spatial[axis])
        along = np.where(inside, place * strides[axis], OUTSIDE)
        total = sources[:, None, :, None] + along[None, :, None, :]
        sources = total.reshape(sources.shape[0] * len(taps), -1)
    inside = sources >= OUTSIDE // 2
    first, count = np.array(of_tap, np.int64).T
    lines = np.empty((sources.shape[0], len(of_tap), sources.shape[1], 4), np.int64)
    lines[..., 0] = wide * np.arange(lines[..., 0].size).reshape(lines.shape[:-1])
    lines[..., 1] = np.where(inside, sources, 0)[:, None]
    lines[..., 2] = np.where(inside[:, None], first[:, None], nothing)
    lines[..., 3] = np.where(inside[:, None], count[:, None], 1)
    if not by_tap:
        lines = np.ascontiguousarray(np.moveaxis(lines, 2, 0))
    table = lines.reshape(-1, 4)
    return Lines(table, np.array(runs, np.int64), len(table) * wide)


@lru_cache(maxsize=64)
def _folding(dims: ConvDims) -> Lines:
    rank, long = dims.rank, dims.spatial[-1]
    outer = dims.spatial[:-1]
    found: list[npt.NDArray[np.int64]] = []
    whose: list[npt.NDArray[np.int64]] = []
    lines = np.arange(math.prod(outer)).reshape(outer)
    for number, taps in enumerate(product(*(range(k) for k in dims.kernel))):
        at: list[slice] = []
        outputs = np.zeros(1, np.int64)
        for axis, tap in enumerate(taps[:-1]):
            first, count, sample = _seen(dims, axis, tap)
            step = dims.stride[axis]
            at.append(slice(sample, sample + count * step, step) if count else slice(0))
            along = np.arange(first, first + count)
            outputs = (outputs[:, None] * dims.output[axis] + along).reshape(-1)
        first, count, sample = _seen(dims, rank - 1, taps[-1])
        if not count or not outputs.size:
            continue
        own = np.empty((len(outputs), 4), np.int64)
        own[:, 0], own[:, 1], own[:, 3] = sample, count, dims.stride[-1]
        own[:, 2] = (number * math.prod(dims.output[:-1]) + outputs) * dims.output[-1] + first
        found.append(own)
        whose.append(lines[tuple(at)].reshape(-1))
    runs = np.concatenate(found) if found else np.zeros((0, 4), np.int64)
    line = np.concatenate(whose) if whose else np.zeros(0, np.int64)
    # By lines, and of each line in the order of the taps.
    order = np.argsort(line, kind="stable")
    counts = np.bincount(line, minlength=lines.size)
    table = np.zeros((lines.size, 4), np.int64)
    table[:, 0] = np.arange(lines.size) * long
    table[:, 2] = np.cumsum(counts) - counts
    table[:, 3] = counts
    return Lines(table, np.ascontiguousarray(runs[order]), lines.size * long)
