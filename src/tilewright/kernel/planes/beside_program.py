"""Depthwise sums of channels beside each other as a program: tiles, tables and functions chosen once."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.kernel.planes import beside, beside_weights, turn
from tilewright.kernel.planes.beside import Kind
from tilewright.kernel.planes.problem import (
    CACHE_LINE,
    PAST_BYTES,
    UNITS,
    WORK,
    Problem,
    WeightProblem,
    WeightProgram,
    without_gaps,
)
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Shared, Words, addresses_of, words_of
from tilewright.kernel.tiles.sizes import up
from tilewright.plan.compiled import SCRATCH_BYTES
from tilewright.plan.target import Target

# Outputs that are computed together, at most; and taps along a line: they are all written out.
_MOST_OUTPUTS, _MOST_TAPS = 16, 16
# Entries of the table of lines.
_MOST_ENTRIES = 1 << 18
# So few long lines are better cut: units are whole ones here.
_FEW_LINES = 4
# The sum of a weight gradient is cut into at most so many shares, which are added in order at the end; and a
# share does so many products for each of its sums. It lies in a core's own cache.
_SHARES, _WORK_A_SUM, _SHARE_BYTES = 32, 64, 256 << 10
# Arrays of so many bytes are not in a core's own cache: their next rows are asked for.
_AHEAD_BYTES = 4 << 20
# The second row of two that are asked for, at most.
_MOST_AHEAD = 2


def program(problem: Problem, target: Target, load: bool) -> Program | None:
    """The program, or None if the problem needs another one."""
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    tile = _tile(dims, target)
    lines = math.prod(dims.output[:-1])
    entries = lines * math.prod(dims.kernel[:-1])
    channels = dims.in_channels
    if (
        not (problem.by_channels or problem.turned)
        or dims.padding_mode != ZEROS
        or any(s > 1 and e > 1 for s, e in zip(dims.stride, dims.input_dilation, strict=True))
        or tile == 0
        or entries > _MOST_ENTRIES
        or channels < width
        or min(dims.output) < 1
    ):
        return None
    vectors = -(-channels // width)
    work = dims.output[-1] * dims.taps * (lines * width if problem.turned else channels)
    total = dims.batch * (vectors if problem.turned else lines)
    # It follows from one sample, or bits would depend on the batch.
    if not problem.turned and lines < _FEW_LINES and lines * work > WORK:
        return None
    each = max(min(WORK // max(work, 1), total // UNITS), 1)
    # -- what is read and written, in elements: arrays as they lie, or turned planes in scratch
    read, written = list(problem.x_steps[2:]), list(problem.y_steps[2:])
    pixels_in, pixels_out = math.prod(dims.spatial), math.prod(dims.output)
    scratch, stored = 0, problem.stored
    if problem.turned:
        read, written = (
            [width * step for step in without_gaps(sizes)] for sizes in (dims.spatial, dims.output)
        )
        scratch = (pixels_in + pixels_out) * width * itemsize
        if scratch > SCRATCH_BYTES // 2:
            return None
    whole_line = dims.output[-1] == tile
    # The tile at the right edge counts from its first output's place.
    last = (dims.output[-1] - tile) * dims.stride[-1]
    kind = Kind(
        scalar,
        stored,
        problem.turned,
        dims.kernel[-1],
        dims.stride[-1],
        dims.dilation[-1],
        dims.input_dilation[-1],
        tile,
        dims.padding[-1][0],
        0 if whole_line else dims.spatial[-1] - last // dims.input_dilation[-1],
        dims.spatial[-1] if whole_line else 0,
        0 if whole_line else last % dims.input_dilation[-1],
        problem.backwards,
        _rows_ahead(dims, problem.turned, problem.dtype),
        _past(problem, channels * pixels_out * dims.batch, width),
        not problem.turned and channels % width > 0,
        problem.activation,
    )
    kernels: Kernels = {"driver": (beside.name(kind), lambda t: beside.emit(t, kind))}
    if problem.turned:
        kernels["turn_in"] = (
            turn.name(scalar, "in_ahead", stored),
            lambda t: turn.emit(t, scalar, "in_ahead", stored),
        )
        kernels["turn_out"] = (
            turn.name(scalar, "out", stored),
            lambda t: turn.emit(t, scalar, "out", stored),
        )
    addresses = addresses_of(kernels, target, load)
    line_table, entry_table = _tables(dims, read, written, width)
    words: Words = {
        "lines": line_table, "entries": entry_table, "zeros": np.zeros(up(channels, width), problem.dtype),
        "pixels": _pixels(pixels_in, width),
        "samples": dims.batch, "line_count": lines, "units_each": each,
        "channels": channels, "whole": channels // width * width, "vectors": vectors,
        "lanes_last": channels - (vectors - 1) * width,
        "x_sample": problem.x_steps[0], "y_sample": problem.y_steps[0],
        "x_channel": problem.x_steps[1], "y_channel": problem.y_steps[1],
        "x_step": read[-1], "y_step": written[-1], "x_row": read[-2] if dims.rank > 1 else 0,
        "taps": dims.taps, "outputs": dims.output[-1], "final": _final(dims, tile),
        "y_ahead": -(-pixels_out * width * problem.lying // (CACHE_LINE * max(lines, 1))),
        "pixels_in": pixels_in, "pixels_out": pixels_out, "sums": pixels_in * width,
        "slope": int(np.float64(problem.slope).view(np.int64)),
        **{key: address for key, address in addresses.items() if key != "driver"},
    }  # fmt: skip
    values, kept = words_of(beside.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "beside", "vectors": tile, "scalars": 1, "panel": width,
        "channels": 1, "channel_block": 1, "outputs": 1, "output_block": 1,
        "lines": lines, "line_block": 1, "columns": dims.output[-1], "column_block": tile,
    }  # fmt: skip
    shared = Shared(vectors * width * dims.taps * itemsize, vectors, 1, 1)
    units = -(-total // each)
    return Program(
        addresses["driver"], values, units, scratch, kept, kernels, beside.FIELDS, about, shared, finite=True
    )


def weights_program(problem: WeightProblem, target: Target, load: bool) -> WeightProgram | None:
    """The program of the gradient of the weights, or None if the problem needs another one."""
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = np.dtype(problem.dtype).itemsize
    width = target.vector_bytes // itemsize
    tile, end = _tiles_apart(dims, target)
    lines = math.prod(dims.output[:-1])
    channels = dims.in_channels
    turned = problem.turned
    if (
        not (problem.by_channels or turned)
        or problem.part
        or dims.padding_mode != ZEROS
        or any(step > 1 for step in dims.input_dilation)
        or tile == 0
        or lines * math.prod(dims.kernel[:-1]) > _MOST_ENTRIES
        or channels < width
    ):
        return None
    vectors = -(-channels // width)
    padded = vectors * width
    share = dims.taps * padded
    if share * itemsize > _SHARE_BYTES:
        return None
    pixels_in, pixels_out = math.prod(dims.spatial), math.prod(dims.output)
    read, written = list(problem.x_steps[2:]), list(problem.g_steps[2:])
    scratch = 0
    if turned:
        read, written = (
            [width * step for step in without_gaps(sizes)] for sizes in (dims.spatial, dims.output)
        )
        scratch = (pixels_in + pixels_out) * width * itemsize
        if scratch > SCRATCH_BYTES // 2:
            return None
    items = dims.batch * (vectors if turned else lines)
    work = dims.output[-1] * dims.taps * (lines * width if turned else channels)
    if not turned and items < _FEW_LINES and items * work > WORK:
        return None
    # Shares are added by another pass over all of them: each does more than it leaves to that.
    each = max(-(-items // _SHARES), -(-max(WORK, _WORK_A_SUM * share) // max(work, 1)), 1)
    shares = -(-items // each)
    whole_line = dims.output[-1] == tile
    kind = beside_weights.Kind(
        scalar,
        problem.stored,
        turned,
        dims.kernel[-1],
        dims.stride[-1],
        dims.dilation[-1],
        tile,
        end,
        dims.padding[-1][0],
        0 if whole_line else dims.spatial[-1] - (dims.output[-1] - end) * dims.stride[-1],
        dims.spatial[-1] if whole_line else 0,
        _rows_ahead(dims, turned, problem.dtype),
        not turned and channels % width > 0,
    )
    kernels: Kernels = {"driver": (beside_weights.name(kind), lambda t: beside_weights.emit(t, kind))}
    if turned:
        stored = problem.stored
        kernels["turn_in"] = (
            turn.name(scalar, "in_ahead", stored),
            lambda t: turn.emit(t, scalar, "in_ahead", stored),
        )
    addresses = addresses_of(kernels, target, load)
    line_table, entry_table = _tables(dims, read, written, 1)
    entry_table[:, 1] *= padded
    words: Words = {
        "lines": line_table, "entries": entry_table,
        "pixels": _pixels(max(pixels_in, pixels_out), width),
        "items": items, "items_each": each, "line_count": lines,
        "whole": channels // width * width, "vectors": vectors,
        "lanes_last": channels - (vectors - 1) * width,
        "x_sample": problem.x_steps[0], "g_sample": problem.g_steps[0],
        "x_channel": problem.x_steps[1], "g_channel": problem.g_steps[1],
        "x_step": read[-1], "g_step": written[-1],
        "share": share, "padded": padded, "outputs": dims.output[-1],
        "pixels_in": pixels_in, "pixels_out": pixels_out, "gradients": pixels_in * width,
        "x_row": read[-2] if dims.rank > 1 else 0, "g_row": written[-2] if dims.rank > 1 else 0,
        **{key: address for key, address in addresses.items() if key != "driver"},
    }  # fmt: skip
    values, kept = words_of(beside_weights.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": tile, "scalars": 1, "panel": width,
        "channels": 1, "channel_block": 1, "outputs": 1, "output_block": 1,
        "lines": lines, "line_block": 1, "columns": dims.output[-1], "column_block": tile,
        "shares": shares, "padded": padded,
    }  # fmt: skip
    fields = beside_weights.FIELDS
    found = Program(addresses["driver"], values, shares, scratch, kept, kernels, fields, about)
    return WeightProgram(found, shares, padded)


def _tiles_apart(dims: ConvDims, target: Target) -> tuple[int, int]:
    """Outputs of a line that are computed together, and those of the last tile; 0 if there are no such tiles.

    No output is in two of them, or it would be counted twice.
    """
    taps, outputs = dims.kernel[-1], dims.output[-1]
    most = min(beside.most_outputs(target, taps), _MOST_OUTPUTS)
    if taps > _MOST_TAPS or outputs < 1:
        return 0, 0
    if outputs <= most:
        return outputs, outputs
    first, last = _between(dims)
    for tile in range(most, most // 2 - 1, -1):
        end = tile + outputs % tile
        reaches = first <= tile <= last + 1 and last >= outputs - end - 1 and outputs - end >= first
        if end <= most and reaches:
            return tile, end
    return 0, 0


def _turned_steps(dims: ConvDims, width: int) -> tuple[list[int], list[int]]:
    """Steps of turned planes in scratch: those that are read, and those of the outputs."""
    read, written = ([width * step for step in without_gaps(sizes)] for sizes in (dims.spatial, dims.output))
    return read, written


def _rows_ahead(dims: ConvDims, turned: bool, dtype: str) -> int:
    """How many rows are asked for before they are read."""
    size = dims.batch * dims.in_channels * math.prod(dims.spatial) * np.dtype(dtype).itemsize
    return 0 if turned or dims.rank == 1 or size < _AHEAD_BYTES else min(dims.stride[-2], _MOST_AHEAD)


def _between(dims: ConvDims) -> tuple[int, int]:
    """The first output of a line, and the last one, whose windows lie within it."""
    stride, zeros, before = dims.stride[-1], dims.input_dilation[-1], dims.padding[-1][0]
    reach = (dims.kernel[-1] - 1) * dims.dilation[-1]
    return max(-(-before // stride), 0), ((dims.spatial[-1] - 1) * zeros - reach + before) // stride


def _final(dims: ConvDims, tile: int) -> int:
    """Where the last tile between those at the edges may begin: all tiles there begin in the same phase."""
    zeros = dims.input_dilation[-1]
    return (_between(dims)[1] - tile + 1) // zeros * zeros


def _tile(dims: ConvDims, target: Target) -> int:
    """How many outputs of a line are computed together; 0 if lines can't be made of such tiles."""
    taps, outputs, zeros = dims.kernel[-1], dims.output[-1], dims.input_dilation[-1]
    most = min(beside.most_outputs(target, taps), _MOST_OUTPUTS)
    if taps > _MOST_TAPS or outputs < 1:
        return 0
    if outputs <= most:
        return outputs
    # As few outputs as can be twice; then, as many together.
    counts = [count for count in range(-(-most // 2), most + 1) if count % zeros == 0]
    tile = min(counts, key=lambda count: (-(-outputs // count) * count, -count), default=0)
    first, last = _between(dims)
    # The tiles at the edges have all outputs whose windows leave the line, each on its side; tiles between
    # them begin where the left one ends, and end where the right one begins.
    final = _final(dims, tile)
    reaches = first <= tile and final >= first and final + tile >= outputs - tile
    apart = tile - 1 <= last and outputs - tile >= first
    return tile if reaches and apart else 0


def _tables(
    dims: ConvDims, read: list[int], written: list[int], width: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """Each line of outputs (see :data:`beside.LINE_WORDS`), and the entries of all of them."""
    lines: list[tuple[int, int, int, int]] = []
    entries: list[tuple[int, int]] = []
    outer, zeros = dims.rank - 1, dims.input_dilation
    row = read[-2] if outer else 0
    for place in product(*(range(count) for count in dims.output[:-1])):
        first = len(entries)
        choices = []
        for axis in range(outer):
            start = place[axis] * dims.stride[axis] - dims.padding[axis][0]
            taps = [divmod(start + k * dims.dilation[axis], zeros[axis]) for k in range(dims.kernel[axis])]
            choices.append(
                [(at, k) for k, (at, rest) in enumerate(taps) if rest == 0 and 0 <= at < dims.spatial[axis]]
            )
        for some in product(*choices):
            number = 0
            for axis, (_, k) in enumerate(some):
                number = number * dims.kernel[axis] + k
            at = sum(at * step for (at, _), step in zip(some, read, strict=False))
            entries.append((at, number * dims.kernel[-1] * width))
        ahead = (entries[-1][0] if len(entries) > first else 0) + row
        to = sum(o * step for o, step in zip(place, written, strict=False))
        lines.append((first, len(entries) - first, ahead, to))
    return np.array(lines, np.int64), np.array(entries or [(0, 0)], np.int64)


def _pixels(count: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Where the pixels of a plane go when it is turned."""
    places = np.zeros((count, 2), np.int64)
    places[:, 0] = np.arange(count) * width
    return places


def _past(problem: Problem, outputs: int, width: int) -> bool:
    """Whether outputs are many, and written in whole aligned vectors."""
    steps = [step for number, step in enumerate(problem.y_steps) if number != 1]
    return (
        problem.aligned
        and not problem.turned
        # Halves of a vector of channels are half a line of cache, and the next of it is written much later.
        and not problem.stored
        and outputs * problem.lying >= PAST_BYTES
        and problem.dims.in_channels % width == 0
        and all(step % width == 0 for step in steps)
    )
