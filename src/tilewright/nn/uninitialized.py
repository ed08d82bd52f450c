"""Parameters and buffers that wait for their shape."""

from __future__ import annotations

import copy
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from tilewright.autograd.taped import Taped
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, StateError, describe
from tilewright.geometry.axes import sizes
from tilewright.nn.arguments import check_device, floating_dtype
from tilewright.nn.parameter import Parameter, zeros
from tilewright.op.kinds import DIFFERENTIABLE

# The place of the array itself, below the properties that hide it.
_ARRAY: Any = Taped.__dict__["_data"]


class UninitializedError(StateError, AttributeError):
    """A parameter or buffer is asked for what it doesn't know before its shape is known.

    (Also an AttributeError, so that ``hasattr(parameter, "shape")`` says no.)
    """


class _Uninitialized(Tensor):
    """What waits for its shape: it has a dtype, and everything else that reads its values is refused."""

    # As Tensor, so that an instance can become one.
    __slots__ = ()

    @property  # type: ignore[override]  # hides the array, which isn't there yet
    def _data(self) -> NoReturn:
        raise UninitializedError(
            f"{type(self).__name__} has no values before its shape is known.",
            advice="Call the model once on an input like those to come: its lazy layers then know.",
        )

    @_data.setter
    def _data(self, value: Any) -> None:
        raise UninitializedError(
            f"{type(self).__name__} takes no values before its shape is known.",
            describe(data=value),
            "Call materialize(shape) first, or the model once on an input.",
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that it will have."""
        found: np.dtype[Any] = _ARRAY.__get__(self).dtype
        return found

    def set_dtype(self, dtype: np.dtype[Any]) -> None:
        """Have another dtype once the shape is known."""
        _ARRAY.__set__(self, np.empty(0, dtype))

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Say whether gradients will be wanted; returns the tensor.

        Raises:
            DtypeError: they are, of a dtype that isn't floating.
        """
        if requires_grad and self.dtype.kind not in DIFFERENTIABLE:
            raise DtypeError("Gradients exist for floating dtypes only.", describe(dtype=self.dtype))
        self._requires = bool(requires_grad)
        return self

    def detach(self) -> Tensor:
        """The tensor itself: there is nothing to share yet."""
        return self

    def numpy(self, *, force: bool = False) -> Any:
        """Refused, as everything that reads the values.

        Raises:
            UninitializedError: always.
        """
        return self._data

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary parameter or buffer of zeros, in place: whoever holds it holds that one.

        Args:
            shape: its sizes.
            device: None or "cpu".
            dtype: another dtype than it was made for.

        Raises:
            ArgumentError, DtypeError: no sizes, another device, or a dtype that isn't floating.
            ShapeError: no memory holds it.
        """
        op = f"{type(self).__name__}.materialize"
        check_device(device, op)
        if not isinstance(shape, (tuple, list)):
            raise ArgumentError(f"{op} needs a tuple of sizes.", describe(shape=shape))
        chosen = self.dtype if dtype is None else floating_dtype(dtype, op)
        values = zeros(sizes(shape, "shape", op), chosen, op)
        self.__class__ = Parameter if isinstance(self, Parameter) else Tensor  # type: ignore[assignment]
        _ARRAY.__set__(self, values)
        self._version[0] += 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            known: Tensor = memo[id(self)]
            return known
        kind: Any = type(self)
        twin: Tensor = kind(requires_grad=self._requires, dtype=self.dtype)
        memo[id(self)] = twin
        if hasattr(self, "__dict__"):
            twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin


# Parameter first: Python then lays the two out alike, so that an instance can become one.
class UninitializedParameter(Parameter, _Uninitialized):
    """A :class:`Parameter` of a layer that doesn't know its input's size yet.

    It can be registered, frozen, converted and copied. Its shape and values can't be read, and an optimiser
    refuses it.

    Args:
        requires_grad: whether gradients will be wanted.
        device: None or "cpu".
        dtype: floating; float32 if not given.

    Raises:
        ArgumentError, DtypeError: another device, or a dtype that isn't floating.

    >>> layer = nn.Linear(None, 4)
    >>> layer.weight
    <UninitializedParameter>
    >>> y = layer(tw.zeros(2, 3))
    >>> layer.weight.shape
    Size([4, 3])
    """

    def __init__(
        self, requires_grad: bool = True, device: Any = None, dtype: npt.DTypeLike | None = None
    ) -> None:
        _start(self, requires_grad, device, dtype)

    __repr__ = _Uninitialized.__repr__


class UninitializedBuffer(_Uninitialized):
    """A buffer of a layer that doesn't know its input's size yet; arguments as the parameter's."""

    __slots__ = ()

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: npt.DTypeLike | None = None
    ) -> None:
        _start(self, requires_grad, device, dtype)


def _start(tensor: _Uninitialized, requires_grad: bool, device: Any, dtype: npt.DTypeLike | None) -> None:
    op = type(tensor).__name__
    check_device(device, op)
    empty = np.empty(0, floating_dtype(dtype, op))
    # As _become, which would meet the property.
    _ARRAY.__set__(tensor, empty)
    tensor._node, tensor._index, tensor._version = None, 0, [0]
    tensor._base, tensor._chain, tensor._seen = None, (), 0
    tensor._requires, tensor._hooks, tensor.grad = bool(requires_grad), None, None
