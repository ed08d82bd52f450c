"""Samples put elsewhere: windows as columns and back, channels in space and back. PyTorch's names and order.

PyTorch has these for two spatial axes, and one integer stands for both. Here any argument that lists one
number per axis says how many there are: ``unfold(x, (3,))`` is for (batch, channels, length), ``unfold(x, (3,
3, 3))`` for volumes; where none does, there are two.
"""

from __future__ import annotations

import math
from typing import Any

from tilewright.autograd import rules_rearrange as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.operands import Operand, axis_names, check_operand
from tilewright.geometry import ConvDims
from tilewright.geometry.axes import per_axis
from tilewright.op.pad import DTYPES
from tilewright.op.windows import columns_shape

__all__ = ["fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]

_HOW_MANY = "One integer stands for two spatial axes; for another number of them list one integer for each."


def unfold(input: Operand, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Every window that slides over the input, as a column.

    Args:
        input: (batch, channels, *spatial) or (channels, *spatial), numbers or bools. Two spatial axes, unless
            an argument lists another number of them.
        kernel_size: size of the window, an integer or one per axis.
        dilation: distance between the samples of a window, an integer or one per axis.
        padding: zeros around the input, in every form of :func:`conv`: an integer, one per axis, a (before,
            after) pair per axis, or a name. Negative padding crops.
        stride: step of the window, an integer or one per axis.

    Returns:
        (batch, channels · taps, windows), or without batch; the samples of a window, and the windows, each in
        the order of their places. A convolution is the product of its weights, as a matrix, with this.

    Raises:
        ShapeError: the window doesn't fit into the padded input, or no memory holds the result.
        ArgumentError: an argument outside its rule.
        DtypeError: ``input`` is neither an array nor a Tensor of these.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.unfold(np.arange(9).reshape(1, 1, 3, 3), 2)[0]
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])
    >>> tw.functional.unfold(np.array([[[1, 2, 3, 4]]]), (2,), stride=2)[0]
    array([[1, 3],
           [2, 4]])
    """
    op = "unfold"
    check_operand(input, "input", op, DTYPES)
    rank = _axes(op, kernel_size, dilation, padding, stride)
    if input.ndim not in (rank + 1, rank + 2):
        names = axis_names(rank)
        raise ShapeError(
            f"{op} needs input of rank {rank + 2} (batch, channels, {names}) "
            f"or {rank + 1} (channels, {names}).",
            describe(input=input),
            _HOW_MANY,
        )
    batched = input.ndim == rank + 2
    x = input if batched else input[None]
    kernel = per_axis(kernel_size, rank, "kernel_size", op, least=1)
    dims = ConvDims.of(
        x.shape, (1, x.shape[1], *kernel), stride=stride, padding=padding, dilation=dilation, op=op
    )
    y = apply("unfold", x, dims=dims, op=op)
    return y if batched else y[0]


def fold(
    input: Operand, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Columns added up where their windows lay: the adjoint of :func:`unfold`, not its inverse.

    A sample that k windows see comes out k times as large as it went into unfold.

    Args:
        input: (batch, channels · taps, windows) or (channels · taps, windows), numbers.
        output_size: the spatial sizes that unfold was given, an integer or one per axis.
        kernel_size: as for :func:`unfold`.
        dilation: as for :func:`unfold`.
        padding: as for :func:`unfold`.
        stride: as for :func:`unfold`.

    Returns:
        (batch, channels, *output_size), or without batch. Integers are added in their dtype, halves in
        float32.

    Raises:
        ShapeError: columns whose number or length isn't that of the windows.
        ArgumentError: an argument outside its rule.
        DtypeError: ``input`` is neither an array nor a Tensor of numbers.

    >>> import numpy as np, tilewright as tw
    >>> ones = tw.functional.unfold(np.ones((1, 1, 3, 3), np.int64), 2)
    >>> tw.functional.fold(ones, 3, 2)[0, 0]
    array([[1, 2, 1],
           [2, 4, 2],
           [1, 2, 1]])
    """
    op = "fold"
    check_operand(input, "input", op, DTYPES)
    rank = _axes(op, output_size, kernel_size, dilation, padding, stride)
    sizes = per_axis(output_size, rank, "output_size", op, least=0)
    kernel = per_axis(kernel_size, rank, "kernel_size", op, least=1)
    if input.ndim not in (2, 3):
        raise ShapeError(
            f"{op} needs input of rank 3 (batch, channels · taps, windows) or 2 (channels · taps, windows).",
            describe(input=input),
        )
    columns = input if input.ndim == 3 else input[None]
    taps = math.prod(kernel)
    channels, rest = divmod(columns.shape[1], taps)
    dims = ConvDims.of(
        (columns.shape[0], channels, *sizes),
        (1, channels, *kernel),
        stride=stride,
        padding=padding,
        dilation=dilation,
        op=op,
    )
    wanted = columns_shape(dims)
    if rest or tuple(columns.shape) != wanted:
        raise ShapeError(
            f"{op} needs columns of a multiple of {taps} samples, one for each of {wanted[2]} windows.",
            describe(input=input, output_size=sizes, kernel_size=kernel),
        )
    y = apply("fold", columns, dims=dims, op=op)
    return y if input.ndim == 3 else y[0]


def pixel_shuffle(input: Operand, upscale_factor: Any) -> Any:
    """Channels laid out in space: each block of output samples is one sample of many channels.

    Args:
        input: (*, channels · Πf, *spatial), any dtype and any number of leading axes.
        upscale_factor: f, an integer for two spatial axes, or one per axis.

    Returns:
        (*, channels, *spatial · f), in the memory order of the input; the channels of a block fill it in the
        order of its places.

    Raises:
        ShapeError: too few axes, or a number of channels that doesn't divide.
        ArgumentError: a factor that isn't an integer of at least 1.
        DtypeError: ``input`` is neither an array nor a Tensor of numbers or bools.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.pixel_shuffle(np.arange(8).reshape(4, 1, 2), 2)
    array([[[0, 2, 1, 3],
            [4, 6, 5, 7]]])
    >>> tw.functional.pixel_shuffle(np.arange(6).reshape(3, 2), (3,))
    array([[0, 2, 4, 1, 3, 5]])
    """
    return _shuffled("pixel_shuffle", input, upscale_factor, "upscale_factor")


def pixel_unshuffle(input: Operand, downscale_factor: Any) -> Any:
    """Space laid out in channels: the inverse of :func:`pixel_shuffle`, and its adjoint.

    Args:
        input: (*, channels, *spatial · f), any dtype and any number of leading axes.
        downscale_factor: f, an integer for two spatial axes, or one per axis.

    Returns:
        (*, channels · Πf, *spatial), in the memory order of the input.

    Raises:
        ShapeError: too few axes, or sizes that don't divide.
        ArgumentError, DtypeError: as :func:`pixel_shuffle`.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.pixel_unshuffle(np.arange(8).reshape(1, 2, 4), 2).tolist()
    [[[0, 2]], [[1, 3]], [[4, 6]], [[5, 7]]]
    """
    return _shuffled("pixel_unshuffle", input, downscale_factor, "downscale_factor")


def _axes(op: str, *arguments: Any) -> int:
    """How many spatial axes the first argument that lists them has; two if none does, as in PyTorch."""
    rank = next((len(value) for value in arguments if isinstance(value, (tuple, list))), 2)
    if rank == 0:
        raise ArgumentError(f"{op} needs at least one spatial axis.", "arguments for none", _HOW_MANY)
    return rank


def _shuffled(op: str, input: Operand, factor: Any, name: str) -> Any:
    check_operand(input, "input", op, DTYPES)
    factors = per_axis(factor, _axes(op, factor), name, op, least=1)
    return apply(op, input, factors=factors, op=op)
