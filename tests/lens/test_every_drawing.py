"""What all drawings promise alike: a valid picture, equal bytes, legible words, clear refusals, no litter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import Seen, assert_legible, read_png

from tilewright.errors import ArgumentError, MissingExtraError
from tilewright.lens import (
    bands,
    compare,
    confusion,
    curves,
    features,
    kernels,
    masks,
    matrix,
    mistakes,
    predictions,
    reconstruction,
    runs,
    style,
)

RANDOM = np.random.default_rng(20)
LONG = "a name that is far too long for the little room there is beside a picture"
IMAGES = RANDOM.random((12, 1, 8, 8))
COLOURS = RANDOM.random((40, 3, 9, 9))
WEIGHTS = RANDOM.normal(size=(16, 3, 5, 5))
COUNTS = RANDOM.integers(0, 20000, (10, 10))
MANY_COUNTS = RANDOM.integers(0, 3000, (30, 30))
MASKS = RANDOM.integers(0, 3, (12, 8, 8))
STEP = np.repeat([0.0, 1.0, 0.0], 6)
TEN = [str(digit) for digit in range(10)]
ROWS = [
    {
        "step": step,
        "epoch": step // 250,
        "train_loss": 3.0 / (1 + step / 20),
        "train_accuracy": 1 - 1 / (1 + step / 50),
        "val_loss": 3.1 / (1 + step / 20) if step % 100 == 0 else "",
        "val_accuracy": 0.99 - 1 / (2 + step / 50) if step % 100 == 0 else None,
    }
    for step in range(10, 1210, 10)
]

Draw = Callable[[Path], Path]
# One plain case for each drawing, under the name of its module.
PLAIN: dict[str, Draw] = {
    "curves": lambda path: curves.draw_curves(ROWS, path),
    "kernels": lambda path: kernels.draw_kernels(WEIGHTS, path),
    "features": lambda path: features.draw_features(IMAGES[0], [("conv1", IMAGES[:, 0] - 0.5)], path),
    "confusion": lambda path: confusion.draw_confusion(COUNTS, TEN, path),
    "mistakes": lambda path: mistakes.draw_mistakes(
        IMAGES, np.arange(12) % 10, np.arange(12) // 2, np.linspace(0.2, 1, 12), TEN, path
    ),
    "reconstruction": lambda path: reconstruction.draw_reconstruction(
        IMAGES, 0.9 * IMAGES, path, ratio=24.5, baselines={"mean image": IMAGES.mean(axis=0)}
    ),
    "masks": lambda path: masks.draw_masks(IMAGES, MASKS, np.roll(MASKS, 1), ["ground", "one", "two"], path),
    "predictions": lambda path: predictions.draw_predictions(IMAGES[:, 0, 0], IMAGES[:, 0, 1], path),
    "runs": lambda path: runs.draw_runs({"first": ROWS, "second": ROWS[::3]}, path),
    "bands": lambda path: bands.draw_panels([("step", STEP), ("picture", IMAGES[0, 0])], path, "Panels"),
    "compare": lambda path: compare.draw_series(np.arange(18), {"step": STEP}, path, "n", "value", "Step"),
    "matrix": lambda path: matrix.draw_matrix(matrix.convolution_matrix([1, -2, 1], 8), path),
}
# Cases that crowd a page: long names, many classes, few or very many things.
CROWDED: dict[str, Draw] = {
    "one row of metrics": lambda path: curves.draw_curves(ROWS[:1], path),
    "a hundred epochs": lambda path: curves.draw_curves(
        [row | {"epoch": i} for i, row in enumerate(ROWS)], path
    ),
    "loss only": lambda path: curves.draw_curves([{"step": 1, "val_loss": 123456.0}], path, LONG),
    "large numbers": lambda path: curves.draw_curves(
        [row | {"step": 1_000_000 * row["step"], "train_loss": 1e6 * row["train_loss"]} for row in ROWS], path
    ),
    "a diverged run": lambda path: curves.draw_curves(
        [*ROWS, {"step": 2000, "train_loss": float("nan")}], path
    ),
    "thousands of kernels": lambda path: kernels.draw_kernels(np.tile(WEIGHTS, (4, 30, 1, 1)), path, LONG),
    "one kernel": lambda path: kernels.draw_kernels(WEIGHTS[:1, :1], path),
    "kernels in 1-D": lambda path: kernels.draw_kernels(WEIGHTS[:, :, 0], path),
    "one kernel in 1-D": lambda path: kernels.draw_kernels(WEIGHTS[:1, :1, 0], path),
    "kernels in 3-D": lambda path: kernels.draw_kernels(WEIGHTS[:, :, None], path),
    "many slices": lambda path: kernels.draw_kernels(RANDOM.normal(size=(2, 2, 30, 2, 2)), path),
    "long layer names": lambda path: features.draw_features(
        COLOURS[0],
        [(LONG, COLOURS[:, 0]), ("b", np.zeros((1200, 1, 1))), ("c", COLOURS[:2, 1] * 1e9)],
        path,
        LONG,
    ),
    "two classes": lambda path: confusion.draw_confusion([[1, 2], [3, 4]], ["cat", "dog"], path),
    "one class": lambda path: confusion.draw_confusion([[1]], ["cat"], path),
    "ten long names": lambda path: confusion.draw_confusion(COUNTS, [LONG] * 10, path),
    "thirty classes": lambda path: confusion.draw_confusion(
        MANY_COUNTS, [f"class {i}" for i in range(30)], path
    ),
    "ninety classes": lambda path: confusion.draw_confusion(
        np.tile(MANY_COUNTS, (3, 3)), [f"the class {i}" for i in range(90)], path
    ),
    "millions": lambda path: confusion.draw_confusion(1_000_000 * COUNTS, TEN, path),
    "no mistakes": lambda path: mistakes.draw_mistakes(IMAGES, [1] * 12, [1] * 12, [1.0] * 12, TEN, path),
    "one mistake": lambda path: mistakes.draw_mistakes(IMAGES[:1], [1], [2], [1.0], TEN, path),
    "forty long mistakes": lambda path: mistakes.draw_mistakes(
        COLOURS, [0] * 40, [1] * 40, np.ones(40), [LONG, LONG], path
    ),
    "long baselines": lambda path: reconstruction.draw_reconstruction(
        COLOURS, COLOURS, path, ratio=123456.789, baselines={LONG: COLOURS * 1e6, "zero": 0 * COLOURS}
    ),
    "one reconstruction": lambda path: reconstruction.draw_reconstruction(
        IMAGES[:1], IMAGES[:1], path, ratio=1
    ),
    "forty long classes": lambda path: masks.draw_masks(
        COLOURS[:1],
        MASKS[:1, :1, :1] * 13 + np.zeros((1, 9, 9), int),
        np.full((1, 9, 9), -100),
        [f"{place} {LONG[:place]}" for place in range(40)],
        path,
    ),
    "one class of pixels": lambda path: masks.draw_masks(IMAGES[:, 0], 0 * MASKS, 0 * MASKS, [LONG], path),
    "one answer": lambda path: predictions.draw_predictions([1e9], [-1e9], path, [LONG]),
    "many answers": lambda path: predictions.draw_predictions(
        RANDOM.normal(size=(9000, 7)) * 1e-7, RANDOM.normal(size=(9000, 7)) * 1e7, path, [LONG] * 7
    ),
    "answers that broke": lambda path: predictions.draw_predictions(
        [[1.0, 2.0], [1.0, 2.0]], [[np.nan, 1.0], [np.inf, 1.0]], path
    ),
    "thirty runs": lambda path: runs.draw_runs({f"{i} {LONG[:i]}": ROWS[i:] for i in range(30)}, path, LONG),
    "a run of one row": lambda path: runs.draw_runs({LONG: [{"step": 1, "val_loss": 12345.6}]}, path),
    "six mixed panels": lambda path: bands.draw_panels(
        [(LONG, IMAGES[0, 0]), ("b", {LONG: STEP, "two": STEP, "three": -STEP}), ("c", STEP * 1e7)] * 2,
        path,
        LONG,
        signed=[True, False, False] * 2,
    ),
    "flat and tall": lambda path: bands.draw_panels([("f", np.eye(2, 90)), ("t", np.eye(90, 2))], path),
    "thirty series": lambda path: compare.draw_series(
        np.arange(18) * 1e-7, {f"{i} {LONG[:i]}": STEP * 1e-9 * i for i in range(30)}, path, LONG, "y", LONG
    ),
    "a large matrix": lambda path: matrix.draw_matrix(
        matrix.convolution_matrix(np.ones((3, 3)), (24, 24)), path, LONG, blocks=(22, 24)
    ),
    "long entries": lambda path: matrix.draw_matrix(-1.23456e-7 * np.eye(20), path),
    "one entry": lambda path: matrix.draw_matrix([[1]], path),
    "a flat matrix": lambda path: matrix.draw_matrix(np.ones((1, 3000)), path),
}
EVERY = PLAIN | CROWDED


@pytest.mark.parametrize("name", EVERY)
def test_it_is_a_legible_picture(name: str, tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "picture.png"
    assert EVERY[name](path) == path
    read_png(path)
    assert_legible(seen)
    assert os.listdir(tmp_path) == ["picture.png"]


@pytest.mark.parametrize("name", PLAIN)
def test_equal_data_give_equal_bytes(name: str, tmp_path: Path) -> None:
    first = PLAIN[name](tmp_path / "first.png").read_bytes()
    second = PLAIN[name](tmp_path / "second.png").read_bytes()
    assert first == second


def test_threads_draw_what_one_thread_draws(tmp_path: Path) -> None:
    names = list(PLAIN) * 2
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(PLAIN[name], tmp_path / f"{place}.png") for place, name in enumerate(names)]
        drawn = [job.result().read_bytes() for job in jobs]
    for name, picture in zip(names, drawn, strict=True):
        assert picture == PLAIN[name](tmp_path / "alone.png").read_bytes(), name


@pytest.mark.parametrize("name", PLAIN)
def test_a_place_where_no_picture_can_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"^A picture is saved as a PNG file\. Received: path='.*picture\.jpg'\."
    ):
        PLAIN[name](tmp_path / "picture.jpg")
    with pytest.raises(
        ArgumentError, match=r"^A picture is saved into a folder that exists\. Received: path="
    ):
        PLAIN[name](tmp_path / "nowhere" / "picture.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", PLAIN)
def test_without_matplotlib_the_extra_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules makes an import fail as if the package were not there.
    for module in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as caught:
        PLAIN[name](tmp_path / "picture.png")
    assert str(caught.value) == (
        "Drawing a picture needs the package matplotlib, which is not installed. "
        "Install it with: pip install 'tilewright[plot]'."
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("stage", ["render", "write", "replace"])
def test_a_failure_leaves_the_old_picture_and_nothing_else(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"the old one")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no room on the disk")

    module, name = {"render": (style, "render"), "write": (os, "fsync"), "replace": (os, "replace")}[stage]
    monkeypatch.setattr(module, name, fail)
    with pytest.raises(OSError, match=r"^no room on the disk$"):
        PLAIN["matrix"](path)
    assert os.listdir(tmp_path) == ["picture.png"]
    assert path.read_bytes() == b"the old one"


SCRIPT = """
import sys
import numpy as np
from tilewright.lens import kernels, compare, matrix
early = [name for name in sys.modules if name.partition(".")[0] in ("matplotlib", "PIL")]
matrix.convolution_matrix([1.0, 2.0], 4)
assert not early, early
kernels.draw_kernels(np.ones((1, 1, 3, 3)), sys.argv[1])
compare.draw_series([0, 1], {"a": [0, 1]}, sys.argv[1])
import matplotlib
assert "matplotlib.pyplot" not in sys.modules
with matplotlib.rc_context():
    matplotlib.rcdefaults()
    plain = dict(matplotlib.rcParams)
assert dict(matplotlib.rcParams) == plain
"""


def test_matplotlib_comes_late_and_its_global_state_is_left_alone(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "picture.png")],
        capture_output=True,
        text=True,
        check=False,
        # A settings file of the user's would make the comparison with the defaults meaningless.
        env=os.environ | {"MATPLOTLIBRC": str(_empty_settings(tmp_path)), "DISPLAY": ""},
    )
    assert child.returncode == 0, child.stderr


def _empty_settings(folder: Path) -> Path:
    settings = folder / "matplotlibrc"
    settings.write_text("")
    return settings


def test_read_only_and_oddly_strided_arrays_are_drawn_the_same_and_left_alone(tmp_path: Path) -> None:
    plain = kernels.draw_kernels(WEIGHTS, tmp_path / "a.png").read_bytes()
    mirrored = np.asfortranarray(WEIGHTS[::-1])[::-1]
    mirrored.flags.writeable = False
    before = mirrored.copy()
    assert kernels.draw_kernels(mirrored, tmp_path / "b.png").read_bytes() == plain
    assert np.array_equal(mirrored, before)
