"""Tensors in another dtype, and new ones in the dtype of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.autograd.create import check_device, empty, full, ones, tensor, zeros
from tilewright.autograd.dtypes import as_dtype, device, float16, float32, float64, int16, int32, int64, uint8
from tilewright.autograd.dtypes import bool_ as bool_dtype
from tilewright.autograd.operands import cast
from tilewright.autograd.shape import clone
from tilewright.autograd.tape import is_tensor
from tilewright.errors import ArgumentError, describe
from tilewright.op.kinds import bfloat16 as bfloat16_dtype

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

# What PyTorch takes for `to` and what has no meaning here.
_IGNORED = {"non_blocking", "memory_format"}
_DEVICES = {"cpu", "cuda", "mps", "meta", "xpu"}


def to(
    input: Tensor, *targets: Any, dtype: Any = None, device: Any = None, copy: bool = False, **ignored: Any
) -> Tensor:
    """In another dtype: ``x.to(tw.float64)``, ``x.to("cpu")``, ``x.to(other)``, ``x.to("cpu", tw.float64)``.

    The tensor itself is returned when nothing changes.

    Raises:
        DtypeError: a target is neither a dtype, a device nor a Tensor.
        ArgumentError: the device is not the processor.
    """
    check_device(device)
    if set(ignored) - _IGNORED:
        raise ArgumentError("to takes dtype, device and copy.", describe(names=sorted(ignored)))
    for target in targets:
        if is_tensor(target):
            dtype = target._data.dtype
        elif _is_device(target):
            check_device(target)
        elif not isinstance(target, bool):
            dtype = target
    found = input if dtype is None else cast(input, as_dtype(dtype))
    return clone(found) if copy and found is input else found


def _is_device(target: Any) -> bool:
    return isinstance(target, device) or (isinstance(target, str) and target.split(":")[0] in _DEVICES)


def type_(input: Tensor, dtype: Any = None) -> Any:
    """The tensor in another dtype; without one, the name of its dtype."""
    return str(input._data.dtype) if dtype is None else to(input, dtype)


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """In the dtype of ``other``."""
    return cast(input, other._data.dtype)


def float_(input: Tensor) -> Tensor:
    """In float32."""
    return cast(input, float32)


def double(input: Tensor) -> Tensor:
    """In float64."""
    return cast(input, float64)


def half(input: Tensor) -> Tensor:
    """In float16."""
    return cast(input, float16)


def bfloat16(input: Tensor) -> Tensor:
    """In bfloat16.

    Raises:
        MissingExtraError: the package ml_dtypes, which has this dtype, is not installed.
    """
    return cast(input, bfloat16_dtype())


def long(input: Tensor) -> Tensor:
    """In int64."""
    return cast(input, int64)


def int_(input: Tensor) -> Tensor:
    """In int32."""
    return cast(input, int32)


def short(input: Tensor) -> Tensor:
    """In int16."""
    return cast(input, int16)


def byte(input: Tensor) -> Tensor:
    """In uint8."""
    return cast(input, uint8)


def bool_(input: Tensor) -> Tensor:
    """In bool: whether elements are other than 0."""
    return cast(input, bool_dtype)


def cpu(input: Tensor) -> Tensor:
    """The tensor itself: it lies on the processor."""
    return input


def cuda(input: Tensor, *where: Any) -> Tensor:
    """Refused: there is no such device.

    Raises:
        ArgumentError: always.
    """
    check_device("cuda")
    return input


def new_tensor(input: Tensor, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ``data``, in the dtype of ``input`` unless another is given."""
    return tensor(data, dtype=input._data.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_zeros(input: Tensor, *size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, in the dtype of ``input`` unless another is given."""
    return zeros(*size, dtype=input._data.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_ones(input: Tensor, *size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones, in the dtype of ``input`` unless another is given."""
    return ones(*size, dtype=input._data.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_empty(input: Tensor, *size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory to be filled, in the dtype of ``input`` unless another is given."""
    return empty(*size, dtype=input._data.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_full(input: Tensor, size: Any, fill_value: Any, *, dtype: Any = None) -> Tensor:
    """One value throughout, in the dtype of ``input`` unless another is given."""
    return full(size, fill_value, dtype=input._data.dtype if dtype is None else dtype)
