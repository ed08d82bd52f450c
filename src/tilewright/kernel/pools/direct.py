"""Pools that read windows where they stand, as programs: tables and function chosen once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel.planes.program import table
from tilewright.kernel.pools import lines, spread, windows
from tilewright.kernel.pools.problem import WORK, Problem, Steps
from tilewright.kernel.pools.spans import Span, forward_spans, gradient_spans, leads_of
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Words, addresses_of, words_of
from tilewright.plan.target import Target, host

Table = npt.NDArray[Any]

# Smaller inputs are in some cache.
_CACHED_BYTES = 1 << 20
# Measured beside packed blocks on planes of 7×7 to 112×112: with a stride of 2, 1 to 2.2 times as fast up to
# 3×3; with a stride of 1, 1.1 to 1.7 times as slow but for lines of seven vectors.
_FEW_TAPS, _LONG_LINE = 12, 7
# Lines of gradients, in vectors. Where samples belong to one output each, they gather 1.2 times as fast
# as outputs give theirs away, from 7 vectors on; means 1.3 times as fast as packed, from 3 on.
_LINE = 3
#: Where there is no axis but one.
ALONE = Span(1, np.zeros(1, np.int64), np.ones(1, np.int64), 1)


def along_channels(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """Vectors along the channels; without ``load`` nothing is compiled: it can be read, but not run."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    # Where all windows have one divisor, it can be divided by after adding up.
    kind = "mean" if problem.kind == "shares" and not problem.each else problem.kind
    spans, read, written = _spans(problem)
    lines_table, leads = tables_of(spans, read, written)
    line_count, last = len(lines_table), spans[-1]
    # -- units
    taps = int(last.count.sum()) * max(int(lines_table[:, 3].sum()), line_count)
    lines_a_unit = min(max(WORK * line_count // max(taps * dims.channels, 1), 1), line_count)
    line_blocks = -(-line_count // lines_a_unit)
    stored = problem.stored
    kernels: Kernels = {
        "driver": (windows.name(scalar, kind, stored), lambda t: windows.emit(t, scalar, kind, stored))
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "lines": lines_table, "leads": leads, "columns": np.stack([last.first, last.count], axis=1),
        "line_count": line_count, "lines_a_unit": lines_a_unit, "line_blocks": line_blocks,
        "column_count": last.written, "channels": dims.channels,
        "x_sample": problem.x_steps[0], "x_column": read[-1],
        "y_sample": problem.y_steps[0], "y_column": written[-1],
        "step": last.step, "each": int(problem.each),
    }  # fmt: skip
    values, kept = words_of(windows.FIELDS, words)
    about = about_of(
        "by_channels", windows.vectors(target), width, dims.channels, line_count, lines_a_unit, last
    )
    units = dims.batch * line_blocks
    return Program(addresses["driver"], values, units, 0, kept, kernels, windows.FIELDS, about)


def along_lines(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """Vectors along the lines of a plane; without ``load`` nothing is compiled."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    kind = "mean" if problem.kind == "shares" else problem.kind
    spans, read, written = _spans(problem)
    lines_table, leads = tables_of(spans, read, written)
    last = spans[-1]
    form = dims.adjoint() if problem.backwards else dims
    stride, dilation, before = form.stride[-1], form.dilation[-1], form.padding[-1][0]
    inside, outside = lines.inside(last.size, last.written, stride, form.reach[-1], before, width)
    fetched, advance = 0, 0
    if problem.lying * math.prod(dims.input_shape) > _CACHED_BYTES:
        bytes = problem.lying * width
        fetched, advance = lines.fetched(lines_table[:, 0], last.size, last.written, bytes)
    taps = int(lines_table[:, 3].sum()) * form.kernel[-1] * last.written
    shared, units = planes_of(problem, len(lines_table), taps)
    stored = problem.stored
    kernels: Kernels = {
        "driver": (
            lines.name(scalar, kind, stride, stored),
            lambda t: lines.emit(t, scalar, kind, stride, stored),
        )
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        **shared, "lines": lines_table, "leads": leads,
        # Vectors may be read behind the end.
        "firsts": np.concatenate([last.first, np.zeros(2 * width, np.int64)]),
        "size": last.size, "places": last.written, "inside": inside, "outside": outside,
        "taps": form.kernel[-1], "dilation": dilation, "before": before,
        "each": int(problem.each), "fetched": fetched, "advance": advance,
    }  # fmt: skip
    values, kept = words_of(lines.FIELDS, words)
    about = about_of("by_pixels", 2, width, 1, len(lines_table), int(shared["lines_a_unit"]), last)
    return Program(addresses["driver"], values, units, 0, kept, kernels, lines.FIELDS, about)


def channels_serve(problem: Problem) -> bool:
    """Whether :func:`along_channels` computes this: the channels lie innermost in both arrays."""
    return problem.x_steps[1] == 1 == problem.y_steps[1] and problem.dims.channels > 1


def along_phases(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """Vectors along both phases of the lines of a gradient; without ``load`` nothing is compiled."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    kind = "mean" if problem.kind == "shares" and not problem.each else problem.kind
    spans, read, written = _spans(problem)
    lines_table, leads = tables_of(spans, read, written)
    last = spans[-1]
    even, odd = spread.shifts_of(dims.adjoint())
    inside, outside = spread.inside([*even, *odd], last.size, last.written, width)
    bounds = [4, 4 + len(even), 4 + len(even), 4 + len(even) + len(odd)]
    taps = int(lines_table[:, 3].sum()) * (1 + (len(even) + len(odd)) // 2) * last.written
    stored = problem.stored
    kernels: Kernels = {
        "driver": (spread.name(scalar, kind, stored), lambda t: spread.emit(t, scalar, kind, stored))
    }
    addresses = addresses_of(kernels, target, load)
    shared, units = planes_of(problem, len(lines_table), taps)
    words: Words = {
        **shared, "lines": lines_table, "leads": leads, "shifts": table([*bounds, *even, *odd]),
        "size": last.size, "places": last.written, "inside": inside, "outside": outside,
    }  # fmt: skip
    values, kept = words_of(spread.FIELDS, words)
    about = about_of("by_pixels", 2, width, 1, len(lines_table), int(shared["lines_a_unit"]), last)
    return Program(addresses["driver"], values, units, 0, kept, kernels, spread.FIELDS, about)


def phases_serve(problem: Problem) -> bool:
    """Whether :func:`along_phases` computes this."""
    follow = problem.x_steps[-1] == problem.y_steps[-1] == 1
    return problem.backwards and follow and problem.dims.stride[-1] == 2


def phases_pay(problem: Problem, target: Target) -> bool:
    """Whether :func:`along_phases` computes this, and does it faster than another way."""
    dims = problem.dims
    if not phases_serve(problem):
        return False
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    # Of how many outputs a sample may be part.
    most = math.prod(-(-k // s) for k, s in zip(dims.kernel, dims.stride, strict=True))
    if problem.kind == "max_gradient":
        return most == 1 and dims.spatial[-1] >= _LONG_LINE * width
    return most <= _FEW_TAPS and dims.spatial[-1] >= _LINE * width


def planes_of(problem: Problem, line_count: int, taps: int) -> tuple[dict[str, int], int]:
    """The words of units of work that are planes, or blocks of their lines; and how many units there are."""
    dims = problem.dims
    planes = dims.batch * dims.channels
    lines_a_unit = min(max(WORK * line_count // max(taps, 1), 1), line_count)
    line_blocks = -(-line_count // lines_a_unit)
    planes_a_unit = min(max(WORK // max(taps, 1), 1), planes) if line_blocks == 1 else 1
    words = {
        "planes": planes, "planes_a_unit": planes_a_unit,
        "line_count": line_count, "lines_a_unit": lines_a_unit, "line_blocks": line_blocks,
        "channels": dims.channels,
        "x_sample": problem.x_steps[0], "x_channel": problem.x_steps[1],
        "y_sample": problem.y_steps[0], "y_channel": problem.y_steps[1],
    }  # fmt: skip
    return words, -(-planes // planes_a_unit) * line_blocks


def lines_serve(problem: Problem) -> bool:
    """Whether :func:`along_lines` computes this."""
    if problem.kind == "max_gradient" or (problem.kind == "shares" and problem.each):
        return False
    if problem.backwards and problem.dims.stride[-1] != 1:
        return False
    return problem.x_steps[-1] == problem.y_steps[-1] == 1 and problem.dims.stride[-1] in lines.STRIDES


def lines_pay(problem: Problem, target: Target) -> bool:
    """Whether :func:`along_lines` computes this, and does it faster than from packed blocks.

    Reading where they stand what few taps need saves a pass, but lines end with vectors that aren't full, and
    at a stride of 2 every tap takes two vectors.
    """
    if not lines_serve(problem):
        return False
    form = problem.dims.adjoint() if problem.backwards else problem.dims
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    return form.taps <= _FEW_TAPS and (form.stride[-1] == 2 or form.output[-1] >= _LONG_LINE * width)


def _spans(problem: Problem) -> tuple[list[Span], Steps, Steps]:
    """The spans of all axes, at least two, and the arrays' steps along them."""
    spans = gradient_spans(problem.dims) if problem.backwards else forward_spans(problem.dims)
    x_steps, y_steps = problem.x_steps[2:], problem.y_steps[2:]
    if len(spans) < 2:
        return [ALONE, *spans], (0, *x_steps), (0, *y_steps)
    return spans, x_steps, y_steps


def tables_of(spans: list[Span], x_steps: Steps, y_steps: Steps) -> tuple[Table, Table]:
    """The lines that are written, and the list of those that each reads."""
    read, leads = leads_of(spans, x_steps)
    to = np.zeros((1,) * (len(spans) - 1), np.int64)
    for axis, span in enumerate(spans[:-1]):
        along = [1] * (len(spans) - 1)
        along[axis] = -1
        to = to + (np.arange(span.written) * y_steps[axis]).reshape(along)
    own = np.arange(len(read)) * spans[-1].written
    found = np.concatenate([read, to.reshape(-1, 1), own.reshape(-1, 1)], axis=1)
    return found, leads if len(leads) else table([])


def about_of(
    side: str, vectors: int, width: int, channels: int, line_count: int, lines_a_unit: int, last: Span
) -> dict[str, int | str]:
    """What a program says of itself."""
    return {
        "side": side, "vectors": vectors, "scalars": 1, "panel": width, "channels": channels,
        "channel_block": channels, "outputs": channels, "output_block": channels,
        "lines": line_count, "line_block": lines_a_unit,
        "columns": last.written, "column_block": last.written,
    }  # fmt: skip
