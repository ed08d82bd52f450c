"""Reductions: sum, mean, var, prod, max, any, logsumexp, norm."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tilewright.autograd.arithmetic import maximum, minimum, where
from tilewright.autograd.checks import axes, axis
from tilewright.autograd.dtypes import as_dtype
from tilewright.autograd.elementwise import abs, exp
from tilewright.autograd.operands import cast, floating, ordered
from tilewright.autograd.tape import Array, Context, Taped, X, made, rule, run
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.op.kinds import DIFFERENTIABLE, REAL, is_bfloat16, is_half, sum_dtype
from tilewright.op.memory import pooled
from tilewright.op.passes import channel_sums

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Axes = tuple[int, ...]

# Typed loosely: the stubs have no overload for a `keepdims` that isn't a literal.
_add: Any = np.add.reduce
_multiply: Any = np.multiply.reduce
_exp, _square, _subtract = pooled(np.exp), pooled(np.square), pooled(np.subtract)


class ValuesIndices(NamedTuple):
    """What ``max(dim)``, ``sort`` and ``topk`` give."""

    values: Any
    indices: Any


def with_ones(shape: tuple[int, ...], over: Axes) -> tuple[int, ...]:
    """``shape`` with size 1 on the axes reduced ``over``."""
    return tuple(1 if i in over else size for i, size in enumerate(shape))


def _spread(context: Context, value: Tensor) -> Tensor:
    """A reduced value back over the axes that it was reduced over."""
    shape = context.shapes[0]
    assert shape is not None
    over = context.attributes["over"]
    kept = with_ones(shape, over)
    return run("broadcast_to", value if value.shape == kept else value.reshape(kept), shape=shape)


def _as_input(context: Context, value: Tensor) -> Tensor:
    """A reduced value with size 1 on the reduced axes, to broadcast against the input."""
    shape = context.shapes[0]
    assert shape is not None
    kept = with_ones(shape, context.attributes["over"])
    return value if value.shape == kept else value.reshape(kept)


def _count(shape: tuple[int, ...], over: Axes) -> int:
    return math.prod(shape[i] for i in over)


def _sum_forward(context: Context, x: Array, *, over: Axes, keepdim: bool) -> Any:
    if is_half(x.dtype):
        return np.asarray(_add(x, axis=over, keepdims=keepdim, dtype=np.float32)).astype(x.dtype)
    if not keepdim and over == (0, *range(2, x.ndim)):
        # The gradient of a bias.
        found = channel_sums(x)
        if found is not None:
            return found
    return _add(x, axis=over, keepdims=keepdim, dtype=np.int64 if x.dtype.kind in "biu" else x.dtype)


def _mean_forward(context: Context, x: Array, *, over: Axes, keepdim: bool) -> Any:
    if is_bfloat16(x.dtype):
        return np.asarray(np.mean(x, axis=over, keepdims=keepdim, dtype=np.float32)).astype(x.dtype)
    return np.mean(x, axis=over, keepdims=keepdim)


def _mean_backward(context: Context, gradient: Tensor) -> Tensor:
    shape = context.shapes[0]
    assert shape is not None
    # A mean of nothing is NaN, and its gradient has no elements.
    return _spread(context, gradient / builtins.max(_count(shape, context.attributes["over"]), 1))


def _var_forward(context: Context, x: Array, *, over: Axes, keepdim: bool, correction: float) -> Any:
    if is_half(x.dtype):
        wide = x.astype(np.float32)
        found = _var_forward(context, wide, over=over, keepdim=keepdim, correction=correction)
        return found.astype(x.dtype)
    around = _subtract(x, np.mean(x, axis=over, keepdims=True))
    np.square(around, out=around)
    freedom = builtins.max(_count(x.shape, over) - correction, 0.0)
    return _add(around, axis=over, keepdims=keepdim) / x.dtype.type(freedom)


def _around(context: Context) -> Tensor:
    """The deviations from the mean, over the degrees of freedom."""
    x, over = context.input(0), context.attributes["over"]
    freedom = builtins.max(_count(x.shape, over) - context.attributes["correction"], 0.0)
    # With no freedom left the variance is infinite or NaN, and so is its slope.
    scale = 1.0 / freedom if freedom else math.inf
    return (x - run("mean", x, over=over, keepdim=True)) * scale


def _var_backward(context: Context, gradient: Tensor) -> Tensor:
    return _as_input(context, gradient) * _around(context) * 2.0


def _std_forward(context: Context, x: Array, **attributes: Any) -> Any:
    return np.sqrt(_var_forward(context, x, **attributes))


def _std_backward(context: Context, gradient: Tensor) -> Tensor:
    # Where nothing deviates the slope is taken as 0.
    return _as_input(context, _over(gradient, context.output())) * _around(context)


def _prod_forward(context: Context, x: Array, *, over: Axes, keepdim: bool) -> Any:
    return _multiply(x, axis=over, keepdims=keepdim, dtype=np.int64 if x.dtype.kind in "biu" else x.dtype)


def _prod_backward(context: Context, gradient: Tensor) -> Tensor:
    from tilewright.autograd.shape import flatten, movedim

    x, over = context.input(0), context.attributes["over"]
    gradient = _as_input(context, gradient)
    if np.all(x._data != 0):
        return gradient * _as_input(context, context.output()) / x
    # The product of the others, without division: rows of the input, each with one factor replaced by 1.
    last = tuple(range(x.ndim - len(over), x.ndim))
    moved = movedim(x, over, last)
    flat = flatten(moved, x.ndim - len(over)) if len(over) > 1 else moved
    count = flat.shape[-1]
    rows = where(np.eye(count, dtype=np.bool_), 1.0, flat.unsqueeze(-2))
    others = run("prod", rows, over=(rows.ndim - 1,), keepdim=False)
    rest: Tensor = movedim(others.reshape(moved.shape), last, over)
    return gradient * rest


def _extreme_backward(context: Context, gradient: Tensor) -> Tensor:
    """The gradient shared out evenly between all elements that equal the extreme (NaN equals NaN)."""
    x, best = context.input(0), _as_input(context, context.output())
    hit = (x._data == best._data) | (np.isnan(x._data) & np.isnan(best._data))
    share = hit / _add(hit, axis=context.attributes["over"], keepdims=True)
    return _as_input(context, gradient) * made(np.asarray(share, x.dtype))


def _logsumexp_forward(context: Context, x: Array, *, over: Axes, keepdim: bool) -> Any:
    if is_half(x.dtype):
        wide = _logsumexp_forward(context, x.astype(np.float32), over=over, keepdim=keepdim)
        return np.asarray(wide).astype(x.dtype)
    if not x.size:
        return np.log(_add(np.exp(x), axis=over, keepdims=keepdim))
    top = np.maximum.reduce(x, axis=over, keepdims=True)
    # ∞ − ∞ would be NaN, so infinities are left as they are.
    shift = np.where(np.isfinite(top), top, x.dtype.type(0))
    total = np.log(_add(_exp(_subtract(x, shift)), axis=over, keepdims=True)) + shift
    return total if keepdim else total.reshape([n for i, n in enumerate(x.shape) if i not in over])


def _logsumexp_backward(context: Context, gradient: Tensor) -> Tensor:
    out = _as_input(context, context.output())
    weight: Tensor = exp(context.input(0) - where(np.isfinite(out._data), out, 0.0))
    return _as_input(context, gradient) * weight


def _norm_forward(context: Context, x: Array, *, over: Axes, keepdim: bool) -> Any:
    wide = x.astype(sum_dtype(x.dtype), copy=False)
    return np.sqrt(_add(_square(wide), axis=over, keepdims=keepdim)).astype(x.dtype)


def _norm_backward(context: Context, gradient: Tensor) -> Tensor:
    # The length of the null vector has no slope; 0 is taken.
    return context.input(0) * _as_input(context, _over(gradient, context.output()))


def _over(value: Tensor, divisor: Tensor) -> Tensor:
    """A quotient that is 0 where the divisor is, and so are its slopes."""
    nothing = divisor == 0
    # 1 stands in for 0: a slope of infinity times 0 would be NaN.
    quotient: Tensor = where(nothing, 0.0, value / where(nothing, 1.0, divisor))
    return quotient


def _with_axes(function: Any) -> Any:
    return lambda context, x, *, over, keepdim: function(x, axis=over, keepdims=keepdim)


rule("sum", _sum_forward, _spread, keeps=(), keeps_output=False)
rule("mean", _mean_forward, _mean_backward, keeps=(), keeps_output=False)
rule("var", _var_forward, _var_backward, keeps=(0,), keeps_output=False)
rule("std", _std_forward, _std_backward, keeps=(0,))
rule("prod", _prod_forward, _prod_backward, keeps=(0,))
rule("amax", _with_axes(np.maximum.reduce), _extreme_backward, keeps=(0,))
rule("amin", _with_axes(np.minimum.reduce), _extreme_backward, keeps=(0,))
rule("logsumexp", _logsumexp_forward, _logsumexp_backward, keeps=(0,))
rule("norm", _norm_forward, _norm_backward, keeps=(0,))
rule("any", _with_axes(np.logical_or.reduce))
rule("all", _with_axes(np.logical_and.reduce))


def sum(input: X, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> X:
    """The sum over ``dim`` (an int, several, or all); bools and integers give int64.

    Raises:
        ShapeError: ``dim`` is out of range.

    Example:
        >>> sum(np.ones((2, 3)), 0)
        array([2., 2., 2.])
    """
    x = input if dtype is None else cast(input, as_dtype(dtype))
    return run("sum", x, over=axes("sum", dim, x.ndim), keepdim=keepdim)


def _needs_float(name: str, input: Any, kinds: str = REAL) -> None:
    if input.dtype.kind not in kinds:
        raise DtypeError(f"{name} needs a floating dtype.", describe(input=input), "Use x.float() first.")


def mean(input: X, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> X:
    """The mean over ``dim`` (an int, several, or all); NaN of nothing.

    Raises:
        DtypeError: the dtype is not floating.
        ShapeError: ``dim`` is out of range.
    """
    x: X = input if dtype is None else cast(input, as_dtype(dtype))
    _needs_float("mean", x, DIFFERENTIABLE)
    return run("mean", x, over=axes("mean", dim, x.ndim), keepdim=keepdim)


def _correction(dim: Any, unbiased: bool | None, correction: float | None) -> tuple[Any, float]:
    """PyTorch's older ``var(unbiased)`` and ``var(dim, unbiased)``, and today's ``correction``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1.0 if unbiased is None or unbiased else 0.0
    return dim, float(correction)


def var(
    input: X,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> X:
    """The variance over ``dim``: squared deviations from the mean, summed, over (count − correction).

    ``correction`` is 1 by default (``unbiased=True``); 0 gives the mean square.
    """
    _needs_float("var", input)
    dim, found = _correction(dim, unbiased, correction)
    return run("var", input, over=axes("var", dim, input.ndim), keepdim=keepdim, correction=found)


def std(
    input: X,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> X:
    """The square root of :func:`var`."""
    _needs_float("std", input)
    dim, found = _correction(dim, unbiased, correction)
    return run("std", input, over=axes("std", dim, input.ndim), keepdim=keepdim, correction=found)


def prod(input: X, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> X:
    """The product over ``dim``, or of all; bools and integers give int64."""
    x = input if dtype is None else cast(input, as_dtype(dtype))
    return run("prod", x, over=axes("prod", dim, x.ndim), keepdim=keepdim)


def _not_empty(name: str, input: Any, over: Axes) -> None:
    if _count(input.shape, over) == 0:
        raise ShapeError(f"{name} needs at least one element on the axes it reduces.", describe(input=input))


def amax(input: X, dim: Any = None, keepdim: bool = False) -> X:
    """The largest element over ``dim``; equal ones share the gradient, NaN wins."""
    ordered("amax", input)
    over = axes("amax", dim, input.ndim)
    _not_empty("amax", input, over)
    return run("amax", input, over=over, keepdim=keepdim)


def amin(input: X, dim: Any = None, keepdim: bool = False) -> X:
    """The smallest element over ``dim``; equal ones share the gradient, NaN wins."""
    ordered("amin", input)
    over = axes("amin", dim, input.ndim)
    _not_empty("amin", input, over)
    return run("amin", input, over=over, keepdim=keepdim)


def max(input: X, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; with ``dim`` also where it is; with another tensor as ``dim`` :func:`maximum`.

    Returns:
        A Tensor or array, or with an int ``dim`` the pair ``(values, indices)``; the first of equal
        ones wins, NaN wins over all.
    """
    if isinstance(dim, (Taped, np.ndarray)):
        return maximum(input, dim)
    return amax(input) if dim is None else _along("max", input, dim, keepdim)


def min(input: X, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element, as :func:`max`."""
    if isinstance(dim, (Taped, np.ndarray)):
        return minimum(input, dim)
    return amin(input) if dim is None else _along("min", input, dim, keepdim)


def _along(name: str, input: Any, dim: int, keepdim: bool) -> ValuesIndices:
    from tilewright.autograd.indexing import gather
    from tilewright.autograd.shape import squeeze

    where_ = argmax(input, dim, True) if name == "max" else argmin(input, dim, True)
    if input.ndim == 0:
        return ValuesIndices(input if input.dtype.kind in "biu" else input * 1.0, where_)
    values = gather(input, dim, where_)
    if keepdim:
        return ValuesIndices(values, where_)
    return ValuesIndices(squeeze(values, dim), squeeze(where_, dim))


def argmax(input: X, dim: int | None = None, keepdim: bool = False) -> X:
    """Where the largest element is along ``dim``, or in the flattened tensor; the first of equal ones."""
    return _arg("argmax", np.argmax, input, dim, keepdim)  # type: ignore[no-any-return]


def argmin(input: X, dim: int | None = None, keepdim: bool = False) -> X:
    """Where the smallest element is along ``dim``, or in the flattened tensor; the first of equal ones."""
    return _arg("argmin", np.argmin, input, dim, keepdim)  # type: ignore[no-any-return]


def _arg(name: str, function: Any, input: Any, dim: int | None, keepdim: bool) -> Any:
    ordered(name, input)
    data = input._data if isinstance(input, Taped) else input
    over = axes(name, dim, data.ndim)
    _not_empty(name, data, over)
    along = None if dim is None or data.ndim == 0 else axis(name, dim, data.ndim)
    if is_bfloat16(data.dtype):
        data = data.astype(np.float32)
    found = np.asarray(function(data, axis=along, keepdims=keepdim), np.int64)
    return made(found) if isinstance(input, Taped) else found


def any(input: X, dim: Any = None, keepdim: bool = False) -> X:
    """Whether any element is other than 0."""
    return run("any", input, over=axes("any", dim, input.ndim), keepdim=keepdim)


def all(input: X, dim: Any = None, keepdim: bool = False) -> X:
    """Whether all elements are other than 0."""
    return run("all", input, over=axes("all", dim, input.ndim), keepdim=keepdim)


def count_nonzero(input: X, dim: Any = None) -> X:
    """How many elements are other than 0."""
    found: X = input != 0
    return sum(found, dim)


def logsumexp(input: X, dim: Any, keepdim: bool = False) -> X:
    """``log Σ exp(input)`` over ``dim``, without overflow."""
    ordered("logsumexp", input)
    x: X = floating("logsumexp", input)
    return run("logsumexp", x, over=axes("logsumexp", dim, x.ndim), keepdim=keepdim)


def norm(input: X, p: Any = 2, dim: Any = None, keepdim: bool = False) -> X:
    """The p-norm of the elements over ``dim``: ``(Σ|x|^p)^(1/p)``; infinity gives the largest magnitude.

    Args:
        input: a floating tensor or array.
        p: a number, infinity, −infinity, 0 (counts what isn't 0) or "fro" (2).
        dim: an int, several, or all.
        keepdim: keep the reduced axes with size 1.

    Raises:
        DtypeError: the dtype is not floating.
        ArgumentError: ``p`` is none of these.
    """
    _needs_float("norm", input, DIFFERENTIABLE)
    if input.dtype.kind == "c":
        input = abs(input)
    over = axes("norm", dim, input.ndim)
    if p in (2, "fro", None):
        return run("norm", input, over=over, keepdim=keepdim)
    if isinstance(p, str):
        raise ArgumentError("norm needs a number or 'fro' as p.", describe(p=p))
    size = abs(input)
    if p == math.inf:
        return amax(size, over, keepdim) if over else size
    if p == -math.inf:
        return amin(size, over, keepdim) if over else size
    if p == 0:
        found: X = input != 0
        return run("sum", cast(found, input.dtype), over=over, keepdim=keepdim)
    if p == 1:
        return run("sum", size, over=over, keepdim=keepdim)
    if p < 0:
        result: X = run("sum", size**p, over=over, keepdim=keepdim) ** (1.0 / p)
        return result
    # 1 stands in for 0, where some power's slope is infinite: 0 is taken for it.
    none = size == 0
    total = run("sum", where(none, 0.0, where(none, 1.0, size) ** p), over=over, keepdim=keepdim)
    none = total == 0
    return where(none, 0.0, where(none, 1.0, total) ** (1.0 / p))  # type: ignore[no-any-return]


def softmax(input: X, dim: int, dtype: Any = None) -> X:
    """``exp(input) / Σ exp(input)`` over ``dim``, without overflow."""
    return exp(log_softmax(input, dim, dtype))


def log_softmax(input: X, dim: int, dtype: Any = None) -> X:
    """``log(softmax(input))`` over ``dim``, without overflow."""
    x: X = floating("log_softmax", input) if dtype is None else cast(input, as_dtype(dtype))
    result: X = x - logsumexp(x, dim, True)
    return result


__all__ = [
    "ValuesIndices",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "softmax",
    "std",
    "sum",
    "var",
]
