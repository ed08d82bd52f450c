"""A convolution as a program: tables, blocks and functions chosen once, then run on arrays by one call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.tiles import driver, micro, pack_rows, pack_weights, store
from tilewright.kernel.tiles.blocks import Work, blocks_of
from tilewright.kernel.tiles.fields import Fields
from tilewright.kernel.tiles.rows import (
    Axis,
    Row,
    axes_of,
    leads_of,
    lines_read,
    row_of,
)
from tilewright.kernel.tiles.sizes import even, up
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

Array = npt.NDArray[Any]
Steps = tuple[int, ...]
Table = npt.NDArray[np.int64]
Words = dict[str, int | Table]
#: Functions of a program by what they are for, each as its name and what emits it; "driver" calls the others.
Kernels = dict[str, tuple[str, jit.Emit]]

# With so few outputs a number read from memory takes longer than its multiply-adds. Then only so many
# channels at a time are read where they lie, along a whole block of columns: streams that a processor follows
# by itself. 64→2 outputs at 388×388, by channels at a time: 64: 12.7 ms, 16: 10.4, 8: 9.2, 4: 8.5.
_MEMORY_BOUND, _STREAMS = 8, 8
SCALARS = {"float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Shared:
    """Weights that are packed before the units begin, for all of them, a range of output channels at a time.

    Attributes:
        size: bytes of a range's packed weights.
        units: units of packing.
        range_outputs: output channels of a range.
        outputs: output channels of a group.
    """

    size: int
    units: int
    range_outputs: int
    outputs: int


@dataclass
class Program:
    """A compiled function, its table of arguments, and what the table points to.

    Attributes:
        function: the driver's address; 0 if the program is only to be read.
        words: the driver's table.
        units: how many units of work there are.
        scratch_bytes: what a unit needs of temporary memory.
        kept: the arrays that the table points to.
        kernels: the driver, and what it calls.
        fields: the names of the table's words.
        about: by name, the tile, the sizes of the problem (a group's channels), and the blocks of them that
            are done at a time.
        shared: of packed weights that all units read.
        finite: it may run only with finite weights: products with the zeros of padding are left out.
    """

    function: int
    words: Table
    units: int
    scratch_bytes: int
    kept: tuple[Table, ...]
    kernels: Kernels
    fields: Fields
    about: dict[str, int | str]
    shared: Shared | None = None
    finite: bool = False

    def run(self, x: int, w: int, bias: int, y: int) -> None:
        """Run on arrays at these addresses, laid out as the program was made for."""
        words = self.words.copy()
        words[0], words[1], words[2], words[3] = x, w, bias, y
        shared = self.shared
        if shared is None:
            threads.run(self.function, self.units, address(words), self.scratch_bytes)
            return
        # In the pool's memory, which begins at a cache line; smaller arrays do not.
        packed = buffers.empty(max(shared.size, buffers.LARGE), np.uint8)
        place = self.fields.place
        words[place["shared"]] = address(packed)
        for first in range(0, shared.outputs, shared.range_outputs):
            words[place["first_shared"]], words[place["packing"]] = first, 1
            threads.run(self.function, shared.units, address(words), self.scratch_bytes)
            words[place["packing"]] = 0
            threads.run(self.function, self.units, address(words), self.scratch_bytes)


@dataclass(frozen=True)
class Problem:
    """What is convolved: a geometry in forward form, steps of the arrays in elements, and how weights lie.

    It is computed in ``dtype``; all arrays but the bias may be halves, ``stored`` says of which kind.
    """

    dims: ConvDims
    dtype: str
    x_steps: Steps
    y_steps: Steps
    backwards: bool
    side: str | None = None
    activation: str = "none"
    slope: float = 0.0
    stored: str = ""


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem.

    Without ``load`` nothing is compiled: it can be read, for any target, but not run.
    """
    return _Maker(problem, target or host()).make(load)


class _Maker:
    def __init__(self, problem: Problem, target: Target) -> None:
        self.problem, self.target = problem, target
        self.dims = problem.dims
        self.scalar = SCALARS[problem.dtype]
        self.itemsize = np.dtype(problem.dtype).itemsize
        self.width = target.vector_bytes // self.itemsize
        self.words: Words = {}

    def make(self, load: bool) -> Program:
        dims, words = self.dims, self.words
        axes, x_steps, y_steps = spatial(dims, self.problem.x_steps[2:], self.problem.y_steps[2:])
        while len(axes) < 2:
            axes, x_steps, y_steps = [ONE, *axes], (0, *x_steps), (0, *y_steps)
        if self.problem.side != "by_pixels" and on_end(axes, dims.reduction // self.width):
            axes, x_steps, y_steps = exchanged(axes, x_steps, y_steps)
        *lead_axes, line, last = axes
        row = row_of(last)
        self.row, self.line, self.last = row, line, last
        outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
        counts = [phase.count for phase in row.phases]
        taps = math.prod(axis.kernel for axis in axes)
        x_column, y_column = x_steps[-1], y_steps[-1] * row.step
        layout = "channels" if self.problem.y_steps[1] == 1 and outputs > 1 else "any"
        if y_column in (1, 2):
            layout = "columns" if y_column == 1 else "columns2"
        self.tile = tiles.tile_for(
            self.target,
            self.width,
            outputs,
            max(counts),
            channels * taps // row.step,
            layout,
            self.problem.side,
        )
        pixels, panel = self.tile.pixels(self.width), self.tile.panel(self.width)
        by_channels = self.tile.side == "by_channels"
        # Where each output reads one place, lines are not packed, as long as no tile reaches beyond.
        self.x_pixel = x_column * row.every
        alone = all(_alone(axis) for axis in axes) and min(counts) >= pixels and self._reaches()
        # Halves are widened as they are packed, or a vector at a time; scalars would be one by one.
        by_vectors = self.tile.side == "by_pixels" and self.x_pixel == 1
        self.in_place = alone and (by_vectors or not self.problem.stored)
        # -- input channels at a time
        read = math.prod(axis.kernel for axis in axes[:-1])
        most = max(tiles.WINDOW_LINES // read, 1)
        most = min(most, max(tiles.WEIGHTS_BYTES // (taps * panel * self.itemsize), 1))
        if alone and outputs <= min(panel, _MEMORY_BOUND):
            most = min(most, _STREAMS)
        channel_block = even(channels, most)
        # -- tables
        leads = leads_of(lead_axes, x_steps[:-2], y_steps[:-2])
        # -- blocks of columns, lines, samples
        span = lines_read(line, 1)
        longest = max(counts)
        column_block = longest
        budget = tiles.PACKED_BYTES // self.itemsize
        if self.in_place and outputs <= panel:
            # Nothing is read a second time, so it needn't stay in a cache; and where a unit begins, nobody
            # has asked for its first tile.
            share = dims.batch * math.prod(axis.output for axis in axes) // tiles.UNITS
            budget = max(budget, channel_block * self._pitch(share))
        while True:
            length = up(column_block + (pixels if column_block < longest else 0) + row.reach, self.width)
            if column_block == longest:
                # A tile longer than a row reads on.
                length = up(max(length, pixels + row.reach), self.width)
            pitch = self._pitch(length * len(row.remainders))
            per_line = leads.most * channel_block * pitch
            if per_line * span <= budget or column_block <= pixels:
                break
            column_block = max(up(column_block // 2, pixels), pixels)
        if per_line * span > budget:
            # Many taps far apart: fewer channels at a time.
            channel_block = even(channels, max(budget // (leads.most * pitch * span), 1))
            per_line = leads.most * channel_block * pitch
        # -- blocks of lines, samples and output channels
        work = Work(
            dims, self.itemsize, line, (len(leads.outputs), leads.most), counts,
            sum(1 for phase in row.phases if phase.taps), column_block, pixels, panel, channel_block,
            per_line, self.in_place,
        )  # fmt: skip
        blocks = blocks_of(work)
        lines, batch_block, output_block = blocks.lines, blocks.batch_block, blocks.output_block
        # -- scratch
        packed = 0 if self.in_place else batch_block * leads.most * lines.room * channel_block * pitch
        weights_at = up(packed + 2 * pixels + 4 * self.width, 16)
        sums_at = up(weights_at + taps * channel_block * panel, 16)
        list_at = up(sums_at + blocks.tiles_held * pixels * panel, 16)
        scratch = list_at * self.itemsize + 16 * (taps + 1)
        # -- words
        row_entries: list[tuple[int, int]] = []
        phases = []
        together = _together(row) if channels == 1 else 1
        for phase in row.phases:
            start = len(row_entries)
            listed = phase.taps[:1] if together > 1 else phase.taps
            row_entries += [(tap, stretch * length + place) for tap, stretch, place in listed]
            phases.append((phase.first, phase.count, start, len(row_entries)))
        steps = self.problem
        factor_step = row.phases[0].taps[1][2] if together > 1 else pitch
        if self.in_place:
            factor_step = steps.x_steps[1]
        w_steps = weight_steps(dims, self.problem.backwards, taps)
        kernels = self._kernels(by_channels, pixels, layout, x_column)
        addresses = addresses_of(kernels, self.target, load)
        words |= addresses
        words |= {
            "channels": channels, "outputs": outputs, "batch": dims.batch, "taps": taps,
            "line_taps": line.kernel, "row_taps": last.kernel,
            "x_group": channels * steps.x_steps[1], "x_batch": steps.x_steps[0],
            "x_channel": steps.x_steps[1], "x_line": x_steps[-2], "x_column": x_column,
            "y_group": outputs * steps.y_steps[1], "y_batch": steps.y_steps[0],
            "y_channel": steps.y_steps[1], "y_line": y_steps[-2], "y_column": y_steps[-1],
            **w_steps,
            "lead_starts": leads.starts, "lead_entries": leads.entries, "lead_outputs": leads.outputs,
            "line_starts": lines.starts, "line_entries": lines.entries, "lines_read": lines.read,
            "phases": table(phases), "phase_count": len(phases), "row_step": row.step,
            "row_entries": table(row_entries), "remainders": table(row.remainders),
            "remainder_count": len(row.remainders),
            "every": row.every, "length": length, "pitch": 0 if self.in_place else pitch,
            "together": together, "factor_step": factor_step,
            "channel_block": channel_block, "output_block": output_block, "batch_block": batch_block,
            "column_block": column_block, "output_blocks": blocks.output_blocks, "groups": dims.groups,
            "batch_blocks": -(-dims.batch // batch_block), "leads": len(leads.outputs),
            "line_blocks": lines.blocks, "line_block_count": len(lines.blocks),
            "column_blocks": -(-longest // column_block),
            "tile": pixels, "panel": panel, "tiles_held": blocks.tiles_held, "lowest_count": min(counts),
            "blank": self._blank(y_steps[-1], -(-longest // column_block), lines.starts),
            "lead_room": leads.most, "line_room": lines.room,
            "in_place": int(self.in_place), "x_pixel": self.x_pixel,
            "line_step": line.stride * x_steps[-2],
            "ahead": self._ahead(pixels) if self.x_pixel == 1 else self.x_pixel,
            "shared_outputs": blocks.range_outputs,
            "weights_at": weights_at, "sums_at": sums_at, "list_at": list_at,
            "slope": int(np.float64(self.problem.slope).view(np.int64)),
        }  # fmt: skip
        values, kept = words_of(driver.FIELDS, words)
        about: dict[str, int | str] = {
            "side": self.tile.side, "vectors": self.tile.vectors, "scalars": self.tile.scalars,
            "pixels": pixels, "panel": panel, "channels": channels, "channel_block": channel_block,
            "outputs": outputs, "output_block": output_block, "batch": dims.batch, "batch_block": batch_block,
            "lines": line.output, "line_block": lines.block, "columns": longest, "column_block": column_block,
        }  # fmt: skip
        shared = None
        if blocks.shared:
            panels = -(-blocks.range_outputs // panel)
            shared = Shared(blocks.shared, dims.groups * panels, blocks.range_outputs, outputs)
        return Program(
            addresses["driver"], values, blocks.units, scratch, kept, kernels, driver.FIELDS, about, shared
        )

    def _reaches(self) -> bool:
        """Whether there is a micro-kernel that reads the pixels of a tile where they lie in x."""
        if self.x_pixel == 1:
            return True
        # Those that lie apart, as scalars; shorter tiles would each need a micro-kernel of their own.
        longest = tiles.most_scalars(self.target, self.tile.vectors)
        return self.tile.side == "by_channels" and self.tile.scalars == longest

    def _ahead(self, pixels: int) -> int:
        """From a tile's first number to the first that is asked for: the last line is that of the next's end.

        Tiles follow each other along the row, so what the next reads before that was asked for before.
        """
        line = 64 // (2 if self.problem.stored else self.itemsize)
        return 2 * pixels - 1 - (-(-pixels // line) - 1) * line

    def _blank(self, y_column: int, column_blocks: int, line_starts: Table) -> int:
        """The columns of a line, if lines are to be written as zeros first because some outputs read nothing.

        A block must have whole lines, of which the columns or the channels are consecutive.
        """
        nothing_read = any(not phase.taps for phase in self.row.phases) or bool(
            np.any(np.diff(line_starts) == 0)
        )
        consecutive = y_column == 1 or self.problem.y_steps[1] == 1
        usable = nothing_read and consecutive and column_blocks == 1 and self.problem.activation == "none"
        return self.last.output if usable else 0

    def _pitch(self, length: int) -> int:
        """An odd number of cache lines: channels then spread over all sets of a cache."""
        line = 64 // self.itemsize
        lines = -(-length // line)
        return (lines if lines % 2 else lines + 1) * line

    def _kernels(self, by_channels: bool, pixels: int, layout: str, x_column: int) -> Kernels:
        scalar, tile = self.scalar, self.tile
        panel = tile.panel(self.width)
        vectors, scalars = (tile.vectors, pixels) if by_channels else (tile.vectors, tile.scalars)
        every = self.row.every
        packing = "any"
        if x_column == 1 and every in (1, 2):
            packing = f"columns{every}"
        elif self.problem.x_steps[1] == 1:
            packing = "channels"
        weights = "any"
        if by_channels:
            taps = math.prod(self.dims.kernel)
            if not self.problem.backwards:
                weights = "flat"
            elif taps == 1:
                weights = "lanes"
            elif taps >= 16 // self.itemsize:
                weights = "taps"
        if layout == "channels":
            storing = "along" if by_channels else "any"
        else:
            storing = {"columns": "along", "columns2": "along2", "any": "any"}[layout]
            if by_channels:
                storing = storing.replace("along", "across")
        side, act, stored = tile.side, self.problem.activation, self.problem.stored
        apart = self.in_place and self.x_pixel != 1
        soon = ("scalars" if by_channels else "vectors") if self.in_place and not apart else ""
        lying = stored if self.in_place else ""
        return {
            "driver": (driver.name(scalar, side, stored), lambda t: driver.emit(t, scalar, side, stored)),
            "micro": (
                micro.name(scalar, vectors, scalars, apart=apart, soon=soon, stored=lying),
                lambda t: micro.emit(t, scalar, vectors, scalars, apart=apart, soon=soon, stored=lying),
            ),
            "pack_rows": (
                pack_rows.name(scalar, packing, stored),
                lambda t: pack_rows.emit(t, scalar, packing, driver.FIELDS, stored),
            ),
            "pack_weights": (
                pack_weights.name(scalar, weights, panel, stored),
                lambda t: pack_weights.emit(t, scalar, weights, panel, driver.FIELDS, stored),
            ),
            "store": (
                store.name(scalar, side, storing, act, vectors, stored),
                lambda t: store.emit(t, scalar, side, storing, act, vectors, stored),
            ),
        }


def _together(row: Row) -> int:
    """How many taps of a row follow each other evenly, which one call can sum over instead of channels.

    With a single channel a list of taps would give the micro-kernel one product after the other.
    """
    if len(row.phases) > 1 or len(row.phases[0].taps) < 2:
        return 1
    taps = row.phases[0].taps
    step = taps[1][2] - taps[0][2]
    even_taps = all(tap == (i, 0, taps[0][2] + i * step) for i, tap in enumerate(taps))
    return len(taps) if even_taps and step > 0 and taps[0][2] == 0 else 1


ONE = Axis(1, 1, 1, 1, 1, 1, 0)


def spatial(dims: ConvDims, x_steps: Steps, y_steps: Steps) -> tuple[list[Axis], Steps, Steps]:
    """The spatial axes and the arrays' steps along them; axes without a window merge where memory allows."""
    axes = axes_of(dims)
    found: list[tuple[Axis, int, int]] = []
    for axis, x_step, y_step in zip(axes, x_steps, y_steps, strict=True):
        if _plain(axis) and axis.size == 1 and len(axes) > 1:
            continue  # nothing happens along it
        if found and _plain(axis) and _plain(found[-1][0]):
            before, x_before, y_before = found[-1]
            if x_before == x_step * axis.size and y_before == y_step * axis.output:
                size = before.size * axis.size
                found[-1] = (Axis(size, size, 1, 1, 1, 1, 0), x_step, y_step)
                continue
        found.append((axis, x_step, y_step))
    found = found or [(axes[-1], x_steps[-1], y_steps[-1])]
    return [a for a, _, _ in found], tuple(x for _, x, _ in found), tuple(y for _, _, y in found)


def weight_steps(dims: ConvDims, backwards: bool, taps: int) -> dict[str, int]:
    """How weights lie in memory, for a geometry in forward form; ``backwards``: of a data gradient."""
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    if not backwards:
        return {
            "w_group": outputs * channels * taps,
            "w_output": channels * taps,
            "w_channel": taps,
            "w_tap": 1,
            "w_first": 0,
        }
    # The geometry's channels are the outputs of the weights, and taps run backwards.
    return {
        "w_group": outputs * channels * taps,
        "w_output": taps,
        "w_channel": outputs * taps,
        "w_tap": -1,
        "w_first": taps - 1,
    }


def _plain(axis: Axis) -> bool:
    return axis.kernel == axis.stride == axis.spread == 1 and axis.before == 0 and axis.size == axis.output


def _alone(axis: Axis) -> bool:
    """Whether each output reads one place, and none reads padding."""
    return (
        axis.kernel == axis.spread == 1 and axis.before == 0 and (axis.output - 1) * axis.stride < axis.size
    )


# Cycles for packing and storing a number one by one instead of in vectors.
_ONE_BY_ONE = 3


def on_end(axes: list[Axis], cycles: int) -> bool:
    """Whether the last axis should be the lines, and the axis before it the rows.

    Taps that read the padding beside a line are left out, those beside a row are computed. That is worth
    exchanging the two if only the last has a window (so the order of taps stays), rows don't become shorter,
    and the multiply-adds saved, of ``cycles`` an output, take longer than going through memory across its
    order.
    """
    line, row = axes[-2:]
    if line.kernel > 1 or row.kernel == 1 or line.output < row.output:
        return False
    computed = sum(phase.count * len(phase.taps) for phase in row_of(row).phases)
    needed = sum(len(row.reads(o)) for o in range(row.output))
    return (computed - needed) * cycles > _ONE_BY_ONE * computed


def exchanged(axes: list[Axis], x_steps: Steps, y_steps: Steps) -> tuple[list[Axis], Steps, Steps]:
    """Axes and steps with the last two exchanged."""
    x, y = ((*steps[:-2], steps[-1], steps[-2]) for steps in (x_steps, y_steps))
    return [*axes[:-2], axes[-1], axes[-2]], x, y


def addresses_of(kernels: Kernels, target: Target, load: bool) -> dict[str, int]:
    """Where the kernels are in this process's memory; zeros if they aren't to be loaded."""
    return {role: jit.address(name, emit, target) if load else 0 for role, (name, emit) in kernels.items()}


def words_of(fields: Fields, words: Words) -> tuple[Table, tuple[Table, ...]]:
    """The table that a driver is called with, and the arrays whose addresses it holds."""
    values = np.zeros(len(fields.names), np.int64)
    kept = []
    for place, word in enumerate(fields.names):
        value = words.get(word, 0)
        if isinstance(value, np.ndarray):
            value = np.ascontiguousarray(value)
            kept.append(value)
            value = value.ctypes.data
        values[place] = value
    return values, tuple(kept)


def table(rows: Any) -> Table:
    """Rows of integers as a driver reads them."""
    return np.array(rows, dtype=np.int64)
