"""The schedule that looks at what is measured: it lowers the rate when that gets no better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tilewright.autograd.tensor import Tensor
from tilewright.errors import DtypeError, StateError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn.arguments import as_number, one_of
from tilewright.optim.lr_scheduler.base import LRScheduler, checked_optimizer, for_each_group
from tilewright.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by ``factor`` once a measure has not improved for more than ``patience`` steps.

    To be stepped with the measure after each validation: ``scheduler.step(loss)``. A measure that is NaN
    counts as no improvement.

    Args:
        optimizer: whose rates it sets.
        mode: "min", where less is better (a loss), or "max" (an accuracy).
        factor: what the rate is multiplied by, 0 to below 1.
        patience: steps without improvement that pass unpunished, ≥ 0.
        threshold: what an improvement must amount to, ≥ 0:
        threshold_mode: "rel", as a share of the best measure so far, or "abs".
        cooldown: steps after a reduction in which nothing is counted, ≥ 0.
        min_lr: the lowest rate; or a list, one per group.
        eps: a reduction by no more than this is left out, ≥ 0.

    Attributes:
        best: the best measure so far; None before the first.
        num_bad_epochs: steps without improvement, as they stand.

    Raises:
        DtypeError, ArgumentError: an argument outside its rule.

    >>> scheduler = ReduceLROnPlateau(tw.optim.SGD([tw.zeros(1)], lr=1.0), factor=0.5, patience=1)
    >>> [(scheduler.step(loss), scheduler.get_last_lr()[0])[1] for loss in (3.0, 2.0, 2.0, 2.5, 1.0)]
    [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    _per_group: ClassVar[tuple[str, ...]] = ("_last_lr", "min_lrs")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer, self._name)
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self.best: float | None = None
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._check(vars(self))
        self.min_lrs = for_each_group(min_lr, "min_lr", self._name, optimizer)
        self._last_lr = [float(group["lr"]) for group in optimizer.param_groups]

    def _check(self, options: Mapping[str, Any]) -> None:
        one_of(options["mode"], ("min", "max"), "mode", self._name)
        one_of(options["threshold_mode"], ("rel", "abs"), "threshold_mode", self._name)
        as_number(options["factor"], "factor", self._name, below=1)
        for name in ("threshold", "eps"):
            as_number(options[name], name, self._name)
        for name in ("patience", "cooldown", "last_epoch", "num_bad_epochs", "cooldown_counter"):
            as_integer(options[name], name, self._name, least=0)

    def get_lr(self) -> list[float]:
        """The rates as they are: what they become hangs on the next measure."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def step(self, metrics: Any = None) -> None:
        """Take a measure (a number, or a Tensor of one) and lower the rates if it is time.

        Raises:
            DtypeError: it is no number.
        """
        current = _as_measure(metrics, self._name)
        self.last_epoch += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self.get_lr()

    @property
    def in_cooldown(self) -> bool:
        """Whether a reduction was so lately that nothing is counted."""
        return self.cooldown_counter > 0

    def _is_better(self, current: float) -> bool:
        # Before the first measure, anything is better than nothing.
        worst = math.inf if self.mode == "min" else -math.inf
        bound = worst if self.best is None else self.best
        if self.best is not None:
            # PyTorch's bound, which for "rel" takes the best measure to be positive.
            sign = -1.0 if self.mode == "min" else 1.0
            is_share = self.threshold_mode == "rel"
            bound = bound * (1.0 + sign * self.threshold) if is_share else bound + sign * self.threshold
        return current < bound if self.mode == "min" else current > bound

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            raise StateError(
                f"{self._name} needs the {len(self.min_lrs)} groups of the optimiser that it was made for.",
                f"{len(groups)} groups",
                "Make the schedule after the last add_param_group.",
            )
        for group, least in zip(groups, self.min_lrs, strict=True):
            rate = max(float(group["lr"]) * self.factor, least)
            if float(group["lr"]) - rate > self.eps:
                group["lr"] = rate


def _as_measure(value: Any, op: str) -> float:
    found = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    try:
        if not isinstance(found, (str, bytes, type(None))):
            return float(found)
    except (TypeError, ValueError):
        pass
    raise DtypeError(f"{op}.step needs the measure to watch, one number.", describe(metrics=value))
