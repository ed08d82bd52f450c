"""Schedules that multiply the rate by a factor now and then, or a little at every step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn.arguments import as_number
from tilewright.optim.lr_scheduler.base import LRScheduler, checked_optimizer
from tilewright.optim.optimizer import Optimizer

#: A factor for the step of that number.
Factor = Callable[[int], float]


class StepLR(LRScheduler):
    """Multiply the rate by ``gamma`` every ``step_size`` steps.

    Args:
        optimizer: whose rates it sets.
        step_size: steps from one fall to the next, ≥ 1.
        gamma: the factor, ≥ 0.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = StepLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), step_size=2, gamma=0.5)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        as_integer(options["step_size"], "step_size", self._name, least=1)
        as_number(options["gamma"], "gamma", self._name)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        rates = self._current()
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return rates
        return [rate * self.gamma for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiply the rate by ``gamma`` at given steps.

    Args:
        optimizer: whose rates it sets.
        milestones: the steps, in any order; one that is named twice counts twice.
        gamma: the factor, ≥ 0.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = MultiStepLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), milestones=[1, 3], gamma=0.5)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(5)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = checked_milestones(milestones, self._name)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        if checked_milestones(options["milestones"], self._name) != options["milestones"]:
            raise ArgumentError(
                f"{self._name} needs milestones in order.", describe(milestones=options["milestones"])
            )
        as_number(options["gamma"], "gamma", self._name)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        times = self.milestones.count(self.last_epoch)
        rates = self._current()
        return [rate * self.gamma**times for rate in rates] if times else rates

    def _get_closed_form_lr(self) -> list[float]:
        passed = bisect_right(self.milestones, self.last_epoch)
        return [base * self.gamma**passed for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiply the rate by ``gamma`` at every step.

    Args:
        optimizer: whose rates it sets.
        gamma: the factor, ≥ 0.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = ExponentialLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), gamma=0.5)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        as_number(options["gamma"], "gamma", self._name)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        rates = self._current()
        return rates if self._is_initial else [rate * self.gamma for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """A share of the rate for the first steps, then the whole of it.

    Args:
        optimizer: whose rates it sets.
        factor: the share, above 0 and at most 1.
        total_iters: how many steps have it, ≥ 1.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = ConstantLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), factor=0.5, total_iters=2)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(4)]
    [0.5, 0.5, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        check_share(options["factor"], "factor", self._name)
        as_integer(options["total_iters"], "total_iters", self._name, least=1)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        rates = self._current()
        if self.last_epoch == 0:
            return [rate * self.factor for rate in rates]
        if self.last_epoch == self.total_iters:
            return [rate * (1.0 / self.factor) for rate in rates]
        return rates

    def _get_closed_form_lr(self) -> list[float]:
        is_over = self.last_epoch >= self.total_iters
        return [base * (self.factor + is_over * (1 - self.factor)) for base in self.base_lrs]


class LinearLR(LRScheduler):
    """From one share of the rate to another in a straight line: the usual warm-up.

    Args:
        optimizer: whose rates it sets.
        start_factor: the first share, above 0 and at most 1.
        end_factor: the share reached after ``total_iters`` steps, 0 to 1.
        total_iters: length of the line, ≥ 1.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = LinearLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), start_factor=0.5, total_iters=2)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        check_share(options["start_factor"], "start_factor", self._name)
        as_number(options["end_factor"], "end_factor", self._name, most=1)
        as_integer(options["total_iters"], "total_iters", self._name, least=1)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        rates = self._current()
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in rates]
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [rate * (1.0 + rise / before) for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        rise = self.end_factor - self.start_factor
        gone = min(self.total_iters, self.last_epoch)
        return [base * (self.start_factor + rise * gone / self.total_iters) for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """From the whole rate to zero along (1 − step/total_iters)^power.

    Args:
        optimizer: whose rates it sets.
        total_iters: steps until the rate is zero, where it stays; ≥ 1.
        power: the exponent, ≥ 0; 1 is a straight line.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = PolynomialLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), total_iters=2)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        as_integer(options["total_iters"], "total_iters", self._name, least=1)
        as_number(options["power"], "power", self._name)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        rates = self._current()
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates
        left = 1.0 - self.last_epoch / self.total_iters
        before = 1.0 - (self.last_epoch - 1) / self.total_iters
        return [rate * (left / before) ** self.power for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * left**self.power for base in self.base_lrs]


class LambdaLR(LRScheduler):
    """The rate at the start, times what a function says of the step.

    Functions are not part of the state: make the schedule with the same ones before loading it.

    Args:
        optimizer: whose rates it sets.
        lr_lambda: gives a factor ≥ 0 for the step of that number; or a list, one function per group.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = LambdaLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), lambda step: 1 / (1 + step))
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(3)]
    [1.0, 0.5, 0.3333333333333333]
    """

    _unsaved: ClassVar[tuple[str, ...]] = (*LRScheduler._unsaved, "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Factor | list[Factor] | tuple[Factor, ...],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = _function_per_group(lr_lambda, checked_optimizer(optimizer, self._name), self._name)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        return [base * factor for base, factor in zip(self.base_lrs, self._factors(), strict=True)]

    def _factors(self) -> list[float]:
        found = [function(self.last_epoch) for function in self.lr_lambdas]
        return [float(as_number(factor, "the factor of lr_lambda", self._name)) for factor in found]


class MultiplicativeLR(LambdaLR):
    """The rate as it is, times what a function says of the step.

    Functions are not part of the state: make the schedule with the same ones before loading it.

    Args:
        optimizer: whose rates it sets.
        lr_lambda: gives a factor ≥ 0 for the step of that number (from 1 on); or a list, one per group.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> scheduler = MultiplicativeLR(tw.optim.SGD([tw.zeros(1)], lr=1.0), lambda step: 0.5)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(3)]
    [1.0, 0.5, 0.25]
    """

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`)."""
        rates = self._current()
        if self._is_initial:
            return rates
        return [rate * factor for rate, factor in zip(rates, self._factors(), strict=True)]


def check_share(value: Any, name: str, op: str) -> None:
    """Refuse a share that is not above 0 and at most 1."""
    as_number(value, name, op, most=1)
    if value == 0:
        raise ArgumentError(f"{op} needs {name} to be above 0.", describe(**{name: value}))


def checked_milestones(milestones: Any, op: str) -> list[int]:
    """The steps as sorted integers, each at least 0.

    Raises:
        DtypeError: they are no iterable.
        ArgumentError: one is no integer, or below 0.
    """
    try:
        listed = None if isinstance(milestones, str) else list(milestones)
    except TypeError:  # nothing that can be walked through; an array of rank 0, for example
        listed = None
    if listed is None:
        raise DtypeError(f"{op} needs milestones to be a list of integers.", describe(milestones=milestones))
    return sorted(as_integer(step, "every milestone", op, least=0) for step in listed)


def _function_per_group(given: Any, optimizer: Optimizer, op: str) -> list[Factor]:
    count = len(optimizer.param_groups)
    functions = list(given) if isinstance(given, (list, tuple)) else [given] * count
    if len(functions) != count or not all(map(callable, functions)):
        raise ArgumentError(
            f"{op} needs lr_lambda to be a function, or a list of one for each of {count} groups.",
            describe(lr_lambda=given),
        )
    return functions
