"""What all optimisers share: groups of parameters, each with its options, and a state that can be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tilewright.autograd.tape import enable_grad
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, StateError, describe
from tilewright.geometry.axes import as_integer
from tilewright.kernel import buffers
from tilewright.nn.arguments import as_number
from tilewright.nn.uninitialized import UninitializedParameter

Array = npt.NDArray[Any]
#: One group of parameters: the Tensors under "params", beside them the options.
Group = dict[str, Any]

#: What a schedule notes in a group (see :mod:`tilewright.optim.lr_scheduler`): the rate that it started from.
INITIAL_LR = "initial_lr"


class Optimizer(ABC):
    """Base of the optimisers.

    Args:
        params: Tensors to optimise, or groups of them: dicts with Tensors under "params" and, under the names
            of the optimiser's arguments, options that differ from ``defaults``.
        defaults: the options of a group that doesn't say.

    Attributes:
        param_groups: the groups, each with all its options; a schedule writes ``group["lr"]``.
        state: what is remembered of each parameter: plain numbers and arrays.

    Raises:
        ArgumentError: no parameters, one of them twice, or an option outside its rule.
        DtypeError: something is no Tensor, is not floating, or is the result of a calculation.
        StateError: a parameter of a lazy layer has no shape yet.
    """

    #: Names of what is remembered of a parameter: what always is once there was a step, and what may be.
    remembers: ClassVar[tuple[str, ...]] = ()
    may_remember: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._scratch: dict[tuple[str, int], Array] = {}
        op = self._name
        if isinstance(params, (Tensor, np.ndarray, str, set, frozenset)) or not isinstance(params, Iterable):
            raise DtypeError(
                f"{op} needs an iterable of Tensors or of groups.",
                describe(params=params),
                "Pass model.parameters(), or a list.",
            )
        listed = list(params)
        if not listed:
            raise ArgumentError(f"{op} needs at least one parameter.", describe(params=listed))
        for group in listed if isinstance(listed[0], Mapping) else [{"params": listed}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    @abstractmethod
    def _check(self, options: Mapping[str, Any]) -> None:
        """Raise an ArgumentError if an option of a group is outside its rule."""

    def _check_group(self, options: Mapping[str, Any]) -> None:
        self._check(options)
        if INITIAL_LR in options:
            as_number(options[INITIAL_LR], INITIAL_LR, self._name)

    @abstractmethod
    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: Group) -> None:
        """Write a step to ``parameter``; ``gradient`` must stay as it is."""

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters with options of its own, for example layers that begin to train later.

        Raises:
            ArgumentError, DtypeError, StateError: as the constructor.
        """
        op = self._name
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise DtypeError(
                f"{op} needs each group to be a dict with its Tensors under 'params'.",
                describe(group=param_group),
            )
        unknown = [name for name in param_group if name not in (*self.defaults, "params", INITIAL_LR)]
        if unknown:
            raise ArgumentError(
                f"{op} has the options {', '.join(self.defaults)}.",
                f"a group with {', '.join(map(str, unknown))}",
            )
        given = param_group["params"]
        if isinstance(given, (str, np.ndarray, set, frozenset)) or not isinstance(given, (Tensor, Iterable)):
            raise DtypeError(
                f"{op} needs the Tensors of a group in an order, as a list or an iterator.",
                describe(params=given),
            )
        params = [given] if isinstance(given, Tensor) else list(given)
        seen = {id(held) for group in self.param_groups for held in group["params"]}
        for param in params:
            if not isinstance(param, Tensor):
                raise DtypeError(f"{op} optimises Tensors.", describe(parameter=param))
            if isinstance(param, UninitializedParameter):
                raise StateError(
                    f"{op} needs parameters whose shapes are known.",
                    describe(parameter=param),
                    "Call the model once on an input like those to come, then make the optimiser.",
                )
            if param.dtype.kind != "f" or not param.is_leaf:
                raise DtypeError(
                    f"{op} optimises floating Tensors that were made, not calculated.",
                    describe(parameter=param),
                    "Detach it: x.detach().requires_grad_()." if param.dtype.kind == "f" else "",
                )
            if not param._data.flags.writeable:
                raise DtypeError(
                    f"{op} optimises Tensors whose memory may be written to.",
                    describe(parameter=param),
                    "Copy it: x.clone().",
                )
            if id(param) in seen:
                raise ArgumentError(f"{op} needs each parameter once.", describe(parameter=param))
            seen.add(id(param))
        options = {**self.defaults, **{k: v for k, v in param_group.items() if k != "params"}}
        self._check_group(options)
        self.param_groups.append({"params": params, **options})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with ``set_to_none=False`` fill them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad = param.grad.detach()
                    param.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place.

        Args:
            closure: works the loss and the gradients out once more; it runs first, with the tape on.

        Returns:
            What ``closure`` gave, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        # As in all arithmetic here, infinities and NaN come out without a warning of NumPy's.
        with np.errstate(all="ignore"):
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        state = self.state.setdefault(param, {})
                        self._update(param._data, param.grad._data, state, group)
                        # Tells a backward that is still to come that its inputs have changed.
                        param._version[0] += 1
        return loss

    def _room(self, like: Array, number: int = 0) -> Array:
        """Memory like ``like`` in shape and dtype, to work in during one update; ``number`` tells two apart.

        One buffer serves parameters of all shapes, so that a step makes no large arrays.
        """
        key = (like.dtype.char, number)
        held = self._scratch.get(key)
        if held is None or held.size < like.size:
            held = self._scratch[key] = buffers.empty(like.size, like.dtype)
        return held[: like.size].reshape(like.shape)

    def state_dict(self) -> dict[str, Any]:
        """All that must be saved to continue exactly here, in plain numbers, lists and arrays.

        Returns:
            ``{"state": {number: {name: number or array}}, "param_groups": [{option: value, "params":
            [numbers]}]}``, where parameters are numbered in the order of the groups. The arrays are copies.
        """
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            own = [numbers.setdefault(param, len(numbers)) for param in group["params"]]
            options = {name: plain(value) for name, value in group.items() if name != "params"}
            groups.append({**options, "params": own})
        state = {
            number: {name: _copied(value) for name, value in self.state[param].items()}
            for param, number in numbers.items()
            if self.state.get(param)
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave, for parameters of the same shapes in the same order.

        Raises:
            ArgumentError: it is of another form, or was made by another optimiser or for other parameters;
                nothing has been changed.
        """
        op = f"{self._name}.load_state_dict"
        groups, numbers = _read_groups(op, state_dict)
        sizes = [len(group["params"]) for group in self.param_groups]
        theirs = [len(own) for own in numbers]
        if sizes != theirs:
            raise ArgumentError(
                f"{op} needs groups of as many parameters as it has: {sizes}.", f"groups of {theirs}"
            )
        params = [param for group in self.param_groups for param in group["params"]]
        by_number = dict(zip((number for own in numbers for number in own), params, strict=True))
        options = []
        for group in groups:
            # An option that the state doesn't know of, being older, keeps its default.
            found = {name: group.get(name, default) for name, default in self.defaults.items()}
            if INITIAL_LR in group:
                found[INITIAL_LR] = group[INITIAL_LR]
            self._check_group(found)
            options.append(found)
        state = {}
        for key, kept in state_dict["state"].items():
            # Files with text for keys hold the numbers as text.
            number = int(key) if isinstance(key, str) and key.isdecimal() else key
            if number not in by_number or not isinstance(kept, Mapping):
                raise ArgumentError(f"{op} needs a state per number of a parameter.", describe(number=key))
            state[by_number[number]] = self._read_state(op, number, kept, by_number[number])
        for group, found in zip(self.param_groups, options, strict=True):
            group.update(found)
        self.state = state

    def _read_state(self, op: str, number: int, kept: Mapping[str, Any], param: Tensor) -> dict[str, Any]:
        """What is remembered of ``param``, copied; arrays have its shape and get its dtype."""
        names = set(kept)
        if not set(self.remembers) <= names <= {*self.remembers, *self.may_remember}:
            perhaps = f"perhaps {', '.join(self.may_remember)}"
            raise ArgumentError(
                f"{op} needs for each parameter {', '.join((*self.remembers, perhaps))}.",
                f"{', '.join(sorted(map(str, names))) or 'nothing'} for parameter {number}",
                "A state belongs to the kind of optimiser that made it.",
            )
        found: dict[str, Any] = {}
        for name, value in kept.items():
            if isinstance(value, (np.ndarray, Tensor)) and name != "step":
                array = value._data if isinstance(value, Tensor) else value
                if array.shape != tuple(param.shape) or array.dtype.kind != "f":
                    raise ArgumentError(
                        f"{op} needs {name} of parameter {number} as floating numbers of shape "
                        f"{tuple(param.shape)}.",
                        describe(**{name: array}),
                    )
                found[name] = array.astype(param.dtype)
            elif name == "step":
                found[name] = as_integer(plain(value), f"step of parameter {number}", op, least=0)
            else:
                raise ArgumentError(
                    f"{op} needs {name} of parameter {number} as an array.", describe(**{name: value})
                )
        return found

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _read_groups(op: str, state_dict: Any) -> tuple[list[Mapping[str, Any]], list[list[int]]]:
    """The groups of a saved state, and the numbers of their parameters; the form of both is checked."""
    if (
        not isinstance(state_dict, Mapping)
        or set(state_dict) != {"state", "param_groups"}
        or not isinstance(state_dict["state"], Mapping)
        or not isinstance(state_dict["param_groups"], (list, tuple))
    ):
        raise ArgumentError(
            f"{op} needs a dict with a dict under 'state' and a list under 'param_groups'.",
            describe(state_dict=state_dict),
        )
    numbers = []
    for group in state_dict["param_groups"]:
        own = group.get("params") if isinstance(group, Mapping) else None
        if not isinstance(own, (list, tuple)):
            raise ArgumentError(
                f"{op} needs each group to be a dict with a list under 'params'.", describe(group=group)
            )
        numbers.append([as_integer(number, "the number of a parameter", op, least=0) for number in own])
    every = [number for own in numbers for number in own]
    if len(set(every)) != len(every):
        raise ArgumentError(f"{op} needs a number of its own for each parameter.", describe(numbers=every))
    return list(state_dict["param_groups"]), numbers


def plain(value: Any) -> Any:
    """An option as files hold it: NumPy's numbers as Python's, tuples as lists."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else plain(value)
