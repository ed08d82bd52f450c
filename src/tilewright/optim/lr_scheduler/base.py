"""What all schedules share: the optimiser, the count of steps, and a state that can be saved."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from tilewright.errors import ArgumentError, DtypeError, StateError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn.arguments import as_number
from tilewright.optim.optimizer import INITIAL_LR, Group, Optimizer, plain


class LRScheduler(ABC):
    """Base of the schedules: each sets the learning rate of every group as training goes on.

    A schedule is stepped *after* the optimiser: ``optimizer.step()``, then ``scheduler.step()``, once per
    batch or once per epoch, as its numbers are meant. Making it is its step 0 and sets the first rates.
    Several schedules on one optimiser work on one another's rates, as in PyTorch; and as there, the rate that
    a group started from is noted in it as ``initial_lr``.

    A subclass defines ``get_lr``, and says in ``_check`` what its options must be.

    Args:
        optimizer: whose rates it sets.
        last_epoch: the step it stands at; −1 begins. Another number needs groups with ``initial_lr``.

    Attributes:
        last_epoch: steps taken, counted from 0.
        base_lrs: the rate that each group started from.

    Raises:
        DtypeError: that is no optimiser.
        ArgumentError: an option outside its rule.
        StateError: ``last_epoch`` says to go on, and a group has no ``initial_lr``.

    >>> class Halving(LRScheduler):
    ...     def get_lr(self):
    ...         return [rate * 0.5**self.last_epoch for rate in self.base_lrs]
    >>> scheduler = Halving(tw.optim.SGD([tw.zeros(1)], lr=0.8))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """

    #: Attributes that are not saved, and those that hold one number for each group.
    _unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "_is_initial")
    _per_group: ClassVar[tuple[str, ...]] = ("base_lrs", "_last_lr")

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer, self._name)
        self.last_epoch = as_integer(last_epoch, "last_epoch", self._name, least=-1)
        self._check(vars(self))
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault(INITIAL_LR, group["lr"])
        elif any(INITIAL_LR not in group for group in optimizer.param_groups):
            raise StateError(
                f"{self._name} needs groups with an initial_lr to go on from a step.",
                describe(last_epoch=last_epoch),
                "Make it with last_epoch=-1 and call load_state_dict.",
            )
        self.base_lrs = [float(group[INITIAL_LR]) for group in optimizer.param_groups]
        self._last_lr: list[float] = []
        self._begin()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _check(self, options: Mapping[str, Any]) -> None:  # noqa: B027 - a schedule may have no options
        """Raise an ArgumentError if an option, under its attribute's name, is outside its rule."""

    @abstractmethod
    def get_lr(self) -> list[float]:
        """The rates for the step that ``last_epoch`` names, one per group (to read them, ``get_last_lr``)."""

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set, one per group."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go on by one step, and set the rates."""
        self.last_epoch += 1
        self._set_rates(self.get_lr())

    # SequentialLR makes schedules begin, and begin anew; the rest of the time they only step.

    def _begin(self) -> None:
        """The first step, which the constructor takes."""
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _begin_anew(self) -> None:
        """Set the rates of step 0 again, whatever they are now."""
        self.last_epoch = 0
        closed = self._get_closed_form_lr()
        self._set_rates(self.get_lr() if closed is None else closed)

    def _forget(self) -> None:
        """Stand before the first step, as the constructor does; the rates stay as they are."""
        self.last_epoch = -1

    def _take_back(self) -> None:
        """Undo the first step, so that another one can be the first; the rates stay as they are."""
        self.last_epoch -= 1

    def _get_closed_form_lr(self) -> list[float] | None:
        """The rates worked out from ``base_lrs`` alone, where ``get_lr`` builds on the rates as they are."""
        return None

    @property
    def _groups(self) -> list[Group]:
        """The optimiser's groups, which must still be as many."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise StateError(
                f"{self._name} needs the {len(self.base_lrs)} groups of the optimiser that it was made for.",
                f"{len(groups)} groups",
                "Make the schedule after the last add_param_group.",
            )
        return groups

    def _current(self) -> list[float]:
        """The groups' rates as they are."""
        return [float(group["lr"]) for group in self._groups]

    def _set_rates(self, rates: list[float]) -> None:
        for group, rate in zip(self._groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = [float(rate) for rate in rates]

    # State --------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and place, in plain numbers, texts and lists; functions are not in it.

        The rates that the groups have now are in the optimiser's state: save both, and load both.
        """
        return self._own_state()

    def _own_state(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name not in self._unsaved}
        return {name: plain(value) for name, value in kept.items() if _is_plain(value)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; its options replace those of the constructor.

        Raises:
            ArgumentError: it is the state of another kind of schedule, of another number of groups, or an
                option is outside its rule; nothing has been changed.
        """
        vars(self).update(self._read_state(state_dict))

    def _read_state(self, state_dict: Any) -> dict[str, Any]:
        op = f"{self._name}.load_state_dict"
        if not isinstance(state_dict, Mapping):
            raise ArgumentError(f"{op} needs a dict that state_dict() made.", describe(state_dict=state_dict))
        here = self._own_state()
        if set(state_dict) != set(here):
            raise ArgumentError(
                f"{op} needs the entries {', '.join(sorted(here))}.",
                f"{', '.join(sorted(map(str, state_dict))) or 'none'}",
                "A state belongs to the kind of schedule that made it.",
            )
        found = {name: plain(state_dict[name]) for name in here}
        for name, value in found.items():
            if not _is_alike(here[name], value):
                raise ArgumentError(f"{op} needs {name} like {here[name]!r}.", describe(**{name: value}))
            if name in self._per_group and len(value) != len(here[name]):
                raise ArgumentError(
                    f"{op} needs {name} of one number for each of {len(here[name])} groups.",
                    describe(**{name: value}),
                )
        as_integer(found["last_epoch"], "last_epoch", op, least=-1)
        self._check(found)
        return found


def checked_optimizer(optimizer: Any, op: str) -> Optimizer:
    """``optimizer``, if it is one.

    Raises:
        DtypeError: it is not.
    """
    if not isinstance(optimizer, Optimizer):
        raise DtypeError(f"{op} needs an optimiser of tilewright.optim.", describe(optimizer=optimizer))
    return optimizer


def for_each_group(value: Any, name: str, op: str, optimizer: Optimizer, **bounds: float) -> list[float]:
    """One number for each group, from one number for all or a list of them.

    Raises:
        ArgumentError: a list of another length, or a number outside its bounds (see ``as_number``).
    """
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ArgumentError(
            f"{op} needs {name} as one number, or one for each of {count} groups.", describe(**{name: value})
        )
    return [float(as_number(one, name, op, **bounds)) for one in values]


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_alike(here: Any, there: Any) -> bool:
    """Whether a saved value could stand where ``here`` stands."""
    if isinstance(here, list):
        return isinstance(there, list) and all(_is_number(item) and math.isfinite(item) for item in there)
    if here is None or there is None or _is_number(here):
        # None: no number yet, or none given.
        return there is None or _is_number(there) if here is None else _is_number(there)
    return type(here) is type(there)
