"""TIFF files that Pillow has no kind of pixels for: float colour, 16-bit alpha, a plane for each colour."""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO

import numpy as np

from tilewright.errors import FileFormatError, StateError, TilewrightError, need_extra
from tilewright.image.picture import MOST_DOTS, TOPS, Array, Picture
from tilewright.image.profiles import to_srgb
from tilewright.image.sizes import check_size, upright
from tilewright.image.tags import texts

_EXTRA_SAMPLES, _PROFILE, _ORIENTATION = 338, 34675, 274
_RESOLUTIONS, _UNIT = (282, 283), 296
_ASSOCIATED = 1  # of ExtraSamples: alpha by which the colours were multiplied
# Pillow sees nothing here; deflate and LZW can't shrink by more than about this much.
_MOST_SHRINKING = 1500


def decode_tiff(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    """The first page of a TIFF file, grey or RGB, with alpha or without, of uint8, uint16 or float32.

    Raises:
        FileFormatError: other pixels than these, damaged, cut short or too large.
        StateError: there isn't the memory for it.
        MissingExtraError: tifffile isn't installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise need_extra("tifffile", "image", f"Reading {name!r}, a TIFF file of this kind,") from error
    try:
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            page: Any = tiff.pages[0]
            _check(page, name, length, max_pixels)
            values = np.asarray(page.asarray(maxworkers=1))
            return _picture(page, values, name, len(tiff.pages))
    except TilewrightError:
        raise
    except MemoryError as error:
        raise StateError(f"There is not enough memory to read image file {name!r}.") from error
    except Exception as error:  # as in decode(): damaged bytes meet errors of many kinds
        raise FileFormatError(
            f"Image file {name!r} is damaged, cut short, or compressed in a way that can't be read here.",
            f"{type(error).__name__} while decoding: {error}".rstrip(". "),
        ) from error


def _check(page: Any, name: str, length: int, max_pixels: int) -> None:
    width, height = int(page.imagewidth), int(page.imagelength)
    check_size(name, width, height, max_pixels)
    dtype = page.dtype
    kind = getattr(page.photometric, "name", "unknown")
    samples = int(page.samplesperpixel)
    allowed = {"MINISBLACK": (1, 2), "RGB": (3, 4)}.get(kind, ())
    if dtype is None or dtype.name not in TOPS or samples not in allowed or int(page.imagedepth) != 1:
        raise FileFormatError(
            f"Image file {name!r} needs grey or RGB pixels of uint8, uint16 or float32, alpha or none.",
            f"{samples} samples a pixel of dtype {dtype}, {kind}",
        )
    needed = width * height * samples * dtype.itemsize
    if needed > length * _MOST_SHRINKING or math.prod(page.shape) != width * height * samples:
        raise FileFormatError(
            f"Image file {name!r} needs to be long enough for its {width:,} × {height:,} pixels.",
            f"{length:,} bytes",
        )


def _picture(page: Any, values: Array, name: str, frames: int) -> Picture:
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    samples = int(page.samplesperpixel)
    if values.ndim == 3 and getattr(page.planarconfig, "name", "") == "SEPARATE" and samples > 1:
        values = np.moveaxis(values, 0, -1)
    alpha = None
    colour = values
    if samples in (2, 4):
        colour, alpha = (values[..., 0] if samples == 2 else values[..., :3]), values[..., -1]
        extra = page.tags.valueof(_EXTRA_SAMPLES)
        if _ASSOCIATED in (extra if isinstance(extra, tuple) else (extra,)):
            colour = _unmultiplied(colour, alpha)
    profile = page.tags.valueof(_PROFILE)
    turn = page.tags.valueof(_ORIENTATION)
    turn = int(turn) if isinstance(turn, int) and 1 <= turn <= 8 else 1
    colour, alpha, profile = to_srgb(name, colour, alpha, profile if isinstance(profile, bytes) else None)
    return Picture(
        upright(colour, turn),
        None if alpha is None else upright(alpha, turn),
        profile,
        resolution=_resolution(page),
        frames=frames,
    )


def _resolution(page: Any) -> tuple[float, float] | None:
    """Pixels per inch (across, down), where the file states them."""
    scale = {2: 1.0, 3: 2.54}.get(page.tags.valueof(_UNIT))  # of an inch, of a centimetre
    found = [page.tags.valueof(tag) for tag in _RESOLUTIONS]
    if scale is None or not all(isinstance(one, tuple) and len(one) == 2 and min(one) > 0 for one in found):
        return None
    across, down = (scale * one[0] / one[1] for one in found)
    return (across, down) if max(across, down) < MOST_DOTS else None


def _unmultiplied(colour: Array, alpha: Array) -> Array:
    """Colours that were multiplied by their alpha, divided by it again; black where nothing is seen."""
    top = TOPS[colour.dtype.name]
    share = alpha.astype(np.float64) / top
    if colour.ndim == 3:
        share = share[..., None]
    restored = np.divide(colour, share, out=np.zeros(colour.shape), where=share > 0)
    if colour.dtype.kind == "f":
        return restored.astype(colour.dtype)
    return np.rint(np.minimum(restored, top)).astype(colour.dtype)


def encode_tiff(picture: Picture) -> bytes:
    """A TIFF file of any picture, deflated without loss, with its alpha, profile and resolution.

    Raises:
        MissingExtraError: tifffile isn't installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise need_extra("tifffile", "image", "Writing a TIFF file of 16-bit or float colour") from error
    values = np.asarray(picture)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        values,
        photometric="minisblack" if picture.channels == 1 else "rgb",
        planarconfig="contig" if values.ndim == 3 else None,
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib",
        # Differences of neighbours deflate better; of floats, only with a package beside this one.
        predictor=values.dtype.kind == "u",
        iccprofile=picture.profile,
        resolution=picture.resolution,
        resolutionunit=None if picture.resolution is None else "inch",
        metadata=None,
        software="",
        extratags=[(tag, "s", 0, text, True) for tag, text in texts(picture.exif).items()],
    )
    return buffer.getvalue()
