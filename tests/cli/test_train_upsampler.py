"""``tilewright train upsampler``: its words, its JSON, its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli.commands import Command

from tilewright.cli.train_upsampler import PRESETS
from tilewright.train.upsampler import load_upsampler
from tilewright.train.upsampler_training import PRESETS as KNOWN

pillow = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of noise; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    for n in range(4):
        noise = np.random.default_rng(n).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        pillow.fromarray(noise).save(folder / f"noise-{n}.png")
    return folder


SMALL = ("--preset", "quick", "--features", 4, "--blocks", 1, "--steps", 5, "--patch", 12)


def test_it_says_how_well_it_does(tilewright: Command, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    judge = pictures / "noise-0.png"
    ended = tilewright("train", "upsampler", pictures, "--out", out, *SMALL, "--validate", judge)
    assert ended.code == 0, ended.err
    assert re.search(r"^Held-out PSNR \d+\.\d\d dB, bicubic \d+\.\d\d dB: [+-]\d\.\d\d dB", ended.out)
    assert "noise-0.png  bicubic " in ended.out and f"Written: {out}" in ended.out
    assert "Reading 4 pictures to learn from, 1 to judge by." in ended.err
    assert "step 5 of 5  held-out PSNR " in ended.err
    assert load_upsampler(out)[0].features == 4


def test_json_for_programs(tilewright: Command, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    ended = tilewright("train", "upsampler", pictures, "--out", out, *SMALL, "--json", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert found["steps"] == 5 and found["pictures"] == 3 and found["learnt"] >= found["bicubic"]
    assert json.dumps(found["held_out"][0]["name"]).startswith('"noise-')


def test_wrong_calls_are_one_line(tilewright: Command, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    out.write_text("mine")
    ended = tilewright("train", "upsampler", pictures, "--out", out, *SMALL)
    assert ended.code == 2 and "which is there already" in ended.only_error
    assert out.read_text() == "mine"
    ended = tilewright("train", "upsampler", tmp_path / "none", "--out", tmp_path / "n")
    assert ended.code == 2 and "files and folders that exist" in ended.only_error
    ended = tilewright("train", "upsampler", pictures, "--out", tmp_path / "n", "--start", out)
    assert ended.code == 2 and "isn't a whole safetensors file" in ended.only_error
    assert tilewright("train", "upsampler").code == 2
    assert tilewright("train", "upsampler", pictures, "--steps", 0).code == 2


def test_help_has_examples(tilewright: Command) -> None:
    assert tuple(KNOWN) == PRESETS
    ended = tilewright("train", "upsampler", "--help")
    assert ended.code == 0 and "train upsampler [OPTIONS] FOLDER" in ended.out
    assert "tilewright train upsampler photos --preset quick" in ended.out
    assert "tilewright train upsampler photos" in tilewright("train", "--help").out
