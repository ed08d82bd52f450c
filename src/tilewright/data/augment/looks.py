"""Augmentations that change how pixels look, where they are: brightness, contrast, and holes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.data.augment.base import (
    Array,
    Augmentation,
    filled_like,
    finite,
    height_and_width,
    probability,
)
from tilewright.errors import ArgumentError, DtypeError, describe

# ITU-R BT.601 luma, as read_image greys with.
_GREY = np.array([0.299, 0.587, 0.114])


class ColorJitter(Augmentation):
    """Change brightness, and then contrast, by random factors.

    Brightness multiplies every pixel; contrast spreads the pixels about the image's mean grey level. Results
    are cut to the range of pixels: 0 to 255 for uint8 (rounded to the nearest level), 0 to 1 for floats.

    Args:
        brightness: b for factors from max(0, 1 − b) to 1 + b, evenly; or a pair, the least and the largest.
        contrast: the same for contrast.

    Raises:
        ArgumentError: a number below 0; or (when called) floats outside 0..1, such as standardised pixels.
        DtypeError: (when called) the pixels are neither uint8 nor floating.

    >>> ColorJitter(brightness=(0.5, 0.5))(np.full((1, 1, 2), 100, np.uint8))
    array([[[50, 50]]], dtype=uint8)
    """

    numbers = 2

    def __init__(
        self, brightness: float | tuple[float, float] = 0, contrast: float | tuple[float, float] = 0
    ) -> None:
        self.brightness = _factors(brightness, "brightness")
        self.contrast = _factors(contrast, "contrast")

    def change(self, images: Array, draws: Array) -> Array:
        """Images, each with factors of its own."""
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise DtypeError("ColorJitter needs uint8 or floating pixels.", describe(images=images))
        top = 255 if images.dtype == np.uint8 else 1
        if top == 1 and images.size and not (images.min() >= 0 and images.max() <= 1):
            raise ArgumentError(
                "ColorJitter needs floating pixels within 0..1.",
                f"pixels from {images.min():g} to {images.max():g}",
                "Put it before standardising: Augmented(data, ...) does, where the data set has a transform.",
            )
        found = images.astype(np.result_type(images.dtype, np.float32), order="C")
        factors = [
            _between(pair, draw) for pair, draw in zip((self.brightness, self.contrast), draws.T, strict=True)
        ]
        brighter, sharper = (factor.astype(found.dtype)[:, None, None, None] for factor in factors)
        found *= brighter
        np.clip(found, 0, top, out=found)
        if self.contrast != (1.0, 1.0) and found.size:
            # One sample at a time: the mean of one must not hang on the batch.
            grey = np.array([_mean_grey(image) for image in found], found.dtype)[:, None, None, None]
            found -= grey
            found *= sharper
            found += grey
            np.clip(found, 0, top, out=found)
        return (np.rint(found, out=found) if top == 255 else found).astype(images.dtype, copy=False)

    def __repr__(self) -> str:
        return f"ColorJitter(brightness={self.brightness}, contrast={self.contrast})"


class Cutout(Augmentation):
    """Cover a square of the image, whose centre is any pixel, so that part of it may lie outside.

    Args:
        size: height and width of the square: one number or a pair.
        fill: what it shows.
        p: the probability that there is one.

    Raises:
        ArgumentError: an argument outside its rule.

    Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout" (2017).

    >>> int(Cutout(2)(np.ones((1, 6, 6), np.uint8), index=3).sum())
    32
    """

    numbers = 3

    def __init__(self, size: int | tuple[int, int], fill: float = 0, p: float = 1.0) -> None:
        self.size = height_and_width(size, "size", "Cutout", least=1)
        self.fill = finite(fill, "fill", "Cutout")
        self.p = probability(p, "Cutout")

    def change(self, images: Array, draws: Array) -> Array:
        """Images, each with its own hole."""
        height, width = images.shape[2:]
        patch = filled_like(images, self.fill, (1,))
        found = images.copy()
        for place, (chance, down, right) in enumerate(draws):
            if chance < self.p:
                top = int(down * height) - self.size[0] // 2
                left = int(right * width) - self.size[1] // 2
                rows = slice(max(top, 0), max(top + self.size[0], 0))
                columns = slice(max(left, 0), max(left + self.size[1], 0))
                found[place, :, rows, columns] = patch
        return found

    def __repr__(self) -> str:
        return f"Cutout({self.size}, fill={self.fill:g}, p={self.p:g})"


def _factors(given: Any, name: str) -> tuple[float, float]:
    if isinstance(given, (tuple, list)):
        pair = [finite(one, name, "ColorJitter") for one in given]
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
            raise ArgumentError(
                f"ColorJitter needs {name} as a pair of factors, from the least (at least 0) to the largest.",
                describe(**{name: given}),
            )
        return pair[0], pair[1]
    spread = finite(given, name, "ColorJitter")
    if spread < 0:
        raise ArgumentError(f"ColorJitter needs {name} to be at least 0.", describe(**{name: given}))
    return max(0.0, 1 - spread), 1 + spread


def _between(factors: tuple[float, float], draws: Array) -> Array:
    low, high = factors
    found: Array = low + (high - low) * draws
    return found


def _mean_grey(image: Array) -> float:
    """The mean grey level of (channels, height, width), summed in float64."""
    levels = image.reshape(len(image), -1).mean(axis=1, dtype=np.float64)
    return float((levels * _GREY).sum() if len(levels) == 3 else levels.mean())
