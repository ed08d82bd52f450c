"""Instance normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from tilewright import functional as F
from tilewright.autograd.operands import raw
from tilewright.errors import ShapeError, describe
from tilewright.functional.operands import check_operand
from tilewright.nn.norm import _BatchNorm
from tilewright.op.arrays import MULTIPLIED


class _InstanceNorm(_BatchNorm):
    """(x − mean) / √(variance + eps) · weight + bias, each channel of each sample by its own numbers.

    With ``track_running_stats`` running statistics are kept in training, and used in evaluation. Parameters
    and buffers are those of batch norm, whose constructor makes them. Source: Ulyanov, Vedaldi and
    Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.

    Args:
        num_features: channels; with None the layer makes its parameters at the first call.
        eps: keeps the denominator away from 0.
        momentum: share of the newest input in the running statistics; None leaves them where they are.
        affine: whether weight and bias are there, to be learnt.
        track_running_stats: whether running statistics are kept.
        device: None or "cpu".
        dtype: floating; float32 if not given.
        bias: with ``affine``, whether the bias is there.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.
    """

    pointwise: ClassVar[bool] = False

    def __init__(
        self,
        num_features: int | None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _batched(self, input: Any) -> tuple[Any, bool]:
        """The input with a batch axis, and whether it came with one.

        Raises:
            ShapeError: its rank is another.
        """
        rank = raw(input).ndim if hasattr(raw(input), "ndim") else -1
        if rank not in self.ranks:
            raise ShapeError(f"{self._get_name()} needs input of shape {self.layout}.", describe(input=input))
        return (input, True) if rank == max(self.ranks) else (input[None], False)

    def _size_of_input(self, input: Any) -> int:
        check_operand(input, "input", self._get_name(), MULTIPLIED)
        return int(self._batched(input)[0].shape[1])

    def forward(self, input: Any) -> Any:
        """Normalise each channel of each sample.

        Raises:
            ShapeError: the input's rank or number of channels is another.
        """
        x, batched = self._batched(input)
        if x.shape[1] != self.num_features:
            raise ShapeError(
                f"{self._get_name()} needs input of shape {self.layout} with {self.num_features} channels.",
                describe(input=input),
            )
        y = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if batched else y[0]


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (batch, channels, length) or (channels, length)."""

    ranks: ClassVar[tuple[int, ...]] = (2, 3)
    layout: ClassVar[str] = "(batch, channels, length) or (channels, length)"


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (batch, channels, height, width) or (channels, height, width)."""

    ranks: ClassVar[tuple[int, ...]] = (3, 4)
    layout: ClassVar[str] = "(batch, channels, height, width) or (channels, height, width)"


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (batch, channels, depth, height, width) or without the batch."""

    ranks: ClassVar[tuple[int, ...]] = (4, 5)
    layout: ClassVar[str] = "(batch, channels, depth, height, width) or (channels, depth, height, width)"
