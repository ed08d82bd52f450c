"""1×1 convolution with its channels innermost as a program: what it reads is not packed."""

from __future__ import annotations

import math

import numpy as np

from tilewright.kernel.tiles import direct_driver, micro, pack_weights, store
from tilewright.kernel.tiles.convolve import (
    SCALARS,
    Problem,
    Program,
    Table,
    Words,
    addresses_of,
    weight_steps,
    words_of,
)
from tilewright.kernel.tiles.sizes import even, up
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

# Pixels per unit, at least: a weight is packed (about half a cycle) once per unit, and used once per 16
# pixels.
_PIXELS = 512
# Channels in one chain of additions: rounding grows with its length.
_CHAIN = 256
# Rows of pixels that are listed: 16 bytes for each.
_ROWS = 1 << 16
# An axis: how many places, their distance in x and in y.
Places = tuple[int, int, int]
# Packed weights of one panel.
_WEIGHTS_BYTES = 2 << 20


def serves(problem: Problem) -> bool:
    """Whether a problem is one that :func:`innermost` describes, and its weights fit the scratch."""
    channels = problem.dims.in_channels // problem.dims.groups
    return innermost(problem) and channels * 4 * 64 * np.dtype(problem.dtype).itemsize <= _WEIGHTS_BYTES


def innermost(problem: Problem) -> bool:
    """Whether a problem is a 1×1 convolution with its channels innermost in both arrays."""
    dims = problem.dims
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    return (
        problem.side != "by_pixels"
        and problem.x_steps[1] == problem.y_steps[1] == 1
        and min(outputs, channels) > 1
        and is_pointwise(problem)
    )


def is_pointwise(problem: Problem) -> bool:
    """Whether a problem is a 1×1 convolution of not too many rows."""
    dims = problem.dims
    return (
        dims.taps == 1
        and all(n == 1 for n in dims.input_dilation)
        and all(pair == (0, 0) for pair in dims.padding)
        and math.prod(dims.output[:-1]) <= _ROWS
    )


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem that :func:`serves` accepts."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    samples, axes, (columns, x_column, y_column) = merged(problem)
    tile = tiles.tile_for(target, width, outputs, columns, channels, "channels", "by_channels")
    panel = tile.panel(width)
    rows = row_table(axes)
    # -- units
    count = samples * len(rows)
    wanted = max(count * columns // tiles.UNITS, _PIXELS, tile.scalars)
    column_block = columns
    if columns > wanted:
        column_block = up(even(columns, wanted), tile.scalars)
    row_block = even(count, max(wanted // columns, 1))
    column_blocks, row_blocks = -(-columns // column_block), -(-count // row_block)
    units = dims.groups * column_blocks * row_blocks
    parts = 1
    if units < tiles.UNITS // 2 and dims.flops > 1 << 20:
        parts = min(-(-tiles.UNITS // 2 // units), -(-outputs // panel))
    output_block = up(-(-outputs // parts), panel)
    output_blocks = -(-outputs // output_block)
    units *= output_blocks
    channel_block = even(channels, _CHAIN)
    # -- scratch
    sums_at = up(channels * panel, 16)
    list_at = up(sums_at + tile.scalars * panel, 16)
    wide_at = list_at + up(16 * -(-channels // channel_block), 64) // itemsize
    # Pixels lie an odd number of cache lines apart, so that they don't meet in one set of a cache.
    wide_pitch = (-(-channels * itemsize // 64) | 1) * 64 // itemsize
    scratch = list_at * itemsize + 16 * (-(-channels // channel_block))
    if problem.stored:
        scratch = (wide_at + tile.scalars * wide_pitch) * itemsize
    schedule = "lanes" if problem.backwards else "flat"
    act, size, stored = problem.activation, (tile.vectors, tile.scalars), problem.stored
    kernels = {
        "driver": (direct_driver.name(scalar, stored), lambda t: direct_driver.emit(t, scalar, stored)),
        "micro": (
            micro.name(scalar, *size, apart=True),
            lambda t: micro.emit(t, scalar, *size, apart=True),
        ),
        "pack_weights": (
            pack_weights.name(scalar, schedule, panel, stored),
            lambda t: pack_weights.emit(t, scalar, schedule, panel, direct_driver.FIELDS, stored),
        ),
        "store": (
            store.name(scalar, "by_channels", "along", act, tile.vectors, stored),
            lambda t: store.emit(t, scalar, "by_channels", "along", act, tile.vectors, stored),
        ),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "taps": 1,
        "x_group": channels, "y_group": outputs, "x_column": x_column, "y_column": y_column, "y_channel": 1,
        **weight_steps(dims, problem.backwards, 1),
        "x_batch": problem.x_steps[0], "y_batch": problem.y_steps[0],
        "row_starts": rows, "sample_rows": len(rows), "rows": count, "row_block": row_block, "row_blocks":
        row_blocks, "columns": columns, "column_block": column_block, "column_blocks": column_blocks,
        "channel_block": channel_block, "output_block": output_block, "output_blocks": output_blocks,
        "tile": tile.scalars, "panel": panel, "sums_at": sums_at, "list_at": list_at,
        "wide_at": wide_at, "wide_pitch": wide_pitch,
        "slope": int(np.float64(problem.slope).view(np.int64)),
        **addresses,
    }  # fmt: skip
    values, kept = words_of(direct_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": tile.vectors, "scalars": tile.scalars,
        "pixels": tile.scalars, "panel": panel, "channels": channels, "channel_block": channel_block,
        "outputs": outputs, "output_block": output_block,
        "lines": count, "line_block": row_block, "columns": columns, "column_block": column_block,
    }  # fmt: skip
    return Program(addresses["driver"], values, units, scratch, kept, kernels, direct_driver.FIELDS, about)


def row_table(axes: list[Places]) -> Table:
    """Where each row of a sample starts, in x and in y."""
    x, y = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for count, x_step, y_step in axes:
        places = np.arange(count, dtype=np.int64)
        x, y = (np.add.outer(s, places * step).ravel() for s, step in ((x, x_step), (y, y_step)))
    return np.stack([x, y], axis=1)


def merged(problem: Problem) -> tuple[int, list[Places], Places]:
    """How many samples there are, the axes that rows of one lie along, and that of the pixels of a row.

    Neighbouring axes become one where memory allows, and axes of one place are left out. Where a sample is a
    single row, neighbouring samples may become one.
    """
    dims = problem.dims
    x_steps = (a * b for a, b in zip(problem.x_steps[2:], dims.stride, strict=True))
    found: list[Places] = []
    for size, x, y in zip(dims.output, x_steps, problem.y_steps[2:], strict=True):
        if size == 1:
            continue
        if found and found[-1][1] == x * size and found[-1][2] == y * size:
            found[-1] = (found[-1][0] * size, x, y)
        else:
            found.append((size, x, y))
    samples, x, y = dims.batch, problem.x_steps[0], problem.y_steps[0]
    if not found:
        return 1, [], (samples, x, y)
    if len(found) == 1 and (x, y) == (found[0][0] * found[0][1], found[0][0] * found[0][2]):
        return 1, [], (samples * found[0][0], *found[0][1:])
    return samples, found[:-1], found[-1]
