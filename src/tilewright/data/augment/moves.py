"""Augmentations that move pixels: shift, flip, crop and rotation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.data.augment.base import (
    Array,
    Augmentation,
    filled_like,
    finite,
    height_and_width,
    probability,
    whole,
)
from tilewright.data.checks import is_one_of
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

# Numbers worked on at a time by the rotation: a few arrays of them stay in the L2 cache.
_BLOCK = 1 << 16


class RandomHorizontalFlip(Augmentation):
    """Mirror left and right, with probability ``p``.

    Args:
        p: from 0 to 1.

    Raises:
        ArgumentError: another ``p``.

    >>> RandomHorizontalFlip(p=1.0)(np.array([[[1, 2], [3, 4]]]))
    array([[[2, 1],
            [4, 3]]])
    """

    numbers = 1
    _axis = -1

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(p, type(self).__name__)

    def change(self, images: Array, draws: Array) -> Array:
        """Images, some of them mirrored."""
        chosen = draws[:, 0] < self.p
        if not chosen.any():
            return images
        found = images.copy()
        found[chosen] = np.flip(images[chosen], self._axis)
        return found

    def change_masks(self, masks: Array, draws: Array, fill: int = 0) -> Array:
        """Masks, the same of them mirrored."""
        return self.change(masks, draws)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p:g})"


class RandomVerticalFlip(RandomHorizontalFlip):
    """Mirror top and bottom, with probability ``p``.

    Args:
        p: from 0 to 1.

    Raises:
        ArgumentError: another ``p``.

    >>> RandomVerticalFlip(p=1.0)(np.array([[[1, 2], [3, 4]]]))
    array([[[3, 4],
            [1, 2]]])
    """

    _axis = -2


class RandomShift(Augmentation):
    """Move the image by whole pixels, up to ``most`` in each direction; every shift is equally likely.

    Args:
        most: pixels, or a pair (vertical, horizontal).
        fill: what comes in from outside: the value of the background.

    Raises:
        ArgumentError: ``most`` isn't whole numbers of at least 0, or ``fill`` isn't finite.

    >>> shift = RandomShift((0, 1), fill=9)
    >>> [shift(np.array([[[1, 2, 3]]]), index=sample).ravel().tolist() for sample in (0, 1)]
    [[1, 2, 3], [9, 1, 2]]
    """

    numbers = 2

    def __init__(self, most: int | tuple[int, int], fill: float = 0) -> None:
        self.most = height_and_width(most, "most", "RandomShift")
        self.fill = finite(fill, "fill", "RandomShift")

    def change(self, images: Array, draws: Array) -> Array:
        """Images, each shifted by its own draw."""
        return self._moved(images, draws, self.fill)

    def change_masks(self, masks: Array, draws: Array, fill: int = 0) -> Array:
        """Masks, shifted alike."""
        return self._moved(masks, draws, fill)

    def _moved(self, images: Array, draws: Array, fill: float) -> Array:
        height, width = images.shape[2:]
        found = filled_like(images, fill)
        down = _choose(draws[:, 0], 2 * self.most[0] + 1) - self.most[0]
        right = _choose(draws[:, 1], 2 * self.most[1] + 1) - self.most[1]
        for place, (y, x) in enumerate(zip(down.tolist(), right.tolist(), strict=True)):
            if abs(y) < height and abs(x) < width:
                into = found[place, :, max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
                into[...] = images[
                    place, :, max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)
                ]
        return found

    def __repr__(self) -> str:
        return f"RandomShift({self.most}, fill={self.fill:g})"


class RandomCrop(Augmentation):
    """Cut out a part of a fixed size, after padding; every place is equally likely.

    Args:
        size: height and width of the part: one number or a pair.
        padding: pixels added on all sides; or a pair (left and right, top and bottom); or four, (left, top,
            right, bottom).
        fill: what the padding holds, for ``padding_mode="constant"``.
        padding_mode: "constant", "edge", "reflect" or "symmetric", as in ``numpy.pad``.

    Raises:
        ArgumentError: an argument outside its rule.
        ShapeError: (when called) the padded image is smaller than the part.

    >>> RandomCrop(4, padding=1)(np.ones((3, 4, 4), np.float32)).shape
    (3, 4, 4)
    """

    numbers = 2

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | tuple[int, ...] | None = None,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = height_and_width(size, "size", "RandomCrop", least=1)
        self.padding = _four_sides(padding)
        self.fill = finite(fill, "fill", "RandomCrop")
        if not is_one_of(padding_mode, ("constant", "edge", "reflect", "symmetric")):
            raise ArgumentError(
                "RandomCrop needs padding_mode to be constant, edge, reflect or symmetric.",
                describe(padding_mode=padding_mode),
            )
        self.padding_mode = padding_mode

    def change(self, images: Array, draws: Array) -> Array:
        """Parts (k, channels, *size) of the images, each at its own place."""
        return self._cut(images, draws, self.fill, self.padding_mode)

    def change_masks(self, masks: Array, draws: Array, fill: int = 0) -> Array:
        """The same parts of the masks; with ``padding_mode="constant"`` padded with ``fill``."""
        return self._cut(masks, draws, fill, self.padding_mode)

    def _cut(self, images: Array, draws: Array, fill: float, mode: str) -> Array:
        left, top, right, bottom = self.padding
        if any(self.padding):
            images = _padded(images, ((top, bottom), (left, right)), fill, mode)
        (height, width), (rows, columns) = self.size, images.shape[2:]
        if height > rows or width > columns:
            raise ShapeError(
                f"RandomCrop needs images of at least {height} × {width} pixels, padding included.",
                f"{rows} × {columns}",
                "Pass padding=... or a smaller size.",
            )
        found = np.empty((*images.shape[:2], height, width), images.dtype)
        tops = _choose(draws[:, 0], rows - height + 1).tolist()
        lefts = _choose(draws[:, 1], columns - width + 1).tolist()
        for place, (y, x) in enumerate(zip(tops, lefts, strict=True)):
            found[place] = images[place, :, y : y + height, x : x + width]
        return found

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, padding={self.padding}, padding_mode={self.padding_mode!r})"


class RandomRotation(Augmentation):
    """Turn the image about its centre by a random angle, counter-clockwise, by linear interpolation.

    Every pixel of the result is the mean of the four pixels around where it came from, weighted by nearness;
    the size stays. uint8 pixels are rounded to the nearest level.

    Args:
        degrees: the largest angle to either side, ≥ 0; or a pair, from the least to the largest angle.
        fill: what comes in from outside: the value of the background.

    Raises:
        ArgumentError: an argument outside its rule.
        DtypeError: (when called) the pixels are neither uint8 nor floating.

    >>> RandomRotation((90, 90))(np.array([[[1.0, 2.0], [3.0, 4.0]]])).round(6)
    array([[[2., 4.],
            [1., 3.]]])
    """

    numbers = 1

    def __init__(self, degrees: float | tuple[float, float], fill: float = 0) -> None:
        if isinstance(degrees, (tuple, list)):
            pair = tuple(finite(one, "degrees", "RandomRotation") for one in degrees)
            if len(pair) != 2 or pair[0] > pair[1]:
                raise ArgumentError(
                    "RandomRotation needs a pair of degrees from the least to the largest.",
                    describe(degrees=degrees),
                )
            self.degrees: tuple[float, ...] = pair
        else:
            most = finite(degrees, "degrees", "RandomRotation")
            if most < 0:
                raise ArgumentError("RandomRotation needs degrees of at least 0.", describe(degrees=degrees))
            self.degrees = (-most, most)
        self.fill = finite(fill, "fill", "RandomRotation")

    def change(self, images: Array, draws: Array) -> Array:
        """Images, each turned by its own angle."""
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise DtypeError("RandomRotation needs uint8 or floating pixels.", describe(images=images))
        # uint8 and float16 are interpolated in float32.
        exact = images.astype(np.result_type(images.dtype, np.float32), copy=False)
        filled_like(images, self.fill, (0,))
        found = np.empty(images.shape, images.dtype)
        for part in self._parts(images):
            turned = _interpolated(exact[part], *self._sources(draws[part], images.shape[2:]), self.fill)
            if images.dtype == np.uint8:
                turned = np.rint(turned)
            found[part] = turned
        return found

    def change_masks(self, masks: Array, draws: Array, fill: int = 0) -> Array:
        """Masks, turned alike; each pixel takes the nearest one's value."""
        height, width = masks.shape[2:]
        found = filled_like(masks, fill)
        for part in self._parts(masks):
            y, x = (
                np.rint(places).astype(np.int64) for places in self._sources(draws[part], (height, width))
            )
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            flat = np.where(inside, y * width + x, 0).reshape(len(y), 1, -1)
            values = np.take_along_axis(masks[part].reshape(*masks[part].shape[:2], -1), flat, axis=2)
            np.copyto(found[part], values.reshape(masks[part].shape), where=inside[:, None])
        return found

    def _parts(self, images: Array) -> list[slice]:
        """Samples to work on at a time, so that memory stays bounded."""
        if not images.size:
            return []
        size = max(1, _BLOCK // math.prod(images.shape[1:]))
        return [slice(start, start + size) for start in range(0, len(images), size)]

    def _sources(self, draws: Array, size: tuple[int, ...]) -> tuple[Array, Array]:
        """Where each pixel of the result lies in the image: rows and columns, (k, height, width)."""
        low, high = self.degrees
        angles = np.radians(low + (high - low) * draws[:, 0])[:, None, None]
        sine, cosine = np.sin(angles), np.cos(angles)
        middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
        y = np.arange(size[0])[:, None] - middle_y
        x = np.arange(size[1])[None, :] - middle_x
        return sine * x + (cosine * y + middle_y), cosine * x + (middle_x - sine * y)

    def __repr__(self) -> str:
        return f"RandomRotation({self.degrees}, fill={self.fill:g})"


def _choose(draws: Array, count: int) -> Array:
    """A whole number from 0 to below ``count`` for each draw."""
    return np.minimum((draws * count).astype(np.int64), count - 1)


def _four_sides(padding: Any) -> tuple[int, int, int, int]:
    """Padding on the left, top, right and bottom."""
    given = 0 if padding is None else padding
    if not isinstance(given, (tuple, list)):
        every = whole(given, "padding", "RandomCrop")
        return every, every, every, every
    sides = [whole(one, "padding", "RandomCrop") for one in given]
    if len(sides) == 2:
        sides *= 2
    if len(sides) != 4:
        raise ArgumentError(
            "RandomCrop needs padding as one, two or four numbers.", describe(padding=padding)
        )
    return sides[0], sides[1], sides[2], sides[3]


def _padded(images: Array, sides: tuple[tuple[int, int], tuple[int, int]], fill: float, mode: str) -> Array:
    widths = ((0, 0), (0, 0), *sides)
    if mode == "constant":
        (top, bottom), (left, right) = sides
        rows, columns = images.shape[2:]
        found = filled_like(images, fill, (*images.shape[:2], top + rows + bottom, left + columns + right))
        found[:, :, top : top + rows, left : left + columns] = images
        return found
    if 0 in images.shape[2:]:
        raise ShapeError(
            f"RandomCrop can't pad by {mode} where there are no pixels.", describe(images=images)
        )
    return np.asarray(np.pad(images, widths, mode=mode))  # type: ignore[call-overload]  # checked above


def _interpolated(images: Array, rows: Array, columns: Array, fill: float) -> Array:
    """Linear interpolation of images (k, c, h, w) at (k, height, width) places; ``fill`` beyond the edge."""
    k, channels, height, width = images.shape
    # A ring of `fill` stands for all that lies outside, and places further out are drawn onto it.
    ringed = np.full((k, channels, height + 2, width + 2), fill, images.dtype)
    ringed[:, :, 1:-1, 1:-1] = images
    y, x = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
    top, left = np.minimum(y.astype(np.intp), height), np.minimum(x.astype(np.intp), width)
    down, right = (y - top).astype(images.dtype), (x - left).astype(images.dtype)
    plane = (height + 2) * (width + 2)
    corner = top * (width + 2) + left
    corner += (np.arange(k) * (channels * plane))[:, None, None]
    flat = ringed.reshape(-1)
    found = np.empty((k, channels, *rows.shape[1:]), images.dtype)
    for channel in range(channels):
        # Where a plane begins is where the indices count from, so that one array of them serves all.
        upper, lower = (_mixed(flat[channel * plane + below :], corner, right) for below in (0, width + 2))
        np.add(upper, down * (lower - upper), out=found[:, channel])
    return found


def _mixed(values: Array, places: Array, shares: Array) -> Array:
    """Between each place and the one after it, at the given share of the way."""
    # "clip" looks at no bounds, which are right already.
    one, two = (np.take(values[after:], places, mode="clip") for after in (0, 1))
    two -= one
    two *= shares
    two += one
    return two
