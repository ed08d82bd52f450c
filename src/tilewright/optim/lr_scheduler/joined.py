"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.geometry.axes import as_integer
from tilewright.optim.lr_scheduler.base import LRScheduler, checked_optimizer
from tilewright.optim.lr_scheduler.factors import LinearLR, check_share, checked_milestones
from tilewright.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tilewright.optim.optimizer import INITIAL_LR, Optimizer


class _Joined(LRScheduler):
    """A schedule whose work others do; its state holds theirs."""

    _unsaved = (*LRScheduler._unsaved, "_schedulers")
    _per_group = ("_last_lr",)
    _schedulers: list[LRScheduler]

    def _take(self, schedulers: Any, optimizer: Optimizer | None) -> None:
        if isinstance(schedulers, str) or not isinstance(schedulers, Sequence) or not schedulers:
            raise ArgumentError(
                f"{self._name} needs a list of at least one schedule.", describe(schedulers=schedulers)
            )
        for place, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise DtypeError(
                    f"{self._name} joins schedules whose step takes no measure.",
                    f"a {type(scheduler).__name__} at place {place}, counted from 0",
                )
        found = schedulers[0].optimizer if optimizer is None else optimizer
        self.optimizer = checked_optimizer(found, self._name)
        for place, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not self.optimizer:
                raise ArgumentError(
                    f"{self._name} joins schedules of one optimiser.",
                    f"a {type(scheduler).__name__} of another one at place {place}, counted from 0",
                )
        self._schedulers = list(schedulers)

    def _forget(self) -> None:
        super()._forget()
        for scheduler in self._schedulers:
            scheduler._forget()

    def get_lr(self) -> list[float]:
        """The rates as they are: the schedules inside set them."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """As :meth:`LRScheduler.state_dict`, with the states of the schedules inside under "schedulers"."""
        return {**self._own_state(), "schedulers": [one.state_dict() for one in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As :meth:`LRScheduler.load_state_dict`, for the schedules inside, too."""
        op = f"{self._name}.load_state_dict"
        inner = state_dict.get("schedulers") if isinstance(state_dict, Mapping) else None
        if not isinstance(inner, (list, tuple)) or len(inner) != len(self._schedulers):
            raise ArgumentError(
                f"{op} needs the states of {len(self._schedulers)} schedules under 'schedulers'.",
                describe(schedulers=inner),
            )
        own = self._read_state({name: value for name, value in state_dict.items() if name != "schedulers"})
        before = [one.state_dict() for one in self._schedulers]
        try:
            for scheduler, state in zip(self._schedulers, inner, strict=True):
                scheduler.load_state_dict(state)
        except BaseException:
            for scheduler, state in zip(self._schedulers, before, strict=True):
                scheduler.load_state_dict(state)
            raise
        vars(self).update(own)


class SequentialLR(_Joined):
    """One schedule after the other: each begins anew, at its own step 0, where the one before it ends.

    Args:
        optimizer: whose rates they set.
        schedulers: the schedules, all made over that optimiser; none of them :class:`ReduceLROnPlateau`.
        milestones: the steps at which the second, the third and so on begin; one fewer than schedules.
        last_epoch: the step it stands at; −1 begins.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> optimizer = tw.optim.SGD([tw.zeros(1)], lr=1.0)
    >>> warmup = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> fall = tw.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> scheduler = SequentialLR(optimizer, [warmup, fall], milestones=[3])
    >>> [(round(scheduler.get_last_lr()[0], 9), scheduler.step())[0] for _ in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self._take(schedulers, checked_optimizer(optimizer, self._name))
        steps = checked_milestones(milestones, self._name)
        if len(steps) != len(schedulers) - 1 or sorted(set(steps)) != list(milestones):
            raise ArgumentError(
                f"{self._name} needs rising milestones, one fewer than its {len(schedulers)} schedules.",
                describe(milestones=milestones),
            )
        self.milestones = steps
        self.last_epoch = as_integer(last_epoch, "last_epoch", self._name, least=-1)
        for group in self.optimizer.param_groups:
            group["lr"] = group[INITIAL_LR]
        # Each took its first step when it was made, on top of what the others had set.
        for scheduler in self._schedulers:
            scheduler._take_back()
        self._begin()

    def step(self) -> None:
        """Go on by one step, and set the rates."""
        self.last_epoch += 1
        place = bisect_right(self.milestones, self.last_epoch)
        scheduler = self._schedulers[place]
        if place > 0 and self.milestones[place - 1] == self.last_epoch:
            scheduler._begin_anew()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def _at(self, step: int) -> LRScheduler:
        return self._schedulers[bisect_right(self.milestones, step)]

    def _begin(self) -> None:
        self.last_epoch += 1
        scheduler = self._at(self.last_epoch)
        scheduler._begin()
        self._last_lr = scheduler.get_last_lr()

    def _begin_anew(self) -> None:
        self.last_epoch = 0
        scheduler = self._at(0)
        scheduler._begin_anew()
        self._last_lr = scheduler.get_last_lr()

    def _take_back(self) -> None:
        self._at(self.last_epoch)._take_back()
        self.last_epoch -= 1


class ChainedScheduler(_Joined):
    """Several schedules at once: each step is a step of every one, in their order.

    Args:
        schedulers: the schedules, all made over one optimiser; none of them :class:`ReduceLROnPlateau`.
        optimizer: that optimiser; None: read off the first schedule.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> optimizer = tw.optim.SGD([tw.zeros(1)], lr=1.0)
    >>> fall = tw.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> warmup = LinearLR(optimizer, start_factor=0.5, total_iters=1)
    >>> scheduler = ChainedScheduler([fall, warmup])
    >>> [(scheduler.get_last_lr()[0], scheduler.step())[0] for _ in range(3)]
    [0.5, 0.5, 0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self.last_epoch = 0
        self._last_lr = self.get_lr()

    def step(self) -> None:
        """Step every schedule, in order."""
        self.last_epoch += 1
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self.get_lr()

    def _begin(self) -> None:
        self.last_epoch += 1
        for scheduler in self._schedulers:
            scheduler._begin()
        self._last_lr = self.get_lr()

    def _begin_anew(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group[INITIAL_LR]
        self._forget()
        self._begin()

    def _take_back(self) -> None:
        for scheduler in self._schedulers:
            scheduler._take_back()
        self.last_epoch -= 1


def with_warmup(scheduler: LRScheduler, steps: int, start_factor: float = 0.01) -> LRScheduler:
    """A schedule that begins after a warm-up: the rate first rises in a straight line to its full height.

    Args:
        scheduler: what follows the warm-up, from its own step 0.
        steps: length of the warm-up; 0: there is none, and ``scheduler`` comes back as it is.
        start_factor: the share of the rate that the first step has, above 0 and at most 1.

    Returns:
        :class:`LinearLR` and then ``scheduler``, as a :class:`SequentialLR`.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> optimizer = tw.optim.SGD([tw.zeros(1)], lr=1.0)
    >>> scheduler = with_warmup(tw.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2), 2, start_factor=0.5)
    >>> [(round(scheduler.get_last_lr()[0], 9), scheduler.step())[0] for _ in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.0]
    """
    op = "with_warmup"
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        raise DtypeError(f"{op} needs a schedule whose step takes no measure.", describe(scheduler=scheduler))
    length = as_integer(steps, "steps", op, least=0)
    check_share(start_factor, "start_factor", op)
    if length == 0:
        return scheduler
    rise = LinearLR(scheduler.optimizer, start_factor, total_iters=length)
    return SequentialLR(scheduler.optimizer, [rise, scheduler], [length])
