"""``tilewright filter``: the library's numbers, files and folders, and what is kept of a picture."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.commands import Command
from compare import assert_same

import tilewright as tw
from tilewright.cli import filter as filter_module
from tilewright.image import borders
from tilewright.image.files import read_image, write_image
from tilewright.image.named import names, parameters_of
from tilewright.image.picture import Picture

pytest.importorskip("PIL", reason="pictures are read by Pillow")
SAME = "the same integers"


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def same(actual: np.ndarray | None, expected: np.ndarray) -> None:
    assert_same(actual, expected, rtol=0, atol=0, reason=SAME)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of pictures of every kind."""
    folder = tmp_path / "Ferien in Österreich"
    folder.mkdir()
    write_image(folder / "grey.png", noise(20, 30))
    write_image(folder / "colour.JPG", noise(24, 18, 3))
    write_image(folder / "Müller & Söhne.png", noise(12, 13, 4, dtype=np.uint16))
    write_image(folder / "deep.png", noise(15, 11, dtype=np.uint16))
    (folder / "notes.txt").write_text("not a picture, and not named like one")
    (folder / ".hidden.png").write_text("left out")
    return folder


def test_one_picture(tilewright: Command, tmp_path: Path) -> None:
    values = noise(20, 30, 3)
    write_image(tmp_path / "a.png", values)
    ended = tilewright("filter", "gaussian", tmp_path / "a.png", tmp_path / "b.png", "--sigma", "1.5")
    assert (ended.code, ended.out, ended.err) == (0, f"Written: {tmp_path / 'b.png'}\n", "")
    expected = tw.image.filter(values, tw.image.gaussian(1.5), channel_axis=2)
    same(read_image(tmp_path / "b.png").pixels, expected)


def test_options_reach_the_filter(tilewright: Command, tmp_path: Path) -> None:
    values = noise(9, 10)
    write_image(tmp_path / "a.png", values)

    def filtered(*arguments: object) -> np.ndarray:
        ended = tilewright("filter", *arguments, tmp_path / "a.png", tmp_path / "b.png", "--overwrite")
        assert ended.code == 0, ended.err
        return read_image(tmp_path / "b.png").pixels

    same(filtered("box", "--size", "1,5"), tw.image.filter(values, tw.image.box((1, 5))))
    for border in filter_module.BORDERS:
        expected = tw.image.filter(values, tw.image.box(3), border=border, cval=200)
        same(filtered("box", "--border", border, "--cval", 200), expected)
    kernel = np.array([[1, 2], [3, -4]]) / 2
    same(filtered("--kernel", "0.5 1; 1.5 -2"), tw.image.filter(values, kernel))
    same(filtered("--kernel", "0.5, 1; 1.5, -2;", "--flip"), tw.image.filter(values, kernel, flip=True))
    same(
        filtered("box", "--gain", "0.5"),
        np.rint(tw.image.filter(values, tw.image.box(3), dtype="f4") / 2).astype("u1"),
    )


def test_answers_around_zero_are_shown_whole(tilewright: Command, tmp_path: Path) -> None:
    # A step up and a step down, as a Laplacian's neighbour sees them.
    values = np.array([[50, 50, 150, 150, 50, 50]] * 3, np.uint8)
    write_image(tmp_path / "a.png", values)

    def row(*arguments: object) -> list[int]:
        arguments = (*arguments, tmp_path / "a.png", tmp_path / "b.png", "--overwrite")
        assert tilewright("filter", "--kernel", "0 0 0; -1 0 1; 0 0 0", *arguments).code == 0
        return [int(value) for value in read_image(tmp_path / "b.png").pixels[1]]

    assert row() == [0, 100, 100, 100, 100, 0]
    assert row("--negative", "clip") == [0, 100, 100, 0, 0, 0]
    assert row("--negative", "grey") == [128, 228, 228, 28, 28, 128]
    assert row("--negative", "grey", "--gain", "0.5") == [128, 178, 178, 78, 78, 128]
    # Relief answers around the picture, not around zero: there is nothing to turn over.
    assert tilewright("filter", "emboss", tmp_path / "a.png", tmp_path / "c.png").code == 0
    same(read_image(tmp_path / "c.png").pixels, tw.image.filter(values, tw.image.emboss()))


def test_16_bits_and_transparency_stay(tilewright: Command, tmp_path: Path) -> None:
    values = noise(16, 17, 4, dtype=np.uint16) | 1  # nothing is wholly transparent
    write_image(tmp_path / "a.png", values)
    assert tilewright("filter", "gaussian", tmp_path / "a.png", tmp_path / "b.png").code == 0
    found = read_image(tmp_path / "b.png")
    same(found.alpha, values[..., 3])
    same(found.pixels, tw.image.filter(values[..., :3], "gaussian", channel_axis=2))
    assert found.depth == 16


def test_what_is_unseen_does_not_bleed(tilewright: Command, tmp_path: Path) -> None:
    # A red sticker on black nothing.
    values = np.zeros((20, 20, 4), np.uint8)
    values[5:15, 5:15] = (220, 30, 30, 255)
    write_image(tmp_path / "a.png", values)
    assert tilewright("filter", "gaussian", tmp_path / "a.png", tmp_path / "b.png", "--sigma", 2).code == 0
    found = read_image(tmp_path / "b.png")
    same(found.alpha, values[..., 3])
    same(found.pixels[5:15, 5:15], values[5:15, 5:15, :3])
    assert tilewright("filter", "sobel", tmp_path / "a.png", tmp_path / "c.png").code == 0
    assert read_image(tmp_path / "c.png").pixels.max() == 0


def test_orientation_profile_and_camera(tilewright: Command, tmp_path: Path) -> None:
    from PIL import Image, ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "Model X"
    Image.fromarray(noise(10, 20, 3)).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    assert tilewright("filter", "box", tmp_path / "a.jpg", tmp_path / "b.jpg").code == 0
    with Image.open(tmp_path / "b.jpg") as found:
        assert found.size == (10, 20)
        assert (found.getexif()[0x0112], found.getexif()[0x0110]) == (1, "Model X")
        assert found.info["icc_profile"] == profile


def test_a_folder(tilewright: Command, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sharp"
    ended = tilewright("filter", "sharpen", photos, out)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"Written: 4 pictures in {out}\n"
    assert sorted(path.name for path in out.iterdir()) == [
        "Müller & Söhne.png",
        "colour.JPG",
        "deep.png",
        "grey.png",
    ]
    for path in out.iterdir():
        before, after = read_image(photos / path.name), read_image(path)
        assert (after.depth, after.channels, after.pixels.shape) == (
            before.depth,
            before.channels,
            before.pixels.shape,
        )
        if path.suffix == ".png":
            same(after.pixels, tw.image.filter(before.pixels, "sharpen", channel_axis=before.channel_axis))


def test_one_at_a_time_gives_the_same(tilewright: Command, photos: Path, tmp_path: Path) -> None:
    for jobs in (1, 3):
        ended = tilewright("filter", "gaussian", photos, tmp_path / str(jobs), "--jobs", jobs, "--quiet")
        assert (ended.code, ended.out, ended.err) == (0, "", "")
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "3" / path.name).read_bytes()


def test_patterns_and_several_files(
    tilewright: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = tilewright("filter", "box", photos / "*.png", "out", "--json").json
    assert found["command"] == "filter"
    assert found["filter"] == "box"
    assert [Path(entry["file"]).name for entry in found["files"]] == [
        "Müller & Söhne.png",
        "deep.png",
        "grey.png",
    ]
    assert found["files"][2] == {
        "file": str(photos / "grey.png"), "written": str(Path("out", "grey.png")), "width": 30, "height": 20,
    }  # fmt: skip
    assert found["errors"] == []
    ended = tilewright("filter", "box", photos / "grey.png", photos / "colour.JPG", "two", "--suffix", "tif")
    assert ended.code == 0
    assert sorted(path.name for path in Path("two").iterdir()) == ["colour.tif", "grey.tif"]
    # A folder that is there takes a single picture, too.
    assert tilewright("filter", "box", photos / "deep.png", "two").code == 0
    assert Path("two", "deep.png").is_file()
    ended = tilewright("filter", "box", photos / "*.bmp", "three")
    assert (ended.code, ended.only_error) == (
        2,
        f"error: No file matches the pattern {str(photos / '*.bmp')!r}.",
    )


def test_bad_files_are_reported_and_the_rest_is_done(
    tilewright: Command, photos: Path, tmp_path: Path
) -> None:
    whole = (photos / "grey.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[:300])
    (photos / "text.jpg").write_text("not a picture")
    (photos / "empty.tif").write_bytes(b"")
    (photos / "bomb.png").write_bytes(whole[:16] + (60000).to_bytes(4, "big") * 2 + whole[24:])
    ended = tilewright("filter", "box", photos, tmp_path / "out")
    assert ended.code == 1
    assert ended.out == f"Written: 4 pictures in {tmp_path / 'out'}\n"
    lines = ended.err.splitlines()
    assert len(lines) == 4
    for name in ("cut.png", "text.jpg", "empty.tif", "bomb.png"):
        assert sum(line.startswith("error: ") and name in line for line in lines) == 1, name
    found = tilewright("filter", "box", photos, tmp_path / "again", "--json")
    assert found.code == 1
    assert (len(found.json["files"]), len(found.json["errors"])) == (4, 4)
    assert {Path(entry["file"]).name for entry in found.json["errors"]} == {
        "cut.png", "text.jpg", "empty.tif", "bomb.png",
    }  # fmt: skip
    ended = tilewright("filter", "box", photos / "cut.png", tmp_path / "x.png")
    assert ended.code == 2
    assert "cut.png' is damaged or cut short." in ended.only_error
    ended = tilewright("filter", "box", tmp_path / "missing.png", tmp_path / "x.png")
    assert ended.code == 2
    assert "read_image needs a file that exists. Received: path=" in ended.only_error
    (tmp_path / "no-images").mkdir()
    ended = tilewright("filter", "box", tmp_path / "no-images", tmp_path / "x")
    assert ended.code == 2
    assert f"Received: {str(tmp_path / 'no-images')!r}, which holds none." in ended.only_error


def test_nothing_is_written_over_unless_asked(tilewright: Command, photos: Path, tmp_path: Path) -> None:
    before = (photos / "grey.png").read_bytes()
    ended = tilewright("filter", "box", photos / "grey.png", photos / "grey.png")
    assert (ended.code, (photos / "grey.png").read_bytes()) == (2, before)
    assert ended.only_error == (
        f"error: {str(photos / 'grey.png')!r} is there already. "
        "Name another OUT, or replace it with --overwrite."
    )
    assert tilewright("filter", "box", photos, photos).code == 2
    assert (photos / "grey.png").read_bytes() == before
    assert tilewright("filter", "box", photos / "grey.png", photos / "grey.png", "--overwrite").code == 0
    assert (photos / "grey.png").read_bytes() != before
    other = tmp_path / "other"
    other.mkdir()
    write_image(other / "grey.png", noise(3, 3))
    ended = tilewright("filter", "box", photos / "grey.png", other / "grey.png", tmp_path / "one")
    assert ended.code == 1
    assert "' would both write to '" in ended.err
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "grey.png").mkdir()
    ended = tilewright("filter", "box", photos / "grey.png", tmp_path / "dir", "--overwrite")
    assert ended.code == 2
    assert "is a folder, and can't be replaced by a picture." in ended.only_error
    ended = tilewright("filter", "box", photos, photos / "grey.png")
    assert ended.code == 2
    assert "Several pictures are written into a folder. Received: out=" in ended.only_error


def test_what_a_file_cannot_hold_is_said(tilewright: Command, photos: Path, tmp_path: Path) -> None:
    ended = tilewright("filter", "box", photos / "deep.png", tmp_path / "a.jpg")
    assert ended.code == 2
    assert "a JPEG file, holds values of uint8." in ended.only_error
    ended = tilewright("filter", "box", photos / "deep.png", tmp_path / "a.xyz")
    assert ended.code == 2
    assert "A picture is written to a file whose name ends in .png, .jpg," in ended.only_error
    assert not (tmp_path / "a.jpg").exists()


def test_a_limit_of_pixels(tilewright: Command, photos: Path, tmp_path: Path) -> None:
    arguments = ("filter", "box", photos / "grey.png", tmp_path / "a.png", "--max-pixels")
    ended = tilewright(*arguments, 599)
    assert ended.code == 2
    assert "at most 599 pixels. Received: 30 × 20 = 600 pixels." in ended.only_error
    assert tilewright(*arguments, 600).code == 0


def test_frames_are_noted(tilewright: Command, tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (9, 99)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    ended = tilewright("filter", "identity", tmp_path / "a.gif", tmp_path / "b.png")
    assert (ended.code, ended.out) == (0, f"Written: {tmp_path / 'b.png'}\n")
    assert ended.err == f"note: {str(tmp_path / 'a.gif')!r} has 2 frames or pages; the first is done.\n"
    assert (read_image(tmp_path / "b.png").pixels == 9).all()


def test_comparisons(tilewright: Command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures are drawn by Matplotlib")
    write_image(tmp_path / "a.png", noise(300, 400, 4))
    write_image(tmp_path / "b.jpg", noise(40, 20))
    ended = tilewright("filter", "box", tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "out", "--compare")
    assert ended.code == 0, ended.err
    assert ended.out == f"Written: 2 pictures in {tmp_path / 'out'}, each with its comparison\n"
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a-compare.png", "a.png", "b.jpg", "b.jpg-compare.png"]
    large = read_image(tmp_path / "out" / "a-compare.png")
    assert large.height > large.width / 2  # a row for the whole, and one for a detail
    # Left is the picture, right what became of it: noise, and smoothed noise.
    top = read_image(tmp_path / "out" / "b.jpg-compare.png").pixels[..., 0].astype(float)
    half = top.shape[1] // 2
    spread = [np.abs(np.diff(side, axis=0)).sum() for side in (top[:, :half], top[:, half:])]
    assert spread[1] < 0.6 * spread[0]
    ended = tilewright("filter", "box", tmp_path / "a.png", tmp_path / "out" / "c.png", "--compare")
    assert ended.out == f"Written: {tmp_path / 'out' / 'c.png'}, {tmp_path / 'out' / 'c-compare.png'}\n"
    ended = tilewright("filter", "box", tmp_path / "out", tmp_path / "next", "--compare")
    assert ended.code == 1  # a.png's comparison has the name of a picture that is there
    assert "would both write to" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name a filter, the pictures, and what to write: NAME IN... OUT."),
        (("box",), "Name at least one picture, and what to write: IN... OUT."),
        (("box", "a.png"), "Name at least one picture, and what to write: IN... OUT."),
        (("boxx", "a.png", "b.png"), "error: named needs the name of a filter: identity, box,"),
        (
            ("box", "a.png", "b.png", "--sigma", "2"),
            "error: The filter box has the parameters size. Received: sigma=2.",
        ),
        (
            ("gaussian", "a.png", "b.png", "--sigma", "x"),
            "'x' is no number, nor numbers with commas between them.",
        ),
        (("gaussian", "a.png", "b.png", "--sigma", "nan"), "error: gaussian needs sigma"),
        (("box", "a.png", "b.png", "--size", "-3"), "error: box needs size"),
        (
            ("--kernel", "1 2; 3", "a.png", "b.png"),
            "'1 2; 3' isn't rows of numbers such as '0 1 0; 1 -4 1; 0 1 0'.",
        ),
        (("--kernel", "", "a.png", "b.png"), "'' isn't rows of numbers"),
        (
            ("--kernel", "1", "--sigma", "2", "a.png", "b.png"),
            "The numbers of --kernel are all there is to it",
        ),
        (
            ("box", "a.png", "b.png", "--border", "black"),
            "'black' is not one of 'reflect', 'mirror', 'nearest',",
        ),
        (("box", "a.png", "b.png", "--quality", "101"), "101 is not in the range 1<=x<=100."),
    ],
)
def test_wrong_usage_ends_with_2(tilewright: Command, arguments: tuple[str, ...], message: str) -> None:
    ended = tilewright("filter", *arguments)
    assert ended.code == 2
    assert message in ended.err


def test_the_list_names_all_and_their_sources(tilewright: Command) -> None:
    out = tilewright("filter", "--list").out
    for name in names():
        assert f"{name} " in out
        assert tw.image.named(name).source in out
    found = tilewright("filter", "--list", "--json").json["filters"]
    assert [entry["name"] for entry in found] == list(names())
    assert found[1] == {"name": "box", "parameters": {"size": 3}, "source": tw.image.named("box").source}


def test_what_is_written_out_is_the_librarys() -> None:
    known = {name for filter_name in names() for name in parameters_of(filter_name)}
    assert {name for name, _, _ in filter_module.PARAMETERS} == known
    assert set(filter_module.BORDERS) <= set(borders.border_names())
    assert inspect.signature(tw.image.filter).parameters["border"].default == "reflect"


def test_ctrl_c_keeps_what_was_done(
    tilewright: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tilewright.cli import pictures

    real = pictures.wait
    calls = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(pictures, "wait", interrupted)
    ended = tilewright("filter", "box", photos, tmp_path / "out", "--jobs", 1)
    assert ended.code == 130
    written = list((tmp_path / "out").iterdir())
    assert 1 <= len(written) <= 4
    assert ended.err == (
        f"Stopped by Ctrl-C after {len(written)} of 4 pictures; "
        f"what is written is kept in {tmp_path / 'out'}.\n"
    )
    assert all(read_image(path).width for path in written)


def test_a_full_disk_is_one_line(
    tilewright: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ended = tilewright("filter", "box", photos / "grey.png", tmp_path / "a.png")
    assert (ended.code, ended.only_error) == (
        2,
        f"error: No space left on device: {str(tmp_path / 'a.png')!r}",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [photos.name]


def test_volumes_take_their_own_way(tilewright: Command, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile isn't installed")
    stack = noise(5, 12, 14)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    ended = tilewright("filter", "gaussian", tmp_path / "a.tif", tmp_path / "b.tif", "--sigma", 1.5)
    assert (ended.code, ended.out) == (0, f"Written: {tmp_path / 'b.tif'}\n"), ended.err
    same(tifffile.imread(tmp_path / "b.tif"), tw.image.filter(stack, tw.image.gaussian(1.5, rank=3)))
    ended = tilewright("filter", "--kernel", "1 0; 0 1", tmp_path / "a.tif", tmp_path / "c.tif")
    assert ended.code == 2
    assert ended.only_error == "error: A kernel of rows is for pictures. Received: axes=3. Use a NAME."
    ended = tilewright("filter", "box", tmp_path / "a.tif", tmp_path / "c.tif", "--gain", 2)
    assert ended.code == 2
    assert "A volume is filtered without --gain and --negative. Received: gain=2.0" in ended.only_error


def test_float_pictures_stay_as_they_are(tilewright: Command, tmp_path: Path) -> None:
    pytest.importorskip("tifffile", reason="tifffile isn't installed")
    values = np.random.default_rng(0).standard_normal((9, 8, 3)).astype(np.float32)
    write_image(tmp_path / "a.tif", Picture(values))
    assert tilewright("filter", "laplacian", tmp_path / "a.tif", tmp_path / "b.tif").code == 0
    same(read_image(tmp_path / "b.tif").pixels, tw.image.filter(values, "laplacian", channel_axis=2))


def test_a_terminal_gets_a_bar(photos: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="terminals are imitated by a call that this system lacks")
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "tilewright", "filter", "box", str(photos), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert ended.returncode == 0
    assert "4/4" in shown
    assert ended.stdout.decode() == f"Written: 4 pictures in {tmp_path / 'out'}\n"
