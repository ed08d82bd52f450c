"""Runs of the command inside this process, and a trained run to work with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.commands import Command, Ended
from click.testing import CliRunner

from tilewright.cli.app import app
from tilewright.data import write_idx


@pytest.fixture(scope="session")
def tilewright() -> Command:
    def run(*arguments: object) -> Ended:
        ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Ended(ended.exit_code, ended.stdout, ended.stderr)

    return run


@pytest.fixture(scope="session")
def digits_run(tilewright: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digit network that has seen the training images twice; not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "digits"
    ended = tilewright("train", "digits", "--epochs", 2, "--out", run, "--quiet", "--no-pictures")
    assert ended.code == 0, ended.err
    return run


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A folder of the form of MNIST's, with a few images of noise."""
    folder = tmp_path / "idx"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 20)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", generator.integers(0, 10, count, dtype=np.uint8))
    return folder
