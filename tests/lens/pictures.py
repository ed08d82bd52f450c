"""A look at the pictures that were made, and at the figures before they became files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

Bytes = npt.NDArray[np.uint8]
MARKED = (0xE6, 0x00, 0x7E)


@dataclass(frozen=True)
class Digits:
    """Real handwritten digits, 8 x 8 with values from 0 to 16."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def read_png(path: Path) -> Bytes:
    """The pixels (height, width, 3) of a file that must be a whole PNG picture of a sensible size."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()
        assert image.text == {"Software": "Tilewright"}  # and no date
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    # 500 pixels is the narrowest page; 8,000 is past any that these tests draw.
    assert 500 <= width <= 8000, width
    assert 200 <= height <= 8000, height
    assert pixels.min() < 0x40 < 0xFF == pixels.max(), "not dark words on a white page"
    return pixels


def count(pixels: Bytes, colour: tuple[int, int, int]) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels == np.array(colour, dtype=np.uint8)).all(axis=-1).sum())


class Seen:
    """The figures that were saved since the test began."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    def words(self) -> list[str]:
        """Every text on the last figure, a line at a time."""
        return [text.get_text() for text in self.figures[-1].findobj(Text) if text.get_text()]

    def all_words(self) -> str:
        return " ".join(self.words())

    def boxes(self) -> list[tuple[str, tuple[float, float, float, float]]]:
        """Every drawn text of the last figure with its left, bottom, right and top in pixels."""
        figure = self.figures[-1]
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        hidden = {label for axis in figure.findobj(Axis) for label in _not_drawn(axis)}
        found = []
        for text in figure.findobj(Text):
            if text.get_text().strip() and text.get_visible() and text not in hidden:
                box = text.get_window_extent(renderer)
                found.append((text.get_text(), (box.x0, box.y0, box.x1, box.y1)))
        return found


def _not_drawn(axis: Axis) -> Iterator[Text]:
    """Tick labels that exist undrawn: beyond the visible range, or of axes that are switched off."""
    if not axis.axes.axison:
        yield from axis.findobj(Text)
        return
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    for minor in (False, True):
        places = axis.get_ticklocs(minor=minor)
        labels = axis.get_ticklabels(minor=minor)
        for place, label in zip(places, labels, strict=False):
            if not low - slack <= place <= high + slack:
                yield label
        yield from labels[len(places) :]


def assert_legible(seen: Seen) -> None:
    """No text is cut by the edge of the page, and no two texts lie on each other."""
    figure = seen.figures[-1]
    width, height = (float(side) for side in figure.get_size_inches() * figure.dpi)
    boxes = seen.boxes()
    assert boxes
    for text, (left, bottom, right, top) in boxes:
        assert left >= 0 and bottom >= 0 and right <= width and top <= height, f"{text!r} is cut"
    # A box holds the tallest and deepest letters there are; two pixels of that air may overlap.
    slack = 2.0
    for (one, a), (other, b) in combinations(boxes, 2):
        across = min(a[2], b[2]) - max(a[0], b[0])
        down = min(a[3], b[3]) - max(a[1], b[1])
        assert across <= slack or down <= slack, f"{one!r} and {other!r} lie on each other"
