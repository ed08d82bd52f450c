"""Convolution, deep learning's and the true one: PyTorch's names, order and defaults, and any-rank forms.

Every function takes NumPy arrays and gives NumPy arrays, or takes Tensors and gives Tensors. Inputs may be
unbatched, (channels, *spatial). Where PyTorch takes an integer or one integer per axis for ``padding``, these
also take one (before, after) pair per axis or a name: ``valid``, ``same`` (any stride), ``same_lower``,
``full``, ``causal``; and ``padding_mode``, which PyTorch's layers have, stands here as well.

All operands have one dtype, and so has the result; nothing is converted silently. float32 and float64 are
added up in themselves, float16 and bfloat16 (an extra) in float32 and rounded once. Integers of 8 to 64 bits
are exact modulo the range of their dtype: a sum that doesn't fit wraps round, as NumPy's do. complex64 and
complex128 are multiplied as they are, without conjugation, as in PyTorch. Bools are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import rules_window as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.autograd.tensor import Tensor
from tilewright.functional.extending import extend
from tilewright.functional.masking import masked
from tilewright.functional.operands import Operand, check_operand, conv_operands
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.op import calls
from tilewright.op.arrays import MULTIPLIED

__all__ = [
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
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
    mask: Any = None,
    normalize: bool | str = False,
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
        mask: which samples are there, the others being left out: see :func:`masked_conv`, which does more.
            "nan" leaves out NaNs.
        normalize: how weights make up for missing samples, "weights" or "count": see :func:`masked_conv`.

    Returns:
        (batch, out_channels, *output) of the operands' dtype; per axis
        ⌊(n + before + after − dilation·(k−1) − 1)/stride⌋ + 1.

    Raises:
        ShapeError: shapes don't fit each other, the window doesn't fit the padded input, or an axis without
            samples is to be continued.
        ArgumentError: an argument outside its rule.
        DtypeError: operands of different dtypes, or of none that is listed above.

    >>> import numpy as np, tilewright as tw
    >>> tw.conv(np.arange(9.0).reshape(1, 1, 3, 3), np.arange(4.0).reshape(1, 1, 2, 2))
    array([[[[19., 25.],
             [37., 43.]]]])
    """
    return _conv(
        "conv", None, input, weight, bias, stride, padding, dilation, groups, padding_mode, mask, normalize
    )


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
    mask: Any = None,
    normalize: bool | str = False,
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
    check_operand(weight, "weight", "convolve", MULTIPLIED)
    axes = tuple(range(2, weight.ndim))
    if isinstance(weight, Tensor):
        flipped: Any = weight.flip(axes)
    else:
        flipped = np.flip(weight, axes)
    return _conv(
        "convolve",
        None,
        input,
        flipped,
        bias,
        stride,
        padding,
        dilation,
        groups,
        padding_mode,
        mask,
        normalize,
    )


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
    mask: Any = None,
    normalize: bool | str = False,
) -> Any:
    """:func:`conv` over (batch, channels, length). PyTorch's ``conv1d``.

    >>> import numpy as np, tilewright as tw
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    >>> tw.functional.conv1d(x, np.ones((1, 1, 3)), padding=1)
    array([[[ 3.,  6.,  9., 12.,  9.]]])
    """
    return _conv(
        "conv1d", 1, input, weight, bias, stride, padding, dilation, groups, padding_mode, mask, normalize
    )


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
    mask: Any = None,
    normalize: bool | str = False,
) -> Any:
    """:func:`conv` over (batch, channels, height, width). PyTorch's ``conv2d``.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.conv2d(np.ones((1, 3, 8, 8)), np.ones((4, 3, 5, 3)), padding=(2, 1)).shape
    (1, 4, 8, 8)
    """
    return _conv(
        "conv2d", 2, input, weight, bias, stride, padding, dilation, groups, padding_mode, mask, normalize
    )


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
    mask: Any = None,
    normalize: bool | str = False,
) -> Any:
    """:func:`conv` over (batch, channels, depth, height, width). PyTorch's ``conv3d``.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.conv3d(np.ones((1, 1, 5, 32, 32)), np.ones((1, 1, 2, 3, 3))).shape
    (1, 1, 4, 30, 30)
    """
    return _conv(
        "conv3d", 3, input, weight, bias, stride, padding, dilation, groups, padding_mode, mask, normalize
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
    mask: Any,
    normalize: bool | str,
) -> Any:
    if mask is not None or normalize is not False:
        arguments = (stride, padding, dilation, groups, padding_mode)
        return masked(op, rank, input, weight, bias, arguments, mask, normalize)
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
