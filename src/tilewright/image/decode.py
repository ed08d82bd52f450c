"""Image files to pictures: opened with care, checked before anything is allocated, turned upright."""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tilewright.errors import FileFormatError, StateError, TilewrightError, need_extra
from tilewright.image.picture import Picture
from tilewright.image.profiles import to_srgb
from tilewright.image.sizes import check_size, too_large, upright
from tilewright.image.tags import descriptive_exif, orientation, resolution
from tilewright.image.tiff import decode_tiff
from tilewright.image.unpack import FORMATS, reader, rewound

# zlib's own bound: deflate can't shrink by more than 1032 to 1.
_DEFLATE_RATIO = 1032
# Formats whose files may hold several frames or pages. A JPEG file may, too, but those of cameras are
# previews and maps of depth, which nobody misses here.
_SEVERAL = ("GIF", "PNG", "WEBP", "TIFF")

# TIFF tags: PlanarConfiguration (2: each colour a plane of its own), BitsPerSample.
_PLANES, _BITS = 284, 258

_pillow_lock = threading.Lock()
_quiet: contextlib.ExitStack = contextlib.ExitStack()
_quiet_users = 0


def decode(file: BinaryIO, path: Path, max_pixels: int) -> Picture:
    """The picture of an open file.

    Raises:
        FileFormatError: not an image of the known kinds, damaged, cut short, too large, or of a kind of
            pixels that a Picture doesn't hold.
        StateError: there isn't the memory for it.
        MissingExtraError: Pillow isn't installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise need_extra("pillow", "image", "Reading a picture") from error
    name = str(path)
    with _quiet_pillow(max_pixels):
        try:
            check_webp(file, name, max_pixels)
            return _decode(Image, file, name, max_pixels)
        except TilewrightError:
            raise
        except UnidentifiedImageError as error:
            if (picture := _tiff_beyond_pillow(file, name, max_pixels)) is not None:
                return picture
            raise FileFormatError(
                f"{name!r} needs to be a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image.",
                "a file that is none of these, or whose start is damaged",
            ) from error
        except Image.DecompressionBombError as error:
            # Its sentence has the number first; ours says the rest.
            number = re.search(r"\d+", str(error))
            received = f"{int(number[0]):,} pixels" if number else "more than that"
            raise too_large(name, max_pixels, received) from error
        except MemoryError as error:
            raise StateError(f"There is not enough memory to read image file {name!r}.") from error
        # Decoders meet damaged bytes with errors of many kinds (OSError, SyntaxError, ValueError, zlib.error,
        # struct.error, IndexError, …); all of them mean that this file isn't the image it says it is.
        except Exception as error:
            raise FileFormatError(
                f"Image file {name!r} is damaged or cut short.",
                f"{type(error).__name__} while decoding: {error}".rstrip(". "),
            ) from error


def check_webp(file: BinaryIO, name: str, max_pixels: int) -> None:
    """Refuse a WebP file by the sizes of its header: its decoder takes their memory when it is opened."""
    head = file.read(30)
    file.seek(0)
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return
    if head[12:16] == b"VP8X":  # the canvas: two 24-bit integers, each less 1
        sizes = (int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1)
    elif head[12:16] == b"VP8L":  # 14 bits each, less 1
        bits = int.from_bytes(head[21:25], "little")
        sizes = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    else:  # VP8: 14 bits each, the other two are a scale
        sizes = (
            int.from_bytes(head[26:28], "little") & 0x3FFF,
            int.from_bytes(head[28:30], "little") & 0x3FFF,
        )
    check_size(name, *sizes, max_pixels)


def _decode(pillow: Any, file: BinaryIO, name: str, max_pixels: int) -> Picture:
    with pillow.open(file, formats=FORMATS) as image:
        width, height = image.size
        check_size(name, width, height, max_pixels)
        if _is_beyond_pillow(image):
            return decode_tiff(rewound(file), name, max_pixels)
        _check_strips(image, name)
        _check_length(image, file, name)
        read = reader(image, name)
        colour, alpha = read(pillow, image, file, name)
        # After the pixels, because Pillow itself turns a TIFF upright there and then forgets its tag.
        turn = orientation(image)
        profile = image.info.get("icc_profile") or None
        dots = resolution(image)
        exif = descriptive_exif(pillow, image)
    colour, alpha, profile = to_srgb(name, colour, alpha, profile)
    if turn > 4:  # rows and columns change places, and so do their resolutions
        dots = None if dots is None else (dots[1], dots[0])
    return Picture(
        upright(colour, turn),
        None if alpha is None else upright(alpha, turn),
        profile=profile if isinstance(profile, bytes) else None,
        exif=exif,
        resolution=dots,
        frames=_frames(pillow, file),
    )


def _check_strips(image: Any, name: str) -> None:
    """Refuse a TIFF file whose strips or tiles hold fewer pixels than its sizes promise.

    Pillow would take room for the promised pixels and leave those without a strip black.
    """
    if image.format != "TIFF":
        return
    promised = image.size[0] * image.size[1]
    held = sum((right - left) * (bottom - top) for _, (left, top, right, bottom), *_ in image.tile)
    if held < promised:
        raise FileFormatError(
            f"Image file {name!r} needs strips or tiles for all of its {promised:,} pixels.",
            f"strips or tiles for {held:,}",
        )


def _check_length(image: Any, file: BinaryIO, name: str) -> None:
    """Refuse a PNG file too short for the sizes that it states, before room is made for them."""
    if image.format != "PNG":
        return
    at = file.tell()
    length = file.seek(0, 2)
    file.seek(at)
    # A bit for each pixel is the least that any kind of PNG has.
    if image.size[0] * image.size[1] // 8 > length * _DEFLATE_RATIO:
        raise FileFormatError(
            f"Image file {name!r} needs to be long enough for its {image.size[0] * image.size[1]:,} pixels.",
            f"{length:,} bytes",
        )


def _frames(pillow: Any, file: BinaryIO) -> int:
    """How many frames or pages the file has; those behind a damaged one aren't counted."""
    try:
        with pillow.open(rewound(file), formats=FORMATS) as image:
            return int(getattr(image, "n_frames", 1)) if image.format in _SEVERAL else 1
    except Exception:  # the first frame is whole, and it is the one that was asked for
        return 1


def _tiff_beyond_pillow(file: BinaryIO, name: str, max_pixels: int) -> Picture | None:
    if rewound(file).read(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    return decode_tiff(rewound(file), name, max_pixels)


def _is_beyond_pillow(image: Any) -> bool:
    """Whether this is a TIFF file that Pillow opens, and would read wrongly.

    Of planes kept apart it reads 8-bit colours only; of others it takes the first byte of a value for all of
    it, or leaves alpha empty. Big-endian floats that were compressed come with their bytes the wrong way
    round.
    """
    if image.format != "TIFF":
        return False
    if image.tag_v2.get(_PLANES) == 2 and (image.mode == "LA" or 16 in image.tag_v2.get(_BITS, ())):
        return True
    return bool(image.mode == "F" and image.tag_v2.prefix == b"MM")


@contextlib.contextmanager
def _quiet_pillow(max_pixels: int) -> Iterator[None]:
    """Keep Pillow from warning (of large images, of odd metadata) and from its own limit of pixels.

    Both are settings of the whole process, so the first of several threads sets them and the last sets them
    back. Pillow's limit is moved only for a caller who asked for more.
    """
    from PIL import Image

    global _quiet_users
    with _pillow_lock:
        if _quiet_users == 0:
            _quiet.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _quiet.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
        _quiet_users += 1
        # Pillow refuses what has more than twice its own limit.
        if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        yield
    finally:
        with _pillow_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                _quiet.close()
