"""Memory for results, from the pool, in the layout that NumPy itself would choose.

NumPy lays a result out as its operands lie ("K" order), and the order in which a later sum adds depends on
that. So the pool's memory is only ever handed out in exactly that layout; where it isn't easily told, or the
result is small, NumPy allocates as usual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.kernel import buffers
from tilewright.op.arrays import broadcast_shape

Array = npt.NDArray[Any]

#: Elements worked on at a time: a few arrays of them stay in the L2 cache (64 KiB each in float32), and the
#: cost of a NumPy call, about 1 µs, hardly shows.
BLOCK = 16384


def memory_order(x: Array) -> tuple[int, ...] | None:
    """The axes of x from the widest stride to the narrowest, if x is dense and in no negative direction.

    None for an array with gaps, repeated elements or negative strides.
    """
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    strides = x.strides
    order = tuple(sorted(range(x.ndim), key=lambda axis: -strides[axis]))
    return order if x.transpose(order).flags.c_contiguous else None


def _arranged(shape: tuple[int, ...], order: tuple[int, ...], dtype: Any) -> Array:
    """Memory for ``shape`` with its axes in ``order``, from the widest stride to the narrowest."""
    back = [0] * len(order)
    for place, axis in enumerate(order):
        back[axis] = place
    return buffers.empty(tuple([shape[axis] for axis in order]), dtype).transpose(back)


def empty_like(x: Array, shape: tuple[int, ...] | None = None, dtype: Any = None) -> Array:
    """``numpy.empty_like`` for arrays, and for another shape of the same rank."""
    sizes = x.shape if shape is None else shape
    found = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous:
        return buffers.empty(sizes, found)
    strides = x.strides
    return _arranged(sizes, tuple(sorted(range(x.ndim), key=lambda axis: -abs(strides[axis]))), found)


def empty_for(op: str, shape: tuple[int, ...], dtype: Any, like: Array | None = None) -> Array:
    """Memory for a result of ``op`` whose shape the caller's numbers decide, laid out as ``like`` is.

    Raises:
        ShapeError: no memory holds it.
    """
    try:
        return buffers.empty(shape, dtype) if like is None else empty_like(like, shape, dtype)
    except (MemoryError, OverflowError, ValueError):
        raise ShapeError(f"{op} needs a result that memory holds.", describe(shape=shape)) from None


def zeros_like(x: Array, shape: tuple[int, ...] | None = None) -> Array:
    """``numpy.zeros_like`` for arrays, and for another shape of the same rank."""
    found = empty_like(x, shape)
    found[...] = 0
    return found


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """``numpy.zeros``."""
    found = buffers.empty(shape, dtype)
    found[...] = 0
    return found


def copy(x: Array) -> Array:
    """``numpy.array(x)``: a copy in the same layout."""
    found = empty_like(x)
    np.copyto(found, x)
    return found


def copy_in_c_order(x: Array) -> Array:
    """``numpy.array(x, order="C")``."""
    found = buffers.empty(x.shape, x.dtype)
    np.copyto(found, x)
    return found


def room(dtype: Any, *operands: Any, least: int = buffers.LARGE) -> Array | None:
    """Memory for the elementwise result of operands, for ``out=``; None where NumPy had better allocate.

    Args:
        dtype: of the result, as NumPy would choose it.
        operands: arrays and numbers that broadcast.
        least: bytes from which on the result is worth it.
    """
    arrays = [x for x in operands if isinstance(x, np.ndarray) and x.ndim]
    if not arrays:
        return None
    shape = arrays[0].shape
    alike = all(x.shape == shape for x in arrays)
    if not alike:
        try:
            shape = broadcast_shape(*[x.shape for x in arrays])
        except ValueError:
            return None  # NumPy says what is wrong
    if math.prod(shape) * dtype.itemsize < least:
        return None
    whole = arrays if alike else [x for x in arrays if x.shape == shape]
    # Where operands pull in different directions, NumPy gives in to C order.
    if any(x.flags.c_contiguous for x in whole) or all(x.flags.c_contiguous for x in arrays):
        return buffers.empty(shape, dtype)
    orders = {memory_order(x) for x in whole}
    order = orders.pop() if len(orders) == 1 else None
    # An operand that is stretched must not pull in another direction: with a single long axis it can't.
    if order is None or any(
        sum(size > 1 for size in x.shape) > 1 for x in arrays if not alike and x.shape != shape
    ):
        return None
    return _arranged(shape, order, dtype)


def result(dtype: Any, *operands: Any) -> Array:
    """Memory for the elementwise result of operands: :func:`room`, or what NumPy would allocate."""
    found = room(dtype, *operands, least=0)
    if found is None and not any(np.ndim(x) for x in operands):
        return np.empty((), dtype)
    if found is None:
        # An iterator lays out what it allocates just as a ufunc does.
        flags: list[Any] = [["readonly"]] * len(operands) + [["writeonly", "allocate"]]
        walk = np.nditer(
            (*operands, None), ["zerosize_ok"], flags, [*[None] * len(operands), dtype], order="K"
        )
        found = walk.operands[-1]
    return found


def pooled(function: np.ufunc, dtype: Any = None) -> Callable[..., Any]:
    """A ufunc with its large results in the pool's memory.

    Args:
        function: takes one or two operands, arrays or NumPy's numbers; its result has the dtype of its
            operands, if that is floating.
        dtype: what the result has instead.
    """
    given = None if dtype is None else np.dtype(dtype)

    def one(x: Any) -> Any:
        if x.nbytes < buffers.LARGE:
            return function(x)
        found = x.dtype if given is None else given
        return function(x, out=room(found, x)) if given is not None or found.kind == "f" else function(x)

    def two(x: Any, y: Any) -> Any:
        if x.nbytes < buffers.LARGE and y.nbytes < buffers.LARGE:
            return function(x, y)
        found = x.dtype if given is None else given
        if given is None and (found.kind != "f" or y.dtype != found):
            return function(x, y)
        return function(x, y, out=room(found, x, y))

    return one if function.nin == 1 else two


def in_blocks(function: Callable[..., Any], *operands: Any, dtype: Any = None, rooms: int = 0) -> Array:
    """An elementwise function of several steps, without large temporary arrays.

    Args:
        function: ``function(out, *operands, *rooms)`` writes its result to ``out``, and leaves its operands
            alone. It may work in ``out`` and in the rooms, arrays of the shape and dtype of ``out``.
        operands: arrays and numbers that broadcast.
        dtype: of the result; by default that of the first operand.
        rooms: how many rooms it needs.

    Large operands of one shape that lie in memory in one order are cut into blocks that stay in the cache;
    anything else is given to ``function`` whole.
    """
    first = operands[0]
    found = first.dtype if dtype is None else np.dtype(dtype)
    shape = first.shape
    if (
        first.size * found.itemsize < buffers.LARGE
        and shape
        and first.flags.c_contiguous
        and all(x.shape == shape for x in operands[1:] if isinstance(x, np.ndarray) and x.ndim)
    ):
        # Most calls in small networks: nothing to choose.
        out = np.empty(shape, found)
        function(out, *operands, *[np.empty(shape, found) for _ in range(rooms)])
        return out
    out = result(found, *operands)
    order = memory_order(out) if out.size > BLOCK else None
    if out.ndim == 0:
        # Of arrays of rank 0 NumPy makes numbers, which nothing can be written to.
        one = out.reshape(1)
        function(one, *[np.reshape(x, 1) for x in operands], *[np.empty_like(one) for _ in range(rooms)])
        return out
    flat = None if order is None else _flat(order, out.shape, (out, *operands))
    if flat is None:
        function(out, *operands, *[empty_like(out) for _ in range(rooms)])
        return out
    work = [buffers.empty(BLOCK, found) for _ in range(rooms)]
    whole = out.size // BLOCK * BLOCK
    rows = [x[:whole].reshape(-1, BLOCK) if isinstance(x, np.ndarray) else repeat(x) for x in flat]
    # The result has rows, so this ends.
    for parts in zip(*rows, strict=False):
        function(*parts, *work)
    if whole < out.size:
        rest = [x[whole:] if isinstance(x, np.ndarray) else x for x in flat]
        function(*rest, *[x[: out.size - whole] for x in work])
    return out


def _flat(order: tuple[int, ...], shape: tuple[int, ...], operands: tuple[Any, ...]) -> list[Any] | None:
    """Operands as views of rank 1 over their memory; None if one of them has another shape or order."""
    found: list[Any] = []
    for x in operands:
        if not isinstance(x, np.ndarray):
            found.append(x)
        elif x.ndim == 0:
            found.append(x[()])
        elif x.shape == shape and memory_order(x) == order:
            found.append(x.transpose(order).reshape(-1))
        else:
            return None
    return found
