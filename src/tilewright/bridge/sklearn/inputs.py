"""What a sample is to the network: its shape, and numbers of a size that training likes.

The shape follows from ``X`` and ``image_shape``:

=========================  ==================  =========================================================
``X``                      ``image_shape``     the network sees
=========================  ==================  =========================================================
(n, h, w)                  None                images of one channel
(n, h, w, c)               None                images of c channels
(n, d, h, w, c)            None                volumes of c channels
(n, features)              (length,)           sequences of one channel
(n, features)              (h, w)              images of one channel
(n, features)              (h, w, c)           images of c channels, the channel varying fastest
(n, features)              (d, h, w, c)        volumes of c channels
(n, features)              None                images of side² = features, if side is at least 8;
                                               otherwise a table, with a 1-D convolution along its columns
=========================  ==================  =========================================================

Each channel is brought to mean 0 and deviation 1 over the training samples; in a table, each column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_integer

Array = np.ndarray[Any, Any]

# The smallest images people keep in rows are scikit-learn's digits, of 8×8; 4, 9 or 16 columns are tables.
_LEAST_SIDE = 8
# Numbers converted to float64 at a time: 8 MiB of them.
_BLOCK = 2**20


@dataclass(frozen=True)
class Layout:
    """The shape of one sample.

    Attributes:
        spatial: its size along each axis that is convolved over.
        channels: how many numbers each place holds; they vary fastest in a row of ``X``.
        is_table: the one axis are a table's columns, which differ in what they mean.
    """

    spatial: tuple[int, ...]
    channels: int
    is_table: bool = False

    @property
    def network_shape(self) -> tuple[int, ...]:
        """(channels, *spatial), without the batch."""
        return (self.channels, *self.spatial)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(*spatial, channels): the shape that a row has when it is unrolled."""
        return (*self.spatial, self.channels)

    @property
    def features(self) -> int:
        """Numbers in a sample."""
        return math.prod(self.network_shape)

    @property
    def groups(self) -> int:
        """How many kinds of numbers are standardised, each on its own."""
        return self.features if self.is_table else self.channels

    def fits(self, sample_shape: tuple[int, ...]) -> bool:
        """Whether a sample of that shape can be read so: flattened, as it is, or without its one channel."""
        plain = self.spatial if self.channels == 1 else self.sample_shape
        return sample_shape in {(self.features,), self.sample_shape, plain}


def find_layout(sample_shape: tuple[int, ...], image_shape: Any, op: str) -> Layout:
    """The layout of samples of ``sample_shape`` (the shape of X without its first axis).

    Raises:
        ShapeError: ``image_shape`` doesn't fit the samples, or they have more than four axes.
        ArgumentError: ``image_shape`` isn't one to four integers of at least 1.

    >>> find_layout((64,), None, "fit")
    Layout(spatial=(8, 8), channels=1, is_table=False)
    >>> find_layout((30,), None, "fit")
    Layout(spatial=(30,), channels=1, is_table=True)
    """
    if image_shape is not None:
        layout = _read_image_shape(image_shape, op)
        if not layout.fits(sample_shape):
            raise ShapeError(
                f"{op} needs samples of image_shape, or each flattened to {layout.features} numbers.",
                describe(image_shape=tuple(image_shape), sample_shape=sample_shape),
            )
        return layout
    if len(sample_shape) == 1:
        (features,) = sample_shape
        side = math.isqrt(features)
        if side * side == features and side >= _LEAST_SIDE:
            return Layout((side, side), 1)
        return Layout((features,), 1, is_table=True)
    if len(sample_shape) > 4:
        raise ShapeError(
            f"{op} needs X as (n, features), (n, height, width), (n, height, width, channels) or "
            "(n, depth, height, width, channels).",
            describe(sample_shape=sample_shape),
        )
    return _layout_of(sample_shape)


def _read_image_shape(image_shape: Any, op: str) -> Layout:
    if not isinstance(image_shape, (tuple, list)) or not 1 <= len(image_shape) <= 4:
        raise ArgumentError(
            f"{op} needs image_shape as (length,), (height, width), (height, width, channels) "
            "or (depth, height, width, channels).",
            describe(image_shape=image_shape),
        )
    return _layout_of(
        tuple(
            as_integer(size, f"image_shape[{place}]", op, least=1) for place, size in enumerate(image_shape)
        )
    )


def _layout_of(shape: tuple[int, ...]) -> Layout:
    return Layout(shape, 1) if len(shape) <= 2 else Layout(shape[:-1], shape[-1])


@dataclass(frozen=True, eq=False)
class Standard:
    """Turns rows of X into what the network sees.

    Attributes:
        layout: the shape of a sample.
        mean: (groups,), float64.
        scale: (groups,), float64: the standard deviation, or 1 where it is zero.
    """

    layout: Layout
    mean: Array
    scale: Array

    def __call__(self, rows: Array) -> Array:
        """Rows (n, features) of any numbers as float32 (n, channels, *spatial); each number on its own."""
        layout = self.layout
        numbers = rows.reshape(len(rows), -1, layout.groups).astype(np.float64)
        numbers -= self.mean
        numbers /= self.scale
        placed = numbers.astype(np.float32).reshape(len(rows), *layout.spatial, layout.channels)
        return np.ascontiguousarray(np.moveaxis(placed, -1, 1))


def standard_of(rows: Array, numbers: Array, weights: Array, layout: Layout) -> Standard:
    """The mean and the standard deviation of the samples ``numbers`` of ``rows``, weighted.

    Args:
        rows: (n, features).
        numbers: (k,), which rows count.
        weights: (k,), how much each does.
        layout: the shape of a sample.
    """
    total = weights.sum()
    mean = np.zeros(layout.groups)
    for block, share in _blocks(rows, numbers, weights, layout):
        mean += (block.mean(axis=1) * share).sum(axis=0)
    mean /= total
    variance = np.zeros(layout.groups)
    for block, share in _blocks(rows, numbers, weights, layout):
        block -= mean
        variance += ((block * block).mean(axis=1) * share).sum(axis=0)
    scale = np.sqrt(variance / total)
    # What is left of a constant after the mean is taken off is rounding, and stays that small.
    is_constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return Standard(layout, mean, np.where(is_constant, 1.0, scale))


def _blocks(rows: Array, numbers: Array, weights: Array, layout: Layout) -> Iterator[tuple[Array, Array]]:
    """Some samples at a time as float64 (some, places, groups), and their weights (some, 1)."""
    some = max(1, _BLOCK // layout.features)
    for start in range(0, len(numbers), some):
        part = slice(start, start + some)
        block = rows[numbers[part]].astype(np.float64)
        yield block.reshape(len(block), -1, layout.groups), weights[part, None]
