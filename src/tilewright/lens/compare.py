"""Several curves in one plot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, finite, numbers, plottable
from tilewright.lens.page import MARGIN, Page, legend_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Up to this many points each is marked with a dot: the data are samples, not a continuous line.
FEW_POINTS = 40
# Nobody can follow so many; beyond it, the names alone would need a page of their own.
MOST_SERIES = 100


def draw_series(
    x: npt.ArrayLike,
    series: Mapping[str, npt.ArrayLike],
    path: str | os.PathLike[str],
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
) -> Path:
    """Draw curves over a common axis, each in a look of its own and named above the plot.

    Args:
        x: (n,) finite real numbers.
        series: name to (n,) real numbers; a value that is not finite leaves a gap.
        path: the PNG file to write.
        xlabel: what the horizontal axis measures, with its unit.
        ylabel: what the vertical axis measures, with its unit.
        title: the headline.

    Returns:
        The path of the picture.

    Raises:
        ShapeError: when an array is not of rank 1, is empty, or is not as long as ``x``.
        DtypeError: when an array is not made of real numbers.
        ArgumentError: when there are no series or over 100, a value of ``x`` is not finite, a value lies
            beyond 1e300, or no picture can be saved at ``path``.

    >>> draw_series([0, 1, 2], {"squares": [0, 1, 4]}, "squares.png", "n", "n²", "Squares")  # doctest: +SKIP
    PosixPath('squares.png')
    """
    style.ready(path)
    if len(series) == 0:
        raise ArgumentError("draw_series needs at least one series.", describe(series=dict(series)))
    across = plottable(
        "draw_series", "x", finite("draw_series", "x", numbers("draw_series", "x", x, {1: "(n,)"}))
    )
    lines = same_length("draw_series", "series", series)
    for name, values in lines.items():
        if len(values) != len(across):
            raise ShapeError(
                f"draw_series needs every series as long as x, which has {len(across)} values.",
                describe(**{f"series {name!r}": values}),
            )
    width = 8.2
    left, right = MARGIN + 0.65, width - MARGIN
    rows = legend_rows(list(lines), right - left)
    page = Page(width, 4.3 + 0.2 * rows, title)
    foot = page.legend(left, 0.1, right, list(zip(lines, looks(lines), strict=True)))
    axes = page.axes(left, foot + 0.02, right - left, page.height - foot - 0.65)
    style.dress(axes, xlabel, ylabel)
    plot(axes, across, lines)
    page.make_room(axes)
    return page.save(path)


def same_length(function: str, what: str, series: Mapping[str, npt.ArrayLike]) -> dict[str, Floats]:
    """The curves as float64, all of one length.

    Raises:
        ShapeError: when one is not of rank 1, is empty, or is not as long as the first.
        DtypeError: when one is not made of real numbers.
        ArgumentError: when there are more than 100, or a value lies beyond 1e300.
    """
    if len(series) > MOST_SERIES:
        raise ArgumentError(
            f"{function} draws at most {MOST_SERIES} curves in one plot.", f"{len(series)} curves"
        )
    lines: dict[str, Floats] = {}
    for name, values in series.items():
        called = f"{what} {str(name)!r}"
        line = plottable(function, called, numbers(function, called, values, {1: "(n,)"}))
        first = next(iter(lines.values()), line)
        if len(line) != len(first):
            raise ShapeError(
                f"{function} needs the curves of one plot equally long; the first has {len(first)} values.",
                describe(**{called: line}),
            )
        lines[str(name)] = line
    return lines


def looks(lines: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """A look for each curve: the colours in turn, and another kind of stroke each time they are used up."""
    strokes = ("-", (0, (4, 1.6)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
    made: list[dict[str, Any]] = []
    for place, values in enumerate(lines.values()):
        colour = style.SERIES[place % len(style.SERIES)]
        stroke = strokes[place // len(style.SERIES) % len(strokes)]
        look: dict[str, Any] = {"color": colour, "linewidth": 1.7, "linestyle": stroke}
        if len(values) <= FEW_POINTS:
            look |= {"marker": "o", "markersize": 3.5}
        made.append(look)
    return made


def plot(axes: Axes, x: Floats, lines: Mapping[str, Floats]) -> None:
    """Draw the curves into dressed axes; values that are not finite leave gaps."""
    for values, look in zip(lines.values(), looks(lines), strict=True):
        axes.plot(x, np.where(np.isfinite(values), values, np.nan), **look)
    style.number_axis(axes.xaxis, whole=bool((x == np.rint(x)).all()) and x.max() - x.min() >= 2)
    style.number_axis(axes.yaxis)
