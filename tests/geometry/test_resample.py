"""Where samples lie: sizes, cells worked out in whole numbers, and refusals in the words of the caller."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry.resample import MODES, AxisSampling, sampling_of


def _sampling(spatial: tuple[int, ...] = (4, 4), **changed: Any) -> tuple[AxisSampling, ...]:
    arguments: dict[str, Any] = {
        "size": None,
        "scale_factor": None,
        "mode": "nearest",
        "align_corners": None,
        "recompute_scale_factor": None,
        "antialias": False,
        "op": "interpolate",
    }
    return sampling_of(spatial, **{**arguments, **changed})


def test_sizes_and_scales() -> None:
    assert _sampling(size=3) == (AxisSampling(4, 3, "nearest"),) * 2
    assert [axis.output for axis in _sampling((3, 10), scale_factor=(1.5, 0.3))] == [4, 3]
    assert [axis.scale for axis in _sampling((3, 10), scale_factor=(1.5, 0.3))] == [1.5, 0.3]
    recomputed = _sampling((3, 10), scale_factor=(1.5, 0.3), recompute_scale_factor=True)
    assert [axis.scale for axis in recomputed] == [None, None]
    assert _sampling((5,), scale_factor=1.1)[0].scale is None, "an axis that keeps its size is left alone"
    assert _sampling((5,), scale_factor=1.7, mode="area")[0].scale is None
    assert _sampling((5,), size=2, mode="cubic", antialias=True)[0] == AxisSampling(
        5, 2, "cubic", False, True
    )


def _cells(axis: AxisSampling) -> list[int]:
    step, start, divisor = axis.cells()
    return [min((o * step + start) // divisor, axis.size - 1) for o in range(axis.output)]


@given(n=st.integers(1, 400), m=st.integers(1, 400))
def test_cells_are_exact(n: int, m: int) -> None:
    first = _cells(AxisSampling(n, m, "nearest"))
    middle = _cells(AxisSampling(n, m, "nearest-exact"))
    for o in range(m):
        # The cell that holds the start of the output's cell, and the one that holds its middle.
        assert first[o] <= Fraction(o * n, m) < first[o] + 1
        assert middle[o] <= Fraction(2 * o + 1, 2) * n / m < middle[o] + 1


@pytest.mark.parametrize("scale", [Fraction(11, 10), Fraction(13, 10), Fraction(5, 3), Fraction(1, 3), 3])
def test_a_factor_stands_for_the_fraction_it_was_written_as(scale: Fraction) -> None:
    # ⌊o/1.1⌋ in floating point is one too small wherever o/1.1 is a whole number that division misses.
    for n in (7, 60, 301):
        axis = AxisSampling(n, int(n * scale), "nearest", scale=float(scale))
        assert _cells(axis) == [min(int(o / scale), n - 1) for o in range(axis.output)]


def test_a_factor_that_is_no_simple_fraction_is_taken_as_it_is() -> None:
    axis = AxisSampling(1000, 3141, "nearest", scale=3.14159265358979)
    assert _cells(axis) == [min(int(o / 3.14159265358979), 999) for o in range(3141)]


_MODES = ", ".join(repr(name) for name in MODES)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {},
            ArgumentError,
            "interpolate needs either size or scale_factor. Received: size=None, scale_factor=None.",
        ),
        (
            {"size": 2, "scale_factor": 2},
            ArgumentError,
            "interpolate needs either size or scale_factor. Received: size=2, scale_factor=2.",
        ),
        (
            {"size": 2, "mode": "lanczos"},
            ArgumentError,
            f"interpolate needs mode to be one of {_MODES}. Received: mode='lanczos'.",
        ),
        ({"size": 2, "mode": None}, ArgumentError, "interpolate needs mode to be one of"),
        (
            {"size": 2, "mode": "trilinear"},
            ArgumentError,
            "interpolate with mode 'trilinear' is for 3 spatial axes. Received: 2 spatial axes. For any "
            "number of them: mode='linear'.",
        ),
        (
            {"size": 2, "align_corners": False},
            ArgumentError,
            "interpolate takes align_corners with the linear and cubic modes only. Received: "
            "mode='nearest', align_corners=False.",
        ),
        (
            {"size": 2, "mode": "linear", "align_corners": 1},
            ArgumentError,
            "interpolate needs align_corners to be True or False. Received: align_corners=1.",
        ),
        (
            {"size": 2, "mode": "area", "antialias": True},
            ArgumentError,
            "interpolate takes antialias with the linear and cubic modes only. Received: mode='area', "
            "antialias=True.",
        ),
        (
            {"size": 2, "mode": "linear", "antialias": "yes"},
            ArgumentError,
            "interpolate needs antialias to be True or False. Received: antialias='yes'.",
        ),
        (
            {"size": 2, "recompute_scale_factor": True},
            ArgumentError,
            "interpolate takes recompute_scale_factor with scale_factor only. Received: size=2, "
            "recompute_scale_factor=True.",
        ),
        ({"size": 0}, ArgumentError, "interpolate needs size to be at least 1. Received: size=0."),
        ({"size": 2.0}, ArgumentError, "interpolate needs size to be an integer. Received: size=2.0."),
        (
            {"size": (2, 2, 2)},
            ArgumentError,
            "interpolate needs size to be an integer or 2 integers, one per spatial axis. Received: "
            "size=(2, 2, 2).",
        ),
        (
            {"scale_factor": 0},
            ArgumentError,
            "interpolate needs scale_factor to be a finite number above 0. Received: scale_factor=0.",
        ),
        (
            {"scale_factor": (1.0, float("inf"))},
            ArgumentError,
            "interpolate needs scale_factor to be a finite",
        ),
        (
            {"scale_factor": float("nan")},
            ArgumentError,
            "interpolate needs scale_factor to be a finite number",
        ),
        (
            {"scale_factor": 10**400},
            ArgumentError,
            "interpolate needs scale_factor to be a finite number above 0.",
        ),
        (
            {"scale_factor": "2"},
            ArgumentError,
            "interpolate needs scale_factor to be a finite number above 0.",
        ),
        (
            {"scale_factor": True},
            ArgumentError,
            "interpolate needs scale_factor to be a finite number above 0.",
        ),
        (
            {"scale_factor": (2.0,)},
            ArgumentError,
            "interpolate needs scale_factor to be a number or 2 numbers, one per spatial axis. Received: "
            "scale_factor=(2.0,).",
        ),
        (
            {"scale_factor": 0.2},
            ShapeError,
            "interpolate needs scale_factor to give at least one sample, and fewer than 2**63. Received: "
            "scale_factor=0.2 for 4 samples.",
        ),
        ({"scale_factor": 1e300}, ShapeError, "interpolate needs scale_factor to give at least one sample"),
        (
            {"size": 2, "spatial": (4, 0)},
            ShapeError,
            "interpolate needs at least one sample on every spatial axis. Received: spatial axes of sizes "
            "(4, 0).",
        ),
    ],
)
def test_refusals(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        _sampling(**arguments)
    assert str(caught.value).startswith(message)
