"""Convolution layers: one class for any rank, one for transposed, and thin aliases of fixed rank."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from tilewright import functional as F
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.operands import batched_input
from tilewright.geometry.axes import as_flag, as_integer, per_axis
from tilewright.geometry.conv import ConvDims
from tilewright.geometry.padding import Padding, check_padding_mode
from tilewright.nn.arguments import least_padding, rank_of
from tilewright.nn.init import Initialiser, check_initialiser, reset
from tilewright.nn.lazy import LearnsSize
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter
from tilewright.op.arrays import MULTIPLIED


class _ConvBase(LearnsSize, Module):
    """What convolution and transposed convolution share: checked arguments, weight and bias."""

    #: Number of spatial axes; None for a class of any rank.
    fixed_rank: ClassVar[int | None] = None
    transposed: ClassVar[bool] = False
    size_name: ClassVar[str] = "in_channels"

    in_channels: int
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Padding,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: npt.DTypeLike | None,
        init: Initialiser | None,
        rank: int | None,
    ) -> None:
        super().__init__()
        op = self._get_name()
        if in_channels is not None:
            in_channels = as_integer(in_channels, "in_channels", op, least=1)
        self.out_channels = as_integer(out_channels, "out_channels", op, least=1)
        self.groups = as_integer(groups, "groups", op, least=1)
        for name, channels in (("in_channels", in_channels), ("out_channels", self.out_channels)):
            if (channels or 0) % self.groups:
                raise ArgumentError(
                    f"{op} needs {name} to be divisible by groups.",
                    describe(**{name: channels}, groups=self.groups),
                )
        self.rank = rank_of(kernel_size, rank, self.fixed_rank, op)
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size", op, least=1)
        self.stride = per_axis(stride, self.rank, "stride", op, least=1)
        self.dilation = per_axis(dilation, self.rank, "dilation", op, least=1)
        self.output_padding = per_axis(output_padding, self.rank, "output_padding", op, least=0)
        self.padding = least_padding(padding, self.rank, op)
        self.padding_mode = check_padding_mode(padding_mode, op)
        check_initialiser(init, op)
        self.init = init
        self._has_bias = as_flag(bias, "bias", self._get_name())
        self._make_members(in_channels, device, dtype)
        if not self._has_bias:
            self.register_parameter("bias", None)
        if in_channels is not None:
            self.reset_parameters()

    def _member_shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        channels = (
            (size, self.out_channels // self.groups)
            if self.transposed
            else (self.out_channels, size // self.groups)
        )
        bias = {"bias": (self.out_channels,)} if self._has_bias else {}
        return {"weight": (*channels, *self.kernel_size), **bias}

    def _size_of_input(self, input: Any) -> int:
        batched, _ = batched_input(self._get_name(), self.rank, input, MULTIPLIED)
        return int(batched.shape[1])

    def _size_of_member(self, name: str, shape: tuple[int, ...]) -> int | None:
        if name != "weight" or len(shape) != self.rank + 2:
            return None
        return shape[0] if self.transposed else shape[1] * self.groups

    def _check_size(self, size: int) -> None:
        super()._check_size(size)
        if size % self.groups:
            raise ShapeError(
                f"{self._get_name()} needs the input's channels to be divisible by groups.",
                describe(in_channels=size, groups=self.groups),
            )

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, as the constructor did."""
        reset(self.weight, self.bias, self.init)

    def _batched(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = tuple(input_shape)
        return (1, *shape) if len(shape) == self.rank + 1 else shape

    def extra_repr(self) -> str:
        """The arguments that are not the default's, as PyTorch prints them."""
        ones, zeros = (1,) * self.rank, (0,) * self.rank
        parts = [
            f"{self._shown_size(self.in_channels)}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        ]
        if self.padding != zeros:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != zeros:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv(_ConvBase):
    """Cross-correlation with learnt kernels ("convolution" in deep learning) over any number of spatial axes.

    Args:
        in_channels, out_channels: channels of input and output, both divisible by ``groups``; with None for
            ``in_channels`` the layer makes its parameters at the first call, for the input that it gets.
        kernel_size: one integer per axis, whose number is the rank; or one for all, with ``rank`` given.
        stride, dilation: one integer, or one per axis.
        padding: an integer, one per axis, a (before, after) pair per axis, or a name: "valid", "same",
            "same_lower", "full", "causal" (see :mod:`tilewright.geometry.padding`), at any stride.
        groups: independent groups of channels.
        bias: whether a learnt number is added to each output channel.
        padding_mode: what stands in the padding: "zeros", "reflect", "replicate" or "circular"; padding
            wider than the input folds or goes round as often as it must.
        device: None or "cpu".
        dtype: of weight and bias, floating; float32 if not given.
        init: name of an initialiser for the weight ("glorot", "he", "lecun", …: see
            :func:`tilewright.nn.init.by_name`) or a function that fills it; the bias then starts at zero.
            Without it both start as in PyTorch: uniform within ±1/√(in_channels/groups · taps).
        rank: number of spatial axes, where one integer for ``kernel_size`` leaves it open.

    Shapes: (batch, in_channels, *spatial) → (batch, out_channels, *output), or both without batch; weight
    (out_channels, in_channels/groups, *kernel_size), bias (out_channels).

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> Conv(3, 8, (3, 3, 3, 3), padding="same")(tw.zeros(1, 3, 4, 4, 4, 4)).shape
    Size([1, 8, 4, 4, 4, 4])
    """

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Padding = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: Initialiser | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            init,
            rank,
        )

    def forward(self, input: Any) -> Any:
        """Convolve (batch, in_channels, *spatial)."""
        return _CONV[self.fixed_rank](
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            padding_mode=self.padding_mode,
        )

    def dims(self, input_shape: tuple[int, ...]) -> ConvDims:
        """The geometry for an input of shape (batch, in_channels, *spatial), the batch optional.

        Raises:
            ShapeError: the input doesn't fit.
        """
        return ConvDims.of(
            self._batched(input_shape),
            tuple(self.weight.shape),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            op=self._get_name(),
        )


class Conv1d(Conv):
    """:class:`Conv` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class Conv2d(Conv):
    """:class:`Conv` over (batch, channels, height, width).

    >>> Conv2d(1, 32, 5, padding="same")(tw.zeros(8, 1, 28, 28)).shape
    Size([8, 32, 28, 28])
    """

    fixed_rank: ClassVar[int | None] = 2


class Conv3d(Conv):
    """:class:`Conv` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


class ConvTranspose(_ConvBase):
    """Transposed convolution: each input value lays its multiple of the kernel down, ``stride`` apart.

    It is the data gradient of :class:`Conv`, and learns to up-sample. The order of the arguments is
    PyTorch's, which differs from that of :class:`Conv` behind ``padding``.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, bias, dilation: as for :class:`Conv`.
        padding: how much is cropped from the output on each side, in every form that :class:`Conv` takes; a
            name means the adjoint of that name, so that "same" gives n·stride.
        output_padding: how much longer the output is at its end.
        padding_mode: "zeros" (PyTorch's only one), "reflect", "replicate" or "circular": that of the
            convolution whose adjoint this is. Other than "zeros", what is cropped from the output is added
            to the samples that it would be copies of in the padding (see
            :func:`tilewright.functional.conv_transpose`).
        device, dtype, init, rank: as for :class:`Conv`.

    Shapes: (batch, in_channels, *spatial) → (batch, out_channels, *output) with output
    (n−1)·stride − before − after + dilation·(k−1) + output_padding + 1 on each axis; weight (in_channels,
    out_channels/groups, *kernel_size), bias (out_channels).

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> ConvTranspose2d(8, 3, 4, stride=2, padding=1)(tw.zeros(1, 8, 7, 7)).shape
    Size([1, 3, 14, 14])
    """

    transposed: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Padding = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: Initialiser | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            init,
            rank,
        )

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """Apply it to (batch, in_channels, *spatial).

        Args:
            input: the array or Tensor.
            output_size: spatial sizes to reach by choosing ``output_padding`` (batch and channels may stand
                before them); instead of the one the layer was built with.

        Raises:
            ShapeError: the sizes are out of reach.
        """
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra_for(tuple(input.shape), output_size)
        return _CONV_TRANSPOSE[self.fixed_rank](
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
            padding_mode=self.padding_mode,
        )

    def dims(self, input_shape: tuple[int, ...]) -> ConvDims:
        """The ordinary convolution whose data gradient this is; its ``spatial`` are the output's sizes.

        Raises:
            ShapeError: an input of shape (batch, in_channels, *spatial) like this doesn't fit.
        """
        return self._dims(input_shape, self.output_padding)

    def _dims(self, input_shape: tuple[int, ...], output_padding: tuple[int, ...]) -> ConvDims:
        return ConvDims.of_transposed(
            self._batched(input_shape),
            tuple(self.weight.shape),
            stride=self.stride,
            padding=self.padding,
            output_padding=output_padding,
            groups=self.groups,
            dilation=self.dilation,
            op=self._get_name(),
        )

    def _extra_for(self, input_shape: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
        """The output padding that leads to ``output_size``."""
        op = self._get_name()
        wanted = tuple(output_size)[-self.rank :]
        wanted = per_axis(wanted, self.rank, "output_size", op, least=0)
        least = self._dims(input_shape, (0,) * self.rank).spatial
        # As far as output_padding goes: up to the larger of stride and dilation, that one excluded.
        most = tuple(n + max(s, d) - 1 for n, s, d in zip(least, self.stride, self.dilation, strict=True))
        if any(not low <= n <= high for low, n, high in zip(least, wanted, most, strict=True)):
            raise ShapeError(
                f"{op} reaches output sizes from {least} to {most} from this input.",
                f"input with shape {input_shape}, output_size={output_size!r}",
            )
        return tuple(n - low for n, low in zip(wanted, least, strict=True))


class ConvTranspose1d(ConvTranspose):
    """:class:`ConvTranspose` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class ConvTranspose2d(ConvTranspose):
    """:class:`ConvTranspose` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class ConvTranspose3d(ConvTranspose):
    """:class:`ConvTranspose` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


# The functions of fixed rank also refuse input of another one, and their messages carry their own names.
_CONV = {None: F.conv, 1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {
    None: F.conv_transpose,
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}
