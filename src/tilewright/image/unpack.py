"""The pixels of an image that Pillow has opened, as they are in the file.

Pillow holds no colour of 16 bits: it unpacks the upper byte of every value. It can be told to unpack the
lower byte instead, so such a file is decoded twice, and the bytes are put together again. Every format,
compression and layout that Pillow reads keeps its depth in this way, by Pillow's own well-tried decoders.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from tilewright.errors import FileFormatError
from tilewright.image.picture import Array
from tilewright.image.profiles import colour_space

# Formats that Pillow decodes by itself. Others it hands to outside programs (EPS to Ghostscript) or to rarely
# used decoders, which no file from a stranger should reach.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM")

Planes = tuple[Array, Array | None]
Reader = Callable[[Any, Any, BinaryIO, str], Planes]


def reader(image: Any, name: str) -> Reader:
    """What reads this kind of pixels. The image is opened, but not loaded."""
    mode, raw = image.mode, _raw_mode(image)
    if image.format == "PNG" and raw == "LA;16B":
        return _grey_alpha_16
    if mode in ("RGB", "RGBA") and raw.endswith((";16B", ";16L", ";16N")):
        return _colour_16
    if image.format == "PPM" and mode == "RGB" and _ppm_top(image) > 255:
        return _ppm_16
    # In mode I, Pillow holds a PGM file of more than 256 levels (scaled to 0..65535) and, before its version
    # 10.3, a PNG file of 16 bits.
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PPM", "PNG")):
        return _grey_16
    if mode == "F":
        return _floats
    if mode in ("P", "PA"):
        return _palette
    if mode == "CMYK" and ";16" not in raw:
        return _cmyk
    if mode in ("1", "L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"):
        return _eight_bit
    kind = {"I": "integers of 32 bits or with a sign", "CMYK": "CMYK of 16 bits", "LAB": "colours of L*a*b*"}
    raise FileFormatError(
        f"Image file {name!r} needs grey or RGB pixels of 8 or 16 bits or float32, or CMYK of 8 bits.",
        kind.get(mode, f"pixels of the kind {mode}"),
    )


def _raw_mode(image: Any) -> str:
    """How the first tile's values lie in the file, in Pillow's words (``RGB;16B``)."""
    arguments = image.tile[0][3] if image.tile else ""
    if isinstance(arguments, (tuple, list)):
        arguments = arguments[0] if arguments else ""
    return arguments if isinstance(arguments, str) else ""


def _colour_16(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    raw = _raw_mode(image)
    layout, order = raw.split(";")
    if order == "16N":
        order = "16L" if np.little_endian else "16B"
    # "RGBa" would divide by alpha while unpacking bytes; here it is done below, in 16 bits.
    channels = layout.replace("a", "A")
    upper = _unpacked(image, f"{channels};{order}")
    with pillow.open(rewound(file), formats=FORMATS) as again:
        lower = _unpacked(again, f"{channels};{'16B' if order == '16L' else '16L'}")
    whole = upper.astype(np.uint16)
    whole <<= 8
    whole |= lower
    if image.mode == "RGB":
        clear = image.info.get("transparency")
        return whole, _where_clear(whole, clear)
    colour, alpha = whole[..., :3], whole[..., 3]
    return _unmultiplied(colour, alpha) if "a" in layout else colour, alpha


def _unpacked(image: Any, raw: str) -> Array:
    """The image, with its tiles unpacked by another rule than the one that Pillow chose."""
    tiles = []
    for codec, extents, offset, arguments in image.tile:
        changed = raw if isinstance(arguments, str) else (raw, *arguments[1:])
        tiles.append((codec, extents, offset, changed))
    make = type(image.tile[0])  # a named tuple in newer versions, a plain one in older ones
    image.tile = [make(*tile) if make is not tuple else tile for tile in tiles]
    image.load()
    return np.asarray(image)


def _unmultiplied(colour: Array, alpha: Array) -> Array:
    """Colours that were multiplied by their alpha, divided by it again; black where nothing is seen."""
    share = np.maximum(alpha, 1).astype(np.float64) / 65535
    restored: Array = np.clip(np.rint(colour / share[..., None]), 0, 65535).astype(np.uint16)
    return restored


def _grey_alpha_16(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    # Four bytes for each pixel, as in an RGBA file of 8 bits: with that written into its header, Pillow's
    # decoder gives these very bytes. Every filter and the interlacing of PNG know pixels as bytes alone.
    content = bytearray(rewound(file).read())
    if content[12:16] != b"IHDR" or content[24:26] != b"\x10\x04":
        raise FileFormatError(
            f"Image file {name!r} is damaged or cut short.", "a PNG file that doesn't begin with IHDR"
        )
    content[24:26] = b"\x08\x06"
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    with pillow.open(io.BytesIO(content), formats=("PNG",)) as same_bytes:
        pairs = np.ascontiguousarray(np.asarray(same_bytes)).view(">u2").astype(np.uint16)
    return pairs[..., 0], pairs[..., 1]


def _ppm_top(image: Any) -> int:
    arguments = image.tile[0][3] if image.tile else ()
    return arguments[1] if isinstance(arguments, tuple) and isinstance(arguments[1], int) else 255


def _ppm_16(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    top, (width, height) = _ppm_top(image), image.size
    if image.tile[0][0] == "ppm_plain":
        raise FileFormatError(
            f"Image file {name!r} needs to be binary (P6) to hold colours of 16 bits.", "a plain one (P3)"
        )
    file.seek(image.tile[0][2])
    content = file.read(6 * width * height)
    if len(content) < 6 * width * height:
        raise FileFormatError(
            f"Image file {name!r} is damaged or cut short.", f"{len(content):,} bytes of pixels"
        )
    values = np.frombuffer(content, ">u2").reshape(height, width, 3)
    if top == 65535:
        return values.astype(np.uint16), None
    # The nearest of 65,536 levels; a value above what the header calls white is white.
    return np.rint(np.minimum(values, top) * (65535 / top)).astype(np.uint16), None


def _grey_16(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    image.load()
    values = np.asarray(image)
    if values.dtype.kind == "i" and (values.min() < 0 or values.max() > 65535):
        raise FileFormatError(f"Image file {name!r} needs values of 16 bits.", "larger or negative ones")
    values = values.astype(np.uint16)
    return values, _where_clear(values, image.info.get("transparency"))


def _floats(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    image.load()
    return np.asarray(image, dtype=np.float32), None


def _palette(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    image.load()
    clear = image.info.get("transparency")
    table = np.zeros((256, 3), np.uint8)
    listed = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)[:256]
    table[: len(listed)] = listed
    indices = np.asarray(image)
    alpha = None
    if image.mode == "PA":
        indices, alpha = indices[..., 0], indices[..., 1]
    elif clear is not None:
        seen = np.full(256, 255, np.uint8)
        if isinstance(clear, bytes):
            seen[: len(clear)] = np.frombuffer(clear[:256], np.uint8)
        elif 0 <= clear < 256:
            seen[clear] = 0
        alpha = seen[indices]
        alpha = None if alpha.min() == 255 else alpha
    used = table[np.bincount(indices.ravel(), minlength=256) > 0]
    # A palette of greys is how GIF and small PNG files hold a grey picture. A profile for colours stays true
    # only of colours.
    is_grey = bool((used == used[:, :1]).all()) and colour_space(image.info.get("icc_profile")) != "RGB"
    return (table[:, 0] if is_grey else table)[indices], alpha


def _cmyk(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    image.load()
    return np.asarray(image), None


def _eight_bit(pillow: Any, image: Any, file: BinaryIO, name: str) -> Planes:
    image.load()
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.format == "PNG" and image.mode == "L":
        # Pillow spreads the levels of 2 and 4 bits over 0..255, but not the one that is named transparent.
        bits = rewound(file).read(25)[24]
        clear = clear * 255 // ((1 << bits) - 1) if bits in (2, 4) else clear
    plain = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}.get(image.mode)
    values = np.asarray(image.convert(plain) if plain else image)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        colour = values[..., 0] if values.shape[2] == 2 else values[..., :3]
        return colour, values[..., -1]
    return values, _where_clear(values, clear)


def _where_clear(values: Array, clear: Any) -> Array | None:
    """Alpha of a PNG file that names one grey level or one colour as transparent."""
    if clear is None or not isinstance(clear, (int, tuple)):
        return None
    hidden = values == np.asarray(clear, np.int64)
    if values.ndim == 3:
        hidden = hidden.all(axis=2)
    if not hidden.any():
        return None
    top = np.iinfo(values.dtype).max
    return np.where(hidden, 0, top).astype(values.dtype)


def rewound(file: BinaryIO) -> BinaryIO:
    """The file, at its first byte."""
    file.seek(0)
    return file
