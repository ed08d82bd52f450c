"""Panels side by side: kinds, scales, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import MARKED, Digits, Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.bands import draw_panels

STEP = np.array([10.0, 11, 9, 10, 101, 99, 100, 101, 9, 10, 11, 10])


def test_pictures_curves_and_several_curves_stand_side_by_side(
    tmp_path: Path, seen: Seen, digits: Digits
) -> None:
    image = digits.images[3, 0]
    panels = [
        ("a digit", image),
        ("its vertical edges", image[:, 1:] - image[:, :-1]),
        ("a curve", STEP),
        ("both", {"before": STEP, "after": -STEP}),
    ]
    read_png(draw_panels(panels, tmp_path / "p.png", title="Four", signed=[False, True, False, False]))
    words = seen.words()
    for expected in ("Four", "a digit", "its vertical edges", "a curve", "both", "before", "after"):
        assert expected in words
    assert f"8 × 8, black 0, white {image.max():.3g}" in words
    assert len(seen.figures[-1].axes) == 3  # the sheet and two plots


def test_each_picture_has_its_own_scale_unless_they_share_one(tmp_path: Path, seen: Seen) -> None:
    panels = [("a", np.array([[0.0, 1.0]])), ("b", np.array([[-4.0, 2.0]]))]
    draw_panels(panels, tmp_path / "p.png")
    assert "1 × 2, black 0, white 1" in seen.words() and "1 × 2, black −4, white 2" in seen.words()
    draw_panels(panels, tmp_path / "p.png", shared=True)
    assert seen.words().count("1 × 2, black −4, white 2") == 2
    draw_panels(panels, tmp_path / "p.png", signed=True)
    assert {"−1", "+1", "−4", "+4"} <= set(seen.words())
    draw_panels(panels, tmp_path / "p.png", signed=True, shared=True)
    assert (seen.words().count("−4"), seen.words().count("+4")) == (2, 2)


def test_columns_are_kept(tmp_path: Path) -> None:
    panels = [(str(place), np.eye(3)) for place in range(4)]
    wide = read_png(draw_panels(panels, tmp_path / "wide.png"))
    tall = read_png(draw_panels(panels, tmp_path / "tall.png", columns=1))
    assert wide.shape[1] > 2 * tall.shape[1] and tall.shape[0] > 2 * wide.shape[0]


def test_pixels_that_are_not_finite_are_marked_and_points_leave_gaps(tmp_path: Path, seen: Seen) -> None:
    picture = np.eye(4)
    picture[0, 3] = -np.inf
    for signed in (False, True):
        pixels = read_png(draw_panels([("a", picture)], tmp_path / "p.png", signed=signed))
        # One pixel of 16 in 2.4 inches: 86 pixels a side, less what its neighbours and the frame blend into.
        assert 75**2 <= count(pixels, MARKED) <= 90**2
        assert "magenta: not a finite number" in seen.words()
    curve = np.array([1.0, np.nan, 3.0, np.inf])
    read_png(draw_panels([("a", curve)], tmp_path / "p.png"))
    assert "magenta: not a finite number" not in seen.words()


@pytest.mark.parametrize(
    ("panels", "more", "kind", "message"),
    [
        ([], {}, ArgumentError, "draw_panels needs at least one panel. Received: panels=[]."),
        (
            [("a", STEP)] * 101,
            {},
            ArgumentError,
            "draw_panels draws at most 100 panels. Received: 101 panels.",
        ),
        (
            [("a", STEP, 1)],
            {},
            ArgumentError,
            "draw_panels needs panels as pairs of a title and an array. Received: panels[0]=('a', array(",
        ),
        (
            [("a", np.zeros((1, 2, 3)))],
            {},
            ShapeError,
            "draw_panels needs panel 'a' of rank 2 (height, width) or 1 (n,). "
            "Received: panel 'a' with shape (1, 2, 3) and dtype float64.",
        ),
        (
            [("a", [])],
            {},
            ShapeError,
            "draw_panels needs panel 'a' with at least one value. "
            "Received: panel 'a' with shape (0,) and dtype float64.",
        ),
        (
            [("a", ["x"])],
            {},
            DtypeError,
            "draw_panels needs panel 'a' made of real numbers. "
            "Received: panel 'a' with shape (1,) and dtype <U1.",
        ),
        (
            [("a", [1e301])],
            {},
            ArgumentError,
            "draw_panels plots values of panel 'a' up to 1e300. Received: a value of magnitude 1e+301.",
        ),
        (
            [("a", {})],
            {},
            ArgumentError,
            "draw_panels needs at least one curve in a panel. Received: panel 'a'={}.",
        ),
        (
            [("a", {"x": [1, 2], "y": [1, 2, 3]})],
            {},
            ShapeError,
            "draw_panels needs the curves of one plot equally long; the first has 2 values. "
            "Received: curve 'y' with shape (3,) and dtype float64.",
        ),
        (
            [("a", STEP)],
            {"signed": [True, False]},
            ArgumentError,
            "draw_panels needs signed as one flag, or one for each of the 1 panels. "
            "Received: signed=[True, False].",
        ),
        (
            [("a", STEP)],
            {"columns": 0},
            ArgumentError,
            "draw_panels needs columns of at least 1. Received: columns=0.",
        ),
    ],
)
def test_bad_panels_are_refused(
    panels: Any, more: dict[str, Any], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        draw_panels(panels, tmp_path / "p.png", **more)
    assert str(caught.value).startswith(message)
