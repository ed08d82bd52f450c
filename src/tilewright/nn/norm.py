"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tilewright import functional as F
from tilewright.autograd.create import from_numpy
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ShapeError, describe
from tilewright.functional.operands import check_operand
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.nn.arguments import as_number, check_device, floating_dtype
from tilewright.nn.init import ones_, zeros_
from tilewright.nn.lazy import LearnsSize
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter
from tilewright.op.arrays import MULTIPLIED

# What is kept of the batches seen, by channel.
_RUNNING = ("running_mean", "running_var")


class _BatchNorm(LearnsSize, Module):
    """(x − mean) / √(variance + eps) · weight + bias, with mean and variance of each channel.

    In training they are those of the batch, and running ones are kept; in evaluation the running ones are
    used. Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

    Args:
        num_features: channels; with None the layer makes its parameters and buffers at the first call, for
            the input that it gets.
        eps: keeps the denominator away from 0.
        momentum: share of the newest batch in the running statistics; None for their plain mean.
        affine: whether weight and bias are there, to be learnt.
        track_running_stats: whether running statistics are kept; without them the batch's are always used.
        device: None or "cpu".
        dtype: floating; float32 if not given.
        bias: with ``affine``, whether the bias is there.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.
    """

    #: How an output value depends on the input in evaluation.
    pointwise: ClassVar[bool] = True
    #: Ranks of input this class takes, and how a message says so.
    ranks: ClassVar[tuple[int, ...]]
    layout: ClassVar[str]

    size_name: ClassVar[str] = "num_features"

    num_features: int
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int | None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        op = self._get_name()
        check_device(device, op)  # also where there is nothing to be made
        floating_dtype(dtype, op)
        if num_features is not None:
            num_features = as_integer(num_features, "num_features", op, least=1)
        self.eps = as_number(eps, "eps", op)
        self.momentum = None if momentum is None else as_number(momentum, "momentum", op, most=1)
        self.affine = as_flag(affine, "affine", self._get_name())
        self.track_running_stats = as_flag(track_running_stats, "track_running_stats", self._get_name())
        learnt = {"weight": self.affine, "bias": as_flag(bias, "bias", self._get_name()) and self.affine}
        kept = dict.fromkeys(_RUNNING, self.track_running_stats)
        self._per_channel = tuple(name for name, wanted in {**learnt, **kept}.items() if wanted)
        self._make_members(num_features, device, dtype, buffers=_RUNNING)
        for name in learnt:
            if name not in self._per_channel:
                self.register_parameter(name, None)
        for name in kept:
            if name not in self._per_channel:
                self.register_buffer(name, None)
        counter = from_numpy(np.zeros((), np.int64)) if self.track_running_stats else None
        self.register_buffer("num_batches_tracked", counter)
        if num_features is not None:
            self.reset_parameters()

    def _member_shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self._per_channel, (size,))

    def _size_of_input(self, input: Any) -> int:
        check_operand(input, "input", self._get_name(), MULTIPLIED)
        if input.ndim not in self.ranks:
            raise ShapeError(f"{self._get_name()} needs input of shape {self.layout}.", describe(input=input))
        return int(input.shape[1])

    def _size_of_member(self, name: str, shape: tuple[int, ...]) -> int | None:
        return shape[0] if len(shape) == 1 else None

    def reset_running_stats(self) -> None:
        """Forget what the running statistics have seen."""
        if self.running_mean is not None and self.running_var is not None:
            zeros_(self.running_mean)
            ones_(self.running_var)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, running mean 0, running variance 1."""
        self.reset_running_stats()
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """Normalise each channel.

        Raises:
            ShapeError: the input's rank or number of channels is another.
            DtypeError: it is neither an array nor a Tensor of numbers.
        """
        return self._normalised(F.batch_norm, input)

    def _normalised(self, function: Callable[..., Any], input: Any, *more: Any) -> Any:
        """What a function makes of the input, the statistics and parameters, and ``more``."""
        check_operand(input, "input", self._get_name(), MULTIPLIED)
        shape = tuple(input.shape)
        if len(shape) not in self.ranks or shape[1] != self.num_features:
            raise ShapeError(
                f"{self._get_name()} needs input of shape {self.layout} with {self.num_features} channels.",
                describe(input=input),
            )
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked)
        use_batch = self.training or self.running_mean is None
        return function(
            input,
            self.running_mean if not self.training or self.track_running_stats else None,
            self.running_var if not self.training or self.track_running_stats else None,
            self.weight,
            self.bias,
            use_batch,
            factor,
            self.eps,
            *more,
        )

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return (
            f"{self._shown_size(self.num_features)}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (batch, channels) or (batch, channels, length)."""

    ranks: ClassVar[tuple[int, ...]] = (2, 3)
    layout: ClassVar[str] = "(batch, channels) or (batch, channels, length)"


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (batch, channels, height, width)."""

    ranks: ClassVar[tuple[int, ...]] = (4,)
    layout: ClassVar[str] = "(batch, channels, height, width)"


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (batch, channels, depth, height, width)."""

    ranks: ClassVar[tuple[int, ...]] = (5,)
    layout: ClassVar[str] = "(batch, channels, depth, height, width)"
