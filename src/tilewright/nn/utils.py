"""Gradients held within bounds, under PyTorch's names: ``nn.utils.clip_grad_norm_`` and its kin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.autograd.create import as_tensor
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, StateError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number
from tilewright.op.memory import BLOCK

Array = npt.NDArray[Any]

# PyTorch's: keeps the quotient finite where all gradients are zero.
_TINY = 1e-6


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale the gradients so that their common norm is at most ``max_norm``, in place.

    The norm is that of all gradients laid end to end; each is multiplied by
    min(1, max_norm / (norm + 1e-6)). It is summed in float64 in a fixed order, so it neither overflows for
    large float32 gradients nor depends on how they lie in memory.

    Args:
        parameters: Tensors whose ``grad`` is scaled, or one; those without a gradient are passed over.
        max_norm: the largest norm that may remain, ≥ 0.
        norm_type: p of the p-norm, above 0; ``float("inf")`` for the largest absolute value.
        error_if_nonfinite: refuse gradients whose norm is NaN or infinite. Otherwise a norm of NaN makes all
            gradients NaN, and an infinite one makes finite gradients 0 and the rest NaN, as the formula says.

    Returns:
        The norm before scaling, a Tensor of rank 0 in the gradients' dtype (0 where there are none).

    Raises:
        DtypeError: something is no Tensor.
        ArgumentError: ``max_norm`` or ``norm_type`` outside its rule.
        StateError: with ``error_if_nonfinite``, a norm that isn't finite; no gradient has been changed.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    >>> x = tw.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_norm_([x], max_norm=1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    op = "clip_grad_norm_"
    most = float(as_number(max_norm, "max_norm", op))
    strict = as_flag(error_if_nonfinite, "error_if_nonfinite", op)
    holders = [one for one in _tensors(parameters, "parameters", op) if one.grad is not None]
    gradients = [one.grad for one in holders if one.grad is not None]
    total = _norm([one._data for one in gradients], _checked_order(norm_type, op))
    if strict and not math.isfinite(total):
        raise StateError(
            f"{op} needs gradients whose norm is finite.",
            f"a norm of {total} over {len(gradients)} gradients",
            "Pass error_if_nonfinite=False to scale them all the same.",
        )
    scale = most / (total + _TINY)
    # Also where the norm is NaN. By 1 there is nothing to scale.
    if not scale >= 1.0:
        with np.errstate(all="ignore"):
            for holder in holders:
                _rewrite(holder, lambda values, out: np.multiply(values, scale, out=out))
    return _as_result(total, gradients)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut every number of the gradients to −clip_value … clip_value, in place; NaN stays NaN.

    Args:
        parameters: Tensors whose ``grad`` is cut, or one; those without a gradient are passed over.
        clip_value: the largest absolute value that may remain, ≥ 0.

    Raises:
        DtypeError: something is no Tensor.
        ArgumentError: ``clip_value`` is no finite number of at least 0.

    >>> x = tw.tensor([3.0, -0.5], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_value_(x, 1.0)
    >>> x.grad
    tensor([ 1.0000, -0.5000])
    """
    op = "clip_grad_value_"
    bound = float(as_number(clip_value, "clip_value", op))
    for one in _tensors(parameters, "parameters", op):
        if one.grad is not None:
            _rewrite(one, lambda values, out: np.clip(values, -bound, bound, out=out))


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all numbers of several Tensors together, as :func:`clip_grad_norm_` measures it.

    Args:
        tensors: floating Tensors, or one.
        norm_type: p of the p-norm, above 0; ``float("inf")`` for the largest absolute value.
        error_if_nonfinite: refuse a norm that is NaN or infinite.

    Raises:
        DtypeError, ArgumentError, StateError: as :func:`clip_grad_norm_`.

    >>> get_total_norm([tw.tensor([3.0]), tw.tensor([4.0])])
    tensor(5.)
    """
    op = "get_total_norm"
    strict = as_flag(error_if_nonfinite, "error_if_nonfinite", op)
    listed = _tensors(tensors, "tensors", op)
    total = _norm([one._data for one in listed], _checked_order(norm_type, op))
    if strict and not math.isfinite(total):
        raise StateError(f"{op} needs numbers whose norm is finite.", f"a norm of {total}")
    return _as_result(total, listed)


def _tensors(given: Any, name: str, op: str) -> list[Tensor]:
    listed = [given] if isinstance(given, Tensor) else given
    if isinstance(listed, (str, np.ndarray)) or not isinstance(listed, Iterable):
        raise DtypeError(f"{op} needs an iterable of Tensors, or one.", describe(**{name: given}))
    found = list(listed)
    for one in found:
        if not isinstance(one, Tensor):
            raise DtypeError(f"{op} needs Tensors.", describe(**{name: one}))
        values = one if name == "tensors" else one.grad
        if values is not None and values.dtype.kind != "f":
            raise DtypeError(f"{op} needs floating numbers.", describe(**{name: values}))
    return found


def _checked_order(norm_type: Any, op: str) -> float:
    if isinstance(norm_type, float) and norm_type == math.inf:
        return norm_type
    order = float(as_number(norm_type, "norm_type", op))
    if order == 0:
        raise ArgumentError(
            f"{op} needs norm_type to be above 0, or infinity.", describe(norm_type=norm_type)
        )
    return order


def _norm(arrays: list[Array], order: float) -> float:
    """The p-norm of all arrays together, in float64."""
    if order == math.inf:
        return _largest(arrays)
    with np.errstate(all="ignore"):
        total = _power_sum(arrays, order, 1.0)
        if total in (0.0, math.inf):
            # Powers may leave float64's range where the numbers don't: of shares of the largest, none does.
            largest = _largest(arrays)
            if largest == 0.0 or not math.isfinite(largest):
                return largest
            return float(largest * np.float64(_power_sum(arrays, order, largest)) ** (1 / order))
        return float(np.float64(total) ** (1 / order) if order != 2.0 else np.sqrt(total))


def _largest(arrays: list[Array]) -> float:
    found = 0.0
    for part in _parts(arrays):
        # NumPy's maximum keeps a NaN; Python's would lose it.
        found = float(np.maximum(found, np.abs(part).max()))
    return found


def _power_sum(arrays: list[Array], order: float, scale: float) -> float:
    total = 0.0
    for part in _parts(arrays):
        values = np.abs(part) if scale == 1.0 else np.abs(part) / scale
        total += float(np.sum(values * values if order == 2.0 else values**order))
    return total


def _parts(arrays: list[Array]) -> Iterator[Array]:
    """All numbers as float64, in the arrays' own order however they lie, a few at a time."""
    for array in arrays:
        if array.size:
            yield from np.nditer(
                array,
                flags=["external_loop", "buffered"],
                op_dtypes=[np.float64],
                casting="safe",
                order="C",
                buffersize=BLOCK,
            )


def _as_result(total: float, like: list[Tensor]) -> Tensor:
    dtype = np.result_type(*(one.dtype for one in like)) if like else np.dtype(np.float32)
    with np.errstate(over="ignore"):
        return as_tensor(np.asarray(total).astype(dtype))


def _rewrite(holder: Tensor, write: Any) -> None:
    """Let ``write(values, out=…)`` change the gradient in place, or put another in its place."""
    gradient = holder.grad
    assert gradient is not None
    values = gradient._data
    # A gradient that a program has set may be read-only, or one number that is seen many times.
    if values.flags.writeable and not _repeats(values):
        write(values, values)
        gradient._version[0] += 1
    else:
        holder.grad = as_tensor(write(values, None))


def _repeats(values: Array) -> bool:
    steps = zip(values.shape, values.strides, strict=True)
    return any(size > 1 and step == 0 for size, step in steps)
