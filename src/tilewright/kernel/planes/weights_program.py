"""The weight gradient of a window operation over few channels as a program."""

from __future__ import annotations

import math

import numpy as np

from tilewright.geometry.padding import ZEROS
from tilewright.kernel.planes import beside_program, dots, pack, turn, weights_driver
from tilewright.kernel.planes import program as chosen
from tilewright.kernel.planes.axes import NONE, axes_of, block_of
from tilewright.kernel.planes.layout import Layout
from tilewright.kernel.planes.problem import WORK, WeightProblem, WeightProgram, without_gaps
from tilewright.kernel.planes.program import PACKED_BYTES, Tables, phases_follow, table
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Words, addresses_of, words_of
from tilewright.kernel.tiles.sizes import up
from tilewright.plan.target import Target, host

# The sum over all samples and blocks is cut into at most so many shares, which are added in order at the end:
# enough for many threads to have work, however few groups there are.
_SHARES = 32
# Sums of all taps of several vectors of channels, at most: they stay in the cache, beside what is packed.
_SUMS_BYTES = 256 << 10


def program(problem: WeightProblem, target: Target | None = None, *, load: bool = True) -> WeightProgram:
    """The program for a problem; without ``load`` nothing is compiled: it can be read, but not run."""
    target = target or host()
    found = beside_program.weights_program(problem, target, load)
    if found is not None:
        return found
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    by_channels = problem.by_channels or problem.turned
    unit = width if by_channels else 1
    axes = axes_of(dims)
    x_steps, g_steps = problem.x_steps[2:], problem.g_steps[2:]
    if len(axes) < 2:
        axes, x_steps, g_steps = [NONE, *axes], (0, *x_steps), (0, *g_steps)
    inputs, outputs = dims.in_channels // dims.groups, dims.out_channels // dims.groups
    if by_channels:
        inputs = outputs = 1
    each = inputs * math.prod(len(axis.in_phases) for axis in axes) + (0 if by_channels else outputs)
    room = PACKED_BYTES // (itemsize * unit * each)
    groups = -(-dims.in_channels // width) if by_channels else dims.groups
    together = 1
    if problem.by_channels and not problem.turned:
        together = chosen.together_of(dims, target.vector_bytes, groups)
        # Of each, the sums of all taps lie in scratch.
        while together > 1 and (
            groups % together or together * dims.taps * target.vector_bytes > _SUMS_BYTES
        ):
            together -= 1
    if together > 1:
        room = min(room, chosen.TOGETHER_BYTES // (target.vector_bytes * together))
    block = block_of(axes, room, *chosen.line_of(axes, room, width, unit), width if unit == 1 else 1)
    if problem.turned:
        # Gradients are turned to scratch, places as they lie in the plane.
        block = tuple(axis.count for axis in axes)
        g_steps = tuple(width * step for step in without_gaps([axis.written for axis in axes]))
    slack = 2 * width
    layout = Layout(axes, block, x_steps, g_steps, unit, width, slack, dims.padding_mode)
    around = dims.padding_mode != ZEROS
    tables = Tables("lines", "columns", "g_lines", "g_columns", "runs")
    for one in layout.blocks():
        g_lines = g_columns = None
        if problem.turned:
            places = np.arange(math.prod(axis.written for axis in axes)) * width
            tables.add(
                lines=layout.pixels(),
                columns=None,
                g_lines=np.stack([places, places], axis=1),
                g_columns=None,
                runs=layout.runs(one, True, False)[:, [0, 1, 3]],
            )
            continue
        if by_channels:
            runs = layout.runs(one, True, False)[:, [0, 1, 3]]
        else:
            # What g is packed from: its lines without their columns, which lie as those of x do.
            column = one.first[-1] * g_steps[-1]
            g_lines = layout.written(one)[:, ::-1] - np.array([column, 0])
            g_columns = np.array([(0, one.count[-1], column)])
            runs = layout.lines_through(one)[:, [0, 0, 1]]
        tables.add(
            lines=layout.lines(one),
            columns=np.concatenate([layout.columns(one), layout.ends(one)])
            if around
            else layout.columns(one),
            g_lines=g_lines,
            g_columns=g_columns,
            runs=runs,
        )
    # -- taps: those that fill up the last pass read the first one's samples, and nobody reads their sums
    columns = layout.columns_of(layout.combinations[0], -1)
    by_place = sorted((place, offset) for column in columns for offset, place in column)
    offsets = [offset for _, offset in by_place]
    at_once = min(outputs, dots.MOST_OUTPUTS)
    taps_at_once = dots.taps_at_once(target, len(offsets), at_once)
    passes = -(-len(offsets) // taps_at_once)
    offsets += [offsets[0]] * (passes * taps_at_once - len(offsets))
    # -- units
    block_count = tables.count
    items = dims.batch * block_count
    work = max(math.prod(block) * inputs * outputs * dims.taps * unit, 1)
    items_a_unit = min(max(WORK // (work * together), -(-items // _SHARES), 1), items)
    shares = -(-items // items_a_unit)
    units = groups // together * shares
    # -- scratch
    g_at = up(inputs * layout.channel + slack, 64)
    g_size = 0 if by_channels else up(layout.places + slack, 16)
    if problem.turned:
        g_size = up(math.prod(axis.written for axis in axes) * width, 16)
    sums_at = up(g_at + outputs * g_size, 64)
    scratch = (sums_at + together * outputs * inputs * passes * taps_at_once * width) * itemsize
    # -- functions
    x_step, g_step = axes[-1].in_step * x_steps[-1], g_steps[-1]
    schedules = {1: "one", 2: "two"}
    schedule = "channels" if by_channels else schedules.get(x_step, "any")
    if schedule == "two" and phases_follow(layout):
        schedule = "both"
    side, stored = "channels" if by_channels else "pixels", problem.stored
    # Along the channels gradients are read where they lie, unless they are turned.
    lying = stored if by_channels and not problem.turned else ""
    rest = outputs % at_once
    kernels: Kernels = {
        "driver": (
            weights_driver.name(scalar, side, stored),
            lambda t: weights_driver.emit(t, scalar, side, stored),
        ),
        "pack": (
            pack.name(scalar, schedule, around, stored, problem.part),
            lambda t: pack.emit(t, scalar, schedule, around, stored, problem.part),
        ),
        "dot": (
            dots.name(scalar, side, at_once, taps_at_once, lying),
            lambda t: dots.emit(t, scalar, side, at_once, taps_at_once, lying),
        ),
    }
    if not by_channels:
        g_schedule = schedules.get(g_step, "any")
        kernels["pack_g"] = (
            pack.name(scalar, g_schedule, stored=stored),
            lambda t: pack.emit(t, scalar, g_schedule, stored=stored),
        )
    if rest:
        kernels["dot_rest"] = (
            dots.name(scalar, side, rest, taps_at_once, lying),
            lambda t: dots.emit(t, scalar, side, rest, taps_at_once, lying),
        )
    if problem.turned:
        x_step, g_step = problem.x_steps[1], problem.g_steps[1]
        for role in ("pack", "pack_g"):
            kernels[role] = (turn.name(scalar, "in", stored), lambda t: turn.emit(t, scalar, "in", stored))
    addresses = addresses_of(kernels, target, load)
    padded = groups * width
    words: Words = {
        **tables.words(), "taps": table(offsets),
        "block_count": block_count, "items": items, "items_a_unit": items_a_unit, "shares": shares,
        "inputs": inputs, "outputs": outputs, "at_once": at_once,
        "tap_count": dims.taps, "taps_at_once": taps_at_once, "passes": passes,
        "x_sample": problem.x_steps[0], "x_channel": problem.x_steps[1], "x_step": x_step,
        "x_group": width * problem.x_steps[1] if by_channels else inputs * problem.x_steps[1],
        "g_sample": problem.g_steps[0], "g_channel": problem.g_steps[1], "g_step": g_step,
        "g_group": width * problem.g_steps[1] if by_channels else outputs * problem.g_steps[1],
        "out_share": dims.taps * padded if by_channels else math.prod(dims.weight_shape),
        "out_group": width if by_channels else outputs * inputs * dims.taps,
        "phases": len(axes[-1].in_phases), "phase": layout.phase * unit, "places": layout.extent[-1],
        "channel": layout.channel, "g_size": g_size, "groups": groups,
        "together": together,
        "lanes": width, "lanes_last": dims.in_channels - (groups - 1) * width if by_channels else width,
        "clears": g_at if problem.turned else 0, "g_pixel": width if problem.turned else g_step,
        "g_at": g_at, "sums_at": sums_at,
        **addresses,
    }  # fmt: skip
    values, kept = words_of(weights_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels" if by_channels else "by_pixels", "vectors": taps_at_once, "scalars": at_once,
        "panel": width, "channels": inputs, "channel_block": inputs, "outputs": outputs,
        "output_block": at_once, "lines": axes[-2].count, "line_block": block[-2],
        "columns": axes[-1].count, "column_block": block[-1], "shares": shares, "padded": padded,
    }  # fmt: skip
    fields = weights_driver.FIELDS
    made = Program(addresses["driver"], values, units, scratch, kept, kernels, fields, about)
    return WeightProgram(made, shares, padded)
