"""Running sums, and the rows of metrics.csv."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tilewright.errors import ArgumentError, FileFormatError
from tilewright.train.rows import COLUMNS, MetricsFile, Row, RunningSums

HEADER = "step,epoch,train_loss,train_accuracy,val_loss,val_accuracy,images_per_second,seconds\n"


def test_means_weigh_every_image_alike() -> None:
    sums = RunningSums()
    sums.add(1.0, correct=2, images=2)
    sums.add(4.0, correct=0, images=1)
    assert sums.mean_loss == 2.0
    assert sums.accuracy == 2 / 3


def test_sums_of_nothing_have_no_mean() -> None:
    assert math.isnan(RunningSums().mean_loss)
    assert math.isnan(RunningSums().accuracy)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.start()
    rows = [
        Row(10, 1, train_loss=0.5, train_accuracy=0.25, images_per_second=1000.0, seconds=0.125),
        Row(20, 2, train_loss=0.25, val_loss=float("inf"), val_accuracy=1.0),
    ]
    for row in rows:
        file.append(row)
    assert file.path.read_text() == HEADER + "10,1,0.5,0.25,,,1000,0.125\n20,2,0.25,,inf,1,,\n"
    assert file.rows() == rows
    assert ",".join(COLUMNS) + "\n" == HEADER


def test_rows_after_a_step_are_dropped(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.start()
    for step in (10, 20, 30):
        file.append(Row(step, 1, train_loss=1 / step))
    kept = file.keep_until(20)
    assert [row.step for row in kept] == [10, 20]
    assert file.rows() == kept
    assert file.path.read_text() == HEADER + "10,1,0.1,,,,,\n20,1,0.05,,,,,\n"


def test_a_last_line_that_was_cut_does_not_count(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.path.write_text(HEADER + "10,1,0.5,,,,,\n20,1,0.4")
    assert [row.step for row in file.rows()] == [10]
    file.keep_until(10)
    assert file.path.read_text() == HEADER + "10,1,0.5,,,,,\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "needs these columns: step, epoch, .* Received: an empty file"),
        (b"a,b\n1,2\n", "needs these columns: .* Received: a, b"),
        (HEADER.encode() + b"1,2\n", r"needs 8 values in every line\. Received: 2 in line 2"),
        (HEADER.encode() + b"1,1,,,,,,\nx,1,,,,,,\n", r"needs a number as step in line 3\. Received: 'x'"),
        (
            HEADER.encode() + b"1,1,,often,,,,\n",
            r"needs a number as train_accuracy in line 2\. Received: 'often'",
        ),
        (HEADER.encode() + b"\xff\n", r"isn't a CSV file in UTF-8\. Received: 'utf-8' codec"),
        (b"\0" * 20 + b"\n", "needs these columns|isn't a CSV file"),
        (HEADER.encode() + b'"1"2,1,,,,,,\n', r"isn't a CSV file in UTF-8\. Received: "),
    ],
)
def test_files_that_are_no_such_table_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        MetricsFile(path).rows()
    assert "metrics.csv'" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"MetricsFile needs a file that exists\..*metrics\.csv"):
        MetricsFile(tmp_path / "metrics.csv").rows()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk without room")
def test_a_full_disk_names_the_file() -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        MetricsFile("/dev/full").append(Row(1, 1))
