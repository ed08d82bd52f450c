"""How assigning to an attribute registers a parameter, a buffer or a child."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, StateError, TilewrightError, describe
from tilewright.nn.parameter import Parameter

# The dicts of an instance that hold its members, with what may stand in them.
_NEEDED = {"_parameters": "a Parameter", "_modules": "a Module", "_buffers": "a Tensor"}


class MemberError(TilewrightError, AttributeError):
    """A module has no attribute of this name (also an AttributeError, so ``hasattr`` works)."""


class Members:
    """The part of :class:`tilewright.nn.Module` that keeps its parameters, buffers and children."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Members | None]
    _non_persistent_buffers_set: set[str]

    def __init__(self) -> None:
        # Straight into the instance, since __setattr__ itself looks into these.
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _non_persistent_buffers_set=set())

    def _get_name(self) -> str:
        return type(self).__name__

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under ``name``; None keeps the name for none (as a layer without bias does).

        Raises:
            StateError: before ``super().__init__()``.
            ArgumentError: the name can't be used, or is in use for something else.
            DtypeError: ``param`` is neither a Parameter nor None.
        """
        self._check_new_name(name, "parameter", self.__dict__.get("_parameters"))
        if param is not None and not isinstance(param, Parameter):
            raise DtypeError(
                f"{self._get_name()} needs parameter {name!r} to be a Parameter or None.",
                describe(**{name: param}),
                "Wrap it: nn.Parameter(value).",
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that belongs to the module's state but is not trained, such as a running mean.

        With ``persistent=False`` it stays out of ``state_dict``.

        Raises:
            StateError, ArgumentError, DtypeError: as :meth:`register_parameter`.
        """
        self._check_new_name(name, "buffer", self.__dict__.get("_buffers"))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise DtypeError(
                f"{self._get_name()} needs buffer {name!r} to be a Tensor or None.",
                describe(**{name: tensor}),
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Any) -> None:
        """Add a child module under ``name``; None keeps the name for none.

        Raises:
            StateError, ArgumentError, DtypeError: as :meth:`register_parameter`.
        """
        self._check_new_name(name, "module", self.__dict__.get("_modules"))
        if module is not None and not isinstance(module, Members):
            raise DtypeError(
                f"{self._get_name()} needs child {name!r} to be a Module or None.",
                describe(**{name: module}),
            )
        self._modules[name] = module

    register_module = add_module

    def _check_new_name(self, name: str, kind: str, members: Mapping[str, Any] | None) -> None:
        if members is None:
            raise self._not_initialised(name)
        if not isinstance(name, str):
            raise DtypeError(
                f"{self._get_name()} needs the name of a {kind} to be text.", describe(name=name)
            )
        if not name or "." in name:
            raise ArgumentError(
                f"{self._get_name()} needs the name of a {kind} to be non-empty and without '.'.",
                describe(name=name),
                "Dots separate a child's name from its member's in state dicts.",
            )
        if name not in members and hasattr(self, name):
            raise ArgumentError(
                f"{self._get_name()} already has an attribute of the name that is given to a {kind}.",
                describe(name=name),
            )

    def _not_initialised(self, name: str) -> StateError:
        return StateError(
            f"{self._get_name()} needs to call super().__init__() before its attribute {name!r} is assigned."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, (Parameter, Members)):
            if "_parameters" not in own:
                raise self._not_initialised(name)
            kind = "_parameters" if isinstance(value, Parameter) else "_modules"
            for place in (own, *(own[other] for other in _NEEDED if other != kind)):
                place.pop(name, None)
            self._non_persistent_buffers_set.discard(name)
            if kind == "_parameters":
                self.register_parameter(name, value)  # type: ignore[arg-type]  # the kind says so
            else:
                self.add_module(name, value)
            return
        for kind, needed in _NEEDED.items():
            members = own.get(kind, {})
            if name not in members:
                continue
            if value is not None and not (kind == "_buffers" and isinstance(value, Tensor)):
                raise DtypeError(
                    f"{self._get_name()} needs its attribute {name!r} to be {needed} or None.",
                    describe(**{name: value}),
                    "Wrap it: nn.Parameter(value)." if kind == "_parameters" else "",
                )
            members[name] = value
            return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for kind in _NEEDED:
            members = own.get(kind)
            if members is not None and name in members:
                return members[name]
        advice = "" if "_parameters" in own else "Its super().__init__() has not been called."
        raise MemberError(f"{self._get_name()} has no attribute {name!r}.", advice=advice)

    def __delattr__(self, name: str) -> None:
        for kind in _NEEDED:
            members = self.__dict__.get(kind, {})
            if name in members:
                del members[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})
