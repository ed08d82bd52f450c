"""Operands brought together: one dtype, shapes that broadcast; and the gradients of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import shapes_differ
from tilewright.autograd.dtypes import (
    Number,
    get_default_dtype,
    native,
    number_as,
    promote_operands,
    promote_with_python,
)
from tilewright.autograd.tape import Array, Context, Taped, X, apply, made, rule, run
from tilewright.errors import DtypeError, describe
from tilewright.kernel import buffers
from tilewright.op import passes
from tilewright.op.kinds import DIFFERENTIABLE, is_bfloat16
from tilewright.op.memory import empty_like

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

# --- casts and broadcasts: what every gradient below leans on --------------------------------------------


def _cast_forward(context: Context, x: Array, *, dtype: Any) -> Array:
    if x.nbytes < buffers.LARGE:
        return x.astype(dtype)
    compiled = passes.converted(x, np.dtype(dtype))
    if compiled is not None:
        return compiled
    found = empty_like(x, dtype=dtype)
    np.copyto(found, x, casting="unsafe")
    return found


def _cast_backward(context: Context, gradient: Tensor) -> Tensor:
    # The engine brings a gradient to the dtype of what it belongs to.
    return gradient


rule("cast", _cast_forward, _cast_backward, keeps=(), keeps_output=False)


def cast(input: X, dtype: Any) -> X:
    """The values in another dtype; the same object if it has that dtype already.

    Raises:
        DtypeError: complex numbers would become real ones.
    """
    if input.dtype == dtype:
        return input
    if input.dtype.kind == "c" and dtype.kind not in "cb":
        raise DtypeError(
            "Complex numbers become real ones by a choice: their real part, or their absolute value.",
            f"{describe(input=input)}, dtype={dtype}",
            "Use x.real or x.abs().",
        )
    return run("cast", input, dtype=dtype)


def _sum_to_forward(context: Context, x: Array, *, shape: tuple[int, ...]) -> Array:
    lead = x.ndim - len(shape)
    stretched = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 and x.shape[i] != 1))
    return np.add.reduce(x, axis=stretched, keepdims=True).reshape(shape)


def _sum_to_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("broadcast_to", gradient, shape=context.shapes[0])


def _broadcast_to_forward(context: Context, x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(x, shape)


def _broadcast_to_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("sum_to", gradient, shape=context.shapes[0])


rule("sum_to", _sum_to_forward, _sum_to_backward, keeps=(), keeps_output=False)
rule("broadcast_to", _broadcast_to_forward, _broadcast_to_backward, keeps=(), keeps_output=False, view=True)


def unbroadcast(gradient: X, shape: tuple[int, ...] | None) -> X:
    """The gradient of what was broadcast from ``shape``: summed over every axis that was stretched."""
    return gradient if shape is None or gradient.shape == shape else run("sum_to", gradient, shape=shape)


# --- operands --------------------------------------------------------------------------------------------


def pair(name: str, first: Any, second: Any) -> tuple[Any, Any]:
    """Two operands in the dtype that their operation has.

    Tensors and arrays stay what they are, but an array beside a Tensor becomes one; a Python number becomes
    a NumPy number.

    Raises:
        DtypeError: an operand is neither a Tensor, an array nor a number.
    """
    x = first._data if isinstance(first, Taped) else first
    y = second._data if isinstance(second, Taped) else second
    if type(x) is np.ndarray and type(y) is np.ndarray:
        if first is x:
            if second is not y:
                first = made(native(x))
        elif second is y:
            second = made(native(y))
        if x.dtype != y.dtype:
            dtype = promote_operands(x.dtype, x.ndim == 0, y.dtype, y.ndim == 0)
            return cast(first, dtype), cast(second, dtype)
        return first, second
    if type(x) is np.ndarray:
        number = python_number(name, second)
        dtype = promote_with_python(x.dtype, number)
        return (first if x.dtype == dtype else cast(first, dtype)), number_as(dtype, number)
    if type(y) is np.ndarray:
        number = python_number(name, first)
        dtype = promote_with_python(y.dtype, number)
        return number_as(dtype, number), (second if y.dtype == dtype else cast(second, dtype))
    raise DtypeError(f"{name} needs a Tensor or a NumPy array.", describe(first=first, second=second))


def python_number(name: str, value: Any) -> Number:
    """``value`` as a Python number.

    Raises:
        DtypeError: it is something else.
    """
    if isinstance(value, (bool, int, float, complex)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        number: Number = value.item()
        return number
    if isinstance(value, np.generic) and is_bfloat16(value.dtype):
        return float(value)
    raise DtypeError(f"{name} needs Tensors, NumPy arrays or numbers.", describe(operand=value))


def combine(name: str, first: Any, second: Any, **attributes: Any) -> Any:
    """Run an elementwise operation on two operands, of one dtype and with shapes that broadcast."""
    first, second = pair(name, first, second)
    try:
        return apply(name, first, second, **attributes)
    except ValueError as error:
        if "broadcast" in str(error):
            raise shapes_differ(name, np.shape(raw(first)), np.shape(raw(second))) from None
        raise


def raw(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return value._data if isinstance(value, Taped) else value


def floating(name: str, input: X) -> X:
    """Integers and bools as the default float dtype; others as they are; Python numbers as arrays."""
    found: Any = input
    if not isinstance(input, (Taped, np.ndarray)):
        number = python_number(name, input)
        found = np.asarray(number, None if isinstance(number, complex) else get_default_dtype())
    result: X = found if found.dtype.kind in DIFFERENTIABLE else cast(found, get_default_dtype())
    return result


def ordered(name: str, *operands: Any) -> None:
    """Refuse complex numbers, of which none is larger than another.

    Raises:
        DtypeError: naming the operation.
    """
    for operand in operands:
        if isinstance(operand, complex) or getattr(getattr(operand, "dtype", None), "kind", "") == "c":
            raise DtypeError(
                f"{name} needs numbers that have an order, which complex ones don't.",
                describe(operand=operand),
                "Use x.real, x.imag or x.abs().",
            )
