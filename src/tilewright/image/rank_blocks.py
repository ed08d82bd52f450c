"""Rank filters of one padded block, which lies in the cache: arrays in, arrays out, nothing checked.

A block is read as one long row: a window's sample then lies at the same distance from the window's first
one wherever the window is, and every comparison is of two contiguous runs of memory. What is computed of
windows that hang over the end of a row is never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.selection import Place, Program, program

Array = npt.NDArray[Any]

# What a program's arrays take together: half of an L2 cache of 1 MiB.
_SCRATCH_BYTES = 2**19
# A comparison of fewer elements than these spends more time in being called than in comparing.
_LEAST_CHUNK = 2048
# Windows of more samples than these are sorted one by one: the steps grow faster than the samples, and so
# does the time it takes to make them.
_MOST_SORTED_TOGETHER = 1024
# What the windows that are sorted one by one take at a time.
_WINDOW_BYTES = 2**24


def extreme_of_box(block: Array, sizes: Sequence[int], is_max: bool, has_nan: bool) -> Array:
    """The smallest or largest sample of each window of a full box, NaN counting as the largest.

    Along each axis of size k in ⌈log₂ k⌉ comparisons of whole rows: windows of 1, 2, 4, … samples, and at
    last two that overlap.
    """
    choose = _chooser(is_max, has_nan)
    flat = block.reshape(-1)
    for axis, size in enumerate(sizes):
        step = _steps(block.shape)[axis]
        width = 1
        while width < size:
            shift = min(width, size - width)
            flat = choose(flat[: len(flat) - shift * step], flat[shift * step :])
            width += shift
    return _windows_of(flat, block.shape, sizes)


def of_rank(block: Array, sizes: Sequence[int], places: tuple[Place, ...], rank: int, has_nan: bool) -> Array:
    """The sample of ``rank`` among those at ``places`` of each window, NaN counting as the largest."""
    if len(places) > _MOST_SORTED_TOGETHER:
        return _partitioned(block, sizes, places, rank)
    steps = _steps(block.shape)
    starts = block.size - sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    found = np.empty(starts, block.dtype)
    # The axes that windows extend along: behind the last of them there may be channels.
    axes = max((axis + 1 for axis, size in enumerate(sizes) if size > 1), default=1)
    # Neighbours along the last of these share their work; where there are none, there is nothing to share.
    if axes < block.ndim and block.shape[axes - 1] == sizes[axes - 1]:
        axes += 1
    plan = program(tuple(place[:axes] for place in places), rank)
    _run(plan, block.reshape(-1), steps[:axes], found, has_nan)
    return _windows_of(found, block.shape, sizes)


def _run(plan: Program, flat: Array, steps: Sequence[int], found: Array, has_nan: bool) -> None:
    """Writes to ``found`` what the program makes of each position, in chunks that stay in the cache."""
    *lead, unit = steps
    leaves = [sum(i * step for i, step in zip(place, lead, strict=True)) for place in plan.leaves]
    first = len(leaves)
    slots, count = _slots(plan)
    extents = [unit * extent for extent in plan.extents]
    widest = max(extents)
    chunk = max(_SCRATCH_BYTES // max(count * flat.itemsize, 1) - widest, _LEAST_CHUNK)
    chunk = min(chunk, len(found))
    scratch = np.empty((count, chunk + widest), flat.dtype)
    choose = (_chooser(False, has_nan), _chooser(True, has_nan))
    for start in range(0, len(found), chunk):
        length = min(chunk, len(found) - start)
        arrays = [
            flat[start + leaf : start + leaf + length + extent]
            for leaf, extent in zip(leaves, extents[:first], strict=True)
        ]
        for step, slot, extent in zip(plan.steps, slots, extents[first:], strict=True):
            end = length + extent
            left = arrays[step.left][unit * step.left_shift :][:end]
            right = arrays[step.right][unit * step.right_shift :][:end]
            arrays.append(choose[step.is_max](left, right, out=scratch[slot, :end]))
        found[start : start + length] = arrays[plan.result][unit * plan.shift :][:length]


def _slots(plan: Program) -> tuple[list[int], int]:
    """Which row of the scratch memory each step writes to, and how many rows that takes."""
    first = len(plan.leaves)
    last_use = {plan.result: len(plan.steps)}
    for number in range(len(plan.steps) - 1, -1, -1):
        step = plan.steps[number]
        for operand in (step.left, step.right):
            last_use.setdefault(operand, number)
    slots: list[int] = []
    free: list[int] = []
    count = 0
    for number, step in enumerate(plan.steps):
        # The row of an operand that is used for the last time is free after this step, not during it: the
        # two may be shifted against each other.
        if free:
            slots.append(free.pop())
        else:
            slots.append(count)
            count += 1
        for operand in {step.left, step.right}:
            if operand >= first and last_use[operand] == number:
                free.append(slots[operand - first])
    return slots, count


def _partitioned(block: Array, sizes: Sequence[int], places: tuple[Place, ...], rank: int) -> Array:
    """Each window's samples side by side, partly sorted; ``numpy.partition`` puts NaN last."""
    windows = np.lib.stride_tricks.sliding_window_view(block, tuple(sizes))
    shape = windows.shape[: block.ndim]
    found = np.empty(math.prod(shape), block.dtype)
    index = tuple(np.array(places).T)
    together = max(_WINDOW_BYTES // (len(places) * block.itemsize), 1)
    for start in range(0, len(found), together):
        stop = min(start + together, len(found))
        at = np.unravel_index(np.arange(start, stop), shape)
        samples = windows[at][(slice(None), *index)]
        samples.partition(rank, axis=1)
        found[start:stop] = samples[:, rank]
    return found.reshape(shape)


def _chooser(is_max: bool, has_nan: bool) -> np.ufunc:
    """The smaller or the larger of two, of which NaN is the largest."""
    if is_max:
        return np.maximum
    # fmin gives the number beside a NaN. Without a NaN minimum is the same, and faster.
    return np.fmin if has_nan else np.minimum


def _steps(shape: Sequence[int]) -> list[int]:
    """How far apart neighbours along each axis lie in the long row."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _windows_of(flat: Array, shape: Sequence[int], sizes: Sequence[int]) -> Array:
    """Of results at every position of the long row, those whose window lies inside the block."""
    counts = tuple(length - size + 1 for length, size in zip(shape, sizes, strict=True))
    strides = tuple(step * flat.itemsize for step in _steps(shape))
    return np.lib.stride_tricks.as_strided(flat, counts, strides, writeable=False)
