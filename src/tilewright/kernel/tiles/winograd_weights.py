"""The weight gradient by Winograd's algorithm as a program: tables, blocks and functions for a geometry."""

from __future__ import annotations

import math

import numpy as np

from tilewright.kernel.tiles import micro, pack_turned, winograd_weights_driver
from tilewright.kernel.tiles.convolve import (
    Kernels,
    Program,
    Table,
    Words,
    addresses_of,
    even,
    table,
    up,
    words_of,
)
from tilewright.kernel.tiles.rows import axes_of, leads_of, lines_of, row_of
from tilewright.kernel.tiles.weights import (
    SHARE_PLACES,
    SHARES_BYTES,
    WeightProblem,
    WeightProgram,
    schedule_of,
)
from tilewright.kernel.tiles.winograd import pieces_of
from tilewright.kernel.tiles.winograd_transforms import PLACES
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

# Sums of one unit.
_SUMS_BYTES = 1280 << 10
# Each operand's transformed pieces of one block: both together in a second-level cache of 1 MiB, nearly.
_PIECES_BYTES = 512 << 10


def program(problem: WeightProblem, target: Target | None = None, *, load: bool = True) -> WeightProgram:
    """The program for a problem; weights are written in C order, one array per share."""
    target = target or host()
    dims = problem.dims
    width = target.vector_bytes // 4
    *lead_axes, line_axis, last_axis = axes_of(dims)
    x_steps, gy_steps = problem.x_steps[2:], problem.gy_steps[2:]
    leads = leads_of(lead_axes, x_steps[:-2], gy_steps[:-2])
    line, last = pieces_of(line_axis), pieces_of(last_axis)
    row = row_of(last)
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    lead_taps = math.prod(axis.kernel for axis in lead_axes)
    pieces = last.output
    panel, tile, vectors = tiles.weight_tile_for(target, width, outputs, channels)
    # -- ranges of channels: their sums, and one row of their pieces, have to fit
    output_block, channel_block = outputs, channels
    per_piece = 4 * PLACES * (pieces + 1)

    def too_large() -> bool:
        sums = 4 * PLACES * lead_taps * up(output_block, panel) * up(channel_block, tile)
        row_bytes = per_piece * max(up(output_block, panel), leads.most * up(channel_block, width))
        return sums > _SUMS_BYTES or row_bytes > _PIECES_BYTES

    while too_large():
        if output_block > panel and (output_block >= channel_block or channel_block <= tile):
            output_block = up(even(outputs, output_block // 2), panel)
        elif channel_block > tile:
            channel_block = min(up(even(channels, channel_block // 2), tile), channels)
        else:
            break
    tile = min(tile, channel_block)
    panels = -(-output_block // panel)
    pitch = up(channel_block, width)
    # -- blocks of rows of pieces
    rows = _PIECES_BYTES // (4 * PLACES * pieces * max(panels * panel, leads.most * pitch))
    lines = lines_of(line, even(line.output, max(rows, 1)))
    piece_room = lines.block * pieces
    length = pieces + row.reach
    # -- units
    output_blocks, channel_blocks = -(-outputs // output_block), -(-channels // channel_block)
    units = dims.groups * output_blocks * channel_blocks
    total = dims.batch * len(leads.outputs) * len(lines.blocks)
    taps = 9 * lead_taps
    size = dims.out_channels * channels * taps
    shares = min(-(-tiles.UNITS // 2 // units), total, SHARES_BYTES // (size * 4))
    shares = max(min(shares, dims.batch * math.prod(dims.output) // SHARE_PLACES), 1)
    units *= shares
    # -- scratch
    line_size = pitch * length * len(row.remainders)
    tile_count = -(-channel_block // tile)
    zeros_at = up(lines.room * leads.most * line_size + tile + 2 * width, 16)
    lines_at = up(zeros_at + line_size + 2 * width, 16)
    input_at = up(lines_at + 4 * pieces * panel + 2 * width, 16)
    gy_at = up(input_at + leads.most * PLACES * piece_room * pitch + tile + 2 * width, 16)
    sums_at = up(gy_at + panels * PLACES * piece_room * panel + 2 * width, 16)
    list_at = up(sums_at + lead_taps * PLACES * panels * tile_count * tile * panel, 16)
    scratch = list_at * 4 + 16

    def places(block: int) -> Table:
        """Where in a panel of sums each (channel, tap) of a block of so many channels lies."""
        c, t = np.divmod(np.arange(block * taps), taps)
        number = c // tile
        scalar_number = c - np.minimum(number * tile, max(block - tile, 0))
        tap = t // 9 * PLACES + t % 9
        return np.asarray((tap * tile_count + number) * tile * panel + scalar_number * panel, np.int64)

    pack_x = schedule_of(x_steps[-1] * row.every, problem.x_steps[1], channels)
    pack_gy = schedule_of(gy_steps[-1], problem.gy_steps[1], outputs)
    kernels: Kernels = {
        "driver": (winograd_weights_driver.name(), winograd_weights_driver.emit),
        "micro": (micro.name("float", vectors, tile), lambda t: micro.emit(t, "float", vectors, tile)),
        "pack_x": (pack_turned.name("float", pack_x), lambda t: pack_turned.emit(t, "float", pack_x)),
        "pack_gy": (pack_turned.name("float", pack_gy), lambda t: pack_turned.emit(t, "float", pack_gy)),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "batch": dims.batch, "taps": taps,
        "columns": dims.output[-1], "out_lines": dims.output[-2],
        "x_group": channels * problem.x_steps[1], "x_batch": problem.x_steps[0],
        "x_channel": problem.x_steps[1], "x_line": x_steps[-2], "x_column": x_steps[-1],
        "gy_group": outputs * problem.gy_steps[1], "gy_batch": problem.gy_steps[0],
        "gy_channel": problem.gy_steps[1], "gy_line": gy_steps[-2], "gy_column": gy_steps[-1],
        "gw_output": channels * taps, "gw_channel": taps, "share_step": size,
        "lead_starts": leads.starts, "lead_entries": leads.entries, "lead_outputs": leads.outputs,
        "leads": len(leads.outputs),
        "row_entries": table([part * length + place for _, part, place in row.phases[0].taps]),
        "remainders": table(row.remainders), "remainder_count": len(row.remainders), "every": row.every,
        "lines_read": lines.read, "line_slots": lines.slots,
        "line_blocks": lines.blocks, "line_block_count": len(lines.blocks), "column_blocks": 1,
        "groups": dims.groups, "output_block": output_block, "output_blocks": output_blocks,
        "channel_block": channel_block, "channel_blocks": channel_blocks, "shares": shares,
        "row_taps": 1, "length": length, "pitch": pitch, "line_room": lines.room,
        "panel": panel, "tile": tile, "tap_room": lead_taps * PLACES, "tile_room": tile_count,
        "places": places(channel_block),
        "last_places": places(channels - (channel_blocks - 1) * channel_block),
        "gy_at": gy_at, "sums_at": sums_at, "list_at": list_at,
        "pieces": pieces, "piece_room": piece_room,
        "lines_at": lines_at, "input_at": input_at, "zeros_at": zeros_at,
        **addresses,
    }  # fmt: skip
    values, kept = words_of(winograd_weights_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": vectors, "scalars": tile, "panel": panel,
        "channels": channels, "channel_block": channel_block, "outputs": outputs,
        "output_block": output_block, "lines": line.output, "line_block": lines.block,
        "pieces": piece_room, "shares": shares,
    }  # fmt: skip
    return WeightProgram(Program(addresses["driver"], values, units, scratch, kept, kernels, about), shares)
