"""Order along an axis: sort, argsort, topk; and the running sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import axis, whole
from tilewright.autograd.indexing import gather
from tilewright.autograd.operands import ordered
from tilewright.autograd.reduce import ValuesIndices
from tilewright.autograd.shape import flip
from tilewright.autograd.tape import Array, Context, Taped, X, made, rule, run
from tilewright.errors import ShapeError, describe
from tilewright.op.kinds import is_bfloat16, is_half

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _cumsum_forward(context: Context, x: Array, *, along: int) -> Array:
    if x.ndim == 0:
        return np.array(x)
    if is_half(x.dtype):
        return np.cumsum(x, axis=along, dtype=np.float32).astype(x.dtype)
    return np.cumsum(x, axis=along, dtype=np.int64 if x.dtype.kind in "biu" else x.dtype)


def _cumsum_backward(context: Context, gradient: Tensor) -> Tensor:
    if gradient.ndim == 0:
        return gradient
    along = context.attributes["along"]
    return flip(run("cumsum", flip(gradient, along), along=along), along)


rule("cumsum", _cumsum_forward, _cumsum_backward, keeps=(), keeps_output=False)


def cumsum(input: X, dim: int) -> X:
    """The running sum along ``dim``; bools and integers give int64.

    Example:
        >>> cumsum(np.array([1.0, 2.0, 3.0]), 0)
        array([1., 3., 6.])
    """
    return run("cumsum", input, along=axis("cumsum", dim, input.ndim))


def _ranks(name: str, data: Any, along: int, descending: bool) -> Any:
    """Stable order along an axis; NaN counts as larger than everything."""
    ordered(name, data)
    if data.ndim == 0:
        return np.zeros((), np.int64)
    if is_bfloat16(data.dtype):
        data = data.astype(np.float32)
    if not descending:
        return np.argsort(data, axis=along, kind="stable").astype(np.int64, copy=False)
    # Sorting the mirror image keeps equal elements in their order once the result is turned round.
    mirrored = np.argsort(np.flip(data, along), axis=along, kind="stable")
    return data.shape[along] - 1 - np.flip(mirrored, along).astype(np.int64, copy=False)


def _wrapped(input: Any, found: Array) -> Any:
    return made(found) if isinstance(input, Taped) else found


def argsort(input: X, dim: int = -1, descending: bool = False, stable: bool = True) -> X:
    """The indices that sort along ``dim``; equal elements keep their order."""
    data = input._data if isinstance(input, Taped) else input
    found: X = _wrapped(input, _ranks("argsort", data, axis("argsort", dim, data.ndim), descending))
    return found


def sort(input: X, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesIndices:
    """``(values, indices)`` sorted along ``dim``; stable, NaN counts as the largest."""
    ordered("sort", input)
    indices = argsort(input, dim, descending)
    return ValuesIndices(gather(input, dim, indices), indices)


def topk(input: X, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The ``k`` largest (or smallest) elements along ``dim``, best first, as ``(values, indices)``.

    Raises:
        ShapeError: there are fewer than ``k`` elements.
    """
    data = input._data if isinstance(input, Taped) else input
    along, count = axis("topk", dim, data.ndim), whole("topk", k, "k")
    size = data.shape[along] if data.ndim else 1
    if not 0 <= count <= size:
        raise ShapeError(
            f"topk needs k from 0 to the {size} elements along dim.", describe(k=count, input=input)
        )
    ranks = _ranks("topk", data, along, largest)
    if data.ndim:
        ranks = np.ascontiguousarray(ranks[(slice(None),) * along + (slice(count),)])
    indices = _wrapped(input, ranks)
    return ValuesIndices(gather(input, dim, indices), indices)
