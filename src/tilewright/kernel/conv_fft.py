"""Convolution in the frequency domain: blocks that overlap, transformed by SciPy.

Algorithm, for one block of a group, X_c and W_kc being the transforms of its inputs and of the kernels:

    y_k = bias_k + the first outputs of the inverse transform of Σ_c X_c · conj(W_kc)

Schedule: groups × samples × blocks in a row, of which threads take one stretch after the other; each
transforms a group's kernels when it comes to the group. Every transform is of one block's size and done on
one thread, so its bits depend on nothing but the block.

An error of a transform is relative to all of the block: NaN and infinity, and sums that overflow, come out
all over it. A sample whose result isn't finite everywhere is therefore computed again, by sums written out.
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at
from tilewright.kernel import threads
from tilewright.plan import Plan, choose
from tilewright.plan.fft import Blocks, blocks_of

Array = npt.NDArray[Any]

# Numbers to transform that are worth a thread's start, which takes some 100 µs.
_WORTH_A_THREAD = 1 << 17
# Stretches for each thread, so that one that is held up doesn't hold up the others.
_STRETCHES = 8


def forward(plan: Plan, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    """Writes the cross-correlation of ``x`` with ``w`` (plus ``bias``) into ``y``."""
    dims = _conv(plan)
    for n in _Task(dims, x, w, bias, y).done():
        one = slice(n, n + 1)
        _written_out("forward", dims, x[one], w, bias, y[one])


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array) -> None:
    """Writes the gradient of the input into ``gx``."""
    dims = _conv(plan)
    for n in _Task(dims.adjoint(), gy, adjoint_weights(dims, w), None, gx).done():
        one = slice(n, n + 1)
        _written_out("data_gradient", dims, gy[one], w, gx[one])


def _written_out(operation: str, dims: ConvDims, *arrays: Array | None) -> None:
    """One sample by the family that would serve if there were no transforms."""
    from tilewright.kernel.dispatch import run

    read = arrays[0]
    assert read is not None
    run(choose(operation, dims.with_batch(1), read.dtype.name, exact=True), *arrays)


def adjoint_weights(dims: ConvDims, w: Array) -> Array:
    """The weights of the data gradient as a convolution: flipped, and the channels of groups exchanged."""
    outputs, inputs = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    by_group = np.ascontiguousarray(w).reshape(dims.groups, outputs, inputs, *dims.kernel).swapaxes(1, 2)
    flipped = np.flip(by_group, tuple(range(3, 3 + dims.rank)))
    return flipped.reshape(dims.in_channels, outputs, *dims.kernel)


class _Task:
    """One convolution with stride 1: its arrays, and what each thread does."""

    def __init__(self, form: ConvDims, x: Array, w: Array, bias: Array | None, y: Array) -> None:
        found = blocks_of(form.with_batch(1), x.dtype.itemsize)
        assert found is not None
        self.form, self.found, self.transforms = form, found, importlib.import_module("scipy.fft")
        self.inputs, self.outputs = form.in_channels // form.groups, form.out_channels // form.groups
        self.x, self.y, self.bias = x, y, bias
        self.w = np.ascontiguousarray(w).reshape(form.groups, self.outputs, self.inputs, *form.kernel)
        counts = [-(-o // t) for o, t in zip(form.output, found.tile, strict=True)]
        # With a single axis a step is several blocks of the line.
        counts[0] = -(-counts[0] // found.rows)
        self.steps = list(product(*(range(count) for count in counts)))
        #: the block, and the axes and sizes that are transformed
        self.shape = found.lengths if found.rows == 1 else (found.rows, *found.lengths)
        self.axes = tuple(axis + len(self.shape) - form.rank for axis in found.axes)
        self.sizes = tuple(found.lengths[axis] for axis in found.axes)
        #: where the kernel's parts begin, dilation's gaps counted
        self.parts = list(
            product(*(range(0, reach + 1, part) for reach, part in zip(form.reach, found.part, strict=True)))
        )
        self.flawed = np.zeros(form.batch, bool)

    def done(self) -> list[int]:
        """Compute; the samples whose results aren't finite."""
        steps = self.form.groups * self.form.batch * len(self.steps)
        worth = steps * math.prod(self.shape) // _WORTH_A_THREAD
        count = max(min(threads.get_num_threads(), steps, worth), 1)
        size = max(steps // (count * _STRETCHES), 1)
        starts = iter(range(0, steps, size))
        in_parallel([lambda: self._stretches(starts, size, steps)] * count)
        return [int(n) for n in np.flatnonzero(self.flawed)]

    def _stretches(self, starts: Iterator[int], size: int, steps: int) -> None:
        """Stretches of ``size`` steps of all groups' samples, until nobody has any left."""
        block = np.empty(self.shape, self.x.dtype)
        each = self.form.batch * len(self.steps)
        known: tuple[int, int] | None = None
        kernels: list[list[Array]] = []
        with np.errstate(all="ignore"):
            # Taking the next is a single step of the interpreter.
            for first in starts:
                last = min(first + size, steps)
                for group in range(first // each, -(-last // each)):
                    there = range(max(first - group * each, 0), min(last - group * each, each))
                    for number, offset in enumerate(self.parts):
                        if known != (group, number):
                            known, kernels = (group, number), self._kernels(group, offset, block)
                        for step in there:
                            sample, place = divmod(step, len(self.steps))
                            if not self.flawed[sample]:
                                self._step(
                                    group, sample, self.steps[place], offset, kernels, number == 0, block
                                )

    def _kernels(self, group: int, offset: tuple[int, ...], block: Array) -> list[list[Array]]:
        """The conjugate transforms of a part of the kernels, by output and input channel."""
        form, found = self.form, self.found
        taps, places = [], []
        for first, part, dilation, size in zip(offset, found.part, form.dilation, form.kernel, strict=True):
            low, high = -(-first // dilation), min(-(-(first + part) // dilation), size)
            taps.append(slice(low, high))
            places.append(slice(low * dilation - first, (high - 1) * dilation - first + 1, dilation))
        if any(tap.start >= tap.stop for tap in taps):
            # Nothing but a gap of the dilation.
            taps, places = [slice(0, 0)] * form.rank, [slice(0, 0)] * form.rank
        # One transform serves all rows, and all places of axes along which there is a single tap.
        axes = range(-len(self.shape), 0)
        block = block[tuple(slice(None if n % len(self.shape) in self.axes else 1) for n in axes)]
        found_kernels = []
        for output in range(self.outputs):
            of_output = []
            for channel in range(self.inputs):
                block[...] = 0
                block[at(..., *places)] = self.w[at(group, output, channel, *taps)]
                of_output.append(np.conjugate(self._transformed(block)))
            found_kernels.append(of_output)
        return found_kernels

    def _transformed(self, block: Array) -> Array:
        transform: Array = self.transforms.rfftn(block, axes=self.axes, workers=1)
        return transform

    def _step(
        self,
        group: int,
        sample: int,
        place: tuple[int, ...],
        offset: tuple[int, ...],
        kernels: list[list[Array]],
        begins: bool,
        block: Array,
    ) -> None:
        """Some blocks' outputs: written, or, of the kernel's further parts, added."""
        found = self.found
        first = [number * tile for number, tile in zip(place, found.tile, strict=True)]
        first[0] *= found.rows
        spectra = []
        for channel in range(group * self.inputs, (group + 1) * self.inputs):
            if found.rows == 1:
                self._gather(self.x[sample, channel], first, offset, block)
            else:
                self._gather_line(self.x[sample, channel], first[0], offset[0], block)
            spectra.append(self._transformed(block))
        for output in range(self.outputs):
            alone = self.inputs == self.outputs == 1
            total = np.multiply(spectra[0], kernels[output][0], out=spectra[0] if alone else None)
            for spectrum, kernel in zip(spectra[1:], kernels[output][1:], strict=True):
                total += spectrum * kernel
            result = self.transforms.irfftn(total, s=self.sizes, axes=self.axes, overwrite_x=True, workers=1)
            channel = group * self.outputs + output
            if begins and self.bias is not None:
                result += self.bias[channel]
            y = self.y[sample, channel]
            store = _store if found.rows == 1 else _store_line
            if not store(y, first, found, result, begins):
                self.flawed[sample] = True
                return

    def _gather(self, x: Array, first: list[int], offset: tuple[int, ...], block: Array) -> None:
        """What the outputs from ``first`` on read, and zeros around it."""
        form, found = self.form, self.found
        here, there = [], []
        for axis in range(form.rank):
            start = first[axis] + offset[axis] - form.padding[axis][0]
            count = min(found.tile[axis], form.output[axis] - first[axis]) + found.part[axis] - 1
            low, high = max(start, 0), max(min(start + count, form.spatial[axis]), 0)
            high = max(high, low)
            here.append(slice(low, high))
            there.append(slice(low - start, high - start))
        if any(part.stop - part.start < size for part, size in zip(there, self.shape, strict=True)):
            block[...] = 0
        if all(part.stop > part.start for part in here):
            block[at(*there)] = x[at(*here)]

    def _gather_line(self, x: Array, first: int, offset: int, block: Array) -> None:
        """The same for several blocks of a line."""
        tile, part = self.found.tile[0], self.found.part[0]
        start = first + offset - self.form.padding[0][0]
        used = tile + part - 1
        end = start + (self.found.rows - 1) * tile + used
        if start >= 0 and end <= x.shape[0] and first + self.found.rows * tile <= self.form.output[0]:
            step = x.strides[0]
            windows = np.lib.stride_tricks.as_strided(
                x[start:], (self.found.rows, used), (tile * step, step), writeable=False
            )
            block[:, :used] = windows
            block[:, used:] = 0
            return
        block[...] = 0
        for row in range(self.found.rows):
            left = self.form.output[0] - first - row * tile
            if left <= 0:
                return
            here = start + row * tile
            low, high = max(here, 0), min(here + min(tile, left) + part - 1, x.shape[0])
            if low < high:
                block[row, low - here : high - here] = x[low:high]


def _store(y: Array, first: list[int], found: Blocks, result: Array, begins: bool) -> bool:
    """Write or add a block's outputs; whether all were finite."""
    to = y[at(*(slice(f, f + t) for f, t in zip(first, found.tile, strict=True)))]
    outputs = result[at(*(slice(size) for size in to.shape))]
    return _put(to, outputs, begins)


def _store_line(y: Array, first: list[int], found: Blocks, result: Array, begins: bool) -> bool:
    """The same for several blocks of a line."""
    tile = found.tile[0]
    y = y[first[0] : first[0] + found.rows * tile]
    rows, left = divmod(y.shape[0], tile)
    fine = rows == 0 or _put(y[: rows * tile].reshape(rows, tile), result[:rows, :tile], begins)
    return fine and (left == 0 or _put(y[rows * tile :], result[rows, :left], begins))


def _put(to: Array, outputs: Array, begins: bool) -> bool:
    if not np.isfinite(outputs).all():
        return False
    if begins:
        np.copyto(to, outputs)
        return True
    to += outputs
    return bool(np.isfinite(to).all())


def in_parallel(calls: list[Callable[[], None]]) -> None:
    """Make the calls at the same time, the last of them here; an error in one is raised when all are done."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    others = [threading.Thread(target=guarded, args=(call,), daemon=True) for call in calls[:-1]]
    for other in others:
        other.start()
    guarded(calls[-1])
    for other in others:
        other.join()
    if errors:
        raise errors[0]


def _conv(plan: Plan) -> ConvDims:
    assert isinstance(plan.dims, ConvDims)
    return plan.dims
