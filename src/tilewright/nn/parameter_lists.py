"""Modules that hold parameters: in a list, in a dict."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tilewright.autograd.tensor import Tensor
from tilewright.errors import DtypeError, describe
from tilewright.nn.containers import ModuleIndexError, ModuleKeyError
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter
from tilewright.op.kinds import DIFFERENTIABLE


class ParameterList(Module):
    """A list of parameters; a Tensor becomes one when it is put in. It has no forward of its own.

    Args:
        values: the parameters; anything else (a number, None) is held but is no part of the state.

    Raises:
        DtypeError: ``values`` can't be gone through.

    >>> scales = ParameterList([tw.ones(3), tw.ones(2, 2)])
    >>> [name for name, _ in scales.named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        self.extend(() if values is None else values)

    def _place(self, index: Any) -> str:
        try:
            number = operator.index(index)
        except TypeError:
            raise DtypeError(
                f"{self._get_name()} needs an integer or a slice as index.", describe(index=index)
            ) from None
        if not -self._size <= number < self._size:
            raise ModuleIndexError(
                f"{self._get_name()} needs an index from {-self._size} to {self._size - 1}."
                if self._size
                else f"{self._get_name()} is empty, so that no index is valid.",
                describe(index=index),
            )
        return str(number % self._size)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(place)) for place in range(self._size))

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return getattr(self, self._place(index))

    def __setitem__(self, index: int, value: Any) -> None:
        _put(self, self._place(index), value)

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        _put(self, str(self._size), value)
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several parameters at the end.

        Raises:
            DtypeError: ``values`` is one Tensor, or nothing that can be gone through.
        """
        if isinstance(values, (Tensor, str)) or not isinstance(values, Iterable):
            raise DtypeError(f"{self._get_name()} needs a list of parameters.", describe(values=values))
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def pop(self, index: int = -1) -> Any:
        """Take a parameter out and return it; those behind it move up."""
        values = list(self)
        taken = values.pop(int(self._place(index)))
        for place in range(self._size):
            delattr(self, str(place))
        self._size = 0
        self.extend(values)
        return taken

    def extra_repr(self) -> str:
        """One line for each."""
        return "\n".join(_line(f"({place})", value) for place, value in enumerate(self))

    def __repr__(self) -> str:
        return _printed(self)


class ParameterDict(Module):
    """A dict of parameters, in the order in which they came; it has no forward of its own.

    Args:
        parameters: the parameters by name; a Tensor becomes one, and anything else is held but is no part of
            the state.

    >>> scales = ParameterDict({"height": tw.ones(1), "width": tw.ones(1)})
    >>> list(scales.state_dict())
    ['height', 'width']
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self._names: dict[str, None] = {}
        self.update({} if parameters is None else parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._names:
            raise ModuleKeyError(
                f"{self._get_name()} needs one of its keys.",
                describe(key=key),
                f"The keys are {', '.join(map(repr, self._names))}." if self._names else "It is empty.",
            )
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str) or key not in self._names:
            # Refuses names that can't be used, and those of the dict's own methods.
            self._check_new_name(key, "parameter", self._parameters)
        _put(self, key, value)
        self._names[key] = None

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names))

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._names.keys()

    def values(self) -> Iterable[Any]:
        """The parameters."""
        return [self[name] for name in self._names]

    def items(self) -> Iterable[tuple[str, Any]]:
        """Pairs of name and parameter."""
        return [(name, self[name]) for name in self._names]

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of that name, or ``default``."""
        return self[key] if key in self._names else default

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add parameters from a mapping or from pairs; a name that is there gets the new one.

        Raises:
            DtypeError: neither a mapping nor pairs.
        """
        try:
            found = dict(parameters.items()) if isinstance(parameters, ParameterDict) else dict(parameters)
        except (TypeError, ValueError):
            raise DtypeError(
                f"{self._get_name()} needs a mapping from names to parameters, or pairs of both.",
                describe(parameters=parameters),
            ) from None
        for key, value in found.items():
            self[key] = value

    def pop(self, key: str) -> Any:
        """Take a parameter out and return it."""
        value = self[key]
        delattr(self, key)
        del self._names[key]
        return value

    def clear(self) -> None:
        """Take all parameters out."""
        for key in self:
            self.pop(key)

    def extra_repr(self) -> str:
        """One line for each."""
        return "\n".join(_line(f"({key})", value) for key, value in self.items())

    def __repr__(self) -> str:
        return _printed(self)


def _put(holder: Module, name: str, value: Any) -> None:
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        value = Parameter(value, requires_grad=value.dtype.kind in DIFFERENTIABLE)
    # A parameter isn't replaced by something else, but gives its place up.
    if name in holder._parameters and not isinstance(value, Parameter):
        delattr(holder, name)
    setattr(holder, name, value)


def _line(name: str, value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"{name}: Object of type: {type(value).__name__}"
    if not hasattr(value, "shape"):
        return f"{name}: {value!r}"
    sizes = "x".join(map(str, value.shape))
    return f"{name}: Parameter containing: [{value.dtype} of size {sizes}]"


def _printed(holder: Module) -> str:
    extra = holder.extra_repr()
    if not extra:
        return f"{holder._get_name()}()"
    # Indented by four, as PyTorch prints these two.
    return f"{holder._get_name()}(\n    " + extra.replace("\n", "\n    ") + "\n)"
