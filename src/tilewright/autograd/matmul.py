"""Matrix products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.complexes import conjugated
from tilewright.autograd.operands import cast, pair, raw, unbroadcast
from tilewright.autograd.tape import Array, Context, Taped, X, rule, run
from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.kernel import buffers
from tilewright.op.arrays import broadcast_shape
from tilewright.op.dense import row_products
from tilewright.op.kinds import is_half

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _matmul_forward(context: Context, x: Array, y: Array, *, by_rows: bool) -> Array:
    if is_half(x.dtype):
        # Products of halves are added in float32.
        wide = _matmul_forward(context, x.astype(np.float32), y.astype(np.float32), by_rows=by_rows)
        return wide.astype(x.dtype)
    if by_rows and y.ndim == 2 and x.dtype.kind in "fc":
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        return row_products(rows, y.T).reshape(*x.shape[:-1], y.shape[1])
    if x.ndim == y.ndim == 2 and x.dtype == y.dtype:
        return np.matmul(x, y, out=buffers.empty((x.shape[0], y.shape[1]), x.dtype))
    return np.asarray(np.matmul(x, y))


def _matmul_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    for_x = for_y = None
    shape_x, shape_y = context.shapes
    if context.needs[0]:
        y: Any = context.operand(1)
        for_x = unbroadcast(_product(gradient, _swapped(conjugated(y))), shape_x)
    if context.needs[1]:
        x: Any = context.operand(0)
        if shape_y is not None and len(shape_y) == 2 and x.ndim > 2:
            # One product over all rows instead of one per matrix, summed.
            rows = math.prod(x.shape[:-1])
            x, gradient = x.reshape(rows, x.shape[-1]), gradient.reshape(rows, gradient.shape[-1])
        for_y = unbroadcast(_product(_swapped(conjugated(x)), gradient), shape_y)
    return for_x, for_y


def _product(x: Any, y: Any) -> Any:
    return run("matmul", x, y, by_rows=False)


def _swapped(x: Any) -> Any:
    from tilewright.autograd.shape import transpose

    return transpose(x, -1, -2)


def _each_other(needs: tuple[bool, ...]) -> tuple[int, ...]:
    return (1,) * needs[0] + (0,) * needs[1]


rule("matmul", _matmul_forward, _matmul_backward, keeps=_each_other, keeps_output=False)


def matmul(input: X, other: Any) -> X:
    """The matrix product over the last two axes; leading axes broadcast, vectors count as one row or column.

    Args:
        input: (…, m, k) or (k).
        other: (…, k, n) or (k).

    Returns:
        (…, m, n), without m or n where that operand is a vector. Each row of ``input`` times a matrix gives
        the same bits whatever rows come with it.

    Raises:
        ShapeError: an operand has rank 0, inner sizes differ, or leading axes don't broadcast.
        DtypeError: an operand is no Tensor or array.

    Example:
        >>> matmul(np.eye(2), np.array([3.0, 4.0]))
        array([3., 4.])
    """
    result: X = _checked("matmul", input, other)
    return result


def rmatmul(input: X, other: Any) -> X:
    """``other @ input``."""
    result: X = _checked("matmul", other, input)
    return result


def _checked(name: str, input: Any, other: Any) -> Any:
    for operand in (input, other):
        if not isinstance(operand, (Taped, np.ndarray)):
            raise DtypeError(f"{name} needs Tensors or NumPy arrays.", describe(operand=operand))
        found: Any = operand
        if found.ndim == 0:
            raise ShapeError(f"{name} needs operands of rank 1 or more.", describe(input=input, other=other))
    x, y = pair(name, input, other)
    if x.ndim and y.ndim and x.dtype == np.bool_:
        raise DtypeError(f"{name} needs numbers, not bools.", describe(input=input, other=other))
    inner = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != inner:
        raise ShapeError(
            f"{name} needs the last size of input to equal the "
            f"{'last but one' if y.ndim > 1 else 'only'} size of other.",
            describe(input=input, other=other),
        )
    dtype = x.dtype
    left_vector, right_vector = x.ndim == 1, y.ndim == 1
    if left_vector:
        x = x.reshape(1, x.shape[0])
    if right_vector:
        y = y.reshape(y.shape[0], 1)
    if x.ndim > 2 or y.ndim > 2:
        try:
            broadcast_shape(x.shape[:-2], y.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"{name} needs leading axes that broadcast.", describe(input=input, other=other)
            ) from None
    result = run("matmul", x, y, by_rows=True)
    if left_vector:
        result = result.reshape(*result.shape[:-2], result.shape[-1])
    if right_vector:
        result = result.reshape(result.shape[:-1])
    return cast(result, dtype)


def mm(input: X, mat2: Any) -> X:
    """The product of two matrices; no broadcasting."""
    if np.ndim(raw(input)) != 2 or np.ndim(raw(mat2)) != 2:
        raise ShapeError("mm needs two matrices of rank 2.", describe(input=input, mat2=mat2))
    result: X = _checked("mm", input, mat2)
    return result


def bmm(input: X, mat2: Any) -> X:
    """The products of two batches of matrices, (b, m, k) and (b, k, n); no broadcasting."""
    one, two = raw(input), raw(mat2)
    if np.ndim(one) != 3 or np.ndim(two) != 3 or one.shape[0] != two.shape[0]:
        raise ShapeError(
            "bmm needs two batches of rank 3 with as many matrices.", describe(input=input, mat2=mat2)
        )
    result: X = _checked("bmm", input, mat2)
    return result


def dot(input: X, other: Any) -> X:
    """The inner product of two vectors."""
    if np.ndim(raw(input)) != 1 or np.ndim(raw(other)) != 1:
        raise ShapeError("dot needs two vectors of rank 1.", describe(input=input, other=other))
    result: X = _checked("dot", input, other)
    return result
