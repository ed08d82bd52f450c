"""A picture in memory: its pixels, what is transparent, and what a file says about its colours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

Array = np.ndarray[Any, Any]

#: What a picture's values may be, and the largest of each: white, and opaque.
TOPS: dict[str, float] = {"uint8": 255, "uint16": 65535, "float32": 1.0}
#: Pixels per inch: at a million, a pixel would be smaller than the parts of a bacterium.
MOST_DOTS = 1e6


@dataclass(frozen=True, eq=False)
class Picture:
    """The pixels of a picture, the right way up, and what belongs to them.

    Args:
        pixels: (height, width) of a grey picture, (height, width, 3) of red, green, blue; uint8, uint16 or
            float32 (whose black is 0 and white is 1).
        alpha: (height, width) of the same dtype, 0 where nothing is seen and the largest value (1.0 of
            float32) where nothing shines through; None: all is opaque. The colours are as they are, not
            multiplied by it.
        profile: the ICC profile that says which colours the numbers mean; None: sRGB, as is usual.
        exif: the EXIF block of the file, its orientation already carried out and set to upright; or None.
        resolution: pixels per inch (across, down), or None where the file doesn't say.
        frames: how many frames or pages the file has; the pixels are those of the first.

    Raises:
        ShapeError: the shapes aren't these, or there are no pixels.
        DtypeError: the dtypes aren't these.
        ArgumentError: one of the other arguments is of another type.

    >>> grey = Picture(np.zeros((2, 3), np.uint8))
    >>> grey.height, grey.width, grey.channels, grey.alpha is None
    (2, 3, 1, True)
    """

    pixels: Array
    alpha: Array | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    resolution: tuple[float, float] | None = None
    frames: int = 1

    def __post_init__(self) -> None:
        _check_array("pixels", self.pixels)
        if self.pixels.ndim not in (2, 3) or (self.pixels.ndim == 3 and self.pixels.shape[2] != 3):
            raise ShapeError(
                "Picture needs pixels of shape (height, width) or (height, width, 3).",
                describe(pixels=self.pixels),
            )
        if self.pixels.size == 0:
            raise ShapeError("Picture needs at least one pixel.", describe(pixels=self.pixels))
        if self.alpha is not None:
            _check_array("alpha", self.alpha)
            if self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != self.pixels.dtype:
                raise ShapeError(
                    "Picture needs alpha of the height, width and dtype of its pixels.",
                    describe(pixels=self.pixels, alpha=self.alpha),
                )
        for name, value in (("profile", self.profile), ("exif", self.exif)):
            if value is not None and not isinstance(value, bytes):
                raise ArgumentError(f"Picture needs {name} to be bytes or None.", describe(**{name: value}))
        if self.resolution is not None and not _is_resolution(self.resolution):
            raise ArgumentError(
                "Picture needs resolution to be two numbers above 0 and below a million, or None.",
                describe(resolution=self.resolution),
            )
        if isinstance(self.frames, bool) or not isinstance(self.frames, int) or self.frames < 1:
            raise ArgumentError(
                "Picture needs frames to be a whole number from 1 on.", describe(frames=self.frames)
            )

    @property
    def height(self) -> int:
        """How many rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """How many pixels in a row."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """1 of a grey picture, 3 of a coloured one; alpha doesn't count."""
        return 1 if self.pixels.ndim == 2 else 3

    @property
    def depth(self) -> int:
        """Bits of a value: 8, 16 or 32."""
        return 8 * int(self.pixels.dtype.itemsize)

    @property
    def top(self) -> float:
        """The value of white and of opaque: 255, 65535 or 1.0."""
        return TOPS[self.pixels.dtype.name]

    @property
    def channel_axis(self) -> int | None:
        """What functions of ``tilewright.image`` ask for: 2 of a coloured picture, None of a grey one."""
        return None if self.pixels.ndim == 2 else 2

    def replace(self, **changes: Any) -> Picture:
        """The same picture with other pixels, or whatever else is named.

        >>> Picture(np.zeros((2, 2), np.uint8)).replace(pixels=np.ones((4, 4), np.uint8)).width
        4
        """
        return dataclasses.replace(self, **changes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The pixels, with alpha as the last channel where there is one: what ``numpy.asarray`` gives."""
        whole = self.pixels
        if self.alpha is not None:
            colour = whole[..., None] if whole.ndim == 2 else whole
            whole = np.concatenate([colour, self.alpha[..., None]], axis=2)
        if dtype is not None and whole.dtype != dtype:
            return whole.astype(dtype)
        return whole.copy() if copy else whole

    def __repr__(self) -> str:
        kind = "grey" if self.channels == 1 else "colour"
        parts = [f"{self.width} × {self.height}", kind, self.pixels.dtype.name]
        parts += ["alpha"] if self.alpha is not None else []
        parts += ["profile"] if self.profile is not None else []
        return f"Picture({', '.join(parts)})"


def _is_resolution(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(one, (int, float)) and 0 < one < MOST_DOTS for one in value)
    )


def _check_array(name: str, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise DtypeError(f"Picture needs {name} to be a NumPy array.", describe(**{name: value}))
    if value.dtype.name not in TOPS or not value.dtype.isnative:
        raise DtypeError(
            f"Picture needs {name} of dtype uint8, uint16 or float32.", describe(**{name: value})
        )
