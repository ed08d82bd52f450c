"""Tensors put together and taken apart: cat, stack, split, chunk, unbind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import axis, check_rank, whole
from tilewright.autograd.dtypes import promote_types
from tilewright.autograd.operands import cast
from tilewright.autograd.tape import Array, Context, Taped, X, apply, made, rule, run
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.kernel import buffers

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _cat_forward(context: Context, *arrays: Array, along: int, sizes: tuple[int, ...]) -> Array:
    first = arrays[0]
    # NumPy joins arrays in C order where one of them lies so; other layouts are left to it.
    if not first.flags.c_contiguous or sum(x.nbytes for x in arrays) < buffers.LARGE:
        return np.concatenate(arrays, axis=along)
    shape = (*first.shape[:along], sum(sizes), *first.shape[along + 1 :])
    return np.concatenate(arrays, axis=along, out=buffers.empty(shape, first.dtype))


def _cat_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
    along, found, start = context.attributes["along"], [], 0
    for need, size in zip(context.needs, context.attributes["sizes"], strict=True):
        found.append(_piece(gradient, along, start, size) if need else None)
        start += size
    return tuple(found)


rule("cat", _cat_forward, _cat_backward, keeps=(), keeps_output=False)


def _piece(input: X, along: int, start: int, size: int) -> X:
    return run("getitem", input, index=(slice(None),) * along + (slice(start, start + size),))


def _together(name: str, tensors: Any) -> list[Any]:
    """The operands of one dtype; arrays beside Tensors become Tensors."""
    given: Any = tensors
    # A tensor is the sequence of its slices.
    parts: list[Any] = list(unbind(given) if isinstance(tensors, (Taped, np.ndarray)) else given)
    if not parts:
        raise ArgumentError(f"{name} needs at least one tensor.", "none")
    for part in parts:
        if not isinstance(part, (Taped, np.ndarray)):
            raise DtypeError(f"{name} needs Tensors or NumPy arrays.", describe(found=part))
    if any(isinstance(part, Taped) for part in parts):
        parts = [part if isinstance(part, Taped) else made(part) for part in parts]
    dtype: Any = parts[0].dtype
    for part in parts[1:]:
        dtype = promote_types(dtype, part.dtype)
    return [cast(part, dtype) for part in parts]


def cat(tensors: Sequence[X], dim: int = 0) -> X:
    """Tensors joined along an axis that they have; their other sizes are equal.

    Args:
        tensors: Tensors or arrays of one rank; empty ones of shape (0,) are skipped.
        dim: the axis.

    Raises:
        ShapeError: ranks or other sizes differ.
        ArgumentError: there is none.

    Example:
        >>> cat([np.zeros((1, 3)), np.ones((2, 3))]).shape
        (3, 3)
    """
    parts = _together("cat", tensors)
    # PyTorch's old courtesy: a first, empty accumulator fits any shape.
    full = [part for part in parts if tuple(part.shape) != (0,)] or parts[:1]
    rank = full[0].ndim
    if rank == 0:
        raise ShapeError("cat needs tensors of rank 1 or more.", describe(first=full[0]), "Use stack.")
    along = axis("cat", dim, rank)
    first: tuple[int, ...] = tuple(full[0].shape)
    for part in full:
        if part.ndim != rank or any(
            a != b for i, (a, b) in enumerate(zip(first, part.shape, strict=True)) if i != along
        ):
            raise ShapeError(
                f"cat needs tensors whose sizes agree on every axis but {along}.",
                " and ".join(str(tuple(x.shape)) for x in (full[0], part)),
            )
    joined: X = apply("cat", *full, along=along, sizes=tuple(part.shape[along] for part in full))
    return joined


concat = cat
concatenate = cat


def stack(tensors: Sequence[X], dim: int = 0) -> X:
    """Tensors of one shape joined along a new axis.

    Raises:
        ShapeError: shapes differ.
        ArgumentError: there is none.
    """
    parts = _together("stack", tensors)
    first: tuple[int, ...] = tuple(parts[0].shape)
    for part in parts:
        if tuple(part.shape) != first:
            raise ShapeError("stack needs tensors of one shape.", f"{first} and {tuple(part.shape)}")
    check_rank("stack", len(first) + 1)
    along: int = axis("stack", dim, len(first) + 1)
    wide = (*first[:along], 1, *first[along:])
    joined: X = apply(
        "cat", *(run("reshape", part, shape=wide) for part in parts), along=along, sizes=(1,) * len(parts)
    )
    return joined


def _at_least_1d(tensors: Any) -> list[Any]:
    return [part.reshape(1) if part.ndim == 0 else part for part in tensors]


def hstack(tensors: Sequence[X]) -> X:
    """Joined side by side: along axis 1, vectors along axis 0."""
    parts: Any = _at_least_1d(tensors)
    joined: X = cat(parts, 0 if parts and parts[0].ndim == 1 else 1)
    return joined


def vstack(tensors: Sequence[X]) -> X:
    """Joined one below the other: along axis 0, vectors as rows."""
    parts: Any = [part.reshape(1, -1) if part.ndim == 1 else part for part in _at_least_1d(tensors)]
    joined: X = cat(parts, 0)
    return joined


def split(input: X, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[X, ...]:
    """Views of consecutive pieces along ``dim``.

    Args:
        input: any Tensor or array.
        split_size_or_sections: the size of each piece (the last may be smaller), or all sizes.
        dim: the axis.

    Raises:
        ShapeError: the sizes don't add up to the size of the axis.
    """
    along = axis("split", dim, input.ndim)
    _has_axes("split", input)
    total = input.shape[along]
    if isinstance(split_size_or_sections, (tuple, list)):
        pieces = [whole("split", size, "each size") for size in split_size_or_sections]
    else:
        size = whole("split", split_size_or_sections, "its size")
        if size < 0 or (size == 0 and total):
            raise ArgumentError("split needs a size of 1 or more.", describe(size=size))
        pieces = [min(size, total - start) for start in range(0, total, size)] if total else [0]
    if sum(pieces) != total or any(size < 0 for size in pieces):
        raise ShapeError(
            f"split needs sizes that add up to the {total} elements of axis {along}.", describe(sizes=pieces)
        )
    starts = [sum(pieces[:i]) for i in range(len(pieces))]
    return tuple(_piece(input, along, start, size) for start, size in zip(starts, pieces, strict=True))


def chunk(input: X, chunks: int, dim: int = 0) -> tuple[X, ...]:
    """Views of at most ``chunks`` pieces of one size along ``dim``; the last may be smaller."""
    along = axis("chunk", dim, input.ndim)
    _has_axes("chunk", input)
    if whole("chunk", chunks, "chunks") < 1:
        raise ArgumentError("chunk needs 1 piece or more.", describe(chunks=chunks))
    total = input.shape[along]
    if total == 0:
        return tuple(_piece(input, along, 0, 0) for _ in range(chunks))
    return split(input, -(-total // chunks), along)


def unbind(input: X, dim: int = 0) -> tuple[X, ...]:
    """Views of all slices along ``dim``, without that axis."""
    along = axis("unbind", dim, input.ndim)
    _has_axes("unbind", input)
    return tuple(
        run("getitem", input, index=(slice(None),) * along + (i,)) for i in range(input.shape[along])
    )


def _has_axes(name: str, input: Any) -> None:
    if input.ndim == 0:
        raise ShapeError(f"{name} needs a tensor of rank 1 or more.", describe(input=input))
