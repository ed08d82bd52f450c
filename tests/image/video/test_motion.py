"""What moves in films made for it: boxes, tracks, times; and in nothing, nothing."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image.video.clips import street, with_car

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.video import Box, Frame, MotionFrame, find_motion, motion, write_video
from tilewright.image.video.tracks import Tracker


def boxes_of(found: list[MotionFrame]) -> list[Box]:
    return [box for frame in found for box in frame.boxes]


def test_a_car_is_boxed_while_it_crosses() -> None:
    film = with_car(street(60), first=5)
    found = list(motion(film, fps=10))
    assert [frame.number for frame in found] == list(range(60))
    assert [frame.time for frame in found] == pytest.approx([n / 10 for n in range(60)])
    hits = 0
    for frame in found:
        left = 2 * (frame.number - 5) - 14
        inside = (max(0, left), 30, min(left + 14, 80) - max(0, left), 10)
        seen = inside[2] > 0 and frame.number >= 5
        truth = Box(frame.number, frame.time, 1, *(inside if seen else (0, 0, 0, 0)), 0)
        assert len(frame.boxes) <= 1
        for box in frame.boxes:
            assert (box.frame, box.track, box.time) == (frame.number, 1, frame.time)
            assert box.overlap(truth) > 0.3
        hits += any(box.overlap(truth) > 0.6 for box in frame.boxes)
    # It is in 54 of the frames; in the first and last few but a sliver of it.
    assert hits >= 40
    middle = found[30]
    assert middle.map.shape == (60, 80) and middle.map.dtype == np.float32
    box = middle.boxes[0]
    car = middle.map[box.y + 3 : box.y + box.height - 3, box.x + 3 : box.x + box.width - 3]
    assert (np.abs(car) > 10).mean() > 0.9
    assert np.count_nonzero(middle.map) < 3 * box.area


def test_exposure_that_changes_moves_nothing() -> None:
    """The camera shuts its iris by 60 grey levels and opens it again while a car crosses."""
    film = with_car(street(60), first=5).astype(np.float64)
    shade = 60 * np.sin(np.linspace(0, 3 * np.pi, 60)).clip(0)
    darker = np.clip(film - shade[:, None, None, None], 0, 255).astype(np.uint8)
    boxes = boxes_of(list(motion(darker)))
    assert len({box.track for box in boxes}) == 1
    assert len(boxes) > 35
    nothing = np.clip(street(60) * 0.9 - shade[:, None, None, None], 0, 255).astype(np.uint8)
    assert boxes_of(list(motion(nothing))) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_short_films(count: int) -> None:
    found = list(motion(street(count)))
    assert len(found) == count
    assert boxes_of(found) == []


def test_two_things_keep_their_tracks() -> None:
    film = street(60, (120, 160))
    for time in range(60):
        film[time, 20:36, 2 * time : 2 * time + 24] = 230
        film[time, 80:100, 130 - 2 * time : 156 - 2 * time] = (30, 30, 120)
    found = list(motion(film))
    boxes = boxes_of(found)
    assert {box.track for box in boxes} == {1, 2}
    assert all(box.y < 60 for box in boxes if box.track == 1) != all(
        box.y > 60 for box in boxes if box.track == 1
    )
    for frame in found:
        assert [box.track for box in frame.boxes] == sorted(box.track for box in frame.boxes)
    assert sum(len(frame.boxes) == 2 for frame in found) > 50


def test_flicker_is_no_thing() -> None:
    film = street(60)
    film[20:22, 10:20, 10:20] = 255  # for two frames
    for time in range(30, 50, 2):
        film[time, 40:50, 50:60] = 255  # on and off, in one place
    assert boxes_of(list(motion(film))) == []
    everything = boxes_of(list(motion(film, persist=1)))
    assert {box.frame for box in everything} >= {20, 21, 30, 40}


def test_the_smallest_thing() -> None:
    film = with_car(street(60), first=5)
    assert boxes_of(list(motion(film, min_area=200))) == []
    assert boxes_of(list(motion(film, min_area=20)))


def test_grey_and_other_numbers_of_channels() -> None:
    film = with_car(street(40), first=5, colour=230)
    many = len(boxes_of(list(motion(film))))
    assert many > 25
    for other in (film[..., 0], film[..., :1], film[..., :2], film.astype(np.float32), film.astype(np.int64)):
        assert len(boxes_of(list(motion(other)))) > 25


def test_large_frames_are_shrunk_and_boxes_are_not() -> None:
    film = np.repeat(np.repeat(with_car(street(30, (90, 120)), step=4), 5, axis=1), 5, axis=2)
    found = list(motion(film))
    assert found[12].shape == (450, 600)
    assert found[12].map.shape == (450, 600)
    box = found[12].boxes[0]
    assert Box(12, 0.0, 1, 5 * 34, 225, 70, 50, 0).overlap(box) > 0.6


def test_a_stream_is_answered_while_it_comes() -> None:
    film = with_car(street(60), first=5)
    taken = 0

    def stream() -> Iterator[Frame]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield Frame(1000 + number, number / 5, film[number % 60])

    answers = motion(stream(), window=20)
    first = next(answers)
    assert (first.number, first.time) == (1000, 0.0)
    assert taken <= 20 + 30
    later = list(itertools.islice(answers, 100))
    assert later[-1].number == 1100
    assert taken <= 100 + 20 + 30


def test_memory_does_not_grow_with_the_film() -> None:
    film = street(8)
    peaks = []
    for rounds in (20, 80):
        tracemalloc.start()
        for _ in motion(itertools.chain.from_iterable([film] * rounds), window=30):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_inputs_are_left_alone_and_any_layout_is_taken() -> None:
    film = with_car(street(30), first=2)
    wanted = boxes_of(list(motion(film)))
    fixed = film.copy()
    fixed.flags.writeable = False
    turned = np.ascontiguousarray(film[:, ::-1])[:, ::-1]
    for other in (fixed, turned, np.asfortranarray(film)):
        assert boxes_of(list(motion(other))) == wanted
    assert np.array_equal(fixed, film)


def test_hostile_numbers() -> None:
    film = street(20).astype(np.float64)
    film[3:6] = np.nan
    film[8] = np.inf
    film[9] = -1e300
    assert len(list(motion(film))) == 20
    assert len(list(motion(np.zeros((12, 1, 1))))) == 12
    assert boxes_of(list(motion(np.zeros((12, 3, 200), np.uint8)))) == []


def test_find_motion_reads_a_file(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV reads and writes clips")
    path = tmp_path / "film.mp4"
    write_video(path, with_car(street(50), first=5), 10, crf=10)
    found = list(find_motion(path))
    assert len(found) == 50
    assert len(boxes_of(found)) > 30
    part = list(find_motion(path, start=10, stop=40, step=2))
    assert [frame.number for frame in part] == list(range(10, 40, 2))
    assert [frame.time for frame in part] == pytest.approx([n / 10 for n in range(10, 40, 2)])


def test_tracks_by_hand() -> None:
    def at(frame: int, x: int) -> Box:
        return Box(frame, 0.0, 0, x, 0, 10, 10, 100)

    tracker = Tracker(persist=3)
    numbers = []
    for frame, x in enumerate((0, 4, 8, 12, 16)):
        numbers.append([track.number for track in tracker.link([at(frame, x)])])
    assert numbers == [[0], [0], [1], [1], [1]]
    assert tracker.link([]) == []  # missed once, and found where it was going
    assert [track.number for track in tracker.link([at(6, 24)])] == [1]
    assert [track.number for track in tracker.link([at(7, 90)])] == [0]
    still = Tracker(persist=2)
    assert [still.link([at(frame, 5)])[0].number for frame in range(6)] == [0] * 6  # it doesn't move
    assert Tracker(persist=1).link([at(0, 0)])[0].number == 1
    gone = Tracker(persist=2)
    track = gone.link([at(0, 0)])[0]
    for _ in range(3):
        assert not track.gone
        gone.link([])
    assert track.gone


@pytest.mark.parametrize(
    ("kind", "frames", "options", "message"),
    [
        (
            DtypeError,
            "street.gif",
            {},
            "motion needs frames that can be walked through. Received: frames='street.gif'. "
            "Of a file: find_motion(path).",
        ),
        (
            DtypeError,
            np.zeros((4, 4)),
            {},
            "motion needs frames that can be walked through. Received: frames with shape (4, 4) and "
            "dtype float64. "
            "Of a file: find_motion(path).",
        ),
        (
            ShapeError,
            np.zeros((2, 4, 4, 5)),
            {},
            "motion needs frames (height, width) or (height, width, channels) of up to 4 channels, "
            "none of them 0. "
            "Received: frame with shape (4, 4, 5) and dtype float64.",
        ),
        (
            ShapeError,
            [np.zeros((4, 4)), np.zeros((4, 5))],
            {},
            "motion needs frames of one shape, here (4, 4). Received: frame with shape (4, 5) and "
            "dtype float64.",
        ),
        (
            DtypeError,
            [None],
            {},
            "motion needs frames to be of bools, integers, float16, float32, float64. "
            "Received: frames with shape () and dtype object.",
        ),
        (ArgumentError, [], {"window": 1}, "motion needs window to be at least 2. Received: window=1."),
        (
            ArgumentError,
            [],
            {"window": 10**6},
            "motion needs window to be at most 1000 frames. Received: window=1000000.",
        ),
        (ArgumentError, [], {"persist": 0}, "motion needs persist to be at least 1. Received: persist=0."),
        (
            ArgumentError,
            [],
            {"persist": 2000},
            "motion needs persist to be at most 1000 frames. Received: persist=2000.",
        ),
        (
            ArgumentError,
            [],
            {"threshold": 0},
            "motion needs threshold to be a finite number above 0. Received: threshold=0.",
        ),
        (
            ArgumentError,
            [],
            {"min_area": -1},
            "motion needs min_area to be a finite number from 0 on. Received: min_area=-1.",
        ),
        (
            ArgumentError,
            [],
            {"fps": float("nan")},
            "motion needs fps to be a finite number above 0. Received: fps=nan.",
        ),
        (
            DtypeError,
            [],
            {"shadows": "no"},
            "motion needs shadows to be True or False. Received: shadows='no'.",
        ),
    ],
)
def test_refusals(kind: type[Exception], frames: Any, options: Any, message: str) -> None:
    with pytest.raises(kind) as refused:
        list(motion(frames, **options))
    assert str(refused.value) == message
