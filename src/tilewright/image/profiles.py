"""ICC colour profiles: kept with the numbers they explain, and carried out where the numbers must change."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tilewright.errors import FileFormatError, need_extra
from tilewright.image.picture import Array

# Where a profile's header names its colour space and carries its mark (ICC.1:2022, 7.2).
_SPACE, _MARK = slice(16, 20), slice(36, 40)


def colour_space(profile: Any) -> str | None:
    """``RGB``, ``GRAY``, ``CMYK``, …: what a profile's numbers are; None where it is no profile.

    >>> colour_space(b"not a profile") is None
    True
    """
    if not isinstance(profile, bytes) or profile[_MARK] != b"acsp":
        return None
    return profile[_SPACE].decode("latin-1").strip()


def fits(profile: bytes | None, channels: int) -> bool:
    """Whether a profile explains pictures of so many channels."""
    return colour_space(profile) == ("GRAY" if channels == 1 else "RGB")


def to_srgb(
    name: str, colour: Array, alpha: Array | None, profile: Any
) -> tuple[Array, Array | None, bytes | None]:
    """CMYK to sRGB by its profile; other pixels as they are, with their profile where it is one of theirs.

    Raises:
        FileFormatError: CMYK without a profile that says which colours its inks give.
    """
    if colour.ndim == 3 and colour.shape[2] == 4:
        if colour_space(profile) != "CMYK":
            raise FileFormatError(
                f"Image file {name!r} needs a colour profile that says which colours its CMYK inks give.",
                "none" if profile is None else "a profile of another kind",
                "Convert it to RGB with the program that made it.",
            )
        return converted(colour, profile, name), alpha, None
    kept = profile if fits(profile, 1 if colour.ndim == 2 else 3) else None
    return colour, alpha, kept


def converted(colour: Array, profile: bytes, name: str) -> Array:
    """uint8 pixels of a profile's colour space as sRGB: (height, width, 3), or (height, width) of grey.

    Raises:
        FileFormatError: the profile is damaged.
        MissingExtraError: Pillow isn't installed, or was built without LittleCMS.
    """
    try:
        from PIL import Image, ImageCms
    except ImportError as error:
        raise need_extra("pillow", "image", "Converting colours") from error
    mode = {2: "L"}.get(colour.ndim) or {3: "RGB", 4: "CMYK"}[colour.shape[2]]
    target = "L" if mode == "L" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        through = ImageCms.profileToProfile(
            Image.frombytes(mode, (colour.shape[1], colour.shape[0]), np.ascontiguousarray(colour).tobytes()),
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError as error:
        raise FileFormatError(
            f"Image file {name!r} needs a colour profile that can be read.", str(error).rstrip(".")
        ) from error
    result: Array = np.asarray(through)
    return result[..., 0] if target == "L" else result


def is_srgb(profile: bytes) -> bool:
    """Whether a profile's description calls itself sRGB."""
    # Descriptions are ASCII in version 2 and UTF-16 in version 4.
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile
