"""Frames made small enough to look for motion in: averages over squares of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.image.borders import check_pixels

Array = npt.NDArray[Any]

# Of a shrunken frame: 480 × 270. A person's legs at the far end of a street still are a few pixels wide.
_MOST_PIXELS = 130_000
# Shrunken frames wait in 16ths of a grey level, half the memory of float32.
_STEPS = 16.0


class Shrinker:
    """Shrinks frames of one shape by one factor, which the first frame decides.

    Attributes:
        shape: (height, width) of the frames.
        factor: pixels along the side of a square that becomes one.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._first: tuple[int, ...] = ()
        self.shape = (0, 0)
        self.factor = 1

    def shrink(self, frame: Any) -> npt.NDArray[np.int16]:
        """(channels, ⌈height/factor⌉, ⌈width/factor⌉) of int16, in 16ths of a grey level.

        Raises:
            DtypeError: no array of real numbers.
            ShapeError: no picture, or of another shape than the first.
        """
        pixels = check_pixels(frame, "frames", self._owner)
        if not self._first:
            if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] > 4):
                raise ShapeError(
                    f"{self._owner} needs frames (height, width) or (height, width, channels) of up "
                    "to 4 channels, "
                    "none of them 0.",
                    describe(frame=pixels),
                )
            self._first = pixels.shape
            height, width = pixels.shape[:2]
            self.shape = (height, width)
            self.factor = max(1, math.ceil(math.sqrt(height * width / _MOST_PIXELS)))
        if pixels.shape != self._first:
            raise ShapeError(
                f"{self._owner} needs frames of one shape, here {self._first}.", describe(frame=pixels)
            )
        levels = pixels if pixels.dtype == np.uint8 else _levels(pixels)
        channels = [levels] if levels.ndim == 2 else [levels[..., at] for at in range(levels.shape[2])]
        return np.stack([self._averages(channel) for channel in channels])

    def whole(self, planes: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        """Shrunken frames as float32, in grey levels."""
        return planes.astype(np.float32) * np.float32(1 / _STEPS)

    def _averages(self, plane: Array) -> npt.NDArray[np.int16]:
        factor = self.factor
        if factor == 1:
            return _stored(plane.astype(np.float32))
        height, width = plane.shape
        short = (-height % factor, -width % factor)
        if any(short):
            plane = np.pad(plane, ((0, short[0]), (0, short[1])), mode="edge")
        # Sums of whole numbers: exact whatever the order, and of an eighth of the time of floats.
        kind: Any = np.uint32 if plane.dtype == np.uint8 else np.float32
        rows: Array = plane[0::factor].astype(kind)
        for at in range(1, factor):
            rows += plane[at::factor]
        sums = rows[:, 0::factor].copy()
        for at in range(1, factor):
            sums += rows[:, at::factor]
        return _stored(sums.astype(np.float32) * np.float32(1 / (factor * factor)))


def _levels(pixels: Array) -> npt.NDArray[np.float32]:
    """Grey levels of 0 to 255 as float32: others are clipped, and what is no number is black."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: npt.NDArray[np.float32] = np.nan_to_num(pixels.astype(np.float32), nan=0.0).clip(0, 255)
    return found


def _stored(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    found: npt.NDArray[np.int16] = np.rint(levels * np.float32(_STEPS)).astype(np.int16)
    return found
