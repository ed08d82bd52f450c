"""One axis of a window operation as phases and shifts.

Definition, for an axis in forward form with stride s, input dilation e (one of the two is 1), dilation d and
padding p below:

    out[o] = Σ_k w[k] · x[(o·s + k·d − p) / e]        over the k for which this is a whole number in range

Of a stride, the samples are told apart by phase f: packed[f][i] = x[i·s + f + start]. A tap then reads
packed[f][o + shift]. Of an input dilation, the outputs are told apart by phase a: out[e·u + a] reads
packed[u + shift] for the taps of that phase only, so no product with an inserted zero is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims


@dataclass(frozen=True)
class Tap:
    """One tap of an axis: which phase of the output it serves, what it reads, and its place in the kernel."""

    out_phase: int
    in_phase: int
    shift: int
    place: int


@dataclass(frozen=True)
class Axis:
    """An axis of the arrays and of the work.

    Attributes:
        size: of the array that is read.
        written: of the array that is written.
        count: how many places u the work runs over.
        in_step: packed[f][i] is sample i·in_step + in_phases[f] + in_start.
        in_start: see there.
        in_phases: see there; those that some tap reads.
        out_step: place u of phase a is output u·out_step + a.
        reach: the largest shift.
        taps: all taps.
    """

    size: int
    written: int
    count: int
    in_step: int
    in_start: int
    in_phases: tuple[int, ...]
    out_step: int
    reach: int
    taps: tuple[Tap, ...]

    def samples(self, phase: int, first: int, count: int) -> npt.NDArray[Any]:
        """The samples at packed places ``first`` … of a phase; some may lie outside the array."""
        start = self.in_start + self.in_phases[phase]
        return np.arange(first, first + count, dtype=np.int64) * self.in_step + start

    def valid(self, phase: int, first: int, count: int) -> tuple[int, int, int]:
        """Of packed places ``first`` …: where samples begin, where they end, and the first sample."""
        start = self.in_start + self.in_phases[phase]
        low = max(-(start // self.in_step) - first, 0)
        high = min((self.size - 1 - start) // self.in_step + 1 - first, count)
        if high <= low:
            return 0, 0, 0
        return low, high, (first + low) * self.in_step + start

    def outputs(self, phase: int, first: int, count: int) -> int:
        """How many of ``count`` places from ``first`` on are outputs in this phase."""
        left = -(-(self.written - phase) // self.out_step) - first
        return max(min(left, count), 0)


#: An axis of length 1, where there is none.
NONE = Axis(1, 1, 1, 1, 0, (0,), 1, 0, (Tap(0, 0, 0, 0),))


def axis_of(
    size: int,
    written: int,
    kernel: int,
    stride: int,
    dilation: int,
    input_dilation: int,
    low: int,
    *,
    flipped: bool = False,
) -> Axis:
    """The axis of a geometry in forward form; ``flipped``: taps count from the kernel's end."""
    assert stride == 1 or input_dilation == 1
    step = input_dilation
    found: list[Tap] = []
    phases = sorted({k * dilation % stride for k in range(kernel)}) if stride > 1 else [0]
    for k in range(kernel):
        reach = k * dilation
        place = kernel - 1 - k if flipped else k
        if step == 1:
            found.append(Tap(0, phases.index(reach % stride), reach // stride, place))
        else:
            phase = (low - reach) % step
            found.append(Tap(phase, 0, (phase + reach - low) // step, place))
    start = -low if step == 1 else min(tap.shift for tap in found)
    least = 0 if step == 1 else start
    taps = tuple(Tap(tap.out_phase, tap.in_phase, tap.shift - least, tap.place) for tap in found)
    reach = max(tap.shift for tap in taps)
    return Axis(size, written, -(-written // step), stride, start, tuple(phases), step, reach, taps)


def axes_of(dims: ConvDims, *, flipped: bool = False) -> list[Axis]:
    """The axes of a geometry in forward form."""
    return [
        axis_of(size, written, kernel, stride, dilation, zeros, padding[0], flipped=flipped)
        for size, written, kernel, stride, dilation, zeros, padding in zip(
            dims.spatial,
            dims.output,
            dims.kernel,
            dims.stride,
            dims.dilation,
            dims.input_dilation,
            dims.padding,
            strict=True,
        )
    ]


def block_of(
    axes: Sequence[Axis], room: int, least_line: int, good_line: int, whole: int = 1
) -> tuple[int, ...]:
    """How many places of each axis are worked on at a time, so that at most ``room`` are packed.

    The last axis is what vectors run along: it is at least ``least_line`` long if there are so many, and
    comes first up to ``good_line``. Then, as neighbouring blocks both pack the samples that both reach, the
    axis grows where that costs most. Packed lines take a multiple of ``whole`` places.
    """
    block = [1] * len(axes)

    def packed(sizes: Sequence[int]) -> int:
        total = 1
        for axis, size in zip(axes, sizes, strict=True):
            total *= size + axis.reach
        line = sizes[-1] + axes[-1].reach
        return total // line * (-(-line // whole) * whole)

    block[-1] = min(axes[-1].count, least_line)
    while True:
        best, gain = None, 1.0
        for number in range(len(axes) - 1, -1, -1):
            axis, size = axes[number], block[number]
            if size == axis.count:
                continue
            larger = min(2 * size, axis.count)
            trial = [*block[:number], larger, *block[number + 1 :]]
            if packed(trial) > room:
                continue
            saved = (1 + axis.reach / size) / (1 + axis.reach / larger)
            if number == len(axes) - 1 and size < good_line:
                best = trial
                break
            # Of equal gains, the last axis': long lines are what caches and vectors like.
            if saved > gain or best is None:
                best, gain = trial, saved
        if best is None:
            return tuple(_evened(axis.count, size) for axis, size in zip(axes, block, strict=True))
        block = best


def _evened(count: int, size: int) -> int:
    """As few blocks as before, of equal size."""
    blocks = -(-count // size)
    return -(-count // blocks)
