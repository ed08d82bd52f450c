"""Axes in parts: what a part reads is all that its outputs see, and no part leaves a trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.image.borders import border_names, source_index
from tilewright.image.spans import even_parts, spans_of


@pytest.mark.parametrize(
    ("size", "most", "whole", "expected"),
    [(10, 4, 1, (4, 4, 2)), (10, 7, 4, (4, 4, 2)), (3, 10, 4, (3,)), (0, 3, 1, (0,)), (8, 1, 4, (4, 4))],
)
def test_even_parts(size: int, most: int, whole: int, expected: tuple[int, ...]) -> None:
    assert even_parts(size, most, whole) == expected


def test_halos_end_at_the_edges_and_hold_what_a_border_repeats() -> None:
    spans = spans_of(20, (2, 10, 8), 5, 3, "mirror")
    assert [span.ranges for span in spans] == [((0, 6),), ((0, 15),), ((7, 20),)]
    assert [span.kept for span in spans] == [slice(0, 2), slice(2, 12), slice(5, 13)]
    # Nothing of the image stands beyond a constant border's edge.
    assert spans_of(20, (2, 18), 5, 0, "constant")[0].ranges == ((0, 2),)


def test_a_border_that_goes_round_reads_the_other_end() -> None:
    first, second = spans_of(10, (4, 6), 2, 1, "wrap")
    assert (first.ranges, first.lead) == (((8, 10), (0, 5)), 2)
    assert (second.ranges, second.lead) == (((2, 10), (0, 1)), 2)
    assert spans_of(3, (1, 2), 4, 0, "wrap")[0].ranges == ((2, 3), (0, 3), (0, 1))
    # One part is the axis itself.
    assert spans_of(3, (3,), 4, 0, "wrap")[0].ranges == ((0, 3),)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(sum),
    st.integers(0, 15),
    st.integers(0, 15),
    st.sampled_from(border_names()),
)
def test_windows_see_the_same_samples_in_a_part_as_in_the_whole(
    parts: list[int], before: int, after: int, border: str
) -> None:
    size = sum(parts)
    whole = source_index(size, before, after, border)
    for span in spans_of(size, parts, before, after, border):
        read = np.concatenate([np.arange(*pair) for pair in span.ranges])
        assert span.length == read.size
        if span.start == span.stop:
            continue
        # What the border makes of the part, and which outputs of it are kept.
        seen = source_index(read.size, before, after, border)
        for output in range(span.start, span.stop):
            place = span.lead + output - span.start
            inside = seen[place : place + before + after + 1]
            # Places without a sample are negative.
            found = np.where(inside < 0, -1, read[np.maximum(inside, 0)])
            expected = np.maximum(whole[output : output + before + after + 1], -1)
            assert found.tolist() == expected.tolist()
