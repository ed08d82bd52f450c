"""How the learning rate goes through a run: a factor for each step, from the step's number alone.

As nothing is remembered, a run that is taken up at any step goes on exactly, and one that is given more
epochs follows the longer curve. The curves are those of PyTorch's schedulers;
``tilewright.optim.lr_scheduler`` has these themselves, and :class:`~tilewright.train.Trainer` takes one of
them as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilewright.errors import ArgumentError, describe

SCHEDULES = ("none", "step", "exponential", "linear", "cosine", "one-cycle")

# Smith and Topin's cycle with the proportions that PyTorch's OneCycleLR has: it begins at a 25th of the rate,
# is at its top after three tenths of the steps, and ends at a 10,000th of where it began.
_CYCLE_START = 25.0
_CYCLE_TOP = 0.3
_CYCLE_END = 1e4


@dataclass(frozen=True)
class Schedule:
    """A curve of the learning rate, as factors of the rate that the optimiser was made with.

    ================  ================================================================================
    ``none``          1 throughout
    ``step``          falls to ``factor`` of what it was, every ``every`` epochs
    ``exponential``   falls to ``factor`` of what it was, every epoch
    ``linear``        falls in a straight line from 1 to ``end`` after the last step
    ``cosine``        falls along half a cosine from 1 to ``end`` after the last step
    ``one-cycle``     rises along half a cosine from 1/25 to 1, then falls to 1/250,000
    ================  ================================================================================

    With ``warmup``, the rate first rises in a straight line through so many steps to where the curve begins,
    and the curve has the steps (and epochs) that are left.

    Args:
        name: which curve.
        warmup: steps of rising.
        every: of ``step``, in epochs.
        factor: of ``step`` and ``exponential``, above 0 and at most 1; None: 0.1 and 0.9.
        end: of ``linear`` and ``cosine``, from 0 to 1.

    Raises:
        ArgumentError: an unknown name, or a number outside its range.

    Sources: Loshchilov and Hutter, "SGDR", 2017 (cosine); Smith and Topin, "Super-convergence", 2018
    (one-cycle); Goyal et al., "Accurate, large minibatch SGD", 2017 (warm-up).

    >>> [Schedule("linear", warmup=2).at(step, steps=6, steps_per_epoch=3) for step in range(6)]
    [0.3333333333333333, 0.6666666666666666, 1.0, 0.75, 0.5, 0.25]
    """

    name: str = "none"
    warmup: int = 0
    every: int = 1
    factor: float | None = None
    end: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ArgumentError(f"A schedule is one of {', '.join(SCHEDULES)}.", describe(name=self.name))
        for name, value, low in (("warmup", self.warmup, 0), ("every", self.every, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ArgumentError(
                    f"A schedule needs {name} to be a whole number of at least {low}.",
                    describe(**{name: value}),
                )
        if self.factor is not None and not (_is_number(self.factor) and 0 < self.factor <= 1):
            raise ArgumentError(
                "A schedule needs factor to be a number above 0 and at most 1.", describe(factor=self.factor)
            )
        if not (_is_number(self.end) and 0 <= self.end <= 1):
            raise ArgumentError("A schedule needs end to be a number from 0 to 1.", describe(end=self.end))

    @property
    def is_constant(self) -> bool:
        """Whether the factor is 1 at every step."""
        return self.name == "none" and not self.warmup

    def at(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """The factor for one step.

        Args:
            step: its number, counted from 0.
            steps: how many there are in all.
            steps_per_epoch: how many an epoch has.
        """
        if step < self.warmup:
            # The last of w rising steps is w/(w + 1) of the way, and the curve's first step all of it.
            return (
                self._curve(0, max(1, steps - self.warmup), steps_per_epoch) * (step + 1) / (self.warmup + 1)
            )
        return self._curve(step - self.warmup, max(1, steps - self.warmup), steps_per_epoch)

    def _curve(self, step: int, steps: int, steps_per_epoch: int) -> float:
        done = min(1.0, step / steps)
        if self.name == "step":
            return float(
                (0.1 if self.factor is None else self.factor) ** (step // steps_per_epoch // self.every)
            )
        if self.name == "exponential":
            return float((0.9 if self.factor is None else self.factor) ** (step // steps_per_epoch))
        if self.name == "linear":
            return self.end + (1 - self.end) * (1 - done)
        if self.name == "cosine":
            return self.end + (1 - self.end) * (1 + math.cos(math.pi * done)) / 2
        if self.name == "one-cycle":
            return _one_cycle(step, steps)
        return 1.0


def _one_cycle(step: int, steps: int) -> float:
    start = 1 / _CYCLE_START
    top, last = _CYCLE_TOP * steps - 1, steps - 1
    if step <= top:
        return _between(start, 1.0, step / top if top > 0 else 1.0)
    return _between(1.0, start / _CYCLE_END, (step - top) / (last - top) if last > top else 1.0)


def _between(first: float, last: float, done: float) -> float:
    """Half a cosine from ``first`` to ``last``."""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
