"""What is measured while a network learns: sums over batches, and the rows of ``metrics.csv``."""

from __future__ import annotations

import csv
import errno
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tilewright.errors import FileFormatError
from tilewright.files import open_regular
from tilewright.train.checkpoint import write_whole

# A row of a year's training of a network with a hundred metrics is far shorter; a file without line ends
# would otherwise be read as one row of any length.
_MAX_BYTES = 2**28


@dataclass
class RunningSums:
    """Loss and right answers summed over batches, so that their means weigh every answer alike.

    Attributes:
        loss: sum of the loss over everything that has a share in it.
        weight: what the sum is divided by: images, labelled pixels, or the weights of their classes.
        correct: how many answers were right.
        judged: how many answers were right or wrong: images, or labelled pixels.
        images: how many images.
    """

    loss: float = 0.0
    weight: float = 0.0
    correct: int = 0
    judged: int = 0
    images: int = 0

    def add(
        self, mean_loss: float, correct: int, images: int, *, weight: float | None = None, judged: int = -1
    ) -> None:
        """Take in a batch whose loss is a mean over ``weight`` (by default, over its images)."""
        share = float(images) if weight is None else weight
        # A batch without any labelled pixel has no mean, and no share.
        self.loss += mean_loss * share if share else 0.0
        self.weight += share
        self.correct += correct
        self.judged += images if judged < 0 else judged
        self.images += images

    @property
    def mean_loss(self) -> float:
        """The mean loss; NaN before the first batch."""
        return self.loss / self.weight if self.weight else math.nan

    @property
    def accuracy(self) -> float:
        """The share of right answers; NaN before the first."""
        return self.correct / self.judged if self.judged else math.nan


@dataclass(frozen=True)
class Row:
    """One row of ``metrics.csv``; None stands for what was not measured, and is left empty there.

    Attributes:
        step: updates of the weights so far.
        epoch: the epoch, counted from 1.
        train_loss: mean loss of the images since the row before.
        train_accuracy: share of the answers that were right while learning.
        val_loss: mean loss over the held-out images.
        val_accuracy: share of right answers to them.
        images_per_second: training speed since the row before, validation not counted.
        seconds: training time so far, without breaks between sessions.
        more: what else was measured, by the names of its columns: the learning rate, and the validation's
            other figures (``val_balanced_accuracy``, ``val_mean_iou``, …).
    """

    step: int
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    images_per_second: float | None = None
    seconds: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """What was measured by column."""
        return {**{name: getattr(self, name) for name in COLUMNS}, **self.more}


#: The columns that every run has; those of ``more`` follow them.
COLUMNS = tuple(field.name for field in fields(Row) if field.name != "more")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class MetricsFile:
    """The rows of a run, one line each, on the disk as soon as they are measured.

    Args:
        path: the CSV file.

    >>> MetricsFile("runs/demo/metrics.csv").append(Row(100, 1, train_loss=0.5))  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._columns: tuple[str, ...] | None = None

    def start(self, more: Sequence[str] = ()) -> None:
        """Write the file anew, with its header and no rows.

        Args:
            more: names of columns beside those that every run has.
        """
        self._columns = (*COLUMNS, *more)
        write_whole(self.path, _line(self._columns))

    def append(self, row: Row) -> None:
        """Add a row in one write, so that a killed run leaves whole lines (but for a cut by the disk)."""
        columns = self._columns or COLUMNS
        values = row.values()
        content = _line([_text(values.get(name)) for name in columns])
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
        return self._read()[1]

    def keep_until(self, step: int) -> list[Row]:
        """Drop the rows after ``step`` (and a cut last line), and return those that stay."""
        columns, rows = self._read()
        rows = [row for row in rows if row.step <= step]
        lines = [_line(columns)]
        lines += [_line([_text(row.values().get(name)) for name in columns]) for row in rows]
        write_whole(self.path, b"".join(lines))
        self._columns = columns
        return rows

    def _read(self) -> tuple[tuple[str, ...], list[Row]]:
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
        columns = tuple(lines[0]) if lines else ()
        more = columns[len(COLUMNS) :]
        if columns[: len(COLUMNS)] != COLUMNS or not all(_NAME.fullmatch(column) for column in more):
            raise FileFormatError(
                f"Metrics file {name} needs these columns: {', '.join(COLUMNS)}.",
                ", ".join(columns)[:200] if lines else "an empty file",
            )
        if len(set(columns)) != len(columns):
            raise FileFormatError(f"Metrics file {name} needs each column once.", ", ".join(columns)[:200])
        found = [_row(columns, values, number, name) for number, values in enumerate(lines[1:], start=2)]
        return columns, found


def _line(values: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8")


def _text(value: float | int | None) -> str:
    if value is None:
        return ""
    # Six figures are more than the noise of any measurement here, and keep the lines readable.
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _row(columns: tuple[str, ...], values: list[str], number: int, name: str) -> Row:
    if len(values) != len(columns):
        raise FileFormatError(
            f"Metrics file {name} needs {len(columns)} values in every line.",
            f"{len(values)} in line {number}",
        )
    found: dict[str, Any] = {}
    more: dict[str, float] = {}
    for column, text in zip(columns, values, strict=True):
        try:
            if column in ("step", "epoch"):
                found[column] = int(text)
            elif column in COLUMNS:
                found[column] = float(text) if text else None
            elif text:
                more[column] = float(text)
        except ValueError as error:
            raise FileFormatError(
                f"Metrics file {name} needs a number as {column} in line {number}.", repr(text[:80])
            ) from error
    return Row(**found, more=more)
