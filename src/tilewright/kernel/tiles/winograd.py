"""Winograd's convolution as a program: tables, blocks and functions chosen once for a geometry.

Sums of products come in chains of at most 64 channels. Rounding errors stay within three times those of a
product of matrices of the same length (a test compares them). An infinity or a NaN may reach the other
outputs of its piece.
"""

from __future__ import annotations

import math

import numpy as np

from tilewright.kernel.tiles import micro, pack_turned, pack_weights, store, winograd_driver
from tilewright.kernel.tiles import winograd_transforms as transforms
from tilewright.kernel.tiles.convolve import (
    ONE,
    Kernels,
    Problem,
    Program,
    Words,
    addresses_of,
    weight_steps,
    words_of,
)
from tilewright.kernel.tiles.rows import Axis, axes_of, leads_of, lines_of
from tilewright.kernel.tiles.sizes import even, up
from tilewright.kernel.tiles.weights import schedule_of
from tilewright.plan import tiles
from tilewright.plan.target import Target, host
from tilewright.plan.winograd import Scheme, schemes_for

# Input channels packed at a time, in vectors: lines of a whole unit stay near until they are transformed.
_PACK_VECTORS = 2
# The same for weights: 9 taps of 16 channels for a panel of 32 outputs are 18 KiB.
_PACK_WEIGHTS = 16
# Sums of a unit that wait for further channels.
_SUMS_BYTES = 2 << 20


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem that :func:`tilewright.plan.compiled.winograd` accepts."""
    target = target or host()
    dims = problem.dims
    pair = schemes_for(dims.kernel)
    assert pair is not None
    line_scheme, last_scheme = pair
    places, piece_taps = transforms.places_of(pair), line_scheme.taps * last_scheme.taps
    width = target.vector_bytes // 4
    vectors = tiles.STANDARD_VECTORS if dims.out_channels // dims.groups > width else 1
    panel = vectors * width
    axes, x_steps, y_steps = axes_of(dims), problem.x_steps[2:], problem.y_steps[2:]
    if len(axes) == 1:
        axes, x_steps, y_steps = [ONE, *axes], (0, *x_steps), (0, *y_steps)
    *lead_axes, line_axis, last_axis = axes
    leads = leads_of(lead_axes, x_steps[:-2], y_steps[:-2])
    line = pieces_of(line_axis, line_scheme)
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    lead_taps = math.prod(axis.kernel for axis in lead_axes)
    pieces, piece_rows = -(-last_axis.output // last_scheme.outputs), line.output
    # -- blocks of columns, of rows of pieces, and of samples
    most = tiles.winograd_pieces(places)
    column_block = even(pieces, most)
    column_blocks = -(-pieces // column_block)
    row_block = even(piece_rows, max(most // column_block, 1))
    batch_block = 1
    if row_block >= piece_rows and column_blocks == 1:
        batch_block = even(dims.batch, max(most // (pieces * piece_rows), 1))
    lines = lines_of(line, row_block)
    count = batch_block * row_block * column_block
    piece_tile = tiles.winograd_tile(target, vectors, count)
    piece_room = count + piece_tile
    channel_block = tiles.winograd_channels(channels, lead_taps, places)
    piece_pitch = up(channel_block, width)
    pack_channels = min(_PACK_VECTORS * width, piece_pitch)
    pack_weight_channels = min(_PACK_WEIGHTS, channel_block)
    # Places lie an odd number of cache lines apart, so that neighbours don't meet in one set of a cache.
    input_step = odd_lines(piece_room * piece_pitch)
    weight_step, sum_step = odd_lines(channel_block * panel), odd_lines(piece_room * panel)
    length = column_block * last_scheme.outputs + last_scheme.taps - 1
    batch_blocks = -(-dims.batch // batch_block)
    others = dims.groups * batch_blocks * len(leads.outputs) * len(lines.blocks) * column_blocks
    held = channels > channel_block
    output_block = outputs
    if held:
        output_block = min(outputs, max(_SUMS_BYTES // (places * sum_step * 4), 1) * panel)
    units = others * -(-outputs // output_block)
    if units < tiles.UNITS // 2:
        parts = min(-(-tiles.UNITS // 2 // others), -(-outputs // panel))
        output_block = min(output_block, up(-(-outputs // parts), panel))
    output_blocks = -(-outputs // output_block)
    panels_held = -(-output_block // panel) if held else 1
    # -- scratch: packed lines and packed weights take turns
    packed = max(lines.room * length * pack_channels, piece_taps * pack_weight_channels * panel)
    zeros_at = up(packed + 4 * width, 16)
    input_at = up(zeros_at + length * pack_channels + 2 * width, 16)
    weights_at = up(input_at + leads.most * places * input_step + 2 * width, 16)
    sums_at = up(weights_at + lead_taps * places * weight_step, 16)
    pixels_at = up(sums_at + panels_held * places * sum_step, 16)
    pixel_lines = line_scheme.outputs * column_block * last_scheme.outputs
    list_at = up(pixels_at + pixel_lines * panel, 16)
    scratch = list_at * 4 + 16 * leads.most
    kernels = _kernels(problem, pair, vectors, piece_tile, panel)
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "batch": dims.batch, "taps": piece_taps,
        "row_taps": last_scheme.taps,
        "x_group": channels * problem.x_steps[1], "x_batch": problem.x_steps[0],
        "x_channel": problem.x_steps[1], "x_line": x_steps[-2], "x_column": x_steps[-1],
        "y_group": outputs * problem.y_steps[1], "y_batch": problem.y_steps[0],
        "y_channel": problem.y_steps[1], "y_line": y_steps[-2], "y_column": y_steps[-1],
        **weight_steps(dims, problem.backwards, piece_taps * lead_taps),
        "lead_starts": leads.starts, "lead_entries": leads.entries, "lead_outputs": leads.outputs,
        "lines_read": lines.read, "line_slots": lines.slots,
        "places": places, "lines_of_piece": line_scheme.places,
        "piece_lines": line_scheme.outputs, "piece_columns": last_scheme.outputs,
        "before": last_axis.before, "columns": last_axis.size,
        "output_block": output_block, "batch_block": batch_block, "output_blocks": output_blocks,
        "shared_outputs": outputs,
        "column_block": column_block, "column_blocks": column_blocks,
        "groups": dims.groups, "batch_blocks": batch_blocks, "leads": len(leads.outputs),
        "line_blocks": lines.blocks, "line_block_count": len(lines.blocks), "panel": panel,
        "pieces": pieces, "piece_pitch": piece_pitch, "piece_tile": piece_tile,
        "out_columns": last_axis.output, "out_lines": line_axis.output,
        "channel_block": channel_block, "pack_channels": pack_channels,
        "pack_weight_channels": pack_weight_channels, "lead_taps": lead_taps,
        "panels_held": panels_held,
        "input_step": input_step, "weight_step": weight_step, "sum_step": sum_step,
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
        "lines": piece_rows, "line_block": row_block, "columns": pieces, "column_block": column_block,
        "pieces": count, "places": places,
        "piece_outputs": "×".join(str(scheme.outputs) for scheme in pair),
    }  # fmt: skip
    units = others * output_blocks
    return Program(addresses["driver"], values, units, scratch, kept, kernels, winograd_driver.FIELDS, about)


def pieces_of(axis: Axis, scheme: Scheme) -> Axis:
    """An axis in pieces: each starts ``outputs`` places after the one before, and reads ``places``."""
    return Axis(
        axis.size, -(-axis.output // scheme.outputs), scheme.places, scheme.outputs, 1, 1, axis.before
    )


def odd_lines(length: int) -> int:
    """The length in floats, rounded up to an odd number of cache lines: places then spread over a cache."""
    lines = -(-length // 16)
    return (lines if lines % 2 else lines + 1) * 16


def _kernels(problem: Problem, pair: transforms.Pair, vectors: int, piece_tile: int, panel: int) -> Kernels:
    fields = winograd_driver.FIELDS
    channels = problem.dims.in_channels // problem.dims.groups
    packing = schedule_of(problem.x_steps[-1], problem.x_steps[1], channels)
    taps = math.prod(problem.dims.kernel[-2:])
    # A few taps of a vector of outputs at a time: not fewer than fit 16 bytes.
    weights = "flat" if not problem.backwards else "taps" if taps >= 4 else "any"
    if len(problem.dims.kernel) > 2:
        weights = "any"  # the taps of one lead tap are no longer followed by the next channel's
    y_column = problem.y_steps[-1]
    storing = "across" if y_column == 1 else "along" if problem.y_steps[1] == 1 else "any"
    act, stored = problem.activation, problem.stored
    return {
        "driver": (winograd_driver.name(stored), lambda t: winograd_driver.emit(t, stored)),
        "micro": (
            micro.name("float", vectors, piece_tile, apart=True),
            lambda t: micro.emit(t, "float", vectors, piece_tile, apart=True),
        ),
        "pack_turned": (
            pack_turned.name("float", packing, stored),
            lambda t: pack_turned.emit(t, "float", packing, stored),
        ),
        "pack_weights": (
            pack_weights.name("float", weights, panel, stored),
            lambda t: pack_weights.emit(t, "float", weights, panel, fields, stored),
        ),
        "store": (
            store.name("float", "by_channels", storing, act, vectors, stored),
            lambda t: store.emit(t, "float", "by_channels", storing, act, vectors, stored),
        ),
        "transform_input": (
            transforms.input_name(pair),
            lambda t: transforms.emit_input(t, pair),
        ),
        "transform_weights": (
            transforms.weight_name(pair, vectors),
            lambda t: transforms.emit_weights(t, pair, vectors),
        ),
        "transform_output": (
            transforms.output_name(pair, vectors),
            lambda t: transforms.emit_output(t, pair, vectors),
        ),
    }
