"""Pools along the pixels whose windows don't overlap along a line, as programs.

Of windows as wide as the plane, lines follow each other in memory: all of them are one long line.
"""

from __future__ import annotations

import numpy as np

from tilewright.kernel.planes.program import table
from tilewright.kernel.pools import fill, fold
from tilewright.kernel.pools.direct import ALONE, about_of, planes_of, tables_of
from tilewright.kernel.pools.problem import Problem, Steps
from tilewright.kernel.pools.spans import Span, forward_spans, gradient_spans
from tilewright.kernel.tiles.convolve import SCALARS, Kernels, Program, Words, addresses_of, words_of
from tilewright.plan.planes import pool_packs, windows_apart
from tilewright.plan.target import Target, host

# Measured: with fewer samples in a window combining lanes takes longer than packing.
_SAMPLES = 16


def program(problem: Problem, target: Target | None = None, *, load: bool = True) -> Program:
    """The program for a problem; without ``load`` nothing is compiled: it can be read, but not run."""
    target = target or host()
    scalar, stored = SCALARS[problem.dtype], problem.stored
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    spans, last, read, written = _merged(problem)
    lines, leads = tables_of(spans, read, written)
    taps = int(lines[:, 3].sum()) * int(last.count.sum())
    shared, units = planes_of(problem, len(lines), max(taps, len(lines) * spans[-1].written))
    words: Words = {**shared, "lines": lines, "leads": leads, "each": int(problem.each)}
    if problem.backwards:
        kernels: Kernels = {"driver": (fill.name(scalar, stored), lambda t: fill.emit(t, scalar, stored))}
        segments = _segments(last)
        words |= {
            "segments": table(segments), "segment_count": len(segments) // fill.SEGMENT_WORDS,
            "x_column": read[-1],
        }  # fmt: skip
        fields = fill.FIELDS
    else:
        kind = problem.kind
        kernels = {"driver": (fold.name(scalar, kind, stored), lambda t: fold.emit(t, scalar, kind, stored))}
        columns = np.stack([last.first, last.count], axis=1)
        words |= {"columns": columns, "places": last.written, "y_column": written[-1]}
        fields = fold.FIELDS
    addresses = addresses_of(kernels, target, load)
    values, kept = words_of(fields, {**words, **addresses})
    about = about_of("by_pixels", 4, width, 1, len(lines), int(shared["lines_a_unit"]), last)
    return Program(addresses["driver"], values, units, 0, kept, kernels, fields, about)


def serves(problem: Problem) -> bool:
    """Whether this computes it: windows without gaps that don't overlap along a line."""
    if problem.kind == "max_gradient":
        return False
    if (problem.y_steps if problem.backwards else problem.x_steps)[-1] != 1:
        return False
    return windows_apart(problem.dims)


def pays(problem: Problem, target: Target) -> bool:
    """Whether this computes it, and does it faster than another way."""
    dims = problem.dims
    width = target.vector_bytes // np.dtype(problem.dtype).itemsize
    if not pool_packs(dims, problem.dtype, target):
        return serves(problem)
    # With larger strides blocks are packed and put sample by sample, and few outputs leave vectors empty.
    if dims.stride[-1] <= 2 and dims.output[-1] * 2 > width:
        return False
    return serves(problem) and (problem.backwards or dims.taps >= _SAMPLES)


def _merged(problem: Problem) -> tuple[list[Span], Span, Steps, Steps]:
    """The spans of what is written, the windows along the last axis, and the steps along the axes.

    Axes that all windows span whole, and which follow each other in memory, are one with the axis before.
    """
    forward = forward_spans(problem.dims)
    backward = gradient_spans(problem.dims)
    x_steps, y_steps = list(problem.x_steps[2:]), list(problem.y_steps[2:])
    if len(forward) < 2:
        forward, backward = [ALONE, *forward], [ALONE, *backward]
        x_steps, y_steps = [0, *x_steps], [0, *y_steps]
    large, small = (y_steps, x_steps) if problem.backwards else (x_steps, y_steps)
    last = forward[-1]
    size = last.size
    while len(forward) > 2 or forward[0] is not ALONE:
        before = forward[-2]
        whole = last.written == 1 and int(last.count[0]) == size and before.step == 1
        if not whole or large[-2] != size * large[-1]:
            break
        if problem.backwards and (before.first[1:] < before.first[:-1] + before.count[:-1]).any():
            break
        last = Span(before.size * size, before.first * size, before.count * size, 1)
        size = last.size
        forward, backward = [*forward[:-2], last], backward[:-1]
        large[-2:], small[-2:] = [large[-1]], [small[-2]]
        if len(forward) < 2:
            forward, backward = [ALONE, *forward], [ALONE, *backward]
            large.insert(0, 0)
            small.insert(0, 0)
    # Of a line that is written only its length matters here.
    zeros = np.zeros(size if problem.backwards else last.written, np.int64)
    own = Span(last.written if problem.backwards else size, zeros, zeros, 1)
    spans = [*(backward if problem.backwards else forward)[:-1], own]
    return spans, last, tuple(x_steps), tuple(y_steps)


def _segments(last: Span) -> list[int]:
    """The windows of a line, and the gaps between them: first, count and place of each."""
    found: list[int] = []
    end = 0
    for place, (first, count) in enumerate(zip(last.first.tolist(), last.count.tolist(), strict=True)):
        if count == 0:
            continue
        if first > end:
            found += (end, first - end, -1)
        found += (first, count, place)
        end = first + count
    if end < last.size:
        found += (end, last.size - end, -1)
    return found
