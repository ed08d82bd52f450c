"""The weight gradient of a 1×1 convolution by dot products of rows, as a program."""

from __future__ import annotations

import math

from tilewright.kernel.tiles import dot, dot_driver
from tilewright.kernel.tiles.convolve import (
    SCALARS,
    Kernels,
    Problem,
    Program,
    Words,
    addresses_of,
    words_of,
)
from tilewright.kernel.tiles.direct import Places, merged, row_table
from tilewright.kernel.tiles.sizes import even, up
from tilewright.kernel.tiles.weights import SHARE_PLACES, SHARES_BYTES, WeightProblem, WeightProgram
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

# Turning both operands over costs this many cycles a number, so it is worth doing without if few channels
# share it.
_FEW_CHANNELS = 128
# Both operands of one block of places: half of a second-level cache.
_BLOCK_BYTES = 256 << 10
# Places of a block: fewer would read and write the sums too often, and longer chains of additions would round
# more.
_FEWEST, _MOST = 256, 4096
# Sums of a unit.
_SUMS_BYTES = 1 << 20
# Of halves, what a block's rows may take when they are widened.
_WIDE_BYTES = 2 << 20
# Rows of a sample that are listed: 16 bytes for each.
_ROWS = 1 << 16
# Shorter rows are mostly ends.
_SHORTEST = 48


def serves(problem: WeightProblem) -> bool:
    """Whether a problem is a 1×1 convolution with few channels and long rows of consecutive places."""
    dims = problem.dims
    if dims.taps > 1 or any(n != 1 for n in dims.stride + dims.input_dilation):
        return False
    if any(pair != (0, 0) for pair in dims.padding) or 1 in (problem.x_steps[1], problem.gy_steps[1]):
        return False
    if min(dims.out_channels, dims.in_channels) > _FEW_CHANNELS * dims.groups:
        return False
    _, axes, (columns, x, gy) = _axes(problem)
    return x == gy == 1 and columns >= _SHORTEST and math.prod(count for count, _, _ in axes) <= _ROWS


def _axes(problem: WeightProblem) -> tuple[int, list[Places], Places]:
    return merged(Problem(problem.dims, problem.dtype, problem.x_steps, problem.gy_steps, False))


def program(problem: WeightProblem, target: Target | None = None, *, load: bool = True) -> WeightProgram:
    """The program for a problem that :func:`serves` accepts."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = 4 if scalar == "float" else 8
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    samples, axes, (columns, _, _) = _axes(problem)
    rows = row_table(axes)
    count = samples * len(rows)
    tile = dot.tile_for(target, outputs, channels)
    # -- ranges of channels: their sums have to fit
    output_block, channel_block = outputs, channels
    while up(output_block, tile[0]) * up(channel_block, tile[1]) * target.vector_bytes > _SUMS_BYTES:
        if output_block >= channel_block:
            output_block = max(even(outputs, output_block // 2), tile[0])
        else:
            channel_block = max(even(channels, channel_block // 2), tile[1])
    most = min(max(_BLOCK_BYTES // (itemsize * (output_block + channel_block)), _FEWEST), _MOST)
    column_block = up(even(columns, most), target.vector_bytes // itemsize)
    while problem.stored and (output_block + channel_block) * column_block * itemsize > _WIDE_BYTES:
        if output_block >= channel_block:
            output_block = max(even(outputs, output_block // 2), tile[0])
        else:
            channel_block = max(even(channels, channel_block // 2), tile[1])
    column_blocks = -(-columns // column_block)
    output_blocks, channel_blocks = -(-outputs // output_block), -(-channels // channel_block)
    # -- units
    units = dims.groups * output_blocks * channel_blocks
    size = dims.out_channels * channels
    shares = min(-(-tiles.UNITS // 2 // units), count * column_blocks, SHARES_BYTES // (size * itemsize))
    shares = max(min(shares, count * columns // SHARE_PLACES), 1)
    if dims.flops < 1 << 20:
        shares = 1
    units *= shares
    scratch = up(output_block, tile[0]) * up(channel_block, tile[1]) * target.vector_bytes + 64
    stored = problem.stored
    wide_gy = up(scratch // itemsize, 16)
    wide_x = wide_gy + output_block * column_block
    if problem.stored:
        scratch = (wide_x + channel_block * column_block) * itemsize
    kernels: Kernels = {
        "driver": (
            dot_driver.name(scalar, *tile, stored),
            lambda t: dot_driver.emit(t, scalar, *tile, stored),
        ),
        "dot": (dot.name(scalar, *tile), lambda t: dot.emit(t, scalar, *tile)),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs,
        "x_group": channels * problem.x_steps[1], "gy_group": outputs * problem.gy_steps[1],
        "x_channel": problem.x_steps[1], "gy_channel": problem.gy_steps[1], "share_step": size,
        "x_batch": problem.x_steps[0], "gy_batch": problem.gy_steps[0],
        "row_starts": rows, "sample_rows": len(rows), "rows": count,
        "columns": columns, "column_block": column_block, "column_blocks": column_blocks,
        "output_block": output_block, "output_blocks": output_blocks,
        "channel_block": channel_block, "channel_blocks": channel_blocks, "shares": shares,
        "wide_gy": wide_gy, "wide_x": wide_x,
        **addresses,
    }  # fmt: skip
    values, kept = words_of(dot_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_places", "vectors": tile[0], "scalars": tile[1], "panel": tile[0], "folded": 0,
        "channels": channels, "channel_block": channel_block, "outputs": outputs,
        "output_block": output_block, "lines": count, "line_block": 1, "columns": columns,
        "column_block": column_block, "shares": shares, "exchanged": 0,
    }  # fmt: skip
    return WeightProgram(
        Program(addresses["driver"], values, units, scratch, kept, kernels, dot_driver.FIELDS, about), shares
    )
