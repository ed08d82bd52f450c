"""A segmentation beside what it should be: the class of every pixel as a colour over the picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, Integers, class_names, numbers
from tilewright.lens.page import MARGIN, Page, legend_rows, natural_picture

MOST_SAMPLES = 8
# How much of a labelled pixel's colour is its class's: enough to tell, little enough to see through.
_STRENGTH = 0.65


def draw_masks(
    images: npt.ArrayLike,
    truth: npt.ArrayLike,
    answers: npt.ArrayLike,
    classes: Sequence[str],
    path: str | os.PathLike[str],
    *,
    ignore_index: int = -100,
) -> Path:
    """Draw up to eight pictures, each above its true mask, the answered one, and the pixels that differ.

    Class 0 is taken for the background and left as the picture is; the others have a colour each.

    Args:
        images: (samples, channels, height, width) or (samples, height, width).
        truth: (samples, height, width) integers, the class of each pixel.
        answers: (samples, height, width) integers, the class that each was taken for.
        classes: the classes' names.
        path: the PNG file to write.
        ignore_index: pixels whose truth is this number are not labelled, and are drawn hatched in grey.

    Returns:
        The path of the picture.

    Raises:
        ShapeError: when the images have the wrong rank, or the masks aren't of the images' sizes.
        DtypeError: when an array is of the wrong type.
        ArgumentError: when a number names no class, or no picture can be saved at ``path``.

    >>> import numpy as np
    >>> mask = np.eye(8, dtype=int)[None]
    >>> draw_masks(np.zeros((1, 8, 8)), mask, mask, ["paper", "line"], "masks.png")  # doctest: +SKIP
    PosixPath('masks.png')
    """
    style.ready(path)
    names = class_names("draw_masks", classes)
    pictures = numbers(
        "draw_masks",
        "images",
        images,
        {4: "(samples, channels, height, width)", 3: "(samples, height, width)"},
    )
    pictures = pictures if pictures.ndim == 4 else pictures[:, None]
    shape = (len(pictures), *pictures.shape[2:])
    true = _mask("truth", truth, shape, len(names), ignore_index)
    said = _mask("answers", answers, shape, len(names), ignore_index)
    return _page(pictures, true, said, names, ignore_index).save(path)


def _mask(name: str, given: npt.ArrayLike, shape: tuple[int, ...], classes: int, ignored: int) -> Integers:
    array = np.asarray(given)
    if array.dtype.kind not in "iu":
        raise DtypeError(f"draw_masks needs {name} as integers.", describe(**{name: array}))
    if array.shape != shape:
        raise ShapeError(
            f"draw_masks needs {name} of shape {shape}, as the images.", describe(**{name: array})
        )
    known = array[array != ignored]
    if known.size and not (known.min() >= 0 and known.max() < classes):
        raise ArgumentError(
            f"draw_masks needs {name} from 0 to {classes - 1}, as there are {classes} classes.",
            f"{name} from {known.min()} to {known.max()}",
        )
    return array.astype(np.int64)


def _page(pictures: Floats, true: Integers, said: Integers, names: list[str], ignored: int) -> Page:
    shown = min(len(pictures), MOST_SAMPLES)
    tile, gap, label = 1.15, 0.08, 0.95
    width = max(2 * MARGIN + label + shown * (tile + gap) - gap, 6.0)
    colours = [_colour(place) for place in range(max(0, len(names) - 1))]
    entries: list[tuple[str, dict[str, Any]]] = [
        (name, {"color": colour, "linewidth": 6.0}) for name, colour in zip(names[1:], colours, strict=True)
    ]
    rows = legend_rows([name for name, _ in entries], width - 2 * MARGIN - label)
    head = 0.2 * rows + 0.1
    labelled = true != ignored
    right = int(np.count_nonzero((true == said) & labelled))
    total = int(np.count_nonzero(labelled))
    share = f"{100 * right / total:.2f} % of the labelled pixels right" if total else "no pixel is labelled"
    count = "1 picture" if len(pictures) == 1 else f"{len(pictures):,} pictures"
    part = f", {shown} of them shown" if shown < len(pictures) else ""
    page = Page(width, head + 4 * (tile + gap) + 0.25, "Masks", f"{share}, in {count}{part}")
    if entries:
        page.legend(MARGIN + label, 0.08, width - MARGIN, entries)
    palette = _palette(colours)
    for row, name in enumerate(("picture", "truth", "answer", "differences")):
        top = head + row * (tile + gap)
        page.write(MARGIN, top + tile / 2, name, bold=True)
        for sample in range(shown):
            seen = natural_picture(pictures[sample])
            if name == "truth":
                seen = _over(seen, true[sample], palette, ignored)
            elif name == "answer":
                seen = _over(seen, said[sample], palette, ignored)
            elif name == "differences":
                differ = (true[sample] != said[sample]) & labelled[sample]
                seen = _paint(0.25 * seen + 0.75, differ, np.array(_rgb(style.VERMILION)), 1.0)
            page.picture(seen, MARGIN + label + sample * (tile + gap), top, tile)
    return page


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _colour(place: int) -> tuple[float, float, float]:
    """The colour of a class; each time they are used up, they come again in a lighter shade."""
    red, green, blue = _rgb(style.SERIES[place % len(style.SERIES)])
    light = 1 - 0.6 ** (place // len(style.SERIES))
    return red + light * (1 - red), green + light * (1 - green), blue + light * (1 - blue)


def _palette(colours: list[tuple[float, float, float]]) -> Floats:
    """A row of red, green and blue for each class; the background's is never used."""
    return np.array([(0.0, 0.0, 0.0), *colours])


def _over(picture: Floats, mask: Integers, palette: Floats, ignored: int) -> Floats:
    painted = _paint(
        picture, (mask > 0) & (mask != ignored), palette[np.clip(mask, 0, len(palette) - 1)], _STRENGTH
    )
    rows, columns = np.indices(mask.shape)
    # Every other diagonal, so that it can't be taken for a class.
    return _paint(painted, (mask == ignored) & ((rows + columns) % 2 == 0), np.array(_rgb(style.MUTED)), 1.0)


def _paint(picture: Floats, where: npt.NDArray[np.bool_], colour: Floats, strength: float) -> Floats:
    found: Floats = np.where(where[..., None], (1 - strength) * picture + strength * colour, picture)
    return found
