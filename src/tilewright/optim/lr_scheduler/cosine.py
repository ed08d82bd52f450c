"""Schedules that fall along half a cosine, once or again and again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tilewright.geometry.axes import as_integer
from tilewright.nn.arguments import as_number
from tilewright.optim.lr_scheduler.base import LRScheduler
from tilewright.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the rate down to ``eta_min`` in ``T_max`` steps, and up again in as many.

        rate(t) = eta_min + (base − eta_min) · (1 + cos(π · t / T_max)) / 2

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017, the part
    without restarts.

    Args:
        optimizer: whose rates it sets.
        T_max: steps from the top to the bottom, ≥ 1: all steps of the training, usually.
        eta_min: the lowest rate, ≥ 0.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = CosineAnnealingLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), T_max=2)
    >>> [(round(scheduler.get_last_lr()[0], 9), scheduler.step())[0] for _ in range(3)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        as_integer(options["T_max"], "T_max", self._name, least=1)
        as_number(options["eta_min"], "eta_min", self._name)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`).

        PyTorch's recursion, which scales the rate as it is, so that other schedules may work on it as well.
        """
        rates, low, step = self._current(), self.eta_min, self.last_epoch
        if self._is_initial:
            return rates
        if (step - 1 - self.T_max) % (2 * self.T_max) == 0:
            # The step before was at the bottom, where there is nothing to scale.
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [rate + (base - low) * rise for rate, base in zip(rates, self.base_lrs, strict=True)]
        now = 1 + math.cos(math.pi * step / self.T_max)
        before = 1 + math.cos(math.pi * (step - 1) / self.T_max)
        return [now / before * (rate - low) + low for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        height = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the rate down to ``eta_min``, again and again, each ``T_mult`` times as long.

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.

    Args:
        optimizer: whose rates it sets.
        T_0: steps of the first fall, ≥ 1.
        T_mult: how many times as long each next one is, ≥ 1.
        eta_min: the lowest rate, ≥ 0.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    Attributes:
        T_i: steps of the fall at hand.
        T_cur: where in it the schedule stands.

    >>> scheduler = CosineAnnealingWarmRestarts(tw.optim.SGD([tw.zeros(1)], lr=1.0), T_0=2)
    >>> [(round(scheduler.get_last_lr()[0], 9), scheduler.step())[0] for _ in range(4)]
    [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_i = T_0
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        for name in ("T_0", "T_mult", "T_i"):
            as_integer(options[name], name, self._name, least=1)
        as_number(options["eta_min"], "eta_min", self._name)
        as_number(options["T_cur"], "T_cur", self._name, least=-1)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or go to ``epoch``, which may lie between two (``epoch + batch / batches``).

        Raises:
            ArgumentError: ``epoch`` is below 0 or no number.
        """
        if epoch is None and not self._is_initial:
            self.last_epoch += 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            following = self.last_epoch + 1
            place = as_number(following if epoch is None else epoch, "epoch", f"{self._name}.step")
            self.last_epoch = math.floor(place)
            self._find(place)
        self._set_rates(self.get_lr())

    def _begin_anew(self) -> None:
        self.T_cur, self.T_i = 0, self.T_0
        super()._begin_anew()

    def _find(self, place: float) -> None:
        """Which fall ``place`` lies in, and where in it."""
        if self.T_mult == 1:
            self.T_i, self.T_cur = self.T_0, place % self.T_0
            return
        # Falls of T_0, T_0·m, T_0·m², …: counted in whole numbers, as a logarithm may miss a border.
        length, start = self.T_0, 0
        while place >= start + length:
            start += length
            length *= self.T_mult
        self.T_i, self.T_cur = length, place - start
