"""A convolution as the matrix it is: every output a weighted sum of inputs, a row of weights for each.

The matrix is built from the definition alone, so that it can be held against any faster way of convolving. It
has an entry for every pair of an output and an input, most of them zero: it is for looking and for checking.
"""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry import ConvDims
from tilewright.geometry.axes import PerAxis
from tilewright.geometry.padding import Padding
from tilewright.lens import style
from tilewright.lens.arrays import Floats, has_marked, numbers, reach, real, short
from tilewright.lens.page import MARGIN, Page, signed_picture

# 64 Mi entries, half a gigabyte in float64: the matrix of a 90 x 90 picture.
MOST_ENTRIES = 2**26
# Up to this many rows and columns a cell is wide enough for its value.
_MOST_WRITTEN = 26
# A page of this many cells a side has a cell for every three pixels.
_MOST_DRAWN = 400


def convolution_matrix(
    kernel: npt.ArrayLike,
    input_shape: int | tuple[int, ...],
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
) -> npt.NDArray[Any]:
    """The dense matrix of a single-channel cross-correlation: ``(M @ x.ravel()).reshape(output_shape) == y``.

    From the definition ``y[o] = Σ_t x[o·stride + t·dilation − pad] · kernel[t]``: row ``o`` holds
    ``kernel[t]`` in the column of ``o·stride + t·dilation − pad``, for every tap ``t`` whose place lies
    inside the input. The transposed convolution is multiplication by ``M.T``.

    Args:
        kernel: one to three axes, any real dtype.
        input_shape: the input's size on each axis (for one axis, an int will do).
        stride: steps between outputs; an int, or one for each axis.
        padding: zeros around the input: an int, one for each axis, a (before, after) pair for each axis, or a
            name (``valid``, ``same``, ``same_lower``, ``full``, ``causal``); negative crops.
        dilation: steps between taps; an int, or one for each axis.

    Returns:
        (outputs, inputs), of the kernel's dtype, outputs and inputs counted in C order.

    Raises:
        ShapeError: when the ranks don't fit, the kernel is larger than the padded input, or the matrix would
            have more than 2**26 entries.
        DtypeError: when the kernel is not made of real numbers.
        ArgumentError: when a stride, dilation, padding or size is outside its rule.

    >>> convolution_matrix([1, 2, 3], 5)
    array([[1, 2, 3, 0, 0],
           [0, 1, 2, 3, 0],
           [0, 0, 1, 2, 3]])
    """
    taps = real("convolution_matrix", "kernel", kernel)
    if taps.ndim not in (1, 2, 3) or taps.size == 0:
        raise ShapeError(
            "convolution_matrix needs kernel of rank 1, 2 or 3 with at least one tap.", describe(kernel=taps)
        )
    sizes = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
    if len(sizes) != taps.ndim:
        raise ShapeError(
            f"convolution_matrix needs input_shape with one size for each of the kernel's {taps.ndim} axes.",
            describe(kernel=taps, input_shape=input_shape),
        )
    dims = ConvDims.of(
        (1, 1, *sizes),
        (1, 1, *taps.shape),
        stride=stride,
        padding=padding,
        dilation=dilation,
        op="convolution_matrix",
    )
    if min(dims.spatial) < 1:
        raise ShapeError(
            "convolution_matrix needs an input of at least one sample.", describe(input_shape=sizes)
        )
    rows, columns = math.prod(dims.output), math.prod(dims.spatial)
    if rows * columns > MOST_ENTRIES:
        raise ShapeError(
            f"convolution_matrix builds at most {MOST_ENTRIES:,} entries.",
            f"{rows:,} outputs and {columns:,} inputs",
            "Take a smaller input: the pattern is the same.",
        )
    matrix = np.zeros((rows, columns), dtype=taps.dtype)
    for tap in itertools.product(*(range(length) for length in taps.shape)):
        # Where in the input this tap reads for each output, axis by axis; negative is before its start.
        places = [
            np.arange(count) * stretch + place * step - before
            for count, stretch, place, step, (before, _) in zip(
                dims.output, dims.stride, tap, dims.dilation, dims.padding, strict=True
            )
        ]
        grid = np.stack(np.meshgrid(*places, indexing="ij")).reshape(taps.ndim, -1)
        inside = np.all((grid >= 0) & (grid < np.array(dims.spatial)[:, None]), axis=0)
        column = np.ravel_multi_index(tuple(grid[:, inside]), dims.spatial)
        matrix[np.flatnonzero(inside), column] = taps[tap]
    return matrix


def draw_matrix(
    matrix: npt.ArrayLike,
    path: str | os.PathLike[str],
    title: str = "A convolution as a matrix",
    *,
    blocks: tuple[int, int] | None = None,
) -> Path:
    """Draw a matrix cell by cell, so that its bands show; small ones with their values.

    Args:
        matrix: (outputs, inputs), any real dtype.
        path: the PNG file to write.
        title: the headline.
        blocks: (rows, columns) of a block, to be set apart by stronger lines: for a picture, the width of the
            output and the width of the input.

    Returns:
        The path of the picture. A matrix of more than 400 rows or columns is thinned: a cell then shows the
        largest value of the entries that it stands for.

    Raises:
        ShapeError: when the matrix is empty or not of rank 2.
        DtypeError: when it is not made of real numbers.
        ArgumentError: when a block is smaller than one entry, or no picture can be saved at ``path``.

    >>> matrix = convolution_matrix([[0, 1], [2, 3]], (4, 4))
    >>> draw_matrix(matrix, "matrix.png", blocks=(3, 4))  # doctest: +SKIP
    PosixPath('matrix.png')
    """
    style.ready(path)
    cells = numbers("draw_matrix", "matrix", matrix, {2: "(outputs, inputs)"})
    if blocks is not None and (len(blocks) != 2 or min(blocks) < 1):
        raise ArgumentError(
            "draw_matrix needs blocks of at least one row and one column.", describe(blocks=blocks)
        )
    rows, columns = cells.shape
    filled = int(np.count_nonzero(cells))
    size = f"{_counted(rows, 'output')} × {_counted(columns, 'input')}"
    subtitle = f"{size}; {filled:,} of {cells.size:,} entries are not zero"
    thinned = _thinned(cells)
    if thinned.shape != cells.shape:
        subtitle += "; thinned for drawing, the largest value of a cell is shown"
    if has_marked(cells):
        subtitle += f"; {style.MARKED_NOTE}"
    cell = min(0.42, 8.0 / max(thinned.shape))
    # Even a single row or column stays a visible strip.
    wide, high = max(cell * thinned.shape[1], 0.15), max(cell * thinned.shape[0], 0.15)
    left, top = MARGIN + 0.45, 0.4
    page = Page(max(left + wide + MARGIN, 5.2), top + high + 0.75, title, subtitle)
    limit = reach(thinned)
    page.sheet.imshow(
        signed_picture(thinned, limit),
        extent=(left, left + wide, top + high, top),
        aspect="auto",
        interpolation="nearest",
    )
    _rule(page, (left, top, wide, high), cells.shape, blocks)
    page.box(left, top, wide, high, edge=style.MUTED)
    if max(cells.shape) <= _MOST_WRITTEN:
        _values(page, cells, left, top, cell, limit)
    page.write(left + wide / 2, 0.12, "input", colour=style.MUTED, across="center")
    page.write(MARGIN + 0.08, top + high / 2, "output", colour=style.MUTED, across="center", turn=90)
    page.scale_bar(left + 0.15, top + high + 0.2, 1.6, limit)
    return page.save(path)


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _thinned(cells: Floats) -> Floats:
    """At most 400 rows and columns: each cell the entry of largest magnitude among those it stands for.

    A mean would fade a thin band away, and taking every second entry would tear it.
    """
    for axis in (0, 1):
        group = -(-cells.shape[axis] // _MOST_DRAWN)
        if group > 1:
            missing = -cells.shape[axis] % group
            widths = [(0, missing if axis == this else 0) for this in (0, 1)]
            padded = np.moveaxis(np.pad(cells, widths), axis, 0)
            parts = padded.reshape(-1, group, padded.shape[1])
            # A value that is not finite outranks all others, so that it can't hide.
            rank = np.where(np.isfinite(parts), np.abs(parts), np.inf)
            largest = np.take_along_axis(parts, rank.argmax(axis=1)[:, None], axis=1)[:, 0]
            cells = np.moveaxis(largest, 0, axis)
    return cells


def _rule(
    page: Page,
    place: tuple[float, float, float, float],
    shape: tuple[int, ...],
    blocks: tuple[int, int] | None,
) -> None:
    """Light lines between the entries while they are few, and stronger ones between blocks."""
    left, top, wide, high = place
    for axis, count in enumerate(shape):
        if count > 64 and (blocks is None or count > 100 * blocks[axis]):  # too close to be told apart
            continue
        for at in range(1, count):
            strong = blocks is not None and at % blocks[axis] == 0
            if (
                not strong and max(shape) > 64
            ):  # lines an eighth of an inch apart are still a grid, closer ones a fog
                continue
            colour, thick = (style.MUTED, 0.9) if strong else (style.GRID, 0.5)
            if max(shape) > 64:
                colour, thick = style.GRID, 0.6
            if axis == 0:
                down = top + high * at / count
                page.line([(left, down), (left + wide, down)], colour=colour, thick=thick)
            else:
                across = left + wide * at / count
                page.line([(across, top), (across, top + high)], colour=colour, thick=thick)


def _values(page: Page, cells: Floats, left: float, top: float, cell: float, limit: float) -> None:
    for row, column in np.argwhere(cells):
        value = float(cells[row, column])
        text = short(value) if math.isfinite(value) else "?"
        size = min(9.0, 9.0 * (cell - 0.06) / style.text_width(text, 9.0))
        dark = not math.isfinite(value) or abs(value) > 0.55 * limit
        page.write(
            left + (column + 0.5) * cell,
            top + (row + 0.5) * cell,
            text,
            size=size,
            colour=style.PAPER if dark else style.INK,
            across="center",
            down="center",
        )
