"""``tilewright train``: run folders, settings, resuming, and files that are not what they should be."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli.commands import Command

from tilewright.train import checkpoint
from tilewright.train.config_file import read_config

EVERYTHING = [
    "config.toml",
    "confusion.png",
    "curves.png",
    "features.png",
    "kernels.png",
    "last.safetensors",
    "metrics.csv",
    "mistakes.png",
    "model.safetensors",
    "report.json",
    "samples",
]


def weights(run: Path, file: str = "last.safetensors") -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in checkpoint.load(run / file).tensors.items()}


def test_a_run_from_start_to_the_commands_it_prints(tilewright: Command, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    ended = tilewright("train", "digits", "--epochs", 2, "--out", run, "--seed", 7)
    assert ended.code == 0
    assert sorted(os.listdir(run)) == EVERYTHING
    accuracy = re.search(r"Test accuracy (\d+\.\d+) %: \d+ of 360 held-out images right", ended.out)
    assert accuracy is not None
    # Two passes are enough for nearly nine in ten; chance is one in ten.
    assert float(accuracy[1]) > 80
    assert "Pictures: " in ended.out
    assert "Training digitnet (" in ended.err
    assert "1,437 images to learn from, 360 held out" in ended.err
    # The commands work when they are pasted.
    printed = [line.strip() for line in ended.out.partition("Worth trying next:\n")[2].splitlines()]
    assert len(printed) == 3
    for line in printed[:2]:
        words = shlex.split(re.split(r"  +", line)[0])
        assert words[0].endswith("tilewright")
        again = tilewright(*words[1:])
        assert again.code == 0, again.err
    config = read_config(run / "config.toml")
    assert (config.training.seed, config.training.epochs, config.data.name) == (7, 2, "digits")


def test_json_alone_stands_on_standard_output(tilewright: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    found = tilewright("train", "digits", "--epochs", 1, "--out", run, "--json", "--no-pictures").json
    assert (found["run"], found["model"], found["dataset"], found["task"]) == (
        str(run), "digitnet", "digits", "classify",
    )  # fmt: skip
    assert found["test"]["images"] == 360
    assert found["test"]["accuracy"] == found["best"]["accuracy"]
    assert found["pictures"] == []
    assert len(found["samples"]) == 10


def test_quiet_says_only_the_result(tilewright: Command, tmp_path: Path) -> None:
    ended = tilewright(
        "train", "digits", "--epochs", 1, "--out", tmp_path / "run", "--quiet", "--no-pictures"
    )
    assert ended.err == ""
    assert len(ended.out.splitlines()) == 1
    assert ended.out.startswith("Test accuracy ")


def test_an_autoencoder_is_shown_beside_its_baselines(tilewright: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = tilewright("train", "digits", "--model", "autoencoder", "--epochs", 1, "--out", run)
    assert ended.code == 0
    for words in ("Compression ", "the network", "a thumbnail of ", "the mean image", "Test loss "):
        assert words in ended.out
    assert (run / "reconstruction.png").is_file()
    assert not (run / "confusion.png").exists()
    assert not (run / "samples").exists()
    found = tilewright("train", "digits", "--resume", "--out", run, "--json", "--no-pictures").json
    assert (
        found["reconstruction"]["ratio"]
        == found["reconstruction"]["image_values"] / (found["reconstruction"]["embedding_values"])
    )


def test_a_run_folder_is_kept_replaced_or_taken_up(
    tilewright: Command, tmp_path: Path, idx_folder: Path
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    settings = ("train", "mnist", "--data", idx_folder, "--batch-size", 15, "--quiet", "--no-pictures")
    # A rate that falls to zero by the last step would make more epochs another run.
    settings = (*settings, "--lr-decay", "none")
    common = (*settings, "--out", run)
    assert tilewright(*common, "--epochs", 1).code == 0
    first = weights(run)
    ended = tilewright(*common, "--epochs", 1)
    assert ended.code == 2
    assert (
        "which holds an earlier run. Take that run up again (resume), replace it (overwrite)"
        in ended.only_error
    )
    assert tilewright(*common, "--epochs", 1, "--overwrite", "--seed", 1).code == 0
    assert weights(run) != first
    assert tilewright(*common, "--epochs", 1, "--overwrite").code == 0
    assert weights(run) == first
    # Longer than at first, with everything else as it was.
    assert tilewright(*common, "--resume", "--epochs", 2).code == 0
    assert tilewright(*settings, "--out", whole, "--epochs", 2).code == 0
    assert weights(run) == weights(whole)


def test_resuming_with_other_settings_is_refused(tilewright: Command, digits_run: Path) -> None:
    ended = tilewright("train", "digits", "--out", digits_run, "--resume", "--seed", 5, "--quiet")
    assert ended.code == 2
    assert "training.seed=0 there and 5 here" in ended.only_error
    ended = tilewright("train", "mnist", "--out", digits_run, "--resume")
    assert ended.code == 2
    assert "This run learns from digits, not from mnist." in ended.err


def test_a_run_folder_that_cannot_be_made_is_one_line(tilewright: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = tilewright("train", "digits", "--out", tmp_path / "file" / "run", "--quiet")
    assert ended.code == 2
    assert ended.only_error.startswith("error: Not a directory: ")
    ended = tilewright("train", "digits", "--out", tmp_path / "file", "--quiet")
    assert ended.code == 2
    assert ended.only_error.startswith("error: A run needs a folder of its own. Received: ")


def test_settings_are_those_asked_for(tilewright: Command, tmp_path: Path, idx_folder: Path) -> None:
    run = tmp_path / "run"
    ended = tilewright(
        "train", "mnist", "--data", idx_folder, "--model", "lenet5", "--optimizer", "sgd", "--lr", 0.001,
        "--momentum", 0.5, "--batch-size", 20, "--epochs", 1, "--validate-every", 1, "--out", run,
        "--no-pictures",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    config = read_config(run / "config.toml")
    assert config.model.name == "lenet5"
    assert config.optimizer.name == "SGD"
    assert (config.optimizer.options["lr"], config.optimizer.options["momentum"]) == (0.001, 0.5)
    assert (config.training.batch_size, config.training.validate_every) == (20, 1)
    assert config.data.folder == str(idx_folder)
    assert "step 1 of 2" in ended.err and "step 2 of 2" in ended.err
    # The folder is remembered.
    assert tilewright("train", "mnist", "--out", run, "--resume", "--no-pictures").code == 0


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3-ubyte", lambda c: c[:1000], "is cut short"),
        ("train-labels-idx1-ubyte", lambda c: c + b"\0", "has bytes left over"),
        ("t10k-images-idx3-ubyte", lambda c: b"\x89PNG" + c[4:], "needs two zero bytes at its start"),
        ("t10k-images-idx3-ubyte", lambda c: c[:4] + b"\xff\xff\xff\xff" + c[8:], "is cut short"),
        ("t10k-labels-idx1-ubyte", lambda c: c[:-1] + b"\x63", "needs labels below 10"),
        ("train-images-idx3-ubyte", lambda c: gzip.compress(c)[:-20], "is cut short"),
        ("train-labels-idx1-ubyte", lambda c: b"", "is cut short"),
    ],
)
def test_bad_idx_files_give_one_error(
    tilewright: Command, tmp_path: Path, idx_folder: Path, name: str, damage: Any, message: str
) -> None:
    path = idx_folder / name
    path.write_bytes(damage(path.read_bytes()))
    ended = tilewright("train", "mnist", "--data", idx_folder, "--out", tmp_path / "run", "--quiet")
    assert ended.code == 2
    assert message in ended.only_error
    assert str(path) in ended.only_error
    assert not (tmp_path / "run").exists()


def test_a_folder_without_the_files_is_named(tilewright: Command, tmp_path: Path) -> None:
    ended = tilewright("train", "mnist", "--data", tmp_path, "--out", tmp_path / "run")
    assert ended.code == 2
    assert "mnist needs a folder that holds" in ended.only_error
    ended = tilewright("train", "digits", "--data", tmp_path, "--out", tmp_path / "run")
    assert ended.code == 2
    assert "The data set 'digits' comes with scikit-learn" in ended.only_error


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("config.toml", lambda c: c[:40], "config.toml'"),
        ("config.toml", lambda c: b"\xff\xfe" + c, "isn't a TOML file in UTF-8"),
        ("config.toml", lambda c: b"[tool]\nname = 3\n", "needs to be a configuration of format 1"),
        (
            "config.toml",
            lambda c: c.replace(b"epochs = 1", b"epochs = -1"),
            "needs training.epochs to be a whole",
        ),
        ("last.safetensors", lambda c: c[:-1], "isn't a whole safetensors file"),
        ("last.safetensors", lambda c: b"GIF89a" + c, "isn't a whole safetensors file"),
        ("last.safetensors", lambda c: c.replace(b'\\"step\\":', b'\\"stop\\":', 1), "last.safetensors'"),
        ("metrics.csv", lambda c: c.replace(b"step,", b"stop,"), "needs these columns"),
    ],
)
def test_bad_files_of_a_run_give_one_error(
    tilewright: Command, tmp_path: Path, idx_folder: Path, file: str, damage: Any, message: str
) -> None:
    common = ("train", "mnist", "--data", idx_folder, "--out", tmp_path / "run", "--quiet", "--no-pictures")
    assert tilewright(*common, "--epochs", 1).code == 0
    path = tmp_path / "run" / file
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    ended = tilewright(*common, "--resume", "--epochs", 2)
    assert ended.code == 2
    assert message in ended.only_error
    assert file in ended.only_error


# A command of its own process; a test runner in the background would hand down an ignored SIGINT.
RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from tilewright.cli import main
sys.exit(main())
"""


def start(*arguments: object, setup: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", setup + RUN, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    """Until the table of metrics has so many lines; a minute is far more than a slow machine needs."""
    until = time.monotonic() + 60
    while not path.exists() or path.read_text().count("\n") < lines:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)


# Long enough to be caught in the middle, and no longer.
CAUGHT = ("train", "digits", "--epochs", 3, "--batch-size", 20, "--validate-every", 7, "--no-pictures")


@pytest.fixture(scope="module")
def whole_run(tilewright: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert tilewright(*CAUGHT, "--out", run, "--quiet").code == 0
    return run


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_stopped_from_outside_can_be_taken_up(
    tilewright: Command, tmp_path: Path, whole_run: Path, number: int
) -> None:
    run = tmp_path / "run"
    process = start(*CAUGHT, "--out", run)
    wait_for(run / "metrics.csv", 8, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert out == ""
        stopped = r"Stopped by Ctrl-C after step \d+ of 216, and saved\. "
        assert re.fullmatch(stopped + f"Go on with: .* resume {re.escape(str(run))}", err.splitlines()[-1])
        assert "Traceback" not in err
    else:
        assert process.returncode == -number
    assert tilewright("resume", run, "--quiet", "--no-pictures").code == 0
    assert weights(run) == weights(whole_run)
    assert (run / "model.safetensors").read_bytes() == (whole_run / "model.safetensors").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    process = start("train", "digits", "--out", tmp_path / "run", "--quiet", setup=limit)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: File too large: ")
    assert "last.safetensors" in err
