"""The wrong answers a network was surest of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, Integers, class_names, has_marked, labels, numbers
from tilewright.lens.page import MARGIN, Page, natural_picture

MOST_MISTAKES = 36  # four rows of nine: a page that is taken in at a glance
_ACROSS = 9

_IMAGES = {4: "(samples, channels, height, width)", 3: "(samples, height, width)"}


def draw_mistakes(
    images: npt.ArrayLike,
    truth: npt.ArrayLike,
    predicted: npt.ArrayLike,
    confidence: npt.ArrayLike,
    classes: Sequence[str],
    path: str | os.PathLike[str],
) -> Path:
    """Draw the wrong answers, the most confident first, up to 36 of them.

    Args:
        images: (samples, channels, height, width) or (samples, height, width), all samples that were judged,
            the rightly answered ones too.
        truth: (samples,) integers, the class each sample is.
        predicted: (samples,) integers, the class each was taken for.
        confidence: (samples,) the probability given to that answer, between 0 and 1.
        classes: the classes' names.
        path: the PNG file to write.

    Returns:
        The path of the picture. Where nothing is wrong, the picture says so.

    Raises:
        ShapeError: when the images have the wrong rank or the lengths differ.
        DtypeError: when an array is of the wrong type.
        ArgumentError: when a class number names no class, a confidence is no probability, or no picture can
            be saved at ``path``.

    >>> import numpy as np
    >>> images = np.zeros((2, 1, 8, 8))
    >>> draw_mistakes(images, [0, 1], [0, 0], [0.9, 0.8], ["cat", "dog"], "mistakes.png")  # doctest: +SKIP
    PosixPath('mistakes.png')
    """
    style.ready(path)
    names = class_names("draw_mistakes", classes)
    pictures = numbers("draw_mistakes", "images", images, _IMAGES)
    if pictures.ndim == 3:
        pictures = pictures[:, None]
    count = len(pictures)
    true = labels("draw_mistakes", "truth", truth, count, len(names))
    answers = labels("draw_mistakes", "predicted", predicted, count, len(names))
    sure = _probabilities(confidence, count)
    wrong = np.flatnonzero(true != answers)
    # Equal confidences keep the order of the samples, so that equal data give an equal picture.
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    if wrong.size == 0:
        return _no_mistakes(count).save(path)
    return _grid(pictures, true, answers, sure, names, wrong).save(path)


def _probabilities(confidence: npt.ArrayLike, count: int) -> Floats:
    sure = numbers("draw_mistakes", "confidence", confidence, {1: "(samples,)"})
    if len(sure) != count:
        raise ShapeError(
            f"draw_mistakes needs confidence of shape ({count},), one per sample.", describe(confidence=sure)
        )
    # A float32 softmax may end a rounding above one: 1e-5 is a hundred roundings, and no per cent.
    outside = ~((sure >= 0.0) & (sure <= 1.0 + 1e-5))
    if outside.any():
        first = int(np.argmax(outside))
        raise ArgumentError(
            "draw_mistakes needs confidence between 0 and 1.", f"confidence[{first}]={float(sure[first])!r}"
        )
    return sure


def _no_mistakes(count: int) -> Page:
    page = Page(6.0, 1.6, "No mistakes")
    page.box(MARGIN, 0.1, 6.0 - 2 * MARGIN, 1.2, edge=style.GRID, fill="#F4F9F7")
    words = (
        "The one sample was answered correctly."
        if count == 1
        else f"All {count:,} samples were answered correctly."
    )
    page.write(3.0, 0.72, words, size=11, colour="#00684C", across="center")
    return page


def _grid(
    pictures: Floats, true: Integers, answers: Integers, sure: Floats, names: list[str], wrong: Integers
) -> Page:
    shown = wrong[:MOST_MISTAKES]
    tile, gap, words = 1.05, 0.16, 0.48
    across = min(len(shown), _ACROSS)
    rows = -(-len(shown) // across)
    width = max(2 * MARGIN + across * (tile + gap) - gap, 5.2)
    total, samples = len(wrong), len(pictures)
    title = "1 mistake" if total == 1 else f"{total:,} mistakes"
    if len(shown) < total:
        title = f"The {len(shown)} most confident of {title}"
    share = f"in {samples:,} samples ({100 * total / samples:.2f} %)"
    subtitle = f"{share}; the answer and its probability, and the truth"
    if has_marked(pictures[shown]):
        subtitle += f"; {style.MARKED_NOTE}"
    page = Page(width, 0.05 + rows * (tile + words) + 0.2, title, subtitle)
    for place, sample in enumerate(shown):
        left = MARGIN + (place % across) * (tile + gap)
        top = 0.05 + (place // across) * (tile + words)
        page.picture(natural_picture(pictures[sample]), left, top, tile)
        percent = f" {100 * min(1.0, sure[sample]):.0f} %"
        room = tile + gap - 0.04
        answer = style.fit(names[answers[sample]], 8, room - style.text_width(percent, 8), bold=True)
        page.write(left, top + tile + 0.15, answer, size=8, colour=style.VERMILION, bold=True)
        after = left + style.text_width(answer, 8, bold=True) + 0.04
        page.write(after, top + tile + 0.15, percent.strip(), size=8, colour=style.MUTED)
        truth = style.fit(f"is {names[true[sample]]}", 8, room)
        page.write(left, top + tile + 0.3, truth, size=8, colour=style.BLUE)
    return page
