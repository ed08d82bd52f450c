"""Adaptive and global pooling layers: one class per kind for any rank, and aliases under PyTorch's names."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry import AdaptiveDims
from tilewright.geometry.axes import as_flag, as_rank
from tilewright.nn.module import Module


class _AdaptivePool(Module):
    """What all adaptive pools share: how many windows there are."""

    #: Number of spatial axes; None for a class of any rank.
    fixed_rank: ClassVar[int | None] = None

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size
        rank = self.fixed_rank
        if rank is None:
            rank = len(output_size) if isinstance(output_size, (tuple, list)) else 1
        if rank == 0:
            raise ArgumentError(
                f"{self._get_name()} needs output_size with at least one axis.",
                describe(output_size=output_size),
            )
        # Any input will do to find what is wrong with the argument.
        AdaptiveDims.of((1,) * (2 + rank), output_size, op=self._get_name())

    def dims(self, input_shape: tuple[int, ...]) -> AdaptiveDims:
        """The geometry for an input of shape (batch, channels, *spatial).

        Raises:
            ShapeError: a spatial axis is empty.
        """
        return AdaptiveDims.of(tuple(input_shape), self.output_size, op=self._get_name())

    def extra_repr(self) -> str:
        """The output's size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool(_AdaptivePool):
    """The means of as many windows as the output is to hold, over as many spatial axes as the input has.

    Args:
        output_size: an integer for all axes, or one entry per axis, of which None keeps the input's size.

    Shapes: (batch, channels, *spatial) → (batch, channels, *output_size), or both without batch.

    Raises:
        ArgumentError: ``output_size`` outside its rule.

    >>> AdaptiveAvgPool((1, None))(tw.zeros(2, 64, 7, 5)).shape
    Size([2, 64, 1, 5])
    """

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return _AVG[self.fixed_rank](input, self.output_size)


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """:class:`AdaptiveAvgPool` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """:class:`AdaptiveAvgPool` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """:class:`AdaptiveAvgPool` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


class AdaptiveMaxPool(_AdaptivePool):
    """The maxima of as many windows as the output is to hold, over as many spatial axes as the input has.

    Args:
        output_size: as for :class:`AdaptiveAvgPool`.
        return_indices: give a pair, the values and where in the plane (flattened) each was.

    Shapes: (batch, channels, *spatial) → (batch, channels, *output_size), or both without batch.

    Raises:
        ArgumentError: ``output_size`` outside its rule.

    >>> AdaptiveMaxPool(2)(tw.tensor([[[3, 1, 4, 1, 5]]]))
    tensor([[[4, 5]]])
    """

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = as_flag(return_indices, "return_indices", self._get_name())

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return _MAX[self.fixed_rank](input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """:class:`AdaptiveMaxPool` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """:class:`AdaptiveMaxPool` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """:class:`AdaptiveMaxPool` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


class _GlobalPool(Module):
    """What both global pools share: which axes are pooled."""

    def __init__(self, rank: int | None) -> None:
        super().__init__()
        self.rank = None if rank is None else as_rank(rank, self._get_name())

    def dims(self, input_shape: tuple[int, ...]) -> AdaptiveDims:
        """The geometry for an input of shape (batch, channels, *spatial).

        Raises:
            ShapeError: a spatial axis is empty.
        """
        return AdaptiveDims.of(tuple(input_shape), 1, op=self._get_name())

    def extra_repr(self) -> str:
        """The rank, if it was said."""
        return "" if self.rank is None else f"rank={self.rank}"


class GlobalAvgPool(_GlobalPool):
    """The mean of each plane; its axes stay, with one sample each.

    Args:
        rank: the number of spatial axes, all but the first two by default; with it, input without batch is
            told apart.

    Shapes: (batch, channels, *spatial) → (batch, channels, 1, …), or, with ``rank``, both without batch.

    Raises:
        ArgumentError: ``rank`` is no integer of at least 1.

    >>> GlobalAvgPool()(tw.zeros(2, 64, 7, 7)).shape
    Size([2, 64, 1, 1])
    """

    def __init__(self, rank: int | None = None) -> None:
        super().__init__(rank)

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return F.global_avg_pool(input, self.rank)


class GlobalMaxPool(_GlobalPool):
    """The maximum of each plane; its axes stay, with one sample each.

    Args:
        return_indices: give a pair, the values and where in the plane (flattened) each was.
        rank: as for :class:`GlobalAvgPool`.

    Shapes: (batch, channels, *spatial) → (batch, channels, 1, …), or, with ``rank``, both without batch.

    Raises:
        ArgumentError: ``rank`` is no integer of at least 1.

    >>> GlobalMaxPool()(tw.zeros(2, 64, 7, 7)).shape
    Size([2, 64, 1, 1])
    """

    def __init__(self, return_indices: bool = False, rank: int | None = None) -> None:
        super().__init__(rank)
        self.return_indices = as_flag(return_indices, "return_indices", self._get_name())

    def forward(self, input: Any) -> Any:
        """Pool (batch, channels, *spatial)."""
        return F.global_max_pool(input, self.return_indices, self.rank)


# The functions of fixed rank also refuse input of another one, and their messages carry their own names.
_AVG = {
    None: F.adaptive_avg_pool,
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
_MAX = {
    None: F.adaptive_max_pool,
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}
