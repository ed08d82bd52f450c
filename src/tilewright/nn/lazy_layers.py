"""PyTorch's names for layers whose number of input channels comes from their first input.

``LazyConv2d(8, 3)`` is ``Conv2d(None, 8, 3)``, and is a plain :class:`Conv2d` after its first call.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from tilewright.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from tilewright.nn.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from tilewright.nn.lazy import LazyAlias
from tilewright.nn.linear import Linear
from tilewright.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d


class LazyConv1d(LazyAlias, Conv1d):
    """:class:`Conv1d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = Conv1d


class LazyConv2d(LazyAlias, Conv2d):
    """:class:`Conv2d` without its first argument.

    >>> layer = LazyConv2d(8, kernel_size=3)
    >>> layer
    LazyConv2d(0, 8, kernel_size=(3, 3), stride=(1, 1))
    >>> y = layer(tw.zeros(1, 5, 9, 9))
    >>> layer
    Conv2d(5, 8, kernel_size=(3, 3), stride=(1, 1))
    """

    cls_to_become: ClassVar[type[Any] | None] = Conv2d


class LazyConv3d(LazyAlias, Conv3d):
    """:class:`Conv3d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = Conv3d


class LazyConvTranspose1d(LazyAlias, ConvTranspose1d):
    """:class:`ConvTranspose1d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = ConvTranspose1d


class LazyConvTranspose2d(LazyAlias, ConvTranspose2d):
    """:class:`ConvTranspose2d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = ConvTranspose2d


class LazyConvTranspose3d(LazyAlias, ConvTranspose3d):
    """:class:`ConvTranspose3d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = ConvTranspose3d


class LazyLinear(LazyAlias, Linear):
    """:class:`Linear` without its first argument.

    >>> model = nn.Sequential(nn.Flatten(), LazyLinear(10))
    >>> model(tw.zeros(2, 1, 28, 28)).shape
    Size([2, 10])
    """

    cls_to_become: ClassVar[type[Any] | None] = Linear


class LazyBatchNorm1d(LazyAlias, BatchNorm1d):
    """:class:`BatchNorm1d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = BatchNorm1d


class LazyBatchNorm2d(LazyAlias, BatchNorm2d):
    """:class:`BatchNorm2d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = BatchNorm2d


class LazyBatchNorm3d(LazyAlias, BatchNorm3d):
    """:class:`BatchNorm3d` without its first argument."""

    cls_to_become: ClassVar[type[Any] | None] = BatchNorm3d


class _LazyInstanceNorm(LazyAlias):
    """PyTorch's lazy instance norm learns weights and keeps statistics unless told otherwise."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """:class:`InstanceNorm1d` without its first argument; ``affine`` and running statistics by default."""

    cls_to_become: ClassVar[type[Any] | None] = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """:class:`InstanceNorm2d` without its first argument; ``affine`` and running statistics by default."""

    cls_to_become: ClassVar[type[Any] | None] = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """:class:`InstanceNorm3d` without its first argument; ``affine`` and running statistics by default."""

    cls_to_become: ClassVar[type[Any] | None] = InstanceNorm3d
