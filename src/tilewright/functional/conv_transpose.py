"""Transposed convolution: PyTorch's names, order and defaults, and an any-rank form.

Arrays, Tensors, unbatched inputs, paddings and dtypes are those of :mod:`tilewright.functional.conv`.
"""

from __future__ import annotations

from typing import Any

from tilewright.autograd import rules_window as _rules  # noqa: F401 - puts the rules into the table
from tilewright.functional.extending import transposed
from tilewright.functional.operands import Operand, conv_operands
from tilewright.geometry import ConvDims
from tilewright.geometry.axes import per_axis

__all__ = ["conv_transpose", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv_transpose(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """Transposed convolution over any number of spatial axes: the data gradient of :func:`conv`.

    Args:
        input: (batch, in_channels, *spatial), or (in_channels, *spatial).
        weight: (in_channels, out_channels/groups, *kernel).
        bias: (out_channels,), or None.
        stride: how far neighbouring input samples are spread in the output.
        padding: how much is cropped from the output's ends; forms as in :func:`conv`. A name means the
            adjoint of that name: ``same`` gives n·stride.
        output_padding: extra samples at the end of the output, to choose among the sizes that one
            strided convolution maps to the same size.
        groups: independent groups of channels.
        dilation: distance between taps.
        padding_mode: that of the convolution whose adjoint this is, as in :func:`conv`: ⟨conv(x), y⟩ =
            ⟨x, conv_transpose(y)⟩ in every mode. With "zeros" what is cropped is lost; otherwise each
            cropped sample is added to the sample it is a copy of there: with "circular" what leaves at one
            end comes in at the other, so that kernels are laid down on a circle.

    Returns:
        (batch, out_channels, *output); per axis
        (n−1)·stride − before − after + dilation·(k−1) + output_padding + 1.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`conv`.

    >>> import numpy as np, tilewright as tw
    >>> x, w = np.array([[[[5.0, 6.0], [7.0, 8.0]]]]), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> tw.conv_transpose(x, w)[0, 0]
    array([[ 5., 16., 12.],
           [22., 60., 40.],
           [21., 52., 32.]])
    """
    return _conv_transpose(
        "conv_transpose",
        None,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        padding_mode,
    )


def conv_transpose1d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv_transpose` over (batch, channels, length). PyTorch's ``conv_transpose1d``."""
    return _conv_transpose(
        "conv_transpose1d",
        1,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        padding_mode,
    )


def conv_transpose2d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv_transpose` over (batch, channels, height, width). PyTorch's ``conv_transpose2d``."""
    return _conv_transpose(
        "conv_transpose2d",
        2,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        padding_mode,
    )


def conv_transpose3d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv_transpose` over (batch, channels, depth, height, width). PyTorch's ``conv_transpose3d``."""
    return _conv_transpose(
        "conv_transpose3d",
        3,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        padding_mode,
    )


def _conv_transpose(
    op: str,
    rank: int | None,
    input: Operand,
    weight: Operand,
    bias: Operand,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
    padding_mode: str,
) -> Any:
    x, batched = conv_operands(op, rank, input, weight, bias)
    dims = ConvDims.of_transposed(
        x.shape,
        weight.shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
        op=op,
    )
    extras = per_axis(output_padding, dims.rank, "output_padding", op, least=0)
    y = transposed(op, x, weight, bias, dims, extras, padding_mode)
    return y if batched else y[0]
