"""Sizes that a file states, judged before anything is allocated; and pictures turned upright."""

from __future__ import annotations

import numpy as np

from tilewright.errors import FileFormatError
from tilewright.image.picture import Array

# How a stored picture lies, by EXIF tag 0x0112 (the standard's values 2 to 8; 1 is upright): whether to
# exchange rows and columns, and then which axes of (rows, columns) to reverse.
_TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}


def too_large(name: str, max_pixels: int, received: str) -> FileFormatError:
    """The refusal of a picture whose header promises too many pixels."""
    return FileFormatError(
        f"Image file {name!r} needs to have at most {max_pixels:,} pixels.",
        received,
        "If it is what it should be, allow more: max_pixels= of read_image, --max-pixels of the command.",
    )


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse sizes that are zero or beyond the limit, before anything is allocated for them."""
    if width < 1 or height < 1:
        raise FileFormatError(f"Image file {name!r} needs to have pixels.", f"{width} × {height} pixels")
    if width * height > max_pixels:
        raise too_large(name, max_pixels, f"{width:,} × {height:,} = {width * height:,} pixels")


def upright(plane: Array, orientation: int) -> Array:
    """A plane (height, width, …) as it is to be seen, given how it is stored by EXIF's numbers 1 to 8."""
    exchange, reverse = _TURNS.get(orientation, (False, ()))
    return np.ascontiguousarray(np.flip(plane.swapaxes(0, 1) if exchange else plane, reverse))
