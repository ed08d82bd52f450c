"""Which samples a place of the output reads along one axis: a first one, how many, and how far apart.

Forward, window o of size k with stride s and dilation d reads o·s + t·d − p for those taps t that meet a
sample. Turned round, for the gradient, sample q of the input belongs to the windows o with o·s + t·d = q + p
for some tap t. Either way the places that are read follow each other evenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims

Table = npt.NDArray[Any]


@dataclass(frozen=True)
class Span:
    """An axis.

    Attributes:
        size: of what is read.
        first: for each place that is written, the first that is read (0 where none is).
        count: how many are read.
        step: how far apart they are.
    """

    size: int
    first: Table
    count: Table
    step: int

    @property
    def written(self) -> int:
        """How many places are written."""
        return len(self.first)


def forward_spans(dims: PoolDims) -> list[Span]:
    """What each output reads of the input."""
    return [_forward(*numbers) for numbers in _by_axis(dims)]


def gradient_spans(dims: PoolDims) -> list[Span]:
    """Which outputs each sample of the input belongs to."""
    return [_turned(*numbers) for numbers in _by_axis(dims)]


def _by_axis(dims: PoolDims) -> list[tuple[int, int, int, int, int, int]]:
    before = [pair[0] for pair in dims.padding]
    return list(zip(dims.spatial, dims.output, dims.kernel, dims.stride, dims.dilation, before, strict=True))


def _forward(size: int, output: int, kernel: int, stride: int, dilation: int, before: int) -> Span:
    start = np.arange(output, dtype=np.int64) * stride - before
    first_tap = np.maximum(-(start // dilation), 0)
    last_tap = np.minimum((size - 1 - start) // dilation, kernel - 1)
    count = np.maximum(last_tap - first_tap + 1, 0)
    return Span(size, np.where(count > 0, start + first_tap * dilation, 0), count, dilation)


def _turned(size: int, output: int, kernel: int, stride: int, dilation: int, before: int) -> Span:
    place = np.arange(size, dtype=np.int64) + before
    common = math.gcd(stride, dilation)
    period = dilation // common
    low = np.maximum(-(-(place - dilation * (kernel - 1)) // stride), 0)
    high = np.minimum(place // stride, output - 1)
    # The least o ≥ low with o·(stride/common) ≡ place/common (mod period).
    residue = place // common % period * pow(stride // common, -1, period) % period
    first = low + (residue - low) % period
    count = np.maximum((high - first) // period + 1, 0)
    count[place % common != 0] = 0
    return Span(output, np.where(count > 0, first, 0), count, period)


def leads_of(spans: list[Span], x_steps: tuple[int, ...]) -> tuple[Table, Table]:
    """All axes but the last as one list of lines.

    Returns:
        For each line that is written: where the first line that it reads begins (in elements), that line's
        place in the array, the first of its entries in a list, and how many there are. Then the list: how far
        a line lies behind the first, in elements and in places.
    """
    leads = spans[:-1]
    plane_steps = [math.prod(span.size for span in spans[axis + 1 :]) for axis in range(len(leads))]
    shape = tuple(span.written for span in leads)
    source, flat = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    kind = np.zeros(shape, np.int64)
    kinds: list[Table] = []
    for axis, span in enumerate(leads):
        along = [1] * len(leads)
        along[axis] = -1
        source = source + (span.first * x_steps[axis]).reshape(along)
        flat = flat + (span.first * plane_steps[axis]).reshape(along)
        found, which = np.unique(span.count, return_inverse=True)
        kinds.append(found)
        kind = kind * len(found) + which.reshape(along)
    entries: list[Table] = []
    starts, counts = [], []
    total = 0
    for counted in np.stack(np.meshgrid(*kinds, indexing="ij"), -1).reshape(-1, len(leads)):
        steps = np.stack(
            np.meshgrid(
                *(np.arange(n) * span.step for n, span in zip(counted, leads, strict=True)), indexing="ij"
            ),
            -1,
        ).reshape(-1, len(leads))
        entries.append(np.stack([steps @ np.array(x_steps[:-1]), steps @ np.array(plane_steps)], axis=1))
        starts.append(total)
        counts.append(len(steps))
        total += len(steps)
    kind = kind.ravel()
    lines = np.stack([source.ravel(), flat.ravel(), np.array(starts)[kind], np.array(counts)[kind]], axis=1)
    return lines.astype(np.int64), np.concatenate(entries).astype(np.int64)
