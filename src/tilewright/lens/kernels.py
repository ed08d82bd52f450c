"""The weights of a convolution as pictures: what each kernel looks for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewright.lens import style
from tilewright.lens.arrays import Floats, finite, numbers, reach, short
from tilewright.lens.page import MARGIN, Page, signed_picture

# What still fits one page with every tile large enough to read.
MOST_TILES = 64
MOST_STEMS = 24
MOST_ROWS = 12

_AXES = {
    3: "(out, in, length)",
    4: "(out, in, height, width)",
    5: "(out, in, depth, height, width)",
}


def draw_kernels(weights: npt.ArrayLike, path: str | os.PathLike[str], title: str = "Kernels") -> Path:
    """Draw the kernels of a convolution, all on one signed scale: white is zero, orange above, blue below.

    Two spatial axes give a grid of pictures (up to 64), one gives stem plots (up to 24), three give a row of
    slices for each kernel (up to 12). The line under the headline says how many of how many are shown.

    Args:
        weights: (out, in, *kernel) with one to three kernel axes, any real dtype, every value finite.
        path: the PNG file to write.
        title: the headline.

    Returns:
        The path of the picture.

    Raises:
        ShapeError: when the rank is not 3, 4 or 5, or there are no weights.
        DtypeError: when the weights are not real numbers.
        ArgumentError: when a weight is not finite, or no picture can be saved at ``path``.

    >>> import numpy as np
    >>> draw_kernels(np.random.default_rng(0).normal(size=(32, 1, 5, 5)), "kernels.png")  # doctest: +SKIP
    PosixPath('kernels.png')
    """
    style.ready(path)
    array = finite("draw_kernels", "weights", numbers("draw_kernels", "weights", weights, _AXES))
    draw = {3: _stems, 4: _tiles, 5: _slices}[array.ndim]
    return draw(array, title).save(path)


def _shown(weights: Floats, most: int) -> tuple[int, int]:
    """How many outputs and inputs are shown: whole outputs where they fit, at most eight inputs of each."""
    inputs = min(weights.shape[1], 8)
    return min(weights.shape[0], max(1, most // inputs)), inputs


def _subtitle(weights: Floats, shown: int) -> str:
    outputs, inputs = weights.shape[:2]
    size = " × ".join(str(length) for length in weights.shape[2:])
    count = f"{shown} of {outputs * inputs:,} kernels" if outputs * inputs > 1 else "1 of 1 kernel"
    return f"{count} of size {size} ({outputs} out × {inputs} in), one scale: ±{short(reach(weights))}"


def _tiles(weights: Floats, title: str) -> Page:
    """A grid of pictures: each output a block of its inputs, several blocks to a row where they are few."""
    outputs, inputs = _shown(weights, MOST_TILES)
    # Rows of about twelve tiles fill a page; one-input kernels look best eight to a row (8 x 8 = 64).
    across = min(outputs, 8 if inputs == 1 else max(1, 12 // inputs))
    tile, gap, space, top = 0.82, 0.06, 0.22, 0.3
    block = inputs * (tile + gap) + space
    step = tile + 0.3
    rows = -(-outputs // across)
    width = max(2 * MARGIN + across * block - space, 5.2)
    subtitle = _subtitle(weights, outputs * inputs)
    if inputs > 1:
        subtitle += (
            f"; side by side: the first {inputs} inputs"
            if inputs < weights.shape[1]
            else "; side by side: inputs"
        )
    page = Page(width, top + rows * step + 0.6, title, subtitle)
    limit = reach(weights)
    for out in range(outputs):
        left = MARGIN + (out % across) * block
        down = top + (out // across) * step
        _name(page, left, down, f"out {out}")
        for channel in range(inputs):
            page.picture(
                signed_picture(weights[out, channel], limit), left + channel * (tile + gap), down, tile
            )
    page.scale_bar(MARGIN + 0.1, top + rows * step + 0.02, 1.6, limit)
    return page


def _name(page: Page, left: float, foot: float, name: str) -> None:
    """A kernel's name, just above it."""
    page.write(left, foot - 0.04, name, size=style.SMALL_SIZE, colour=style.MUTED, down="baseline")


def _slices(weights: Floats, title: str) -> Page:
    """A row for each kernel, its slices from left to right; short rows stand in several columns."""
    outputs, inputs = weights.shape[:2]
    count = min(outputs * inputs, MOST_ROWS)
    depth = min(weights.shape[2], MOST_ROWS)
    tile, gap, label, top = 0.8, 0.06, 0.85, 0.3
    block = label + depth * (tile + gap)
    # As many columns as a page of about eleven inches holds, but no column of a single row.
    across = int(min(max(1.0, 11.0 // (block + 0.3)), max(1, count // 2)))
    rows = -(-count // across)
    subtitle = _subtitle(weights, count)
    if depth < weights.shape[2]:
        subtitle += f"; the first {depth} of {weights.shape[2]} slices"
    width = max(2 * MARGIN + across * (block + 0.3) - 0.3, 5.2)
    page = Page(width, top + rows * (tile + gap) + 0.6, title, subtitle)
    limit = reach(weights)
    for place in range(count):
        left = MARGIN + (place // rows) * (block + 0.3)
        down = top + (place % rows) * (tile + gap)
        out, channel = divmod(place, inputs)
        name = f"out {out}" if inputs == 1 else f"out {out}, in {channel}"
        page.write(left, down + tile / 2, name, size=style.SMALL_SIZE, colour=style.MUTED)
        for part in range(depth):
            at = left + label + part * (tile + gap)
            page.picture(signed_picture(weights[out, channel, part], limit), at, down, tile)
            if place % rows == 0:
                _name(page, at, down, f"slice {part}")
    page.scale_bar(MARGIN + label + 0.1, top + rows * (tile + gap) + 0.1, 1.6, limit)
    return page


def _stems(weights: Floats, title: str) -> Page:
    """A small plot for each kernel: a stem per tap, orange above zero and blue below."""
    outputs, inputs = weights.shape[:2]
    count = min(outputs * inputs, MOST_STEMS)
    across = min(count, 6)
    wide, high, top = 1.7, 1.0, 0.3
    rows = -(-count // across)
    page = Page(
        max(2 * MARGIN + across * wide, 5.2), top + rows * (high + 0.35), title, _subtitle(weights, count)
    )
    limit = reach(weights)
    taps = weights.shape[2]
    # Thin stems stay apart when there are many taps.
    thick = min(2.4, 72 * (wide - 0.2) / taps * 0.5)
    for place in range(count):
        out, channel = divmod(place, inputs)
        left = MARGIN + (place % across) * wide
        middle = top + (place // across) * (high + 0.35) + high / 2
        name = f"out {out}" if inputs == 1 else f"out {out}, in {channel}"
        page.box(left, middle - high / 2, wide - 0.15, high, edge=style.GRID)
        _name(page, left, middle - high / 2, name)
        page.line([(left, middle), (left + wide - 0.15, middle)], colour=style.FRAME, thick=0.8)
        places = left + (wide - 0.15) * (np.arange(taps) + 0.5) / taps
        values = weights[out, channel]
        tips = middle - 0.44 * high * values / limit
        for chosen, colour in ((values >= 0, style.VERMILION), (values < 0, style.BLUE)):
            if chosen.any():
                page.sheet.vlines(places[chosen], middle, tips[chosen], colors=colour, linewidths=thick)
                page.sheet.plot(
                    places[chosen], tips[chosen], "o", color=colour, markersize=max(1.5, 1.7 * thick), mew=0
                )
    return page
