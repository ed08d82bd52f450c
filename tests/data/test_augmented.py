"""Data sets whose samples are augmented or mixed: the same in any batch, order and number of threads."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
import tilewright.functional as F
from tilewright.data import (
    ArrayDataset,
    Augmented,
    DataLoader,
    MixUp,
    Standardise,
    Subset,
    TensorDataset,
    digits,
    random_split,
)
from tilewright.data.augment import (
    ColorJitter,
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
)
from tilewright.data.augment.mixup import beta_shares
from tilewright.errors import ArgumentError, DtypeError, ShapeError, TilewrightError

SHIFT = RandomShift(2)
CHANGE = Compose([RandomCrop(8, 1), RandomRotation(10), RandomHorizontalFlip(), ColorJitter(0.2, 0.2)])


def pictures(count: int = 20, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    levels = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    return levels if dtype == np.uint8 else (levels / 255).astype(dtype)


def arrays(count: int = 20, transform: Any = None, dtype: Any = np.uint8) -> ArrayDataset:
    return ArrayDataset(pictures(count, dtype), np.arange(count) % 5, transform)


class TestAugmented:
    def test_a_sample_is_a_function_of_seed_epoch_and_number(self) -> None:
        data = Augmented(arrays(), CHANGE, seed=7)
        whole, labels = data.take_batch(np.arange(20))
        assert np.array_equal(whole, CHANGE(pictures(), seed=7)) and labels.tolist() == data.labels.tolist()
        for number in (0, 3, 19, -1):
            image, label = data[number]
            assert np.array_equal(image, whole[number]) and label == labels[number]
        assert np.array_equal(data.take_batch(np.array([5, 2, 5]))[0], whole[[5, 2, 5]])
        third = data.at_epoch(3)
        assert np.array_equal(third[4][0], CHANGE(pictures()[4], seed=7, epoch=3, index=4))
        # The one it came from stays in its epoch.
        assert np.array_equal(data[4][0], whole[4]) and data.epoch == 0

    def test_a_loader_brings_the_epoch(self) -> None:
        data = Augmented(arrays(), SHIFT, seed=1)
        loader = DataLoader(data, 6, shuffle=True, seed=2)
        for epoch in range(3):
            expected = data.at_epoch(epoch).take_batch(np.arange(20))[0]
            seen = {}
            plain = DataLoader(np.arange(20), 6, shuffle=True, seed=2)
            plain.epoch = epoch
            for (images, _), numbers in zip(loader, plain, strict=True):
                seen.update(zip(numbers.tolist(), images, strict=True))
            assert sorted(seen) == list(range(20))
            assert all(np.array_equal(seen[number], expected[number]) for number in seen)

    @pytest.mark.parametrize("split", [False, True])
    def test_it_comes_before_the_data_sets_own_transform(self, split: bool) -> None:
        standardise = Standardise(0.2, 0.3)
        data: Any = arrays(transform=standardise)
        numbers = np.arange(20)
        if split:
            data = random_split(Subset(data, range(19, -1, -1)), [5, 15], generator=1)[0]
            numbers = 19 - data.indices
        found, _ = Augmented(data, SHIFT, seed=3).take_batch(np.arange(len(data)))
        # What comes in from outside is black, not the mean.
        assert np.array_equal(found, standardise(SHIFT(pictures()[numbers], seed=3)))
        assert np.isclose(found.min(), -0.2 / 0.3)
        one, _ = Augmented(data, SHIFT, seed=3)[2]
        assert np.array_equal(one, found[2])
        assert data[0][0].dtype == np.float32  # the data set itself is as it was

    def test_data_sets_without_batches(self) -> None:
        samples = [(image, int(number)) for number, image in enumerate(pictures())]
        data = Augmented(samples, CHANGE, seed=5)
        assert not hasattr(data, "take_batch") and not hasattr(data.at_epoch(1), "take_batch")
        batched = Augmented(ArrayDataset(pictures(), np.arange(20)), CHANGE, seed=5)
        for (one, _), (two, _) in zip(
            DataLoader(data, 3, shuffle=True, seed=0),
            DataLoader(batched, 3, shuffle=True, seed=0),
            strict=True,
        ):
            assert np.array_equal(one, two)

    def test_images_alone_tensors_and_named_tuples(self) -> None:
        expected = SHIFT(pictures(), seed=1)
        assert np.array_equal(Augmented(pictures(), SHIFT, seed=1)[3], expected[3])
        tensors = Augmented(TensorDataset(tw.tensor(pictures()), tw.arange(20)), SHIFT, seed=1)
        image, label = tensors[3]
        assert isinstance(image, tw.Tensor) and label.item() == 3
        assert np.array_equal(image.numpy(), expected[3])
        (batch, _), *_ = DataLoader(tensors, 20)
        assert isinstance(batch, tw.Tensor) and np.array_equal(batch.numpy(), expected)
        Pair = namedtuple("Pair", ["image", "name"])
        named = Augmented([Pair(image, "x") for image in pictures()], SHIFT, seed=1)
        assert isinstance(named[3], Pair) and np.array_equal(named[3].image, expected[3])

    def test_augmented_twice_and_subsets_of_it(self) -> None:
        inner = Augmented(arrays(), RandomHorizontalFlip(), seed=1)
        outer = Augmented(inner, SHIFT, seed=2)
        for epoch in (0, 4):
            flipped = RandomHorizontalFlip()(pictures(), seed=1, epoch=epoch)
            expected = SHIFT(flipped, seed=2, epoch=epoch)
            assert np.array_equal(outer.at_epoch(epoch).take_batch(np.arange(20))[0], expected)
        part = Subset(inner, [4, 9, 2])
        assert part.labels.tolist() == [4, 4, 2]
        assert np.array_equal(part.at_epoch(3)[1][0], inner.at_epoch(3)[9][0])
        assert np.array_equal(part[1][0], inner[9][0])
        (images, _), *_ = DataLoader(part.at_epoch(3), 3)
        # A loader begins with its own epoch 0.
        assert np.array_equal(images, inner.take_batch(np.array([4, 9, 2]))[0])

    @pytest.mark.parametrize("planes", [False, True])
    def test_masks_go_with_their_images(self, planes: bool) -> None:
        # The image of a mask's classes, so that after moving both the image still shows the mask.
        masks = np.random.default_rng(1).integers(1, 4, (20, 8, 8))
        images = (masks * 60).astype(np.uint8)[:, None]
        held = masks[:, None] if planes else masks
        change = Compose([RandomShift(3), RandomHorizontalFlip(), RandomCrop(6)])
        data = Augmented(ArrayDataset(images, held), change, seed=1, masks=True, mask_fill=0)
        moved, moved_masks = data.take_batch(np.arange(20))
        assert (
            moved_masks.shape == ((20, 1, 6, 6) if planes else (20, 6, 6)) and moved_masks.dtype == held.dtype
        )
        assert np.array_equal(moved[:, 0], moved_masks.reshape(20, 6, 6) * 60)
        image, mask = data[7]
        assert np.array_equal(image, moved[7]) and np.array_equal(mask, moved_masks[7])
        outside = Augmented(ArrayDataset(images, held), RandomShift(3), masks=True, mask_fill=-100)
        assert (outside.take_batch(np.arange(20))[1] == -100).any()

    def test_an_image_set(self) -> None:
        pytest.importorskip("sklearn", reason="needs scikit-learn's digits")
        plain = digits()
        data = plain.augmented(RandomShift(1), seed=4)
        assert "train=1437" in repr(data) and data.test is plain.test
        image, label = data.train[10]
        raw = plain.train.images[10]
        expected = plain.train.transform(RandomShift(1)(raw, seed=4, index=10))
        assert np.array_equal(image, expected) and label == plain.train[10][1]


class TestMixUp:
    def test_what_a_sample_becomes(self) -> None:
        data = arrays(dtype=np.float64)
        mixed = MixUp(data, classes=5, alpha=1.0, seed=3)
        images, labels = mixed.take_batch(np.arange(20))
        assert images.dtype == np.float64 and labels.dtype == np.float32 and labels.shape == (20, 5)
        shares, others = mixed._draw(np.arange(20))
        for number in range(20):
            one, two = data[number], data[int(others[number])]
            share = shares[number]
            expected = share * one[0] + (1 - share) * two[0]
            assert_same(images[number], expected, rtol=1e-15, atol=0, reason="the same two products")
            soft = np.zeros(5)
            soft[one[1]] += share
            soft[two[1]] += 1 - share
            # The share is rounded to float32 near 1, and then taken from 1.
            close = {"rtol": 0, "atol": 2e-7, "reason": "a few roundings of float32 below 1"}
            assert_same(labels[number], soft.astype(np.float32), **close)
            alone = mixed[number]
            assert np.array_equal(alone[0], images[number]) and np.array_equal(alone[1], labels[number])
        assert len(set(others.tolist())) > 5

    def test_whatever_the_batch_and_the_order(self) -> None:
        mixed = MixUp(Augmented(arrays(dtype=np.float32), SHIFT, seed=1), classes=5, seed=2)
        images, labels = mixed.at_epoch(2).take_batch(np.arange(20))
        order = np.array([3, 17, 3])
        some, some_labels = mixed.at_epoch(2).take_batch(order)
        assert np.array_equal(some, images[order]) and np.array_equal(some_labels, labels[order])
        assert not np.array_equal(mixed.take_batch(order)[0], some)
        loader = DataLoader(mixed, 7)
        loader.epoch = 2
        assert np.array_equal(np.concatenate([batch[0] for batch in loader]), images)
        # Both partners are the samples of that epoch.
        shares, others = mixed.at_epoch(2)._draw(np.arange(20))
        inner = mixed.dataset.at_epoch(2).take_batch
        share = shares.astype(np.float32)[:, None, None, None]
        expected = share * inner(np.arange(20))[0] + (1 - share) * inner(others)[0]
        assert np.array_equal(images, expected)

    def test_floating_labels_are_mixed_as_they_are(self) -> None:
        data = ArrayDataset(pictures(4, np.float32), np.array([1.0, 2.0, 3.0, 4.0]))
        _, labels = MixUp(data, alpha=1.0, seed=1).take_batch(np.arange(4))
        assert labels.shape == (4,) and labels.dtype == np.float64
        assert labels.min() >= 1 and labels.max() <= 4 and len(set(labels.tolist())) == 4

    @pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1.0, 2.5, 20.0])
    def test_shares_follow_their_distribution(self, alpha: float) -> None:
        count = 20000
        shares = np.sort(beta_shares(alpha, 1, 2, np.arange(count)))
        assert shares[0] >= 0 and shares[-1] <= 1
        reference = np.sort(np.random.default_rng(0).beta(alpha, alpha, count))
        # Kolmogorov and Smirnov's distance of two samples of 20,000: above 0.02 once in 1,500 pairs, and
        # these two are fixed.
        grid = np.linspace(0.001, 0.999, 999)
        ours, theirs = np.searchsorted(shares, grid) / count, np.searchsorted(reference, grid) / count
        assert np.abs(ours - theirs).max() < 0.02
        spread = 1 / (4 * (2 * alpha + 1))
        assert abs(shares.mean() - 0.5) < 5 * (spread / count) ** 0.5
        assert np.isfinite(shares).all()

    def test_shares_are_each_samples_own(self) -> None:
        every = beta_shares(0.3, 5, 6, np.arange(500))
        some = np.array([444, 3, 3])
        assert np.array_equal(beta_shares(0.3, 5, 6, some), every[some])
        assert abs(np.corrcoef(every[:-1], every[1:])[0, 1]) < 0.2

    def test_a_loss_takes_the_soft_labels(self) -> None:
        mixed = MixUp(arrays(dtype=np.float32), classes=5, alpha=1.0)
        images, labels = mixed.take_batch(np.arange(6))
        scores = tw.tensor(images.reshape(6, -1)[:, :5], requires_grad=True)
        F.cross_entropy(scores, tw.tensor(labels)).backward()
        assert scores.grad is not None and np.isfinite(scores.grad.numpy()).all()

    def test_samples_one_by_one(self) -> None:
        samples = [(image, number % 5) for number, image in enumerate(pictures(dtype=np.float32))]
        alone, together = MixUp(samples, 5, seed=1), MixUp(arrays(dtype=np.float32), 5, seed=1)
        assert not hasattr(alone, "take_batch")
        images, labels = together.take_batch(np.arange(20))
        for number in range(20):
            assert np.array_equal(alone[number][0], images[number])
            assert np.array_equal(alone[number][1], labels[number])
        assert repr(alone) == "MixUp(classes=5, alpha=0.2, seed=1, epoch=0)"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: Augmented(arrays(), abs),
            DtypeError,
            "Augmented needs an augmentation of tilewright.data.augment. Received: augment=<built-in",
        ),
        (
            lambda: Augmented(arrays(), SHIFT, seed=-1),
            ArgumentError,
            "Augmented needs seed to be an integer from 0 to 2**63 - 1. Received: seed=-1.",
        ),
        (
            lambda: Augmented(arrays(), SHIFT).at_epoch(-1),
            ArgumentError,
            "Augmented.at_epoch needs epoch to be an integer from 0 to 2**63 - 1. Received: epoch=-1.",
        ),
        (
            lambda: Augmented([("text", 1)], SHIFT)[0],
            DtypeError,
            "Augmented needs samples that begin with an image, an array (channels, height, width). "
            "Received: image='text'.",
        ),
        (
            lambda: Augmented(ArrayDataset(np.zeros((3, 4)), np.zeros(3)), SHIFT).take_batch(np.array([0])),
            DtypeError,
            "Augmented needs samples that begin with an image, an array (channels, height, width). "
            "Received: image with shape (4,) and dtype float64.",
        ),
        (
            lambda: Augmented(arrays(), SHIFT)[20],
            IndexError,
            "Augmented needs a sample's number within its 20 samples. Received: index=20.",
        ),
        (
            lambda: Augmented(arrays(), SHIFT, masks=True)[0],
            ArgumentError,
            "Augmented with masks needs masks (height, width) or (channels, height, width). "
            "Received: mask with shape () and dtype int64.",
        ),
        (
            lambda: MixUp(arrays(), 5, alpha=0),
            ArgumentError,
            "MixUp needs alpha to be above 0. Received: alpha=0.",
        ),
        (
            lambda: MixUp(arrays(), 0),
            ArgumentError,
            "MixUp needs classes to be a whole number of at least 1. Received: classes=0.",
        ),
        (
            lambda: MixUp(arrays(), 5)[0],
            DtypeError,
            "MixUp needs floating images. Received: images with shape (1, 1, 8, 8) and dtype uint8. "
            "Pass a transform to the data set.",
        ),
        (
            lambda: MixUp(arrays(dtype=np.float32), 3).take_batch(np.arange(20)),
            ArgumentError,
            "MixUp needs class numbers from 0 to 2. Received: label 3.",
        ),
        (
            lambda: MixUp(arrays(dtype=np.float32))[0],
            ArgumentError,
            "MixUp needs floating labels, or one class number per sample and the number of classes. "
            "Received: labels with shape (1,) and dtype int64, classes=None.",
        ),
        (
            lambda: MixUp([np.zeros((1, 2, 2))], 2)[0],
            DtypeError,
            "MixUp needs samples that are pairs (image, label). Received: sample=<class 'numpy.ndarray'>.",
        ),
        (
            lambda: [
                MixUp([(np.zeros((1, 2, 2)), 0), (np.zeros((1, 3, 3)), 1)], 2, seed=s)[0] for s in range(9)
            ],
            ShapeError,
            "MixUp needs images of one shape. Received: shapes (1, 2, 2) and (1, 3, 3).",
        ),
    ],
)
def test_refusals(call: Any, kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(message)
