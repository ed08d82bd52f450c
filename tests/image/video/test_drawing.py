"""Boxes and maps drawn on frames, and tables of boxes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.video import Box, draw_boxes, draw_map, write_boxes
from tilewright.image.video.drawing import COLOURS

BOX = Box(3, 0.12, 2, 10, 22, 15, 12, 99)


def test_a_box_is_a_frame_in_its_tracks_colour() -> None:
    frame = np.full((60, 50), 90, np.uint8)
    drawn = draw_boxes(frame, [BOX], thickness=2)
    assert drawn.shape == (60, 50, 3) and (frame == 90).all()
    colour = list(COLOURS[1])
    for row, column in ((22, 12), (23, 24), (33, 17), (32, 10), (27, 11), (27, 24)):
        assert drawn[row, column].tolist() == colour
    for row, column in ((27, 17), (34, 17), (27, 25), (27, 9)):
        assert drawn[row, column].tolist() == [90, 90, 90]
    plate = drawn[:22]  # with a 2 on it
    assert (plate == colour).all(axis=2).sum() == 11 * 9  # the digit's pixels, each 3 × 3
    assert (plate.mean(axis=2) < 50).any()


def test_boxes_at_and_beyond_the_edges() -> None:
    frame = np.zeros((30, 40, 3), np.uint8)
    for box in (
        Box(0, 0.0, 1, 0, 0, 40, 30, 9),
        Box(0, 0.0, 99, -5, -5, 20, 20, 9),
        Box(0, 0.0, 7, 35, 25, 20, 20, 9),
        Box(0, 0.0, 1, 100, 100, 5, 5, 9),
        Box(0, 0.0, 1, 3, 3, 0, 0, 0),
        Box(0, 0.0, 0, 38, 1, 1, 1, 1),
    ):
        assert draw_boxes(frame, [box]).shape == (30, 40, 3)
    assert not draw_boxes(frame, [Box(0, 0.0, 1, 100, 100, 5, 5, 9)]).any()
    assert np.array_equal(draw_boxes(frame, []), frame)


def test_a_map_is_orange_where_lighter_and_blue_where_darker() -> None:
    frame = np.full((2, 2, 3), 100, np.uint8)
    signed = np.array([[60.0, -60.0], [0.0, 30.0]], np.float32)
    drawn = draw_map(frame, signed)
    assert drawn[0, 0].tolist() == [255, 140, 0]
    assert drawn[0, 1].tolist() == [0, 110, 255]
    assert drawn[1, 0].tolist() == [100, 100, 100]
    assert drawn[1, 1].tolist() == [178, 120, 50]  # half-way: 177.5 and 50, rounded to even
    assert draw_map(frame, signed * np.nan).shape == (2, 2, 3)


def test_overlap() -> None:
    def box(x: int, y: int, width: int, height: int) -> Box:
        return Box(0, 0.0, 1, x, y, width, height, 0)

    assert box(0, 0, 4, 4).overlap(box(0, 0, 4, 4)) == 1
    assert box(0, 0, 4, 4).overlap(box(4, 0, 4, 4)) == 0
    assert box(0, 0, 4, 4).overlap(box(2, 2, 4, 4)) == 4 / 28
    assert box(0, 0, 0, 0).overlap(box(0, 0, 0, 0)) == 0


def test_tables(tmp_path: Path) -> None:
    boxes = [BOX, Box(4, 1 / 3, 2, 11, 20, 15, 12, 98)]
    write_boxes(tmp_path / "boxes.csv", boxes)
    text = (tmp_path / "boxes.csv").read_text(encoding="utf-8")
    assert text.splitlines() == [
        "frame,time,track,x,y,width,height,area",
        "3,0.12,2,10,22,15,12,99",
        "4,0.333333,2,11,20,15,12,98",
    ]
    assert len(list(csv.DictReader(text.splitlines()))) == 2
    write_boxes(tmp_path / "boxes.JSON", iter(boxes), fps=25)
    found = json.loads((tmp_path / "boxes.JSON").read_text(encoding="utf-8"))
    assert found["fps"] == 25
    assert found["boxes"][0] == {
        "frame": 3, "time": 0.12, "track": 2, "x": 10, "y": 22, "width": 15, "height": 12, "area": 99,
    }  # fmt: skip
    write_boxes(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_text(encoding="utf-8") == text.splitlines()[0] + "\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["boxes.JSON", "boxes.csv", "none.csv"]


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (
            ArgumentError,
            lambda: write_boxes("boxes.txt", []),
            "write_boxes needs a path that ends in .csv or .json. Received: path='boxes.txt'.",
        ),
        (
            DtypeError,
            lambda: write_boxes("boxes.csv", [(1, 2)]),  # type: ignore[list-item]
            "write_boxes needs boxes to be of the class Box. Received: box=(1, 2).",
        ),
        (
            ShapeError,
            lambda: draw_boxes(np.zeros(4, np.uint8), []),
            "draw_boxes needs a frame that is an array (height, width, 3) or (height, width). "
            "Received: frame with shape (4,) and dtype uint8.",
        ),
        (
            DtypeError,
            lambda: draw_boxes(np.zeros((4, 4)), []),
            "draw_boxes needs a frame of uint8, 0 to 255. "
            "Received: frame with shape (4, 4) and dtype float64.",
        ),
        (
            DtypeError,
            lambda: draw_boxes(np.zeros((4, 4), np.uint8), [None]),  # type: ignore[list-item]
            "draw_boxes needs boxes to be of the class Box. Received: box=None.",
        ),
        (
            ArgumentError,
            lambda: draw_boxes(np.zeros((4, 4), np.uint8), [], thickness=0),
            "draw_boxes needs thickness to be at least 1. Received: thickness=0.",
        ),
        (
            ShapeError,
            lambda: draw_map(np.zeros((4, 4), np.uint8), np.zeros((4, 5))),
            "draw_map needs a map of real numbers of the frame's size (4, 4). "
            "Received: map with shape (4, 5) and dtype float64.",
        ),
        (
            ArgumentError,
            lambda: draw_map(np.zeros((4, 4), np.uint8), np.zeros((4, 4)), full=0),
            "draw_map needs full to be a finite number above 0. Received: full=0.",
        ),
    ],
)
def test_refusals(
    kind: type[Exception], call: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as refused:
        call()
    assert str(refused.value) == message
    assert list(tmp_path.iterdir()) == []
