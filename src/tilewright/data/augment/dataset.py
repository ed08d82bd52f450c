"""A data set whose images come augmented, each by draws of its own."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tilewright.data.arrays import Dataset, Subset, sample_number
from tilewright.data.augment.base import Array, Augmentation
from tilewright.data.checks import length_of
from tilewright.data.order import as_seed
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.geometry.axes import as_flag


class Augmented(Dataset[Any]):
    """Another data set's samples, their images changed at random.

    The change of a sample is a function of ``(seed, epoch, its number)``: it is the same in any batch, in any
    order, with any number of threads, and again after resuming. A
    :class:`~tilewright.data.DataLoader` brings the epoch along.

    Where the data set has a transform of its own (``ArrayDataset``, ``ImageFolder``, and subsets of them), as
    one that standardises, the change comes before it, on the pixels as they lie: so that 0 is black, and a
    level is a level.

    Args:
        dataset: samples that are images, or tuples that begin with one: (channels, height, width).
        augment: the change.
        seed: what it follows, 0 to 2**63 - 1.
        epoch: which of the seed's draws.
        masks: whether the second part of a sample is a mask, (height, width) or (channels, height, width), to
            be moved like its image (for segmentation).
        mask_fill: the class of mask pixels that come from outside.

    Raises:
        DtypeError: ``augment`` is no augmentation, or a sample's image is no array.
        ArgumentError: a number outside its range.

    >>> from tilewright.data.arrays import ArrayDataset, Standardise
    >>> from tilewright.data.augment import RandomShift
    >>> images = np.zeros((10, 1, 28, 28), np.uint8)
    >>> train = Augmented(ArrayDataset(images, np.arange(10), Standardise(0.1, 0.3)), RandomShift(2), seed=1)
    >>> image, label = train[3]
    >>> image.shape, image.dtype.name, int(label)
    ((1, 28, 28), 'float32', 3)
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        augment: Augmentation,
        *,
        seed: int = 0,
        epoch: int = 0,
        masks: bool = False,
        mask_fill: int = 0,
    ) -> None:
        if not isinstance(augment, Augmentation):
            raise DtypeError(
                "Augmented needs an augmentation of tilewright.data.augment.", describe(augment=augment)
            )
        length_of(dataset, "Augmented")
        self.dataset = dataset
        self.augment = augment
        self.seed = as_seed(seed, "seed", "Augmented")
        self.epoch = as_seed(epoch, "epoch", "Augmented")
        self.masks = as_flag(masks, "masks", "Augmented")
        self.mask_fill = mask_fill
        self._bare, self._transform = without_transform(dataset)
        self._offer_batches()

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """The sample of that number, augmented; a negative number counts from the end."""
        number = sample_number(index, len(self), "Augmented")
        return self._changed(self._bare[number], np.array([number]), is_batch=False)

    def at_epoch(self, epoch: int) -> Self:
        """The same data set with the draws of another epoch; this one stays as it is."""
        found = copy.copy(self)
        found.epoch = as_seed(epoch, "epoch", "Augmented.at_epoch")
        for name in ("dataset", "_bare"):
            inner = getattr(found, name)
            setattr(found, name, inner.at_epoch(epoch) if hasattr(inner, "at_epoch") else inner)
        found._offer_batches()
        return found

    @property
    def labels(self) -> Any:
        """The labels of all samples, where the data set knows them."""
        # Where it doesn't, the AttributeError is the right answer.
        return self.dataset.labels  # type: ignore[attr-defined]

    def _offer_batches(self) -> None:
        # An attribute and not a method, so that there is a fast path exactly where the data set has one.
        if hasattr(self._bare, "take_batch"):
            self.take_batch = self._take_batch

    def _take_batch(self, indices: Array) -> Any:
        batch = self._bare.take_batch(indices)
        return self._changed(batch, np.asarray(indices), is_batch=True)

    def _changed(self, sample: Any, numbers: Array, is_batch: bool) -> Any:
        is_tuple = isinstance(sample, (tuple, list))
        image = self._as_array(sample[0] if is_tuple else sample, is_batch)
        draws = self.augment.draw(self.seed, self.epoch, numbers)
        changed = self.augment.change(image, draws)
        changed = changed if self._transform is None else self._transform(changed)
        changed = _like(changed if is_batch else changed[0], sample[0] if is_tuple else sample)
        if not is_tuple:
            return changed
        rest = list(sample[1:])
        if self.masks:
            rest[0] = self._moved(rest[0], draws, is_batch)
        parts = [changed, *rest]
        return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)

    def _as_array(self, image: Any, is_batch: bool) -> Array:
        """The image as a batch, (k, channels, height, width)."""
        array = image.detach().numpy() if _is_tensor(image) else image
        rank = 4 if is_batch else 3
        if not isinstance(array, np.ndarray) or array.ndim != rank or array.dtype.kind not in "fiub":
            raise DtypeError(
                "Augmented needs samples that begin with an image, an array (channels, height, width).",
                describe(image=image[0] if is_batch and isinstance(array, np.ndarray) else image),
            )
        return array if is_batch else array[None]

    def _moved(self, mask: Any, draws: Array, is_batch: bool) -> Any:
        array = mask.detach().numpy() if _is_tensor(mask) else np.asarray(mask)
        batch = array if is_batch else array[None]
        if batch.ndim not in (3, 4):
            raise ArgumentError(
                "Augmented with masks needs masks (height, width) or (channels, height, width).",
                describe(mask=array),
            )
        planes = batch if batch.ndim == 4 else batch[:, None]
        moved = self.augment.change_masks(planes, draws, self.mask_fill)
        moved = moved if batch.ndim == 4 else moved[:, 0]
        return _like(moved if is_batch else moved[0], mask)

    def __repr__(self) -> str:
        return f"Augmented({self.augment!r}, seed={self.seed}, epoch={self.epoch})"


def without_transform(dataset: Any) -> tuple[Any, Callable[[Array], Array] | None]:
    """A data set that gives pixels as they lie, and the transform of batches that it would have applied."""
    if isinstance(dataset, Subset):
        inner, transform = without_transform(dataset.dataset)
        return (dataset, None) if transform is None else (dataset.over(inner), transform)
    transform = getattr(dataset, "transform", None)
    if transform is None or not hasattr(dataset, "without_transform"):
        return dataset, None
    return dataset.without_transform(), transform


def _is_tensor(value: Any) -> bool:
    # A Tensor can only exist where its module has been imported; asking this way imports nothing.
    module = sys.modules.get("tilewright.autograd.tensor")
    return module is not None and isinstance(value, module.Tensor)


def _like(array: Array, given: Any) -> Any:
    """The array, as a Tensor where a Tensor was given."""
    if not _is_tensor(given):
        return array
    from tilewright.autograd.create import tensor

    return tensor(array)
