"""Masks as PNG files: numbers of classes for programs, in colours for people."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, need_extra
from tilewright.lens.style import SERIES
from tilewright.train.checkpoint import write_whole

Array = np.ndarray[Any, Any]

# What a pixel of a palette can name.
_MOST = 256


def write_mask(path: str | os.PathLike[str], mask: Array, classes: int, *, overwrite: bool = False) -> Path:
    """Write a mask as a PNG file whose pixels are the numbers of the classes.

    The file carries a palette, so that it can be looked at: class 0 is black; of two classes the other is
    white, of more each has a colour, which return after the seventh. Reading it back as numbers:
    ``np.asarray(PIL.Image.open(path))``.

    Args:
        path: the file.
        mask: (height, width) integers from 0 to ``classes`` - 1.
        classes: how many there are, at most 256.
        overwrite: whether a file that is there may be replaced.

    Raises:
        ArgumentError: there are more classes, or there is such a file.
        MissingExtraError: Pillow isn't installed.
        OSError: the disk refuses.

    >>> write_mask("mask.png", np.eye(8, dtype=int), classes=2)  # doctest: +SKIP
    PosixPath('mask.png')
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise need_extra("pillow", "plot", "Writing masks") from error
    target = Path(path)
    if classes > _MOST:
        raise ArgumentError(f"A mask file has room for {_MOST} classes.", f"{classes} classes")
    if target.exists() and not overwrite:
        raise ArgumentError(
            "A mask needs a file of its own.",
            f"{str(target)!r}, which is there already",
            "Replace it (overwrite), or choose another folder.",
        )
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    image.putpalette(_palette(classes))
    content = io.BytesIO()
    image.save(content, format="PNG")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content.getvalue())
    return target


def _palette(classes: int) -> bytes:
    """Red, green and blue of each class."""
    if classes <= 2:
        return bytes((0, 0, 0, 255, 255, 255))
    colours = (SERIES[place % len(SERIES)] for place in range(classes - 1))
    return bytes(3) + b"".join(bytes.fromhex(colour.removeprefix("#")) for colour in colours)
