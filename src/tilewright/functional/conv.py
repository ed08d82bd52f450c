"""Convolution, true and transposed: PyTorch's names, order and defaults, and any-rank forms.

Every function takes NumPy arrays and gives NumPy arrays, or takes Tensors and gives Tensors. Inputs may be
unbatched, (channels, *spatial). Where PyTorch takes an integer or one integer per axis for ``padding``, these
also take one (before, after) pair per axis or a name: ``valid``, ``same`` (any stride), ``same_lower``,
``full``, ``causal``; and ``padding_mode``, which PyTorch's layers have, stands here as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import rules_window as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.autograd.tensor import Tensor
from tilewright.functional.extending import ZEROS, extend, transposed
from tilewright.functional.operands import Operand, check_operand, conv_operands
from tilewright.geometry import ConvDims
from tilewright.geometry.axes import per_axis
from tilewright.op import calls

__all__ = [
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
]


def conv(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """Cross-correlation over any number of spatial axes: what deep learning calls convolution.

    y[n, k, o] = bias[k] + Σ_c Σ_t x[n, c, o·stride + t·dilation − before] · w[k, c, t]; what stands outside x
    says ``padding_mode``.

    Args:
        input: (batch, in_channels, *spatial), or (in_channels, *spatial).
        weight: (out_channels, in_channels/groups, *kernel); its rank sets the number of spatial axes.
        bias: (out_channels,), or None.
        stride: step of the window, an integer or one per axis.
        padding: an integer, one per axis, a (before, after) pair per axis, or a name (see the module).
        dilation: distance between taps, an integer or one per axis.
        groups: independent groups of channels.
        padding_mode: what stands in the padding: "zeros"; "reflect" (the input mirrored at its first and last
            sample, which are not repeated); "replicate" (those repeated); or "circular" (the input over
            again). Padding wider than the input folds or goes round as often as it must. Negative padding
            crops, in every mode.

    Returns:
        (batch, out_channels, *output) of the operands' dtype; per axis
        ⌊(n + before + after − dilation·(k−1) − 1)/stride⌋ + 1.

    Raises:
        ShapeError: shapes don't fit each other, the window doesn't fit the padded input, or an axis without
            samples is to be continued.
        ArgumentError: an argument outside its rule.
        DtypeError: operands of different or unknown dtypes.

    >>> import numpy as np, tilewright as tw
    >>> tw.conv(np.arange(9.0).reshape(1, 1, 3, 3), np.arange(4.0).reshape(1, 1, 2, 2))
    array([[[[19., 25.],
             [37., 43.]]]])
    """
    return _conv("conv", None, input, weight, bias, stride, padding, dilation, groups, padding_mode)


def convolve(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """True convolution, as in mathematics and signal processing: :func:`conv` with the kernel flipped.

    The flip is over the kernel's spatial axes only; all arguments are those of :func:`conv`. With padding
    ``full`` and one channel it equals ``scipy.signal.convolve``.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`conv`.

    >>> import numpy as np, tilewright as tw
    >>> tw.convolve(np.array([[1.0, 2.0, 3.0]]), np.array([[[0.0, 1.0]]]), padding="full")
    array([[0., 1., 2., 3.]])
    """
    check_operand(weight, "weight", "convolve")
    axes = tuple(range(2, weight.ndim))
    if isinstance(weight, Tensor):
        flipped: Any = weight.flip(axes)
    else:
        flipped = np.flip(weight, axes)
    return _conv("convolve", None, input, flipped, bias, stride, padding, dilation, groups, padding_mode)


def conv1d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv` over (batch, channels, length). PyTorch's ``conv1d``.

    >>> import numpy as np, tilewright as tw
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    >>> tw.functional.conv1d(x, np.ones((1, 1, 3)), padding=1)
    array([[[ 3.,  6.,  9., 12.,  9.]]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups, padding_mode)


def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv` over (batch, channels, height, width). PyTorch's ``conv2d``.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.conv2d(np.ones((1, 3, 8, 8)), np.ones((4, 3, 5, 3)), padding=(2, 1)).shape
    (1, 4, 8, 8)
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups, padding_mode)


def conv3d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv` over (batch, channels, depth, height, width). PyTorch's ``conv3d``.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.conv3d(np.ones((1, 1, 5, 32, 32)), np.ones((1, 1, 2, 3, 3))).shape
    (1, 1, 4, 30, 30)
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups, padding_mode)


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


def _conv(
    op: str,
    rank: int | None,
    input: Operand,
    weight: Operand,
    bias: Operand,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    padding_mode: str,
) -> Any:
    key = None
    if padding_mode is ZEROS or (isinstance(padding_mode, str) and padding_mode == ZEROS):
        key = calls.key_of(op, input, weight, bias, (stride, padding, dilation, groups))
    if key is not None:
        answer = calls.again(key, input, weight, bias)
        if answer is not None:
            return answer
    x, batched = conv_operands(op, rank, input, weight, bias)
    dims = ConvDims.of(
        x.shape, weight.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, op=op
    )
    x, dims = extend(op, x, dims, padding_mode)
    y = apply("conv", x, weight, bias, dims=dims, op=op)
    if key is not None and batched:
        calls.remember(key, dims, input, weight, bias)
    return y if batched else y[0]


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
