"""Normalisation of a sample by its own numbers: group, layer, RMS and local response norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy.typing as npt

from tilewright import functional as F
from tilewright.autograd.operands import raw
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.nn.arguments import as_number, check_device, floating_dtype
from tilewright.nn.init import ones_, zeros_
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter, new_parameter


class _SampleNorm(Module):
    """What these norms share: a weight that starts at 1 and a bias that starts at 0, or neither."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_parameters(
        self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: npt.DTypeLike | None
    ) -> None:
        check_device(device, self._get_name())  # also where there is nothing to be made
        floating_dtype(dtype, self._get_name())
        for name, wanted in (("weight", weight), ("bias", bias)):
            member = new_parameter(shape, device, dtype, self._get_name()) if wanted else None
            self.register_parameter(name, member)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            assert self.bias is not None
            zeros_(self.bias)


class GroupNorm(_SampleNorm):
    """(x − mean) / √(variance + eps) · weight + bias, with mean and variance of each group of channels.

    Nothing depends on the rest of the batch, in training as in evaluation. Source: Wu and He, "Group
    Normalization", ECCV 2018.

    Args:
        num_groups: into how many groups of neighbours the channels are cut.
        num_channels: of the input (batch, channels, …); a multiple of ``num_groups``.
        eps: keeps the denominator away from 0.
        affine: whether weight and bias, one number per channel, are there to be learnt.
        device: None or "cpu".
        dtype: floating; float32 if not given.
        bias: with ``affine``, whether the bias is there.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> GroupNorm(2, 6)(tw.zeros(1, 6, 4, 4)).shape
    Size([1, 6, 4, 4])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        op = self._get_name()
        self.num_groups = as_integer(num_groups, "num_groups", op, least=1)
        self.num_channels = as_integer(num_channels, "num_channels", op, least=1)
        if self.num_channels % self.num_groups:
            raise ArgumentError(
                f"{op} needs num_channels to be a multiple of num_groups.",
                describe(num_groups=num_groups, num_channels=num_channels),
            )
        self.eps = as_number(eps, "eps", op)
        self.affine = as_flag(affine, "affine", self._get_name())
        self._make_parameters(
            (self.num_channels,),
            self.affine,
            as_flag(bias, "bias", self._get_name()) and self.affine,
            device,
            dtype,
        )

    def forward(self, input: Any) -> Any:
        """Normalise each group of each sample.

        Raises:
            ShapeError: the input has another number of channels.
        """
        shape: tuple[int, ...] = getattr(raw(input), "shape", ())
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm needs input of shape (batch, channels, ...) with {self.num_channels} channels.",
                describe(input=input),
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


def _last_axes(normalized_shape: Any, op: str) -> tuple[int, ...]:
    given = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    found = tuple(as_integer(size, "every size of normalized_shape", op, least=1) for size in given)
    if not found:
        raise ArgumentError(
            f"{op} needs normalized_shape to be an integer or several.",
            describe(normalized_shape=normalized_shape),
        )
    return found


class LayerNorm(_SampleNorm):
    """(x − mean) / √(variance + eps) · weight + bias, with mean and variance over the last axes.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016.

    Args:
        normalized_shape: the sizes of the last axes: an integer, or several.
        eps: keeps the denominator away from 0.
        elementwise_affine: whether weight and bias, of shape ``normalized_shape``, are there to be learnt.
        bias: with ``elementwise_affine``, whether the bias is there.
        device: None or "cpu".
        dtype: floating; float32 if not given.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> LayerNorm(4, eps=0.0, elementwise_affine=False)(tw.tensor([[1.0, 1.0, 3.0, 3.0]]))
    tensor([[-1., -1.,  1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _last_axes(normalized_shape, self._get_name())
        self.eps = as_number(eps, "eps", self._get_name())
        self.elementwise_affine = as_flag(elementwise_affine, "elementwise_affine", self._get_name())
        learnt = self.elementwise_affine
        self._make_parameters(
            self.normalized_shape, learnt, as_flag(bias, "bias", self._get_name()) and learnt, device, dtype
        )

    def forward(self, input: Any) -> Any:
        """Normalise over the last axes."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_SampleNorm):
    """x / √(mean square + eps) · weight, with the mean square over the last axes.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.

    Args:
        normalized_shape: the sizes of the last axes: an integer, or several.
        eps: keeps the denominator away from 0; None takes the relative precision of the input's dtype.
        elementwise_affine: whether a weight of shape ``normalized_shape`` is there to be learnt.
        device: None or "cpu".
        dtype: floating; float32 if not given.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _last_axes(normalized_shape, self._get_name())
        self.eps = None if eps is None else as_number(eps, "eps", self._get_name())
        self.elementwise_affine = as_flag(elementwise_affine, "elementwise_affine", self._get_name())
        member = None
        if self.elementwise_affine:
            member = new_parameter(self.normalized_shape, device, dtype, self._get_name())
        self.register_parameter("weight", member)
        self.reset_parameters()

    def forward(self, input: Any) -> Any:
        """Normalise over the last axes."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """x / (k + alpha/size · Σ x²)^beta, with the sum over ``size`` neighbouring channels.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", NeurIPS 2012 (alpha is not divided by the size there).

    Args:
        size: of the neighbourhood.
        alpha: the weight of the mean square.
        beta: the exponent.
        k: the summand.

    Raises:
        ArgumentError: an argument outside its rule.
    """

    #: Channels are mixed, places are not.
    pointwise: ClassVar[bool] = True

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        op = self._get_name()
        self.size = as_integer(size, "size", op, least=1)
        any_number = {"least": -float("inf")}
        self.alpha = as_number(alpha, "alpha", op, **any_number)
        self.beta = as_number(beta, "beta", op, **any_number)
        self.k = as_number(k, "k", op, **any_number)

    def forward(self, input: Any) -> Any:
        """Normalise each value by those of the channels around it."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
