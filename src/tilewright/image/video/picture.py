"""From libav's frames to arrays that stand upright."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]

_WHITE = 255


def from_libav(frame: Any, reformatter: Any, grey: bool) -> Array:
    """The pixels of a frame: (height, width, 3) of uint8, or (height, width) of grey.

    Transparent pixels show white, as they do in a picture on a page.

    Args:
        frame: PyAV's.
        reformatter: PyAV's; kept from frame to frame, as it remembers how to convert.
        grey: luminance rather than colours.
    """
    if any(part.is_alpha for part in frame.format.components):
        rgba = reformatter.reformat(frame, format="rgba").to_ndarray()
        alpha = rgba[..., 3]
        colours = rgba[..., :3]
        if (alpha == _WHITE).all():
            pixels: Array = np.ascontiguousarray(colours)
        else:
            weight = alpha[..., None].astype(np.uint16)
            mixed = colours * weight + _WHITE * (_WHITE - weight) + _WHITE // 2
            pixels = (mixed // _WHITE).astype(np.uint8)
        return luminance(pixels) if grey else pixels
    found: Array = reformatter.reformat(frame, format="gray" if grey else "rgb24").to_ndarray()
    return found


def luminance(pixels: Array) -> Array:
    """(height, width, 3) of uint8 as grey, by the weights of ITU-R BT.601: 0.299, 0.587, 0.114.

    >>> luminance(np.array([[[255, 0, 0], [255, 255, 255]]], np.uint8))
    array([[ 76, 255]], dtype=uint8)
    """
    # In 65,536ths that add up to one: exact, and half the time of floating point.
    weighed = pixels @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighed + 32768) >> 16).astype(np.uint8)


def upright(pixels: Array, rotation: int) -> Array:
    """The pixels turned clockwise by 0, 90, 180 or 270 degrees, in C order.

    >>> upright(np.array([[1, 2], [3, 4]], np.uint8), 90)
    array([[3, 1],
           [4, 2]], dtype=uint8)
    """
    if rotation == 0:
        return pixels
    return np.ascontiguousarray(np.rot90(pixels, -(rotation // 90)))
