"""Loss and accuracy over a training run, from the rows of its ``metrics.csv``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.lens import style
from tilewright.lens.arrays import LARGEST_PLOTTED, Floats, short
from tilewright.lens.page import MARGIN, Page, legend_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL_WIDTH = 4.6
_PANEL_HEIGHT = 2.9
_PANEL_TOP = 0.65  # below two rows of legend and one of epochs
# Beyond this many rows the noise of single batches hides the trend, and a running mean is drawn over it.
_ROWS_BEFORE_SMOOTHING = 80
# A loss that falls by more than this factor is flat for most of a linear axis.
_RATIO_FOR_LOG = 20.0
# More epoch labels than this run into one another.
_MOST_EPOCH_LABELS = 10


class Measure(NamedTuple):
    """One panel: what is measured, and which way is better.

    Attributes:
        name: what it is called.
        training: the column of its values while learning; empty where there are none.
        validation: the column of its values on held-out samples.
        smaller_is_better: whether it is.
        is_share: whether values lie between 0 and 1 and are drawn as percentages.
    """

    name: str
    training: str
    validation: str
    smaller_is_better: bool
    is_share: bool


LOSS = Measure("loss", "train_loss", "val_loss", True, False)
ACCURACY = Measure("accuracy", "train_accuracy", "val_accuracy", False, True)


def draw_curves(
    rows: Sequence[Mapping[str, Any]],
    path: str | os.PathLike[str],
    title: str = "Training",
    score: Measure = ACCURACY,
) -> Path:
    """Draw loss and accuracy over the steps of a run, with its epochs and the best validation marked.

    Args:
        rows: one mapping per measurement, with ``step``, and where they were measured ``epoch``,
            ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy``. Values are numbers or their
            text (as ``csv.DictReader`` gives them); missing, ``None`` or empty means "not measured here".
            Accuracies lie between 0 and 1. A value that was measured but is not finite is marked on the axis.
        path: the PNG file to write.
        title: the headline.
        score: what the second panel shows instead of the accuracy.

    Returns:
        The path of the picture. It has one panel when no accuracy was measured, as for an autoencoder.

    Raises:
        ArgumentError: when there are no rows, no loss at all, a value that is no number, or a row without its
            step.

    >>> rows = [{"step": 1, "train_loss": 2.3}, {"step": 2, "train_loss": 1.9, "val_loss": 2.0}]
    >>> draw_curves(rows, "curves.png")  # doctest: +SKIP
    PosixPath('curves.png')
    """
    style.ready(path)
    steps, columns = read_rows("draw_curves", rows, (LOSS, score))
    measures = [measure for measure in (LOSS, score) if _measured(columns, measure)]
    if LOSS not in measures:
        raise ArgumentError(
            "draw_curves needs at least one finite train_loss or val_loss.", describe(rows=len(rows))
        )
    left, gap = 0.8, 0.9
    # A single panel is wider: alone it would look lost.
    wide = _PANEL_WIDTH if len(measures) == 2 else 1.5 * _PANEL_WIDTH
    width = left + len(measures) * wide + (len(measures) - 1) * gap + MARGIN
    page = Page(width, _PANEL_TOP + _PANEL_HEIGHT + 0.65, title, _extent(steps, columns["epoch"]))
    for place, measure in enumerate(measures):
        _panel(page, left + place * (wide + gap), wide, measure, steps, columns)
    return page.save(path)


def read_rows(
    function: str, rows: Sequence[Mapping[str, Any]], measures: Sequence[Measure]
) -> tuple[Floats, dict[str, Floats]]:
    """The columns as float64, in the order of the steps; NaN where nothing was measured, infinity kept.

    Args:
        function: who asks, for messages.
        rows: as :func:`draw_curves` takes them.
        measures: whose columns are wanted, beside ``epoch``.

    Raises:
        ArgumentError: as :func:`draw_curves`.
    """
    if not rows:
        raise ArgumentError(f"{function} needs at least one row of measurements.", describe(rows=rows))
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise ArgumentError(
                f"{function} needs rows that are mappings.", describe(**{f"rows[{place}]": row})
            )
    names = ["step", "epoch"]
    for measure in measures:
        names += [measure.training, measure.validation]
    table = {
        name: np.array([_value(function, row, place, name) for place, row in enumerate(rows)])
        for name in names
    }
    if not np.isfinite(table["step"]).all():
        wrong = int(np.argmin(np.isfinite(table["step"])))
        raise ArgumentError(
            f"{function} needs a finite step in every row.", f"row {wrong}: {dict(rows[wrong])!r}"
        )
    order = np.argsort(table["step"], kind="stable")
    return table.pop("step")[order], {name: column[order] for name, column in table.items()}


def _value(function: str, row: Mapping[str, Any], place: int, name: str) -> float:
    given = row.get(name)
    if given is None or (isinstance(given, str) and not given.strip()):
        return float("nan")
    try:
        value = float(given)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{function} needs numbers in its rows.", f"row {place}: {describe(**{name: given})}"
        ) from error
    # Measured and not a number: kept apart from "not measured", so that a run that diverged shows it.
    return value if abs(value) <= LARGEST_PLOTTED else float("inf")


def _measured(columns: dict[str, Floats], measure: Measure) -> bool:
    return any(bool(np.isfinite(columns[name]).any()) for name in (measure.training, measure.validation))


def _extent(steps: Floats, epochs: Floats) -> str:
    """What the run was, in words: so many steps, so many epochs."""
    words = f"up to step {steps[-1]:,.0f}"
    known = np.unique(np.floor(epochs[np.isfinite(epochs)]))
    if known.size:
        words += f", {known.size} epoch{'s' if known.size > 1 else ''}"
    return words


def _panel(
    page: Page, left: float, width: float, measure: Measure, steps: Floats, columns: dict[str, Floats]
) -> None:
    axes = page.axes(left, _PANEL_TOP, width, _PANEL_HEIGHT)
    training, validation = columns[measure.training], columns[measure.validation]
    values = np.concatenate([training, validation])
    values = values[np.isfinite(values)]
    logarithmic = is_logarithmic(measure, values)
    style.dress(axes, "step", f"{measure.name} (log scale)" if logarithmic else measure.name)
    entries = _training_line(axes, steps, training)
    entries += _validation_line(axes, steps, validation, measure)
    scales(axes, measure, values, logarithmic)
    page.make_room(axes)
    _epochs(axes, float(axes.get_position().width) * page.width, steps, columns["epoch"])
    broken = steps[np.isinf(training) | np.isinf(validation)]
    if broken.size:
        look: dict[str, Any] = {
            "color": style.MARKED,
            "marker": "|",
            "markersize": 8,
            "markeredgewidth": 1.5,
            "linestyle": "none",
        }
        axes.plot(broken, np.zeros(broken.size), transform=axes.get_xaxis_transform(), clip_on=False, **look)
        entries.append(("not finite", look))
    # The last row of the legend stands just above the epochs' numbers.
    rows = legend_rows([name for name, _ in entries], width)
    page.legend(left, _PANEL_TOP - 0.12 - 0.2 * rows, left + width, entries)


def _training_line(axes: Axes, steps: Floats, values: Floats) -> list[tuple[str, dict[str, Any]]]:
    known = np.isfinite(values)
    if not known.any():
        return []
    steps, values = steps[known], values[known]
    look: dict[str, Any] = {"color": style.BLUE, "linewidth": 1.8}
    name = "training"
    if values.size > _ROWS_BEFORE_SMOOTHING:
        axes.plot(steps, values, color=style.BLUE, linewidth=0.7, alpha=0.28)
        # A fortieth of the run is short enough to keep every bend; odd, to be centred on its row.
        window = max(3, values.size // 40 | 1)
        values = _running_mean(values, window)
        name = f"training (mean of {window} rows)"
    elif values.size == 1:
        look |= {"marker": "o", "markersize": 4}
    axes.plot(steps, values, **look)
    return [(name, look)]


def _running_mean(values: Floats, window: int) -> Floats:
    """The mean of the ``window`` values around each place (so that it does not lag), of fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(values.size)
    starts = np.maximum(places - window // 2, 0)
    ends = np.minimum(places + window // 2 + 1, values.size)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def _validation_line(
    axes: Axes, steps: Floats, values: Floats, measure: Measure
) -> list[tuple[str, dict[str, Any]]]:
    known = np.isfinite(values)
    if not known.any():
        return []
    steps, values = steps[known], values[known]
    look: dict[str, Any] = {"color": style.VERMILION, "linewidth": 1.8}
    if values.size <= 40:  # more dots than this touch one another and become a thick line
        look |= {"marker": "o", "markersize": 3.5}
    axes.plot(steps, values, **look)
    best = int(np.argmin(values) if measure.smaller_is_better else np.argmax(values))
    ring: dict[str, Any] = {
        "color": style.INK, "marker": "o", "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1.4,
        "linestyle": "none",
    }  # fmt: skip
    axes.plot([steps[best]], [values[best]], zorder=5, clip_on=False, **ring)
    value = f"{100 * values[best]:.2f} %" if measure.is_share else short(values[best])
    return [("validation", look), (f"best: {value} at step {steps[best]:,.0f}", ring)]


def _epochs(axes: Axes, width: float, steps: Floats, epochs: Floats) -> None:
    """A dashed line where one epoch ends, and the epochs' numbers above the panel."""
    known = np.isfinite(epochs)
    steps, numbers = steps[known], np.floor(epochs[known]).astype(np.int64)
    if numbers.size == 0 or numbers[0] == numbers[-1]:
        return
    last = np.flatnonzero(np.diff(numbers))  # the last row of each epoch but the final one
    edges = np.concatenate([[steps[0]], steps[last], [steps[-1]]])
    shown = numbers[np.concatenate([last, [numbers.size - 1]])]
    every = -(-len(shown) // _MOST_EPOCH_LABELS)
    low, high = axes.get_xlim()
    free = -1.0  # where the last label ended, in inches from the panel's left
    for place in range(0, len(shown), every):
        if place:
            axes.axvline(
                edges[place], color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6, zorder=1
            )
        words = f"epoch {shown[place]}" if place == 0 else str(shown[place])
        # In the middle of the epoch; where only some are named, at the start of what the name stands for.
        middle = edges[place] if every > 1 else (edges[place] + edges[place + 1]) / 2
        half = style.text_width(words, style.SMALL_SIZE) / 2
        centre = width * (middle - low) / (high - low) + (half if every > 1 else 0.0)
        if centre - half < free + 0.06:  # an epoch so short that its name would touch the last one
            continue
        free = centre + half
        axes.text(
            centre / width,
            1.015,
            words,
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=style.SMALL_SIZE,
            fontfamily=style.FONT,
            color=style.MUTED,
        )


def _step(value: float) -> str:
    """A step for a label; millions are counted, since seven digits at each tick would touch."""
    return f"{value:,.0f}" if abs(value) < 1e6 else f"{value / 1e6:,.6g} M"


def is_logarithmic(measure: Measure, values: Floats) -> bool:
    """Whether finite values of a measure are drawn on a logarithmic axis."""
    falls = measure.smaller_is_better and values.min() > 0
    return bool(falls and values.max() > _RATIO_FOR_LOG * values.min())


def scales(axes: Axes, measure: Measure, values: Floats, logarithmic: bool) -> None:
    """Ticks of a panel: whole steps below, and at the left what suits the finite ``values`` of a measure."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_xlim()
    if high - low < 2:  # a single step: room for whole numbers on both sides
        axes.set_xlim((low + high) / 2 - 1, (low + high) / 2 + 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _step(value)))
    if measure.is_share:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{short(100 * value, 5)} %"))
        low, high = axes.get_ylim()
        axes.set_ylim(low, min(high, 1.0 + 0.02 * (1.0 - low)) if high > 1.0 else high)
    elif logarithmic:
        axes.set_yscale("log")
        decades = np.log10(values.max() / values.min())
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,)))
        axes.yaxis.set_minor_locator(NullLocator())
        style.number_axis(axes.yaxis)
    else:
        style.number_axis(axes.yaxis)
