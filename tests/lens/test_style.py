"""Lettering, colours, and how a figure becomes a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tilewright.errors import ArgumentError
from tilewright.lens import style
from tilewright.lens.page import heat_picture, natural_picture, signed_picture

WHITE = (1.0, 1.0, 1.0)


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour, as WCAG 2.1 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_words_stand_out_from_the_paper() -> None:
    # WCAG 2.1 asks for a contrast of 4.5 between small words and what they stand on.
    for colour in (style.INK, style.MUTED, style.BLUE):
        assert 1.05 / (luminance(to_rgb(colour)) + 0.05) >= 4.5, colour


def test_the_signed_map_is_white_at_zero_and_equally_dark_on_both_arms() -> None:
    colours = style.diverging_map()
    assert colours(0.5)[:3] == pytest.approx(WHITE, abs=1e-6)  # a map of 511 steps has one at its middle
    for place in (0.1, 0.2, 0.3, 0.4, 0.5):
        below, above = luminance(colours(0.5 - place)[:3]), luminance(colours(0.5 + place)[:3])
        # Of one scale from 0 to 1: nearer than the eye tells apart on two different hues.
        assert abs(below - above) < 0.12
    darker = [luminance(colours(place)[:3]) for place in np.linspace(0.5, 1, 20)]
    assert darker == sorted(darker, reverse=True)


def test_signed_pictures_have_zero_white_and_marks_for_what_is_not_finite() -> None:
    picture = signed_picture(np.array([[-2.0, 0.0, 2.0, np.nan, np.inf, -np.inf]]), 2.0)
    assert picture.shape == (1, 6, 3)
    below, zero, above, *marked = picture[0]
    assert zero.tolist() == pytest.approx(WHITE, abs=1e-6)
    assert below[2] > below[0] and above[0] > above[2]  # blue, orange
    for pixel in marked:
        assert pixel.tolist() == pytest.approx(to_rgb(style.MARKED), abs=1e-12)


def test_heat_pictures_run_from_white_upwards() -> None:
    zero, one, missing = heat_picture(np.array([[0.0, 1.0, np.nan]]), 1.0)[0]
    assert zero.tolist() == pytest.approx(WHITE, abs=1e-6)
    assert luminance(tuple(one)) < 0.1
    assert missing.tolist() == pytest.approx(to_rgb(style.MARKED), abs=1e-12)


def test_natural_pictures_are_grey_coloured_or_the_mean() -> None:
    plane = np.array([[0.0, 5.0, 10.0, np.nan, np.inf]])
    grey = natural_picture(plane[None])[0]
    # The map has 256 steps, so a shade is right to half a step.
    assert grey[:3].tolist() == [pytest.approx([v] * 3, abs=0.5 / 255 + 1e-9) for v in (0.0, 0.5, 1.0)]
    colours = natural_picture(np.stack([plane, np.zeros_like(plane), 10 - plane]), (0.0, 10.0))[0]
    # Exact: three channels are scaled by division alone.
    assert colours[:3].tolist() == [[0.0, 0.0, 1.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]]
    mean = natural_picture(np.stack([plane, 10 - plane]), (0.0, 10.0))[0]
    assert mean[0].tolist() == pytest.approx([0.5] * 3, abs=0.5 / 255 + 1e-9)
    for picture in (grey, colours, mean):
        for pixel in picture[3:]:
            assert pixel.tolist() == pytest.approx(to_rgb(style.MARKED), abs=1e-12)


def test_a_flat_or_enormous_picture_has_a_scale() -> None:
    assert np.isfinite(natural_picture(np.full((1, 2, 2), 1e300))).all()
    huge = natural_picture(np.array([[[-1.7e308, 0.0, 1.7e308]]]))[0, :, 0]
    assert huge.tolist() == pytest.approx([0.0, 0.5, 1.0], abs=0.5 / 255 + 1e-9)  # half a step of the map


def test_words_are_cleaned_shortened_and_wrapped() -> None:
    assert style.clean("two\n lines,\ta tab") == "two lines, a tab"
    assert style.clean("digit \u4e8c \x00") == "digit \ufffd \ufffd"
    whole = "a rather long name"
    assert style.fit(whole, 9, 10.0) == whole
    cut = style.fit(whole, 9, 0.6)
    assert cut.endswith("…") and whole.startswith(cut[:-1].rstrip())
    assert style.text_width(cut, 9) <= 0.6
    lines = style.wrap(" ".join([whole] * 4), 9, 1.5)
    assert len(lines) > 2 and " ".join(lines) == " ".join([whole] * 4)
    assert all(style.text_width(line, 9) <= 1.5 for line in lines)
    assert style.wrap("", 9, 1.0) == []
    # Dollar signs are letters here, not mathematics.
    assert style.text_width("$x$", 9) > style.text_width("x", 9)


def test_save_writes_the_size_asked_for_and_returns_the_path(tmp_path: Path) -> None:
    path = style.save(style.new_figure(2.0, 1.0), str(tmp_path / "figure.PNG"))
    assert path == tmp_path / "figure.PNG"
    with Image.open(path) as image:
        assert image.size == (2 * style.DPI, style.DPI)


def test_a_saved_picture_has_the_usual_permissions(tmp_path: Path) -> None:
    path = style.save(style.new_figure(1.0, 1.0), tmp_path / "figure.png")
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_save_replaces_an_older_picture(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    style.save(style.new_figure(1.0, 1.0), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert os.listdir(tmp_path) == ["figure.png"]


def test_a_folder_is_no_place_for_a_picture(tmp_path: Path) -> None:
    folder = tmp_path / "folder.png"
    folder.mkdir()
    with pytest.raises(ArgumentError) as caught:
        style.save(style.new_figure(1.0, 1.0), folder)
    assert str(caught.value) == (
        f"A picture is saved to a file. Received: path={str(folder)!r}. "
        f"This path is a folder: name a file in it."
    )
    with pytest.raises(ArgumentError) as caught:
        style.save(style.new_figure(1.0, 1.0), tmp_path / "figure")
    assert str(caught.value) == (
        f"A picture is saved as a PNG file. Received: path={str(tmp_path / 'figure')!r}. "
        "Give a path that ends in .png."
    )
    with pytest.raises(ArgumentError) as caught:
        style.save(style.new_figure(1.0, 1.0), tmp_path / "no" / "figure.png")
    assert str(caught.value) == (
        f"A picture is saved into a folder that exists. "
        f"Received: path={str(tmp_path / 'no' / 'figure.png')!r}. "
        f"Make the folder {str(tmp_path / 'no')!r} first."
    )
