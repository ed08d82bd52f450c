"""Damaged clips in processes of their own: never a crash, a hang or more than 1 GiB.

A few dozen here; `python tools/fuzz_video.py` does 500, and TILEWRIGHT_FUZZ sets how many this test does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fuzz_video import FINE, fuzz, mutated
from image.video.clips import street, with_car

from tilewright.image.video import write_video

pytest.importorskip("av", reason="PyAV reads and writes clips")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited as Linux does it")
def test_damaged_clips(tmp_path: Path) -> None:
    film = with_car(street(10, (96, 128)))
    clips = [tmp_path / "film.mp4", tmp_path / "film.gif"]
    for clip in clips:
        write_video(clip, film)
    count = int(os.environ.get("TILEWRIGHT_FUZZ", "80"))
    ends, bad = fuzz(clips, 0, count, tmp_path)
    assert not bad, "\n".join(bad)
    assert sum(ends.values()) == count
    assert set(ends) <= set(FINE)
    assert ends["FileFormatError"] > count / 4  # the damage is seen


def test_mutations_follow_from_their_numbers() -> None:
    content = bytes(range(256)) * 40
    made = [mutated(content, seed) for seed in range(200)]
    assert made == [mutated(content, seed) for seed in range(200)]
    assert sum(one != content for one in made) > 190
    assert len({len(one) for one in made}) > 40
