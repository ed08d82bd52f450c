"""Optimisers: they turn gradients into steps, in place."""

from __future__ import annotations

from tilewright.optim.adam import Adam
from tilewright.optim.optimizer import Optimizer
from tilewright.optim.sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer"]
