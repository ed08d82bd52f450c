"""Clips that are cut short or damaged: an error that names the file, after the frames that are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image.video.clips import street, with_car

from tilewright.errors import FileFormatError
from tilewright.image.video import find_motion, read_video, write_video
from tilewright.image.video.damage import missing

pytest.importorskip("av", reason="PyAV reads and writes clips")

FILM = with_car(street(24, (60, 80)))


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webm", ".mkv", ".avi", ".mov"])
def test_a_clip_cut_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{suffix}"
    write_video(whole, FILM)
    data = whole.read_bytes()
    assert len(list(read_video(whole))) == 24
    cut = tmp_path / f"cut{suffix}"
    given = []
    for share in (0.02, 0.2, 0.5, 0.7, 0.9, 0.99):
        cut.write_bytes(data[: int(share * len(data))])
        frames = 0
        with pytest.raises(FileFormatError) as refused:
            for _ in read_video(cut):
                frames += 1
        assert str(cut) in str(refused.value)
        given.append(frames)
    assert given[0] <= 1 and given[3] < 24  # at the very end may stand an index that frames don't need
    if suffix == ".gif":  # frames stand one after the other, with nothing to be read at the end
        assert given[2] > 5


def test_cut_by_one_byte(tmp_path: Path) -> None:
    for suffix in (".gif", ".mp4", ".avi", ".mkv"):
        path = tmp_path / f"film{suffix}"
        write_video(path, FILM[:4])
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(FileFormatError, match="is damaged or cut short"):
            list(read_video(path))


def test_motion_tells_what_it_saw_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    write_video(path, FILM)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    frames = 0
    with pytest.raises(FileFormatError) as refused:
        for _ in find_motion(path):
            frames += 1
    assert 8 < frames < 24
    assert str(refused.value).endswith(f", after {frames} frames.")


def outline_of(data: bytes, tmp_path: Path) -> str | None:
    path = tmp_path / "outline"
    path.write_bytes(data)
    with open(path, "rb") as file:
        return missing(file)


def test_the_outline_of_a_gif(tmp_path: Path) -> None:
    screen = b"GIF89a" + bytes([2, 0, 2, 0, 0x80, 0, 0]) + bytes(6)  # a palette of two colours
    image = b"\x2c" + bytes(8) + b"\x81" + bytes(12) + b"\x02" + b"\x03abc" + b"\x00"
    extension = b"\x21\xf9\x04abcd\x00"
    whole = screen + extension + image + image + b";"
    assert outline_of(whole, tmp_path) is None
    assert outline_of(whole + b"more", tmp_path) is None  # behind the end mark nothing counts
    for length in range(len(screen), len(whole)):
        assert outline_of(whole[:length], tmp_path) is not None, length
    assert outline_of(whole[:-1], tmp_path) == f"a GIF without its end mark, at byte {len(whole) - 1}"
    assert outline_of(whole[:-3], tmp_path) == f"a block at byte {len(whole) - 1 - len(image)} that is cut"
    assert (
        outline_of(screen + b"?" + whole, tmp_path) == f"a block of the unknown kind 63 at byte {len(screen)}"
    )
    assert outline_of(whole[:10], tmp_path) == "a header that is cut"
    assert outline_of(screen + b"\x2c123", tmp_path) == f"an image block at byte {len(screen)} that is cut"


def box(name: bytes, length: int, content: bytes = b"") -> bytes:
    return length.to_bytes(4, "big") + name + content


def test_the_outline_of_an_mp4(tmp_path: Path) -> None:
    head = box(b"ftyp", 16, b"isom0000")
    assert outline_of(head + box(b"mdat", 12, b"1234"), tmp_path) is None
    assert outline_of(head + box(b"mdat", 13, b"1234"), tmp_path) == (
        "a box 'mdat' at byte 16 that reaches to byte 29 of 28"
    )
    assert outline_of(head + box(b"mdat", 0, b"1234"), tmp_path) is None  # up to the end
    long = box(b"mdat", 1, (16 + 4).to_bytes(8, "big") + b"1234")
    assert outline_of(head + long, tmp_path) is None
    assert outline_of(head + long[:-1], tmp_path) == "a box 'mdat' at byte 16 that reaches to byte 36 of 35"
    assert outline_of(head + box(b"free", 3), tmp_path) == "a box at byte 16 of 3 bytes"
    assert outline_of(head + b"\0\0\0", tmp_path) == "a box at byte 16 that is cut"


def test_the_outline_of_others(tmp_path: Path) -> None:
    riff = b"RIFF" + (4 + 100).to_bytes(4, "little") + b"AVI " + bytes(100)
    assert outline_of(riff, tmp_path) is None
    assert outline_of(riff[:-1], tmp_path) == "a RIFF chunk at byte 0 that reaches to byte 112 of 111"
    head = b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67"
    assert outline_of(head + b"\x85abcde", tmp_path) is None
    assert outline_of(head + b"\x85abcd", tmp_path) == "a segment at byte 9 that reaches to byte 19 of 18"
    assert outline_of(head + b"\x01\xff\xff\xff\xff\xff\xff\xffabcd", tmp_path) is None  # written live
    assert outline_of(b"\x1a\x45\xdf\xa3", tmp_path) is None  # of no length: libav's to say
    assert outline_of(b"", tmp_path) is None


def test_bytes_that_changed_in_the_middle(tmp_path: Path) -> None:
    """Frames of H.264 that can't be decoded in full are not passed off as whole ones."""
    path = tmp_path / "film.mp4"
    draw = np.random.default_rng(0)
    write_video(path, draw.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8), crf=10)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    with pytest.raises(FileFormatError) as refused:
        list(read_video(path))
    assert str(refused.value).startswith(f"Video file {str(path)!r} is damaged or cut short. Received: ")
