"""Tables of comma-separated values as data sets: some columns are the features, one is the label."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from tilewright.data.arrays import ArrayDataset
from tilewright.data.checks import as_name, as_path, is_one_of
from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.files import open_regular

Array = np.ndarray[Any, Any]

# Rows turned into an array at a time: as text they take some ten times the memory that they will have.
_ROWS = 1024
# A cell as a message shows it.
_SHOWN = 40


class CsvDataset(ArrayDataset):
    r"""Rows of a CSV file: the columns of features as float32, the label's column as a class or a number.

    The file is UTF-8 text, with or without a byte order mark, whose first line names the columns; cells may
    be quoted. It is read once, whole. Every feature must be a finite number; an empty cell is none.

    Args:
        path: the file.
        label: the name of the label's column.
        features: the names of the features' columns, in the order wanted; None: all columns but the label's,
            as they lie.
        target: "class": labels are int64 numbers of classes, which are the different texts of the column, in
            order (as numbers, if all of them are whole numbers); "number": labels are float32.
        classes: the classes in the order of their numbers, for a file that must agree with another one; None:
            those that the column has.
        shape: what a row of features becomes, such as (1, 28, 28); None: (features,).
        columns: the names of all columns, for a file whose first line is data already.
        delimiter: what stands between cells.
        transform: as in :class:`ArrayDataset`.

    Attributes:
        features: the names of the features' columns.
        label: the name of the label's column.
        classes: what each class number means; empty for numbers.
        images, labels: the arrays, as in :class:`ArrayDataset`.

    Raises:
        ArgumentError: there is no such file, or an argument outside its rule; a name that the file hasn't.
        FileFormatError: the file isn't such a table; the message names the file, the row (counted from 1,
            below the names) and the column.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "iris.csv")
    >>> _ = path.write_text("length,width,kind\n5.1,3.5,setosa\n6.2,2.9,virginica\n")
    >>> flowers = CsvDataset(path, label="kind")
    >>> flowers.features, flowers.classes, flowers[1]
    (('length', 'width'), ('setosa', 'virginica'), (array([6.2, 2.9], dtype=float32), np.int64(1)))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        label: str,
        features: Sequence[str] | None = None,
        *,
        target: str = "class",
        classes: Sequence[str] | None = None,
        shape: tuple[int, ...] | None = None,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        transform: Callable[[Array], Array] | None = None,
    ) -> None:
        if not is_one_of(target, ("class", "number")):
            raise ArgumentError("CsvDataset needs target to be 'class' or 'number'.", describe(target=target))
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
            raise ArgumentError(
                "CsvDataset needs delimiter to be one character, no quote and no line's end.",
                describe(delimiter=delimiter),
            )
        given = [
            _names(names, name)
            for names, name in ((features, "features"), (columns, "columns"), (classes, "classes"))
        ]
        name = as_path(path, "path", "CsvDataset")
        with open_regular(name, "CsvDataset") as file:
            table = _Table(file, name, delimiter, given[1])
            self.label = as_name(label, "label", "CsvDataset")
            self.features = tuple(table.columns if given[0] is None else given[0])
            if given[0] is None:
                self.features = tuple(column for column in table.columns if column != self.label)
            if not self.features or self.label in self.features:
                raise ArgumentError(
                    "CsvDataset needs at least one column of features, and the label's beside them.",
                    f"features={list(self.features)}, label={self.label!r}",
                )
            places = [table.place_of(column) for column in self.features]
            rows, texts = table.read(places, table.place_of(self.label))
        if target == "number":
            self.classes: tuple[str, ...] = ()
            labels = np.array(
                [table.number(text, row, self.label) for row, text in enumerate(texts, 1)], np.float32
            )
        else:
            self.classes, labels = _classes(texts, given[2], name, self.label)
        super().__init__(_shaped(rows, shape), labels, transform)

    def __repr__(self) -> str:
        return f"CsvDataset(features={len(self.features)}, label={self.label!r}, samples={len(self)})"


def read_columns(path: str | os.PathLike[str], names: Sequence[str] | None = None) -> Array:
    r"""Columns of numbers of a CSV file, such as a :class:`CsvDataset` has, of which no other is looked at.

    Args:
        path: the file.
        names: of the columns, in the order wanted; None: all of them.

    Returns:
        float32 (rows, columns).

    Raises:
        ArgumentError, FileFormatError: as :class:`CsvDataset`.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "iris.csv")
    >>> _ = path.write_text("length,width,kind\n5.1,3.5,setosa\n")
    >>> read_columns(path, ["width", "length"])
    array([[3.5, 5.1]], dtype=float32)
    """
    name = as_path(path, "path", "read_columns")
    if names is not None and (isinstance(names, str) or not names):
        raise ArgumentError("read_columns needs a list of at least one name.", describe(names=names))
    with open_regular(name, "read_columns") as file:
        table = _Table(file, name, ",", None)
        places = [table.place_of(column) for column in (table.columns if names is None else names)]
        # What stands in place of a label isn't looked at: the cells of a feature are never empty.
        return table.read(places, places[0])[0]


class _Table:
    """A file of rows, and what is wrong with it in its own terms."""

    def __init__(self, file: BinaryIO, name: str, delimiter: str, columns: list[str] | None) -> None:
        self.name = name
        self._rows = self._checked(csv.reader(_lines(file), delimiter=delimiter, strict=True))
        if columns is None:
            columns = next(self._rows, None)
            if columns is None:
                raise FileFormatError(
                    f"Table {name!r} needs a first line that names the columns.", "an empty file"
                )
            columns = [column.strip() for column in columns]
        self.columns = columns

    def place_of(self, column: str) -> int:
        """Where a column stands, counted from 0."""
        found = self.columns.count(column)
        if found == 0:
            shown = ", ".join(self.columns[:20]) + (", …" if len(self.columns) > 20 else "")
            raise ArgumentError(f"Table {self.name!r} needs a column named {column!r}.", f"columns {shown}")
        if found > 1:
            raise FileFormatError(
                f"Table {self.name!r} needs names of its columns that differ.",
                f"{found} columns named {column!r}",
            )
        return self.columns.index(column)

    def read(self, places: list[int], label_place: int) -> tuple[Array, list[str]]:
        """The features (rows, features) in float32, and the label's texts."""
        blocks: list[Array] = []
        texts: list[str] = []
        while block := [row for _, row in zip(range(_ROWS), self._rows, strict=False)]:
            values = np.empty((len(block), len(places)), np.float64)
            for line, row in enumerate(block):
                number = len(texts) + 1
                if len(row) != len(self.columns):
                    raise FileFormatError(
                        f"Table {self.name!r} needs {len(self.columns)} cells in every row.",
                        f"{len(row)} cells in row {number}",
                    )
                for place, column in enumerate(places):
                    values[line, place] = self.number(row[column], number, self.columns[column])
                texts.append(row[label_place].strip())
                if not texts[-1]:
                    raise FileFormatError(
                        f"Table {self.name!r} needs a label in every row.",
                        f"an empty cell in row {number}, column {self.columns[label_place]!r}",
                    )
            blocks.append(values.astype(np.float32))
        if not blocks:
            raise FileFormatError(f"Table {self.name!r} needs at least one row of data.", "none")
        return np.concatenate(blocks), texts

    def number(self, cell: str, row: int, column: str) -> float:
        """The number in a cell: finite, also as float32."""
        try:
            # Python's own numbers may hold underscores.
            value = math.nan if "_" in cell else float(cell)
        except ValueError:
            value = math.nan
        if not abs(value) <= _LARGEST:
            shown = (
                "an empty cell"
                if not cell.strip()
                else repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…")
            )
            raise FileFormatError(
                f"Table {self.name!r} needs a finite number in every cell of its features, "
                "and of a label that is a number.",
                f"{shown} in row {row}, column {column!r}",
            )
        return value

    def _checked(self, reader: Any) -> Iterator[list[str]]:
        """The rows that aren't blank; whatever goes wrong names the file and the line."""
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise FileFormatError(
                    f"Table {self.name!r} needs to be comma-separated text.",
                    f"{error}, in line {reader.line_num}",
                ) from error
            except UnicodeDecodeError as error:
                raise FileFormatError(
                    f"Table {self.name!r} needs to be text in UTF-8.",
                    f"other bytes after line {reader.line_num}",
                ) from error
            except OSError as error:
                raise FileFormatError(f"Table {self.name!r} can't be read.", str(error)) from error
            if row is None:
                return
            if row:
                yield row


def _lines(file: BinaryIO) -> Iterator[str]:
    """The lines as text, one by one, so that it can be said where the encoding is wrong."""
    for number, line in enumerate(file):
        yield line.decode("utf-8" if number else "utf-8-sig")


# A larger number would be infinite as float32.
_LARGEST = float(np.finfo(np.float32).max)


def _names(given: Any, name: str) -> list[str] | None:
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ArgumentError(f"CsvDataset needs {name} to be a list of names.", describe(**{name: given}))
    names = [str(one) for one in given]
    if not names or len(set(names)) != len(names):
        raise ArgumentError(f"CsvDataset needs {name} to be names that differ.", describe(**{name: given}))
    return names


def _classes(
    texts: list[str], wanted: list[str] | None, name: str, column: str
) -> tuple[tuple[str, ...], Array]:
    """The classes, and each row's class number."""
    found = sorted(set(texts))
    if wanted is None:
        wanted = sorted(found, key=int) if all(map(_is_whole, found)) else found
    numbers = {text: number for number, text in enumerate(wanted)}
    strange = next((row for row, text in enumerate(texts, 1) if text not in numbers), None)
    if strange is not None:
        raise FileFormatError(
            f"Table {name!r} needs labels that are among the {len(wanted)} classes.",
            f"{texts[strange - 1][:_SHOWN]!r} in row {strange}, column {column!r}",
        )
    return tuple(wanted), np.array([numbers[text] for text in texts], dtype=np.int64)


def _is_whole(text: str) -> bool:
    digits = text[1:] if text[:1] in "+-" else text
    # At most 18 digits, so that no text makes int() slow.
    return digits.isascii() and digits.isdigit() and len(digits) <= 18


def _shaped(rows: Array, shape: Any) -> Array:
    if shape is None:
        return rows
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    whole = all(
        isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in sizes
    )
    if not whole or math.prod(map(int, sizes)) != rows.shape[1]:
        raise ArgumentError(
            f"CsvDataset needs a shape of as many numbers as there are features, {rows.shape[1]}.",
            describe(shape=shape),
        )
    return rows.reshape(len(rows), *sizes)
