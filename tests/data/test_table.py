"""Tables of comma-separated values: what they give, and refusals that name file, row and column."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilewright.data import CsvDataset, DataLoader, stratified_split
from tilewright.data.table import read_columns
from tilewright.errors import ArgumentError, FileFormatError, TilewrightError

FLOWERS = "length,width,kind\n5.1,3.5,setosa\n6.2,2.9,virginica\n4.9,3.0,setosa\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestReading:
    def test_features_and_classes(self, tmp_path: Path) -> None:
        data = CsvDataset(written(tmp_path, FLOWERS), label="kind")
        assert data.features == ("length", "width") and data.label == "kind"
        assert data.classes == ("setosa", "virginica")
        assert data.images.dtype == np.float32 and data.labels.dtype == np.int64
        assert data.images.tolist() == np.float32([[5.1, 3.5], [6.2, 2.9], [4.9, 3.0]]).tolist()
        assert data.labels.tolist() == [0, 1, 0]
        assert repr(data) == "CsvDataset(features=2, label='kind', samples=3)"
        (rows, labels), *_ = DataLoader(data, 3)
        assert rows.shape == (3, 2) and labels.tolist() == [0, 1, 0]
        assert [len(part) for part in stratified_split(data, [2, 1], 0)] == [2, 1]

    def test_columns_by_name_in_the_order_asked_for(self, tmp_path: Path) -> None:
        path = written(tmp_path, FLOWERS)
        data = CsvDataset(path, "kind", ["width", "length"])
        assert data.images[0].tolist() == np.float32([3.5, 5.1]).tolist()
        only = CsvDataset(path, "length", ["width"], target="number")
        assert only.labels.dtype == np.float32 and only.classes == ()
        assert only.labels.tolist() == np.float32([5.1, 6.2, 4.9]).tolist()

    def test_whole_numbers_as_classes_in_their_order(self, tmp_path: Path) -> None:
        data = CsvDataset(written(tmp_path, "x,y\n0,10\n1,9\n2,-1\n3,10\n"), "y")
        assert data.classes == ("-1", "9", "10") and data.labels.tolist() == [2, 1, 0, 2]

    def test_classes_of_another_file(self, tmp_path: Path) -> None:
        path = written(tmp_path, "x,y\n1,dog\n")
        assert CsvDataset(path, "y", classes=["cat", "dog"]).labels.tolist() == [1]
        with pytest.raises(FileFormatError) as error:
            CsvDataset(path, "y", classes=["cat", "cow"])
        assert str(error.value) == (
            f"Table {str(path)!r} needs labels that are among the 2 classes. Received: 'dog' in row "
            "1, column 'y'."
        )

    def test_shapes_and_transforms(self, tmp_path: Path) -> None:
        text = "label," + ",".join(f"pixel{n}" for n in range(6)) + "\n7,0,1,2,3,4,5\n"
        data = CsvDataset(written(tmp_path, text), "label", shape=(1, 2, 3), transform=lambda x: x * 2)
        image, label = data[0]
        assert image.tolist() == [[[0, 2, 4], [6, 8, 10]]] and label == 0 and data.classes == ("7",)

    def test_a_file_without_names(self, tmp_path: Path) -> None:
        data = CsvDataset(written(tmp_path, "1;2\n3;4\n"), "b", columns=["a", "b"], delimiter=";")
        assert data.images.tolist() == [[1], [3]] and data.classes == ("2", "4")

    @pytest.mark.parametrize(
        "text",
        [
            "\ufeffa,b\n1,2\n3,4\n",
            "a,b\r\n1,2\r\n3,4\r\n",
            '"a","b"\n"1","2"\n3,4',
            "a,b\n\n1,2\n\n3,4\n\n",
            " a , b \n 1 , 2 \n+3.0,4\n",
            "a,b\n1e0,2\n30e-1,4\n",
        ],
    )
    def test_ways_of_writing_the_same(self, tmp_path: Path, text: str) -> None:
        data = CsvDataset(written(tmp_path, text), "b")
        assert data.images.tolist() == [[1], [3]] and data.classes == ("2", "4")

    def test_cells_that_hold_commas_and_lines(self, tmp_path: Path) -> None:
        data = CsvDataset(written(tmp_path, 'x,y\n1,"a, b"\n2,"c\nd"\n'), "y")
        assert data.classes == ("a, b", "c\nd")

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        rows=st.lists(
            st.tuples(
                st.floats(allow_nan=False, allow_infinity=False, width=32),
                st.integers(-(2**31), 2**31),
                st.text(
                    st.characters(exclude_categories=["C"], exclude_characters="\r\n"), min_size=1, max_size=5
                ),
            ),
            min_size=1,
            max_size=20,
        )
    )
    def test_what_pythons_writer_wrote(self, tmp_path: Path, rows: list[Any]) -> None:
        rows = [(x, n, text.strip() or "-") for x, n, text in rows]
        path = tmp_path / "table.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["x", "n", "text"])
            writer.writerows(rows)
        data = CsvDataset(path, "text")
        assert np.array_equal(data.images[:, 0], np.float32([x for x, _, _ in rows]))
        assert np.array_equal(data.images[:, 1], np.float32([n for _, n, _ in rows]))
        assert [data.classes[label] for label in data.labels] == [text for _, _, text in rows]

    def test_more_rows_than_a_block(self, tmp_path: Path) -> None:
        lines = "\n".join(f"{n},{n % 7}" for n in range(3000))
        data = CsvDataset(written(tmp_path, f"x,y\n{lines}\n"), "y")
        assert len(data) == 3000 and data.images[:, 0].tolist() == list(range(3000))
        broken = written(tmp_path, f"x,y\n{lines}\nz,1\n")
        with pytest.raises(FileFormatError, match=r"'z' in row 3001, column 'x'"):
            CsvDataset(broken, "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,2\nx,4\n",
            "needs a finite number in every cell of its features, and of a label that is a number. "
            "Received: 'x' in row 2, column 'a'.",
        ),
        ("a,b\n1,2\n,4\n", "Received: an empty cell in row 2, column 'a'."),
        ("a,b\nnan,2\n", "Received: 'nan' in row 1, column 'a'."),
        ("a,b\n-inf,2\n", "Received: '-inf' in row 1, column 'a'."),
        ("a,b\n1e39,2\n", "Received: '1e39' in row 1, column 'a'."),
        ("a,b\n1_0,2\n", "Received: '1_0' in row 1, column 'a'."),
        (f"a,b\n{'9' * 100}x,2\n", f"Received: '{'9' * 40}…' in row 1, column 'a'."),
        ("a,b\n1,2\n1\n", "needs 2 cells in every row. Received: 1 cells in row 2."),
        ("a,b\n1,2,3\n", "needs 2 cells in every row. Received: 3 cells in row 1."),
        ("a,b\n1, \n", "needs a label in every row. Received: an empty cell in row 1, column 'b'."),
        ("a,b\n", "needs at least one row of data. Received: none."),
        ("", "needs a first line that names the columns. Received: an empty file."),
        ("\n\n", "needs a first line that names the columns. Received: an empty file."),
        ("a,b,a\n1,2,3\n", "needs names of its columns that differ. Received: 2 columns named 'a'."),
        (b"a,b\n1,2\n\xff,2\n", "needs to be text in UTF-8. Received: other bytes after line 2."),
        ('a,b\n"1,2\n', "needs to be comma-separated text. Received: unexpected end of data, in line 2."),
        ('a,b\n"1"x,2\n', "needs to be comma-separated text. Received: ',' expected after '\"', in line 2."),
        (
            f"a,b\n{'1' * 200000},2\n",
            "needs to be comma-separated text. Received: field larger than field limit",
        ),
        (b"\x00\x01\x02PNG\n", "needs a column named 'b'."),
        ("x\n1\n", "needs a column named 'b'. Received: columns x."),
    ],
)
def test_tables_that_are_not_right(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TilewrightError) as error:
        CsvDataset(path, "b")
    assert str(error.value).startswith(f"Table {str(path)!r} ") and message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label": "kind", "target": "text"},
            "CsvDataset needs target to be 'class' or 'number'. Received: target='text'.",
        ),
        (
            {"label": "kind", "delimiter": ",,"},
            "CsvDataset needs delimiter to be one character, no quote and no line's end.",
        ),
        ({"label": "kind", "delimiter": "\n"}, "CsvDataset needs delimiter to be one character"),
        ({"label": "kind", "delimiter": None}, "CsvDataset needs delimiter to be one character"),
        (
            {"label": "kind", "features": "length"},
            "CsvDataset needs features to be a list of names. Received: features='length'.",
        ),
        (
            {"label": "kind", "features": []},
            "CsvDataset needs features to be names that differ. Received: features=[].",
        ),
        (
            {"label": "kind", "features": ["width", "width"]},
            "CsvDataset needs features to be names that differ.",
        ),
        (
            {"label": "kind", "features": ["kind"]},
            "CsvDataset needs at least one column of features, and the label's beside them. "
            "Received: features=['kind'], label='kind'.",
        ),
        (
            {"label": "kind", "features": ["height"]},
            "needs a column named 'height'. Received: columns length, width, kind.",
        ),
        ({"label": "species"}, "needs a column named 'species'. Received: columns length, width, kind."),
        (
            {"label": "kind", "classes": 3},
            "CsvDataset needs classes to be a list of names. Received: classes=3.",
        ),
        (
            {"label": "kind", "shape": (3,)},
            "CsvDataset needs a shape of as many numbers as there are features, 2. Received: shape=(3,).",
        ),
        (
            {"label": "kind", "shape": (-1, -2)},
            "CsvDataset needs a shape of as many numbers as there are features, 2.",
        ),
        (
            {"label": "kind", "shape": "ab"},
            "CsvDataset needs a shape of as many numbers as there are features, 2.",
        ),
        ({"label": "kind", "target": "number"}, "Received: 'setosa' in row 1, column 'kind'."),
    ],
)
def test_arguments_that_are_not_right(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TilewrightError) as error:
        CsvDataset(written(tmp_path, FLOWERS), **options)
    assert message in str(error.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="CsvDataset needs a file that exists"):
        CsvDataset(tmp_path / "none.csv", "y")
    with pytest.raises(FileFormatError, match="CsvDataset needs an ordinary file"):
        CsvDataset(tmp_path, "y")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_any_bytes_give_a_table_or_one_error(tmp_path: Path, content: bytes) -> None:
    try:
        CsvDataset(written(tmp_path, b"x,y\n" + content), "y")
    except TilewrightError as error:
        assert str(tmp_path) in str(error) or "CsvDataset" in str(error)


def test_columns_by_name_without_a_label(tmp_path: Path) -> None:
    path = written(tmp_path, "length,kind,width\n5.1,setosa,3.5\n6.2,,2.9\n")
    found = read_columns(path, ["width", "length"])
    assert found.dtype == np.float32
    assert found.tolist() == np.float32([[3.5, 5.1], [2.9, 6.2]]).tolist()
    with pytest.raises(FileFormatError, match=r"finite number .* Received: 'setosa' in row 1, column 'kind'"):
        read_columns(path)
    with pytest.raises(ArgumentError, match=r"needs a column named 'depth'\. Received: columns length, kind"):
        read_columns(path, ["depth"])
    for names in ([], "width"):
        with pytest.raises(ArgumentError) as error:
            read_columns(path, names)
        assert str(error.value) == (
            f"read_columns needs a list of at least one name. Received: names={names!r}."
        )
    with pytest.raises(FileFormatError, match=r"an empty cell in row 1, column 'a'"):
        read_columns(written(tmp_path, "a,b\n,1\n"))
