"""The learning rates of a run: set from a curve, or by a scheduler of ``optim.lr_scheduler``."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from tilewright.train.evaluate import Evaluation
from tilewright.train.schedules import Schedule


class Rates:
    """Sets the rate of every group of an optimiser, update by update.

    Args:
        optimizer: whose groups; the rates that they have now are those that a curve's factors are of.
        schedule: a curve, or a scheduler made over this very optimiser.
        scheduler_steps: when a scheduler is stepped: each ``epoch`` or each ``update``. One that looks at
            what is measured (``ReduceLROnPlateau``) is stepped each epoch, with the validation's loss, or
            with its score where more is better.

    Attributes:
        scheduler: the scheduler, or None.
        latest: the first group's rate of the latest update.

    Raises:
        ArgumentError: something else as schedule, a scheduler of another optimiser, or another word.
    """

    def __init__(self, optimizer: Any, schedule: Any, scheduler_steps: str) -> None:
        if not isinstance(schedule, (Schedule, LRScheduler)):
            raise ArgumentError(
                "Trainer needs schedule to be a name, a Schedule, or one of optim.lr_scheduler.",
                describe(schedule=schedule),
            )
        if scheduler_steps not in ("epoch", "update"):
            raise ArgumentError(
                "Trainer needs scheduler_steps to be 'epoch' or 'update'.",
                describe(scheduler_steps=scheduler_steps),
            )
        self.scheduler = schedule if isinstance(schedule, LRScheduler) else None
        if self.scheduler is not None and self.scheduler.optimizer is not optimizer:
            raise ArgumentError(
                "Trainer needs a schedule that was made over the trainer's optimiser.",
                f"a {type(schedule).__name__} of another optimiser",
            )
        self.each = scheduler_steps
        self._curve = schedule if isinstance(schedule, Schedule) else Schedule()
        self._groups = optimizer.param_groups
        self._full = [float(group["lr"]) for group in self._groups]
        self.latest = self._full[0]

    def set(self, step: int, steps: int, steps_per_epoch: int) -> None:
        """The rates of update ``step``, counted from 0. They follow its number, not what went before."""
        if not self._curve.is_constant:
            factor = self._curve.at(step, steps, steps_per_epoch)
            for group, rate in zip(self._groups, self._full, strict=True):
                group["lr"] = rate * factor
        self.latest = float(self._groups[0]["lr"])

    def after_update(self) -> None:
        """Step a scheduler that goes by updates."""
        if self.each == "update" and self.scheduler is not None and not self._looks_at_measures:
            self.scheduler.step()

    def after_epoch(self, validation: Evaluation) -> None:
        """Step a scheduler that goes by epochs."""
        scheduler = self.scheduler
        if isinstance(scheduler, ReduceLROnPlateau):
            more_is_better = scheduler.mode == "max" and validation.score is not None
            scheduler.step(validation.score if more_is_better else validation.loss)
        elif scheduler is not None and self.each == "epoch":
            scheduler.step()

    @property
    def _looks_at_measures(self) -> bool:
        return isinstance(self.scheduler, ReduceLROnPlateau)
