"""Schedules that go up and down: one cycle for a whole training, or cycles for ever."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tilewright.errors import ArgumentError, DtypeError, StateError, describe
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.nn.arguments import as_number, one_of
from tilewright.optim.lr_scheduler.base import LRScheduler, checked_optimizer, for_each_group
from tilewright.optim.optimizer import INITIAL_LR, Optimizer

PerGroup = float | list[float]


class _Cycle(LRScheduler):
    """A schedule that moves the momentum against the rate: low where the rate is high.

    The momentum is the group's ``momentum``, or with an optimiser of Adam's kind the first of its ``betas``.
    """

    _per_group: ClassVar[tuple[str, ...]] = (*LRScheduler._per_group, "max_lrs")

    cycle_momentum: bool
    base_momentums: list[float]
    max_momentums: list[float]
    max_lrs: list[float]

    def _take_momentums(self, optimizer: Optimizer, cycle: bool, base: PerGroup, top: PerGroup) -> None:
        cycle = as_flag(cycle, "cycle_momentum", self._name)
        if cycle and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ArgumentError(
                f"{self._name} needs an optimiser with momentum or betas to cycle the momentum.",
                describe(optimizer=type(optimizer).__name__),
                "Pass cycle_momentum=False.",
            )
        self.cycle_momentum = cycle
        self.base_momentums = for_each_group(base, "base_momentum", self._name, optimizer, below=1)
        self.max_momentums = for_each_group(top, "max_momentum", self._name, optimizer, below=1)

    def _set_momentums(self, momentums: list[float]) -> None:
        for group, momentum in zip(self._groups, momentums, strict=True):
            if "betas" in self.optimizer.defaults:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class OneCycleLR(_Cycle):
    """One rise from a low rate to the highest, then a long fall to next to nothing; the momentum mirrors it.

    To be stepped after every batch. Source: Smith and Topin, "Super-convergence: Very fast training of neural
    networks using large learning rates" (2018), in PyTorch's form.

    Args:
        optimizer: whose rates it sets; the rates it was made with play no part.
        max_lr: the highest rate; or a list, one per group.
        total_steps: steps of the whole cycle, ≥ 1. Or
        epochs: passes over the data, with
        steps_per_epoch: batches in each; the cycle has the product of both.
        pct_start: the share of the steps that rises, 0 to 1.
        anneal_strategy: "cos", along half a cosine, or "linear".
        cycle_momentum: whether the momentum moves as well.
        base_momentum: the lowest momentum, where the rate is highest, below 1; or one per group.
        max_momentum: the highest; or one per group.
        div_factor: the first rate is ``max_lr / div_factor``.
        final_div_factor: the last rate is the first divided by it.
        three_phase: fall to the first rate as fast as it rose, and only then to the last.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    Raises:
        ArgumentError: an option outside its rule, or the number of steps isn't given.
        StateError: (when stepped) the cycle is over.

    >>> optimizer = tw.optim.SGD([tw.zeros(1)], lr=0.1, momentum=0.9)
    >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.4)
    >>> [(round(scheduler.get_last_lr()[0], 4), scheduler.step())[0] for _ in range(5)]
    [0.04, 1.0, 0.75, 0.25, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: PerGroup,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.85,
        max_momentum: PerGroup = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        optimizer = checked_optimizer(optimizer, self._name)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(
                    f"{self._name} needs total_steps, or epochs and steps_per_epoch.",
                    describe(total_steps=total_steps, epochs=epochs, steps_per_epoch=steps_per_epoch),
                )
            total_steps = as_integer(epochs, "epochs", self._name, least=1) * as_integer(
                steps_per_epoch, "steps_per_epoch", self._name, least=1
            )
        self.total_steps = total_steps
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.three_phase = as_flag(three_phase, "three_phase", self._name)
        self._check(vars(self))
        self.max_lrs = for_each_group(max_lr, "max_lr", self._name, optimizer)
        self._take_momentums(optimizer, cycle_momentum, base_momentum, max_momentum)
        last_epoch = as_integer(last_epoch, "last_epoch", self._name, least=-1)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, self.max_lrs, strict=True):
                group[INITIAL_LR] = top / div_factor
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        as_integer(options["total_steps"], "total_steps", self._name, least=1)
        as_number(options["pct_start"], "pct_start", self._name, most=1)
        one_of(options["anneal_strategy"], ("cos", "linear"), "anneal_strategy", self._name)
        for name in ("div_factor", "final_div_factor"):
            if as_number(options[name], name, self._name) == 0:
                raise ArgumentError(f"{self._name} needs {name} to be above 0.", describe(**{name: 0}))

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`); sets the momentum, too."""
        if self.last_epoch > self.total_steps:
            raise StateError(
                f"{self._name} has total_steps={self.total_steps} and can't be stepped past them.",
                f"step {self.last_epoch}",
                "Make it with as many steps as the training has.",
            )
        start, end, share = self._where()
        lows = zip(self.base_lrs, self.max_lrs, strict=True)
        rates = [{"first": low, "top": top, "last": low / self.final_div_factor} for low, top in lows]
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            momentums = [{"first": high, "top": low, "last": high} for low, high in pairs]
            self._set_momentums([self._between(one[start], one[end], share) for one in momentums])
        return [self._between(one[start], one[end], share) for one in rates]

    def _where(self) -> tuple[str, str, float]:
        """The names of the two points that the step lies between, and the share of the way."""
        rise = float(self.pct_start * self.total_steps)
        last = float(self.total_steps - 1)
        phases = [("first", "top", rise - 1), ("top", "last", last)]
        if self.three_phase:
            phases[1:] = [("top", "first", 2 * rise - 2), ("first", "last", last)]
        ends = [over for _, _, over in phases]
        place = next((k for k, over in enumerate(ends) if self.last_epoch <= over), len(ends) - 1)
        start, end, over = phases[place]
        begun = ends[place - 1] if place else 0.0
        # A rise of no steps, and the step after the last one (which a training loop takes, and nobody uses),
        # are at the end of their way.
        share = 1.0 if over <= begun else min((self.last_epoch - begun) / (over - begun), 1.0)
        return start, end, share

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start


class CyclicLR(_Cycle):
    """The rate up and down between two bounds in straight lines, for ever; the momentum mirrors it.

    To be stepped after every batch. Source: Smith, "Cyclical learning rates for training neural networks",
    WACV 2017.

    Args:
        optimizer: whose rates it sets; the rates it was made with play no part.
        base_lr: the lowest rate; or a list, one per group.
        max_lr: the highest rate of the first cycle; or one per group.
        step_size_up: steps of a rise, ≥ 1.
        step_size_down: steps of a fall, ≥ 1; None: as many.
        mode: "triangular", all cycles alike; "triangular2", each half as high as the one before;
            "exp_range", the height times ``gamma`` to the power of the step.
        gamma: for "exp_range", ≥ 0.
        scale_fn: a function of one's own for the height, in place of ``mode``; not part of the state.
        scale_mode: what ``scale_fn`` is given: "cycle", counted from 1, or "iterations", the step.
        cycle_momentum: whether the momentum moves as well.
        base_momentum: the lowest momentum, below 1; or one per group.
        max_momentum: the highest; or one per group.
        last_epoch: see :class:`LRScheduler`, which names the errors, too.

    >>> optimizer = tw.optim.SGD([tw.zeros(1)], lr=0.1, momentum=0.9)
    >>> scheduler = CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    _unsaved: ClassVar[tuple[str, ...]] = (*_Cycle._unsaved, "scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: PerGroup,
        max_lr: PerGroup,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.8,
        max_momentum: PerGroup = 0.9,
        last_epoch: int = -1,
    ) -> None:
        optimizer = checked_optimizer(optimizer, self._name)
        self.step_size_up = step_size_up
        self.step_size_down = step_size_up if step_size_down is None else step_size_down
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = scale_mode
        self._check(vars(self))
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        elif not callable(scale_fn):
            raise DtypeError(f"{self._name} needs scale_fn to be a function.", describe(scale_fn=scale_fn))
        self.scale_fn = scale_fn
        lows = for_each_group(base_lr, "base_lr", self._name, optimizer)
        self.max_lrs = for_each_group(max_lr, "max_lr", self._name, optimizer)
        self._take_momentums(optimizer, cycle_momentum, base_momentum, max_momentum)
        last_epoch = as_integer(last_epoch, "last_epoch", self._name, least=-1)
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, lows, strict=True):
                group[INITIAL_LR] = low
        super().__init__(optimizer, last_epoch)

    def _check(self, options: Mapping[str, Any]) -> None:
        for name in ("step_size_up", "step_size_down"):
            as_integer(options[name], name, self._name, least=1)
        one_of(options["mode"], ("triangular", "triangular2", "exp_range"), "mode", self._name)
        one_of(options["scale_mode"], ("cycle", "iterations"), "scale_mode", self._name)
        as_number(options["gamma"], "gamma", self._name)

    def get_lr(self) -> list[float]:
        """The rates of this step (see :class:`LRScheduler`); sets the momentum, too."""
        length = float(self.step_size_up + self.step_size_down)
        rise = self.step_size_up / length
        cycle = math.floor(1 + self.last_epoch / length)
        place = 1.0 + self.last_epoch / length - cycle
        share = place / rise if place <= rise else (place - 1) / (rise - 1)
        scale = self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            self._set_momentums([top - (top - low) * share * scale for low, top in pairs])
        bounds = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (top - low) * share * scale for low, top in bounds]

    def _scale(self, of: int) -> float:
        if self.scale_fn is not None:
            return float(as_number(self.scale_fn(of), "the result of scale_fn", self._name))
        if self.mode == "triangular2":
            return float(1 / 2.0 ** (of - 1))
        return float(self.gamma**of) if self.mode == "exp_range" else 1.0
