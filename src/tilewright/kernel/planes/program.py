"""A window operation over few channels as a program: blocks, tables and functions chosen once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.kernel.planes import beside_program, driver, pack, put, taps, turn
from tilewright.kernel.planes.axes import NONE, Axis, axes_of, block_of
from tilewright.kernel.planes.layout import Layout
from tilewright.kernel.planes.problem import CACHE_LINE, PAST_BYTES, UNITS, WORK, Problem, Steps, without_gaps
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Words, addresses_of, words_of
from tilewright.kernel.tiles.sizes import up
from tilewright.plan.target import Target, host

Array = npt.NDArray[Any]
Table = npt.NDArray[Any]

# A packed block, at most: with its sums it stays in a second-level cache of 1 MiB, beside what is being read
# and written. (512 KiB, as some cores have, hold it too. 1080×5760 numbers, 3×3 taps, one core, in blocks of
# 128, 256 and 384 KiB of whole lines: 4.1, 2.9 and 2.8 ms; with 32 vectors of a line in a block 3.9 ms.)
PACKED_BYTES = 384 << 10
# Vectors of a line in a block, if it has so many: at least as :mod:`tilewright.plan.planes` counts on, and
# better so many that padding and halves of vectors are little of it; of planes up to LONG_LINE, for memory is
# read fastest as it lies.
LINE_VECTORS, LONG_LINE = (4, 32), 512
# For a line of padding above and below, so many lines of a block, at least, before lines get longer.
_LINES_A_REACH = 3
# Where channels lie innermost, a block is read for many of them before the next, if it comes from memory and
# not from a cache: most of a second-level cache of 1 MiB, of blocks of so many places. (8×144×56×56 and the
# like, one core: 1.3 to 2.3 times as fast as plane by plane; of arrays of 2.4 MB, 0.8 times.)
TOGETHER_LEAST, TOGETHER_BYTES, TOGETHER_PLACES = 4 << 20, 768 << 10, 512


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem; without ``load`` nothing is compiled: it can be read, but not run."""
    target = target or host()
    if problem.finite:
        found = beside_program.program(problem, target, load)
        if found is not None:
            return found
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    by_channels = problem.by_channels or problem.turned
    unit = width if by_channels else 1
    axes = axes_of(dims, flipped=problem.backwards)
    x_steps, y_steps = problem.x_steps[2:], problem.y_steps[2:]
    if len(axes) < 2:
        axes, x_steps, y_steps = [NONE, *axes], (0, *x_steps), (0, *y_steps)
    if problem.turned:
        # Outputs are computed in scratch, pixels as they lie in the plane.
        y_steps = tuple(width * step for step in without_gaps([axis.written for axis in axes]))
    inputs, outputs = dims.in_channels // dims.groups, dims.out_channels // dims.groups
    at_once = min(outputs, taps.MOST_OUTPUTS)
    # Outputs of a line that don't follow each other in memory are computed in scratch first.
    through = not by_channels and axes[-1].out_step * y_steps[-1] != 1
    past = problem.aligned and not problem.turned and _past(problem, axes, y_steps, target)
    # Elements of a place: in each phase of what is read, and in each of what is written.
    each = math.prod(len(axis.in_phases) for axis in axes) * (1 if by_channels else inputs)
    if through:
        each += math.prod(axis.out_step for axis in axes) * at_once
    room = PACKED_BYTES // (itemsize * unit * each)
    groups = -(-dims.in_channels // width) if by_channels else dims.groups
    lying = problem.by_channels and not problem.turned
    together = together_of(dims, target.vector_bytes, groups) if lying else 1
    if together > 1:
        room = min(room, TOGETHER_BYTES // (target.vector_bytes * together))
    block = block_of(axes, room, *line_of(axes, room, width, unit), width if unit == 1 else 1)
    if problem.turned:
        block = tuple(axis.count for axis in axes)
    elif not by_channels:
        # Every block's lines begin with a whole vector, aligned if the first one's are.
        block = (*block[:-1], min(up(block[-1], width), axes[-1].count))
    # Neighbours beyond the last are not computed, but vectors reach beyond a line's last place.
    slack = 2 * width
    layout = Layout(axes, block, x_steps, y_steps, unit, width, slack, dims.padding_mode)
    both = through and axes[-1].out_step == 2 and y_steps[-1] == 1
    around = dims.padding_mode != ZEROS
    # -- tables
    tables = Tables("lines", "columns", "runs", "stores")
    for one in layout.blocks():
        if problem.turned:
            tables.add(
                lines=layout.pixels(),
                columns=None,
                runs=layout.runs(one, True, False),
                stores=np.zeros((math.prod(axis.written for axis in axes), 3)),
            )
            continue
        tables.add(
            lines=layout.lines(one),
            columns=np.concatenate([layout.columns(one), layout.ends(one)])
            if around
            else layout.columns(one),
            runs=layout.runs(one, by_channels, through),
            stores=layout.stores_of_both(one) if both else layout.stores(one) if through else None,
        )
    columns = Columns(layout, target, -1 if by_channels else -2)
    kernel_size = dims.taps

    def weight_of(channel: int, place: int) -> int:
        """Where a weight of a group is."""
        if by_channels:
            # They are turned to (taps, channels).
            return place * width
        # Forward they are (outputs, inputs, taps); what a gradient writes to is their second axis.
        return channel * (outputs if problem.backwards else 1) * kernel_size + place

    tap_table, segments = columns.tables(1 if by_channels else inputs, layout.channel, weight_of)
    # -- units
    planes = dims.batch * groups
    block_count = tables.count
    work = max(math.prod(block) * inputs * outputs * kernel_size * unit, 1)
    items = planes * block_count
    items_a_unit = max(min(WORK // work, items // UNITS), 1)
    units = -(-items // items_a_unit)
    # -- scratch
    packed = up((1 if by_channels else inputs) * layout.channel + slack, 64)
    sums_output = up(len(layout.combinations) * layout.places + slack, 16) if through else 0
    if problem.turned:
        sums_output = up(math.prod(axis.written for axis in axes) * width, 16)
    turned = kernel_size * width if by_channels else 0
    scratch = (packed + at_once * sums_output + turned) * itemsize
    # -- what is asked for ahead: all that the block reads, spread over what it computes
    read = math.prod(min(b * a.in_step, a.size) for b, a in zip(block, axes, strict=True))
    if by_channels and not problem.turned:
        ahead_each = 8 * read // math.prod(block)
    else:
        lines_of_cache = read * (inputs if block_count == 1 else 1) * problem.lying // CACHE_LINE
        ahead_each = 8 * lines_of_cache // (math.prod(block[:-1]) * -(-block[-1] // width)) + 1
    ahead_step = problem.x_steps[-1] * problem.lying if problem.by_channels else CACHE_LINE
    # -- functions
    x_step = axes[-1].in_step * x_steps[-1]
    schedule = "channels" if by_channels else {1: "one", 2: "two"}.get(x_step, "any")
    if schedule == "two" and phases_follow(layout):
        schedule = "both"
    put_step = axes[-1].out_step * y_steps[-1]
    if by_channels:
        x_next, to_next = unit, put_step
    elif layout.along:
        x_next = to_next = width
    else:
        x_next, to_next = layout.steps[-2], axes[-2].out_step * y_steps[-2]
        if through:
            to_next = x_next
    put_schedule = ("both_past" if past else "both") if both else "one" if put_step == 1 else "any"
    sums_past = past and not through
    if both:
        put_step = layout.places
    side, act, stored = ("channels", "pixels")[not by_channels], problem.activation, problem.stored
    written = "" if through or problem.turned else stored
    rest = outputs % at_once
    kernels: Kernels = {
        "driver": (driver.name(scalar, stored), lambda t: driver.emit(t, scalar, stored)),
        "pack": (
            pack.name(scalar, schedule, around, stored),
            lambda t: pack.emit(t, scalar, schedule, around, stored),
        ),
        "sum": (
            taps.name(scalar, side, at_once, columns.heights, act, sums_past, written),
            lambda t: taps.emit(t, scalar, side, at_once, columns.heights, act, sums_past, written),
        ),
    }
    if rest:
        kernels["sum_rest"] = (
            taps.name(scalar, side, rest, columns.heights, act, sums_past, written),
            lambda t: taps.emit(t, scalar, side, rest, columns.heights, act, sums_past, written),
        )
    if problem.turned:
        through = True
        kernels["pack"] = (turn.name(scalar, "in", stored), lambda t: turn.emit(t, scalar, "in", stored))
        kernels["put"] = (turn.name(scalar, "out", stored), lambda t: turn.emit(t, scalar, "out", stored))
        x_step, put_step = problem.x_steps[1], problem.y_steps[1]
    elif through:
        kernels["put"] = (
            put.name(scalar, put_schedule, stored),
            lambda t: put.emit(t, scalar, put_schedule, stored),
        )
    addresses = addresses_of(kernels, target, load)
    x_group, y_group = (
        (width * problem.x_steps[1], width * problem.y_steps[1])
        if by_channels
        else (inputs * problem.x_steps[1], outputs * problem.y_steps[1])
    )
    words: Words = {
        **tables.words(), "taps": table(tap_table), "segments": table(segments),
        "block_count": block_count, "items": items, "items_a_unit": items_a_unit, "groups": groups,
        "together": together,
        "inputs": 1 if by_channels else inputs, "outputs": outputs, "at_once": at_once,
        "x_sample": problem.x_steps[0], "x_group": x_group, "x_channel": problem.x_steps[1], "x_step": x_step,
        "y_sample": problem.y_steps[0], "y_group": y_group, "y_channel": problem.y_steps[1],
        "x_next": x_next, "to_next": to_next, "w_next": columns.following * (width if by_channels else 1),
        "w_group": (width if by_channels else outputs * inputs) * kernel_size,
        "w_output": kernel_size * (1 if problem.backwards else inputs),
        "bias_group": width if by_channels else outputs,
        "phases": len(axes[-1].in_phases), "phase": layout.phase * unit, "places": layout.extent[-1],
        "channel": layout.channel,
        "lanes": width, "lanes_last": dims.in_channels - (groups - 1) * width if by_channels else width,
        "turns": kernel_size if by_channels else 0, "turned": packed + at_once * sums_output,
        "samples": dims.batch,
        "sums": packed if through else 0, "sums_output": sums_output, "put_step": put_step,
        "ahead_each": ahead_each, "ahead_step": ahead_step, "clears": packed if problem.turned else 0,
        "fill": 0, "slope": int(np.float64(problem.slope).view(np.int64)),
        **addresses,
    }  # fmt: skip
    values, kept = words_of(driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels" if by_channels else "by_pixels",
        "vectors": taps.neighbours(target, at_once, max(columns.heights)),
        "scalars": at_once, "panel": width, "channels": inputs, "channel_block": inputs,
        "outputs": outputs, "output_block": at_once, "lines": axes[-2].count, "line_block": block[-2],
        "columns": axes[-1].count, "column_block": block[-1],
    }  # fmt: skip
    return Program(addresses["driver"], values, units, scratch, kept, kernels, driver.FIELDS, about)


def line_of(axes: Sequence[Axis], room: int, width: int, unit: int) -> tuple[int, int]:
    """Places of a line in a block: at least, and better, where so many are packed at a time.

    >>> from tilewright.kernel.planes.axes import axes_of
    >>> picture = axes_of(ConvDims.of((1, 1, 1080, 5760), (1, 1, 3, 3), padding=1))
    >>> line_of(picture, 98304, 16, 1), line_of(picture[1:], 98304, 16, 1)
    ((64, 8192), (64, 512))
    """
    least, good = (count * width // unit for count in LINE_VECTORS)
    if unit == 1 and any(axis.count > 1 for axis in axes[:-1]):
        reach = max(axis.reach for axis in axes[:-1])
        good = max(good, min(LONG_LINE * width, room // (1 + (1 + _LINES_A_REACH) * reach)))
    return least, good


def together_of(dims: ConvDims, vector_bytes: int, groups: int) -> int:
    """How many vectors of channels that lie side by side are done one after the other, block by block.

    Many, where the array is read from memory: a plane of one vector's channels would be a line of cache here
    and there, for each vector anew. In a cache that is no matter, and weights are turned less often. Blocks
    must not become too small for that, and the number divides that of all vectors.
    """
    if dims.batch * groups * math.prod(dims.spatial) * vector_bytes < TOGETHER_LEAST:
        return 1
    most = TOGETHER_BYTES // (vector_bytes * TOGETHER_PLACES)
    return max(n for n in range(1, min(groups, max(most, 1)) + 1) if groups % n == 0)


def _past(problem: Problem, axes: list[Axis], y_steps: Steps, target: Target) -> bool:
    """Whether outputs are many, and written in whole aligned vectors."""
    dims, itemsize = problem.dims, np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    strides = [problem.y_steps[0], problem.y_steps[1], *y_steps]
    # Where neighbouring vectors are channels, those are one and the same vector's.
    inner = 1 if problem.by_channels else len(strides) - 1
    return (
        # Halves of a vector of channels are half a line of cache, and the next of it is written much later.
        not (problem.stored and problem.by_channels)
        and dims.batch * dims.out_channels * math.prod(axis.written for axis in axes) * problem.lying
        >= PAST_BYTES
        and strides[inner] == 1
        and axes[-1].out_step in ((1,) if problem.by_channels else (1, 2))
        and all(step % width == 0 for number, step in enumerate(strides) if number != inner)
    )


def phases_follow(layout: Layout) -> bool:
    """Whether the last axis has two phases, of which the second's samples lie right behind the first's."""
    if len(layout.axes[-1].in_phases) != 2:
        return False
    columns = np.concatenate([layout.columns(one) for one in layout.blocks()])
    low, high, start = columns.reshape(-1, 2, 3).transpose(2, 0, 1)
    begins = start - 2 * low
    return bool((high > low).all() and (begins[:, 1] == begins[:, 0] + 1).all())


def packed_places(form: ConvDims) -> int:
    """Places of a whole plane, packed."""
    axes = axes_of(form)
    return math.prod(len(axis.in_phases) * (axis.count + axis.reach) for axis in axes)


class Columns:
    """The taps of all combinations of phases in columns, taken apart into pieces of two heights.

    Attributes:
        heights: of the pieces.
        following: from one tap of a piece to the next, in the kernel.
    """

    def __init__(self, layout: Layout, target: Target, direction: int) -> None:
        found = [layout.columns_of(combination, direction) for combination in layout.combinations]
        steps = {
            after[1] - before[1]
            for columns in found
            for column in columns
            for before, after in pairwise(column)
        }
        if layout.along or len(steps) > 1:
            # Neighbours are no lines then, or taps that follow each other don't do so evenly in the kernel.
            found = [[[tap] for column in columns for tap in column] for columns in found]
            steps = set()
        self.following = steps.pop() if steps else 0
        self.heights = taps.heights_of(target, [len(column) for columns in found for column in columns])
        high, low = self.heights
        # Of each piece, its first tap: those of the first height, and those of the second.
        self._pieces = [
            (
                [column[i] for column in columns for i in range(0, len(column) // high * high, high)],
                [column[-low] for column in columns if len(column) % high],
            )
            for columns in found
        ]

    def tables(
        self, channels: int, channel_size: int, weight_of: Callable[[int, int], int]
    ) -> tuple[list[int], list[int]]:
        """The pieces' offsets into what is packed and into the weights, and each combination's share of them.

        A share is its first piece and how many there are of either height.
        """
        offsets: list[int] = []
        shares: list[int] = []
        for pieces in self._pieces:
            shares += (len(offsets) // 2, *(len(some) * channels for some in pieces))
            for some in pieces:
                for channel in range(channels):
                    for offset, place in some:
                        offsets += (channel * channel_size + offset, weight_of(channel, place))
        return offsets, shares


class Tables:
    """Tables of all blocks, end to end, and one that says for each block where its entries are.

    That one has two words for each table and block: the first entry, and how many there are.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self._parts: dict[str, list[Table]] = {name: [] for name in names}
        self._lengths = dict.fromkeys(names, 0)
        self._blocks: list[int] = []
        self.count = 0

    def add(self, **parts: Table | None) -> None:
        """The entries of the next block."""
        for name in self.names:
            part = parts[name]
            length = 0 if part is None else len(part)
            self._blocks += (self._lengths[name], length)
            if part is not None:
                self._parts[name].append(part)
                self._lengths[name] += length
        self.count += 1

    def words(self) -> dict[str, Table]:
        """The tables by name, and "blocks"."""
        found = {
            name: np.concatenate(parts).astype(np.int64, copy=False) if parts else np.zeros(1, np.int64)
            for name, parts in self._parts.items()
        }
        return {"blocks": table(self._blocks), **found}


def table(numbers: list[int]) -> npt.NDArray[np.int64]:
    """Words whose address a driver is given: never none."""
    return np.array(numbers or [0], np.int64)
