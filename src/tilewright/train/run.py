"""A run folder: where a training run keeps its weights, its configuration, its numbers and its pictures."""

from __future__ import annotations

import os
from pathlib import Path

from tilewright.errors import ArgumentError, describe
from tilewright.train import checkpoint
from tilewright.train.config import RunConfig
from tilewright.train.config_file import path_of, read_config, write_config
from tilewright.train.events import PREFIX, SUFFIX
from tilewright.train.rows import MetricsFile

PICTURES = (
    "curves.png",
    "kernels.png",
    "features.png",
    "confusion.png",
    "mistakes.png",
    "reconstruction.png",
    "masks.png",
    "predictions.png",
)
# What the names of sample images begin with, so that replacing a run spares images put beside them.
SAMPLE_PREFIX = "test-"


class RunFolder:
    """The names of a run's files. Making one touches nothing; see :meth:`create`.

    ====================  ======================================================================
    ``model.safetensors``  the weights of the best validation, with what rebuilds the network
    ``last.safetensors``   the whole state after the last validation, for resuming
    ``config.toml``        what the run was made from
    ``metrics.csv``        a row per measurement
    ``report.json``        the figures of the best weights, written at the end
    ``*.png``              pictures, drawn at the end
    ``samples/``           a few test images as PNG files
    ``events.out.…``       the same numbers for TensorBoard, if wanted
    ====================  ======================================================================
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = path_of(self.path)
        self.model = self.path / "model.safetensors"
        self.last = self.path / "last.safetensors"
        self.metrics = MetricsFile(self.path / "metrics.csv")
        self.report = self.path / "report.json"
        self.samples = self.path / "samples"

    def create(self, config: RunConfig, overwrite: bool = False) -> None:
        """Make the folder with its ``config.toml`` and an empty ``metrics.csv``.

        Args:
            config: what the run is made from.
            overwrite: replace an earlier run. Only files that a run writes are removed.

        Raises:
            MissingExtraError: tomli_w isn't installed.
            ArgumentError: something is there already, and it is no run or ``overwrite`` is off.
            FileFormatError: with ``overwrite``, the ``config.toml`` found isn't a run's.
            OSError: the system refuses.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ArgumentError("A run needs a folder of its own.", f"{str(self.path)!r}, which is a file")
        if self.path.is_dir() and any(self.path.iterdir()):
            self._replace(overwrite)
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(self.config, config)
        self.metrics.start()

    def _replace(self, overwrite: bool) -> None:
        if not self.config.exists():
            raise ArgumentError(
                "A run needs a folder that is new, empty, or an earlier run's.",
                f"{str(self.path)!r}, which holds other files",
                "Choose another folder.",
            )
        if not overwrite:
            raise ArgumentError(
                "A run needs a folder of its own.",
                f"{str(self.path)!r}, which holds an earlier run",
                "Take that run up again (resume), replace it (overwrite), or choose another folder.",
            )
        # A stranger's config.toml gives an error here, and nothing is removed.
        read_config(self.config)
        for file in (self.model, self.last, self.metrics.path, self.report):
            file.unlink(missing_ok=True)
            checkpoint.remove_leftovers(file)
        for name in PICTURES:
            (self.path / name).unlink(missing_ok=True)
        for file in self.path.glob(f"{PREFIX}*{SUFFIX}"):
            file.unlink(missing_ok=True)
        if self.samples.is_dir():
            for file in self.samples.glob(f"{SAMPLE_PREFIX}*.png"):
                file.unlink(missing_ok=True)
        # Last, so that a replacement that was stopped half-way still counts as a run.
        self.config.unlink(missing_ok=True)

    def resumable_config(self) -> RunConfig:
        """The configuration of a run that can be taken up again.

        Raises:
            ArgumentError: the folder holds no such run.
            FileFormatError: its ``config.toml`` is damaged.
        """
        if not self.config.is_file() or not self.last.is_file():
            raise ArgumentError(
                "Resuming needs the folder of a run, with config.toml and last.safetensors.",
                describe(folder=str(self.path)),
            )
        return read_config(self.config)
