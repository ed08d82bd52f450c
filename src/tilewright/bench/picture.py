"""The roofline picture: every layer under the roofs, ours and the best peer's."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.bench.results import Row
from tilewright.bench.roofs import Roofs
from tilewright.lens import style
from tilewright.lens.arrays import short
from tilewright.lens.page import MARGIN, Page, legend_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 5.4, 4.0
_LEFT, _GAP, _TOP, _ROW = 0.8, 0.85, 0.35, 0.2
# The peer's marks lie below ours, so that a pair that coincides shows ours with a rim.
_OURS: dict[str, Any] = {"color": style.BLUE, "markersize": 4.5, "linestyle": "none", "alpha": 0.85}
_PEER: dict[str, Any] = {
    "color": style.VERMILION,
    "markersize": 5.5,
    "linestyle": "none",
    "markerfacecolor": "none",
    "markeredgewidth": 1.0,
    "alpha": 0.85,
}
_MARKS = {"forward": "o", "backward": "^"}
_ROOFS_NAME = "roofs: copy rate, multiply-adds"
#: All that the legend may hold.
_NAMES = (
    _ROOFS_NAME,
    *(f"{who}, {direction}" for who in ("best peer", "tilewright") for direction in _MARKS),
)


def draw_roofline(rows: Sequence[Row], roofs: Roofs, path: str | os.PathLike[str]) -> Path:
    """Draw speed over arithmetic intensity, a panel for each number of threads, both axes logarithmic.

    The slope is the copy rate, the level the multiply-add rate; no layer whose operands come from memory can
    lie above them (one that the caches hold may cross the slope).

    Raises:
        MissingExtraError: Matplotlib isn't installed.
        ArgumentError: no PNG file can be put at ``path``.
    """
    style.ready(path)
    counts = sorted({row.threads for row in rows})
    width = _LEFT + len(counts) * _WIDTH + (len(counts) - 1) * _GAP + MARGIN
    # A single panel is too narrow for the legend in one row.
    rows_of_legend = legend_rows(_NAMES, width - MARGIN - _LEFT)
    top = _TOP + _ROW * (rows_of_legend - 1)
    page = Page(
        width,
        top + _HEIGHT + 0.7,
        "Layers under the roofs of the machine",
        f"each mark a layer; {roofs.dtype}, {roofs.target} code",
    )
    limits = _limits(rows, roofs)
    entries: list[tuple[str, dict[str, Any]]] = []
    for place, count in enumerate(counts):
        axes = page.axes(_LEFT + place * (_WIDTH + _GAP), top, _WIDTH, _HEIGHT)
        own = [row for row in rows if row.threads == count]
        entries += [entry for entry in _panel(axes, own, roofs, count, limits) if entry not in entries]
    page.legend(_LEFT, _TOP - 0.16, width - MARGIN, entries)
    return page.save(path)


def _panel(
    axes: Axes, rows: Sequence[Row], roofs: Roofs, count: int, limits: tuple[float, float, float, float]
) -> list[tuple[str, dict[str, Any]]]:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    style.dress(axes, "FLOP per byte that has to move", "GFLOP/s")
    low, high, floor, ceiling = limits
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(floor, ceiling)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    words = f"{count} thread{'s' if count > 1 else ''}{_memory(rows)}"
    axes.text(0.02, 0.98, words, transform=axes.transAxes, color=style.INK, fontfamily=style.FONT, va="top")
    entries: list[tuple[str, dict[str, Any]]] = []
    if count in roofs.fma:
        line: dict[str, Any] = {"color": style.INK, "linewidth": 1.4}
        across = np.geomspace(low, high, 200)
        axes.plot(across, np.minimum(roofs.fma[count], across * roofs.copy[count]) / 1e9, **line)
        entries.append((_ROOFS_NAME, line))
    for who, look in (("best peer", _PEER), ("tilewright", _OURS)):
        for direction, mark in _MARKS.items():
            points = _points([row for row in rows if row.direction == direction], who)
            if points:
                axes.plot(*zip(*points, strict=True), marker=mark, **look)
                entries.append((f"{who}, {direction}", look | {"marker": mark}))
    return entries


def _memory(rows: Sequence[Row]) -> str:
    """A second line: how many layers the copy rate limits, and how near to it ours come."""
    shares = [share for row in rows if row.memory_bound if (share := row.share_of_copy(row.ours)) is not None]
    if not shares:
        return ""
    return (
        f"\n{len(shares)} of {len(rows)} bound by memory: {100 * statistics.median(shares):.0f} % of the\n"
        "copy rate in the median"
    )


def _points(rows: Sequence[Row], who: str) -> list[tuple[float, float]]:
    """Intensity and GFLOP/s of those who were timed."""
    named = [(row, row.ours if who == "tilewright" else row.best_peer) for row in rows]
    return [
        (row.intensity, rate / 1e9)
        for row, name in named
        if name is not None and (rate := row.rate(name)) is not None
    ]


def _limits(rows: Sequence[Row], roofs: Roofs) -> tuple[float, float, float, float]:
    """The same axes for all panels: everything that is drawn, with a little room."""
    across = [row.intensity for row in rows]
    # Where the slope meets the level belongs to the picture, too.
    across += [roofs.fma[count] / roofs.copy[count] for count in roofs.fma]
    speeds = [rate for who in ("tilewright", "best peer") for _, rate in _points(rows, who)]
    speeds += [rate / 1e9 for rate in roofs.fma.values()]
    return min(across) / 1.5, max(across) * 1.5, min(speeds) / 1.5, max(speeds) * 1.6
