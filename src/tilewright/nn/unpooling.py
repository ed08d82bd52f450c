"""Max unpooling layers: one class for any rank, and aliases of fixed rank under PyTorch's names."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.unpool import unpooled_size
from tilewright.nn.module import Module


class MaxUnpool(Module):
    """Puts what a max pool gave back to where it was, with zeros elsewhere.

    Where several values share an index, the last in row order stands there; see
    :func:`tilewright.functional.max_unpool`.

    Args:
        kernel_size: the pool's window, one integer or one per axis.
        stride: the pool's step; the size of the window if not given.
        padding: the pool's.
        dilation: the pool's.

    Shapes: (batch, channels, *spatial), twice → (batch, channels, *output), or without batch.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> pool, unpool = MaxPool1d(2, return_indices=True), MaxUnpool1d(2)
    >>> unpool(*pool(tw.tensor([[[3, 1, 4, 1, 5, 9]]])))
    tensor([[[3, 0, 4, 0, 0, 9]]])
    """

    #: Number of spatial axes; None for a class of any rank.
    fixed_rank: ClassVar[int | None] = None

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> None:
        super().__init__()
        rank = self.fixed_rank
        # PyTorch keeps one entry per axis, and prints them so.
        self.kernel_size = self._per_axis(kernel_size)
        self.stride = self.kernel_size if stride is None else self._per_axis(stride)
        self.padding = self._per_axis(padding)
        self.dilation = dilation
        if rank is None:
            rank = len(kernel_size) if isinstance(kernel_size, (tuple, list)) else 1
        if rank == 0:
            raise ArgumentError(
                f"{self._get_name()} needs kernel_size with at least one axis.",
                describe(kernel_size=kernel_size),
            )
        # Any input will do to find what is wrong with the arguments.
        unpooled_size(
            (1, 1, *(_LARGE,) * rank),
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=dilation,
            op=self._get_name(),
        )

    def _per_axis(self, value: Any) -> Any:
        return (value,) * self.fixed_rank if self.fixed_rank and isinstance(value, int) else value

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """Unpool values by the indices that the pool gave with them; ``output_size`` as for the function."""
        return _UNPOOL[self.fixed_rank](
            input, indices, self.kernel_size, self.stride, self.padding, output_size, self.dilation
        )

    def extra_repr(self) -> str:
        """The window, as PyTorch prints it; a dilation, which PyTorch hasn't got, behind it."""
        text = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return text if self.dilation == 1 else f"{text}, dilation={self.dilation}"


class MaxUnpool1d(MaxUnpool):
    """:class:`MaxUnpool` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class MaxUnpool2d(MaxUnpool):
    """:class:`MaxUnpool` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class MaxUnpool3d(MaxUnpool):
    """:class:`MaxUnpool` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


# A size that no padding exceeds, so that only the arguments are judged.
_LARGE = 2**62

# The functions of fixed rank also refuse input of another one, and their messages carry their own names.
_UNPOOL = {None: F.max_unpool, 1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
