"""Tensors from numbers, from arrays and from random draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import broadcast, shape_to_make, whole
from tilewright.autograd.dtypes import as_dtype, checked, device, native, of_number
from tilewright.autograd.tape import Array, Taped, made
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.op.kinds import DIFFERENTIABLE, is_bfloat16
from tilewright.op.memory import copy
from tilewright.op.random import Generator, chosen

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def check_device(given: Any) -> None:
    """Let pass what names the processor, or nothing.

    Raises:
        ArgumentError: another device.
    """
    if given is not None:
        device(given)


def _finish(array: Array, requires_grad: bool, device: Any) -> Tensor:
    check_device(device)
    found = made(array)
    if requires_grad:
        found.requires_grad_()
    return found


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Taped):
        return data._data
    return [_without_tensors(part) for part in data] if isinstance(data, (list, tuple)) else data


def as_array(data: Any, dtype: Any = None) -> Array:
    """Numbers, nested lists, arrays or Tensors as an array in the dtype that a tensor of them has.

    Raises:
        ShapeError: lists of unequal lengths.
        DtypeError: something that isn't a number.
    """
    if isinstance(data, Taped):
        data = data._data
    wanted = None if dtype is None else as_dtype(dtype)
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, Taped):
        data = _without_tensors(data)
    try:
        found = np.asarray(data)
    except ValueError:
        raise ShapeError("A tensor needs nested lists of equal lengths.", describe(data=data)) from None
    except TypeError:
        raise DtypeError("A tensor needs numbers.", describe(data=data)) from None
    found = native(found)
    if found.dtype.kind not in "biufc" and not is_bfloat16(found.dtype):
        raise DtypeError(
            "A tensor needs bools, integers, floats or complex numbers.", f"data of dtype {found.dtype}"
        )
    if wanted is None:
        # Python's own floats become the default dtype; what NumPy has typed keeps its dtype.
        untyped = not isinstance(first, (np.ndarray, np.generic, Taped)) or (
            type(first) is np.float64 and first is not data
        )
        wanted = checked(found.dtype)
        if untyped and found.dtype.kind in "fc":
            wanted = of_number(0j if found.dtype.kind == "c" else 0.0)
    if found.dtype.kind == "c" and wanted.kind not in "cb":
        raise DtypeError(
            "Complex numbers become real ones by a choice: their real part, or their absolute value.",
            f"data of dtype {found.dtype}, dtype={wanted}",
        )
    with np.errstate(all="ignore"):
        return found.astype(wanted, copy=False)


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of ``data``.

    Args:
        data: a number, nested lists, a NumPy array or a Tensor.
        dtype: by default that of the array; Python floats become float32, ints int64, bools bool.
        device: "cpu" or None.
        requires_grad: whether gradients are wanted.

    Raises:
        ShapeError: lists of unequal lengths.
        DtypeError: something that isn't a number, or gradients wanted of integers.

    Example:
        >>> tensor([[1.0, 2.0], [3.0, 4.0]]).shape
        Size([2, 2])
    """
    return _finish(copy(as_array(data, dtype)), requires_grad, device)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of ``data`` that shares its memory where dtype allows; a Tensor is returned as it is."""
    check_device(device)
    if isinstance(data, Taped):
        found: Any = data
        return found if dtype is None else found.to(dtype)  # type: ignore[no-any-return]
    return made(as_array(data, dtype))


def from_numpy(ndarray: Array) -> Tensor:
    """A tensor that shares the memory of an array.

    Raises:
        DtypeError: not an array, or a dtype or byte order that tensors don't have.
    """
    if not isinstance(ndarray, np.ndarray):
        raise DtypeError("from_numpy needs a NumPy array.", describe(found=ndarray))
    checked(ndarray.dtype)
    if not ndarray.dtype.isnative:
        raise DtypeError(
            "from_numpy needs an array in this machine's byte order.",
            describe(ndarray=ndarray),
            "Use tensor(array), which copies.",
        )
    # A subclass of ndarray would bring rules of its own.
    return made(ndarray.view(np.ndarray))


def filled(name: str, size: Sequence[Any], value: Any, dtype: Any) -> Array:
    """An array of one value."""
    shape = shape_to_make(name, size)
    try:
        return np.full(shape, value, as_dtype(dtype)) if value else np.zeros(shape, as_dtype(dtype))
    except (MemoryError, ValueError):
        raise ShapeError(f"{name} needs a size that memory holds.", describe(size=shape)) from None


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros."""
    return _finish(filled("zeros", size, 0, dtype), requires_grad, device)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones."""
    return _finish(filled("ones", size, 1, dtype), requires_grad, device)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory to be filled; its values mean nothing."""
    return _finish(np.empty(shape_to_make("empty", size), as_dtype(dtype)), requires_grad, device)


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value throughout, by default in the dtype that the value has as a tensor."""
    shape = size if isinstance(size, (tuple, list)) else (size,)
    value = as_array(fill_value, dtype)
    if value.ndim:
        raise ShapeError("full needs a single number.", describe(fill_value=fill_value))
    return _finish(np.full(shape_to_make("full", shape), value), requires_grad, device)


def _like(input: Any, dtype: Any) -> Any:
    return input.dtype if dtype is None else dtype


def zeros_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and dtype of ``input``."""
    return zeros(tuple(input.shape), dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def ones_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and dtype of ``input``."""
    return ones(tuple(input.shape), dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def empty_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory of the shape and dtype of ``input``, to be filled."""
    return empty(tuple(input.shape), dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in the shape and dtype of ``input``."""
    return full(
        tuple(input.shape), fill_value, dtype=_like(input, dtype), device=device, requires_grad=requires_grad
    )


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix, by default (n, n)."""
    rows, columns = shape_to_make("eye", (n, n if m is None else m))
    return _finish(np.eye(rows, columns, dtype=as_dtype(dtype)), requires_grad, device)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from ``start`` (0 if only one is given) up to but not including ``end``, ``step`` apart.

    Raises:
        ArgumentError: ``step`` is 0 or leads away from ``end``.
    """
    first, last = (0, start) if end is None else (start, end)
    first, last, step = (x.item() if hasattr(x, "item") else x for x in (first, last, step))
    if step == 0 or (last - first) / step < 0:
        raise ArgumentError(
            "arange needs a step that leads from start to end.", describe(start=first, end=last, step=step)
        )
    integers = all(isinstance(x, int) for x in (first, last, step))
    found = as_dtype(np.int64 if integers else None) if dtype is None else as_dtype(dtype)
    count = -((first - last) // step) if integers else math.ceil((last - first) / step)
    # In exact integers or in float64, and rounded once.
    values = first + step * np.arange(count, dtype=np.int64 if integers else np.float64)
    return _finish(np.asarray(values).astype(found), requires_grad, device)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` numbers, evenly spaced from ``start`` to ``end``, both included."""
    count = whole("linspace", steps, "steps")
    if count < 0:
        raise ArgumentError("linspace needs 0 steps or more.", describe(steps=steps))
    return _finish(
        np.linspace(float(start), float(end), count).astype(as_dtype(dtype)), requires_grad, device
    )


def _float_dtype(name: str, dtype: Any) -> Any:
    found = as_dtype(dtype)
    if found.kind not in DIFFERENTIABLE:
        raise DtypeError(f"{name} needs a floating dtype.", describe(dtype=str(found)))
    return found


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from 0 (included) to 1 (excluded), each as likely as the other."""
    drawn = chosen(generator).uniform(shape_to_make("rand", size), _float_dtype("rand", dtype))
    return _finish(drawn, requires_grad, device)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normally distributed numbers with mean 0 and deviation 1."""
    drawn = chosen(generator).normal(shape_to_make("randn", size), _float_dtype("randn", dtype))
    return _finish(drawn, requires_grad, device)


def rand_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """:func:`rand` in the shape and dtype of ``input``."""
    return rand(tuple(input.shape), dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def randn_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """:func:`randn` in the shape and dtype of ``input``."""
    return randn(tuple(input.shape), dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = np.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from ``low`` (included) to ``high`` (excluded); ``randint(high, size)`` starts from 0.

    Raises:
        ArgumentError: ``low`` is not below ``high``, or the size is missing.
    """
    if isinstance(high, (tuple, list)) or high is None:
        first, last, shape = 0, low, high if size is None else size
    else:
        first, last, shape = low, high, size
    if shape is None:
        raise ArgumentError("randint needs a size.", describe(low=low, high=high))
    drawn = chosen(generator).integers(
        first, last, shape_to_make("randint", (tuple(shape),)), as_dtype(dtype)
    )
    return _finish(drawn, requires_grad, device)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = np.int64, device: Any = None
) -> Tensor:
    """The numbers 0 … n−1 in random order."""
    count = shape_to_make("randperm", (n,))[0]
    return _finish(chosen(generator).permutation(count).astype(as_dtype(dtype)), False, device)


def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Normally distributed numbers; ``mean`` and ``std`` are numbers (then ``size`` is needed) or Tensors.

    Raises:
        ArgumentError: ``size`` is missing, or a deviation is negative.
        ShapeError: Tensors that don't broadcast.
    """
    tensors = [x for x in (mean, std) if isinstance(x, Taped)]
    deviations = std._data if isinstance(std, Taped) else np.asarray(std)
    if np.any(deviations < 0):
        raise ArgumentError("normal needs a deviation of 0 or more.", describe(std=std))
    if not tensors:
        if size is None:
            raise ArgumentError("normal needs a size.", describe(mean=mean, std=std))
        drawn = chosen(generator).normal(
            shape_to_make("normal", (tuple(size),)), _float_dtype("normal", dtype), float(mean), float(std)
        )
        return made(drawn)
    shape = broadcast("normal", *(x._data.shape for x in tensors))
    found: Any = tensors[0]
    noise = made(
        chosen(generator).normal(shape, _float_dtype("normal", found.dtype if dtype is None else dtype))
    )
    spread: Tensor = (noise * std + mean).detach()
    return spread


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that ``input`` holds (or with ``p`` throughout), else 0; in its dtype.

    Raises:
        ArgumentError: a probability lies outside 0 to 1.
    """
    data = input._data if isinstance(input, Taped) else np.asarray(input)
    chance = data if p is None else np.asarray(p)
    if chance.size and not (np.min(chance) >= 0 and np.max(chance) <= 1):
        raise ArgumentError("bernoulli needs probabilities from 0 to 1.", describe(input=input, p=p))
    drawn = chosen(generator).uniform(data.shape, np.float64) < chance
    return made(drawn.astype(data.dtype))


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with the probabilities that a vector of weights (or each row of a matrix) gives.

    Raises:
        ShapeError: neither vector nor matrix.
        ArgumentError: negative or no weights, or more draws without replacement than weights above 0.
    """
    weights = (input._data if isinstance(input, Taped) else np.asarray(input)).astype(np.float64)
    if weights.ndim not in (1, 2):
        raise ShapeError("multinomial needs a vector or a matrix of weights.", describe(input=input))
    rows = weights.reshape(-1, weights.shape[-1])
    usable = np.count_nonzero(rows, axis=1)
    if np.any(~(rows >= 0)) or np.any(usable == 0) or (not replacement and np.any(usable < num_samples)):
        raise ArgumentError(
            "multinomial needs weights of 0 or more, and enough above 0 to draw from.",
            describe(input=input, num_samples=num_samples),
        )
    source = chosen(generator).numpy
    drawn = [
        source.choice(rows.shape[1], num_samples, replace=replacement, p=row / row.sum()) for row in rows
    ]
    return made(np.asarray(drawn, np.int64).reshape(*weights.shape[:-1], num_samples))
