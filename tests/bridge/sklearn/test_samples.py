"""The samples' own order: the same whatever order, repetition or dtype the data came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from tilewright.bridge.sklearn.samples import batches, held_out, in_own_order

Array = np.ndarray[Any, Any]


def as_met(rows: Array, targets: Array, weights: Array) -> list[tuple[list[float], list[float], float]]:
    """The samples and weights in their own order, as numbers."""
    numbers, found = in_own_order(rows, targets, weights)
    return [
        (rows[number].tolist(), targets[number].tolist(), float(weight))
        for number, weight in zip(numbers, found, strict=True)
    ]


def test_equal_samples_become_one_and_their_weights_a_sum() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0]])
    targets = np.array([[0.0], [0.0], [0.0], [1.0]])
    found = as_met(rows, targets, np.array([1.0, 2.0, 0.5, 4.0]))
    assert sorted(found) == [([1, 2], [0], 1.5), ([1, 2], [1], 4.0), ([3, 4], [0], 2.0)]


@given(st.data())
def test_neither_order_nor_repetition_matters(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    numbers = st.lists(st.integers(0, 2), min_size=2 * count, max_size=2 * count)
    rows = np.array(data.draw(numbers), np.float64).reshape(count, 2)
    targets = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), float)[:, None]
    repeats = np.array(data.draw(st.lists(st.integers(1, 4), min_size=count, max_size=count)))
    expected = as_met(rows, targets, repeats.astype(float))
    shuffled = np.array(data.draw(st.permutations(np.repeat(np.arange(count), repeats).tolist())))
    assert as_met(rows[shuffled], targets[shuffled], np.ones(len(shuffled))) == expected


def test_fractional_weights_add_up_to_the_same_bits_in_any_order() -> None:
    weights = np.random.default_rng(0).random(40)
    sums = set()
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(40)
        _, found = in_own_order(np.zeros((40, 1)), np.zeros((40, 1)), weights[order])
        sums.add(float(found[0]))
    assert len(sums) == 1
    # The order of the weights does matter to a plain sum, or this test would show nothing.
    plain = {
        float(np.add.reduceat(weights[np.random.default_rng(seed).permutation(40)], [0])[0])
        for seed in range(20)
    }
    assert len(plain) > 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float32, bool])
def test_the_dtype_of_the_rows_does_not_matter(dtype: Any) -> None:
    rows = np.random.default_rng(3).integers(0, 2, (20, 3))
    targets, weights = np.zeros((20, 1)), np.ones(20)
    assert as_met(rows.astype(dtype), targets, weights) == as_met(rows.astype(float), targets, weights)


def test_nor_does_their_layout_in_memory_or_the_sign_of_zero() -> None:
    rows = np.random.default_rng(4).integers(-1, 2, (20, 3)).astype(float)
    targets, weights = np.zeros((20, 1)), np.ones(20)
    expected = as_met(rows, targets, weights)
    assert as_met(np.asfortranarray(rows), targets, weights) == expected
    assert as_met(np.repeat(rows, 2, axis=1)[:, ::2], targets, weights) == expected
    assert as_met(rows * np.where(rows == 0, -1.0, 1.0), targets, weights) == expected


def test_samples_that_need_many_blocks() -> None:
    rows = np.random.default_rng(5).random((7, 400_000))
    numbers, weights = in_own_order(rows[[0, 1, 2, 3, 4, 5, 6, 0]], np.zeros((8, 1)), np.ones(8))
    assert sorted(numbers % 7) == list(range(7)) and sorted(weights) == [1.0] * 6 + [2.0]


def test_each_group_gives_its_share() -> None:
    groups = np.repeat([0, 1, 2], [100, 10, 4])
    chosen = held_out(groups, 0.2, seed=0)
    assert [int(chosen[groups == group].sum()) for group in range(3)] == [20, 2, 1]
    # As the seed says, and as another one doesn't.
    assert np.array_equal(chosen, held_out(groups, 0.2, seed=0))
    assert not np.array_equal(chosen, held_out(groups, 0.2, seed=1))


@pytest.mark.parametrize(
    ("groups", "fraction", "expected"),
    [
        ([0], 0.5, 0),  # someone must be learnt from
        ([0, 1], 0.5, 0),
        ([0, 0], 0.01, 1),
        ([0, 0, 0, 1, 1], 0.01, 1),
        ([0, 0], 0.99, 1),
        ([0] * 10 + [1], 0.999, 9),
    ],
)
def test_at_least_one_where_possible_and_never_all(groups: list[int], fraction: float, expected: int) -> None:
    chosen = held_out(np.array(groups), fraction, seed=3)
    assert chosen.sum() == expected
    assert set(np.array(groups)[~chosen]) == set(groups)


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 2**31), st.integers(0, 100))
def test_batches_hold_everything_once_in_even_parts(count: int, most: int, seed: int, epoch: int) -> None:
    found = batches(count, most, seed, epoch)
    assert sorted(np.concatenate(found)) == list(range(count))
    sizes = [len(batch) for batch in found]
    assert len(sizes) == -(-count // most)
    assert max(sizes) <= most and max(sizes) - min(sizes) <= 1


def test_epochs_have_orders_of_their_own() -> None:
    first, second = (batches(50, 50, 0, epoch)[0].tolist() for epoch in (0, 1))
    assert first != second and first != sorted(first)
