"""What each layer of a network makes of one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, has_marked, numbers, reach, short
from tilewright.lens.page import MARGIN, Page, natural_picture, signed_picture

# Sixteen maps fill a row of a wide page and still show a 28 x 28 map pixel by pixel.
MOST_MAPS = 16
# A page of about 55 inches; longer ones can't be taken in, and the renderer's limit is near 450.
MOST_LAYERS = 64

_CHW = {3: "(channels, height, width)"}


def draw_features(
    image: npt.ArrayLike,
    maps: Sequence[tuple[str, npt.ArrayLike]],
    path: str | os.PathLike[str],
    title: str = "Feature maps",
) -> Path:
    """Draw a picture at the left and, for each of up to 64 layers, a row of up to 16 of its maps.

    Every row has a scale of its own, taken from the maps shown and written beside it: white is zero, orange
    above, blue below.

    Args:
        image: (channels, height, width), any real dtype. One channel is drawn grey, three as colours, any
            other number as their mean.
        maps: (layer name, array of shape (channels, height, width)), first layer first.
        path: the PNG file to write.
        title: the headline.

    Returns:
        The path of the picture.

    Raises:
        ShapeError: when an array is empty or not of rank 3.
        DtypeError: when an array is not made of real numbers.
        ArgumentError: when there are no maps, or no picture can be saved at ``path``.

    >>> import numpy as np
    >>> image = np.eye(8)[None]
    >>> draw_features(image, [("conv1", np.stack([image[0], -image[0]]))], "features.png")  # doctest: +SKIP
    PosixPath('features.png')
    """
    style.ready(path)
    picture = numbers("draw_features", "image", image, _CHW)
    layers = _layers(maps)
    rows = layers[:MOST_LAYERS]
    tile, gap, side, label = 0.72, 0.05, 1.9, 1.55
    most = max(min(len(layer), MOST_MAPS) for _, layer in rows)
    left = MARGIN + side + 0.35
    width = max(left + label + most * (tile + gap) + MARGIN, 6.0)
    step = tile + 0.16
    height = max(len(rows) * step + 0.3, side + 0.55)
    subtitle = "each layer on its own scale: white is zero, orange above, blue below"
    if len(rows) < len(layers):
        subtitle += f"; the first {len(rows)} of {len(layers)} layers"
    if has_marked(picture, *(layer for _, layer in rows)):
        subtitle += f"; {style.MARKED_NOTE}"
    page = Page(width, height, title, subtitle)
    page.picture(natural_picture(picture), MARGIN, 0.1, side)
    page.write(MARGIN, side + 0.28, f"input  {_shape(picture)}", size=style.SMALL_SIZE, colour=style.MUTED)
    for place, (name, layer) in enumerate(rows):
        top = 0.1 + place * step
        shown = min(len(layer), MOST_MAPS)
        page.write(left, top + 0.18, style.fit(name, style.TEXT_SIZE, label - 0.1, bold=True), bold=True)
        count = f"{shown} of {len(layer):,} shown" if shown < len(layer) else _shown_all(shown)
        for line, words in enumerate((_shape(layer), f"{count}, {_range(layer[:shown])}")):
            page.write(left, top + 0.36 + 0.16 * line, words, size=style.SMALL_SIZE, colour=style.MUTED)
        # A strong map that isn't shown would leave those that are nearly white.
        limit = reach(layer[:shown])
        for channel in range(shown):
            page.picture(
                signed_picture(layer[channel], limit), left + label + channel * (tile + gap), top, tile
            )
    return page.save(path)


def _shown_all(count: int) -> str:
    return "1 map" if count == 1 else f"{count} maps"


def _range(layer: Floats) -> str:
    """The values of full colour: from zero where none is below it."""
    limit = short(reach(layer))
    below = bool((layer[np.isfinite(layer)] < 0).any())
    return f"±{limit}" if below else f"0 to {limit}"


def _layers(maps: Sequence[tuple[str, npt.ArrayLike]]) -> list[tuple[str, Floats]]:
    if len(maps) == 0:
        raise ArgumentError("draw_features needs the maps of at least one layer.", describe(maps=maps))
    rows = []
    for place, entry in enumerate(maps):
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            raise ShapeError(
                "draw_features needs maps as pairs of a layer's name and its array.",
                describe(**{f"maps[{place}]": entry}),
            )
        name, layer = entry
        rows.append((str(name), numbers("draw_features", f"maps of {str(name)!r}", layer, _CHW)))
    return rows


def _shape(array: Floats) -> str:
    return " × ".join(str(length) for length in array.shape)
