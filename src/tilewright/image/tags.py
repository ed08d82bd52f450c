"""What an image file says beside its pixels: which way up, how many dots to the inch, who made it."""

from __future__ import annotations

from typing import Any

from tilewright.image.picture import MOST_DOTS

ORIENTATION = 0x0112
_EXIF_BLOCK, _GPS_BLOCK = 0x8769, 0x8825
# Title, maker, model, software, date, artist, copyright: what stays true of a filtered picture. Left out are
# tags that describe how this file lays out its pixels, and the small preview, which would show the picture
# unfiltered.
_KEPT = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
# In the block of the camera: its pixel sizes, which the picture may not have for long, and a pointer to a
# block that isn't copied.
_DROPPED = (0xA002, 0xA003, 0xA005)


def orientation(image: Any) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where the file says nothing or nonsense."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # errors of as many kinds as the decoders'; damaged metadata leaves good pixels good
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def descriptive_exif(pillow: Any, image: Any) -> bytes | None:
    """An EXIF block of what stays true when the pixels change, its orientation upright; or None."""
    try:
        found = image.getexif()
        kept = pillow.Exif()
        for tag in _KEPT:
            if tag in found:
                kept[tag] = found[tag]
        for tag in (_EXIF_BLOCK, _GPS_BLOCK):
            block = {key: value for key, value in found.get_ifd(tag).items() if key not in _DROPPED}
            if block:
                kept[tag] = block
        if not len(kept):
            return None
        kept[ORIENTATION] = 1
        content = kept.tobytes()
    except Exception:  # as above: a block that can't be understood isn't passed on
        return None
    # A JPEG file holds it in one segment of at most 65,533 bytes.
    return content if isinstance(content, bytes) and len(content) <= 65_533 else None


def resolution(image: Any) -> tuple[float, float] | None:
    """Pixels per inch (across, down), where the file states sensible ones."""
    found = image.info.get("dpi")
    try:
        across, down = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(0 < value < MOST_DOTS for value in (across, down)) else None


def texts(exif: bytes | None) -> dict[int, str]:
    """The texts of an EXIF block's first part (title, maker, date, …), by tags that are TIFF's own."""
    if exif is None:
        return {}
    from PIL import Image

    found = Image.Exif()
    try:
        found.load(exif)
    except Exception:  # as above
        return {}
    return {tag: value for tag in _KEPT if isinstance(value := found.get(tag), str)}
