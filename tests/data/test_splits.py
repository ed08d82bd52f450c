"""Stratified splits, weights of classes, and the sampler that follows them."""

from __future__ import annotations

import json
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright.data import (
    ArrayDataset,
    DataLoader,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    class_counts,
    class_weights,
    labels_of,
    random_split,
    sample_weights,
    stratified_split,
)
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, TilewrightError


def labelled(labels: Any) -> ArrayDataset:
    return ArrayDataset(np.arange(len(labels)), np.asarray(labels))


class TestStratifiedSplit:
    @settings(max_examples=300)
    @given(
        labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
        cuts=st.lists(st.integers(0, 60), max_size=5),
        seed=st.integers(0, 2**62),
    )
    def test_every_sample_once_and_every_class_in_proportion(
        self, labels: list[int], cuts: list[int], seed: int
    ) -> None:
        ends = [0, *sorted(min(cut, len(labels)) for cut in cuts), len(labels)]
        lengths = [end - start for start, end in pairwise(ends)]
        data = labelled(labels)
        parts = stratified_split(data, lengths, seed)
        assert [len(part) for part in parts] == lengths
        assert sorted(chain(*(part.indices.tolist() for part in parts))) == list(range(len(labels)))
        for part, length in zip(parts, lengths, strict=True):
            assert part.indices.tolist() == sorted(part.indices.tolist())
            for label in set(labels):
                share = labels.count(label) * length / len(labels)
                assert abs(int((part.labels == label).sum()) - share) <= 1 + 1e-9
        again = stratified_split(data, lengths, seed)
        assert all(np.array_equal(a.indices, b.indices) for a, b in zip(parts, again, strict=True))

    def test_fractions_and_seeds(self) -> None:
        data = labelled([0] * 80 + [1] * 20)
        train, test = stratified_split(data, [0.8, 0.2], 1)
        assert np.bincount(train.labels).tolist() == [64, 16] and np.bincount(test.labels).tolist() == [16, 4]
        other, _ = stratified_split(data, [0.8, 0.2], 2)
        assert not np.array_equal(train.indices, other.indices)
        # Within a class every sample is as likely to be held out.
        times = np.zeros(100)
        for seed in range(400):
            times[stratified_split(data, [0.8, 0.2], seed)[1].indices] += 1
        # 400 draws of 1 in 5: 80 ± 8; more than 5 deviations off at one of 100 places once in 17,000 runs.
        assert abs(times - 80).max() < 40

    def test_labels_of_other_kinds(self) -> None:
        for labels in (["cat", "dog"] * 6, [True, False] * 6, np.arange(12, dtype=np.uint8) % 2):
            one, two = stratified_split(list(range(12)), [6, 6], 0, labels=labels)
            assert len(one) == len(two) == 6
            assert sum(np.asarray(labels)[one.indices] == np.asarray(labels)[0]) == 3
        assert [len(part) for part in stratified_split(labelled([]), [0, 0], 0)] == [0, 0]

    def test_a_split_part_can_be_split_again(self) -> None:
        data = labelled(np.arange(100) % 4)
        train, _ = stratified_split(data, [80, 20], 0)
        smaller, _ = stratified_split(train, [40, 40], 0)
        assert np.bincount(smaller.labels).tolist() == [10] * 4
        assert all(
            int(data[int(i)][1]) == smaller[n][1] for n, i in enumerate(train.indices[smaller.indices])
        )


class TestLabels:
    def test_where_they_are_found(self) -> None:
        numbers = np.array([2, 0, 1])

        class Targets(list):  # type: ignore[type-arg]
            targets = (2, 0, 1)

        for data in (
            labelled(numbers),
            Subset(labelled(numbers[::-1]), [2, 1, 0]),
            TensorDataset(np.zeros((3, 2)), numbers),
            TensorDataset(tw.zeros(3, 2), tw.tensor(numbers)),
            [(None, 2), (None, 0), (None, 1)],
            [(None, tw.tensor(2)), (None, tw.tensor(0)), (None, tw.tensor(1))],
            Targets([None, None, None]),
        ):
            assert labels_of(data).tolist() == [2, 0, 1]
        with pytest.raises(ShapeError, match="labels_of needs samples whose last part is one label"):
            labels_of([(0, [1, 2]), (0, [1])])


class TestWeights:
    def test_by_hand(self) -> None:
        labels = [0, 0, 0, 2]
        assert class_counts(labels).tolist() == [3, 0, 1]
        assert class_counts(labels, classes=5).tolist() == [3, 0, 1, 0, 0]
        weights = class_weights(labels)
        expected = np.float32([4 / 9, 1.0, 4 / 3])
        assert_same(weights, expected, rtol=1e-7, atol=0, reason="one rounding to float32")
        assert_same(sample_weights(labels), [1 / 3, 1 / 3, 1 / 3, 1.0], rtol=0, atol=0, reason="a quotient")
        for data in (labelled(labels), np.array(labels, np.uint8), tw.tensor(labels), tuple(labels)):
            assert class_counts(data).tolist() == [3, 0, 1]
        assert class_counts([]).tolist() == [] and class_weights([], 2).tolist() == [1.0, 1.0]
        assert sample_weights([]).shape == (0,)

    def test_beside_scikit_learn(self) -> None:
        sklearn = pytest.importorskip("sklearn.utils.class_weight", reason="needs scikit-learn")
        labels = np.random.default_rng(0).integers(0, 7, 300) ** 2 // 6
        labels = np.unique(labels, return_inverse=True)[1]
        expected = sklearn.compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        assert_same(class_weights(labels), expected.astype(np.float32), rtol=1e-7, atol=0, reason="float32")

    def test_the_loss_takes_them(self) -> None:
        labels = np.array([0, 0, 0, 1])
        loss = tw.nn.CrossEntropyLoss(weight=tw.tensor(class_weights(labels)))
        assert np.isfinite(loss(tw.zeros(4, 2), tw.tensor(labels)).item())


class TestSampler:
    def test_with_replacement(self) -> None:
        weights = np.array([0.0, 1.0, 3.0, 0.0, 4.0, 0.0])
        drawn = WeightedRandomSampler(weights, 80000, generator=3).order(0)
        counts = np.bincount(drawn, minlength=6)
        expected = weights / 8 * 80000
        assert counts[weights == 0].sum() == 0
        # χ² of 2 degrees of freedom: above 19 once in 13,000 seeds.
        assert ((counts - expected)[expected > 0] ** 2 / expected[expected > 0]).sum() < 19

    def test_without_replacement(self) -> None:
        weights = np.array([0.0, 1.0, 2.0, 5.0])
        firsts = np.zeros(4)
        for epoch in range(4000):
            drawn = WeightedRandomSampler(weights, 3, replacement=False, generator=1).order(epoch)
            assert sorted(drawn.tolist()) == [1, 2, 3]
            firsts[drawn[0]] += 1
        # The first is drawn in proportion to the weights. χ² as above.
        expected = weights / 8 * 4000
        assert ((firsts - expected)[1:] ** 2 / expected[1:]).sum() < 19
        some = WeightedRandomSampler(weights, 1, replacement=False, generator=1)
        assert some.order(5).shape == (1,)

    def test_extreme_weights(self) -> None:
        for weights in ([1e308, 1e308, 0.0], [1e-320, 0.0, 1e-320], [5, 0, 5], [True, False, True]):
            drawn = WeightedRandomSampler(weights, 500, generator=0).order(0)
            assert len(set(drawn.tolist())) == 2 and np.asarray(weights)[drawn].min() > 0

    def test_by_itself_each_pass_is_another(self) -> None:
        sampler = WeightedRandomSampler([1.0, 1.0, 1.0], 10, generator=4)
        first, second = list(sampler), list(sampler)
        assert (
            first == sampler.order(0).tolist() and second == sampler.order(1).tolist() and len(sampler) == 10
        )
        assert first != second
        fresh = WeightedRandomSampler([1.0], 3)
        assert list(fresh) == [0, 0, 0] and fresh.seed is not None

    def test_a_loader_balances_its_classes(self) -> None:
        data = labelled([0] * 95 + [1] * 5)
        sampler = WeightedRandomSampler(sample_weights(data), 1000)
        loader = DataLoader(data, 50, sampler=sampler, seed=8)
        assert len(loader) == 20
        first = np.concatenate([labels for _, labels in loader])
        second = np.concatenate([labels for _, labels in loader])
        # 1,000 tosses of a fair coin: more than 80 off once in 2.4 million.
        assert abs(first.sum() - 500) < 80 and not np.array_equal(first, second)
        again = DataLoader(data, 50, sampler=WeightedRandomSampler(sample_weights(data), 1000), seed=8)
        assert np.array_equal(np.concatenate([labels for _, labels in again]), first)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_resumed_loader_draws_the_same(self, workers: int) -> None:
        data = labelled(np.arange(40))

        def make(seed: int, weights: Any = range(40)) -> DataLoader:
            sampler = WeightedRandomSampler(np.array(weights), 30)
            return DataLoader(data, 7, sampler=sampler, seed=seed, num_workers=workers)

        first = make(5)
        whole = [labels.tolist() for _ in range(2) for _, labels in first]
        interrupted = make(5)
        batches = iter(interrupted)
        seen = [next(batches)[1].tolist() for _ in range(3)]
        state = json.loads(json.dumps(interrupted.state_dict()))
        del batches
        resumed = make(99)
        resumed.load_state_dict(state)
        rest = [labels.tolist() for _ in range(2) for _, labels in resumed]
        assert seen + rest == whole
        with pytest.raises(
            StateError, match="needs a state of a loader with sampler='WeightedRandomSampler: 30"
        ):
            make(5, range(40, 0, -1)).load_state_dict(state)

    def test_numbers_of_ones_own(self) -> None:
        data = labelled(np.arange(10))
        loader = DataLoader(data, 2, sampler=[3, 3, 9])
        assert [labels.tolist() for _, labels in loader] == [[3, 3], [9]]
        assert loader.state_dict()["sampler"] == "list: 3 numbers"
        assert len(DataLoader(data, 2, sampler=np.array([1, 2, 3]), drop_last=True)) == 1
        assert list(DataLoader(data, 2, sampler=[])) == []


def sampled(sampler: Any, **options: Any) -> Any:
    return list(DataLoader(labelled([0, 1, 2]), 2, sampler=sampler, **options))


class Wrong:
    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        return iter([0, 1, 2])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: stratified_split(labelled([0, 1]), [1, 2]),
            ArgumentError,
            "stratified_split needs lengths of 0 or more that add up to the data set's 2 samples, or "
            "fractions that add up to 1. Received: lengths=[1, 2].",
        ),
        (
            lambda: stratified_split(labelled([0, 1]), ["a"]),
            ArgumentError,
            "stratified_split needs lengths to be a list of numbers. Received: lengths=['a'].",
        ),
        (
            lambda: random_split(labelled([0, 1]), [float("inf"), float("-inf")]),
            ArgumentError,
            "random_split needs lengths to be a list of numbers. Received: lengths=[inf, -inf].",
        ),
        (
            lambda: random_split(labelled([0, 1]), 2),
            ArgumentError,
            "random_split needs lengths to be a list of numbers. Received: lengths=2.",
        ),
        (
            lambda: random_split(labelled([0, 1]), np.ones((2, 1))),
            ArgumentError,
            "random_split needs lengths to be a list of numbers. Received: lengths=[array([1.]), array([1.",
        ),
        (
            lambda: stratified_split(labelled([0, 1]), [1, 1], labels=[0]),
            ShapeError,
            "stratified_split needs one label for each of 2 samples. Received: labels with shape (1,)",
        ),
        (
            lambda: stratified_split(labelled([0.5, 1.5]), [1, 1]),
            DtypeError,
            "stratified_split needs integers, truths or texts as labels. "
            "Received: labels with shape (2,) and dtype float64.",
        ),
        (
            lambda: class_counts(3),
            DtypeError,
            "class_counts needs class numbers, or a data set. Received: labels=3.",
        ),
        (
            lambda: class_counts([0.5]),
            DtypeError,
            "class_counts needs integers as class numbers. Received: labels with shape (1,)",
        ),
        (
            lambda: class_weights([-1, 2]),
            DtypeError,
            "class_counts needs class numbers from 0 to 16777215. Received: labels from -1 to 2.",
        ),
        (
            lambda: sample_weights([2**40]),
            DtypeError,
            "sample_weights needs class numbers from 0 to 16777215.",
        ),
        (
            lambda: sample_weights(np.zeros((2, 2), int)),
            ShapeError,
            "sample_weights needs one class number per sample, an array of rank 1.",
        ),
        (
            lambda: WeightedRandomSampler([1.0], 0),
            ArgumentError,
            "WeightedRandomSampler needs num_samples to be a positive integer. Received: num_samples=0.",
        ),
        (
            lambda: WeightedRandomSampler([0.0, 0.0], 1),
            ArgumentError,
            "WeightedRandomSampler needs finite weights of at least 0, one of them above 0. "
            "Received: weights=[0.0, 0.0].",
        ),
        (
            lambda: WeightedRandomSampler([1.0, float("nan")], 1),
            ArgumentError,
            "WeightedRandomSampler needs finite weights of at least 0, one of them above 0.",
        ),
        (
            lambda: WeightedRandomSampler([], 1),
            ArgumentError,
            "WeightedRandomSampler needs finite weights of at least 0, one of them above 0. "
            "Received: weights=[].",
        ),
        (
            lambda: WeightedRandomSampler([[1.0]], 1),
            ShapeError,
            "WeightedRandomSampler needs one weight per sample, an array of rank 1. "
            "Received: weights with shape (1, 1) and dtype float64.",
        ),
        (
            lambda: WeightedRandomSampler(["a"], 1),
            DtypeError,
            "WeightedRandomSampler needs weights as numbers. Received: weights=['a'].",
        ),
        (
            lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False),
            ArgumentError,
            "WeightedRandomSampler without replacement needs at most as many draws as samples of a weight "
            "above 0. Received: num_samples=2, and 1 such samples.",
        ),
        (
            lambda: sampled([0], shuffle=True),
            ArgumentError,
            "DataLoader needs a sampler with __len__, and no shuffle beside it. "
            "Received: sampler=[0], shuffle=True.",
        ),
        (
            lambda: sampled(iter([0])),
            ArgumentError,
            "DataLoader needs a sampler with __len__, and no shuffle beside it.",
        ),
        (
            lambda: sampled([0, 3]),
            ArgumentError,
            "DataLoader needs a sampler that gives as many numbers as its length says, from 0 to 2. "
            "Received: 2 numbers, where its length is 2, from 0 to 3.",
        ),
        (
            lambda: sampled(Wrong()),
            ArgumentError,
            "DataLoader needs a sampler that gives as many numbers as its length says, from 0 to 2. "
            "Received: 3 numbers, where its length is 2, from 0 to 2.",
        ),
        (
            lambda: sampled(["a"]),
            ArgumentError,
            "DataLoader needs a sampler that gives integers. Received: sampler=['a'].",
        ),
    ],
)
def test_refusals(call: Any, kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(message)
