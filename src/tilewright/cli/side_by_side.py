"""A picture before and after, side by side in one figure."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.files import write_atomically
from tilewright.lens import style

if TYPE_CHECKING:
    from tilewright.image.picture import Array, Picture

# Inches: each panel's width, the room around and between them, and for a line of words.
_PANEL, _MARGIN, _GAP, _LINE = 4.8, 0.3, 0.3, 0.32
# A panel taller than this share of its width is made narrower: portraits must not fill three screens.
_TALLEST = 1.25
# The side of the enlarged detail, in pixels of the picture, and from how many times that it is worth one.
_DETAIL, _WORTH = 96, 3
# Matplotlib's figures share caches; pictures may be drawn by several threads.
_drawing = threading.Lock()


def draw(before: Picture, after: Picture, path: Path, name: str, words: str) -> Path:
    """Write a figure of both pictures, and below, of large ones, a detail enlarged.

    Args:
        before: the picture as it was.
        after: what became of it, of the same proportions.
        path: of the PNG file.
        name: of the picture, its title.
        words: what was done, the other's title.

    Raises:
        MissingExtraError: Matplotlib isn't installed.
        OSError: the disk refuses.
    """
    with _drawing:
        figure = _figure(before, after, name, words)
        content = style.render(figure)
    write_atomically(path, content)
    return path


def _figure(before: Picture, after: Picture, name: str, words: str) -> Any:
    panels = [(_shown(before), _shown(after))]
    titles = [(name, words)]
    if min(before.height, before.width) >= _WORTH * _DETAIL:
        panels.append(_details(*panels[0]))
        titles.append((f"{_DETAIL} × {_DETAIL} pixels of it", "the same pixels, afterwards"))
    ratio = before.height / before.width
    width = _PANEL if ratio <= _TALLEST else _PANEL * _TALLEST / ratio
    heights = [width * ratio, *([width] * (len(panels) - 1))]
    # A very flat picture still needs room for its titles' letters.
    page = max(2 * width + 2 * _MARGIN + _GAP, 4.0)
    total = sum(heights) + len(panels) * _LINE + 2 * _MARGIN + (len(panels) - 1) * _GAP
    figure = style.new_figure(page, total)
    top = total - _MARGIN
    for pair, pair_titles, height in zip(panels, titles, heights, strict=True):
        top -= _LINE
        for place, (pixels, title) in enumerate(zip(pair, pair_titles, strict=True)):
            left = _MARGIN + place * (width + _GAP)
            figure.text(
                left / page,
                (top + 0.1) / total,
                style.fit(title, style.TEXT_SIZE, width, bold=True),
                fontsize=style.TEXT_SIZE,
                fontfamily=style.FONT,
                fontweight="bold",
                color=style.INK,
                parse_math=False,
            )
            axes = figure.add_axes((left / page, (top - height) / total, width / page, height / total))
            axes.set_axis_off()
            # Enlarged pixels stay squares; of larger pictures, what can't be shown is averaged.
            is_small = pixels.shape[1] < width * style.DPI
            axes.imshow(
                pixels,
                cmap="gray",
                vmin=0,
                vmax=255,
                aspect="auto",
                interpolation="nearest" if is_small else "antialiased",
            )
        top -= height + _GAP
    return figure


def _shown(picture: Picture) -> Array:
    """The picture as uint8 on white."""
    values = picture.pixels.astype(np.float32) * np.float32(255 / picture.top)
    if picture.alpha is not None:
        share = picture.alpha.astype(np.float32) / np.float32(picture.top)
        share = share if values.ndim == 2 else share[..., None]
        values = values * share + 255 * (1 - share)
    whole: Array = np.rint(np.clip(np.nan_to_num(values), 0, 255)).astype(np.uint8)
    return whole


def _details(before: Array, after: Array) -> tuple[Array, Array]:
    """The same square of both pictures: of those half a square apart, the one in which most goes on."""
    grey = (before if before.ndim == 2 else before.mean(axis=2)).astype(np.float32)
    change = np.zeros(grey.shape)
    change[1:] += np.abs(np.diff(grey, axis=0))
    change[:, 1:] += np.abs(np.diff(grey, axis=1))
    sums = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    ys = np.arange(0, before.shape[0] - _DETAIL + 1, _DETAIL // 2)
    xs = np.arange(0, before.shape[1] - _DETAIL + 1, _DETAIL // 2)
    tops, bottoms = sums[ys], sums[ys + _DETAIL]
    squares = bottoms[:, xs + _DETAIL] - bottoms[:, xs] - tops[:, xs + _DETAIL] + tops[:, xs]
    row, column = np.unravel_index(int(np.argmax(squares)), squares.shape)
    y, x, scale = int(ys[row]), int(xs[column]), after.shape[0] / before.shape[0]
    rows, columns = (slice(round(one * scale), round((one + _DETAIL) * scale)) for one in (y, x))
    return before[y : y + _DETAIL, x : x + _DETAIL], after[rows, columns]
