"""What all augmentations share: a change of images that is drawn for each sample on its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.data.checks import finite as finite
from tilewright.data.draws import Purpose, uniforms
from tilewright.data.order import as_seed
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

Array = np.ndarray[Any, Any]


class Augmentation(ABC):
    """A random change of images, the same for the same ``(seed, epoch, sample)``.

    Called with images it draws for them and changes a copy; in training,
    :class:`~tilewright.data.augment.Augmented` calls it with the numbers of the samples. A subclass says how
    many random numbers a sample takes (``numbers``) and what they do (``change``, and for a change that moves
    pixels ``change_masks``); it must not draw by itself.

    Attributes:
        numbers: how many numbers from 0 to below 1 are drawn for each sample.
    """

    numbers: int = 0

    def __call__(
        self,
        images: Array,
        *,
        seed: int = 0,
        epoch: int = 0,
        index: int | Sequence[int] | Array | None = None,
    ) -> Array:
        """Changed images.

        Args:
            images: (channels, height, width), or (k, channels, height, width).
            seed: what the draws follow, 0 to 2**63 - 1.
            epoch: which of the seed's draws, in the same range.
            index: the number of the sample, or (k,) of them; None: 0, or 0 to k − 1.

        Returns:
            A new array of the same rank and dtype.

        Raises:
            ShapeError: another rank, or images too small for the change.
            DtypeError: a dtype that the change isn't defined for.
            ArgumentError: a seed, epoch or index outside its range.

        >>> from tilewright.data.augment import RandomHorizontalFlip
        >>> flip = RandomHorizontalFlip(p=1.0)
        >>> flip(np.array([[[1, 2, 3]]], np.uint8))
        array([[[3, 2, 1]]], dtype=uint8)
        """
        name = type(self).__name__
        batch, samples = as_batch(images, index, name)
        seed, epoch = as_seed(seed, "seed", name), as_seed(epoch, "epoch", name)
        changed = self.change(batch, self.draw(seed, epoch, samples))
        # A change that has nothing to do may hand back what it was given.
        changed = changed.copy() if np.may_share_memory(changed, batch) else changed
        return changed if images.ndim == 4 else changed[0]

    def draw(self, seed: int, epoch: int, samples: Array) -> Array:
        """The numbers (k, numbers) for samples of these numbers (k,)."""
        return uniforms(seed, epoch, samples, self.numbers, Purpose.AUGMENT)

    @abstractmethod
    def change(self, images: Array, draws: Array) -> Array:
        """Images (k, channels, height, width) changed as ``draws`` (k, numbers) say; or the same array."""

    def change_masks(self, masks: Array, draws: Array, fill: int = 0) -> Array:
        """Masks (k, channels, height, width) moved as the images are, without mixing values.

        Args:
            masks: class numbers, or anything else that belongs to pixels.
            draws: what was drawn for the images.
            fill: for pixels that come from outside.
        """
        return masks


class Compose(Augmentation):
    """Several changes, one after the other; each has numbers of its own.

    Args:
        transforms: the changes, in order.

    Raises:
        DtypeError: one is no :class:`Augmentation`.

    >>> from tilewright.data.augment import RandomCrop, RandomHorizontalFlip
    >>> change = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip()])
    >>> change(np.zeros((8, 3, 32, 32), np.uint8), seed=1).shape
    (8, 3, 32, 32)
    """

    def __init__(self, transforms: Sequence[Augmentation]) -> None:
        if isinstance(transforms, (str, Augmentation)) or not isinstance(transforms, Sequence):
            raise DtypeError("Compose needs a list of augmentations.", describe(transforms=transforms))
        for one in transforms:
            if not isinstance(one, Augmentation):
                raise DtypeError(
                    "Compose needs augmentations of tilewright.data.augment.",
                    describe(transforms=one),
                    "Derive your own from Augmentation.",
                )
        self.transforms = list(transforms)
        self.numbers = sum(one.numbers for one in self.transforms)

    def change(self, images: Array, draws: Array) -> Array:
        """Images changed by all, in order."""
        for one, own in self._shares(draws):
            images = one.change(images, own)
        return images

    def change_masks(self, masks: Array, draws: Array, fill: int = 0) -> Array:
        """Masks moved by all, in order."""
        for one, own in self._shares(draws):
            masks = one.change_masks(masks, own, fill)
        return masks

    def _shares(self, draws: Array) -> list[tuple[Augmentation, Array]]:
        ends = np.cumsum([one.numbers for one in self.transforms], dtype=np.int64).tolist()
        return [
            (one, draws[:, end - one.numbers : end]) for one, end in zip(self.transforms, ends, strict=True)
        ]

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


def as_batch(images: Any, index: Any, owner: str) -> tuple[Array, Array]:
    """The images as (k, channels, height, width), and the numbers of their samples (k,)."""
    if not isinstance(images, np.ndarray):
        raise DtypeError(f"{owner} needs images as a NumPy array.", describe(images=images))
    if images.ndim not in (3, 4):
        raise ShapeError(
            f"{owner} needs images of shape (channels, height, width) or (k, channels, height, width).",
            describe(images=images),
        )
    if images.dtype.kind not in "fiub":
        raise DtypeError(f"{owner} needs real numbers as pixels.", describe(images=images))
    batch = images if images.ndim == 4 else images[None]
    if index is None:
        return batch, np.arange(len(batch))
    try:
        samples = np.atleast_1d(np.asarray(index))
    except ValueError:  # a ragged list
        samples = np.empty(0)
    if samples.shape != (len(batch),) or (
        samples.size and (samples.dtype.kind not in "iu" or min(samples) < 0)
    ):
        raise ArgumentError(
            f"{owner} needs index to be the number of each of the {len(batch)} samples, at least 0.",
            describe(index=index),
        )
    return batch, samples.astype(np.int64)


def probability(value: Any, owner: str) -> float:
    """A probability p, 0 to 1.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ArgumentError(f"{owner} needs p to be a number from 0 to 1.", describe(p=value))
    return float(value)


def whole(value: Any, name: str, owner: str, least: int = 0) -> int:
    """A whole number of at least ``least``.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            f"{owner} needs {name} to be a whole number of at least {least}.", describe(**{name: value})
        )
    return int(value)


def height_and_width(value: Any, name: str, owner: str, least: int = 0) -> tuple[int, int]:
    """A whole number for both axes, or a pair (height, width) of them.

    Raises:
        ArgumentError: it is neither.
    """
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ArgumentError(
                f"{owner} needs {name} as one whole number or a pair (height, width).",
                describe(**{name: value}),
            )
        return whole(value[0], name, owner, least), whole(value[1], name, owner, least)
    both = whole(value, name, owner, least)
    return both, both


def filled_like(images: Array, fill: float, shape: tuple[int, ...] | None = None) -> Array:
    """A new array of ``fill``, of the images' dtype.

    Raises:
        ArgumentError: the dtype doesn't hold ``fill``.
    """
    if images.dtype.kind in "iub":
        limits = (
            (0, 1) if images.dtype.kind == "b" else (np.iinfo(images.dtype).min, np.iinfo(images.dtype).max)
        )
        if fill != int(fill) or not limits[0] <= fill <= limits[1]:
            raise ArgumentError(
                f"Pixels of {images.dtype} need a fill that is one of them, {limits[0]} to {limits[1]}.",
                describe(fill=fill),
            )
    return np.full(images.shape if shape is None else shape, fill, images.dtype)
