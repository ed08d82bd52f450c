"""A Tensor that a module learns."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.autograd.create import as_tensor
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.nn.arguments import check_device, floating_dtype

Array = npt.NDArray[Any]


class ParameterLimitError(ArgumentError):
    """A model would have more values than :func:`limited` allows."""


class _Limit(threading.local):
    left: int | None = None


_limit = _Limit()


@contextmanager
def limited(values: int) -> Iterator[None]:
    """Inside, layers are made with at most so many values altogether, and no room is taken for one too many.

    A file that names a model and its sizes can then not make the program allocate more than it bears out.

    Raises:
        ParameterLimitError: by the layer that would have too many.

    >>> with limited(1000):
    ...     layer = nn.Linear(9, 100)
    """
    before, _limit.left = _limit.left, values
    try:
        yield
    finally:
        _limit.left = before


class Parameter(Tensor):
    """A leaf Tensor that a module registers when it is assigned to one of its attributes.

    Args:
        data: a Tensor or array, whose memory the parameter shares, or nested numbers; empty if not given.
        requires_grad: whether gradients are wanted.

    Raises:
        DtypeError: gradients are wanted of values that are not floating.

    >>> scale = Parameter(tw.ones(3))
    >>> scale.requires_grad
    True
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        source = as_tensor(np.empty(0, floating_dtype(None, "Parameter")) if data is None else data)
        self._become(source._data, None, 0)
        # One memory, one count of the writes to it.
        self._version = source._version
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def new_parameter(shape: tuple[int, ...], device: Any, dtype: npt.DTypeLike | None, op: str) -> Parameter:
    """A parameter of zeros, for a layer's constructor to fill.

    Raises:
        ArgumentError: another device than the CPU.
        DtypeError: a dtype that is not floating.
        ParameterLimitError: inside :func:`limited`, one value too many.
        ShapeError: no memory holds it.
    """
    check_device(device, op)
    if _limit.left is not None:
        _limit.left -= math.prod(shape)
        if _limit.left < 0:
            raise ParameterLimitError(
                f"{op} needs to be within the number of values that a model may have here.",
                f"a weight of shape {shape}, {-_limit.left} values too many",
            )
    return Parameter(zeros(shape, floating_dtype(dtype, op), op))


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any], op: str) -> Array:
    """The values of a new parameter.

    Raises:
        ShapeError: no memory holds them.
    """
    try:
        return np.zeros(shape, dtype)
    except (MemoryError, ValueError):
        raise ShapeError(f"{op} needs parameters that memory holds.", describe(shape=shape)) from None
