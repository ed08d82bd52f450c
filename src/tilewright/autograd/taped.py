"""What the tape knows of a Tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy.typing as npt

from tilewright.autograd.mode import set_recording

if TYPE_CHECKING:
    from tilewright.autograd.context import Node
    from tilewright.autograd.tensor import Tensor

Array = npt.NDArray[Any]
#: The steps that lead from a base to a view of it: names of operations and their attributes.
Chain = tuple[tuple[str, dict[str, Any]], ...]


class Taped:
    """What the tape knows of a Tensor; :class:`tilewright.Tensor` is the one class made of it.

    A view is refreshed before it is used, when the memory that it shares was written to since
    ``_seen``: its history is then that of its base, followed by the steps of ``_chain``.
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_chain",
        "_data",
        "_hooks",
        "_index",
        "_node",
        "_requires",
        "_seen",
        "_version",
        "grad",
    )
    _data: Array
    _node: Node | None
    _index: int
    _version: list[int]
    _base: Tensor | None
    _chain: Chain
    _seen: int
    _requires: bool
    _hooks: dict[int, Callable[[Tensor], Tensor | None]] | None
    grad: Tensor | None

    def _become(self, data: Array, node: Node | None, index: int) -> None:
        """Start as an owner of ``data`` that was made by output ``index`` of ``node``."""
        self._data = data
        self._node = node
        self._index = index
        self._version = [0]
        self._base = None
        self._chain = ()
        self._seen = 0
        self._requires = node is not None
        self._hooks = None
        self.grad = None

    def _refresh(self) -> None:
        """Take on the history of the base, if it was written to since this view was made."""
        base = self._base
        if base is None or self._seen == self._version[0]:
            return
        self._seen = self._version[0]
        if not base._requires:
            return
        from tilewright.autograd.tape import replay

        before = set_recording(True)
        try:
            again: Tensor = replay(base, self._chain)
        finally:
            set_recording(before)
        self._node, self._index, self._requires = again._node, again._index, True


_class: list[type[Any]] = [Taped]


def register_tensor_class(found: type[Any]) -> None:
    """Say what class results are of (once, by the module that defines Tensor)."""
    _class[0] = found


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether ``value`` is a :class:`tilewright.Tensor`."""
    return isinstance(value, Taped)


def made(data: Array, node: Node | None = None, index: int = 0) -> Tensor:
    """A Tensor that holds ``data``, output ``index`` of ``node`` (None for a leaf)."""
    found: Any = _class[0]
    tensor: Tensor = found.__new__(found)
    tensor._become(data, node, index)
    return tensor


def alias(tensor: Tensor) -> Tensor:
    """The same values, history and version counter in an object that later writes don't rebase."""
    found = made(tensor._data, tensor._node, tensor._index)
    found._version = tensor._version
    return found
