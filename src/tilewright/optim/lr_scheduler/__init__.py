"""Schedules of the learning rate, under PyTorch's names and with its numbers.

    optimizer.step()
    scheduler.step()        # after the optimiser's, once per batch or once per epoch

Every schedule can be saved (``state_dict``) and taken up again; the rates themselves are in the optimiser's
state, so save and load both.
"""

from __future__ import annotations

from tilewright.optim.lr_scheduler.base import LRScheduler
from tilewright.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from tilewright.optim.lr_scheduler.cycle import CyclicLR, OneCycleLR
from tilewright.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tilewright.optim.lr_scheduler.joined import ChainedScheduler, SequentialLR, with_warmup
from tilewright.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "with_warmup",
]
