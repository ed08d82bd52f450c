"""Augmentation: images changed at random, the same way for the same (seed, epoch, sample).

    change = Compose([RandomShift(2), RandomHorizontalFlip()])
    train = Augmented(data.train, change, seed=0)      # goes into a DataLoader, or a Trainer

What is drawn for a sample is a function of the seed, the epoch and the sample's number, so the batch, the
order and the number of threads make no difference, and a resumed run sees the same images.
"""

from __future__ import annotations

from tilewright.data.augment.base import Augmentation, Compose
from tilewright.data.augment.dataset import Augmented
from tilewright.data.augment.looks import ColorJitter, Cutout
from tilewright.data.augment.mixup import MixUp
from tilewright.data.augment.moves import (
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from tilewright.data.augment.words import AUGMENTATIONS, from_words

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Augmented",
    "ColorJitter",
    "Compose",
    "Cutout",
    "MixUp",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomShift",
    "RandomVerticalFlip",
    "from_words",
]
