"""Curves and pictures side by side, under one headline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, has_marked, numbers, plottable, reach, short, span
from tilewright.lens.compare import looks, plot, same_length
from tilewright.lens.page import MARGIN, Page, legend_rows, natural_picture, signed_picture

_PICTURE = 2.4  # inches: four pictures of this size, or three plots, fill a wide page
_PLOT = (3.0, 2.1)
_GAP = 0.35

# As many as fit a picture even in a single row: the renderer's limit is 2**16 pixels.
MOST_PANELS = 100

_AXES = {2: "(height, width)", 1: "(n,)"}

Content = npt.ArrayLike | Mapping[str, npt.ArrayLike]


class _Panel(NamedTuple):
    """One panel: a picture, or curves (and then no picture)."""

    title: str
    picture: Floats | None
    lines: dict[str, Floats]
    signed: bool


def draw_panels(
    panels: Sequence[tuple[str, Content]],
    path: str | os.PathLike[str],
    title: str = "",
    *,
    signed: bool | Sequence[bool] = False,
    shared: bool = False,
    columns: int | None = None,
) -> Path:
    """Draw panels side by side: a rank-1 array as a curve, a mapping as several, a rank-2 array as a picture.

    Args:
        panels: (title, content) pairs; the content is (n,), (height, width), or a mapping of names to (n,)
            arrays. Curves are drawn over their index.
        path: the PNG file to write.
        title: the headline.
        signed: whether pictures are signed data, drawn blue below zero, white at zero and orange above, with
            a bar that says so; else grey. One flag for all panels, or one for each.
        shared: whether all grey pictures have one scale, and all signed ones another; else each has its own.
        columns: panels in a row; absent, as many as fit a wide page.

    Returns:
        The path of the picture. Pixels that are not finite are drawn in magenta, such points of curves leave
        gaps.

    Raises:
        ShapeError: when an array is empty, of another rank, or the curves of a panel differ in length.
        DtypeError: when an array is not made of real numbers.
        ArgumentError: when there are no panels or over 100, a value of a curve lies beyond 1e300, a panel is
            no pair, the flags are not one per panel, ``columns`` is below 1, or no picture can be saved at
            ``path``.

    >>> import numpy as np
    >>> step = np.repeat([0.0, 1.0], 8)
    >>> draw_panels([("a step", step), ("its edge", np.diff(step))], "edge.png", "An edge")  # doctest: +SKIP
    PosixPath('edge.png')
    """
    style.ready(path)
    parts = _panels(panels, signed)
    if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int) or columns < 1):
        raise ArgumentError("draw_panels needs columns of at least 1.", describe(columns=columns))
    sizes = [
        (_PICTURE, _picture_height(part.picture)) if part.picture is not None else _PLOT for part in parts
    ]
    wide = max(size[0] for size in sizes)
    # Plots have numbers at their left, and need more room between them.
    gap = _GAP if all(part.picture is not None for part in parts) else 0.7
    across = min(len(parts), columns or (4 if gap == _GAP else 3))
    rows = [range(first, min(first + across, len(parts))) for first in range(0, len(parts), across)]
    left = MARGIN if gap == _GAP else MARGIN + 0.4
    # A heading of several lines, or a legend, moves the whole row down, so that its panels stay level.
    heads = [max(_head(parts[place], sizes[place][0]) for place in row) for row in rows]
    feet = [max(sizes[place][1] for place in row) + 0.55 for row in rows]
    marked = has_marked(*(part.picture for part in parts if part.picture is not None))
    page = Page(
        max(left + across * (wide + gap) - gap + MARGIN, 4.0),
        sum(heads) + sum(feet) + 0.12,
        title,
        style.MARKED_NOTE if marked else "",
    )
    limits = {kind: _common(parts, kind) if shared else None for kind in (False, True)}
    top = 0.0
    for row, head, foot in zip(rows, heads, feet, strict=True):
        for place in row:
            at = left + (place % across) * (wide + gap)
            _draw(page, parts[place], sizes[place], at, top, head, limits[parts[place].signed])
        top += head + foot
    return page.save(path)


def _panels(panels: Sequence[tuple[str, Content]], signed: bool | Sequence[bool]) -> list[_Panel]:
    if len(panels) == 0:
        raise ArgumentError("draw_panels needs at least one panel.", describe(panels=panels))
    if len(panels) > MOST_PANELS:
        raise ArgumentError(f"draw_panels draws at most {MOST_PANELS} panels.", f"{len(panels)} panels")
    flags = (
        [bool(signed)] * len(panels)
        if isinstance(signed, (bool, np.bool_))
        else [bool(flag) for flag in signed]
    )
    if len(flags) != len(panels):
        raise ArgumentError(
            f"draw_panels needs signed as one flag, or one for each of the {len(panels)} panels.",
            describe(signed=signed),
        )
    return [_panel(place, panel, flag) for place, (panel, flag) in enumerate(zip(panels, flags, strict=True))]


def _panel(place: int, panel: Any, signed: bool) -> _Panel:
    if not isinstance(panel, (tuple, list)) or len(panel) != 2:
        raise ArgumentError(
            "draw_panels needs panels as pairs of a title and an array.",
            describe(**{f"panels[{place}]": panel}),
        )
    title, content = str(panel[0]), panel[1]
    if isinstance(content, Mapping):
        if not content:
            raise ArgumentError(
                "draw_panels needs at least one curve in a panel.", describe(**{f"panel {title!r}": content})
            )
        return _Panel(title, None, same_length("draw_panels", "curve", content), signed)
    array = numbers("draw_panels", f"panel {title!r}", content, _AXES)
    if array.ndim == 2:
        return _Panel(title, array, {}, signed)
    return _Panel(title, None, {"": plottable("draw_panels", f"panel {title!r}", array)}, signed)


def _picture_height(picture: Floats | None) -> float:
    """How tall a picture becomes at full width; a tall one is fitted into a square instead."""
    if picture is None:
        return _PLOT[1]
    rows, columns = picture.shape
    return float(max(0.3, min(1.0, rows / columns) * _PICTURE))


def _common(parts: Sequence[_Panel], signed: bool) -> tuple[float, float]:
    values = [part.picture.ravel() for part in parts if part.picture is not None and part.signed == signed]
    together = np.concatenate(values) if values else np.zeros(1)
    return (-reach(together), reach(together)) if signed else span(together)


def _head(part: _Panel, width: float) -> float:
    """The room above a panel: its title, and the names of its curves where there are several."""
    lines = len(style.wrap(part.title, style.TEXT_SIZE, width, bold=True))
    legend = 0.2 * legend_rows(list(part.lines), width) if any(part.lines) else 0.0
    return 0.12 + 0.17 * lines + legend


def _draw(
    page: Page,
    part: _Panel,
    size: tuple[float, float],
    left: float,
    top: float,
    head: float,
    limits: tuple[float, float] | None,
) -> None:
    words = style.wrap(part.title, style.TEXT_SIZE, size[0], bold=True)
    # Headings stand on the panel, not at the top of the row.
    down = top + head - _head(part, size[0]) + 0.12
    for word in words:
        page.write(left, down, word, bold=True)
        down += 0.17
    if any(part.lines):
        page.legend(left, down + 0.02, left + size[0], list(zip(part.lines, looks(part.lines), strict=True)))
    down = top + head
    if part.picture is None:
        axes = page.axes(left, down, *size)
        style.dress(axes)
        length = len(next(iter(part.lines.values())))
        plot(axes, np.arange(length, dtype=np.float64), part.lines)
        page.make_room(axes)
        return
    _draw_picture(page, part, part.picture, size, left, down, limits)


def _draw_picture(
    page: Page,
    part: _Panel,
    picture: Floats,
    size: tuple[float, float],
    left: float,
    top: float,
    limits: tuple[float, float] | None,
) -> None:
    rows, columns = picture.shape
    wide, high = size
    # Page.picture centres in a square; panels are set flush left, and start at the top of their row.
    flush = left - wide * (1 - min(1.0, columns / rows)) / 2
    lifted = top - (wide - high) / 2
    if part.signed:
        limit = limits[1] if limits else reach(picture)
        page.picture(signed_picture(picture, limit), flush, lifted, wide)
        page.scale_bar(left + 0.12, top + high + 0.1, 1.4, limit)
        return
    black, white = limits or span(picture)
    page.picture(natural_picture(picture[None], (black, white)), flush, lifted, wide)
    words = f"{rows} × {columns}, black {short(black)}, white {short(white)}"
    page.write(left, top + high + 0.17, words, size=style.SMALL_SIZE, colour=style.MUTED)
