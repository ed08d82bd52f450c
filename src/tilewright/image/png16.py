"""PNG files of 16-bit colour, which Pillow doesn't write.

One row after the other is filtered (PNG, 3rd edition, section 9) and deflated by zlib; everything is laid out
as in section 5 of the standard.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tilewright.image.picture import Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey and alpha, colour, colour and alpha
_PAETH = 4
_ROWS = 16  # filtered at a time: a megabyte or two of work space for the widest camera pictures
_LEVEL = 4  # of zlib: half the time of its usual 6, and a file larger by nothing to a twelfth
_INCHES_OF_A_METRE = 39.3701


def encode_png16(
    values: Array,
    profile: bytes | None = None,
    exif: bytes | None = None,
    resolution: tuple[float, float] | None = None,
) -> bytes:
    r"""A PNG file of uint16 values.

    Args:
        values: (height, width) of grey, or (height, width, channels): 2 is grey and alpha, 3 colour, 4 colour
            and alpha.
        profile: an ICC profile to go with it.
        exif: an EXIF block, with or without its usual first six bytes.
        resolution: pixels per inch (across, down).

    >>> content = encode_png16(np.zeros((2, 3, 4), np.uint16))
    >>> content[:8] == b"\x89PNG\r\n\x1a\n", content[24], content[25]
    (True, 16, 6)
    """
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    parts = [_SIGNATURE]
    parts.append(_chunk(b"IHDR", struct.pack(">2I5B", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)))
    if profile is not None:
        parts.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    if resolution is not None:
        across, down = (max(1, round(value * _INCHES_OF_A_METRE)) for value in resolution)
        parts.append(_chunk(b"pHYs", struct.pack(">2IB", across, down, 1)))
    if exif is not None:
        parts.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    for rows in _filtered(values.reshape(height, width * channels), 2 * channels):
        if packed := packer.compress(rows):
            parts.append(_chunk(b"IDAT", packed))
    parts.append(_chunk(b"IDAT", packer.flush()))
    parts.append(_chunk(b"IEND", b""))
    return b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
    )


def _filtered(values: Array, step: int) -> Iterator[bytes]:
    """Blocks of rows, each row behind the number of its filter: Paeth's for all, the best for photographs.

    A byte is replaced by its difference from whichever of its neighbours (the pixel before, above, and before
    the one above, ``step`` bytes back) is nearest to before + above − corner.
    """
    length = 2 * values.shape[1]
    above = np.zeros((1, step + length), np.int16)
    for start in range(0, len(values), _ROWS):
        block = np.ascontiguousarray(values[start : start + _ROWS], dtype=">u2").view(np.uint8)
        rows = np.zeros((1 + len(block), step + length), np.int16)
        rows[0], rows[1:, step:] = above[0], block
        a, b, c = rows[1:, :-step], rows[:-1, step:], rows[:-1, :-step]
        to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
        guess = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
        out = np.empty((len(block), 1 + length), np.uint8)
        out[:, 0] = _PAETH
        out[:, 1:] = (rows[1:, step:] - guess) & 0xFF
        above = rows[-1:]
        yield out.tobytes()
