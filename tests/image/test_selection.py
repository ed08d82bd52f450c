"""Sorting networks for windows: right for every order of the samples, and as short as is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tilewright.image.selection import Place, Program, program


def box(*sizes: int) -> tuple[Place, ...]:
    return tuple(np.ndindex(*sizes))


def answer(plan: Program, row_of: dict[Place, np.ndarray]) -> np.ndarray:
    """The program carried out by its definition: whole lines, shifted, nothing reused."""
    length = min(map(len, row_of.values()))
    values: list[np.ndarray] = [row_of[leaf] for leaf in plan.leaves]
    for step in plan.steps:
        left, right = values[step.left][step.left_shift :], values[step.right][step.right_shift :]
        count = min(len(left), len(right))
        choose = np.maximum if step.is_max else np.minimum
        values.append(choose(left[:count], right[:count]))
    return values[plan.result][plan.shift : length]


@pytest.mark.parametrize(
    "sizes", [(1,), (2,), (5,), (1, 4), (4, 1), (2, 2), (2, 3), (3, 2), (3, 3), (3, 4), (2, 2, 3), (1, 9)]
)
def test_every_rank_of_every_order_of_zeros_and_ones(sizes: Sequence[int]) -> None:
    # What sorts all sequences of zeros and ones sorts everything (Knuth 5.3.4, theorem Z).
    places = box(*sizes)
    for bits in itertools.product((0, 1), repeat=len(places)):
        lines: dict[Place, np.ndarray] = {}
        for place, bit in zip(places, bits, strict=True):
            lines.setdefault(place[:-1], np.zeros(sizes[-1], np.int8))[place[-1]] = bit
        for rank in range(len(places)) if len(places) <= 6 else (0, 1, len(places) // 2, len(places) - 1):
            found = answer(program(places, rank), lines)
            assert found[0] == sorted(bits)[rank], (bits, rank)


@pytest.mark.parametrize("seed", range(40))
def test_windows_with_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    footprint = rng.random((rng.integers(1, 6), rng.integers(1, 6))) < 0.6
    if not footprint.any():
        footprint[0, -1] = True
    places = tuple(map(tuple, np.argwhere(footprint).tolist()))
    image = rng.integers(0, 50, (footprint.shape[0], 40))
    windows = np.lib.stride_tricks.sliding_window_view(image, footprint.shape)[0]
    for rank in range(len(places)):
        plan = program(places, rank)
        found = answer(plan, {(row,): line for row, line in enumerate(image)})
        expected = np.sort(windows[:, footprint], axis=1)[:, rank]
        assert np.array_equal(found[: len(expected)], expected)


@pytest.mark.parametrize(
    ("sizes", "steps"),
    # 18 of 3×3 is what Paeth's and Smith's exchanges come to where columns are shared.
    [((3, 3), 18), ((5, 5), 90), ((7, 7), 294), ((1, 3), 4), ((3, 1), 4)],
)
def test_the_number_of_steps_of_a_median(sizes: tuple[int, int], steps: int) -> None:
    assert len(program(box(*sizes), sizes[0] * sizes[1] // 2).steps) <= steps


def test_what_is_computed_is_needed() -> None:
    plan = program(box(5, 5), 12)
    used = {plan.result, *(part for step in plan.steps for part in (step.left, step.right))}
    assert used == set(range(len(plan.leaves) + len(plan.steps)))
    assert len(set(plan.steps)) == len(plan.steps)
    assert max(plan.extents) <= 4
