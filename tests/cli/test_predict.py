"""``tilewright predict``: classes and probabilities, and what happens to bad files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from cli.commands import Command
from PIL import Image

from tilewright.train import Predictor, checkpoint


def test_images_are_named_the_likeliest_class_first(tilewright: Command, digits_run: Path) -> None:
    sample = digits_run / "samples" / "test-0.png"
    ended = tilewright("predict", digits_run, sample)
    assert ended.code == 0
    assert ended.err == ""
    words = ended.out.split()
    assert words[:2] == [str(sample), "0"]
    assert len(ended.out.splitlines()) == 1
    found = tilewright("predict", digits_run, sample, "--json", "--top", 10).json
    assert found["run"] == str(digits_run)
    assert found["errors"] == []
    answers = found["images"][0]["answers"]
    assert answers[0]["class"] == "0"
    assert sorted(entry["class"] for entry in answers) == list("0123456789")
    likely = [entry["probability"] for entry in answers]
    assert likely == sorted(likely, reverse=True)
    assert sum(likely) == pytest.approx(1.0, abs=1e-12)  # float64, a few roundings


def test_a_folder_gives_each_of_its_images(tilewright: Command, digits_run: Path) -> None:
    ended = tilewright("predict", digits_run, digits_run / "samples", "--top", 1)
    lines = [line.split() for line in ended.out.splitlines()]
    assert [Path(words[0]).name for words in lines] == [f"test-{digit}.png" for digit in range(10)]
    # After two passes over the training images nine in ten are right; of these ten, most.
    assert sum(words[1] == str(digit) for digit, words in enumerate(lines)) >= 7


def test_the_file_of_weights_alone_is_enough(tilewright: Command, digits_run: Path, tmp_path: Path) -> None:
    shutil.copy(digits_run / "model.safetensors", tmp_path / "sent.safetensors")
    samples = digits_run / "samples"
    alone = tilewright("predict", tmp_path / "sent.safetensors", samples, "--json").json["images"]
    assert alone == tilewright("predict", digits_run, samples, "--json").json["images"]


def test_dark_on_light_is_inverted_unless_told(tilewright: Command, digits_run: Path, tmp_path: Path) -> None:
    light = np.asarray(Image.open(digits_run / "samples" / "test-0.png"))
    Image.fromarray(255 - light).save(tmp_path / "dark.png")

    def zero(name: Path, invert: str) -> float:
        found = tilewright("predict", digits_run, name, "--json", "--invert", invert, "--top", 10).json
        answers = found["images"][0]["answers"]
        return float(next(entry["probability"] for entry in answers if entry["class"] == "0"))

    usual = zero(digits_run / "samples" / "test-0.png", "no")
    # 1 - (1 - v) is a float32 rounding from v, which the logits enlarge a little.
    assert zero(tmp_path / "dark.png", "auto") == pytest.approx(usual, abs=1e-5)
    assert zero(tmp_path / "dark.png", "yes") == pytest.approx(usual, abs=1e-5)
    assert zero(tmp_path / "dark.png", "no") < 0.5 < usual


@pytest.fixture
def bad_images(tmp_path: Path, digits_run: Path) -> list[Path]:
    whole = (digits_run / "samples" / "test-0.png").read_bytes()
    files = {
        "cut.png": whole[: len(whole) // 2],
        "foreign.png": b"not a picture at all",
        "lying.png": whole[:16] + (2**31 - 1).to_bytes(4, "big") * 2 + whole[24:],
        "empty.png": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return [*(tmp_path / name for name in files), tmp_path / "missing.png"]


def test_bad_files_are_reported_and_the_rest_is_done(
    tilewright: Command, digits_run: Path, bad_images: list[Path]
) -> None:
    good = digits_run / "samples" / "test-1.png"
    ended = tilewright("predict", digits_run, bad_images[0], good, *bad_images[1:])
    assert ended.code == 1
    assert [line.split()[0] for line in ended.out.splitlines()] == [str(good)]
    lines = ended.err.splitlines()
    assert len(lines) == len(bad_images)
    assert all(line.startswith("error: ") for line in lines)
    for path in bad_images:
        assert sum(str(path) in line for line in lines) == 1, path
    found = tilewright("predict", digits_run, good, *bad_images, "--json")
    assert found.code == 1
    assert len(found.json["images"]) == 1
    assert len(found.json["errors"]) == len(bad_images)


def test_when_all_are_bad_the_code_is_2(
    tilewright: Command, digits_run: Path, bad_images: list[Path]
) -> None:
    for path in bad_images:
        ended = tilewright("predict", digits_run, path)
        assert ended.code == 2
        assert str(path) in ended.only_error
    (bad_images[0].parent / "no-images").mkdir()
    ended = tilewright("predict", digits_run, bad_images[0].parent / "no-images")
    assert ended.code == 2
    assert "find_images needs a folder to hold images" in ended.only_error


def test_what_is_no_run_ends_with_2(tilewright: Command, digits_run: Path, tmp_path: Path) -> None:
    sample = digits_run / "samples" / "test-1.png"
    ended = tilewright("predict", tmp_path / "none", sample)
    assert ended.code == 2
    assert "A trained network is named by its run folder or its model.safetensors." in ended.only_error
    content = (digits_run / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-100])
    ended = tilewright("predict", tmp_path / "cut.safetensors", sample)
    assert ended.code == 2
    assert "cut.safetensors' isn't a whole safetensors file." in ended.only_error
    ended = tilewright("predict", digits_run / "last.safetensors", sample)
    assert ended.code == 2
    assert "last.safetensors' needs to hold a model that Tilewright saved." in ended.only_error


def test_an_autoencoder_names_nothing(tilewright: Command, digits_run: Path, tmp_path: Path) -> None:
    found = checkpoint.load(digits_run / "model.safetensors")
    found.state["config"]["training"]["task"] = "reconstruct"
    checkpoint.save(tmp_path / "model.safetensors", found.tensors, found.state)
    ended = tilewright("predict", tmp_path, digits_run / "samples")
    assert ended.code == 2
    assert (
        "Predicting needs a network that was trained to classify, regress or segment. Received: "
        in ended.only_error
    )


def test_a_file_with_too_few_names_is_refused(tilewright: Command, digits_run: Path, tmp_path: Path) -> None:
    found = checkpoint.load(digits_run / "model.safetensors")
    found.state["config"]["data"]["classes"] = ["0", "1"]
    checkpoint.save(tmp_path / "model.safetensors", found.tensors, found.state)
    ended = tilewright("predict", tmp_path, digits_run / "samples" / "test-0.png")
    assert ended.code == 2
    assert (
        "A classifier's file needs a name for each of its classes. Received: 2 names for 10"
        in ended.only_error
    )


def test_predictions_in_python_are_the_same(tilewright: Command, digits_run: Path) -> None:
    sample = digits_run / "samples" / "test-3.png"
    shown = tilewright("predict", digits_run, sample, "--json", "--top", 10).json["images"][0]["answers"]
    assert Predictor.open(digits_run).of_file(sample) == [(e["class"], e["probability"]) for e in shown]
