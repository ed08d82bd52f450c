"""Clips to files and back: every kind, odd sizes, changing durations, rotations, transparency."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image.video.clips import street, with_car

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, ShapeError, StateError
from tilewright.image.video import VIDEO_SUFFIXES, Frame, VideoWriter, read_video, write_video

av = pytest.importorskip("av", reason="PyAV reads and writes clips")

FILM = with_car(street(20, (60, 80)))


def refusal(kind: type[Exception], call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(kind) as refused:
        call(*arguments, **options)
    return str(refused.value)


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_there_and_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"film{suffix}"
    assert write_video(path, FILM, 12.5) == []
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    video = read_video(path)
    assert (video.height, video.width, video.rotation) == (60, 80, 0)
    assert video.fps == pytest.approx(12.5)
    assert video.duration == pytest.approx(20 / 12.5, abs=0.1)
    frames = list(video.timed())
    assert [frame.number for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx([n / 12.5 for n in range(20)], abs=0.002)
    for frame, original in zip(frames, FILM, strict=True):
        assert frame.pixels.shape == (60, 80, 3) and frame.pixels.dtype == np.uint8
        # Lossy: noise goes, and red bleeds a pixel or two beyond the car's edge.
        assert np.abs(frame.pixels.astype(int) - original).mean() < 6
    # And again: a walk opens the file anew.
    assert np.array_equal(next(iter(video)), frames[0].pixels)


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webm", ".avi"])
@pytest.mark.parametrize("size", [(61, 83), (1, 1), (2, 3), (33, 16)])
def test_odd_sizes(suffix: str, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / f"odd{suffix}"
    film = street(3, (64, 84))[:, : size[0], : size[1]]
    notes = write_video(path, film, 10)
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    found = read_video(path)
    if suffix == ".gif" or even == size:
        assert notes == []
        assert (found.height, found.width) == size
    else:
        assert notes == [
            f"Sizes are even in this kind of clip: {size[1]} × {size[0]} became {even[1]} × {even[0]}, "
            "with the last row or column twice."
        ]
        assert (found.height, found.width) == even
    assert len(list(found)) == 3


def test_grey_frames(tmp_path: Path) -> None:
    grey = FILM[..., 1]
    for suffix in (".mp4", ".gif"):
        path = tmp_path / f"grey{suffix}"
        write_video(path, grey, 25)
        video = read_video(path, grey=True)
        frames = list(video)
        assert all(frame.shape == (60, 80) for frame in frames)
        assert np.abs(np.array(frames).astype(int) - grey).mean() < 4
        colour = next(iter(read_video(path)))
        assert np.abs(colour[..., 0].astype(int) - frames[0]).mean() < 2


def test_slices(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, FILM)
    numbers = [frame.number for frame in read_video(path, start=3, stop=15, step=4).timed()]
    assert numbers == [3, 7, 11]
    whole = list(read_video(path))
    part = list(read_video(path, start=3, stop=15, step=4))
    assert all(np.array_equal(frame, whole[number]) for frame, number in zip(part, numbers, strict=True))
    assert list(read_video(path, start=99)) == []
    assert list(read_video(path, stop=0)) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif", ".webm"])
def test_changing_durations(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"jumps{suffix}"
    times = [0.0, 0.1, 0.2, 0.7, 0.75, 2.0]
    write_video(path, [Frame(n, time, FILM[n]) for n, time in enumerate(times)], 10)
    assert [frame.time for frame in read_video(path).timed()] == pytest.approx(times, abs=0.011)


def test_times_that_do_not_rise_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    frames = [Frame(0, 0.0, FILM[0]), Frame(1, 0.0, FILM[1])]
    assert refusal(ArgumentError, write_video, path, frames) == (
        "write_video needs each time to be at least 0.001 s after the one before. Received: time=0.0."
    )
    mixed: list[Any] = [FILM[0], Frame(1, 0.5, FILM[1])]
    assert refusal(ArgumentError, write_video, path, mixed) == (
        "write_video needs a time for every frame or for none. Received: time=0.5."
    )
    assert refusal(ArgumentError, write_video, tmp_path / "film.avi", frames) == (
        "write_video needs frames without times for an AVI, which has one rate. Received: a frame "
        "with a time."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_rotations_are_carried_out(angle: int, tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    film = np.zeros((3, 32, 48, 3), np.uint8)
    film[:, :8, :8] = 255  # the corner at the top left
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.set_display_rotation(-angle)  # libav counts the other way round
        for pixels in film:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    video = read_video(path)
    assert video.rotation == angle
    frame = next(iter(video))
    assert frame.shape[:2] == (video.height, video.width) == ((32, 48) if angle % 180 == 0 else (48, 32))
    corners = {0: frame[2, 2], 90: frame[2, -3], 180: frame[-3, -3], 270: frame[-3, 2]}
    assert {at for at, pixel in corners.items() if pixel.min() > 200} == {angle}


def test_transparent_pixels_show_white(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the transparent GIF")
    pictures = [image.new("RGBA", (20, 10), (0, 0, 0, 0)) for _ in range(2)]
    for at, picture in enumerate(pictures):
        picture.paste((200, 0, 0, 255), (5 * at, 0, 5 * at + 5, 10))
    path = tmp_path / "clear.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, disposal=2)
    first, second = read_video(path)
    assert first[5, 2].tolist() == [200, 0, 0] and first[5, 15].tolist() == [255, 255, 255]
    assert second[5, 7].tolist() == [200, 0, 0] and second[5, 2].tolist() == [255, 255, 255]
    assert next(iter(read_video(path, grey=True)))[5, 15] == 255


def test_gif_palettes_are_good(tmp_path: Path) -> None:
    """A ramp of colours: 256 that are chosen for it are nearer than the 256 of a fixed palette."""
    down, across = np.mgrid[0:64, 0:96]
    ramp = np.stack([across * 2, down * 3, 128 + across // 2], axis=2).astype(np.uint8)
    path = tmp_path / "ramp.gif"
    write_video(path, [ramp, ramp[::-1]])
    for found, wanted in zip(read_video(path), (ramp, ramp[::-1]), strict=True):
        assert np.abs(found.astype(int) - wanted).mean() < 6  # 3-3-2 bits: 16 to 32 apart, 9 and more off


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """Peaks of NumPy's memory for 40 and for 160 frames of 150 KB are the same, to a few frames."""
    path = tmp_path / "long.mp4"
    film = street(4, (200, 250))

    def frames(count: int) -> Iterator[np.ndarray]:
        for number in range(count):
            yield film[number % 4]

    peaks = []
    for count in (40, 160):
        tracemalloc.start()
        write_video(path, frames(count))
        assert sum(1 for _ in read_video(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 5 * film[0].nbytes


def test_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def broken() -> Iterator[np.ndarray]:
        yield FILM[0]
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_video(path, broken())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"

    def stopped() -> Iterator[np.ndarray]:
        yield from FILM[:7]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, stopped())
    assert len(list(read_video(path))) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_walks_that_are_left_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, FILM)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with read_video(path) as video:
        walks = [iter(video.timed()) for _ in range(5)]
        for walk in walks:
            next(walk)
    if before:
        # Fewer where something left by others was closed meanwhile.
        assert len(os.listdir("/proc/self/fd")) <= before
    assert [list(walk) for walk in walks] == [[]] * 5


def test_rates(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    for rate in (1, 0.5, 29.97, 1000, Fraction(30000, 1001), np.float32(24), np.int64(7)):
        write_video(path, FILM[:3], rate)
        assert read_video(path).fps == pytest.approx(float(rate), rel=1e-4)
        assert len(list(read_video(path))) == 3


def test_quality(tmp_path: Path) -> None:
    sizes = []
    for crf in (0, 20, 51):
        write_video(tmp_path / "film.mp4", FILM, crf=crf)
        sizes.append((tmp_path / "film.mp4").stat().st_size)
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize(
    ("kind", "arguments", "options", "message"),
    [
        (
            ArgumentError,
            ("film.txt", FILM),
            {},
            "write_video needs a path that ends in .mp4, .m4v, .mov, .mkv, .webm, .avi or .gif. "
            "Received: path='film.txt'.",
        ),
        (DtypeError, (3, FILM), {}, "write_video needs path to be a str or os.PathLike. Received: path=3."),
        (ArgumentError, ("film.mp4", []), {}, "write_video needs at least one frame. Received: none."),
        (
            DtypeError,
            ("film.mp4", "frames"),
            {},
            "write_video needs frames that can be walked through. Received: frames='frames'.",
        ),
        (
            ShapeError,
            ("film.mp4", FILM[0, ..., 0]),
            {},
            "write_video needs an array of frames: (frames, height, width) or (frames, height, width, 3). "
            "Received: frames with shape (60, 80) and dtype uint8.",
        ),
        (
            DtypeError,
            ("film.mp4", FILM / 255),
            {},
            "write_video needs frames of uint8, 0 to 255. "
            "Received: frame with shape (60, 80, 3) and dtype float64.",
        ),
        (
            ShapeError,
            ("film.mp4", [FILM[0], FILM[0, :-2]]),
            {},
            "write_video needs frames of one shape, here (60, 80, 3). "
            "Received: frame with shape (58, 80, 3) and dtype uint8.",
        ),
        (
            ShapeError,
            ("film.mp4", [None]),
            {},
            "write_video needs frames that are arrays (height, width, 3) or (height, width). "
            "Received: frame=None.",
        ),
        (
            ShapeError,
            ("film.mp4", np.broadcast_to(np.uint8(0), (1, 9000, 9000))),
            {},
            "write_video needs frames of at most 35,389,440 pixels. "
            "Received: frame with shape (9000, 9000) and dtype uint8.",
        ),
        (
            ArgumentError,
            ("film.mp4", FILM),
            {"fps": 0},
            "write_video needs fps to be a finite number above 0. Received: fps=0.",
        ),
        (
            ArgumentError,
            ("film.mp4", FILM),
            {"fps": "25"},
            "write_video needs fps to be a finite number above 0. Received: fps='25'.",
        ),
        (
            ArgumentError,
            ("film.mp4", FILM),
            {"fps": 1e6},
            "write_video needs fps to be at most 1000. Received: fps=1000000.0.",
        ),
        (
            ArgumentError,
            ("film.mp4", FILM),
            {"crf": 52},
            "write_video needs crf to be a whole number from 0 to 51. Received: crf=52.",
        ),
        (
            ArgumentError,
            ("film.webm", FILM),
            {"crf": 1.5},
            "write_video needs crf to be a whole number from 0 to 63. Received: crf=1.5.",
        ),
    ],
)
def test_refusals_of_the_writer(
    kind: type[Exception],
    arguments: Any,
    options: Any,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(kind, write_video, *arguments, **options) == message
    assert list(tmp_path.iterdir()) == []


def test_a_closed_clip_takes_no_frame(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4") as clip:
        clip.write(FILM[0])
    clip.close()
    assert refusal(StateError, clip.write, FILM[0]) == (
        f"write needs a clip that isn't closed. Received: {str(tmp_path / 'film.mp4')!r}, which is."
    )


def test_the_systems_refusals_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        write_video(tmp_path / "no" / "film.mp4", FILM)
    assert missing.value.filename == str(tmp_path / "no" / "film.mp4")
    (tmp_path / "film.mp4").mkdir()
    with pytest.raises(IsADirectoryError) as folder:
        write_video(tmp_path / "film.mp4", FILM)
    assert folder.value.filename == str(tmp_path / "film.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ArgumentError, {"start": -1}, "read_video needs start to be at least 0. Received: start=-1."),
        (ArgumentError, {"stop": 1.5}, "read_video needs stop to be an integer. Received: stop=1.5."),
        (ArgumentError, {"step": 0}, "read_video needs step to be at least 1. Received: step=0."),
        (
            ArgumentError,
            {"max_pixels": 0},
            "read_video needs max_pixels to be at least 1. Received: max_pixels=0.",
        ),
        (
            ArgumentError,
            {"max_pixels": 10**9},
            "read_video needs max_pixels to be at most 35,389,440, more than any screen has. "
            "Received: max_pixels=1000000000.",
        ),
        (DtypeError, {"grey": "yes"}, "read_video needs grey to be True or False. Received: grey='yes'."),
    ],
)
def test_refusals_of_the_reader(kind: type[Exception], options: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    write_video(path, FILM[:2])
    assert refusal(kind, read_video, path, **options) == message


def test_what_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert refusal(ArgumentError, read_video, path) == (
        f"read_video needs a file that exists. Received: path={str(path)!r}, where nothing is."
    )
    assert refusal(FileFormatError, read_video, tmp_path) == (
        f"read_video needs an ordinary file. Received: path={str(tmp_path)!r}, which is a folder."
    )
    path.touch()
    assert refusal(FileFormatError, read_video, path) == (
        f"Video file {str(path)!r} needs to hold something. Received: an empty file."
    )
    # A playlist may name any file and any address: it isn't opened as one.
    for content in (
        b"hello" * 100,
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"#EXTM3U\n#EXTINF:1,\nother.ts\n",
    ):
        path.write_bytes(content)
        said = refusal(FileFormatError, read_video, path)
        assert said.startswith(
            f"{str(path)!r} needs to be a clip: MP4, MOV, GIF, WebM, Matroska, AVI or MPEG. "
            "Received: a file that is none of these, is damaged, or is of a codec that isn't taken ("
        )
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert refusal(FileFormatError, read_video, sound) == (
        f"Video file {str(sound)!r} needs to hold pictures. Received: sound or text only."
    )


def test_frames_too_large_are_refused_by_their_header(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    write_video(path, FILM[:2])
    said = refusal(FileFormatError, read_video, path, max_pixels=4799)
    assert said == f"Video file {str(path)!r} needs frames of at most 4,799 pixels. Received: 80 × 60."
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    said = refusal(FileFormatError, read_video, path)
    assert said == (
        f"Video file {str(path)!r} is damaged or cut short. Received: a header without the size of "
        "the frames, "
        "or with one over 35,389,440 pixels."
    )
