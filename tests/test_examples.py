"""Every script under ``examples/`` runs without a window, draws its figures, and prints the right numbers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
# A script takes seconds; ten minutes is a hang, on any machine.
MOST_SECONDS = 600


def numbers(text: str) -> list[float]:
    """All numbers of a text, in order."""
    return [float(found) for found in re.findall(r"[+-]?\d+(?:\.\d+)?", text)]


def line(said: str, start: str) -> str:
    """What stands behind the one line's beginning."""
    found = [rest[len(start) :] for rest in said.splitlines() if rest.startswith(start)]
    assert len(found) == 1, f"{len(found)} lines start with {start!r}:\n{said}"
    return found[0]


def smoothing_a_curve(said: str) -> None:
    assert numbers(line(said, "smoothed ")) == [4.62, 9.57, 15.18, 19.8, 25.08]
    # Eleven independent errors average to 1/√11 = 0.30 of one; the bends cost a little more.
    before, after = numbers(line(said, "noise before"))[0], numbers(line(said, "noise after"))[0]
    assert after < 0.4 * before


def edges_of_a_curve(said: str) -> None:
    expected = [-0.5, 1, -0.5, -45.5, 1, -0.5, -0.5, 46, -0.5, -0.5, 0.5]
    assert numbers(line(said, "edges ")) == expected
    assert numbers(line(said, "peaks at index ")) == [3, 7, -45.5, 46]


def learning_a_kernel(said: str) -> None:
    for name, most_wrong in (("without a bias", 0.01), ("with a bias", 0.03)):
        for start in range(4):
            loss, *weights = numbers(line(said, f"{name}, start {start}: loss "))
            assert abs(weights[0] - 1) < most_wrong and abs(weights[1] + 1) < most_wrong
            assert loss < 0.01
            if name == "with a bias":
                assert abs(weights[2]) < 0.01


def convolution_as_a_matrix(said: str) -> None:
    assert said.count("the same numbers as the convolution: True") == 3
    assert said.count("its transpose is the transposed convolution: True") == 2
    assert "False" not in said
    for size in ("7 × 9", "4 × 9", "9 × 16"):
        assert f"matrix {size}," in said


def moving_ball(said: str) -> None:
    assert "film (5, 320, 320), kernel (2, 3, 3), motion (4, 318, 318)" in said
    # float32 sums of eighteen ninths of numbers up to 1: their roundings stay below a millionth.
    assert numbers(line(said, "where nothing moves"))[0] <= 1e-6
    assert numbers(line(said, "inside the ball"))[0] <= 1e-6
    # The ball is 1, the lightest of what it covers 0.45.
    assert numbers(line(said, "where the ball covers it"))[0] == 0.55
    assert numbers(line(said, "where the ball uncovers it"))[0] == -0.55


def salt_and_pepper(said: str) -> None:
    assert "120 × 480 pixels, " in said
    noisy, mean, median = (
        numbers(line(said, f"{name} mean squared error "))[0]
        for name in ("10 % salt and pepper", "mean of 3 × 3       ", "median of 3 × 3     ")
    )
    # 0.041, 0.0066 and 0.0005 here.
    assert median < 0.3 * mean and mean < 0.4 * noisy


def edges_of_pictures(said: str) -> None:
    for name in ("china", "flower"):
        assert f"{name}: 427 × 640 pixels" in said
        assert f"{name}: horizontal edges are the turned picture's vertical ones: True" in said
        low, high = numbers(line(said, f"{name}: vertical edges from "))
        # Two columns of two pixels from 0 to 1: at most a half either way.
        assert -0.5 <= low < -0.1 and 0.1 < high <= 0.5
        assert 1 < numbers(line(said, f"{name}: lines on "))[0] < 15


def motion_in_a_street(said: str) -> None:
    things, boxed, frames = numbers(line(said, "ball: "))
    assert (things, frames) == (1, 50)
    # The ball is in sight, in part or whole, in frames 3 to 48; slivers at the edges may go unseen.
    assert 40 <= boxed <= 48
    for number, left in ((15, 56), (25, 136)):  # the second where the picture is darkest
        assert said.count(f"  frame {number}: ") == 1
        width, height, x, y = numbers(line(said, f"  frame {number}: "))
        assert abs(width - 49) <= 4 and abs(height - 49) <= 4 and abs(x - left) <= 2 and abs(y - 66) <= 2


def sklearn_digits(said: str) -> None:
    scores = [float(score) for score in re.findall(r"^channels .* accuracy ([\d.]+) %$", said, re.MULTILINE)]
    assert len(scores) == 4 and min(scores) > 80
    assert "Conv(1, 32, kernel_size=(3, 3), stride=(2, 2), padding=same)" in said
    # 98.2 % here; other instruction sets round otherwise.
    assert numbers(line(said, "450 unseen digits: accuracy "))[0] >= 97


def small_digit_network(said: str) -> None:
    accuracies = {int(step): float(share) for step, share in re.findall(r"batch +(\d+) .* ([\d.]+) %", said)}
    assert list(accuracies) == [1, 100, 200, 240]
    # 96 to 98 % here.
    assert accuracies[100] > 90 and accuracies[240] > 94
    assert line(said, "21322 weights, ") == "832 of them in the convolution"


def lenet5(said: str) -> None:
    # 95 % here; chance is 10 %.
    assert numbers(line(said, "validation accuracy "))[0] > 88
    assert "MaxPool2d" in said or "AvgPool2d" in said
    assert "Conv2d(1, 6," in said and "Conv2d(6, 16," in said and "Conv2d(16, 120," in said


def autoencoder(said: str) -> None:
    assert "64 pixels become 8 numbers: 8 to 1" in said
    error = numbers(line(said, "autoencoder "))[-1]
    mean = numbers(line(said, "mean image "))[-1]
    thumbnail = numbers(line(said, "thumbnail "))[-1]
    # 0.025 against 0.074 and 0.062 here.
    assert error < 0.6 * thumbnail and error < 0.6 * mean


def upsampling(said: str) -> None:
    errors = {
        name: numbers(line(said, f"{name} "))[-1] for name in ("nearest", "bilinear", "bicubic", "learnt")
    }
    # 0.042 against 0.047 to 0.053 here: a fit of 64 weights, which differs little from start to start.
    assert errors["learnt"] < 0.93 * min(errors["nearest"], errors["bilinear"], errors["bicubic"])


def small_shifts(said: str) -> None:
    unpooled, by_two, by_four = (
        numbers(line(said, f"{name}  change at a shift of 1, 2, 3, 4:"))
        for name in ("unpooled  ", "2 × 2 pool", "4 × 4 pool")
    )
    assert len(unpooled) == 4
    for whole, some, most in zip(unpooled, by_two, by_four, strict=True):
        assert most < some < whole
    # 0.58 and 0.42 against 0.81 here.
    assert by_two[0] < 0.8 * unpooled[0] and by_four[0] < 0.6 * unpooled[0]


def segment_digits(said: str) -> None:
    assert "256 scenes to learn from, 64 of other digits on another photograph" in said
    rest, ink = numbers(line(said, "IoU of the rest "))
    # 0.70 here after 160 steps; a network that marks nothing gets 0, one that marks everything 0.09.
    assert ink > 0.45 and rest > 0.9


def pixel_by_pixel(said: str) -> None:
    assert "digits: sequences of 64 pixels; an answer can see the last 125 of them" in said
    quarter, half, _, whole = (
        numbers(line(said, f"accuracy after {name} of the pixels "))[0]
        for name in ("a quarter", "half", "three quarters", "all")
    )
    # 42, 72, 90 and 90 % here; chance is 10 %.
    assert 20 < quarter < half < whole and whole > 80


def where_it_moves(said: str) -> None:
    # 98 % here; chance is 12.5 %, and twice that for who knows along which line, but not which way.
    assert numbers(line(said, "accuracy on 160 clips of unseen digits "))[0] > 85
    assert numbers(line(said, "accuracy on their frames in random order "))[0] < 40


#: For each script, how many figures it draws and the check of what it prints.
EXPECTED: dict[str, tuple[int, Callable[[str], None]]] = {
    "smoothing_a_curve": (1, smoothing_a_curve),
    "edges_of_a_curve": (1, edges_of_a_curve),
    "learning_a_kernel": (1, learning_a_kernel),
    "convolution_as_a_matrix": (3, convolution_as_a_matrix),
    "moving_ball": (1, moving_ball),
    "salt_and_pepper": (1, salt_and_pepper),
    "edges_of_pictures": (2, edges_of_pictures),
    "motion_in_a_street": (1, motion_in_a_street),
    "sklearn_digits": (1, sklearn_digits),
    "small_digit_network": (2, small_digit_network),
    "lenet5": (1, lenet5),
    "autoencoder": (1, autoencoder),
    "upsampling": (1, upsampling),
    "small_shifts": (1, small_shifts),
    "segment_digits": (1, segment_digits),
    "pixel_by_pixel": (1, pixel_by_pixel),
    "where_it_moves": (2, where_it_moves),
}


def test_every_example_has_its_numbers_checked_and_its_line_in_the_list() -> None:
    assert {script.stem for script in SCRIPTS} == set(EXPECTED)
    listed = re.findall(r"\[`(\w+)\.py`\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert sorted(name for name, _ in listed) == sorted(EXPECTED)
    assert all(name == target for name, target in listed)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_stays_short_and_names_its_own_command(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80, "an example is read in one go"
    assert f"    python examples/{script.name}" in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_draws_and_prints_the_right_numbers(script: Path, tmp_path: Path) -> None:
    figures, check = EXPECTED[script.stem]
    out = tmp_path / "deep" / "figures"  # which the script makes
    command = [sys.executable, "-W", "error", str(script), "--out", str(out)]
    if '"--quick"' in script.read_text(encoding="utf-8"):
        command.append("--quick")
    # One thread for BLAS: processes that fight over the cores with many threads take eight times as long.
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    # Without data sets of the machine at hand, so that the numbers are the same everywhere.
    environment.pop("TILEWRIGHT_DATA", None)
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=MOST_SECONDS
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert run.stderr == ""
    check(run.stdout)
    drawn = sorted(out.iterdir())
    assert len(drawn) == figures
    for path in drawn:
        assert f"figure {path}" in re.sub(" +", " ", run.stdout)
        see(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["deep"], "it writes to --out alone"


def see(path: Path) -> None:
    """Fail unless the file is a whole PNG picture of a sensible size, with dark words on a white page."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()
        pixels = np.asarray(image.convert("L"))
    height, width = pixels.shape
    assert 500 <= width <= 4000 and 300 <= height <= 4000, (width, height)
    assert pixels.min() < 0x40 and pixels.max() == 0xFF
