"""A pool along the pixels as a program: blocks, tables and functions chosen once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims
from tilewright.kernel.planes import pack
from tilewright.kernel.planes.axes import NONE, Axis, axes_of, axis_of, block_of
from tilewright.kernel.planes.layout import Block, Layout
from tilewright.kernel.planes.program import LINE_VECTORS, Tables, table
from tilewright.kernel.pools import driver, put, taps
from tilewright.kernel.pools.problem import WORK, Problem, Steps
from tilewright.kernel.pools.spans import forward_spans
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Words, addresses_of, words_of
from tilewright.kernel.tiles.sizes import up
from tilewright.plan.target import Target, host

Table = npt.NDArray[Any]

# A packed block with its results, at most.
PACKED_BYTES = 128 << 10


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem; without ``load`` nothing is compiled: it can be read, but not run."""
    return _Maker(problem, target or host()).make(load)


class _Maker:
    def __init__(self, problem: Problem, target: Target) -> None:
        self.problem, self.target, self.dims = problem, target, problem.dims
        self.scalar = SCALARS[problem.dtype]
        self.itemsize = np.dtype(problem.dtype).itemsize
        self.width = target.vector_bytes // self.itemsize
        self.backwards = problem.backwards
        self.with_indices = problem.kind == "max_indices"
        #: divisors of what is read, packed beside it
        self.shares = self.backwards and problem.each
        axes = pool_axes(self.dims, self.backwards)
        self.x_steps, self.y_steps = problem.x_steps[2:], problem.y_steps[2:]
        self.lead = len(axes) < 2
        if self.lead:
            axes, self.x_steps, self.y_steps = [NONE, *axes], (0, *self.x_steps), (0, *self.y_steps)
        self.axes = axes

    def make(self, load: bool) -> Program:
        dims, problem, axes = self.dims, self.problem, self.axes
        read = math.prod(len(axis.in_phases) for axis in axes) * (2 if self.shares else 1)
        written = math.prod(axis.out_step for axis in axes) * (2 if self.with_indices else 1)
        room = PACKED_BYTES // (self.itemsize * (read + written))
        block = block_of(axes, room, *(count * self.width for count in LINE_VECTORS))
        slack = taps.vectors(self.target) * self.width
        layout = Layout(axes, block, self.x_steps, self.y_steps, 1, self.width, slack)
        kind = "indices" if self.with_indices else "mean"
        if self.shares or problem.kind == "max":
            kind = "plain"
        # -- how results are put
        last = axes[-1]
        put_step = last.out_step * self.y_steps[-1]
        zipped = self.y_steps[-1] == 1 and last.out_step == 2
        putting = "zip" if zipped else ("one" if put_step == 1 else "any")
        # -- tables
        sizes = [axis.size for axis in axes]
        own_steps = _row_order([axis.written for axis in axes])
        places = Layout(axes, block, _row_order(sizes), own_steps, 1, self.width, slack)
        tables = Tables(*driver.BLOCK_TABLES)
        for one in layout.blocks():
            tables.add(
                lines=layout.lines(one),
                columns=layout.columns(one),
                divisor_lines=places.lines(one) if self.shares else None,
                divisor_columns=places.columns(one) if self.shares else None,
                runs=_runs(layout, one),
                puts=self._puts(layout, places, one, zipped),
            )
        tap_table: list[int] = []
        segments: list[int] = []
        numbers = self._tap_numbers() if self.with_indices else {}
        for combination in layout.combinations:
            columns = layout.columns_of(combination, -1)
            # In the order of the window, so that the first of equals is met first.
            found = sorted((tap for column in columns for tap in column), key=lambda tap: tap[1])
            segments += (len(tap_table) // 2, len(found))
            for offset, number in found:
                tap_table += (offset, numbers.get(number, 0))
        firsts = np.zeros(1, np.int64)
        if self.with_indices:
            # Vectors may be read behind the end.
            firsts = np.concatenate([self._first_taps(len(axes) - 1), np.zeros(self.width, np.int64)])
        # -- units
        planes = dims.batch * dims.channels
        work = max(math.prod(block) * max(len(tap_table) // 2, 1), 1)
        planes_a_unit = min(max(WORK // work, 1), planes) if tables.count == 1 else 1
        units = -(-planes // planes_a_unit) * tables.count
        # -- scratch
        packed = up(layout.channel + slack, self.width)
        written = up(len(layout.combinations) * layout.places + slack, self.width)
        shares_at = packed if self.shares else 0
        results = packed * (2 if self.shares else 1)
        numbers_at = results + written
        scratch = (numbers_at + (written if self.with_indices else 0)) * self.itemsize
        # -- functions
        kernels = self._kernels(kind, putting)
        addresses = addresses_of(kernels, self.target, load)
        fill = -np.inf if problem.kind.startswith("max") else 0.0
        words: Words = {
            **tables.words(), "taps": table(tap_table), "segments": table(segments), "firsts": firsts,
            "block_count": tables.count, "planes": planes, "planes_a_unit": planes_a_unit,
            "channels": dims.channels,
            "x_sample": problem.x_steps[0], "x_channel": problem.x_steps[1],
            "x_step": last.in_step * self.x_steps[-1],
            "y_sample": problem.y_steps[0], "y_channel": problem.y_steps[1], "y_step": put_step,
            "phases": len(last.in_phases), "phase": layout.phase, "places": layout.extent[-1],
            "packed": layout.channel,
            "results": results, "numbers": numbers_at, "shares": shares_at,
            "apart": layout.places, "each": int(problem.each and not self.backwards),
            "stride": dims.stride[-1],
            "fill": int(np.float64(fill).view(np.int64)),
            **addresses,
        }  # fmt: skip
        values, kept = words_of(driver.FIELDS, words)
        about: dict[str, int | str] = {
            "side": "by_pixels", "vectors": taps.vectors(self.target), "scalars": 1, "panel": self.width,
            "channels": 1, "channel_block": 1, "outputs": 1, "output_block": 1,
            "lines": axes[-2].count, "line_block": block[-2],
            "columns": last.count, "column_block": block[-1],
        }  # fmt: skip
        return Program(addresses["driver"], values, units, scratch, kept, kernels, driver.FIELDS, about)

    def _kernels(self, kind: str, putting: str) -> Kernels:
        scalar, combining, stored = self.scalar, _combining(self.problem.kind), self.problem.stored
        packing = {1: "one", 2: "two"}.get(self.axes[-1].in_step * self.x_steps[-1], "any")
        kernels: Kernels = {
            "driver": (driver.name(scalar, stored), lambda t: driver.emit(t, scalar, stored)),
            "pack": (
                pack.name(scalar, packing, stored=stored),
                lambda t: pack.emit(t, scalar, packing, stored=stored),
            ),
            "combine": (taps.name(scalar, combining), lambda t: taps.emit(t, scalar, combining)),
            "put": (
                put.name(scalar, kind, putting, stored),
                lambda t: put.emit(t, scalar, kind, putting, stored),
            ),
        }
        if self.shares:
            kernels["pack_divisors"] = (pack.name(scalar, "one"), lambda t: pack.emit(t, scalar, "one"))
        return kernels

    def _puts(self, layout: Layout, places: Layout, block: Block, zipped: bool) -> Table:
        """The lines of a block as :mod:`tilewright.kernel.pools.put` reads them."""
        stores = layout.stores(block)
        own = places.stores(block)[:, 1]
        if zipped:
            # Of two phases that follow each other, the second (which may have one place less, or none).
            stores, own = _zipped(layout, places, block)
        found = np.zeros((len(stores), put.LINE_WORDS), np.int64)
        found[:, :3], found[:, 3] = stores, own
        if self.with_indices and len(stores):
            dims = self.dims
            at = np.unravel_index(own, [axis.written for axis in self.axes])
            steps = _row_order([axis.size for axis in self.axes])
            for one in range(len(self.axes)):
                if self.lead and one == 0:
                    continue
                axis = one - self.lead
                found[:, 4] += (at[one] * dims.stride[axis] - dims.padding[axis][0]) * steps[one]
                if one < len(self.axes) - 1:
                    found[:, 5] += self._first_taps(one)[at[one]] * steps[one]
            found[:, 6] = at[-1]
        return found

    def _first_taps(self, one: int) -> Table:
        """How many samples behind a window's start on an axis the first one lies that there is."""
        axis = one - self.lead
        if axis < 0:
            return np.zeros(1, np.int64)
        dims = self.dims
        span = forward_spans(dims)[axis]
        found = span.first - (np.arange(dims.output[axis]) * dims.stride[axis] - dims.padding[axis][0])
        return np.asarray(found, np.int64)

    def _tap_numbers(self) -> dict[int, int]:
        """How far from a window's start each tap lies in the plane, by its place in the kernel."""
        dims = self.dims
        steps = _row_order(dims.spatial)
        found = np.zeros((1,) * dims.rank, np.int64)
        for axis, (kernel, dilation) in enumerate(zip(dims.kernel, dims.dilation, strict=True)):
            shape = [1] * dims.rank
            shape[axis] = -1
            found = found + (np.arange(kernel) * dilation * steps[axis]).reshape(shape)
        return dict(enumerate(found.ravel().tolist()))


def _runs(layout: Layout, block: Block) -> Table:
    """The runs over all lines of a block, for all phases: from where, to where in scratch, places, phases."""
    start, count = layout.lines_through(block).T
    return np.concatenate(
        [
            np.stack([start, number * layout.places + start, count, np.full_like(start, number)], axis=1)
            for number in range(len(layout.combinations))
        ]
    )


def _combining(kind: str) -> str:
    return kind if kind.startswith("max") else "sum"


def pool_axes(dims: PoolDims, backwards: bool) -> list[Axis]:
    """The axes of a pool, or of its gradient."""
    if backwards:
        return axes_of(dims.adjoint())
    return [
        axis_of(size, output, kernel, stride, dilation, 1, padding[0])
        for size, output, kernel, stride, dilation, padding in zip(
            dims.spatial, dims.output, dims.kernel, dims.stride, dims.dilation, dims.padding, strict=True
        )
    ]


def _zipped(layout: Layout, places: Layout, block: Block) -> tuple[Table, Table]:
    """The lines of even phases of the last axis, with the places of the odd phases that stand between."""
    stores, own = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    last = layout.axes[-1]
    for number, combination in enumerate(layout.combinations):
        if combination[-1] % 2:
            continue
        count, start, to = layout.lines_written(block, combination)
        if not count:
            continue
        odd = last.outputs(combination[-1] + 1, block.first[-1], block.count[-1])
        stores.append(
            np.stack([number * layout.places + start, to, np.full_like(start, count + odd)], axis=1)
        )
        own.append(places.lines_written(block, combination)[2])
    return np.concatenate(stores), np.concatenate(own)


def _row_order(sizes: Any) -> Steps:
    """Places from one to the next on each axis, in row order."""
    steps = [1]
    for size in reversed(list(sizes)[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps))
