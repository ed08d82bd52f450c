"""Windows of adaptive pools: worked cases, what holds of all of them, and every refusal."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry import AdaptiveDims, PoolDims

_SIZES = st.integers(1, 40)


def windows(n: int, m: int) -> list[tuple[int, int]]:
    dims = AdaptiveDims.of((1, 1, n), m)
    return [dims.window(0, o) for o in range(m)]


@pytest.mark.parametrize(
    ("n", "m", "expected"),
    [
        (6, 3, [(0, 2), (2, 4), (4, 6)]),
        (5, 3, [(0, 2), (1, 4), (3, 5)]),
        (10, 7, [(0, 2), (1, 3), (2, 5), (4, 6), (5, 8), (7, 9), (8, 10)]),
        (2, 3, [(0, 1), (0, 2), (1, 2)]),
        (1, 4, [(0, 1)] * 4),
        (7, 1, [(0, 7)]),
        (4, 0, []),
    ],
)
def test_worked_windows(n: int, m: int, expected: list[tuple[int, int]]) -> None:
    assert windows(n, m) == expected


@given(_SIZES, _SIZES)
def test_windows_are_the_definition_and_cover_everything(n: int, m: int) -> None:
    found = windows(n, m)
    assert found == [(math.floor(o * n / m), math.ceil((o + 1) * n / m)) for o in range(m)]
    assert found[0][0] == 0 and found[-1][1] == n
    assert all(start < end for start, end in found)
    assert all(after[0] <= before[1] for before, after in pairwise(found))
    dims = AdaptiveDims.of((2, 3, n), m)
    assert dims.longest(0) == max(end - start for start, end in found)
    assert dims.flops == 6 * sum(end - start for start, end in found)


@given(_SIZES, _SIZES)
def test_turned_round_they_list_the_windows_of_each_sample(n: int, m: int) -> None:
    found = windows(n, m)
    turned = AdaptiveDims.of((1, 1, n), m).turned()
    for i in range(n):
        first, end = turned.window(0, i)
        assert list(range(first, end)) == [o for o, (a, b) in enumerate(found) if a <= i < b]


def test_entries_per_axis() -> None:
    dims = AdaptiveDims.of((2, 3, 8, 9, 10), (4, None, 0))
    assert dims.output == (4, 9, 0)
    assert dims.output_shape == (2, 3, 4, 9, 0)
    assert dims.longest(2) == 0 and dims.flops == 0
    assert AdaptiveDims.of((0, 0, 4), np.int64(2)).output == (2,)


def test_even_windows_are_an_ordinary_pool() -> None:
    assert AdaptiveDims.of((2, 3, 8, 9), (4, 1)).even() == PoolDims.of((2, 3, 8, 9), (2, 9))
    assert AdaptiveDims.of((2, 3, 8, 9), (3, 1)).even() is None
    assert AdaptiveDims.of((2, 3, 8), 0).even() is None


def test_sizes_beyond_what_memory_holds() -> None:
    """Near 2^62 samples: geometry takes exact integers, and no longer for large ones."""
    n, m = 2**62 - 1, 2**61 + 3
    dims = AdaptiveDims.of((1, 1, n), m)
    assert dims.window(0, 0) == (0, 2)
    assert dims.window(0, m - 1) == ((m - 1) * n // m, n)
    assert dims.longest(0) == 3
    assert AdaptiveDims.of((1, 1, 2**31, 2**31), 1).flops == 2**62
    assert dims.flops >= n


@pytest.mark.parametrize(
    ("shape", "size", "kind", "text"),
    [
        (
            (1, 4),
            2,
            ShapeError,
            "adaptive_pool needs input of shape (batch, channels, *spatial) with at least",
        ),
        (
            (1, 1, 0),
            2,
            ShapeError,
            "every spatial axis of input to hold at least one sample. Received: input with shape (1, 1, 0).",
        ),
        ((1, 1, 4), -1, ArgumentError, "output_size to be at least 0. Received: output_size=-1."),
        ((1, 1, 4), 2.0, ArgumentError, "output_size to be an integer. Received: output_size=2.0."),
        ((1, 1, 4), (2.5,), ArgumentError, "output_size to be an integer. Received: output_size=2.5."),
        ((1, 1, 4), True, ArgumentError, "output_size to be an integer. Received: output_size=True."),
        ((1, 1, 4), "2", ArgumentError, "output_size to be an integer. Received: output_size='2'."),
        (
            (1, 1, 4),
            None,
            ArgumentError,
            "adaptive_pool needs output_size to be an integer, or 1 entries, one per spatial axis, each an "
            "integer or None for the input's size. Received: output_size=None.",
        ),
        ((1, 1, 4, 4), (2,), ArgumentError, "or 2 entries, one per spatial axis"),
        ((1, 1, 4, 4), (2, 2, 2), ArgumentError, "Received: output_size=(2, 2, 2)."),
    ],
)
def test_refusals(shape: Any, size: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        AdaptiveDims.of(shape, size)
    assert text in str(caught.value)
