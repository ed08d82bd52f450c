"""The one look of every picture: colours, colour maps, lettering, and how a figure becomes a file.

Nothing here touches ``pyplot`` or ``rcParams``: figures are made as objects and rendered by Agg, so pictures
can be drawn from any thread, on a machine without a display, and without changing the settings of the
caller's own plots.
"""

from __future__ import annotations

import io
import os
import secrets
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tilewright.errors import ArgumentError, describe, need_extra
from tilewright.lens.arrays import short, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

# Eight hues that stay apart under the common kinds of colour blindness: Okabe and Ito, "Color Universal
# Design" (2008).
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
PAPER = "#FFFFFF"
INK = "#1F2A37"
MUTED = "#5B6777"
GRID = "#E6EAEF"
FRAME = "#B9C3CE"
# A pixel without a value. It is in none of the maps below, so it can't be taken for a number.
MARKED = "#E6007E"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)

FONT = "DejaVu Sans"  # the sans serif that Matplotlib itself carries: the same letters on every machine
TITLE_SIZE = 13.0
TEXT_SIZE = 9.0
SMALL_SIZE = 7.5
TICK_SIZE = 8.0
TICK_ROOM = 0.42  # inches beside a plot for the labels of its ticks: six figures and a sign
# Pixels per inch: sharp on a high-density screen, and a ten-inch picture stays near 1,400 pixels wide.
DPI = 144

MARKED_NOTE = "magenta: not a finite number"

# Matplotlib's renderer and font caches are shared between threads and are not documented as safe to share.
_rendering = threading.Lock()


def diverging_map() -> LinearSegmentedColormap:
    """Blue below zero, white at zero, orange above.

    Both arms darken at the same pace, so that +1 and -1 look equally strong; blue against orange is the pair
    that people with red-green blindness tell apart best.
    """
    from_matplotlib()
    from matplotlib.colors import LinearSegmentedColormap

    colours = ["#08306B", "#1F6FB4", "#8FC1E3", PAPER, "#F7B27A", "#D9691A", "#7A2B00"]
    return LinearSegmentedColormap.from_list("tilewright_signed", colours, N=511)


def grey_map() -> LinearSegmentedColormap:
    """Black to white, for pictures that were grey to begin with."""
    from_matplotlib()
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("tilewright_grey", ["#000000", "#FFFFFF"])


def heat_map() -> LinearSegmentedColormap:
    """White to deep orange: the upper arm of :func:`diverging_map`, for sizes that are never negative."""
    from_matplotlib()
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("tilewright_heat", [PAPER, "#F7B27A", "#D9691A", "#7A2B00"])


def from_matplotlib() -> None:
    """Check that Matplotlib can be imported.

    Raises:
        MissingExtraError: when it is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise need_extra("matplotlib", "plot", "Drawing a picture") from error


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches with its own Agg canvas, unknown to ``pyplot``."""
    from_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, edgecolor=PAPER)
    figure.set_layout_engine("none")  # every place is given; the caller's settings shall not move it
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, xlabel: str = "", ylabel: str = "") -> None:
    """Give ``axes`` the common look: light grid behind the data, two thin spines, muted ticks."""
    axes.set_facecolor(PAPER)
    axes.set_axisbelow(True)
    axes.grid(True, color=GRID, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FRAME)
        axes.spines[side].set_linewidth(0.8)
    axes.tick_params(
        which="both",
        direction="out",
        color=FRAME,
        labelcolor=MUTED,
        labelsize=TICK_SIZE,
        labelfontfamily=FONT,
        length=3,
    )
    axes.tick_params(which="minor", length=0)
    for axis, label in ((axes.xaxis, xlabel), (axes.yaxis, ylabel)):
        axis.set_label_text(clean(label), color=MUTED, fontsize=TEXT_SIZE, fontfamily=FONT, parse_math=False)


def number_axis(axis: Axis, whole: bool = False) -> None:
    """Label ticks with plain numbers, in as many figures as tell them apart; ``whole``: at integers alone."""
    from matplotlib.ticker import Formatter, MaxNLocator

    class Numbers(Formatter):
        def __call__(self, value: float, pos: int | None = None) -> str:
            return short(value)

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            return tick_labels(values)

    axis.set_major_formatter(Numbers())
    if whole:
        axis.set_major_locator(MaxNLocator(7, integer=True))


def clean(text: str) -> str:
    """``text`` on one line, each character that the lettering lacks replaced by U+FFFD (and no warning)."""
    known = _letters()
    return "".join(char if ord(char) in known else "\ufffd" for char in " ".join(str(text).split()))


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of ``text`` in inches when set at ``size`` points."""
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(text, _font(size, bold), ismath=False)
    return float(width) / 72.0  # 72 points to the inch


def fit(text: str, size: float, width: float, bold: bool = False) -> str:
    """``text`` shortened with an ellipsis until it is at most ``width`` inches wide."""
    text = clean(text)
    if text_width(text, size, bold) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + "…", size, bold) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def wrap(text: str, size: float, width: float, bold: bool = False) -> list[str]:
    """``text`` broken between words into lines of at most ``width`` inches; too long a word is shortened."""
    lines: list[str] = []
    for word in clean(text).split():
        if lines and text_width(f"{lines[-1]} {word}", size, bold) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(fit(word, size, width, bold))
    return lines


def check_path(path: str | os.PathLike[str]) -> Path:
    """``path`` as a :class:`~pathlib.Path`, refused when no PNG file could be put there.

    Raises:
        ArgumentError: when the name does not end in ``.png``, its folder is missing, or it is itself a
            folder.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ArgumentError(
            "A picture is saved as a PNG file.", describe(path=str(target)), "Give a path that ends in .png."
        )
    if not target.parent.is_dir():
        raise ArgumentError(
            "A picture is saved into a folder that exists.",
            describe(path=str(target)),
            f"Make the folder {str(target.parent)!r} first.",
        )
    if target.is_dir():
        raise ArgumentError(
            "A picture is saved to a file.",
            describe(path=str(target)),
            "This path is a folder: name a file in it.",
        )
    return target


def ready(path: str | os.PathLike[str]) -> None:
    """Refuse what would fail after the drawing before it: no Matplotlib, or no place for the picture.

    Raises:
        MissingExtraError: when Matplotlib is not installed.
        ArgumentError: as :func:`check_path`.
    """
    from_matplotlib()
    check_path(path)


def render(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file. They hold no date, so equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with _rendering:
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": "Tilewright"})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write ``figure`` to the PNG file ``path``, whole or not at all, and return the path.

    The picture is written to a temporary file in the same folder, which then takes the name; whoever looks at
    ``path`` meanwhile sees the old picture or the new one. When anything fails, the temporary file is
    removed.

    Raises:
        ArgumentError: when no PNG file can be put at ``path``.
        OSError: when the disk refuses.

    >>> save(new_figure(2, 1), "empty.png")  # doctest: +SKIP
    PosixPath('empty.png')
    """
    target = check_path(path)
    content = render(figure)
    # The random part keeps two processes that draw the same picture out of each other's file.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        # "x" makes the file with the user's usual permissions (a tempfile would be private for ever).
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


@cache
def _letters() -> frozenset[int]:
    """The code points that :data:`FONT` can draw."""
    from_matplotlib()
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(_font(TEXT_SIZE, False))).get_charmap())


def _font(size: float, bold: bool) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
