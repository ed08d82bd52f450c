"""The weight gradient by Winograd's algorithm as a program: tables, blocks and functions for a geometry."""

from __future__ import annotations

import math

import numpy as np

from tilewright.kernel.tiles import micro, pack_turned, winograd_weights_driver
from tilewright.kernel.tiles import winograd_transforms as transforms
from tilewright.kernel.tiles.convolve import (
    ONE,
    Kernels,
    Program,
    Table,
    Words,
    addresses_of,
    words_of,
)
from tilewright.kernel.tiles.rows import axes_of, leads_of, lines_of
from tilewright.kernel.tiles.sizes import even, up
from tilewright.kernel.tiles.weights import (
    SHARE_PLACES,
    SHARES_BYTES,
    WeightProblem,
    WeightProgram,
    schedule_of,
)
from tilewright.kernel.tiles.winograd import odd_lines, pieces_of
from tilewright.plan import tiles
from tilewright.plan.target import Target, host
from tilewright.plan.winograd import schemes_for

# Sums of one unit.
_SUMS_BYTES = 1280 << 10
# Each operand's transformed pieces of one block: both together in a second-level cache of 1 MiB, nearly.
_PIECES_BYTES = 512 << 10


def program(problem: WeightProblem, target: Target | None = None, *, load: bool = True) -> WeightProgram:
    """The program for a problem; weights are written in C order, one array per share."""
    target = target or host()
    dims = problem.dims
    pair = schemes_for(dims.kernel)
    assert pair is not None
    line_scheme, last_scheme = pair
    place_count, piece_taps = transforms.places_of(pair), line_scheme.taps * last_scheme.taps
    width = target.vector_bytes // 4
    axes, x_steps, gy_steps = axes_of(dims), problem.x_steps[2:], problem.gy_steps[2:]
    if len(axes) == 1:
        axes, x_steps, gy_steps = [ONE, *axes], (0, *x_steps), (0, *gy_steps)
    *lead_axes, line_axis, last_axis = axes
    leads = leads_of(lead_axes, x_steps[:-2], gy_steps[:-2])
    line = pieces_of(line_axis, line_scheme)
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    lead_taps = math.prod(axis.kernel for axis in lead_axes)
    pieces = -(-last_axis.output // last_scheme.outputs)
    panel, tile, vectors = tiles.weight_tile_for(target, width, outputs, channels)
    # -- ranges of channels: their sums have to fit, and then at least a stretch of a row of their pieces
    output_block, channel_block = outputs, channels
    while 4 * place_count * lead_taps * up(output_block, panel) * up(channel_block, tile) > _SUMS_BYTES:
        if output_block > panel and (output_block >= channel_block or channel_block <= tile):
            output_block = up(even(outputs, output_block // 2), panel)
        elif channel_block > tile:
            channel_block = min(up(even(channels, channel_block // 2), tile), channels)
        else:
            break
    tile = min(tile, channel_block)
    panels = -(-output_block // panel)
    pitch = up(channel_block, width)
    # -- blocks of columns and of rows of pieces
    most = max(_PIECES_BYTES // (4 * place_count * max(panels * panel, leads.most * pitch)), 1)
    column_block = even(pieces, most)
    column_blocks = -(-pieces // column_block)
    lines = lines_of(line, even(line.output, max(most // column_block, 1)))
    batch_block = 1
    if column_blocks == len(lines.blocks) == 1:
        batch_block = even(dims.batch, min(max(most // (lines.block * column_block), 1), dims.batch))
    batch_blocks = -(-dims.batch // batch_block)
    piece_room = batch_block * lines.block * column_block
    length = column_block * last_scheme.outputs + last_scheme.taps - 1
    input_step, gy_step = odd_lines(piece_room * pitch), odd_lines(piece_room * panel)
    # -- units
    output_blocks, channel_blocks = -(-outputs // output_block), -(-channels // channel_block)
    units = dims.groups * output_blocks * channel_blocks
    total = batch_blocks * len(leads.outputs) * len(lines.blocks) * column_blocks
    taps = piece_taps * lead_taps
    size = dims.out_channels * channels * taps
    shares = min(-(-tiles.UNITS // 2 // units), total, SHARES_BYTES // (size * 4))
    shares = max(min(shares, dims.batch * math.prod(dims.output) // SHARE_PLACES), 1)
    units *= shares
    # -- scratch
    tile_count = -(-channel_block // tile)
    lines_at = up(lines.room * length * pitch + tile + 2 * width, 16)
    zeros_at = up(lines_at + line_scheme.outputs * column_block * last_scheme.outputs * panel + 2 * width, 16)
    input_at = up(zeros_at + length * pitch + 2 * width, 16)
    gy_at = up(input_at + leads.most * place_count * input_step + tile + 2 * width, 16)
    sums_at = up(gy_at + panels * place_count * gy_step + 2 * width, 16)
    list_at = up(sums_at + lead_taps * place_count * panels * tile_count * tile * panel, 16)
    scratch = list_at * 4 + 16

    def places(block: int) -> Table:
        """Where in a panel of sums each (channel, tap) of a block of so many channels lies."""
        c, t = np.divmod(np.arange(block * taps), taps)
        number = c // tile
        scalar_number = c - np.minimum(number * tile, max(block - tile, 0))
        tap = t // piece_taps * place_count + t % piece_taps
        return np.asarray((tap * tile_count + number) * tile * panel + scalar_number * panel, np.int64)

    pack_x = schedule_of(x_steps[-1], problem.x_steps[1], channels)
    pack_gy = schedule_of(gy_steps[-1], problem.gy_steps[1], outputs)
    stored = problem.stored
    kernels: Kernels = {
        "driver": (
            winograd_weights_driver.name(pair, stored),
            lambda t: winograd_weights_driver.emit(t, pair, stored),
        ),
        "micro": (micro.name("float", vectors, tile), lambda t: micro.emit(t, "float", vectors, tile)),
        "pack_x": (
            pack_turned.name("float", pack_x, stored),
            lambda t: pack_turned.emit(t, "float", pack_x, stored),
        ),
        "pack_gy": (
            pack_turned.name("float", pack_gy, stored),
            lambda t: pack_turned.emit(t, "float", pack_gy, stored),
        ),
        "transform_input": (transforms.input_name(pair), lambda t: transforms.emit_input(t, pair)),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "taps": taps,
        "batch": batch_blocks, "batch_block": batch_block, "samples": dims.batch,
        "columns": last_axis.output, "out_lines": line_axis.output,
        "x_columns": last_axis.size, "before": last_axis.before,
        "x_group": channels * problem.x_steps[1], "x_batch": problem.x_steps[0],
        "x_channel": problem.x_steps[1], "x_line": x_steps[-2], "x_column": x_steps[-1],
        "gy_group": outputs * problem.gy_steps[1], "gy_batch": problem.gy_steps[0],
        "gy_channel": problem.gy_steps[1], "gy_line": gy_steps[-2], "gy_column": gy_steps[-1],
        "gw_output": channels * taps, "gw_channel": taps, "share_step": size,
        "lead_starts": leads.starts, "lead_entries": leads.entries, "lead_outputs": leads.outputs,
        "leads": len(leads.outputs),
        "lines_read": lines.read, "line_slots": lines.slots,
        "line_blocks": lines.blocks, "line_block_count": len(lines.blocks),
        "column_block": column_block, "column_blocks": column_blocks,
        "groups": dims.groups, "output_block": output_block, "output_blocks": output_blocks,
        "channel_block": channel_block, "channel_blocks": channel_blocks, "shares": shares,
        "row_taps": 1, "length": length, "pitch": pitch,
        "panel": panel, "tile": tile, "tap_room": lead_taps * place_count, "tile_room": tile_count,
        "places": places(channel_block),
        "last_places": places(channels - (channel_blocks - 1) * channel_block),
        "gy_at": gy_at, "sums_at": sums_at, "list_at": list_at,
        "pieces": pieces, "input_step": input_step, "gy_step": gy_step,
        "lines_at": lines_at, "input_at": input_at, "zeros_at": zeros_at,
        **addresses,
    }  # fmt: skip
    values, kept = words_of(winograd_weights_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": vectors, "scalars": tile, "panel": panel,
        "channels": channels, "channel_block": channel_block, "outputs": outputs,
        "output_block": output_block, "lines": line.output, "line_block": lines.block,
        "columns": pieces, "column_block": column_block,
        "pieces": piece_room, "places": place_count, "shares": shares,
        "piece_outputs": "×".join(str(scheme.outputs) for scheme in pair),
    }  # fmt: skip
    return WeightProgram(
        Program(
            addresses["driver"], values, units, scratch, kept, kernels, winograd_weights_driver.FIELDS, about
        ),
        shares,
    )
