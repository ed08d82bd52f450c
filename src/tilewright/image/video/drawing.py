"""Boxes and maps drawn on frames, with NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.geometry.axes import as_integer
from tilewright.image.video.boxes import Box
from tilewright.image.video.numbers import as_number
from tilewright.image.video.picture import luminance

Array = npt.NDArray[np.uint8]

# Colours that stay apart for eyes that tell red from green badly (Okabe and Ito, "Color Universal Design",
# 2008).
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121,
    167),
)  # fmt: skip
_LIGHTER = np.array((255, 140, 0), np.float32)
_DARKER = np.array((0, 110, 255), np.float32)
# Lines of one 200th of the frame's height can be seen when the clip is shown small.
_HEIGHT_OF_A_LINE = 200
# Digits of 3 × 5 pixels, a row for each three bits.
_DIGITS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717")


def draw_boxes(pixels: Any, boxes: Sequence[Box], *, thickness: int | None = None) -> Array:
    """The frame with a frame around each box, and the number of its track above it.

    Args:
        pixels: (height, width, 3) or (height, width) of uint8; not changed.
        boxes: what :attr:`MotionFrame.boxes` holds. The colour goes by the track.
        thickness: pixels of a line; None: by the frame's height.

    Returns:
        A new array (height, width, 3) of uint8.

    Raises:
        ShapeError, DtypeError: ``pixels`` isn't a frame.
        ArgumentError: a thickness under 1.

    >>> draw_boxes(np.zeros((40, 40), np.uint8), [Box(0, 0.0, 1, 10, 20, 16, 8, 99)])[27, 15].tolist()
    [230, 159, 0]
    """
    found = _coloured(pixels, "draw_boxes").copy()
    height, width = found.shape[:2]
    line = max(1, round(height / _HEIGHT_OF_A_LINE)) if thickness is None else thickness
    line = as_integer(line, "thickness", "draw_boxes", least=1)
    for box in boxes:
        if not isinstance(box, Box):
            raise DtypeError("draw_boxes needs boxes to be of the class Box.", describe(box=box))
        colour = np.array(COLOURS[(box.track - 1) % len(COLOURS)], np.uint8)
        top, left = max(0, box.y), max(0, box.x)
        bottom, right = min(height, box.y + box.height), min(width, box.x + box.width)
        if top >= bottom or left >= right:
            continue
        inside = found[top:bottom, left:right]
        for side in (inside[:line], inside[-line:], inside[:, :line], inside[:, -line:]):
            side[...] = colour
        _number(found, box.track, top, left, line, colour)
    return found


def draw_map(pixels: Any, signed: Any, *, full: float = 60.0) -> Array:
    """The frame in grey, with what is lighter than the still scene in orange and what is darker in blue.

    Args:
        pixels: (height, width, 3) or (height, width) of uint8.
        signed: (height, width) of grey levels, such as :attr:`MotionFrame.map`.
        full: the grey levels from which on a colour is at its strongest.

    Returns:
        A new array (height, width, 3) of uint8.

    Raises:
        ShapeError, DtypeError: ``pixels`` isn't a frame, or the map isn't of its size.
        ArgumentError: ``full`` isn't above 0.

    >>> draw_map(np.full((1, 2), 90, np.uint8), np.array([[0.0, 99.0]])).tolist()
    [[[90, 90, 90], [255, 140, 0]]]
    """
    frame = _coloured(pixels, "draw_map")
    most = np.float32(as_number(full, "full", "draw_map", above=0.0))
    if (
        not isinstance(signed, np.ndarray)
        or signed.shape != frame.shape[:2]
        or signed.dtype.kind not in "biuf"
    ):
        raise ShapeError(
            f"draw_map needs a map of real numbers of the frame's size {frame.shape[:2]}.",
            describe(map=signed),
        )
    mixed = np.repeat(luminance(frame)[..., None], 3, axis=2)
    moves = signed != 0
    levels = np.nan_to_num(signed[moves].astype(np.float32))
    strength = (np.abs(levels) / most).clip(0, 1)[:, None]
    grey = mixed[moves].astype(np.float32)
    mixed[moves] = np.rint(grey + strength * (np.where(levels[:, None] > 0, _LIGHTER, _DARKER) - grey))
    return mixed


def _coloured(pixels: Any, owner: str) -> Array:
    if not isinstance(pixels, np.ndarray) or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    ):
        raise ShapeError(
            f"{owner} needs a frame that is an array (height, width, 3) or (height, width).",
            describe(frame=pixels),
        )
    if pixels.dtype != np.uint8:
        raise DtypeError(f"{owner} needs a frame of uint8, 0 to 255.", describe(frame=pixels))
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _number(frame: Array, number: int, top: int, left: int, scale: int, colour: Array) -> None:
    """The track's number on a dark plate, above the box where there is room and else within it."""
    digits = [[int(row) for row in _DIGITS[int(digit)]] for digit in str(max(0, number))]
    plate = np.zeros((7, 4 * len(digits) + 1), np.bool_)
    for at, rows in enumerate(digits):
        for down, bits in enumerate(rows):
            plate[1 + down, 1 + 4 * at : 4 + 4 * at] = [bits & 4, bits & 2, bits & 1]
    plate = np.repeat(np.repeat(plate, scale + 1, axis=0), scale + 1, axis=1)
    start = top - len(plate) if top >= len(plate) else top
    room = frame[start : start + len(plate), left : left + plate.shape[1]]
    shown = plate[: room.shape[0], : room.shape[1], None]
    room[...] = np.where(shown, colour, room // 4)
