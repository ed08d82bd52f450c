"""Which classes are taken for which: the confusion matrix as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.lens import style
from tilewright.lens.arrays import Floats, Integers, class_names, numbers
from tilewright.lens.page import MARGIN, Page, signed_picture

# Up to this many classes a cell is wide enough for its count; beyond it only the shade is drawn.
MOST_COUNTED = 30
# Up to this many classes the percentage fits under the count.
MOST_WITH_PERCENT = 12
# The strongest shade is this share of the colour map: its last quarter is too dark to read a number on.
_DEEPEST = 0.72


def draw_confusion(matrix: npt.ArrayLike, classes: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draw a confusion matrix: a row for each true class, a column for each answer.

    The number in a cell counts samples; the shade is its share of the row, blue where the answer is right and
    orange where it is wrong. Totals and the share that is right stand at the ends of the rows and columns.

    Args:
        matrix: (classes, classes) counts; ``matrix[t, p]`` samples of class ``t`` were answered ``p``. Whole
            numbers, not negative, not all zero.
        classes: the classes' names, in the order of the axes.
        path: the PNG file to write.

    Returns:
        The path of the picture. Legible counts for up to 30 classes; with more, the shades alone.

    Raises:
        ShapeError: when the matrix is not square or its size is not the number of names.
        DtypeError: when the matrix is not made of real numbers.
        ArgumentError: when an entry is no count, when all are zero, or no picture can be saved at ``path``.

    >>> draw_confusion([[9, 1], [0, 10]], ["cat", "dog"], "confusion.png")  # doctest: +SKIP
    PosixPath('confusion.png')
    """
    style.ready(path)
    names = class_names("draw_confusion", classes)
    counts = _counts(matrix, len(names))
    total, right = int(counts.sum()), int(np.trace(counts))
    table = _Table(counts, names)
    subtitle = f"{right:,} of {total:,} right; a cell's shade is its share of the row"
    page = Page(table.width, table.height, f"Accuracy {_accuracy(right, total)}", subtitle)
    table.draw(page)
    return page.save(path)


def _counts(matrix: npt.ArrayLike, classes: int) -> Integers:
    array = numbers("draw_confusion", "matrix", matrix, {2: "(truth, answer)"})
    if array.shape != (classes, classes):
        raise ShapeError(
            f"draw_confusion needs matrix of shape ({classes}, {classes}), one row and column per class.",
            describe(matrix=array, classes=classes),
        )
    # 2**53 is the largest count up to which float64 holds every integer.
    whole = np.isfinite(array) & (array >= 0) & (array <= 2.0**53)
    whole &= np.floor(np.where(whole, array, 0.0)) == np.where(whole, array, -1.0)
    if not whole.all():
        truth, answer = (int(place) for place in np.argwhere(~whole)[0])
        raise ArgumentError(
            "draw_confusion needs counts: whole numbers that are not negative.",
            f"matrix[{truth}, {answer}]={float(array[truth, answer])!r}",
        )
    if not array.any():
        raise ArgumentError("draw_confusion needs at least one sample.", "a matrix of zeros")
    return array.astype(np.int64)


class _Table:
    """The sizes of the table, in inches, and its parts."""

    def __init__(self, counts: Integers, names: list[str]) -> None:
        self.counts = counts
        self.n = n = len(names)
        # Few classes get roomy cells, many get cells that just hold three digits, more get 9 inches in all.
        self.cell = float(np.clip(6.5 / n, 0.36, 0.95)) if n <= MOST_COUNTED else 9.0 / n
        self.size = float(np.clip(self.cell * 72 * 0.24, 6.0, 10.0))
        # Thinned where there are too many names to write, so that neighbours stay a line's height apart.
        self.every = max(1, int(np.ceil(self.size * 1.2 / 72 / self.cell)))
        self.names = [style.fit(name, self.size, 1.5) for name in names]
        longest = max(style.text_width(name, self.size) for name in self.names)
        self.turned = longest > self.cell * self.every - 0.06
        self.left = MARGIN + 0.3 + longest + 0.1
        self.top = 0.3 + (longest + 0.1 if self.turned else 0.24)
        self.foot = self.top + n * self.cell
        self.end = self.left + n * self.cell
        # The totals of rows stand right-aligned in a column, wide enough for the largest and for its heading.
        totals = [f"{total:,}" for total in counts.sum(axis=1)]
        widest = max(style.text_width(total, self.size) for total in [max(totals, key=len), "100 %"])
        self.first = self.end + 0.15 + max(widest, 0.35)
        self.second = self.first + 0.6
        self.width = max(self.second + 0.1 + MARGIN, 4.8)
        self.height = self.foot + 1.35

    def draw(self, page: Page) -> None:
        self._cells(page)
        self._names(page)
        self._totals(page)
        shades = _shades(np.linspace(-1.0, 1.0, 255)[None, :])
        words = ("100 %", "right", "0", "wrong", "100 %")
        page.colour_bar(
            self.left + 0.1, self.foot + 0.75, max(2.0, min(3.0, self.n * self.cell - 0.2)), shades, words
        )

    def _cells(self, page: Page) -> None:
        rows = self.counts.sum(axis=1, keepdims=True)
        share = self.counts / np.maximum(rows, 1)
        signed = np.where(np.eye(self.n, dtype=bool), -share, share)
        page.sheet.imshow(
            _shades(signed),
            extent=(self.left, self.end, self.foot, self.top),
            aspect="auto",
            interpolation="nearest",
        )
        page.box(self.left, self.top, self.n * self.cell, self.n * self.cell)
        if self.n > MOST_COUNTED:
            return
        for place in range(1, self.n):
            offset = place * self.cell
            for line in (
                [(self.left + offset, self.top), (self.left + offset, self.foot)],
                [(self.left, self.top + offset), (self.end, self.top + offset)],
            ):
                page.line(line, colour=style.GRID, thick=0.6)
        for truth, answer in np.argwhere(self.counts):
            self._cell(page, int(truth), int(answer), float(share[truth, answer]))

    def _cell(self, page: Page, truth: int, answer: int, share: float) -> None:
        across = self.left + (answer + 0.5) * self.cell
        down = self.top + (truth + 0.5) * self.cell
        colour = style.PAPER if share > 0.3 else style.INK  # from 30 % on, the shade is darker than mid-grey
        bold = truth == answer
        count = f"{self.counts[truth, answer]:,}"
        # A count that is too wide for its cell is set smaller rather than cut: a cut number is a wrong one.
        size = min(self.size, self.size * (self.cell - 0.04) / style.text_width(count, self.size, bold))
        percent = self.n <= MOST_WITH_PERCENT
        shift = 0.11 * self.cell if percent else 0.0
        page.write(
            across, down - shift, count, size=size, colour=colour, bold=bold, across="center", down="center"
        )
        if percent:
            words = _percent(share)
            page.write(
                across,
                down + 0.2 * self.cell,
                words,
                size=0.72 * self.size,
                colour=colour,
                across="center",
                down="center",
            )

    def _names(self, page: Page) -> None:
        for place, name in enumerate(self.names):
            if place % self.every:
                continue
            middle = (place + 0.5) * self.cell
            page.write(self.left - 0.08, self.top + middle, name, size=self.size, across="right")
            if self.turned:
                page.write(self.left + middle, self.top - 0.08, name, size=self.size, turn=90)
            else:
                page.write(
                    self.left + middle, self.top - 0.1, name, size=self.size, across="center", down="baseline"
                )
        page.write((self.left + self.end) / 2, 0.1, "answer", colour=style.MUTED, across="center")
        page.write(
            MARGIN + 0.1, (self.top + self.foot) / 2, "truth", colour=style.MUTED, across="center", turn=90
        )

    def _totals(self, page: Page) -> None:
        """How many there are of each class and of each answer, and the share of them that is right."""
        right = np.diag(self.counts)
        for at, word in ((self.first, "total"), (self.second, "right")):
            page.write(at, self.top - 0.1, word, size=8, colour=style.MUTED, across="right", down="baseline")
        for place, total in enumerate(self.counts.sum(axis=1)):
            if place % self.every:
                continue
            down = self.top + (place + 0.5) * self.cell
            page.write(self.first, down, f"{total:,}", size=self.size, across="right")
            words = _percent(right[place] / total) if total else "–"
            page.write(self.second, down, words, size=self.size, across="right")
        # Where a number is wider than its cell, only every second or third is written.
        answers = [f"{total:,}" for total in self.counts.sum(axis=0)]
        widest = max(style.text_width(words, self.size) for words in [max(answers, key=len), "100 %"])
        every = max(self.every, int(np.ceil((widest + 0.06) / self.cell)))
        edge = self.left - 0.08 - max(0.0, (widest - self.cell) / 2)
        for down, word in ((self.foot + 0.2, "total"), (self.foot + 0.42, "right")):
            page.write(edge, down, word, size=8, colour=style.MUTED, across="right")
        for place, total in enumerate(self.counts.sum(axis=0)):
            if place % every:
                continue
            across = self.left + (place + 0.5) * self.cell
            page.write(across, self.foot + 0.2, f"{total:,}", size=self.size, across="center")
            words = _percent(right[place] / total) if total else "–"
            page.write(across, self.foot + 0.42, words, size=self.size, across="center")


def _shades(signed: Floats) -> Floats:
    """Shares from -1 (all right) to 1 (all wrong) as colours; the root keeps a few per cent visible."""
    return signed_picture(np.sign(signed) * np.sqrt(np.abs(signed)) * _DEEPEST, 1.0)


def _accuracy(right: int, total: int) -> str:
    """Per cent with two decimals, but never 100 where there is a mistake."""
    words = f"{100 * right / total:.2f} %"
    return "over 99.99 %" if right < total and words == "100.00 %" else words


def _percent(share: float) -> str:
    """A share in whole per cent, but never 100 or 0 for what is only close to it."""
    if 0.0 < share < 0.01:
        return "< 1 %"
    if 0.99 < share < 1.0:
        return "> 99 %"
    return f"{100 * share:.0f} %"
