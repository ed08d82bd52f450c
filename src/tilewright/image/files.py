"""Pictures from files and to files, with their depth, transparency, colours and orientation."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.files import as_path, open_regular, write_atomically
from tilewright.image.decode import decode
from tilewright.image.encode import QUALITY, encode, format_of
from tilewright.image.picture import TOPS, Picture

#: Room for a hundred-megapixel camera: 8-bit colours of so many pixels take 400 MB, and more to decode.
MAX_PIXELS = 1 << 27
#: The ends of names by which images are found in a folder.
IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture as it is: grey or colour, 8 bits or 16, with its transparency and its colour profile.

    The camera's EXIF orientation is carried out. Palettes become what they show: grey where all their colours
    are grey, red, green and blue otherwise; pictures of 1 bit become 0 and 255. CMYK becomes sRGB by the
    file's own profile. Of an animation and of a TIFF of several pages the first is read, and ``frames`` says
    how many there are.

    Args:
        path: a PNG, JPEG, TIFF, WebP, GIF, BMP or PPM file, known by its content.
        max_pixels: a picture of more is refused before it is decoded.

    Returns:
        Its pixels, (height, width) or (height, width, 3) of uint8, uint16 or float32 (TIFF), and what belongs
        to them.

    Raises:
        ArgumentError: there is no such file, or ``max_pixels`` isn't a number from 1 on.
        DtypeError: ``path`` isn't one.
        FileFormatError: not an image of those kinds, damaged, cut short, too large, or of pixels of another
            kind.
        StateError: there isn't the memory for it.
        MissingExtraError: Pillow isn't installed.

    >>> read_image("holiday.jpg")               # doctest: +SKIP
    Picture(4032 × 3024, colour, uint8, profile)
    """
    target = as_path(path, "read_image")
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, (int, np.integer)) or max_pixels < 1:
        raise ArgumentError(
            "read_image needs max_pixels to be a whole number from 1 on.", describe(max_pixels=max_pixels)
        )
    with open_regular(target, "read_image") as file:
        return decode(file, target, int(max_pixels))


def write_image(path: str | os.PathLike[str], picture: Any, *, quality: int = QUALITY) -> None:
    """Write a picture to a file whose kind its name says, whole or not at all.

    PNG and TIFF keep every value, of 8 and 16 bits (TIFF: float32 as well), with alpha. JPEG and WebP hold 8
    bits and lose a little by ``quality``; GIF holds 256 colours. What a kind of file can't hold is refused
    rather than
    lost: 16 bits or transparency in a JPEG, for example. The picture's colour profile and EXIF block go with
        it;
    into a file that has no place for a profile (GIF, BMP, PPM), its colours are converted to sRGB.

    Args:
        path: .png, .jpg, .jpeg, .tif, .tiff, .webp, .gif, .bmp, .ppm, .pgm or .pnm, in a folder that exists.
        picture: a Picture; or an array (height, width), or (height, width, channels) with 2 (grey, alpha), 3
            or 4 (red, green, blue, alpha) channels, of uint8, uint16 or float32.
        quality: of JPEG and WebP, 1 to 100.

    Raises:
        ArgumentError: the name ends in none of these, its folder is missing, or this kind of file can't hold
            the picture.
        ShapeError: the array has another shape.
        DtypeError: the array is of another dtype, or there is none.
        MissingExtraError: Pillow isn't installed (tifffile, for TIFF files of 16 bits or floats).
        OSError: the disk refuses; what was at ``path`` is as it was.

    >>> write_image("noise.png", np.zeros((4, 5, 3), np.uint16))    # doctest: +SKIP
    """
    target = as_path(path, "write_image")
    format_of(target)
    if isinstance(quality, bool) or not isinstance(quality, (int, np.integer)) or not 1 <= quality <= 100:
        raise ArgumentError(
            "write_image needs quality to be a whole number from 1 to 100.", describe(quality=quality)
        )
    if not target.parent.is_dir():
        raise ArgumentError(
            "write_image needs a folder that exists.",
            describe(path=str(target)),
            f"Make the folder {str(target.parent)!r} first.",
        )
    if target.is_dir():
        raise ArgumentError(
            "write_image needs the path of a file.", f"path={str(target)!r}, which is a folder"
        )
    write_atomically(target, encode(as_picture(picture), target, int(quality)))


def as_picture(value: Any) -> Picture:
    """A picture from an array whose last axis, where there is one, is its channels; a Picture as it is.

    Raises:
        ShapeError: the array isn't (height, width) or (height, width, 1 to 4), or has no pixels.
        DtypeError: it isn't a NumPy array of uint8, uint16 or float32.

    >>> as_picture(np.zeros((4, 5, 2), np.uint8)).alpha.shape
    (4, 5)
    """
    if isinstance(value, Picture):
        return value
    if not isinstance(value, np.ndarray) or value.dtype.name not in TOPS:
        raise DtypeError(
            "A picture is a Picture or a NumPy array of uint8, uint16 or float32.", describe(picture=value)
        )
    array = value.astype(value.dtype.newbyteorder("="), copy=False)
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise ShapeError(
            "A picture is an array (height, width) or (height, width, channels) with 1 to 4 channels.",
            describe(picture=value),
        )
    if array.ndim == 2:
        return Picture(array)
    if array.shape[2] in (1, 2):
        return Picture(array[..., 0], array[..., 1] if array.shape[2] == 2 else None)
    return Picture(array[..., :3], array[..., 3] if array.shape[2] == 4 else None)


__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "as_picture", "read_image", "write_image"]
