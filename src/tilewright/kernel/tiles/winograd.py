"""Winograd's convolution as a program: tables, blocks and functions chosen once for a geometry.

Sums have 16 products for every 36 of the definition, in chains of at most 64 channels: rounding errors come
out no larger than those of the direct families (a test compares them). An infinity or a NaN may reach the
other outputs of its 2×2 piece.
"""

from __future__ import annotations

import math

import numpy as np

from tilewright.kernel.tiles import micro, pack_rows, pack_weights, store, winograd_driver
from tilewright.kernel.tiles import winograd_transforms as transforms
from tilewright.kernel.tiles.convolve import (
    Kernels,
    Problem,
    Program,
    Words,
    addresses_of,
    even,
    table,
    up,
    weight_steps,
    words_of,
)
from tilewright.kernel.tiles.rows import Axis, axes_of, leads_of, lines_of, row_of
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

# Input channels packed at a time: their lines stay in the first-level cache until they are transformed.
_PACK_CHANNELS = 32
# Sums of a unit that wait for further channels.
_SUMS_BYTES = 2 << 20


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem that :func:`tilewright.plan.compiled.winograd` accepts."""
    target = target or host()
    dims = problem.dims
    width = target.vector_bytes // 4
    vectors = tiles.STANDARD_VECTORS if dims.out_channels // dims.groups > width else 1
    panel, piece_tile = vectors * width, tiles.most_scalars(target, vectors)
    *lead_axes, line_axis, last_axis = axes_of(dims)
    x_steps, y_steps = problem.x_steps[2:], problem.y_steps[2:]
    leads = leads_of(lead_axes, x_steps[:-2], y_steps[:-2])
    line, last = pieces_of(line_axis), pieces_of(last_axis)
    row = row_of(last)
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    lead_taps = math.prod(axis.kernel for axis in lead_axes)
    pieces, piece_rows = last.output, line.output
    # -- blocks of rows of pieces, and of samples
    most = max(tiles.WINOGRAD_PIECES, pieces)
    row_block = even(piece_rows, max(most // pieces, 1))
    batch_block = 1
    if row_block >= piece_rows:
        batch_block = even(dims.batch, max(most // (pieces * piece_rows), 1))
    lines = lines_of(line, row_block)
    count = batch_block * row_block * pieces
    piece_room = count + piece_tile
    piece_pitch = _odd_lines(count + piece_tile + width)
    channel_block = tiles.winograd_channels(channels, lead_taps, pieces)
    pack_channels = min(_PACK_CHANNELS, channel_block)
    length = up(up(pieces, width) + row.reach, width)
    pitch = _odd_lines(length * len(row.remainders))
    batch_blocks = -(-dims.batch // batch_block)
    units = dims.groups * batch_blocks * len(leads.outputs) * len(lines.blocks)
    per_panel = transforms.PLACES * piece_room * panel * 4
    held = channels > channel_block
    output_block = min(outputs, max(_SUMS_BYTES // per_panel, 1) * panel) if held else outputs
    units *= -(-outputs // output_block)
    if units < tiles.UNITS // 2:
        parts = min(-(-tiles.UNITS // 2 // units) * -(-outputs // output_block), -(-outputs // panel))
        output_block = up(-(-outputs // parts), panel)
    output_blocks = -(-outputs // output_block)
    units = dims.groups * batch_blocks * len(leads.outputs) * len(lines.blocks) * output_blocks
    panels_held = -(-output_block // panel) if held else 1
    # -- scratch: packed lines and packed weights take turns
    packed = max(lines.room * pack_channels * pitch, 9 * pack_channels * panel) + 4 * width
    zeros_at = up(packed, 16)
    input_at = up(zeros_at + pitch + 4 * width, 16)
    weights_at = up(input_at + leads.most * transforms.PLACES * channel_block * piece_pitch + 2 * width, 16)
    sums_at = up(weights_at + lead_taps * transforms.PLACES * channel_block * panel, 16)
    pixels_at = up(sums_at + panels_held * transforms.PLACES * piece_room * panel, 16)
    list_at = up(pixels_at + 4 * pieces * panel, 16)
    scratch = list_at * 4 + 16 * leads.most
    kernels = _kernels(problem, vectors, piece_tile, panel)
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "batch": dims.batch, "taps": 9,
        "x_group": channels * problem.x_steps[1], "x_batch": problem.x_steps[0],
        "x_channel": problem.x_steps[1], "x_line": x_steps[-2], "x_column": x_steps[-1],
        "y_group": outputs * problem.y_steps[1], "y_batch": problem.y_steps[0],
        "y_channel": problem.y_steps[1], "y_line": y_steps[-2], "y_column": y_steps[-1],
        **weight_steps(dims, problem.backwards, 9 * lead_taps),
        "lead_starts": leads.starts, "lead_entries": leads.entries, "lead_outputs": leads.outputs,
        "lines_read": lines.read, "line_slots": lines.slots,
        "row_entries": table([(tap, part * length + place) for tap, part, place in row.phases[0].taps]),
        "remainders": table(row.remainders), "remainder_count": len(row.remainders),
        "every": row.every, "length": length, "pitch": pitch,
        "output_block": output_block, "batch_block": batch_block, "output_blocks": output_blocks,
        "groups": dims.groups, "batch_blocks": batch_blocks, "leads": len(leads.outputs),
        "line_blocks": lines.blocks, "line_block_count": len(lines.blocks), "panel": panel,
        "pieces": pieces, "piece_pitch": piece_pitch, "piece_tile": piece_tile, "piece_room": piece_room,
        "out_columns": dims.output[-1], "out_lines": dims.output[-2],
        "channel_block": channel_block, "pack_channels": pack_channels, "lead_taps": lead_taps,
        "panels_held": panels_held,
        "zeros_at": zeros_at, "input_at": input_at, "weights_at": weights_at, "sums_at": sums_at,
        "pixels_at": pixels_at, "list_at": list_at,
        "slope": int(np.float64(problem.slope).view(np.int64)),
        **addresses,
    }  # fmt: skip
    values, kept = words_of(winograd_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": vectors, "scalars": piece_tile, "panel": panel,
        "channels": channels, "channel_block": channel_block, "outputs": outputs,
        "output_block": output_block, "batch": dims.batch, "batch_block": batch_block,
        "lines": piece_rows, "line_block": row_block, "pieces": count,
    }  # fmt: skip
    return Program(addresses["driver"], values, units, scratch, kept, kernels, about)


def pieces_of(axis: Axis) -> Axis:
    """An axis in pieces: each starts two places after the one before, and reads four."""
    return Axis(axis.size, -(-axis.output // 2), 4, 2, 1, 1, axis.before)


def _odd_lines(length: int) -> int:
    """The length in floats, rounded up to an odd number of cache lines: see ``convolve``."""
    lines = -(-length // 16)
    return (lines if lines % 2 else lines + 1) * 16


def _kernels(problem: Problem, vectors: int, piece_tile: int, panel: int) -> Kernels:
    fields = winograd_driver.FIELDS
    packing = "columns2" if problem.x_steps[-1] == 1 else "channels" if problem.x_steps[1] == 1 else "any"
    weights = "taps" if problem.backwards else "flat"
    if len(problem.dims.kernel) > 2:
        weights = "any"  # the nine taps of one lead tap are no longer followed by the next channel's
    y_column = problem.y_steps[-1]
    storing = "across" if y_column == 1 else "along" if problem.y_steps[1] == 1 else "any"
    act = problem.activation
    return {
        "driver": (winograd_driver.name(), winograd_driver.emit),
        "micro": (
            micro.name("float", vectors, piece_tile),
            lambda t: micro.emit(t, "float", vectors, piece_tile),
        ),
        "pack_rows": (
            pack_rows.name("float", packing),
            lambda t: pack_rows.emit(t, "float", packing, fields),
        ),
        "pack_weights": (
            pack_weights.name("float", weights, panel),
            lambda t: pack_weights.emit(t, "float", weights, panel, fields),
        ),
        "store": (
            store.name("float", "by_channels", storing, act, vectors),
            lambda t: store.emit(t, "float", "by_channels", storing, act, vectors),
        ),
        "transform_input": (transforms.input_name(), lambda t: transforms.emit_input(t, fields)),
        "transform_weights": (
            transforms.weight_name(vectors),
            lambda t: transforms.emit_weights(t, vectors),
        ),
        "transform_output": (
            transforms.output_name(vectors),
            lambda t: transforms.emit_output(t, vectors),
        ),
    }
