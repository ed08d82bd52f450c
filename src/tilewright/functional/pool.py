"""Max and average pooling: PyTorch's names, order and defaults, and any-rank forms.

Arrays in give arrays out, Tensors in give Tensors out; padding takes every form of
:func:`tilewright.functional.conv`. Batches and channels may be empty, spatial axes may not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tilewright.autograd import rules_window as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.functional.operands import Operand, batched_input
from tilewright.functional.pool_operands import follows, rank_of, with_indices
from tilewright.geometry import PoolDims
from tilewright.geometry.axes import as_flag
from tilewright.op.pool_arrays import AVERAGED, COMPARED

__all__ = [
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]


def max_pool(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest sample of each window, over any number of spatial axes. NaN wins; ties take the first.

    Args:
        input: (batch, channels, *spatial), or (channels, *spatial) when ``kernel_size`` lists one
            integer per spatial axis; floats (float16 and bfloat16 too) or integers.
        kernel_size: window, an integer or one per axis.
        stride: step of the window; the window itself when not given.
        padding: forms as in :func:`conv`, at least 0; padding is never taken.
        dilation: distance between the samples of a window.
        ceil_mode: also windows that hang over the end, if they start before the padding there.
        return_indices: also give the flat position of each result in its unpadded plane (int64).

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`conv`; also where a window would see only padding.

    >>> import numpy as np, tilewright as tw
    >>> tw.max_pool(np.array([[0.0, 12.0, 26.0, 39.0]]), (2,))
    array([[12., 39.]])
    """
    rank = rank_of("max_pool", input, kernel_size, "kernel_size")
    return _max_pool(
        "max_pool", rank, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool1d(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool` over (batch, channels, length). PyTorch's ``max_pool1d``."""
    return _max_pool(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool` over (batch, channels, height, width). PyTorch's ``max_pool2d``."""
    return _max_pool(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool3d(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool` over (batch, channels, depth, height, width). PyTorch's ``max_pool3d``."""
    return _max_pool(
        "max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def _with_indices(function: Callable[..., Any]) -> Callable[..., Any]:
    def pool(
        input: Operand,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Any:
        return function(input, kernel_size, stride, padding, dilation, ceil_mode, True)

    pool.__name__ = pool.__qualname__ = f"{function.__name__}_with_indices"
    pool.__doc__ = f":func:`{function.__name__}` with ``return_indices=True``, under PyTorch's name for it."
    return pool


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)


def avg_pool(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dilation: Any = 1,
) -> Any:
    """The mean of each window, over any number of spatial axes.

    Args:
        input: as in :func:`max_pool`, but no integers; halves are added up in float32. Complex numbers
            have a mean too (a largest they have not).
        kernel_size: as in :func:`max_pool`.
        stride: as in :func:`max_pool`.
        padding: as in :func:`max_pool`.
        ceil_mode: as in :func:`max_pool`.
        count_include_pad: whether explicit padding counts in the divisor; what hangs over the padded end
            in ceil mode never does.
        divisor_override: divide every window's sum by this instead.
        dilation: distance between the samples of a window.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`max_pool`.

    >>> import numpy as np, tilewright as tw
    >>> tw.avg_pool(np.array([[0.0, 12.0, 26.0, 39.0]]), (2,))
    array([[ 6. , 32.5]])
    """
    rank = rank_of("avg_pool", input, kernel_size, "kernel_size")
    return _avg_pool(
        "avg_pool",
        rank,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dilation,
    )


def avg_pool1d(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dilation: Any = 1,
) -> Any:
    """:func:`avg_pool` over (batch, channels, length). PyTorch's ``avg_pool1d``."""
    return _avg_pool(
        "avg_pool1d",
        1,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dilation,
    )


def avg_pool2d(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dilation: Any = 1,
) -> Any:
    """:func:`avg_pool` over (batch, channels, height, width). PyTorch's ``avg_pool2d``."""
    return _avg_pool(
        "avg_pool2d",
        2,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dilation,
    )


def avg_pool3d(
    input: Operand,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dilation: Any = 1,
) -> Any:
    """:func:`avg_pool` over (batch, channels, depth, height, width). PyTorch's ``avg_pool3d``."""
    return _avg_pool(
        "avg_pool3d",
        3,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dilation,
    )


def _max_pool(
    op: str,
    rank: int,
    input: Operand,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    x, batched = batched_input(op, rank, input, COMPARED)
    dims = PoolDims.of(
        x.shape, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode, op=op
    )
    wanted, kept = as_flag(return_indices, "return_indices", op), follows(x)
    result = apply("max_pool", x, dims=dims, indices=wanted or kept, op=op)
    return with_indices(result, batched=batched, wanted=wanted, kept=kept)


def _avg_pool(
    op: str,
    rank: int,
    input: Operand,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    dilation: Any,
) -> Any:
    x, batched = batched_input(op, rank, input, AVERAGED)
    dims = PoolDims.of(
        x.shape, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode, op=op
    )
    counted = as_flag(count_include_pad, "count_include_pad", op)
    y = apply("avg_pool", x, dims=dims, count_include_pad=counted, divisor=divisor_override, op=op)
    return y if batched else y[0]
