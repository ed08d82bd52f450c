"""Several curves in one plot: their names, their looks, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import Seen, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.compare import draw_series, looks


def test_names_labels_and_title_are_written_as_they_are(tmp_path: Path, seen: Seen) -> None:
    series = {"before": [1, 2, 3], "_after $x^2$ 100 %": [3, np.nan, 1]}
    read_png(draw_series([0, 1, 2], series, tmp_path / "s.png", "time (s)", "$ per day", "Two curves"))
    words = seen.words()
    for expected in ("Two curves", "time (s)", "$ per day", "before", "_after $x^2$ 100 %"):
        assert expected in words


def test_the_curves_are_drawn_over_x_with_gaps(tmp_path: Path, seen: Seen) -> None:
    draw_series([0.0, 5.0, 6.0], {"a": [1.0, np.inf, 2.0]}, tmp_path / "s.png")
    (line,) = seen.figures[-1].axes[1].lines
    assert np.asarray(line.get_xdata()).tolist() == [0.0, 5.0, 6.0]
    ydata = np.asarray(line.get_ydata())
    assert ydata[[0, 2]].tolist() == [1.0, 2.0] and np.isnan(ydata[1])


def test_no_two_of_28_curves_look_the_same() -> None:
    # Seven colours in four kinds of stroke.
    made = looks({str(place): np.zeros(100) for place in range(28)})
    assert len({(look["color"], str(look["linestyle"])) for look in made}) == 28


@pytest.mark.parametrize(
    ("x", "series", "kind", "message"),
    [
        ([1], {}, ArgumentError, "draw_series needs at least one series. Received: series={}."),
        (
            [1],
            {str(place): [1] for place in range(101)},
            ArgumentError,
            "draw_series draws at most 100 curves in one plot. Received: 101 curves.",
        ),
        (
            [1, 2],
            {"a": [1]},
            ShapeError,
            "draw_series needs every series as long as x, which has 2 values. "
            "Received: series 'a' with shape (1,) and dtype float64.",
        ),
        (
            [1, 2],
            {"a": [1, 2], "b": [1]},
            ShapeError,
            "draw_series needs the curves of one plot equally long; the first has 2 values. "
            "Received: series 'b' with shape (1,) and dtype float64.",
        ),
        (
            [[1, 2]],
            {"a": [1, 2]},
            ShapeError,
            "draw_series needs x of rank 1 (n,). Received: x with shape (1, 2) and dtype int64.",
        ),
        (
            [1, np.nan],
            {"a": [1, 2]},
            ArgumentError,
            "draw_series needs every value of x to be finite. "
            "Received: 1 of 2 values not finite, the first at index (1,).",
        ),
        (
            [1, -1e301],
            {"a": [1, 2]},
            ArgumentError,
            "draw_series plots values of x up to 1e300. Received: a value of magnitude 1e+301.",
        ),
        (
            [1, 2],
            {"a": [1.7e308, 2]},
            ArgumentError,
            "draw_series plots values of series 'a' up to 1e300. Received: a value of magnitude 1.7e+308.",
        ),
        (
            [1, 2],
            {"a": [None, 2]},
            DtypeError,
            "draw_series needs series 'a' made of real numbers. "
            "Received: series 'a' with shape (2,) and dtype object.",
        ),
    ],
)
def test_bad_series_are_refused(
    x: Any, series: Any, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        draw_series(x, series, tmp_path / "s.png")
    assert str(caught.value) == message
