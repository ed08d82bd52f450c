"""Training: the loop, checkpoints that resume to the bit, run folders, and using what was learnt.

- :class:`Trainer` trains a network and keeps a run folder; :func:`evaluate` judges one.
- :class:`Predictor` names what is in pictures; :func:`rebuild` gives the network of a file.
- :mod:`~tilewright.train.checkpoint` reads and writes safetensors files, strictly and whole.
"""

from __future__ import annotations

from tilewright.train import checkpoint
from tilewright.train.evaluate import Evaluation, evaluate
from tilewright.train.interrupt import TrainingInterrupted
from tilewright.train.predict import Predictor
from tilewright.train.rebuild import rebuild
from tilewright.train.report import Report
from tilewright.train.run import RunFolder
from tilewright.train.trainer import Result, Trainer

__all__ = [
    "Evaluation",
    "Predictor",
    "Report",
    "Result",
    "RunFolder",
    "Trainer",
    "TrainingInterrupted",
    "checkpoint",
    "evaluate",
    "rebuild",
]
