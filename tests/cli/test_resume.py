"""``tilewright resume``: going on with runs of all kinds, and refusing what can't be gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.commands import Command
from cli.test_train import weights
from train.test_trainer import trainer_of

from tilewright.train.config_file import read_config
from tilewright.train.events import PREFIX

SHORT = ("--batch-size", 15, "--quiet", "--no-pictures", "--validate-every", 2)
KINDS = {
    "plain": ("--lr-decay", "none"),
    "everything": (
        "--optimizer", "adamw", "--lr", 0.001, "--schedule", "step", "--schedule-factor", 0.5, "--ema", 0.9,
        "--mixup", 0.3, "--augment", "shift=2,rotate=5", "--class-weight", "balanced",
        "--label-smoothing", 0.1, "--clip-norm", 0.5, "--accumulate", 2, "--workers", 2, "--tensorboard",
    ),
    "rmsprop": (
        "--optimizer", "rmsprop", "--lr", 0.001, "--momentum", 0.5, "--patience", 30, "--clip-value", 0.1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_run_is_that_which_was_longer_from_the_start(
    tilewright: Command, tmp_path: Path, idx_folder: Path, kind: str
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    common = ("train", "mnist", "--data", idx_folder, *SHORT, *KINDS[kind])
    assert tilewright(*common, "--epochs", 3, "--out", whole).code == 0
    assert tilewright(*common, "--epochs", 1, "--out", run).code == 0
    ended = tilewright("resume", run, "--epochs", 3, "--quiet", "--no-pictures")
    assert ended.code == 0, ended.err
    assert weights(run) == weights(whole)
    # (The file also notes how many epochs were planned when it was written.)
    assert weights(run, "model.safetensors") == weights(whole, "model.safetensors")
    assert read_config(run / "config.toml").recipe["epochs"] == 3
    assert any(run.glob(f"{PREFIX}*")) == (kind == "everything")


def test_a_finished_run_says_its_result_again(tilewright: Command, tmp_path: Path, digits_run: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    before = weights(run)
    found = tilewright("resume", run, "--json", "--no-pictures").json
    assert found["run"] == str(run)
    assert found["steps"] == 48
    assert weights(run) == before


def test_data_that_has_moved_is_named(tilewright: Command, tmp_path: Path, idx_folder: Path) -> None:
    run = tmp_path / "run"
    assert tilewright("train", "mnist", "--data", idx_folder, *SHORT, "--epochs", 1, "--out", run).code == 0
    moved = tmp_path / "elsewhere"
    idx_folder.rename(moved)
    ended = tilewright("resume", run, "--quiet")
    assert ended.code == 2
    assert f"folder={str(idx_folder)!r}, which isn't a folder" in ended.only_error
    ended = tilewright("resume", run, "--data", moved, "--epochs", 2, "--quiet", "--no-pictures")
    assert ended.code == 0, ended.err
    assert read_config(run / "config.toml").data.folder == str(moved)


def test_what_is_no_run_of_the_command_is_refused(tilewright: Command, tmp_path: Path) -> None:
    ended = tilewright("resume", tmp_path)
    assert ended.code == 2
    assert "Resuming needs the folder of a run, with config.toml and last.safetensors." in ended.only_error
    trainer_of(tmp_path / "run", epochs=1).fit()
    ended = tilewright("resume", tmp_path / "run")
    assert ended.code == 2
    assert "Resuming by the command needs a run that the command made." in ended.only_error
    assert "One made in Python is resumed there: trainer.fit(resume=True)." in ended.only_error


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("epochs = 2", 'epochs = "two"', "A recipe needs epochs of the type int. Received: epochs='two'."),
        ('dataset = "digits"', "dataset = 3", "A recipe needs dataset of the type str. Received: dataset=3."),
        ("[recipe]", "[recipe]\nspeed = 3", "A recipe has the settings dataset, data, "),
        (
            "[recipe]",
            "[recipe]\nlr2 = {}",
            "needs recipe.lr2 to be a text, a truth, a finite number, or a list",
        ),
        (
            "[recipe]",
            "[recipe]\naugment = []",
            "A recipe needs augment of the type tuple[str, ...]. Received: au",
        ),
        ("[recipe]", "[recipe]\nheld_out = 'x'", "A recipe needs held_out of the type float."),
    ],
)
def test_a_damaged_recipe_is_refused(
    tilewright: Command, tmp_path: Path, digits_run: Path, before: str, after: str, message: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    path = run / "config.toml"
    head, mark, tail = path.read_text().partition("[recipe]")
    path.write_text(head + (mark + tail).replace(before, after))
    ended = tilewright("resume", run, "--quiet")
    assert ended.code == 2
    assert message in ended.only_error


def test_train_with_resume_is_the_same_thing(tilewright: Command, tmp_path: Path, idx_folder: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    common = ("train", "mnist", "--data", idx_folder, *SHORT, "--epochs", 1)
    for place in (run, other):
        assert tilewright(*common, "--out", place).code == 0
    assert tilewright("resume", run, "--epochs", 2, "--quiet", "--no-pictures").code == 0
    ended = tilewright(
        "train", "mnist", "--out", other, "--resume", "--epochs", 2, "--quiet", "--no-pictures"
    )
    assert ended.code == 0, ended.err
    assert weights(run) == weights(other)
