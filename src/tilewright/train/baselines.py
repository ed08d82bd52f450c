"""What an autoencoder must beat: two ways of compressing an image without learning any weights.

- the mean image: the same answer for every input, which needs no numbers at all;
- a thumbnail: the image shrunk to as many numbers as the embedding has, and enlarged again. Shrinking
  averages over areas; enlarging is bilinear, pixel centres at half-integers (as image programs do it).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tilewright.data import DataLoader, Dataset
from tilewright.errors import ArgumentError, describe
from tilewright.train.evaluate import as_pair

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """The best thumbnail of a number of values.

    Attributes:
        size: its (height, width).
        images: the enlarged thumbnails, of the shape of the images.
    """

    size: tuple[int, int]
    images: Array


def mean_image(data: Dataset[Any]) -> Array:
    """The mean (…) of a data set's images, summed in float64."""
    total: Any = 0.0
    for batch in DataLoader(data, batch_size=1024):
        images, _ = as_pair(batch)
        total = total + images.sum(axis=0, dtype=np.float64)
    result: Array = np.asarray(total) / len(data)
    return result


def thumbnails(images: Array, values: int) -> Thumbnail:
    """Shrink images to ``values`` numbers each, and enlarge them again.

    Of all heights and widths that fit, the pair with the least squared error on these very images is taken:
    the comparison is in the thumbnail's favour.

    Args:
        images: (samples, channels, height, width).
        values: how many numbers a thumbnail may have, at least one per channel.

    Raises:
        ArgumentError: fewer values than channels.

    >>> thumbnails(np.ones((1, 1, 8, 8)), 6).images.min()
    np.float64(1.0)
    """
    channels, height, width = images.shape[1:]
    room = values // channels
    if room < 1:
        raise ArgumentError(
            "A thumbnail needs at least one value for each channel.",
            describe(values=values, channels=channels),
        )
    exact = images.astype(np.float64)
    best: Thumbnail | None = None
    least = np.inf
    for rows in range(1, min(room, height) + 1):
        size = (rows, min(room // rows, width))
        down_up = [
            _shrink_and_enlarge(long, short) for long, short in zip((height, width), size, strict=True)
        ]
        rebuilt = down_up[0] @ exact @ down_up[1].T
        error = float(np.mean((rebuilt - exact) ** 2))
        if error < least:
            best, least = Thumbnail(size, rebuilt), error
    if best is None:  # only NaN compares as not less than infinity
        raise ArgumentError("Thumbnails need images of finite numbers.", describe(images=images))
    return best


@lru_cache(maxsize=64)
def _shrink_and_enlarge(long: int, short: int) -> Array:
    """The (long, long) matrix that shrinks an axis to ``short`` values and enlarges it again."""
    shrink = np.zeros((short, long))
    for row in range(short):
        start, stop = row * long / short, (row + 1) * long / short
        cells = np.arange(long)
        # The part of each old pixel that lies in the new one.
        shrink[row] = np.clip(np.minimum(cells + 1, stop) - np.maximum(cells, start), 0, None)
    shrink /= shrink.sum(axis=1, keepdims=True)
    places = np.clip((np.arange(long) + 0.5) * short / long - 0.5, 0, short - 1)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, short - 1)
    share = places - below
    enlarge = np.zeros((long, short))
    np.add.at(enlarge, (np.arange(long), below), 1 - share)
    np.add.at(enlarge, (np.arange(long), above), share)
    result: Array = enlarge @ shrink
    return result
