"""A masked convolution over few channels as a program: blocks, tables and functions chosen once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.kernel.planes import masked_driver, masked_parts, pack, taps
from tilewright.kernel.planes.axes import NONE, axes_of, block_of
from tilewright.kernel.planes.layout import Layout
from tilewright.kernel.planes.problem import UNITS, WORK
from tilewright.kernel.planes.program import (
    PACKED_BYTES,
    Columns,
    Tables,
    line_of,
    phases_follow,
    table,
)
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Words, addresses_of, words_of
from tilewright.kernel.tiles.sizes import up
from tilewright.plan.target import Target

Steps = tuple[int, ...]
Order = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MaskedProblem:
    """What is computed: a forward geometry, strides in elements, where missing samples are told from.

    Attributes:
        dims: without input dilation.
        dtype: of all arrays.
        x_steps: of the input.
        y_steps: of the result, and of the ratio.
        given_steps: of masks for batch and channels, whose spatial steps are the input's; None: NaN is
            missing.
        counts: what is there is counted, and not weighed.
        slopes: what the gradients are made of is computed, not the result.
    """

    dims: ConvDims
    dtype: str
    x_steps: Steps
    y_steps: Steps
    given_steps: tuple[int, int] | None
    counts: bool
    slopes: bool = False


@dataclass(frozen=True)
class MaskedProgram:
    """A program; and in which order it adds up the weights of an output, by their places in them, flat."""

    program: Program
    order: Order

    def totals(self, magnitudes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """The sum of each output's magnitudes, to the bit that of a window in which nothing is missing."""
        rows = magnitudes.reshape(len(magnitudes), -1)[:, self.order]
        return np.ascontiguousarray(np.add.accumulate(rows, axis=1)[:, -1])

    def run(self, arrays: dict[str, int], fill: float | None) -> None:
        """Run on arrays at these addresses, by their names among the driver's fields; the others are null."""
        place = masked_driver.FIELDS.place
        words = self.program.words.copy()
        for key, value in arrays.items():
            words[place[key]] = value
        if fill is not None:
            words[place["fills"]] = 1
            words[place["fill"]] = np.float64(fill).view(np.int64)
        replace(self.program, words=words).run(arrays["x"], arrays["w"], arrays["bias"], arrays["y"])


def program(problem: MaskedProblem, target: Target) -> MaskedProgram:
    """The program for a problem."""
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    axes = axes_of(dims)
    x_steps, y_steps = problem.x_steps[2:], problem.y_steps[2:]
    if len(axes) < 2:
        axes, x_steps, y_steps = [NONE, *axes], (0, *x_steps), (0, *y_steps)
    inputs, outputs = dims.in_channels // dims.groups, dims.out_channels // dims.groups
    at_once = min(outputs, taps.MOST_OUTPUTS)
    mask_count, met_count = (1, 1) if problem.counts else (inputs, at_once)
    given = problem.given_steps is not None
    phases = math.prod(len(axis.in_phases) for axis in axes)
    each = phases * (inputs + mask_count + given) + at_once + met_count
    room = PACKED_BYTES // (itemsize * each)
    block = block_of(axes, room, *line_of(axes, room, width, 1), width)
    block = (*block[:-1], min(up(block[-1], width), axes[-1].count))
    slack = 2 * width
    layout = Layout(axes, block, x_steps, y_steps, 1, width, slack, dims.padding_mode)
    around = dims.padding_mode != ZEROS
    tables = Tables("lines", "columns", "runs", "stores")
    for one in layout.blocks():
        columns = layout.columns(one)
        tables.add(
            lines=layout.lines(one),
            columns=np.concatenate([columns, layout.ends(one)]) if around else columns,
            runs=layout.runs(one, False, True),
            stores=layout.stores(one),
        )
    found = Columns(layout, target, -2)
    size = dims.taps
    tap_table, segments = found.tables(inputs, layout.channel, lambda channel, place: channel * size + place)
    met_table, met_segments = tap_table, segments
    if problem.counts:
        met_table, met_segments = found.tables(1, layout.channel, lambda channel, place: place)
    # -- units
    items = dims.batch * dims.groups * tables.count
    work = max(2 * math.prod(block) * inputs * outputs * size, 1)
    items_a_unit = max(min(WORK // work, items // UNITS), 1)
    # -- scratch
    sums_output = up(layout.places + slack, 16)
    masks = up(inputs * layout.channel + slack, 64)
    packed_given = masks + up(mask_count * layout.channel + slack, 64)
    sums = packed_given + (up(layout.channel + slack, 64) if given else 0)
    mets = sums + at_once * sums_output
    scratch = (mets + met_count * sums_output) * itemsize
    # -- functions
    x_step = axes[-1].in_step * x_steps[-1]
    schedule = {1: "one", 2: "two"}.get(x_step, "any")
    if schedule == "two" and phases_follow(layout):
        schedule = "both"
    put_step, rest = y_steps[-1], outputs % at_once
    put_schedule = "one" if put_step == 1 else "any"
    side = masked_driver.SIDES[problem.counts]

    def summed(count: int) -> tuple[str, Callable[[Target], str]]:
        return (
            taps.name(scalar, "pixels", count, found.heights, "none"),
            lambda t: taps.emit(t, scalar, "pixels", count, found.heights, "none"),
        )

    kernels: Kernels = {
        "driver": (masked_driver.name(scalar, side), lambda t: masked_driver.emit(t, scalar, side)),
        "pack": (pack.name(scalar, schedule, around), lambda t: pack.emit(t, scalar, schedule, around)),
        "split": (
            masked_parts.split_name(scalar, given),
            lambda t: masked_parts.emit_split(t, scalar, given),
        ),
        "finish": (
            masked_parts.finish_name(scalar, put_schedule, problem.slopes),
            lambda t: masked_parts.emit_finish(t, scalar, put_schedule, problem.slopes),
        ),
        "sum": summed(at_once),
        "met": summed(met_count),
    }
    if rest:
        kernels["sum_rest"] = kernels["met_rest"] = summed(rest)
    addresses = addresses_of(kernels, target, load=True)
    given_sample, given_channel = problem.given_steps or (0, 0)
    words: Words = {
        **tables.words(), "taps": table(tap_table), "segments": table(segments),
        "met_taps": table(met_table), "met_segments": table(met_segments),
        "block_count": tables.count, "items": items, "items_a_unit": items_a_unit, "groups": dims.groups,
        "inputs": inputs, "outputs": outputs, "at_once": at_once,
        "x_sample": problem.x_steps[0], "x_group": inputs * problem.x_steps[1],
        "x_channel": problem.x_steps[1], "x_step": x_step,
        "given_sample": given_sample, "given_group": inputs * given_channel, "given_channel": given_channel,
        "y_sample": problem.y_steps[0], "y_group": outputs * problem.y_steps[1],
        "y_channel": problem.y_steps[1],
        "w_group": outputs * inputs * size, "w_output": inputs * size, "w_next": found.following,
        "x_next": width if layout.along else layout.steps[-2],
        "to_next": width if layout.along else layout.steps[-2],
        "phases": len(axes[-1].in_phases), "phase": layout.phase, "places": layout.extent[-1],
        "channel": layout.channel, "lanes": width,
        "masks": masks, "packed_given": packed_given, "sums": sums, "mets": mets, "sums_output": sums_output,
        "put_step": put_step, "fills": 0, "fill": 0,
        "missing": 0 if given else int(np.float64(np.nan).view(np.int64)),
        **addresses,
    }  # fmt: skip
    values, kept = words_of(masked_driver.FIELDS, words)
    units = -(-items // items_a_unit)
    made = Program(addresses["driver"], values, units, scratch, kept, kernels, masked_driver.FIELDS, {})
    return MaskedProgram(made, _order(found, tap_table, segments))


def _order(found: Columns, tap_table: list[int], segments: list[int]) -> Order:
    """The weights of an output in the order in which they are added up."""
    places = tap_table[1::2]
    high, low = found.heights
    _, first, second = segments[:3]
    columns = chain(((place, high) for place in places[:first]), ((p, low) for p in places[first:]))
    assert first + second == len(places)
    return np.array([p + j * found.following for p, height in columns for j in range(height)], np.int64)
