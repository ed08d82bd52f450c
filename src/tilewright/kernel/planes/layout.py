"""How a block lies in scratch, and the tables that say what is copied, computed and stored.

The packed block of a channel, its phases and axes from outside to inside:

    [phase of the last axis][phases of the other axes][places of the other axes][places of the last axis]

so that a tap is one offset, the same for all places of all blocks. Tables are made when a geometry is first
met; they have a few words for each line of the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry.padding import ZEROS
from tilewright.kernel.planes.axes import Axis
from tilewright.kernel.planes.continuing import continued

Steps = Sequence[int]
Table = npt.NDArray[Any]

#: The source of a line of padding; those of samples may be negative, as strides may be.
NOWHERE = -(1 << 62)


@dataclass(frozen=True)
class Block:
    """One block: first place and number of places on each axis."""

    first: tuple[int, ...]
    count: tuple[int, ...]


class Layout:
    """A problem's blocks, for packed places of ``unit`` elements.

    Args:
        axes: at least two.
        block: the most places of each axis in a block.
        x_steps: strides of the array that is read, in elements, by axis.
        y_steps: those of the array that is written.
        unit: elements of a packed place: 1, or a vector of channels.
        width: elements of a vector.
        slack: elements that may be written or read behind a phase.
        mode: what stands in the padding.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        block: tuple[int, ...],
        x_steps: Steps,
        y_steps: Steps,
        unit: int,
        width: int,
        slack: int,
        mode: str = ZEROS,
    ) -> None:
        self.axes, self.block, self.mode = list(axes), block, mode
        self.x_steps, self.y_steps, self.unit, self.width = x_steps, y_steps, unit, width
        self.extent = [size + axis.reach for size, axis in zip(block, axes, strict=True)]
        if unit == 1:
            # Lines of whole vectors: what lies above each other is read with the same alignment.
            self.extent[-1] = -(-self.extent[-1] // width) * width
        #: whether blocks have but one line, whose vectors are then each other's neighbours
        self.along = unit == 1 and block[-2] == 1
        steps = [1]
        for size in reversed(self.extent[1:]):
            steps.append(steps[-1] * size)
        #: packed places from one place to the next, by axis
        self.steps = steps[::-1]
        self.places = math.prod(self.extent)
        self.lead_phases = list(product(*(range(len(axis.in_phases)) for axis in axes[:-1])))
        slack_places = -(-slack // unit)
        #: places of one phase of the last axis
        self.phase = len(self.lead_phases) * self.places + slack_places
        #: elements of one channel's packed block
        self.channel = len(axes[-1].in_phases) * self.phase * unit
        #: whether the taps of an axis, of the same phases, read samples that follow each other
        self._adjacent = [_adjacent(axis) for axis in axes]
        #: phases of the outputs
        self.combinations = list(product(*(range(axis.out_step) for axis in axes)))

    def columns_of(self, combination: tuple[int, ...], direction: int) -> list[list[tuple[int, int]]]:
        """The taps of some outputs, as the offset (in elements) of each and its place in the kernel, flat.

        In columns: taps whose shifts on one axis, the ``direction``, follow each other, and which are the
        same otherwise.
        """
        size = [len(axis.taps) for axis in self.axes]
        found: dict[tuple[object, ...], list[tuple[int, int]]] = {}
        for taps in product(*(axis.taps for axis in self.axes)):
            if any(tap.out_phase != phase for tap, phase in zip(taps, combination, strict=True)):
                continue
            lead = self.lead_phases.index(tuple(tap.in_phase for tap in taps[:-1]))
            offset = taps[-1].in_phase * self.phase + lead * self.places
            offset += sum(tap.shift * step for tap, step in zip(taps, self.steps, strict=True))
            place = 0
            for tap, count in zip(taps, size, strict=True):
                place = place * count + tap.place
            # With a dilation, taps of an axis are several shifts apart: then each is a column.
            one = taps[direction]
            follow = tuple(tap.shift for number, tap in enumerate(taps) if number != direction % len(taps))
            key = (*(tap.in_phase for tap in taps), *follow)
            if not self._adjacent[direction]:
                key = (*key, one.shift)
            found.setdefault(key, []).append((offset * self.unit, place))
        return [sorted(column) for column in found.values()]

    def blocks(self) -> list[Block]:
        """All blocks of a plane, in order."""
        starts = [range(0, axis.count, size) for axis, size in zip(self.axes, self.block, strict=True)]
        return [
            Block(
                first,
                tuple(
                    min(size, axis.count - f)
                    for f, size, axis in zip(first, self.block, self.axes, strict=True)
                ),
            )
            for first in product(*starts)
        ]

    def lines(self, block: Block) -> Table:
        """What is to be packed, in the order of where it goes: where the samples' line begins, and where to.

        The source of a line of padding is :data:`NOWHERE`, unless padding continues the samples: then it is
        another of their lines.
        """
        leads = self.axes[:-1]
        found = []
        for number, phases in enumerate(self.lead_phases):
            source = np.zeros((1,) * len(leads), np.int64)
            there = np.ones((1,) * len(leads), bool)
            for one, (axis, phase) in enumerate(zip(leads, phases, strict=True)):
                samples = axis.samples(phase, block.first[one], block.count[one] + axis.reach)
                if self.mode != ZEROS:
                    samples = continued(samples, axis.size, self.mode)
                shape = self._along(one, len(samples))
                source = source + (samples * self.x_steps[one]).reshape(shape)
                there = there & ((samples >= 0) & (samples < axis.size)).reshape(shape)
            counts = [block.count[one] + axis.reach for one, axis in enumerate(leads)]
            to = number * self.places + self._places(counts)
            found.append(
                np.stack([np.where(there, source, NOWHERE).ravel(), (to * self.unit).ravel()], axis=1)
            )
        return np.concatenate(found)

    def pixels(self) -> Table:
        """Of a plane that is one block: where each sample goes. Those that no tap reads go behind all others.

        Entries have two words, as those of :meth:`lines`.
        """
        found = np.zeros((), np.int64)
        there = np.ones((), bool)
        for number, axis in enumerate(self.axes):
            samples = np.arange(axis.size) - axis.in_start
            phases = samples % axis.in_step
            known = np.full(axis.in_step, -1)
            known[list(axis.in_phases)] = np.arange(len(axis.in_phases))
            phase, place = known[phases], samples // axis.in_step
            read = (phase >= 0) & (samples >= 0) & (place < self.extent[number])
            if number == len(self.axes) - 1:
                offset = phase * self.phase + place
            else:
                # Phases of the axes before the last are numbered like digits.
                following = math.prod(len(one.in_phases) for one in self.axes[number + 1 : -1])
                offset = phase * following * self.places + place * self.steps[number]
            found, there = found[..., None] + offset, there[..., None] & read
        found = np.where(there, found * self.unit, self.channel)
        return np.stack([found.ravel(), np.zeros(found.size, np.int64)], axis=1)

    def columns(self, block: Block) -> Table:
        """The last axis of every line, by phase: where samples begin and end, and the first one's place."""
        axis = self.axes[-1]
        count = block.count[-1] + axis.reach
        found = []
        for phase in range(len(axis.in_phases)):
            low, high, sample = axis.valid(phase, block.first[-1], count)
            found.append((low, high, sample * self.x_steps[-1]))
        return np.array(found, np.int64)

    def ends(self, block: Block) -> Table:
        """Where padding continues the samples of a line: how many places, and of each its sample and itself.

        Entries have three words, as those of :meth:`columns`, behind which they stand.
        """
        axis = self.axes[-1]
        count = block.count[-1] + axis.reach
        found = []
        for phase in range(len(axis.in_phases)):
            low, high, _ = axis.valid(phase, block.first[-1], count)
            samples = continued(axis.samples(phase, block.first[-1], count), axis.size, self.mode)
            places = np.arange(count)
            pad = (places < low) | (places >= high)
            to = (phase * self.phase + places) * self.unit
            found.append(np.stack([samples * self.x_steps[-1], to, np.zeros_like(to)], axis=1)[pad])
        entries = np.concatenate(found)
        return np.concatenate([np.array([[len(entries), 0, 0]], np.int64), entries])

    def runs(self, block: Block, by_channels: bool, to_scratch: bool) -> Table:
        """What is computed in one go: a line and its neighbours.

        Each is where it begins, where it goes, how many places a line has, how many neighbours, and the
        number of its combination of phases. Neighbours are lines of the axis before the last; or, with only
        one line, the line's vectors; or, along the channels, the places of a line, of which there is one
        each.
        """
        found = [np.zeros((0, 5), np.int64)]
        for number, combination in enumerate(self.combinations):
            count, start, to = self.lines_written(block, combination)
            if not len(start) or not count:
                continue
            if to_scratch:
                to = number * self.places + start
            lines = self.axes[-2].outputs(combination[-2], block.first[-2], block.count[-2])
            if by_channels:
                places, neighbours = np.ones_like(start), np.full_like(start, count)
            elif self.along:
                whole, rest = count // self.width, count % self.width
                start = np.concatenate([start, start + whole * self.width])
                to = np.concatenate([to, to + whole * self.width])
                places = np.repeat([self.width, rest], len(start) // 2)
                neighbours = np.repeat([whole, 1], len(start) // 2)
                there = (places > 0) & (neighbours > 0)
                start, to, places, neighbours = (part[there] for part in (start, to, places, neighbours))
            else:
                start, to = start[::lines], to[::lines]
                places, neighbours = np.full_like(start, count), np.full_like(start, lines)
            numbers = np.full_like(start, number)
            found.append(np.stack([start * self.unit, to, places, neighbours, numbers], axis=1))
        return np.concatenate(found)

    def stores_of_both(self, block: Block) -> Table:
        """As :meth:`stores`, for two phases of the last axis: where the first's lie, and outputs of both."""
        found = [np.zeros((0, 3), np.int64)]
        last = self.axes[-1]
        for number, combination in enumerate(self.combinations):
            if combination[-1]:
                continue
            count, start, to = self.lines_written(block, combination)
            count += last.outputs(1, block.first[-1], block.count[-1])
            found.append(np.stack([number * self.places + start, to, np.full_like(start, count)], axis=1))
        return np.concatenate(found)

    def lines_through(self, block: Block) -> Table:
        """The runs over all lines of a block and what lies between them: where each begins, its places."""
        starts = self._places(block.count[:-2]).ravel()
        count = (block.count[-2] - 1) * self.steps[-2] + block.count[-1]
        return np.stack([starts, np.full_like(starts, count)], axis=1)

    def written(self, block: Block) -> Table:
        """Each line of outputs without phases: its packed place, and where it is written."""
        _, start, to = self.lines_written(block, self.combinations[0])
        return np.stack([start, to], axis=1)

    def stores(self, block: Block) -> Table:
        """After runs through: for each line and phase, where it lies, where it goes, and how many outputs."""
        found = [np.zeros((0, 3), np.int64)]
        for number, combination in enumerate(self.combinations):
            count, start, to = self.lines_written(block, combination)
            found.append(np.stack([number * self.places + start, to, np.full_like(start, count)], axis=1))
        return np.concatenate(found)

    def lines_written(self, block: Block, combination: tuple[int, ...]) -> tuple[int, Table, Table]:
        """How many outputs a line has; for each line, its packed place and where it is written."""
        last = self.axes[-1]
        count = last.outputs(combination[-1], block.first[-1], block.count[-1])
        counts = [
            axis.outputs(phase, first, size) if count else 0
            for axis, phase, first, size in zip(
                self.axes[:-1], combination, block.first, block.count, strict=False
            )
        ]
        to = np.full(
            (1,) * len(counts), (block.first[-1] * last.out_step + combination[-1]) * self.y_steps[-1]
        )
        for one, size in enumerate(counts):
            axis = self.axes[one]
            outputs = (block.first[one] + np.arange(size)) * axis.out_step + combination[one]
            to = to + (outputs * self.y_steps[one]).reshape(self._along(one, size))
        return count, self._places(counts).ravel(), to.ravel()

    def _places(self, counts: Sequence[int]) -> Table:
        """The packed places of the first ``counts`` on the first axes."""
        found = np.zeros((1,) * len(counts), np.int64)
        for one, count in enumerate(counts):
            shape = [1] * len(counts)
            shape[one] = count
            found = found + (np.arange(count) * self.steps[one]).reshape(shape)
        return found

    def _along(self, one: int, count: int) -> tuple[int, ...]:
        """The shape of numbers along one of the axes but the last."""
        return tuple(count if axis == one else 1 for axis in range(len(self.axes) - 1))


def _adjacent(axis: Axis) -> bool:
    """Whether taps of the same phases have shifts that follow each other."""
    by_phase: dict[tuple[int, int], list[int]] = {}
    for tap in axis.taps:
        by_phase.setdefault((tap.out_phase, tap.in_phase), []).append(tap.shift)
    return all(sorted(shifts) == list(range(min(shifts), max(shifts) + 1)) for shifts in by_phase.values())
