"""Boxes around what moves, and the tables that they are written to."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.files import as_path, write_atomically


@dataclass(frozen=True)
class Box:
    """A rectangle around something that moves in one frame of a clip.

    Attributes:
        frame: the frame's number, from 0.
        time: seconds from the clip's beginning.
        track: which moving thing it is: the same number in all frames in which it was followed, from 1.
        x, y: the left column and the top row, in pixels from 0.
        width, height: in pixels.
        area: pixels in it that differ from the still background.
    """

    frame: int
    time: float
    track: int
    x: int
    y: int
    width: int
    height: int
    area: int

    def overlap(self, other: Box) -> float:
        """The area that both rectangles cover, over the area that either does (intersection over union).

        >>> Box(0, 0.0, 1, 0, 0, 4, 2, 8).overlap(Box(1, 0.1, 1, 2, 0, 4, 2, 8))
        0.3333333333333333
        """
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        both = max(0, across) * max(0, down)
        either = self.width * self.height + other.width * other.height - both
        return both / either if either else 0.0


COLUMNS = tuple(field.name for field in fields(Box))


def write_boxes(path: str | os.PathLike[str], boxes: Iterable[Box], **about: Any) -> None:
    """Write boxes to a table, whole or not at all: CSV or JSON, by the end of the name.

    Args:
        path: .csv: a line for each box, under one with the names of the attributes. .json: an object with
            ``boxes``, a list of objects.
        boxes: in the order in which they are to stand.
        about: further entries of the JSON object, such as ``fps=25``.

    Raises:
        ArgumentError: a name with another end.
        DtypeError: ``path`` isn't one, or a box isn't.
        OSError: the system doesn't let it be written.

    >>> write_boxes("boxes.csv", [Box(0, 0.0, 1, 10, 20, 40, 30, 800)])          # doctest: +SKIP
    """
    target = as_path(path, "write_boxes")
    check_table(target, "write_boxes")
    listed = list(boxes)
    for box in listed:
        if not isinstance(box, Box):
            raise DtypeError("write_boxes needs boxes to be of the class Box.", describe(box=box))
    rows = [as_row(box) for box in listed]
    if target.suffix.lower() == ".json":
        text = json.dumps({**about, "boxes": rows}, indent=1, allow_nan=False) + "\n"
    else:
        page = io.StringIO()
        table = csv.DictWriter(page, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        text = page.getvalue()
    write_atomically(target, text.encode("utf-8"))


def as_row(box: Box) -> dict[str, Any]:
    """The attributes by name; the time to a microsecond, as no clip counts finer."""
    return {**asdict(box), "time": round(box.time, 6)}


def check_table(path: Any, owner: str) -> None:
    """Refuse a name that doesn't say which table it is.

    Raises:
        ArgumentError: it ends in neither .csv nor .json.
    """
    if os.path.splitext(os.fspath(path))[1].lower() not in (".csv", ".json"):
        raise ArgumentError(f"{owner} needs a path that ends in .csv or .json.", describe(path=str(path)))
