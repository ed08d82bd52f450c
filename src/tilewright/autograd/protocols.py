"""A Tensor among Python's objects and NumPy's arrays: numbers, iteration, copies, texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.dtypes import checked, native
from tilewright.autograd.joining import unbind
from tilewright.autograd.logic import eq
from tilewright.autograd.operands import ordered
from tilewright.autograd.printing import tensor_text
from tilewright.autograd.taped import Array, Taped, made
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, describe

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


class Protocols(Taped):
    """The part of :class:`tilewright.Tensor` that Python and NumPy call."""

    __slots__ = ()
    # NumPy leaves operators between an array and a Tensor to the Tensor.
    __array_ufunc__ = None
    __array_priority__ = 1000

    def item(self) -> Any:
        """The one element as a Python number.

        Raises:
            ShapeError: there is not exactly one.
        """
        if self._data.size != 1:
            raise ShapeError("item needs a tensor with exactly one element.", describe(tensor=self))
        return self._data.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._data.tolist()

    def numpy(self, *, force: bool = False) -> Array:
        """The array itself, sharing memory.

        Raises:
            StateError: the tensor requires gradients, which the array would lose (``force=True`` allows it).
        """
        self._refresh()
        if self._requires and not force:
            raise StateError(
                "numpy needs a tensor that doesn't require gradients.",
                describe(tensor=self),
                "Use x.detach().numpy().",
            )
        return self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        data = self.numpy()
        if dtype is not None and np.dtype(dtype) != data.dtype:
            if copy is False:
                raise ArgumentError("Another dtype needs a copy.", f"dtype={np.dtype(dtype)}, copy=False")
            return data.astype(dtype)
        return data.copy() if copy else data

    def __len__(self) -> int:
        if not self._data.ndim:
            raise DtypeError("len needs a tensor of rank 1 or more.", describe(tensor=self))
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.ndim:
            raise DtypeError("Iteration needs a tensor of rank 1 or more.", describe(tensor=self))
        whole: Any = self
        return iter(unbind(whole))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ShapeError(
                "The truth of a tensor is that of its one element.",
                describe(tensor=self),
                "Use .any() or .all().",
            )
        return bool(self._data.item())

    def __float__(self) -> float:
        ordered("float", self)
        return float(self.item())

    def __int__(self) -> int:
        ordered("int", self)
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "biu" or self._data.size != 1:
            raise DtypeError("An index is a tensor with one integer.", describe(tensor=self))
        return int(self._data.item())

    def __contains__(self, element: Any) -> bool:
        whole: Any = self
        return bool(eq(whole, element)._data.any())

    def __format__(self, spec: str) -> str:
        if not self._data.ndim and spec:
            return format(self._data.item(), spec)
        return format(repr(self) if self._data.ndim or spec else str(self._data.item()), spec)

    def __repr__(self) -> str:
        self._refresh()
        whole: Any = self
        return tensor_text(whole)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        return _rebuilt, (self._data, self._requires and self._node is None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            known: Tensor = memo[id(self)]
            return known
        self._refresh()
        if self._node is not None:
            raise StateError(
                "deepcopy needs a leaf tensor: a copy has no history.",
                describe(tensor=self),
                "Use x.detach() first.",
            )
        twin: Any = type(self).__new__(type(self))
        twin._become(self._data.copy(), None, 0)
        twin._requires = self._requires
        memo[id(self)] = twin
        twin.grad = copy.deepcopy(self.grad, memo)
        if hasattr(self, "__dict__"):
            twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        made_twin: Tensor = twin
        return made_twin


def _rebuilt(data: Array, requires_grad: bool) -> Tensor:
    found = made(native(data))
    checked(data.dtype)
    found._requires = requires_grad
    return found
