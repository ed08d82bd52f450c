"""The gallery: its page is the one that tools/gallery.py writes, and its pictures are there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tilewright as tw

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import gallery  # noqa: E402 - of tools/, which is no package

pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib, which isn't installed")


def test_the_page_is_up_to_date() -> None:
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page(), "make gallery writes it anew"


def test_every_picture_is_there_and_shown() -> None:
    made = {path.stem for path in gallery.IMAGES.glob("*.png")}
    assert made == {entry.name for entry in gallery.ENTRIES}


@pytest.mark.parametrize("name", ["borders", "gabor", "larger"])
def test_pictures_are_drawn_without_the_photographs_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn", reason="its photographs stand in, and it isn't installed")
    monkeypatch.setattr(
        sys, "argv", ["gallery", "--data", str(tmp_path), "--out", str(tmp_path), "--only", name]
    )
    gallery.main()
    picture = tw.image.read_image(tmp_path / f"{name}.png").pixels
    assert picture.shape[1] > 800 and picture.std() > 10
    assert not list(tmp_path.glob("*.part.png"))


def test_what_needs_a_clip_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [
        "gallery",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--only",
        "motion_in_a_street",
    ]
    monkeypatch.setattr(sys, "argv", order)
    gallery.main()
    assert "left as it is, for want of video/street.gif" in capsys.readouterr().out
    assert not list((tmp_path / "out").iterdir())
