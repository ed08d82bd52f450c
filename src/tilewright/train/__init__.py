"""Training: the loop, checkpoints that resume to the bit, run folders, and using what was learnt.

- :class:`Trainer` trains a network and keeps a run folder; :func:`evaluate` judges one.
- :class:`Recipe` has all settings of a run by name, as the command has them, and makes its trainer.
- :class:`Predictor` names what is in pictures; :func:`rebuild` gives the network of a file.
- :class:`Schedule` is a curve of the learning rate; :mod:`~tilewright.train.metrics` has the figures.
- :mod:`~tilewright.train.checkpoint` reads and writes safetensors files, strictly and whole.
"""

from __future__ import annotations

from tilewright.train import checkpoint, metrics
from tilewright.train.evaluate import Evaluation, evaluate
from tilewright.train.interrupt import TrainingInterrupted
from tilewright.train.predict import Predictor
from tilewright.train.rebuild import rebuild
from tilewright.train.recipe import Recipe
from tilewright.train.report import Report
from tilewright.train.result import Result
from tilewright.train.run import RunFolder
from tilewright.train.schedules import Schedule
from tilewright.train.trainer import Trainer

__all__ = [
    "Evaluation",
    "Predictor",
    "Recipe",
    "Report",
    "Result",
    "RunFolder",
    "Schedule",
    "Trainer",
    "TrainingInterrupted",
    "checkpoint",
    "evaluate",
    "metrics",
    "rebuild",
]
