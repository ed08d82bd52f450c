"""The command as a whole: help, versions, exit codes, and one line for every expected error."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.commands import Command
from click.testing import CliRunner

from tilewright._version import __version__
from tilewright.cli import app as app_module
from tilewright.cli import options
from tilewright.cli.app import app
from tilewright.cli.text import print_json, program
from tilewright.data import DATASET_NAMES
from tilewright.data.augment import AUGMENTATIONS
from tilewright.errors import ArgumentError
from tilewright.nn import models
from tilewright.train import presets, schedules, tasks

COMMANDS = (
    "train", "resume", "compare", "predict", "filter", "edges", "denoise", "upsample", "summary", "info",
    "explain", "bench", "cache", "motion",
)  # fmt: skip


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_shows_examples(tilewright: Command, command: tuple[str, ...]) -> None:
    ended = tilewright(*command, "--help")
    assert ended.code == 0
    assert (
        f"tilewright {command[0]} "
        if command
        else "tilewright train digits" in ended.out.partition("Examples:")[2]
    )
    assert tilewright(*command, "-h").out == ended.out


def test_the_version(tilewright: Command) -> None:
    ended = tilewright("--version")
    assert (ended.code, ended.out) == (0, f"tilewright, version {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["juggle"], "No such command 'juggle'."),
        (["train"], "Missing argument"),
        (["train", "cats"], "'cats' is not one of"),
        (["train", "digits", "--epochs", "0"], "Invalid value for '--epochs': 0 is not in the range x>=1."),
        (["train", "digits", "--lr", "-1"], "Invalid value for '--lr'"),
        (["train", "digits", "--lr", "nan"], "error: SGD needs lr to be a finite number"),
        (["train", "digits", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "digits", "--momentum", "1"], "Invalid value for '--momentum'"),
        (["train", "digits", "--resume", "--overwrite"], "--overwrite starts anew and --resume goes on"),
        (
            ["train", "digits", "--optimizer", "adam", "--lr", "1e-3", "--momentum", "0.5"],
            "--momentum belongs to",
        ),
        (
            ["train", "digits", "--optimizer", "adam"],
            "The optimiser adam needs a learning rate: digitnet comes",
        ),
        (
            ["train", "digits", "--model", "unet5"],
            "Invalid value for '--model': 'unet5' is not one of 'digitnet',",
        ),
        (["train", "digits", "--input", "8,x"], "'8,x' isn't a list of sizes such as 1,28,28."),
        (["train", "digits", "--class-weight", "even"], "'even' is neither 'balanced' nor a list of numbers"),
        (["train", "digits", "--augment", "spin"], "An augmentation is one of flip, flip-vertical, shift,"),
        (["train", "digits", "--augment", "flip,,shift=1"], "isn't a list of words such as shift=2,flip."),
        (
            ["train", "digits", "--clip-norm", "1", "--clip-value", "1"],
            "needs clip_norm or clip_value, not both",
        ),
        (["train", "digits", "--min-delta", "0.1"], "Early stopping needs a patience beside its min_delta."),
        (["train", "digits", "--loss", "l1"], "Trainer takes loss for the task 'regress' only."),
        (
            ["train", "--data", "nothing.txt"],
            "Data of one's own is a folder of images by class, an .npz archive",
        ),
        (["resume"], "Missing argument 'RUN'."),
        (["resume", "nowhere"], "Resuming needs the folder of a run, with config.toml and last.safetensors."),
        (["compare"], "Missing argument 'RUNS...'."),
        (["compare", "nowhere"], "Comparing needs at least two runs. Received: runs=['nowhere']."),
        (
            ["compare", "here", "there"],
            "Comparing needs the folders of runs, with config.toml and metrics.csv.",
        ),
        (["predict", "run"], "Missing argument 'FILES...'."),
        (["predict", "run", "a.png", "--invert", "perhaps"], "'perhaps' is not one of 'auto', 'yes', 'no'"),
        (["summary", "lenet5", "--input", "1,x"], "'1,x' isn't a list of sizes such as 1,28,28."),
        (["info", "--loud"], "No such option"),
    ],
)
def test_bad_usage_ends_with_2(
    tilewright: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    if "train" in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "run")]
    ended = tilewright(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ArgumentError("A rule.", "x=1", "Advice."), 2, "error: A rule. Received: x=1. Advice."),
        (
            OSError(errno.ENOSPC, "No space left on device", "a.png"),
            2,
            "error: No space left on device: 'a.png'",
        ),
        (OSError(errno.EACCES, "Permission denied"), 2, "error: Permission denied"),
        (OSError("odd"), 2, "error: odd"),
        (
            MemoryError("Unable to allocate 9 GiB"),
            2,
            "error: There is not enough memory. Unable to allocate 9 GiB",
        ),
        (KeyboardInterrupt(), 130, "Stopped by Ctrl-C."),
    ],
)
def test_an_expected_error_is_one_line(
    tilewright: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr("tilewright.cli.info.collect", fail)
    ended = tilewright("info")
    assert (ended.code, ended.only_error) == (code, line)
    detailed = tilewright("--debug", "info")
    assert detailed.code == code
    assert "Traceback" in detailed.err
    assert line in detailed.err


def test_an_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("tilewright.cli.info.collect", fail)
    assert isinstance(CliRunner().invoke(app, ["info"]).exception, ZeroDivisionError)


def test_the_names_written_out_are_those_of_the_library() -> None:
    assert options.DATASETS == DATASET_NAMES
    assert set(options.MODELS) == set(presets.TRAINABLE) <= set(models.NAMES)
    assert options.OPTIMIZERS == presets.OPTIMIZERS
    assert options.SCHEDULES == schedules.SCHEDULES
    assert options.TASKS == tasks.TASKS
    assert tuple(tasks.LOSSES) == options.LOSSES
    assert options.AUGMENTATIONS == AUGMENTATIONS


def test_json_has_null_for_what_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [float("inf"), 1.5, (Path("x"),)], 3: None})
    assert capsys.readouterr().out.split() == [
        "{", '"a":', "null,", '"b":', "[", "null,", "1.5,", "[", '"x"', "]", "],", '"3":', "null", "}",
    ]  # fmt: skip


def test_printed_commands_name_the_program_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "env bin" / "tilewright"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(own)])
    monkeypatch.setenv("PATH", "")
    assert program() == "'env bin/tilewright'"
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "tilewright"
    monkeypatch.setattr(sys, "argv", ["/somewhere/tilewright/__main__.py"])
    assert program().endswith(" -m tilewright")


def child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_click_or_rich_one_sentence_says_what_to_install(package: str) -> None:
    ended = child(
        f"import sys; sys.modules[{package!r}] = None; from tilewright.cli import main; sys.exit(main())"
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"The tilewright command needs the package {package}, which is not installed. "
        "Install it with: pip install 'tilewright[cli]'.\n"
    )


def test_python_dash_m_is_the_command() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tilewright", "--version"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, f"tilewright, version {__version__}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "tilewright", "summary", "nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: summary needs a run")


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "tilewright", "info"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert "Traceback" not in ended.stderr
    assert "error" not in ended.stderr


def test_help_imports_nothing_heavy() -> None:
    ended = child(
        "import sys; from tilewright.cli import main; main(['--help']);"
        "print([name for name in ('numpy', 'matplotlib', 'sklearn', 'tilewright.nn') if name in sys.modules])"
    )
    assert ended.stdout.splitlines()[-1] in ("[]", "['numpy']")


def test_the_group_knows_all_commands() -> None:
    assert tuple(app_module.app.commands) == COMMANDS
