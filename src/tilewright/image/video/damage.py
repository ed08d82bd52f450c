"""Whether a clip's file is all there, by the sizes that its own parts state.

libav ends quietly where a file does. So the outline of the four commonest kinds is followed here, without
decoding anything: a part that reaches beyond the end of the file means that the file was cut.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tilewright.errors import FileFormatError

if TYPE_CHECKING:
    from tilewright.image.video.decoding import Decoder

# Boxes on the top level of an MP4: one for each fragment of a live recording, at most some a second.
_MOST_BOXES = 1_000_000
_GIF_IMAGE, _GIF_EXTENSION, _GIF_END = 0x2C, 0x21, 0x3B
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing(file: BinaryIO) -> str | None:
    """What is missing from the end of a clip's file, in words; None when it is all there or of another kind.

    Args:
        file: an ordinary file, opened for reading bytes.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(16)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(file, size)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
        return _mp4(file, size)
    if head[:4] == _EBML:
        return _matroska(file, size)
    if head[:4] == b"RIFF":
        return _beyond("RIFF chunk", 0, 8 + int.from_bytes(head[4:8], "little"), size)
    return None


def check_not_empty(path: Path, file: BinaryIO) -> None:
    """Refuse a file that is empty.

    Raises:
        FileFormatError: it is.
    """
    if os.fstat(file.fileno()).st_size == 0:
        raise FileFormatError(f"Video file {str(path)!r} needs to hold something.", "an empty file")


def complete(path: Path, frames: int, decoder: Decoder) -> None:
    """Refuse a walk that ended before the clip did.

    Args:
        path: the file.
        frames: how many frames came.
        decoder: what they came from.

    Raises:
        FileFormatError: frames are missing.
    """
    with open(path, "rb") as file:
        what = missing(file)
    if what is None and frames == 0:
        what = "no frame that can be decoded"
    if what is None and decoder.frames is not None and decoder.packets < decoder.frames:
        what = f"{decoder.packets} of the {decoder.frames} frames that its header counts"
    if what is not None:
        raise FileFormatError(
            f"Video file {str(path)!r} is damaged or cut short.", f"{what}, after {frames} frames"
        )


def _beyond(part: str, start: int, end: int, size: int) -> str | None:
    if end <= size:
        return None
    return f"a {part} at byte {start} that reaches to byte {end} of {size}"


def _gif(file: BinaryIO, size: int) -> str | None:
    """A screen, a palette, then blocks of a known outline up to the end mark."""
    file.seek(6)
    screen = file.read(7)
    if len(screen) < 7:
        return "a header that is cut"
    _skip_palette(file, screen[4])
    while True:
        start = file.tell()
        kind = file.read(1)
        if not kind:
            return f"a GIF without its end mark, at byte {size}"
        if kind[0] == _GIF_END:
            return None
        if kind[0] == _GIF_IMAGE:
            image = file.read(9)
            if len(image) < 9:
                return f"an image block at byte {start} that is cut"
            _skip_palette(file, image[8])
            file.seek(1, os.SEEK_CUR)
        elif kind[0] == _GIF_EXTENSION:
            file.seek(1, os.SEEK_CUR)
        else:
            return f"a block of the unknown kind {kind[0]} at byte {start}"
        if not _skip_blocks(file, size):
            return f"a block at byte {start} that is cut"


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), os.SEEK_CUR)


def _skip_blocks(file: BinaryIO, size: int) -> bool:
    """Pass over blocks of up to 255 bytes, each behind its length, up to an empty one; whether it came."""
    while length := file.read(1):
        if length[0] == 0:
            return file.tell() <= size
        file.seek(length[0], os.SEEK_CUR)
    return False


def _mp4(file: BinaryIO, size: int) -> str | None:
    """Boxes: a length of 4 bytes, a name of 4, and where the length is 1, one of 8 bytes."""
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) == 0:
            return None
        if len(head) < 8:
            return f"a box at byte {start} that is cut"
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 0:  # up to the end of the file, wherever that is
            return None
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return f"a box at byte {start} of {length} bytes"
        what = _beyond(f"box {name.decode('ascii', 'replace')!r}", start, start + length, size)
        if what is not None:
            return what
        start += length
    return None


def _matroska(file: BinaryIO, size: int) -> str | None:
    """A head, then a segment whose length is stated unless it was written live."""
    file.seek(4)
    length = _varint(file)
    if length is None:
        return None
    start = file.tell() + length
    file.seek(start)
    if file.read(4) != _SEGMENT:
        return None
    length = _varint(file)
    return None if length is None else _beyond("segment", start, file.tell() + length, size)


def _varint(file: BinaryIO) -> int | None:
    """A number of 1 to 8 bytes; the zeros before the first one bit say how many. All ones: unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    bits = 7 * (more + 1)
    value = (int.from_bytes(first + rest, "big")) & ((1 << bits) - 1)
    return None if len(rest) < more or value == (1 << bits) - 1 else value
