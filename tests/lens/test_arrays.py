"""Numbers as words, and the scales of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.lens.arrays import has_marked, reach, short, span, tick_labels


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (-0.5, "−0.5"),
        (0.0508, "0.0508"),
        (0.012345, "0.0123"),
        (1234.4, "1,234"),
        (-123456.0, "−123,456"),
        (999999.0, "1e6"),
        (1.5e-7, "1.5e−7"),
        (2e9, "2e9"),
        (float("nan"), "not finite"),
        (float("-inf"), "not finite"),
    ],
)
def test_numbers_in_words(value: float, words: str) -> None:
    assert short(value) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], []),
        ([2.5], ["2.5"]),
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([99.95, 100.0, 100.05], ["99.95", "100", "100.05"]),
        ([1.25e-6, 1.5e-6], ["1.25e−6", "1.5e−6"]),
        ([-7.5, -5.0, 0.0], ["−7.5", "−5", "0"]),
        ([123455.5, 123456.0], ["123,455.5", "123,456"]),
        ([0.001, 0.01, 0.1, 1.0, 10.0, 100.0], ["0.001", "0.01", "0.1", "1", "10", "100"]),
    ],
)
def test_ticks_are_told_apart(values: list[float], words: list[str]) -> None:
    assert tick_labels(values) == words


def test_scales_leave_out_what_is_not_finite_and_never_have_no_length() -> None:
    bad = np.array([np.nan, np.inf, -3.0, 2.0])
    assert reach(bad) == 3.0
    assert span(bad) == (-3.0, 2.0)
    assert has_marked(np.zeros(2), bad) and not has_marked(np.zeros(2))
    nothing = np.array([np.nan, -np.inf])
    assert reach(nothing) == 1.0 and reach(np.zeros(3)) == 1.0
    assert span(nothing) == (0.0, 1.0)
    for flat in (0.0, 5.0, -1e300):
        low, high = span(np.full(3, flat))
        assert low == flat and high > low
