"""What is measured on the way: sums over batches, and the rows of ``metrics.csv``."""

from __future__ import annotations

import csv
import errno
import io
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tilewright.data.files import open_regular
from tilewright.errors import FileFormatError
from tilewright.train.checkpoint import write_whole

# A row of a year's training of a network with a hundred metrics is far shorter; a file without line ends
# would otherwise be read as one row of any length.
_MAX_BYTES = 2**28


@dataclass
class RunningSums:
    """Loss and right answers summed over images, so that their means weigh every image alike.

    Attributes:
        loss: sum over images of the loss.
        correct: images answered rightly.
        images: how many images.
    """

    loss: float = 0.0
    correct: int = 0
    images: int = 0

    def add(self, mean_loss: float, correct: int, images: int) -> None:
        """Take in a batch whose loss is a mean over its images."""
        self.loss += mean_loss * images
        self.correct += correct
        self.images += images

    @property
    def mean_loss(self) -> float:
        """The loss per image; NaN before the first."""
        return self.loss / self.images if self.images else math.nan

    @property
    def accuracy(self) -> float:
        """The share of images answered rightly; NaN before the first."""
        return self.correct / self.images if self.images else math.nan


@dataclass(frozen=True)
class Row:
    """One row of ``metrics.csv``; None stands for what was not measured, and is left empty there.

    Attributes:
        step: batches learnt from so far.
        epoch: the epoch, counted from 1.
        train_loss: mean loss of the images since the row before.
        train_accuracy: share of them answered rightly while learning.
        val_loss: mean loss over the held-out images.
        val_accuracy: share of them answered rightly.
        images_per_second: training speed since the row before, validation not counted.
        seconds: training time so far, without breaks between sessions.
    """

    step: int
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    images_per_second: float | None = None
    seconds: float | None = None


COLUMNS = tuple(field.name for field in fields(Row))


class MetricsFile:
    """The rows of a run, one line each, on the disk as soon as they are measured.

    Args:
        path: the CSV file.

    >>> MetricsFile("runs/demo/metrics.csv").append(Row(100, 1, train_loss=0.5))  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def start(self) -> None:
        """Write the file anew, with its header and no rows."""
        write_whole(self.path, _line(COLUMNS))

    def append(self, row: Row) -> None:
        """Add a row in one write, so that a killed run leaves whole lines (but for a cut by the disk)."""
        values = asdict(row)
        content = _line([_text(values[name]) for name in COLUMNS])
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                written = os.write(descriptor, content)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error
        if written < len(content):
            raise OSError(errno.ENOSPC, "No room for a whole row", str(self.path))

    def rows(self) -> list[Row]:
        """Every whole row.

        A last line without its end is what a killed run leaves, and isn't counted.

        Raises:
            ArgumentError: there is no such file.
            FileFormatError: it isn't a table of these columns; the message names the line and column.
        """
        with open_regular(self.path, "MetricsFile") as file:
            content = file.read(_MAX_BYTES + 1)
        name = repr(str(self.path))
        if len(content) > _MAX_BYTES:
            raise FileFormatError(f"Metrics file {name} needs to be at most {_MAX_BYTES} bytes long.")
        whole = content[: content.rfind(b"\n") + 1]
        try:
            lines = list(csv.reader(io.StringIO(whole.decode("utf-8"), newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise FileFormatError(f"Metrics file {name} isn't a CSV file in UTF-8.", str(error)) from error
        if not lines or tuple(lines[0]) != COLUMNS:
            raise FileFormatError(
                f"Metrics file {name} needs these columns: {', '.join(COLUMNS)}.",
                ", ".join(lines[0])[:200] if lines else "an empty file",
            )
        return [_row(values, number, name) for number, values in enumerate(lines[1:], start=2)]

    def keep_until(self, step: int) -> list[Row]:
        """Drop the rows after ``step`` (and a cut last line), and return those that stay."""
        rows = [row for row in self.rows() if row.step <= step]
        lines = [_line(COLUMNS)]
        lines += [_line([_text(value) for value in asdict(row).values()]) for row in rows]
        write_whole(self.path, b"".join(lines))
        return rows


def _line(values: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8")


def _text(value: float | int | None) -> str:
    if value is None:
        return ""
    # Six figures are more than the noise of any measurement here, and keep the lines readable.
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _row(values: list[str], number: int, name: str) -> Row:
    if len(values) != len(COLUMNS):
        raise FileFormatError(
            f"Metrics file {name} needs {len(COLUMNS)} values in every line.",
            f"{len(values)} in line {number}",
        )
    found: dict[str, Any] = {}
    for column, text in zip(COLUMNS, values, strict=True):
        try:
            if column in ("step", "epoch"):
                found[column] = int(text)
            else:
                found[column] = float(text) if text else None
        except ValueError as error:
            raise FileFormatError(
                f"Metrics file {name} needs a number as {column} in line {number}.", repr(text[:80])
            ) from error
    return Row(**found)
