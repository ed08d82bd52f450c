"""Optimisers, which turn gradients into steps, in place; schedules of their rates; an average of weights."""

from __future__ import annotations

from tilewright.optim import lr_scheduler
from tilewright.optim.adam import Adam, AdamW
from tilewright.optim.averaging import ExponentialMovingAverage
from tilewright.optim.optimizer import Optimizer
from tilewright.optim.rmsprop import RMSprop
from tilewright.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "ExponentialMovingAverage", "Optimizer", "RMSprop", "lr_scheduler"]
