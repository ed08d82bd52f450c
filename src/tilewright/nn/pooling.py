"""Pooling layers: one class per kind for any rank, and thin aliases of fixed rank under PyTorch's names.

Adaptive and global pools stand in :mod:`tilewright.nn.pooling_adaptive`, unpooling in
:mod:`tilewright.nn.unpooling`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.functional.lp_pool import as_norm
from tilewright.geometry.axes import as_flag, as_integer, per_axis
from tilewright.geometry.padding import resolve_padding
from tilewright.geometry.pool import PoolDims
from tilewright.nn.module import Module


class _Pool(Module):
    """What all pools share: the window, and where it goes."""

    #: Number of spatial axes; None for a class of any rank.
    fixed_rank: ClassVar[int | None] = None

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = as_flag(ceil_mode, "ceil_mode", self._get_name())
        rank = self.fixed_rank
        if rank is None:
            # One integer is right for any rank; checking it for one axis finds everything that can be wrong.
            rank = len(kernel_size) if isinstance(kernel_size, (tuple, list)) else 1
        if rank == 0:
            raise ArgumentError(
                f"{self._get_name()} needs kernel_size with at least one axis.",
                describe(kernel_size=kernel_size),
            )
        self._check_window(rank)

    def _check_window(self, rank: int) -> None:
        op = self._get_name()
        kernel = per_axis(self.kernel_size, rank, "kernel_size", op, least=1)
        stride = per_axis(self.stride, rank, "stride", op, least=1)
        dilation = per_axis(self.dilation, rank, "dilation", op, least=1)
        # What a name such as "same" amounts to depends on the input; here only its form is checked.
        pads = resolve_padding(
            self.padding, op=op, spatial=kernel, kernel=kernel, stride=stride, dilation=dilation
        )
        if min(min(pair) for pair in pads) < 0:
            raise ArgumentError(f"{op} needs padding of at least 0.", describe(padding=self.padding))

    def _unless_usual(self, **usual: Any) -> str:
        """Arguments that PyTorch hasn't got, for printing, where they aren't the usual ones."""
        given = {name: getattr(self, name) for name in usual}
        return "".join(f", {name}={value}" for name, value in given.items() if value != usual[name])

    def dims(self, input_shape: tuple[int, ...]) -> PoolDims:
        """The geometry for an input of shape (batch, channels, *spatial).

        Raises:
            ShapeError: the window does not fit.
        """
        return PoolDims.of(
            tuple(input_shape),
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
            op=self._get_name(),
        )


class MaxPool(_Pool):
    """The largest value of each window, over as many spatial axes as the input has.

    Args:
        kernel_size: size of the window, one integer or one per axis.
        stride: step of the window; the size of the window if not given.
        padding: as for a convolution, names and pairs included; what is padded never wins.
        dilation: distance of the window's samples.
        return_indices: give a pair, the values and where in the plane (flattened, unpadded) each was.
        ceil_mode: keep a last window that hangs over the end.

    Shapes: (batch, channels, *spatial) → (batch, channels, *output), or both without batch.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> MaxPool((2, 2))(tw.zeros(1, 6, 28, 28)).shape
    Size([1, 6, 14, 14])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.return_indices = as_flag(return_indices, "return_indices", self._get_name())

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return _MAX[self.fixed_rank](
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(MaxPool):
    """:class:`MaxPool` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class MaxPool2d(MaxPool):
    """:class:`MaxPool` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class MaxPool3d(MaxPool):
    """:class:`MaxPool` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


class AvgPool(_Pool):
    """The mean of each window, over as many spatial axes as the input has.

    Args:
        kernel_size: size of the window, one integer or one per axis.
        stride: step of the window; the size of the window if not given.
        padding: as for a convolution, names and pairs included.
        ceil_mode: keep a last window that hangs over the end (the overhang is never counted).
        count_include_pad: whether padding counts, as zeros, in the mean.
        divisor_override: divide each window's sum by this instead of by the number of its samples.
        dilation: distance of the window's samples.

    Shapes: (batch, channels, *spatial) → (batch, channels, *output), or both without batch.

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        dilation: Any = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.count_include_pad = as_flag(count_include_pad, "count_include_pad", self._get_name())
        if divisor_override is not None:
            divisor_override = as_integer(divisor_override, "divisor_override", self._get_name(), least=1)
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return _AVG[self.fixed_rank](
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            divisor_override=self.divisor_override,
            dilation=self.dilation,
        )

    def extra_repr(self) -> str:
        """The window, as PyTorch prints it; a dilation, which PyTorch hasn't got, behind it."""
        text = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return text + self._unless_usual(dilation=1)


class AvgPool1d(AvgPool):
    """:class:`AvgPool` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1

    def extra_repr(self) -> str:
        """The window, each part as a tuple: PyTorch prints this one class so."""
        parts = (("kernel_size", self.kernel_size), ("stride", self.stride), ("padding", self.padding))
        text = ", ".join(f"{name}={(part,) if isinstance(part, int) else part}" for name, part in parts)
        return text + self._unless_usual(dilation=1)


class AvgPool2d(AvgPool):
    """:class:`AvgPool` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class AvgPool3d(AvgPool):
    """:class:`AvgPool` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


class LPPool(_Pool):
    """The p-th root of the sum of p-th powers of each window; see :func:`tilewright.functional.lp_pool`.

    Args:
        norm_type: p: a number above 0, or an infinity.
        kernel_size: size of the window, one integer or one per axis.
        stride: step of the window; the size of the window if not given.
        ceil_mode: keep a last window that hangs over the end, its sum scaled up to a full window's.
        padding: as for a convolution, names and pairs included; it counts as zeros.
        dilation: distance of the window's samples.

    Shapes: (batch, channels, *spatial) → (batch, channels, *output), or both without batch.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> LPPool(2, 2)(tw.tensor([[[3.0, 4.0, 0.0, 2.0]]]))
    tensor([[[5., 2.]]])
    """

    def __init__(
        self,
        norm_type: float,
        kernel_size: Any,
        stride: Any = None,
        ceil_mode: bool = False,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        # As it was given: that is how PyTorch keeps and prints it.
        self.norm_type = norm_type
        self.stride = stride
        as_norm(norm_type, self._get_name())

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return _LP[self.fixed_rank](
            input,
            self.norm_type,
            self.kernel_size,
            self.stride,
            self.ceil_mode,
            self.padding,
            self.dilation,
        )

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them; those that PyTorch hasn't got behind them."""
        text = (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )
        return text + self._unless_usual(padding=0, dilation=1)


class LPPool1d(LPPool):
    """:class:`LPPool` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class LPPool2d(LPPool):
    """:class:`LPPool` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class LPPool3d(LPPool):
    """:class:`LPPool` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


# The functions of fixed rank also refuse input of another one, and their messages carry their own names.
_MAX = {None: F.max_pool, 1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG = {None: F.avg_pool, 1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_LP = {None: F.lp_pool, 1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
