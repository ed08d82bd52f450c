"""A page measured in inches from its top-left corner, under a headline: what the drawings place things on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.lens import style
from tilewright.lens.arrays import Floats, short, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

MARGIN = 0.3  # inches of white on every side of a page
_LINE = 1.35  # the distance of two lines of text, as a multiple of the letters' size
_ROW = 0.2  # the distance of two rows of a legend, in inches
_STROKE = 0.36  # the length of a legend's sample of a line, in inches


class Page:
    """A figure with a headline; everything below it is placed in inches, downwards from the headline's foot.

    Args:
        width: inches across, margins included.
        height: inches below the headline, the bottom margin included.
        title: the headline; broken into lines where it is too long.
        subtitle: a smaller line below it.

    >>> page = Page(4.0, 2.0, "Two kernels", "on one scale")  # doctest: +SKIP
    >>> page.save("page.png")  # doctest: +SKIP
    """

    def __init__(self, width: float, height: float, title: str, subtitle: str = "") -> None:
        style.from_matplotlib()
        room = width - 2 * MARGIN
        headline = [
            (line, style.TITLE_SIZE, True) for line in style.wrap(title, style.TITLE_SIZE, room, True)
        ]
        headline += [(line, style.TEXT_SIZE, False) for line in style.wrap(subtitle, style.TEXT_SIZE, room)]
        self.width = width
        self.height = height
        self.header = MARGIN + sum(size * _LINE / 72 for _, size, _ in headline) + (0.12 if headline else 0.0)
        self.figure = style.new_figure(width, height + self.header)
        sheet = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        sheet.set_axis_off()
        sheet.set_xlim(0.0, width)
        sheet.set_ylim(height, -self.header)
        sheet.autoscale(False)
        # Behind any axes that are added later: the sheet's own marks are a background.
        sheet.set_zorder(-1)
        self.sheet = sheet
        top = MARGIN - self.header
        for line, size, bold in headline:
            colour = style.INK if bold else style.MUTED
            self.write(MARGIN, top, line, size=size, colour=colour, bold=bold, down="top")
            top += size * _LINE / 72

    def write(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = style.TEXT_SIZE,
        colour: str = style.INK,
        bold: bool = False,
        across: str = "left",
        down: str = "center_baseline",
        turn: float = 0.0,
    ) -> None:
        """Set ``text`` at a point; ``across`` and ``down`` say which part of the text lies there."""
        self.sheet.text(
            left,
            top,
            style.clean(text),
            fontsize=size,
            color=colour,
            fontfamily=style.FONT,
            fontweight="bold" if bold else "normal",
            ha=across,
            va=down,
            rotation=turn,
            rotation_mode="anchor",
            parse_math=False,
        )

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        *,
        edge: str = style.FRAME,
        fill: str = "none",
    ) -> None:
        """Draw a thin rectangle."""
        from matplotlib.patches import Rectangle

        self.sheet.add_patch(
            Rectangle((left, top), width, height, facecolor=fill, edgecolor=edge, linewidth=0.6, zorder=3)
        )

    def line(
        self, points: Sequence[tuple[float, float]], *, colour: str, thick: float = 1.0, **look: Any
    ) -> None:
        """Draw straight strokes through ``points``."""
        across, down = zip(*points, strict=True)
        self.sheet.plot(across, down, color=colour, linewidth=thick, solid_capstyle="butt", **look)

    def picture(self, picture: Floats, left: float, top: float, size: float, *, frame: bool = True) -> None:
        """Place an RGB picture (height, width, 3), centred in a square of ``size`` inches that it fits."""
        rows, columns = picture.shape[:2]
        # A strip a thousand times as long as wide would vanish: 0.02 inches (three pixels) is always drawn.
        wide = max(size * min(1.0, columns / rows), 0.02)
        high = max(size * min(1.0, rows / columns), 0.02)
        left, top = left + (size - wide) / 2, top + (size - high) / 2
        self.sheet.imshow(
            picture,
            extent=(left, left + wide, top + high, top),
            aspect="auto",
            interpolation="antialiased",
            resample=True,
        )
        if frame:
            self.box(left, top, wide, high)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes for a plot, placed in inches."""
        full = self.height + self.header
        return self.figure.add_axes(
            (left / self.width, (self.height - top - height) / full, width / self.width, height / full)
        )

    def make_room(self, axes: Axes) -> None:
        """Move the left side of ``axes`` inwards where the labels of its ticks are wider than usual."""
        locations = axes.yaxis.get_majorticklocs()
        low, high = sorted(axes.get_ylim())
        words = axes.yaxis.get_major_formatter().format_ticks([v for v in locations if low <= v <= high])
        widest = max((style.text_width(word, style.TICK_SIZE) for word in words), default=0.0)
        excess = max(0.0, widest - style.TICK_ROOM) / self.width
        left, bottom, width, height = axes.get_position().bounds
        axes.set_position((left + excess, bottom, width - excess, height))

    def scale_bar(self, left: float, top: float, width: float, limit: float) -> None:
        """A bar that explains the signed colours: from ``-limit`` to ``limit``, white at zero."""
        shades = signed_picture(np.linspace(-1.0, 1.0, 255)[None, :], 1.0)
        self.colour_bar(left, top, width, shades, (f"−{short(limit)}", "0", f"+{short(limit)}"))

    def colour_bar(self, left: float, top: float, width: float, shades: Floats, words: Sequence[str]) -> None:
        """A strip of colours (1, n, 3) with ``words`` spread evenly below it."""
        self.sheet.imshow(
            shades, extent=(left, left + width, top + 0.12, top), aspect="auto", interpolation="nearest"
        )
        self.box(left, top, width, 0.12)
        for place, word in enumerate(words):
            at = left + width * place / (len(words) - 1)
            self.write(at, top + 0.26, word, size=style.SMALL_SIZE, colour=style.MUTED, across="center")

    def legend(
        self, left: float, top: float, right: float, entries: Sequence[tuple[str, dict[str, Any]]]
    ) -> float:
        """Samples of lines with names, in as many rows as they need; returns the top of what follows."""
        places = _flow([name for name, _ in entries], right - left)
        for (name, across, row), (_, look) in zip(places, entries, strict=True):
            at, down = left + across, top + _ROW * row
            # One mark in the middle of the stroke, as on the curve itself.
            self.sheet.plot([at, at + _STROKE / 2, at + _STROKE], [down] * 3, markevery=[1], **look)
            self.write(at + _STROKE + 0.08, down, name)
        return top + _ROW * (1 + max((row for _, _, row in places), default=0))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as a PNG file (see :func:`tilewright.lens.style.save`)."""
        return style.save(self.figure, path)


def legend_rows(names: Sequence[str], width: float) -> int:
    """How many rows :meth:`Page.legend` takes for these names."""
    return 1 + max((row for _, _, row in _flow(names, width)), default=0)


def _flow(names: Sequence[str], width: float) -> list[tuple[str, float, int]]:
    """Each name, shortened to fit, with its distance from the left and its row."""
    fitted = [style.fit(name, style.TEXT_SIZE, width - _STROKE - 0.1) for name in names]
    gap = 0.22
    places: list[tuple[str, float, int]] = []
    at, row = 0.0, 0
    for name in fitted:
        room = _STROKE + 0.08 + style.text_width(name, style.TEXT_SIZE)
        if at > 0 and at + room > width:
            at, row = 0.0, row + 1
        places.append((name, at, row))
        at += room + gap
    if row < 2:
        return places
    wide = [_STROKE + 0.08 + style.text_width(name, style.TEXT_SIZE) for name in fitted]
    # Three rows and more are set in columns, as a table.
    column = max(wide) + gap
    across = max(1, int((width + gap) // column))
    return [(name, column * (place % across), place // across) for place, name in enumerate(fitted)]


def signed_picture(plane: Floats, limit: float) -> Floats:
    """A plane (height, width) as an RGB picture: white at zero, full colour at plus and minus ``limit``."""
    return _coloured(plane / limit / 2 + 0.5, style.diverging_map())


def heat_picture(plane: Floats, limit: float) -> Floats:
    """A plane of magnitudes as an RGB picture: white at zero, deep orange at ``limit``."""
    return _coloured(plane / limit, style.heat_map())


def natural_picture(image: Floats, limits: tuple[float, float] | None = None) -> Floats:
    """An image (channels, height, width) as an RGB picture (height, width, 3).

    One channel is grey, three are red, green and blue; any other number is shown as the mean of the channels,
    since no colour stands for them. ``limits`` are the values of black and white, the image's own smallest
    and largest when absent. Pixels that are not finite take the marked colour.
    """
    low, high = limits or span(image)
    # Clipping would turn an infinite pixel into plain white.
    image = np.where(np.isfinite(image), image, np.nan)
    # Halved first: the distance of the two largest float64 values is no float64.
    scaled = np.clip((image / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)
    if len(image) == 3:
        picture = np.moveaxis(scaled, 0, -1)
        picture[~np.isfinite(picture).all(axis=-1)] = _marked_rgb()
        return picture
    return _coloured(scaled.mean(axis=0), style.grey_map())


def _coloured(shade: Floats, colours: Colormap) -> Floats:
    """Shades between 0 and 1 as RGB; infinite ones are marked like NaN, not clipped to the map's ends."""
    known = np.isfinite(shade)
    picture = np.array(colours(np.where(known, shade, 0.0)), dtype=np.float64)[..., :3]
    picture[~known] = _marked_rgb()
    return picture


def _marked_rgb() -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(style.MARKED)
