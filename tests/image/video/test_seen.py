"""Real clips, and what a person saw in some of their frames (seen.json): hits and false boxes are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tilewright.image.video import Box, MotionFrame, find_motion

pytest.importorskip("av", reason="PyAV reads clips")

SEEN: dict[str, Any] = json.loads(Path(__file__).with_name("seen.json").read_text(encoding="utf-8"))


def found_in(name: str, data_root: Path) -> dict[int, MotionFrame]:
    path = data_root / "video" / name
    if not path.is_file():
        pytest.skip(f"needs the clip {name}: set TILEWRIGHT_DATA to a folder with video/ in it")
    return {frame.number: frame for frame in find_motion(path)}


def count(name: str, found: dict[int, MotionFrame]) -> tuple[dict[str, list[float]], list[Box]]:
    """For each kind of thing its best overlaps, and the boxes that are over nothing."""
    overlaps: dict[str, list[float]] = {}
    false = []
    for number, things in SEEN[name].items():
        truth = [(kind, Box(int(number), 0.0, 1, *place, 0)) for kind, *place in things]
        boxes = found[int(number)].boxes
        for kind, thing in truth:
            best = max((box.overlap(thing) for box in boxes), default=0.0)
            overlaps.setdefault(kind, []).append(best)
        false += [box for box in boxes if all(box.overlap(thing) < 0.1 for _, thing in truth)]
    return overlaps, false


def test_the_list_is_long_enough() -> None:
    assert len(SEEN["cars.mp4"]) >= 20 and len(SEEN["street.gif"]) >= 10
    assert sum(not things for things in SEEN["cars.mp4"].values()) >= 10


def test_the_street(data_root: Path) -> None:
    found = found_in("street.gif", data_root)
    overlaps, false = count("street.gif", found)
    for kind, values in overlaps.items():
        hits = sum(value >= 0.5 for value in values)
        mean = sum(values) / len(values)
        print(f"street.gif: {kind} boxed in {hits} of {len(values)} frames, mean overlap {mean:.2f}")
    print(f"street.gif: {len(false)} false boxes")
    assert set(overlaps) == {"car", "cyclist", "pedestrian"}
    for kind, values in overlaps.items():
        assert sum(value >= 0.5 for value in values) >= 0.8 * len(values), kind
    assert false == []
    # Three things, and no more, in the whole clip.
    assert len({box.track for frame in found.values() for box in frame.boxes}) == 3


def test_cars_under_changing_exposure(data_root: Path) -> None:
    found = found_in("cars.mp4", data_root)
    overlaps, false = count("cars.mp4", found)
    values = overlaps["car"]
    hits = sum(value >= 0.5 for value in values)
    empty = [number for number, things in SEEN["cars.mp4"].items() if not things]
    print(f"cars.mp4: boxed {hits} of {len(values)} cars, mean overlap {sum(values) / len(values):.2f}")
    print(f"cars.mp4: {len(false)} false boxes, {len(empty)} of the frames seen have no car")
    assert hits >= 0.9 * len(values)
    assert false == []
    # Four cars cross, one after the other or two at a time; nothing else is boxed in the whole clip.
    spans: dict[int, list[int]] = {}
    for frame in found.values():
        for box in frame.boxes:
            spans.setdefault(box.track, []).append(box.frame)
    assert len(spans) == 4
    for numbers in spans.values():
        assert len(numbers) == numbers[-1] - numbers[0] + 1  # without a gap
