"""Numbers that a network said beside those that it should have said."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, numbers, plottable, short, span
from tilewright.lens.page import MARGIN, Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 6
# More points than this hide one another; those drawn are evenly spread over the samples.
_MOST_POINTS = 3000
_PANEL = 3.0
_ACROSS = 3


def draw_predictions(
    targets: npt.ArrayLike,
    outputs: npt.ArrayLike,
    path: str | os.PathLike[str],
    names: Sequence[str] = (),
) -> Path:
    """Draw answers over targets, a panel for each of the first six numbers of a sample.

    A point on the line is right; the figures beside the names are over all samples, drawn or not.

    Args:
        targets: (samples,) or (samples, numbers), what should have been said.
        outputs: what was said, of the same shape.
        path: the PNG file to write.
        names: of the numbers.

    Returns:
        The path of the picture.

    Raises:
        ShapeError: when the shapes differ or the rank is wrong.
        DtypeError: when an array is not made of real numbers.
        ArgumentError: when no pair of numbers is finite, a value lies beyond 1e300, or no picture can be
            saved at ``path``.

    >>> draw_predictions([1.0, 2.0], [1.1, 1.9], "predictions.png")  # doctest: +SKIP
    PosixPath('predictions.png')
    """
    style.ready(path)
    axes = {1: "(samples,)", 2: "(samples, numbers)"}
    wanted = plottable("draw_predictions", "targets", numbers("draw_predictions", "targets", targets, axes))
    said = plottable("draw_predictions", "outputs", numbers("draw_predictions", "outputs", outputs, axes))
    if said.shape != wanted.shape:
        raise ShapeError(
            f"draw_predictions needs outputs of the shape of targets, {wanted.shape}.", describe(outputs=said)
        )
    wanted, said = (array.reshape(len(array), -1) for array in (wanted, said))
    if not (np.isfinite(wanted) & np.isfinite(said)).any():
        raise ArgumentError("draw_predictions needs a pair of finite numbers.", describe(outputs=said))
    shown = min(wanted.shape[1], MOST_PANELS)
    across = min(shown, _ACROSS)
    rows = -(-shown // across)
    left, gap, head, foot = 0.75, 0.75, 0.35, 0.55
    width = max(left + across * _PANEL + (across - 1) * gap + MARGIN, 5.2)
    samples = "1 sample" if len(wanted) == 1 else f"{len(wanted):,} samples"
    part = f"; {shown} of {wanted.shape[1]} numbers shown" if shown < wanted.shape[1] else ""
    page = Page(width, rows * (head + _PANEL + foot) + 0.1, "Answers and targets", f"{samples}{part}")
    for place in range(shown):
        across_at = left + (place % across) * (_PANEL + gap)
        top = head + (place // across) * (head + _PANEL + foot)
        name = str(names[place]) if place < len(names) else ("" if shown == 1 else f"number {place}")
        _panel(page, across_at, top, wanted[:, place], said[:, place], name)
    return page.save(path)


def _panel(page: Page, left: float, top: float, wanted: Floats, said: Floats, name: str) -> None:
    axes: Axes = page.axes(left, top, _PANEL, _PANEL)
    style.dress(axes, "target", "answer")
    known = np.isfinite(wanted) & np.isfinite(said)
    x, y = wanted[known], said[known]
    words = _figures(x, y) if known.any() else "not finite"
    colour = style.MUTED if known.any() else style.MARKED
    page.write(left + _PANEL, top - 0.15, words, size=8, colour=colour, across="right")
    room = _PANEL - style.text_width(words, 8) - 0.15
    page.write(left, top - 0.15, style.fit(name, style.TEXT_SIZE, room, bold=True), bold=True)
    if not known.any():
        return
    low, high = span(np.concatenate([x, y]))
    room = 0.04 * (high - low)
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(low - room, high + room)
    axes.plot([low, high], [low, high], color=style.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    every = max(1, -(-x.size // _MOST_POINTS))
    axes.plot(
        x[::every], y[::every], color=style.BLUE, marker="o", markersize=3.0, alpha=0.45, linestyle="none",
        markeredgewidth=0,
    )  # fmt: skip
    style.number_axis(axes.xaxis)
    style.number_axis(axes.yaxis)
    page.make_room(axes)


def _figures(x: Floats, y: Floats) -> str:
    missed, spread = float(np.square(y - x).mean()), float(np.square(x - x.mean()).mean())
    words = f"RMSE {short(missed**0.5)}"
    if not spread > 0:
        return words
    explained = 1 - missed / spread
    # Far below 0 the third decimal is no news.
    return f"{words}, R² {explained:.3f}" if explained > -10 else f"{words}, R² {short(explained)}"
