"""The weight gradient as a program: tables, blocks and functions chosen once for a geometry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tilewright.geometry import ConvDims
from tilewright.kernel.tiles import micro, pack_turned, weights_driver
from tilewright.kernel.tiles.convolve import (
    ONE,
    SCALARS,
    Kernels,
    Program,
    Steps,
    Table,
    Words,
    addresses_of,
    exchanged,
    on_end,
    spatial,
    table,
    words_of,
)
from tilewright.kernel.tiles.rows import leads_of, lines_of, lines_read, longest_block, row_of
from tilewright.kernel.tiles.sizes import even, up
from tilewright.plan import tiles
from tilewright.plan.compiled import exchanges_sides
from tilewright.plan.target import Target, host

# Sums of one unit: they are added to once per block of lines, so they may lie in the last-level cache.
SUMS_BYTES = 1 << 20
# Packed lines of gy and of x, each: together with the sums that are being added to, in a second-level cache.
LINES_BYTES = 256 << 10
# Columns at a time, at least: sums are read and written once per so many multiply-adds.
COLUMNS = 64
# Partial results of all shares together.
SHARES_BYTES = 2 << 20
# Places that a share sums over, at least: its sums are written and added once, which takes about as long as
# 16 multiply-adds of each.
SHARE_PLACES = 384
# Units of a large problem, at least, if ranges of channels can be this long: two or four threads share them
# evenly, and what is packed again for each range is multiplied for 16 cycles, packed in two.
_FEWEST_UNITS, _LONG_RANGE = 4, 256
# With fewer input channels than this, lead and line taps are packed beside them.
FEW_CHANNELS = 8


@dataclass(frozen=True)
class WeightProblem:
    """A forward geometry, and the steps of x and gy in elements.

    It is computed in ``dtype``; the two may be halves, ``stored`` says of which kind.
    """

    dims: ConvDims
    dtype: str
    x_steps: Steps
    gy_steps: Steps
    stored: str = ""


@dataclass
class WeightProgram:
    """A program whose shares of the sum still have to be added up.

    If ``exchanged``, it takes gy for x and x for gy, and writes input channels by output channels.
    """

    program: Program
    shares: int
    exchanged: bool = False


def program(problem: WeightProblem, target: Target | None = None, *, load: bool = True) -> WeightProgram:
    """The program for a problem; weights are written in C order, one array per share.

    Without ``load`` nothing is compiled: it can be read, for any target, but not run.
    """
    target = target or host()
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    exchanged_sides = exchanges_sides(problem.dims, width)
    if exchanged_sides:
        problem = _exchanged(problem)
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    axes, x_steps, gy_steps = spatial(dims, problem.x_steps[2:], problem.gy_steps[2:])
    while len(axes) < 2:
        axes, x_steps, gy_steps = [ONE, *axes], (0, *x_steps), (0, *gy_steps)
    if on_end(axes, dims.out_channels // dims.groups * dims.taps // width):
        axes, x_steps, gy_steps = exchanged(axes, x_steps, gy_steps)
    *lead_axes, line, last = axes
    row = row_of(last)
    leads = leads_of(lead_axes, x_steps[:-2], gy_steps[:-2])
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    taps = math.prod(axis.kernel for axis in axes)
    columns = last.output
    line_features = taps // last.kernel
    folded = channels < FEW_CHANNELS and line_features > 1
    # -- tiles and ranges of channels
    features = channels * (line_features if folded else 1)
    panel, tile, vectors = tiles.weight_tile_for(target, width, outputs, features)
    most_sums, most = SUMS_BYTES // itemsize, LINES_BYTES // itemsize
    least_lines = (1 if folded else lines_read(line, 1)) * leads.most
    shortest = min(columns, COLUMNS)
    output_block, channel_block = outputs, channels

    def fewer_outputs() -> bool:
        """Whether a line of gy has too many output channels for the scratch, or the sums have."""
        if shortest * up(output_block, panel) > 2 * most:
            return output_block > panel
        larger = output_block >= channel_block or folded or channel_block <= tile
        return too_many_sums() and larger and output_block > panel

    def fewer_channels() -> bool:
        """Whether the lines of x that one line reads have too many channels, or the sums have."""
        packed = up(channel_block * (line_features if folded else 1), width)
        packed *= (shortest + row.reach) * len(row.remainders) * least_lines
        return (packed > 2 * most or too_many_sums()) and channel_block > 1 and not folded

    def too_many_sums() -> bool:
        return taps * up(output_block, panel) * up(channel_block, tile) > most_sums

    size = dims.out_channels * channels * taps
    places_summed = dims.batch * math.prod(dims.output)

    def most_shares() -> tuple[int, int]:
        """Units of one share, and shares of the sum, at most."""
        units = dims.groups * -(-outputs // output_block) * -(-channels // channel_block)
        shares = min(-(-tiles.UNITS // 2 // units), SHARES_BYTES // (size * itemsize))
        return units, max(min(shares, places_summed // SHARE_PLACES), 1) if dims.flops >= 1 << 20 else 1

    def too_few_units() -> bool:
        longest = max(output_block, channel_block)
        few = math.prod(most_shares()) < _FEWEST_UNITS and longest >= 2 * _LONG_RANGE
        return few and dims.flops >= 1 << 20 and not folded

    while True:
        if fewer_outputs():
            output_block = up(even(outputs, output_block // 2), panel)
        elif fewer_channels():
            channel_block = even(channels, max(channel_block // 2, 1))
            if channel_block > tile:
                channel_block = min(up(channel_block, tile), channels)
        elif too_few_units():
            if output_block > channel_block:
                output_block = up(even(outputs, output_block // 2), panel)
            else:
                channel_block = even(channels, channel_block // 2)
        else:
            break
    features = channel_block * (line_features if folded else 1)
    tile = min(tile, features)
    # -- blocks of lines
    pitch = up(features + (width if folded else 0), width)
    panels = -(-output_block // panel)
    column_block = columns
    while column_block > COLUMNS and (
        column_block * panels * panel > most
        or (column_block + row.reach) * len(row.remainders) * pitch * least_lines > most
    ):
        column_block = even(columns, column_block // 2)
    length = column_block + row.reach
    per_line = pitch * length * len(row.remainders)
    room = most // (leads.most * per_line)
    longest = most // (panels * panel * column_block)
    block = longest_block(line, min(longest, room) if folded else longest, line.output if folded else room)
    lines = lines_of(line, even(line.output, block))
    room = lines.block if folded else lines.room * leads.most
    # -- units
    output_blocks, channel_blocks = -(-outputs // output_block), -(-channels // channel_block)
    column_blocks = -(-columns // column_block)
    units, shares = most_shares()
    shares = min(shares, dims.batch * len(leads.outputs) * len(lines.blocks) * column_blocks)
    units *= shares
    # -- scratch
    gy_at = up(room * per_line + tile + 2 * width, 16)
    sums_at = up(gy_at + lines.block * panels * panel * column_block + 2 * width, 16)
    tile_count = -(-features // tile)
    tap_sums = last.kernel if folded else taps
    list_at = up(sums_at + tap_sums * panels * tile_count * tile * panel, 16)

    def places(block: int) -> Table:
        """Where in a panel of sums each (channel, tap) of a block of so many channels lies."""
        c, t = np.divmod(np.arange(block * taps), taps)
        feature, tap = (t // last.kernel * block + c, t % last.kernel) if folded else (c, t)
        count = block * (line_features if folded else 1)
        number = feature // tile
        scalar_number = feature - np.minimum(number * tile, max(count - tile, 0))
        return np.asarray((tap * tile_count + number) * tile * panel + scalar_number * panel, np.int64)

    scratch = list_at * itemsize + 16 * (lines.block + 1)
    x_column, gy_column = x_steps[-1], gy_steps[-1]
    pack_x = schedule_of(x_column * row.every, problem.x_steps[1], channels)
    pack_gy = schedule_of(gy_column, problem.gy_steps[1], outputs)
    row_entries = [stretch * length + place for _, stretch, place in row.phases[0].taps]

    stored = problem.stored
    kernels: Kernels = {
        "driver": (weights_driver.name(scalar, stored), lambda t: weights_driver.emit(t, scalar, stored)),
        "micro": (micro.name(scalar, vectors, tile), lambda t: micro.emit(t, scalar, vectors, tile)),
        "pack_x": (
            pack_turned.name(scalar, pack_x, stored),
            lambda t: pack_turned.emit(t, scalar, pack_x, stored),
        ),
        "pack_gy": (
            pack_turned.name(scalar, pack_gy, stored),
            lambda t: pack_turned.emit(t, scalar, pack_gy, stored),
        ),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "batch": dims.batch,
        "taps": taps, "line_taps": line.kernel, "row_taps": last.kernel, "columns": columns,
        "x_group": channels * problem.x_steps[1], "x_batch": problem.x_steps[0],
        "x_channel": problem.x_steps[1], "x_line": x_steps[-2], "x_column": x_column,
        "gy_group": outputs * problem.gy_steps[1], "gy_batch": problem.gy_steps[0],
        "gy_channel": problem.gy_steps[1], "gy_line": gy_steps[-2], "gy_column": gy_column,
        "gw_output": channels * taps, "gw_channel": taps, "share_step": size,
        "lead_starts": leads.starts, "lead_entries": leads.entries, "lead_outputs": leads.outputs,
        "leads": len(leads.outputs),
        "row_entries": table(row_entries), "remainders": table(row.remainders),
        "remainder_count": len(row.remainders), "every": row.every,
        "lines_read": lines.read, "line_slots": lines.slots,
        "line_blocks": lines.blocks, "line_block_count": len(lines.blocks),
        "column_block": column_block, "column_blocks": column_blocks,
        "groups": dims.groups, "output_block": output_block, "output_blocks": output_blocks,
        "channel_block": channel_block, "channel_blocks": channel_blocks, "shares": shares,
        "folded": int(folded), "length": length, "pitch": pitch,
        "line_room": lines.room, "lead_room": line_features // line.kernel if folded else leads.most,
        "panel": panel, "tile": tile, "tap_room": tap_sums, "tile_room": tile_count,
        "places": places(channel_block),
        "last_places": places(channels - (channel_blocks - 1) * channel_block),
        "gy_at": gy_at, "sums_at": sums_at, "list_at": list_at,
        **addresses,
    }  # fmt: skip
    values, kept = words_of(weights_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": vectors, "scalars": tile, "panel": panel, "folded": int(folded),
        "channels": channels, "channel_block": channel_block, "outputs": outputs,
        "output_block": output_block, "lines": line.output, "line_block": lines.block, "columns": columns,
        "column_block": column_block, "shares": shares,
        "exchanged": int(exchanged_sides),
    }  # fmt: skip
    made = Program(addresses["driver"], values, units, scratch, kept, kernels, weights_driver.FIELDS, about)
    return WeightProgram(made, shares, exchanged_sides)


def _exchanged(problem: WeightProblem) -> WeightProblem:
    """A product of matrices as its transpose."""
    dims = problem.dims
    weights = (dims.in_channels, dims.out_channels, *dims.kernel)
    turned = ConvDims.of((dims.batch, dims.out_channels, *dims.output), weights)
    return WeightProblem(turned, problem.dtype, problem.gy_steps, problem.x_steps, problem.stored)


def schedule_of(column_step: int, channel_step: int, channels: int) -> str:
    """How a line is packed with its channels innermost: one of ``pack_turned.SCHEDULES``."""
    # Turning over squares of which few rows are there costs more than going one by one.
    if column_step in (1, 2) and channels >= 3:
        return f"columns{column_step}"
    return "channels" if channel_step == 1 and channels > 1 else "any"
