"""Mixup: each image is mixed with another one, and its label with the other's."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from tilewright.data.arrays import Dataset, sample_number
from tilewright.data.augment.base import Array, finite, whole
from tilewright.data.checks import length_of
from tilewright.data.draws import Purpose, uniforms
from tilewright.data.order import as_seed
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

# A try is accepted more than 95 times in 100, so that this many leave one share in 10**40 undecided; and this
# many at once leave a batch of 64 undecided once in 60.
_MOST_TRIES = 33
_AT_ONCE = 3


class MixUp(Dataset[tuple[Array, Array]]):
    """Another data set's samples, each mixed with a random second one.

        image = λ · image_i + (1 − λ) · image_j        label = λ · label_i + (1 − λ) · label_j

    λ follows Beta(alpha, alpha) and j any sample of the data set, both drawn for each sample by itself: so
    what becomes of sample i is a function of ``(seed, epoch, i)``, whatever the batch. Class numbers become
    soft labels, rows of probabilities, which ``cross_entropy`` takes; floating labels are mixed as they are.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018 (there
    with the second sample out of the same batch).

    Args:
        dataset: samples (floating image, label): a class number, or floating numbers. May be
            :class:`~tilewright.data.augment.Augmented`.
        classes: how many classes there are; None where labels are floating.
        alpha: above 0: the larger, the more alike the shares of the two.
        seed: what the draws follow, 0 to 2**63 - 1.
        epoch: which of the seed's draws; a :class:`~tilewright.data.DataLoader` brings its own along.

    Raises:
        ArgumentError: a number outside its range, or a label that is no class number below ``classes``.
        DtypeError: images that aren't floating, or samples that are no pairs.

    >>> from tilewright.data.arrays import ArrayDataset
    >>> images = np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1)
    >>> image, label = MixUp(ArrayDataset(images, np.arange(4)), classes=4, alpha=1.0, seed=1)[2]
    >>> label.shape, label.dtype.name, bool(np.isclose(image.item(), label @ [0, 1, 2, 3]))
    ((4,), 'float32', True)
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        classes: int | None = None,
        alpha: float = 0.2,
        *,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        length_of(dataset, "MixUp")
        self.dataset = dataset
        self.classes = None if classes is None else whole(classes, "classes", "MixUp", least=1)
        self.alpha = finite(alpha, "alpha", "MixUp")
        if self.alpha <= 0:
            raise ArgumentError("MixUp needs alpha to be above 0.", describe(alpha=alpha))
        self.seed = as_seed(seed, "seed", "MixUp")
        self.epoch = as_seed(epoch, "epoch", "MixUp")
        self._offer_batches()

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        """Image and soft label of one sample; a negative number counts from the end."""
        number = sample_number(index, len(self), "MixUp")
        shares, others = self._draw(np.array([number]))
        one, two = (_pair(self.dataset[place]) for place in (number, int(others[0])))
        first, second = ((image[None], label[None]) for image, label in (one, two))
        images, labels = self._mixed(first, second, shares)
        return images[0], labels[0]

    def at_epoch(self, epoch: int) -> Self:
        """The same data set with the draws of another epoch; this one stays as it is."""
        found = copy.copy(self)
        found.epoch = as_seed(epoch, "epoch", "MixUp.at_epoch")
        if hasattr(self.dataset, "at_epoch"):
            found.dataset = self.dataset.at_epoch(epoch)
        found._offer_batches()
        return found

    def _offer_batches(self) -> None:
        # An attribute and not a method, so that there is a fast path exactly where the data set has one.
        if hasattr(self.dataset, "take_batch"):
            self.take_batch = self._take_batch

    def _take_batch(self, indices: Array) -> tuple[Array, Array]:
        shares, others = self._draw(np.asarray(indices))
        take = self.dataset.take_batch  # type: ignore[attr-defined]
        return self._mixed(_pair(take(indices)), _pair(take(others)), shares)

    def _draw(self, numbers: Array) -> tuple[Array, Array]:
        """For each sample its share λ, in float64, and the number of the sample it is mixed with."""
        other = uniforms(self.seed, self.epoch, numbers, 1, Purpose.MIX)[:, 0]
        others = np.minimum((other * len(self)).astype(np.int64), len(self) - 1)
        return beta_shares(self.alpha, self.seed, self.epoch, numbers), others

    def _mixed(
        self, one: tuple[Array, Array], two: tuple[Array, Array], shares: Array
    ) -> tuple[Array, Array]:
        if one[0].dtype.kind != "f":
            raise DtypeError(
                "MixUp needs floating images.", describe(images=one[0]), "Pass a transform to the data set."
            )
        if one[0].shape != two[0].shape:
            raise ShapeError(
                "MixUp needs images of one shape.", f"shapes {one[0].shape[1:]} and {two[0].shape[1:]}"
            )
        images = _between(one[0], two[0], shares)
        return images, _between(self._soft(one[1]), self._soft(two[1]), shares)

    def _soft(self, labels: Array) -> Array:
        """Labels as floating numbers: class numbers (k,) as rows (k, classes) of probabilities."""
        if labels.dtype.kind == "f":
            return labels
        if self.classes is None or labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise ArgumentError(
                "MixUp needs floating labels, or one class number per sample and the number of classes.",
                f"{describe(labels=labels)}, classes={self.classes}",
            )
        if labels.size and not (labels.min() >= 0 and labels.max() < self.classes):
            wrong = next(label for label in labels.tolist() if not 0 <= label < self.classes)
            raise ArgumentError(f"MixUp needs class numbers from 0 to {self.classes - 1}.", f"label {wrong}")
        rows = np.zeros((len(labels), self.classes), np.float32)
        rows[np.arange(len(labels)), labels] = 1
        return rows

    def __repr__(self) -> str:
        return f"MixUp(classes={self.classes}, alpha={self.alpha:g}, seed={self.seed}, epoch={self.epoch})"


def beta_shares(alpha: float, seed: int, epoch: int, numbers: Array) -> Array:
    """A draw of Beta(alpha, alpha) for each sample (k,), in float64.

    G/(G + G') of two draws of the gamma distribution, by the method of Marsaglia and Tsang, "A simple method
    for generating gamma variables" (2000). In logarithms, since gamma draws of a small alpha underflow.
    """
    logs = np.zeros((2, len(numbers)))
    is_open = np.ones((2, len(numbers)), dtype=bool)
    for turn in range(_MOST_TRIES):
        waiting = np.flatnonzero(is_open.any(axis=0))
        if not len(waiting):
            break
        if turn % _AT_ONCE == 0:
            # Each try of the two has four numbers of its own; the first four of all are those of `_draw`.
            start = 4 + 8 * turn
            drawn = uniforms(seed, epoch, numbers[waiting], start + 8 * _AT_ONCE, Purpose.MIX)
            tries = np.empty((len(numbers), 8 * _AT_ONCE))
            tries[waiting] = drawn[:, start:]
        for side in range(2):
            own = 8 * (turn % _AT_ONCE) + 4 * side
            found, is_taken = _log_gamma(alpha, tries[waiting, own : own + 4])
            logs[side, waiting] = np.where(is_open[side, waiting], found, logs[side, waiting])
            is_open[side, waiting] &= ~is_taken
    # 1/(1 + G'/G); an exponential that overflows to infinity gives the share 0 that it should.
    with np.errstate(over="ignore"):
        shares: Array = 1 / (1 + np.exp(logs[1] - logs[0]))
    return shares


def _log_gamma(alpha: float, drawn: Array) -> tuple[Array, Array]:
    """The logarithm of a gamma draw from four numbers each, and whether the draw is to be taken."""
    # A draw for alpha below 1 is one for alpha + 1, times a power of another number.
    shape = alpha + 1 if alpha < 1 else alpha
    d = shape - 1 / 3
    # 1 − u lies above 0, where the logarithm is finite.
    normal = np.sqrt(-2 * np.log(1 - drawn[:, 0])) * np.cos(2 * np.pi * drawn[:, 1])
    v = (1 + normal / np.sqrt(9 * d)) ** 3
    positive = np.where(v > 0, v, 1.0)
    limit = 0.5 * normal**2 + d - d * positive + d * np.log(positive)
    is_taken = (v > 0) & (np.log(1 - drawn[:, 2]) < limit)
    log = np.log(d * positive)
    if alpha < 1:
        log = log + np.log(1 - drawn[:, 3]) / alpha
    return log, is_taken


def _between(one: Array, two: Array, shares: Array) -> Array:
    """That is, shares · one + (1 − shares) · two, in the dtype of the two."""
    share = shares.astype(one.dtype).reshape(-1, *(1,) * (one.ndim - 1))
    found: Array = share * one + (1 - share) * two
    return found


def _pair(sample: Any) -> tuple[Array, Array]:
    if not isinstance(sample, (tuple, list)) or len(sample) != 2:
        raise DtypeError("MixUp needs samples that are pairs (image, label).", describe(sample=type(sample)))
    image, label = (part.detach().numpy() if hasattr(part, "detach") else part for part in sample)
    return np.asarray(image), np.asarray(label)
