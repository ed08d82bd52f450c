"""An autoencoder's reconstructions beside what simpler methods give."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, has_marked, numbers, short, span
from tilewright.lens.page import MARGIN, Page, heat_picture, natural_picture

MOST_SAMPLES = 10

_IMAGES = {4: "(samples, channels, height, width)", 3: "(samples, height, width)"}


def draw_reconstruction(
    inputs: npt.ArrayLike,
    outputs: npt.ArrayLike,
    path: str | os.PathLike[str],
    *,
    ratio: float,
    baselines: Mapping[str, npt.ArrayLike] | None = None,
) -> Path:
    """Draw up to ten samples, each above its reconstruction, its baselines and the reconstruction's error.

    All pictures share the inputs' scale from black to white. The mean squared error beside a row is over
    every sample given, shown or not.

    Args:
        inputs: (samples, channels, height, width) or (samples, height, width).
        outputs: the reconstructions, of the same shape.
        path: the PNG file to write.
        ratio: how many numbers of the input one number of the embedding stands for.
        baselines: other reconstructions by name, each of the same shape, or of the shape of one sample when
            it is the same for all (a mean image).

    Returns:
        The path of the picture.

    Raises:
        ShapeError: when the shapes differ or the rank is wrong.
        DtypeError: when an array is not made of real numbers.
        ArgumentError: when the ratio is not above zero, or no picture can be saved at ``path``.

    >>> import numpy as np
    >>> digits = np.random.default_rng(0).random((10, 1, 8, 8))
    >>> mean = digits.mean(axis=0)
    >>> path = "reconstruction.png"
    >>> draw_reconstruction(digits, 0.9 * digits, path, ratio=8, baselines={"mean": mean})  # doctest: +SKIP
    PosixPath('reconstruction.png')
    """
    style.ready(path)
    if not (isinstance(ratio, (int, float, np.number)) and math.isfinite(ratio) and ratio > 0):
        raise ArgumentError("draw_reconstruction needs a compression ratio above 0.", describe(ratio=ratio))
    given = numbers("draw_reconstruction", "inputs", inputs, _IMAGES)
    rebuilt = _like(given, "outputs", outputs, one_for_all=False)
    rows = [("input", given), ("reconstruction", rebuilt)]
    for name, values in (baselines or {}).items():
        rows.append((str(name), _like(given, f"baseline {str(name)!r}", values, one_for_all=True)))
    return _page(rows, float(ratio)).save(path)


def _like(given: Floats, name: str, values: npt.ArrayLike, *, one_for_all: bool) -> Floats:
    array = np.asarray(values)
    if one_for_all and array.shape == given.shape[1:]:
        array = np.broadcast_to(array, given.shape)
    if array.shape != given.shape:
        raise ShapeError(
            f"draw_reconstruction needs {name} of the shape of inputs, {given.shape}.",
            describe(**{name: array}),
        )
    return numbers("draw_reconstruction", name, array, _IMAGES)


def _page(rows: list[tuple[str, Floats]], ratio: float) -> Page:
    given, rebuilt = rows[0][1], rows[1][1]
    shown = min(len(given), MOST_SAMPLES)
    with np.errstate(all="ignore"):  # infinities give NaN, which is drawn in the marked colour
        error = np.abs(rebuilt - given)
        losses = [short(float(np.mean((array - given) ** 2))) for _, array in rows]
    tile, gap, label = 0.9, 0.08, 1.75
    samples = "1 sample" if len(given) == 1 else f"{len(given):,} samples"
    subtitle = f"MSE: mean squared error over {samples}"
    if shown < len(given):
        subtitle += f", {shown} of them shown"
    if has_marked(*(array[:shown] for _, array in rows)):
        subtitle += f"; {style.MARKED_NOTE}"
    width = max(2 * MARGIN + label + shown * (tile + gap) - gap, 6.0)
    height = 0.05 + (len(rows) + 1) * (tile + gap) + 0.25
    page = Page(width, height, f"Reconstruction at a compression of {short(ratio, 4)} to 1", subtitle)
    limits = span(given)
    top = 0.05
    for place, (name, array) in enumerate(rows):
        words = f"MSE {losses[place]}" if place else ""
        _label(page, top, tile, label, name, words)
        for sample in range(shown):
            picture = natural_picture(_planes(array[sample]), limits)
            page.picture(picture, MARGIN + label + sample * (tile + gap), top, tile)
        top += tile + gap
    # The largest error of the pictures shown gets the deepest colour; a perfect reconstruction stays white.
    visible = error[:shown][np.isfinite(error[:shown])]
    limit = float(visible.max(initial=0.0))
    _label(page, top, tile, label, "absolute error", f"largest {short(limit)}")
    for sample in range(shown):
        plane = _planes(error[sample]).mean(axis=0)
        page.picture(heat_picture(plane, limit or 1.0), MARGIN + label + sample * (tile + gap), top, tile)
    return page


def _planes(sample: Floats) -> Floats:
    """One sample as (channels, height, width)."""
    return sample if sample.ndim == 3 else sample[None]


def _label(page: Page, top: float, tile: float, room: float, name: str, words: str) -> None:
    name = style.fit(name, style.TEXT_SIZE, room - 0.12, bold=True)
    page.write(MARGIN, top + tile / 2 - (0.08 if words else 0.0), name, bold=True)
    if words:
        page.write(MARGIN, top + tile / 2 + 0.12, words, size=8, colour=style.MUTED)
