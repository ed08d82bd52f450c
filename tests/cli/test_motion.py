"""``tilewright motion``: a clip with boxes, tables, JSON, damage and wrong usage."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli.commands import Command
from image.video.clips import street, with_car

from tilewright.image.video import read_video, write_video

pytest.importorskip("av", reason="PyAV reads and writes clips")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A car crosses a street, red, in a clip that keeps most of its quality; not to be changed."""
    path = tmp_path_factory.mktemp("clips") / "street.mp4"
    write_video(path, with_car(street(50), first=5), 10, crf=10)
    return path


def test_a_copy_with_boxes_and_a_table(tilewright: Command, clip: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "out.mp4", tmp_path / "boxes.csv"
    ended = tilewright("motion", clip, out, "--boxes", table)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("1 thing moves in 50 frames (")
    assert lines[1].startswith("  1: frames ")
    assert ended.err == f"Written: {out}, {table}\n"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 30
    assert {row["track"] for row in rows} == {"1"}
    frames, originals = list(read_video(out)), list(read_video(clip))
    assert len(frames) == 50
    row = rows[len(rows) // 2]
    number, left, top = int(row["frame"]), int(row["x"]), int(row["y"])
    line = np.abs(
        frames[number][top, left : left + 10].astype(int) - originals[number][top, left : left + 10]
    )
    assert line.mean() > 25  # a line that wasn't there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.csv", "out.mp4"]


@pytest.mark.parametrize("show", ["map", "both", "boxes"])
def test_what_is_drawn(tilewright: Command, clip: Path, tmp_path: Path, show: str) -> None:
    out = tmp_path / "out.gif"
    ended = tilewright("motion", clip, out, "--show", show, "--start", 10, "--stop", 45)
    assert ended.code == 0, ended.err
    frames = list(read_video(out))
    assert len(frames) == 35
    car = frames[20][32:38, 40:46].astype(int).mean(axis=(0, 1))  # of frame 30: red, darker than the street
    assert (car[0] - car[2] > 80) == (show == "boxes")
    assert (car[2] - car[0] > 20) == (show != "boxes")


def test_json_for_programs(tilewright: Command, clip: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "out.avi", tmp_path / "boxes.json"
    ended = tilewright("motion", clip, out, "--boxes", table, "--json", "--threshold", 15, "--min-area", 30)
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert (found["frames"], found["fps"], found["width"], found["height"]) == (50, 10, 80, 60)
    assert found["error"] is None and found["notes"] == []
    assert found["clip"] == str(clip) and found["table"] == str(table)
    (track,) = found["tracks"]
    assert track["boxes"] == len(found["boxes"]) > 30
    assert track["from"] == pytest.approx(track["first_frame"] / 10, abs=1e-4)
    assert json.loads(table.read_text(encoding="utf-8"))["boxes"] == found["boxes"]


def test_nothing_moves(tilewright: Command, tmp_path: Path) -> None:
    write_video(tmp_path / "still.gif", street(20))
    ended = tilewright("motion", tmp_path / "still.gif", tmp_path / "out.mkv")
    assert ended.code == 0
    assert ended.out.startswith("Nothing moves in 20 frames (")
    write_video(tmp_path / "odd.gif", with_car(street(30, (61, 81))))
    ended = tilewright("motion", tmp_path / "odd.gif", tmp_path / "odd.mp4", "--shadows", "--window", 20)
    assert "note: Sizes are even in this kind of clip: 81 × 61 became 82 × 62" in ended.err


def test_a_damaged_clip_is_done_up_to_there(tilewright: Command, tmp_path: Path) -> None:
    path, out, table = tmp_path / "cut.gif", tmp_path / "out.mp4", tmp_path / "boxes.csv"
    write_video(path, with_car(street(50), first=5))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    ended = tilewright("motion", path, out, "--boxes", table)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"error: Video file {str(path)!r} is damaged or cut short.")
    frames = len(list(read_video(out)))
    assert 30 < frames < 40
    assert ended.out.startswith(f"1 thing moves in {frames} frames")
    assert table.exists()
    ended = tilewright("motion", path, out, "--overwrite", "--json")
    assert ended.code == 1 and "is damaged or cut short" in ended.json["error"]
    path.write_bytes(data[:100])
    ended = tilewright("motion", path, tmp_path / "none.mp4")
    assert ended.code == 2
    assert str(path) in ended.only_error
    assert not (tmp_path / "none.mp4").exists()


def test_refusals(tilewright: Command, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    for arguments, message in (
        ((clip, tmp_path / "out.txt"), "write_video needs a path that ends in .mp4, .m4v, .mov"),
        ((tmp_path / "none.mp4", out), "read_video needs a file that exists."),
        ((clip, out, "--boxes", tmp_path / "boxes.txt"), "--boxes needs a path that ends in .csv or .json."),
        ((clip, clip), "motion needs to write to another file than it reads."),
        ((clip, out, "--boxes", clip), "motion needs to write to another file than it reads."),
        ((clip, out, "--start", 60), "write_video needs at least one frame."),
        ((clip, tmp_path / "no" / "out.mp4"), "No such file or directory: "),
    ):
        ended = tilewright("motion", *arguments)
        assert ended.code == 2
        assert message in ended.only_error, ended.only_error
        assert list(tmp_path.iterdir()) == []
    out.write_bytes(b"mine")
    ended = tilewright("motion", clip, out)
    assert ended.only_error == (
        f"error: motion writes no file over another. Received: {str(out)!r}, which exists. "
        "Add --overwrite to replace it."
    )
    assert out.read_bytes() == b"mine"
    for wrong in (
        ("--threshold", 0),
        ("--min-area", -1),
        ("--persist", 0),
        ("--show", "dots"),
        ("--window", 1),
    ):
        ended = tilewright("motion", clip, tmp_path / "new.mp4", *wrong)
        assert ended.code == 2 and "Usage:" in ended.err


def test_help_has_examples(tilewright: Command) -> None:
    ended = tilewright("motion", "--help")
    assert ended.code == 0
    assert "tilewright motion street.mp4 out.gif --boxes boxes.csv" in ended.out


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    path, out, table = tmp_path / "long.avi", tmp_path / "out.avi", tmp_path / "boxes.csv"
    film = with_car(street(60, (120, 160)), first=5, step=4)
    write_video(path, (frame for _ in range(20) for frame in film))
    command = [sys.executable, "-m", "tilewright", "motion", str(path), str(out), "--boxes", str(table)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    patience = time.monotonic() + 120
    while time.monotonic() < patience and child.poll() is None:
        parts = list(tmp_path.glob(".tilewright-*.part"))
        if parts and parts[0].stat().st_size > 20_000:  # some frames
            break
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130, said
    frames = len(list(read_video(out)))
    assert 0 < frames < 1200
    assert said.splitlines()[-1] == f"Stopped by Ctrl-C after {frames} frames, which are written."
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["boxes.csv", "long.avi", "out.avi"]
