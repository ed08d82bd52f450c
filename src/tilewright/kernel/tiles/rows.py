"""A convolution as rows: what each output row reads, as tables that a driver walks.

Any geometry (rank, stride, dilation, input dilation, asymmetric padding, cropping) is brought to one form.
The last axis is the *row*; the axis before it is the *line* axis; all further axes together are the *lead*.

- lead: for each output place, a list of (tap, place in the input);
- line: for each output line, a list of (tap, input line);
- row: outputs fall into phases, o = first + step·q; within a phase each tap reads column a·q + b.

Only places inside the input are listed, so padding beside lines and leads costs nothing. A row is packed
with the zeros of its padding, its columns sorted by their remainder modulo a: then every tap of every phase
reads consecutive numbers, whatever the stride.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims

Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """One spatial axis: sizes and steps; o reads j where o·stride + t·dilation − before = spread·j."""

    size: int
    output: int
    kernel: int
    stride: int
    dilation: int
    spread: int
    before: int

    def reads(self, o: int) -> list[tuple[int, int]]:
        """(tap, input place) of output ``o``, taps ascending, places inside the input only."""
        found = []
        for tap in range(self.kernel):
            place, rest = divmod(o * self.stride + tap * self.dilation - self.before, self.spread)
            if rest == 0 and 0 <= place < self.size:
                found.append((tap, place))
        return found


def axes_of(dims: ConvDims) -> list[Axis]:
    """The spatial axes of a geometry."""
    return [
        Axis(n, o, k, s, d, e, before)
        for n, o, k, s, d, e, (before, _) in zip(
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


@dataclass(frozen=True)
class Phase:
    """Outputs first, first + step, … of a row, ``count`` of them; taps as (tap, stretch, position)."""

    first: int
    count: int
    taps: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Row:
    """How rows are packed and read.

    Attributes:
        step: distance between outputs of one phase.
        phases: the phases.
        every: a, the distance between columns that neighbouring outputs of a phase read.
        remainders: per packed stretch: (first, end, column): positions first…end−1 hold the columns
            column + every·position; the others are zeros.
        reach: packed positions beyond the outputs' own number that a tap may read.
    """

    step: int
    phases: tuple[Phase, ...]
    every: int
    remainders: tuple[tuple[int, int, int], ...]
    reach: int


def row_of(axis: Axis) -> Row:
    """The packing of a row: each tap of each phase reads one stretch, from one position on."""
    common = math.gcd(axis.stride, axis.spread)
    step, every = axis.spread // common, axis.stride // common
    seen: list[tuple[int, int, list[tuple[int, int]]]] = []
    for first in range(min(step, axis.output)):
        starts = []
        for tap in range(axis.kernel):
            start, rest = divmod(first * axis.stride + tap * axis.dilation - axis.before, axis.spread)
            if rest == 0:
                starts.append((tap, start))
        seen.append((first, -(-(axis.output - first) // step), starts))
    places = [divmod(start, every) for _, _, starts in seen for _, start in starts] or [(0, 0)]
    lowest = min(place for place, _ in places)
    reach = max(place for place, _ in places) - lowest
    stretches = sorted({rest for _, rest in places})
    longest = max(count for _, count, _ in seen) + reach
    remainders = []
    for rest in stretches:
        column = every * lowest + rest
        first = min(max(-(column // every), 0), longest)
        end = min(max((axis.size - 1 - column) // every + 1, first), longest)
        remainders.append((first, end, column))
    phases = tuple(
        Phase(
            first,
            count,
            tuple((tap, stretches.index(start % every), start // every - lowest) for tap, start in starts),
        )
        for first, count, starts in seen
    )
    return Row(step, phases, every, tuple(remainders), reach)


@dataclass(frozen=True)
class Lines:
    """The line axis in blocks of output lines, each with the input lines that it reads.

    Attributes:
        block: output lines in a block (fewer in the last).
        blocks: per block: (first output line, end, first of its ``read``, how many).
        read: input lines, block after block.
        starts: per output line, where its entries start; one more at the end.
        entries: (tap, number of the input line among those of its block).
        slots: the same as a table: per output line and tap that number, or −1 outside the input.
        room: the most input lines of a block.
    """

    block: int
    blocks: Table
    read: Table
    starts: Table
    entries: Table
    slots: Table
    room: int


def lines_of(axis: Axis, block: int) -> Lines:
    """The line axis, ``block`` output lines at a time."""
    blocks: list[tuple[int, int, int, int]] = []
    read: list[int] = []
    starts, entries = [0], []
    slots = np.full((axis.output, axis.kernel), -1, np.int64)
    for first in range(0, axis.output, block):
        end = min(first + block, axis.output)
        reads = [axis.reads(o) for o in range(first, end)]
        lines = sorted({place for found in reads for _, place in found})
        slot_of = {place: slot for slot, place in enumerate(lines)}
        for o, found in zip(range(first, end), reads, strict=True):
            for tap, place in found:
                entries.append((tap, slot_of[place]))
                slots[o, tap] = slot_of[place]
            starts.append(len(entries))
        blocks.append((first, end, len(read), len(lines)))
        read += lines
    table = np.array(blocks, dtype=np.int64).reshape(-1, 4)
    return Lines(
        block,
        table,
        # One more: the weight gradient reads the first line of every block, also of a block that has none.
        np.array([*read, 0], dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.array(entries, dtype=np.int64).reshape(-1, 2),
        slots,
        max(int(table[:, 3].max(initial=0)), 1),
    )


def lines_read(axis: Axis, block: int) -> int:
    """How many input lines ``block`` neighbouring output lines read, at most."""
    places = np.add.outer(np.arange(block) * axis.stride, np.arange(axis.kernel) * axis.dilation)
    # With zeros between samples only places of one remainder hold any: that of the fullest counts.
    counts = np.bincount(np.unique(places) % axis.spread)
    return max(min(int(counts.max()), axis.size), 1)


def longest_block(axis: Axis, most_lines: int, most_read: int) -> int:
    """The most output lines, at least one, of which at most so many and at most so many input lines."""
    low, high = 1, max(min(axis.output, most_lines), 1)
    while low < high:
        middle = (low + high + 1) // 2
        if lines_read(axis, middle) <= most_read:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True)
class Leads:
    """The lead places: CSR lists of (tap, offset in x), and the offset of each in y."""

    starts: Table
    entries: Table
    outputs: Table
    most: int


def leads_of(axes: list[Axis], x_strides: tuple[int, ...], y_strides: tuple[int, ...]) -> Leads:
    """The lead axes together: taps counted row by row, offsets in elements."""
    reads = [[axis.reads(o) for o in range(axis.output)] for axis in axes]
    starts, entries, outputs = [0], [], []
    for place in product(*(range(axis.output) for axis in axes)):
        for chosen in product(*(reads[i][o] for i, o in enumerate(place))):
            tap, offset = 0, 0
            for (t, j), axis, stride in zip(chosen, axes, x_strides, strict=True):
                tap = tap * axis.kernel + t
                offset += j * stride
            entries.append((tap, offset))
        starts.append(len(entries))
        outputs.append(sum(o * stride for o, stride in zip(place, y_strides, strict=True)))
    table = np.array(entries, dtype=np.int64).reshape(-1, 2)
    starts_table = np.array(starts, dtype=np.int64)
    most = max(int(np.diff(starts_table).max(initial=0)), 1)
    return Leads(starts_table, table, np.array(outputs, dtype=np.int64), most)
