"""A :class:`~tilewright.image.picture.Picture` to the bytes of an image file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, FileFormatError, describe, need_extra
from tilewright.image.picture import Array, Picture
from tilewright.image.png16 import encode_png16
from tilewright.image.profiles import converted, fits, is_srgb
from tilewright.image.tags import texts
from tilewright.image.tiff import encode_tiff


@dataclass(frozen=True)
class Format:
    """What a kind of file can hold."""

    name: str
    dtypes: tuple[str, ...] = ("uint8",)
    alpha: bool = False
    profile: bool = False
    channels: tuple[int, ...] = (1, 3)


_PNG = Format("PNG", ("uint8", "uint16"), alpha=True, profile=True)
_JPEG = Format("JPEG", profile=True)
_TIFF = Format("TIFF", ("uint8", "uint16", "float32"), alpha=True, profile=True)
#: By the end of the file's name, in lower case.
WRITABLE: dict[str, Format] = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", alpha=True, profile=True),
    ".gif": Format("GIF", alpha=True),
    ".bmp": Format("BMP"),
    ".ppm": Format("PPM", ("uint8", "uint16"), channels=(3,)),
    ".pgm": Format("PPM", ("uint8", "uint16"), channels=(1,)),
    ".pnm": Format("PPM", ("uint8", "uint16")),
}
# 95 is the quality up to which libjpeg's authors see a gain; at it, a filtered photograph shows no blocks.
QUALITY = 95


def format_of(path: Path) -> Format:
    """The format that a file's name asks for.

    Raises:
        ArgumentError: the name ends in none that is written.
    """
    found = WRITABLE.get(path.suffix.lower())
    if found is None:
        raise ArgumentError(
            f"A picture is written to a file whose name ends in {', '.join(WRITABLE)}.",
            describe(path=str(path)),
        )
    return found


def encode(picture: Picture, path: Path, quality: int) -> bytes:
    """The bytes of the file.

    Raises:
        ArgumentError: this kind of file can't hold the picture as it is.
        MissingExtraError: Pillow or tifffile isn't installed.
    """
    kind = format_of(path)
    _check(picture, kind, path)
    picture = _with_true_colours(picture, kind, path)
    values = np.asarray(picture)
    if kind.name == "PNG" and picture.depth == 16:
        return encode_png16(values, picture.profile, picture.exif, picture.resolution)
    if kind.name == "TIFF" and picture.depth > 8:
        return encode_tiff(picture)
    if kind.name == "PPM" and picture.depth == 16:
        letter = "P5" if picture.channels == 1 else "P6"
        return (
            f"{letter}\n{picture.width} {picture.height}\n65535\n".encode() + values.astype(">u2").tobytes()
        )
    return _by_pillow(picture, values, kind, quality)


def _check(picture: Picture, kind: Format, path: Path) -> None:
    name = str(path)
    if picture.pixels.dtype.name not in kind.dtypes:
        raise ArgumentError(
            f"{name!r}, a {kind.name} file, holds values of {' or '.join(kind.dtypes)}.",
            describe(pixels=picture.pixels),
            "Write a .tif file, or a .png file of 16 bits."
            if picture.depth == 16
            else "Write a .tif file, or make the values whole numbers first.",
        )
    if picture.channels not in kind.channels:
        raise ArgumentError(
            f"{name!r} holds {'grey' if kind.channels == (1,) else 'red, green, blue'} pixels.",
            describe(pixels=picture.pixels),
            "Write a .pgm file of grey, a .ppm file of colours.",
        )
    if picture.alpha is not None and not kind.alpha:
        raise ArgumentError(
            f"{name!r}, a {kind.name} file, can't hold transparency.",
            describe(alpha=picture.alpha),
            "Write a .png, .tif or .webp file, or lay the picture on a colour first.",
        )
    limit = {"JPEG": 65_535, "GIF": 65_535, "WEBP": 16_383}.get(kind.name)
    if limit is not None and max(picture.width, picture.height) > limit:
        raise ArgumentError(
            f"{name!r}, a {kind.name} file, holds at most {limit:,} pixels in a row or a column.",
            f"{picture.width:,} × {picture.height:,} pixels",
        )


def _with_true_colours(picture: Picture, kind: Format, path: Path) -> Picture:
    """The picture with a profile only where it is true and the file can hold it."""
    profile = picture.profile
    if profile is None or not fits(profile, picture.channels):
        return picture.replace(profile=None)
    if kind.profile:
        return picture
    if is_srgb(profile):
        return picture.replace(profile=None)
    if picture.depth > 8:
        raise ArgumentError(
            f"{str(path)!r}, a {kind.name} file, can't hold the picture's colour profile.",
            describe(pixels=picture.pixels),
            "Write a .png or .tif file.",
        )
    try:
        return picture.replace(pixels=converted(picture.pixels, profile, str(path)), profile=None)
    except FileFormatError:
        # A profile that LittleCMS can't carry out is one that no viewer carried out either.
        return picture.replace(profile=None)


def _by_pillow(picture: Picture, values: Array, kind: Format, quality: int) -> bytes:
    try:
        from PIL import Image
    except ImportError as error:
        raise need_extra("pillow", "image", "Writing a picture") from error
    mode = {2: "L"}.get(values.ndim) or {2: "LA", 3: "RGB", 4: "RGBA"}[values.shape[2]]
    image = Image.frombytes(mode, (picture.width, picture.height), np.ascontiguousarray(values).tobytes())
    options: dict[str, Any] = {}
    if picture.profile is not None:
        options["icc_profile"] = picture.profile
    exif, dots = picture.exif, picture.resolution
    # A JPEG file has two bytes for the length of a block, and for a resolution.
    narrow = kind.name == "JPEG"
    if exif is not None and kind.name in ("JPEG", "PNG", "WEBP") and not (narrow and len(exif) > 65_533):
        options["exif"] = exif
    if (
        dots is not None
        and kind.name in ("JPEG", "PNG", "TIFF", "BMP")
        and not (narrow and max(dots) > 65_535)
    ):
        options["dpi"] = dots
    if kind.name == "JPEG":
        # Colours at every pixel: at half the pixels, the edges that a filter has drawn would blur again.
        options |= {"quality": quality, "subsampling": 0, "optimize": True}
    elif kind.name == "WEBP":
        options |= {"quality": quality}
    elif kind.name == "TIFF":
        # The camera's own block can't go with it: Pillow doesn't write it into a compressed TIFF file.
        options |= {"compression": "tiff_adobe_deflate", "tiffinfo": texts(picture.exif)}
    buffer = io.BytesIO()
    image.save(buffer, kind.name, **options)
    return buffer.getvalue()
