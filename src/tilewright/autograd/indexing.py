"""Elements picked, put and masked by functions: gather, scatter, index_select, masked_fill and kin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.arithmetic import where
from tilewright.autograd.checks import OutOfRangeError, axis, broadcast, whole
from tilewright.autograd.operands import cast, pair
from tilewright.autograd.subscript import Index, getitem
from tilewright.autograd.tape import Array, Context, Taped, X, apply, made, rule, run
from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.op.memory import copy, zeros

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _at(indices: Array, along: int) -> Index:
    """What names, along one axis, the elements that ``indices`` number (its other axes count from 0)."""
    grid = np.ogrid[tuple(slice(size) for size in indices.shape)]
    return tuple(indices if i == along else grid[i] for i in range(indices.ndim))


def _gather_forward(context: Context, x: Array, *, indices: Array, along: int) -> Array:
    return x[_at(indices, along)]


def _gather_backward(context: Context, gradient: Tensor) -> Tensor:
    shape = context.shapes[0]
    assert shape is not None
    start = made(zeros(shape, gradient.dtype))
    attributes = context.attributes
    return run("scatter_add", start, gradient, indices=attributes["indices"], along=attributes["along"])


def _scatter_add_forward(context: Context, x: Array, source: Array, *, indices: Array, along: int) -> Array:
    out = copy(x)
    np.add.at(out, _at(indices, along), source[tuple(slice(size) for size in indices.shape)])
    return out


def _corner(gradient: Tensor, context: Context) -> Tensor | None:
    """The gradient of a source of which only the corner of the indices' shape was read."""
    shape, attributes = context.shapes[1], context.attributes
    if not context.needs[1] or shape is None:
        return None
    found = run("gather", gradient, indices=attributes["indices"], along=attributes["along"])
    if found.shape == shape:
        return found
    corner = tuple(slice(size) for size in found.shape)
    return run("place", found, chain=(("getitem", {"index": corner}),), shape=shape)


def _scatter_add_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    return (gradient if context.needs[0] else None), _corner(gradient, context)


def _scatter_forward(context: Context, x: Array, source: Any, *, indices: Array, along: int) -> Array:
    out = copy(x)
    if isinstance(source, np.ndarray) and source.ndim:
        source = source[tuple(slice(size) for size in indices.shape)]
    out[_at(indices, along)] = source
    return out


def _scatter_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    attributes = context.attributes
    kept = None
    if context.needs[0]:
        zero = gradient.dtype.type(0)
        kept = run("scatter", gradient, zero, indices=attributes["indices"], along=attributes["along"])
    return kept, _corner(gradient, context)


rule("gather", _gather_forward, _gather_backward, keeps=(), keeps_output=False)
rule("scatter_add", _scatter_add_forward, _scatter_add_backward, keeps=(), keeps_output=False)
rule("scatter", _scatter_forward, _scatter_backward, keeps=(), keeps_output=False)


# --- functions -------------------------------------------------------------------------------------------


def _numbers(name: str, index: Any) -> Array:
    data = index._data if isinstance(index, Taped) else np.asarray(index)
    if data.dtype.kind not in "iu":
        raise DtypeError(f"{name} needs an index of integers.", describe(index=data))
    return data


def _in_range(name: str, indices: Array, size: int) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise OutOfRangeError(
            f"{name} needs indices from 0 to {size - 1}.", f"indices from {indices.min()} to {indices.max()}"
        )


def index_select(input: X, dim: int, index: Any) -> X:
    """The slices along ``dim`` that a vector of integers names."""
    numbers = _numbers("index_select", index).reshape(-1)
    along = axis("index_select", dim, input.ndim)
    _in_range("index_select", numbers, input.shape[along])
    return run("take", input, index=(slice(None),) * along + (numbers,))


def select(input: X, dim: int, index: int) -> X:
    """The slice number ``index`` along ``dim``, without that axis; a view."""
    along = axis("select", dim, input.ndim)
    return getitem(input, (slice(None),) * along + (whole("select", index, "its index"),))


def narrow(input: X, dim: int, start: int, length: int) -> X:
    """``length`` elements along ``dim``, from ``start``; a view."""
    along = axis("narrow", dim, input.ndim)
    size = input.shape[along]
    first = start + size if start < 0 else start
    if not (0 <= first <= size and 0 <= length <= size - first):
        raise ShapeError(
            f"narrow needs a stretch within the {size} elements of axis {along}.",
            describe(start=start, length=length),
        )
    return run("getitem", input, index=(slice(None),) * along + (slice(first, first + length),))


def diagonal(input: X, offset: int = 0, dim1: int = 0, dim2: int = 1) -> X:
    """The diagonal of two axes, as a new last axis; a copy."""
    one, two = axis("diagonal", dim1, input.ndim), axis("diagonal", dim2, input.ndim)
    if one == two:
        raise ShapeError("diagonal needs two axes.", describe(dim1=dim1, dim2=dim2, input=input))
    from tilewright.autograd.shape import movedim

    moved = movedim(input, (one, two), (-2, -1))
    rows, columns = moved.shape[-2:]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    steps = np.arange(count)
    return run("take", moved, index=(..., steps - min(offset, 0), steps + max(offset, 0)))


def _same_rank(name: str, input: Any, indices: Array, along: int, source: Any = None) -> None:
    shapes = [tuple(input.shape), indices.shape]
    fits = input.ndim == indices.ndim and all(
        n <= m for i, (n, m) in enumerate(zip(indices.shape, input.shape, strict=True)) if i != along
    )
    if source is not None and np.ndim(source):
        shapes.append(source.shape)
        fits = (
            fits
            and len(source.shape) == indices.ndim
            and all(n <= m for n, m in zip(indices.shape, source.shape, strict=True))
        )
    if not fits:
        raise ShapeError(
            f"{name} needs an index of its input's rank, no larger than the input off axis {along}"
            + ("." if source is None else ", nor than the source anywhere."),
            " and ".join(str(shape) for shape in shapes),
        )
    _in_range(name, indices, input.shape[along])


def gather(input: X, dim: int, index: Any) -> X:
    """``out[i, j] = input[index[i, j], j]`` for ``dim`` 0 in rank 2, and likewise for every axis and rank.

    Raises:
        ShapeError: ``index`` has another rank or is too large.
        DtypeError: ``index`` is not of integers.
    """
    indices = _numbers("gather", index)
    along = axis("gather", dim, input.ndim)
    if input.ndim == 0:
        return run("reshape", input, shape=indices.shape)
    _same_rank("gather", input, indices, along)
    return run("gather", input, indices=indices, along=along)


def scatter_add(input: X, dim: int, index: Any, src: Any) -> X:
    """A copy of ``input`` with ``src`` added: for ``dim`` 0 ``out[index[i, j], j] += src[i, j]``."""
    indices, along = _numbers("scatter_add", index), axis("scatter_add", dim, input.ndim)
    _same_rank("scatter_add", input, indices, along, src)
    source = cast(src, input.dtype)
    result: X = apply("scatter_add", input, source, indices=indices, along=along)
    return result


def scatter(input: X, dim: int, index: Any, src: Any) -> X:
    """A copy of ``input`` with ``src`` (tensor or number) written: ``out[index[i, j], j] = src[i, j]``."""
    indices, along = _numbers("scatter", index), axis("scatter", dim, input.ndim)
    source: Any = src
    _same_rank("scatter", input, indices, along, src if isinstance(src, (Taped, np.ndarray)) else None)
    source = cast(source, input.dtype) if hasattr(source, "ndim") else input.dtype.type(source)
    result: X = apply("scatter", input, source, indices=indices, along=along)
    return result


def _mask(name: str, mask: Any) -> Any:
    data = mask._data if isinstance(mask, Taped) else np.asarray(mask)
    if data.dtype != np.bool_:
        raise DtypeError(f"{name} needs a mask of bools.", describe(mask=data))
    return data


def masked_fill(input: X, mask: Any, value: Any) -> X:
    """``value`` where ``mask`` holds, ``input`` elsewhere; the dtype stays that of ``input``."""
    found = _mask("masked_fill", mask)
    broadcast("masked_fill", found.shape, input.shape)
    if isinstance(value, (Taped, np.ndarray)):
        given: Any = value
        value = cast(given, input.dtype)
    else:
        value = pair("masked_fill", input, value)[1].astype(input.dtype)
    result: X = where(found, value, input)
    return result


def masked_select(input: X, mask: Any) -> X:
    """The elements where ``mask`` (broadcast) holds, along one axis."""
    found = _mask("masked_select", mask)
    shape = broadcast("masked_select", found.shape, input.shape)
    wide = run("broadcast_to", input, shape=shape)
    return run("take", wide, index=(np.broadcast_to(found, shape),))


def nonzero(input: X, *, as_tuple: bool = False) -> Any:
    """Where elements are other than 0: (count, rank) indices, or one vector for each axis."""
    data = input._data if isinstance(input, Taped) else input
    found = np.nonzero(data)
    if as_tuple:
        return tuple(made(x) for x in found) if isinstance(input, Taped) else found
    table = np.stack(found, 1) if found else np.zeros((int(bool(data)), 0), np.int64)
    return made(table) if isinstance(input, Taped) else table


def take_along_dim(input: X, indices: Any, dim: int) -> X:
    """:func:`gather` under NumPy's name."""
    return gather(input, dim, indices)


def tril(input: X, diagonal: int = 0) -> X:
    """The lower triangle of the last two axes, zeros above."""
    return _triangle(input, np.tri(*_matrix("tril", input), diagonal, dtype=np.bool_))


def triu(input: X, diagonal: int = 0) -> X:
    """The upper triangle of the last two axes, zeros below."""
    return _triangle(input, ~np.tri(*_matrix("triu", input), diagonal - 1, dtype=np.bool_))


def _matrix(name: str, input: Any) -> tuple[int, int]:
    if input.ndim < 2:
        raise ShapeError(f"{name} needs a tensor of rank 2 or more.", describe(input=input))
    return input.shape[-2], input.shape[-1]


def _triangle(input: X, keep: Array) -> X:
    result: X = where(keep, input, 0)
    return result
