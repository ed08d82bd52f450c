"""A network and images so small that a test may train them several times."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.data import ArrayDataset, ImageSet, Standardise
from tilewright.nn import Conv2d, Dropout, Flatten, Linear, Module, Sequential, Tanh
from tilewright.op.random import manual_seed


def tiny_net(seed: int = 0) -> Module:
    """Dropout included, so that a run depends on where the generator stands."""
    manual_seed(seed)
    return Sequential(Conv2d(1, 3, 3, padding=1), Tanh(), Dropout(0.3), Flatten(), Linear(3 * 36, 3))


def tiny_images(train: int = 50, test: int = 21, seed: int = 0) -> ImageSet:
    """6×6 images of a bright bar: its third of the image is the class. The noise leaves some to learn."""
    generator = np.random.default_rng(seed)

    def part(count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        labels = generator.integers(0, 3, count)
        images = generator.random((count, 1, 6, 6), dtype=np.float32) * np.float32(0.5)
        for image, label in zip(images, labels, strict=True):
            image[0, 2 * label : 2 * label + 2] += np.float32(0.4)
        return np.clip(images, 0, 1), labels

    (learn, learn_labels), (held, held_labels) = part(train), part(test)
    mean, std = float(learn.mean()), float(learn.std())
    transform = Standardise(mean, std)
    return ImageSet(
        "bars",
        ArrayDataset(learn, learn_labels, transform),
        ArrayDataset(held, held_labels, transform),
        ("top", "middle/bar", "bottom"),
        mean,
        std,
        (1, 6, 6),
    )
