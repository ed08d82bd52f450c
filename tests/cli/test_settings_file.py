"""``tilewright train --config``: every option as a key, the command line counts more, and refusals."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click
import pytest
from cli.commands import Command

from tilewright.cli import options
from tilewright.cli.settings_file import keys_of, read_settings
from tilewright.cli.train import train
from tilewright.errors import ArgumentError, FileFormatError
from tilewright.train.config_file import read_config
from tilewright.train.recipe import Recipe

# A value for every key that a file may have, in TOML.
EVERY_KEY = {
    "dataset": '"digits"',
    "data": '"some/folder"',
    "input": "[1, 8, 8]",
    "target": '"price"',
    "held_out": "0.25",
    "task": '"classify"',
    "model": '"lenet5"',
    "model_options": '["keep=0.9"]',
    "epochs": "3",
    "batch_size": "32",
    "accumulate": "2",
    "optimizer": '"adamw"',
    "lr": "1e-3",
    "momentum": "0.8",
    "weight_decay": "0.01",
    "schedule": '"cosine"',
    "warmup": "10",
    "schedule_every": "2",
    "schedule_factor": "0.5",
    "schedule_end": "0",
    "clip_norm": "1",
    "clip_value": "0.5",
    "ema": "0.99",
    "patience": "4",
    "min_delta": "0.001",
    "label_smoothing": "0.1",
    "class_weight": "[1, 2.5]",
    "mixup": "0.2",
    "augment": '["shift=2", "crop=8,1"]',
    "loss": '"l1"',
    "ignore_index": "-1",
    "seed": "7",
    "validate_every": "50",
    "log_every": "10",
    "workers": "2",
    "out": '"runs/here"',
    "overwrite": "true",
    "pictures": "false",
    "tensorboard": "true",
    "json": "false",
    "quiet": "true",
}


def file_of(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_option_is_a_key(tmp_path: Path) -> None:
    known = keys_of(train)
    assert set(known) == set(EVERY_KEY)
    text = "\n".join(f"{key} = {value}" for key, value in EVERY_KEY.items())
    found = read_settings(file_of(tmp_path, text), train)
    assert len(found) == len(EVERY_KEY)
    assert (found["input"], found["class_weight"]) == ((1, 8, 8), (1.0, 2.5))
    assert found["augment"] == ("shift=2", "crop=8,1")
    assert (found["data"], found["as_json"], found["overwrite"]) == (Path("some/folder"), False, True)
    assert isinstance(found["clip_norm"], float) or found["clip_norm"] == 1
    # The same values as the command line gives.
    line = {parameter.name: parameter for parameter in train.params}
    for key, words in (("input", "1,8,8"), ("augment", "shift=2,crop=8,1"), ("class_weight", "1,2.5")):
        assert line[key].type.convert(words, None, None) == found[key]


def test_every_setting_of_a_recipe_is_an_option() -> None:
    names = {parameter.name for parameter in train.params}
    assert set(Recipe.__dataclass_fields__) <= names
    settings = click.Command("x")
    for option in options.SETTINGS:
        option(settings)
    assert {parameter.name for parameter in settings.params} == set(Recipe.__dataclass_fields__)


def test_a_file_makes_a_run_and_the_command_line_counts_more(tilewright: Command, tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        f"""
        dataset = "digits"
        epochs = 5          # the command line says 1
        batch-size = 100    # with a dash, as the option has it
        optimizer = "adamw"
        lr = 0.002
        augment = ["shift=1"]
        pictures = false
        quiet = true
        out = "{(tmp_path / "run").as_posix()}"
        """,
    )
    ended = tilewright("train", "--config", path, "--epochs", 1, "--no-quiet")
    assert ended.code == 0, ended.err
    assert "step 15 of 15" in ended.err  # 1,437 images in batches of 100
    config = read_config(tmp_path / "run" / "config.toml")
    assert (config.training.epochs, config.training.batch_size) == (1, 100)
    assert config.optimizer.name == "AdamW" and config.optimizer.options["lr"] == 0.002
    assert config.data.augment == ("Compose([RandomShift((1, 1), fill=0)]) with seed 0",)
    # The used settings, those that were chosen for the user as well.
    assert config.recipe == {
        "dataset": "digits", "task": "classify", "model": "digitnet", "epochs": 1, "batch_size": 100,
        "optimizer": "adamw", "lr": 0.002, "weight_decay": 0.01, "schedule": "none", "augment": ["shift=1"],
        "seed": 0,
    }  # fmt: skip


def test_a_runs_own_configuration_makes_it_again(tilewright: Command, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert tilewright("train", "digits", "--epochs", 1, "--out", first, "--quiet", "--no-pictures").code == 0
    ended = tilewright(
        "train", "--config", first / "config.toml", "--out", second, "--quiet", "--no-pictures"
    )
    assert ended.code == 0, ended.err
    assert (first / "config.toml").read_bytes() == (second / "config.toml").read_bytes()
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "epoch = 3",
            "needs keys that are options of 'tilewright train'. Received: epoch=3. Did you mean epochs?",
        ),
        ("learning_rate = 3", "Received: learning_rate=3. The keys are data"),
        ("config = 'x'", "Received: config='x'."),
        ("resume = true", "Received: resume=True."),
        ("[optimizer]\nname = 'sgd'", "needs optimizer to be one of sgd, adam, adamw, rmsprop. Received: "),
        (
            "epochs = '5'",
            "needs epochs to be a whole number of at least 1. Received: epochs='5'. "
            "Write it without quotes: epochs = 5.",
        ),
        ("epochs = 0", "needs epochs to be a whole number of at least 1. Received: epochs=0."),
        ("epochs = 1.5", "needs epochs to be a whole number of at least 1. Received: epochs=1.5."),
        ("epochs = true", "needs epochs to be a whole number of at least 1. Received: epochs=True."),
        ("epochs = 'many'", "needs epochs to be a whole number of at least 1. Received: epochs='many'."),
        ("lr = 'fast'", "needs lr to be a number above 0. Received: lr='fast'."),
        ("lr = -1", "needs lr to be a number above 0. Received: lr=-1."),
        ("lr = '1e-3'", "Received: lr='1e-3'. Write it without quotes: lr = 1e-3."),
        ("lr = [1]", "needs lr to be a number above 0. Received: lr=[1]."),
        ("momentum = 1", "needs momentum to be a number of at least 0 and below 1. Received: momentum=1."),
        ("seed = -1", "needs seed to be a whole number of at least 0 and of at most 9223372036854775807."),
        ("model = 'lenet6'", "needs model to be one of digitnet, lenet5, "),
        ("model = 5", "needs model to be one of digitnet, lenet5, "),
        ("pictures = 1", "needs pictures to be true or false. Received: pictures=1."),
        ("pictures = 'true'", "Received: pictures='true'. Write it without quotes: pictures = true."),
        ("data = 3", "needs data to be a path. Received: data=3."),
        ("target = 3", "needs target to be a text. Received: target=3."),
        ("input = [1, 0]", "needs input to be sizes from 1 on, such as [1, 28, 28]. Received: input=[1, 0]."),
        ("input = 3", "needs input to be sizes from 1 on"),
        ("input = []", "needs input to be sizes from 1 on"),
        ("augment = [1]", 'needs augment to be a list of texts such as ["shift=2", "flip"]. Received: augm'),
        ("class_weight = 'even'", "needs class_weight to be 'balanced' or a list of numbers, one for each"),
        ("class_weight = [true]", "needs class_weight to be 'balanced' or a list of numbers"),
        ("class_weight = 2", "needs class_weight to be 'balanced' or a list of numbers"),
        ("batch_size = 3\nbatch-size = 4", "needs each key once. Received: batch-size twice."),
        ("epochs = ", "isn't a TOML file in UTF-8. Received: Invalid value"),
        ("a = " + "[" * 5000, "isn't a TOML file in UTF-8."),
        ("format = 1", "is that of a run, and needs a table recipe, which runs made by the command have."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tilewright: Command, tmp_path: Path, line: str, message: str) -> None:
    path = file_of(tmp_path, line)
    ended = tilewright("train", "digits", "--config", path, "--out", tmp_path / "run")
    assert ended.code == 2
    assert message in ended.only_error, difflib.ndiff([message], [ended.only_error])
    assert repr(str(path)) in ended.only_error
    assert not (tmp_path / "run").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    with pytest.raises(ArgumentError, match=r"--config needs a file that exists\."):
        read_settings(path, train)
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(
        FileFormatError, match=r"run\.toml' isn't a TOML file in UTF-8\. Received: 'utf-8' codec"
    ):
        read_settings(path, train)
    path.write_bytes(b"# long\n" * 200_000)
    with pytest.raises(FileFormatError, match="needs to be at most 1048576 bytes long"):
        read_settings(path, train)
    with pytest.raises(FileFormatError, match=r"--config needs an ordinary file\."):
        read_settings(tmp_path, train)


@pytest.mark.parametrize("damage", [lambda t: t.replace("lr = ", "lr = 'x' # "), lambda t: t + "\n[more]\n"])
def test_a_damaged_configuration_of_a_run_is_refused(
    tilewright: Command, tmp_path: Path, digits_run: Path, damage: Any
) -> None:
    path = file_of(tmp_path, damage((digits_run / "config.toml").read_text()))
    ended = tilewright("train", "--config", path, "--out", tmp_path / "run", "--epochs", 1, "--quiet")
    # What counts of a run's own file is its recipe; the rest isn't looked at.
    if "[more]" in path.read_text():
        assert ended.code == 0
    else:
        assert ended.code == 2
        assert "needs lr to be a number above 0. Received: lr='x'." in ended.only_error
