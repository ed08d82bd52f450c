"""Max unpooling: each value back to where a max pool found it, zeros elsewhere. PyTorch's names and order."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import rules_pool as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply, made
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ShapeError, describe
from tilewright.functional.operands import Operand, batched_input, check_operand
from tilewright.functional.pool_operands import follows, rank_of
from tilewright.geometry.unpool import unpooled_size
from tilewright.op.pool_arrays import COMPARED

__all__ = ["max_unpool", "max_unpool1d", "max_unpool2d", "max_unpool3d"]

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def max_unpool(
    input: Operand,
    indices: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    dilation: Any = 1,
) -> Any:
    """Values put back where a max pool found them, and zeros elsewhere, over any number of spatial axes.

    Where several values share an index (those of windows that overlap), **the last in row order** stands
    there, always; it alone has a gradient.

    Args:
        input: (batch, channels, *spatial), or (channels, *spatial) when ``kernel_size`` lists one integer per
            spatial axis; what the pool gave, or anything of its shape.
        indices: integers of the same shape: the flat position of each value in the plane of the result.
        kernel_size: the pool's window, an integer or one per axis.
        stride: the pool's step; the window itself when not given.
        padding: the pool's, in the forms of :func:`max_pool`.
        output_size: sizes of the result, an integer per axis (or the whole shape of the result), since pools
            give one size for several. Each must be less than a stride away from the default:
            (n−1)·stride − before − after + dilation·(k−1) + 1.
        dilation: the pool's.

    Raises:
        ShapeError: a rank or shape that doesn't fit, or an empty spatial axis.
        ArgumentError: an argument outside its rule, or an index that is no position of the plane: the message
            says which, and where it stands.
        DtypeError: ``indices`` aren't integers, or ``input`` is neither an array nor a Tensor.

    >>> import numpy as np, tilewright as tw
    >>> y, indices = tw.max_pool(np.array([[3, 1, 4, 1, 5, 9]]), (2,), return_indices=True)
    >>> max_unpool(y, indices, (2,))
    array([[3, 0, 4, 0, 0, 9]])
    """
    rank = rank_of("max_unpool", input, kernel_size, "kernel_size")
    return _max_unpool(
        "max_unpool", rank, input, indices, kernel_size, stride, padding, output_size, dilation
    )


def max_unpool1d(
    input: Operand,
    indices: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    dilation: Any = 1,
) -> Any:
    """:func:`max_unpool` over (batch, channels, length). PyTorch's ``max_unpool1d``."""
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size, dilation)


def max_unpool2d(
    input: Operand,
    indices: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    dilation: Any = 1,
) -> Any:
    """:func:`max_unpool` over (batch, channels, height, width). PyTorch's ``max_unpool2d``."""
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size, dilation)


def max_unpool3d(
    input: Operand,
    indices: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    dilation: Any = 1,
) -> Any:
    """:func:`max_unpool` over (batch, channels, depth, height, width). PyTorch's ``max_unpool3d``."""
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size, dilation)


def _max_unpool(
    op: str,
    rank: int,
    input: Operand,
    indices: Operand,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
    dilation: Any,
) -> Any:
    x, batched = batched_input(op, rank, input, COMPARED)
    check_operand(indices, "indices", op, _INTEGERS)
    if indices.shape != input.shape:
        raise ShapeError(
            f"{op} needs indices of the input's shape {tuple(input.shape)}.", describe(indices=indices)
        )
    spatial = unpooled_size(
        tuple(x.shape),
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        output_size=output_size,
        op=op,
    )
    places = indices if batched else indices[None]
    if follows(x) and isinstance(places, np.ndarray):
        # The tape notices a later write to a Tensor, but not to an array.
        places = made(places.copy())
    elif isinstance(places, Tensor) and not isinstance(x, Tensor):
        places = places.numpy()
    y = apply("put_into_planes", x, places, spatial=spatial, op=op)
    return y if batched else y[0]
