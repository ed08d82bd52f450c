"""1×1 convolution with few outputs and many channels, innermost, by dot products of rows, as a program."""

from __future__ import annotations

import numpy as np

from tilewright.kernel.tiles import direct, dot, dot_forward_driver, store
from tilewright.kernel.tiles.convolve import (
    SCALARS,
    Kernels,
    Problem,
    Program,
    Words,
    addresses_of,
    words_of,
)
from tilewright.kernel.tiles.sizes import even, up
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

# With more outputs their vectors are full; with fewer channels a dot product is mostly its end.
_OUTPUTS, _CHANNELS = 16, 256
# Channels of a stretch: rows of a few pixels and of all outputs stay in a first-level cache.
_STRETCH = 512
# Weights of a group up to this size stay in a core's own cache.
_WEIGHTS_BYTES = 512 << 10
# Pixels of a unit, at most: their sums are vectors.
_PIXELS = 32


def serves(problem: Problem) -> bool:
    """Whether a problem is such a convolution. It doesn't depend on the batch, nor do its sums."""
    dims = problem.dims
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    if problem.backwards or outputs > _OUTPUTS or channels < _CHANNELS:
        return False
    # A single output has no neighbours that would have to lie beside it.
    alone = outputs == dims.groups == 1 and problem.x_steps[1] == 1 and direct.is_pointwise(problem)
    return alone or direct.innermost(problem)


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem that :func:`serves` accepts."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    samples, axes, (columns, x_column, y_column) = direct.merged(problem)
    rows = direct.row_table(axes)
    count = samples * len(rows)
    size = dot.tile_for(target, columns, outputs)
    # -- units
    wanted = min(max(count * columns // tiles.UNITS, size[0]), _PIXELS)
    column_block = min(up(even(columns, wanted), size[0]), columns)
    column_blocks = -(-columns // column_block)
    units = dims.groups * count * column_blocks
    vectors = -(-outputs // width)
    panel = vectors * width
    # -- scratch
    p_tiles, k_tiles = -(-column_block // size[0]), -(-outputs // size[1])
    sums_at = up(p_tiles * size[0] * panel, 16)
    scratch = (sums_at + p_tiles * k_tiles * size[0] * size[1] * width) * itemsize
    act, stored = problem.activation, problem.stored
    kernels: Kernels = {
        "driver": (
            dot_forward_driver.name(scalar, *size, stored),
            lambda t: dot_forward_driver.emit(t, scalar, *size, stored),
        ),
        "dot": (dot.name(scalar, *size, stored), lambda t: dot.emit(t, scalar, *size, stored)),
        "store": (
            store.name(scalar, "by_channels", "along", act, vectors, stored),
            lambda t: store.emit(t, scalar, "by_channels", "along", act, vectors, stored),
        ),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs,
        "x_group": channels, "y_group": outputs, "w_group": outputs * channels,
        "x_column": x_column, "y_column": y_column,
        "x_batch": problem.x_steps[0], "y_batch": problem.y_steps[0],
        "row_starts": rows, "sample_rows": len(rows), "rows": count, "columns": columns,
        "apart": int(outputs * channels * itemsize <= _WEIGHTS_BYTES),
        "stretch": even(channels, _STRETCH), "column_block": column_block, "column_blocks": column_blocks,
        "panel": panel, "sums_at": sums_at,
        "slope": int(np.float64(problem.slope).view(np.int64)),
        **addresses,
    }  # fmt: skip
    values, kept = words_of(dot_forward_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_places", "vectors": size[1], "scalars": size[0], "panel": panel,
        "channels": channels, "channel_block": even(channels, _STRETCH),
        "outputs": outputs, "output_block": outputs,
        "lines": count, "line_block": 1, "columns": columns, "column_block": column_block,
    }  # fmt: skip
    return Program(
        addresses["driver"], values, units, scratch, kept, kernels, dot_forward_driver.FIELDS, about
    )
