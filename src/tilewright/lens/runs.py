"""Several training runs side by side: one curve for each, on common axes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats
from tilewright.lens.compare import MOST_SERIES, looks
from tilewright.lens.curves import ACCURACY, LOSS, Measure, is_logarithmic, read_rows, scales
from tilewright.lens.page import MARGIN, Page, legend_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL_WIDTH = 4.6
_PANEL_HEIGHT = 2.9


def draw_runs(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    path: str | os.PathLike[str],
    title: str = "Training runs",
    score: Measure = ACCURACY,
) -> Path:
    """Draw the validations of several runs, one colour a run; its training loss stands faintly behind.

    Args:
        runs: name of a run to its rows, as :func:`~tilewright.lens.curves.draw_curves` takes them.
        path: the PNG file to write.
        title: the headline.
        score: what the second panel shows; it is left out where no run has it.

    Returns:
        The path of the picture.

    Raises:
        ArgumentError: when there are no runs or over 100, a run has no rows, no run has a finite validation,
            a value is no number, or no picture can be saved at ``path``.

    >>> rows = [{"step": 1, "val_loss": 2.3}, {"step": 2, "val_loss": 1.9}]
    >>> draw_runs({"a": rows, "b": rows[:1]}, "runs.png")  # doctest: +SKIP
    PosixPath('runs.png')
    """
    style.ready(path)
    if not 1 <= len(runs) <= MOST_SERIES:
        raise ArgumentError(f"draw_runs needs 1 to {MOST_SERIES} runs.", describe(runs=len(runs)))
    read = {str(name): read_rows("draw_runs", rows, (LOSS, score)) for name, rows in runs.items()}
    measures = [
        measure
        for measure in (LOSS, score)
        if any(np.isfinite(columns[measure.validation]).any() for _, columns in read.values())
    ]
    if not measures:
        raise ArgumentError("draw_runs needs at least one finite validation.", describe(runs=list(read)))
    wide = _PANEL_WIDTH if len(measures) == 2 else 1.5 * _PANEL_WIDTH
    left, gap = 0.8, 0.9
    width = left + len(measures) * wide + (len(measures) - 1) * gap + MARGIN
    top = 0.2 + 0.2 * legend_rows(list(read), width - left - MARGIN)
    page = Page(width, top + _PANEL_HEIGHT + 0.65, title, "validations; the loss while learning behind them")
    lines = {name: steps for name, (steps, _) in read.items()}
    entries = dict(zip(read, looks(lines), strict=True))
    page.legend(left, 0.1, width - MARGIN, list(entries.items()))
    for place, measure in enumerate(measures):
        axes = page.axes(left + place * (wide + gap), top, wide, _PANEL_HEIGHT)
        _panel(page, axes, measure, read, entries)
    return page.save(path)


def _panel(
    page: Page,
    axes: Axes,
    measure: Measure,
    read: Mapping[str, tuple[Floats, dict[str, Floats]]],
    entries: Mapping[str, dict[str, Any]],
) -> None:
    every = np.concatenate([columns[measure.validation] for _, columns in read.values()])
    learnt = np.concatenate([columns[measure.training] for _, columns in read.values()])
    if measure.smaller_is_better:
        every = np.concatenate([every, learnt])
    every = every[np.isfinite(every)]
    logarithmic = is_logarithmic(measure, every)
    style.dress(axes, "step", f"{measure.name} (log scale)" if logarithmic else measure.name)
    for name, (steps, columns) in read.items():
        look = entries[name]
        if measure.smaller_is_better:
            behind = np.isfinite(columns[measure.training])
            axes.plot(
                steps[behind],
                columns[measure.training][behind],
                color=look["color"],
                linewidth=0.7,
                alpha=0.28,
            )
        known = np.isfinite(columns[measure.validation])
        # A run with few validations shows each; the look was chosen by its number of rows.
        marks = {"marker": "o", "markersize": 3.5} if known.sum() <= 40 else {}
        axes.plot(steps[known], columns[measure.validation][known], **{**look, **marks})
    scales(axes, measure, every, logarithmic)
    page.make_room(axes)
