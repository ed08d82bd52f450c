"""What every operation asks of the arrays it is given, and how it lays out the arrays it returns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import DtypeError, describe
from tilewright.kernel import buffers
from tilewright.op.kinds import COMPLEX, HALVES

Array = npt.NDArray[Any]

FLOATS = ("float32", "float64")
NUMBERS = (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
#: What products of can be added up: convolution and the dense layer take all of these.
MULTIPLIED = (*NUMBERS, *HALVES, *COMPLEX)


@lru_cache(maxsize=256)
def name_of(dtype: np.dtype[Any]) -> str:
    """A dtype's name, which NumPy puts together anew, in a microsecond, whenever it is asked."""
    return dtype.name


def check_array(value: Any, name: str, op: str, allowed: tuple[str, ...] = NUMBERS) -> Array:
    """``value`` as a NumPy array of an allowed dtype in native byte order; never converted, only checked.

    Raises:
        DtypeError: it is no array, or of another dtype.
    """
    if not isinstance(value, np.ndarray):
        raise DtypeError(
            f"{op} needs {name} to be a NumPy array or a Tensor.",
            f"{name} of type {type(value).__name__}",
            f"Convert it first: numpy.asarray({name}).",
        )
    if name_of(value.dtype) not in allowed or not value.dtype.isnative:
        raise DtypeError(
            f"{op} needs {name} of one of the dtypes {', '.join(allowed)}, in native byte order.",
            describe(**{name: value}),
            f"Convert it first, for example {name}.astype('float32').",
        )
    return value


def check_same_dtype(op: str, **arrays: Array | None) -> None:
    """Refuse operands of different dtypes: nothing is ever converted silently.

    Raises:
        DtypeError: naming all operands.
    """
    given = {name: array for name, array in arrays.items() if array is not None}
    if len({array.dtype for array in given.values()}) > 1:
        raise DtypeError(
            f"{op} needs operands of one dtype.",
            ", ".join(f"{name} of {array.dtype}" for name, array in given.items()),
            "Convert one of them with astype.",
        )


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that ``shapes`` broadcast to, of any rank; ``numpy.broadcast_shapes`` stops at 32 axes.

    Raises:
        ValueError: they don't.

    >>> broadcast_shape((4, 1), (3,))
    (4, 3)
    """
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    found = [1] * max(map(len, shapes))
    for shape in shapes:
        for place, size in enumerate(shape, len(found) - len(shape)):
            if found[place] == 1:
                found[place] = size
            elif size not in (1, found[place]):
                raise ValueError(f"shapes that don't broadcast: {', '.join(map(str, shapes))}")
    return tuple(found)


def is_channels_last(x: Array) -> bool:
    """Whether an array of shape (batch, channels, *spatial) has its channels innermost in memory."""
    if x.ndim < 3 or x.shape[1] == 1 or x.size == 0:
        return False
    channel = abs(x.strides[1])
    spatial = [abs(stride) for n, stride in zip(x.shape[2:], x.strides[2:], strict=True) if n > 1]
    return 0 < channel < min(spatial, default=0)


def empty_in_layout(shape: tuple[int, ...], like: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """An uninitialised array of ``shape`` (batch, channels, *spatial) in the memory layout of ``like``.

    A channels-last array is the same shape with the channel stride the smallest. The dtype is that of
    ``like`` unless another is given.
    """
    kind = like.dtype if dtype is None else np.dtype(dtype)
    if is_channels_last(like):
        batch, channels, *spatial = shape
        return np.moveaxis(buffers.empty((batch, *spatial, channels), kind), -1, 1)
    return buffers.empty(shape, kind)


def layout_of(x: Array) -> str:
    """How the result of an operation on ``x`` lies in memory."""
    return "channels_last" if is_channels_last(x) else "channels_first"
