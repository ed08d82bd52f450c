"""Modules that hold modules: in a row, in a list, in a dict."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn.fusion import steps
from tilewright.nn.module import Module, indent


class ModuleIndexError(ArgumentError, IndexError):
    """A container of modules has no place of this number (also an IndexError)."""


class ModuleKeyError(ArgumentError, KeyError):
    """A dict of modules has no such key (also a KeyError)."""


class _Numbered(Module):
    """A container whose children stand in order and can be reached by number."""

    def _place(self, index: Any) -> str:
        """The name of the child of a number, counted from the end if negative."""
        try:
            number = operator.index(index)
        except TypeError:
            raise DtypeError(
                f"{self._get_name()} needs an integer or a slice as index.", describe(index=index)
            ) from None
        if not -len(self) <= number < len(self):
            raise ModuleIndexError(
                f"{self._get_name()} needs an index from {-len(self)} to {len(self) - 1}."
                if len(self)
                else f"{self._get_name()} is empty, so that no index is valid.",
                describe(index=index),
            )
        return list(self._modules)[number]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._place(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [self._place(index)]:
            del self._modules[name]
        # Numbered names close the gap; given names stay.
        if all(name.isdecimal() for name in names):
            kept = list(self._modules.values())
            self._modules.clear()
            self._modules.update({str(place): module for place, module in enumerate(kept)})

    def append(self, module: Module) -> Self:
        """Add a module at the end, under the number of its place.

        Raises:
            ArgumentError: a child has that number for its name.
        """
        name = str(len(self))
        if name in self._modules:
            raise ArgumentError(
                f"{self._get_name()}.append needs the name {name!r} to be free.",
                f"children named {', '.join(self._modules)}",
                "Use add_module to choose the name.",
            )
        self.add_module(name, module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, index: int = -1) -> Any:
        """Take a module out and return it."""
        name = self._place(index)
        module = self._modules[name]
        del self[index]
        return module

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the place ``index``; those behind it move on by one.

        Raises:
            ArgumentError: the children have names of their own, which have no number to move on to.
        """
        if not all(name.isdecimal() for name in self._modules):
            raise ArgumentError(
                f"{self._get_name()}.insert needs children under numbers.",
                f"children named {', '.join(self._modules)}",
            )
        modules = list(self._modules.values())
        # Registered at the end first, so that a value which is no module is refused before anything moves.
        self.append(module)
        modules.insert(index, module)
        self._modules.clear()
        self._modules.update({str(place): held for place, held in enumerate(modules)})
        return self


class Sequential(_Numbered):
    """Modules that run one after the other, each on what the one before gave.

    A convolution directly followed by ``ReLU``, ``LeakyReLU``, ``Tanh``, ``Sigmoid``, ``SiLU`` or ``GELU``
    (the exact one) is run with it in one step: the activation is applied as the convolution stores its
    result, which saves a pass over memory. ReLU and leaky ReLU give the same bits as on their own, the
    others the same numbers up to rounding. SiLU and GELU take a step of their own while gradients are
    recorded, since theirs follow from their inputs. Layers of subclasses and layers with hooks always run
    alone, so that a hook sees the output of every layer.

    Args:
        args: modules, which get the names "0", "1", …; or one mapping from names to modules.

    Raises:
        DtypeError: something is no module.

    >>> model = Sequential(Conv2d(1, 6, 5), Tanh(), Flatten(), Linear(6 * 24 * 24, 10))
    >>> model[0]
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
    >>> features = model[:2]  # shares its layers with model
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else None
        for name, module in named.items() if named is not None else enumerate(args):
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Run the modules in order."""
        for step in steps(list(self)):
            input = step(input)
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            # A plain Sequential, since a subclass may have arguments of its own.
            return Sequential(dict(list(self._modules.items())[index]))
        return self._modules[self._place(index)]

    def __add__(self, other: Any) -> Sequential:
        """Both, one behind the other; the layers are shared."""
        return Sequential(*self, *other) if isinstance(other, Sequential) else NotImplemented

    def __iadd__(self, other: Any) -> Self:
        return self.extend(list(other)) if isinstance(other, Sequential) else NotImplemented

    def __mul__(self, times: Any) -> Sequential:
        """The same layers so many times over; they are shared, not copied."""
        return Sequential(*(list(self) * self._times(times)))

    def __imul__(self, times: Any) -> Self:
        return self.extend(list(self) * (self._times(times) - 1))

    __rmul__ = __mul__

    def _times(self, times: Any) -> int:
        return as_integer(times, "the number of repetitions", self._get_name(), least=1)


class ModuleList(_Numbered):
    """A list of modules; it has no forward of its own.

    >>> heads = ModuleList(Linear(8, 2) for _ in range(3))
    >>> outputs = [head(tw.zeros(4, 8)) for head in heads]
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ModuleList(list(self)[index])
        return self._modules[self._place(index)]

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        # Neighbours that print alike share an entry, as in "(0-2): 3 x ReLU()".
        runs: list[tuple[int, int, str]] = []
        for place, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], place, text)
            else:
                runs.append((place, place, text))
        if not runs:
            return f"{self._get_name()}()"
        lines = [
            f"({first}): {indent(text)}"
            if first == last
            else f"({first}-{last}): {last - first + 1} x {indent(text)}"
            for first, last, text in runs
        ]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """A dict of modules, in the order in which they came; it has no forward of its own.

    >>> pools = ModuleDict({"max": MaxPool2d(2), "mean": AvgPool2d(2)})
    >>> y = pools["max"](tw.zeros(1, 3, 8, 8))
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def __getitem__(self, key: str) -> Any:
        if key not in self._modules:
            raise ModuleKeyError(
                f"{self._get_name()} needs one of its keys.",
                describe(key=key),
                f"The keys are {', '.join(map(repr, self._modules))}." if self._modules else "It is empty.",
            )
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Pairs of name and module."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules from a mapping or from pairs; a name that is there gets the new module."""
        for key, module in dict(modules).items():
            self[key] = module

    def pop(self, key: str) -> Any:
        """Take a module out and return it."""
        module = self[key]
        del self._modules[key]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()
