from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.data.draws import Purpose, uniforms, words

SEEDS = st.integers(0, 2**63 - 1)


@settings(max_examples=60)
@given(seed=SEEDS, epoch=SEEDS, samples=st.lists(SEEDS, max_size=5), count=st.integers(0, 11))
@pytest.mark.parametrize("purpose", Purpose)
def test_they_are_numpys_philox_words(
    purpose: Purpose, seed: int, epoch: int, samples: list[int], count: int
) -> None:
    found = words(seed, epoch, np.array(samples, dtype=np.int64), count, purpose)
    assert found.shape == (len(samples), count) and found.dtype == np.uint64
    for sample, row in zip(samples, found, strict=True):
        counter = np.array([0, 0, sample, purpose], dtype=np.uint64)
        philox = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=counter)
        assert np.array_equal(row, philox.random_raw(count))


def test_a_known_answer() -> None:
    # Of the generator's authors (kat_vectors of Random123, philox4x64 10, counter and key of zeros). NumPy
    # counts up before it draws.
    philox = np.random.Philox(key=np.zeros(2, np.uint64), counter=np.full(4, 2**64 - 1, np.uint64))
    assert [hex(int(word)) for word in philox.random_raw(4)] == [
        "0x16554d9eca36314c",
        "0xdb20fe9d672d0fdc",
        "0xd7e772cee186176b",
        "0x7e68b68aec7ba23b",
    ]


def test_a_sample_has_its_own_whatever_it_is_drawn_with() -> None:
    every = uniforms(3, 5, np.arange(100), 7, Purpose.AUGMENT)
    some = np.array([70, 3, 3, 99])
    assert np.array_equal(uniforms(3, 5, some, 7, Purpose.AUGMENT), every[some])
    # More numbers begin with the same ones.
    assert np.array_equal(uniforms(3, 5, some, 2, Purpose.AUGMENT), every[some, :2])


def test_they_differ_by_everything_that_they_depend_on() -> None:
    base = (1, 2, np.array([3]), 4, Purpose.AUGMENT)
    others = [
        (9, 2, np.array([3]), 4, Purpose.AUGMENT),
        (1, 9, np.array([3]), 4, Purpose.AUGMENT),
        (1, 2, np.array([9]), 4, Purpose.AUGMENT),
        (1, 2, np.array([3]), 4, Purpose.MIX),
        # Not (2, 1) for (1, 2).
        (2, 1, np.array([3]), 4, Purpose.AUGMENT),
    ]
    first = set(words(*base).ravel().tolist())
    assert all(first.isdisjoint(words(*other).ravel().tolist()) for other in others)
    # Nor those that the order of an epoch is made of.
    order = np.random.Philox(key=np.array([1, 2], dtype=np.uint64)).random_raw(4000)
    assert set(order.tolist()).isdisjoint(words(1, 2, np.arange(1000), 4, Purpose.AUGMENT).ravel().tolist())


def test_uniforms_are_spread_evenly() -> None:
    drawn = uniforms(0, 0, np.arange(20000), 5, Purpose.AUGMENT)
    assert drawn.min() >= 0 and drawn.max() < 1
    counts = np.histogram(drawn, 100, (0, 1))[0]
    # χ² of 99 degrees of freedom: above 160 once in 10,000 seeds.
    assert ((counts - 1000) ** 2 / 1000).sum() < 160
    # Neighbouring samples, and neighbouring numbers, have nothing to do with each other (100,000 pairs).
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.015
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 0.015
