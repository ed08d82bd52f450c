"""Layers that put samples elsewhere: windows as columns and back, channels in space and back.

As for the functions they call, an argument that lists one number per axis says how many spatial axes there
are; where none does, there are two, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import per_axis
from tilewright.geometry.padding import resolve_padding
from tilewright.nn.module import Module


class _Windows(Module):
    """What both directions share: where the windows lie."""

    def __init__(self, kernel_size: Any, dilation: Any, padding: Any, stride: Any, *sizes: Any) -> None:
        super().__init__()
        op = self._get_name()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride
        rank = _rank(op, *sizes, kernel_size, dilation, padding, stride)
        for size in sizes:
            per_axis(size, rank, "output_size", op, least=0)
        kernel = per_axis(kernel_size, rank, "kernel_size", op, least=1)
        dilations = per_axis(dilation, rank, "dilation", op, least=1)
        strides = per_axis(stride, rank, "stride", op, least=1)
        # What a name such as "same" amounts to depends on the input; here only its form is checked.
        resolve_padding(padding, op=op, spatial=kernel, kernel=kernel, stride=strides, dilation=dilations)

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Unfold(_Windows):
    """Every window of the input as a column: :func:`tilewright.functional.unfold` with these arguments.

    Args:
        kernel_size, dilation, padding, stride: as for the function.

    Shapes: (batch, channels, *spatial) → (batch, channels · taps, windows), or both without batch.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> Unfold(3, padding=1)(tw.zeros(2, 5, 8, 9)).shape
    Size([2, 45, 72])
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, input: Any) -> Any:
        """The columns of the input's windows."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Windows):
    """Columns added up where their windows lay: :func:`tilewright.functional.fold` with these arguments.

    Args:
        output_size: the spatial sizes of the result.
        kernel_size, dilation, padding, stride: as for the function.

    Shapes: (batch, channels · taps, windows) → (batch, channels, *output_size), or both without batch.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> Fold((8, 9), 3, padding=1)(tw.zeros(2, 45, 72)).shape
    Size([2, 5, 8, 9])
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride, output_size)
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """The sum of the columns."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return f"output_size={self.output_size}, {super().extra_repr()}"


class PixelShuffle(Module):
    """Channels laid out in space, ``upscale_factor`` times as large: what super-resolution ends with.

    Args:
        upscale_factor: an integer for two spatial axes, or one per axis.

    Shapes: (*, channels · Πf, *spatial) → (*, channels, *spatial · f).

    Raises:
        ArgumentError: a factor that isn't an integer of at least 1.

    >>> PixelShuffle(3)(tw.zeros(1, 9, 4, 4)).shape
    Size([1, 1, 12, 12])
    """

    def __init__(self, upscale_factor: Any) -> None:
        super().__init__()
        op = self._get_name()
        per_axis(upscale_factor, _rank(op, upscale_factor), "upscale_factor", op, least=1)
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        """The input with blocks of channels in space."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Space laid out in channels, ``downscale_factor`` times as small: the inverse of :class:`PixelShuffle`.

    Args:
        downscale_factor: an integer for two spatial axes, or one per axis.

    Shapes: (*, channels, *spatial · f) → (*, channels · Πf, *spatial).

    Raises:
        ArgumentError: a factor that isn't an integer of at least 1.

    >>> PixelUnshuffle(3)(tw.zeros(1, 1, 12, 12)).shape
    Size([1, 9, 4, 4])
    """

    def __init__(self, downscale_factor: Any) -> None:
        super().__init__()
        op = self._get_name()
        per_axis(downscale_factor, _rank(op, downscale_factor), "downscale_factor", op, least=1)
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        """The input with blocks of space in channels."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


def _rank(op: str, *arguments: Any) -> int:
    """How many spatial axes the first argument that lists them has; two if none does."""
    rank = next((len(value) for value in arguments if isinstance(value, (tuple, list))), 2)
    if rank == 0:
        raise ArgumentError(f"{op} needs at least one spatial axis.", describe(arguments=arguments))
    return rank
