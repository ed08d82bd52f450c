"""Convolution layers for inputs with holes: what is missing is left out, and the mask shrinks its holes."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar

import numpy.typing as npt

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.functional.masking import MODES, NAN
from tilewright.geometry.axes import as_flag
from tilewright.geometry.padding import Padding
from tilewright.nn.arguments import as_number
from tilewright.nn.conv import Conv
from tilewright.nn.init import Initialiser


class PartialConv(Conv):
    """:class:`Conv` over the samples that are there: :func:`tilewright.functional.masked_conv` with weights.

    With ``return_mask`` each layer hands the next one its result and where that holds anything, so that holes
    close from layer to layer: Liu et al., "Image inpainting for irregular holes using partial convolutions",
    ECCV 2018. Without holes only the borders differ from :class:`Conv`: they don't fade into the padding (Liu
    et al., "Partial convolution based padding", 2018).

    Args:
        in_channels: and what follows up to ``dtype``, ``init`` and ``rank``, as for :class:`Conv`.
        out_channels: see there.
        kernel_size: see there.
        stride: see there.
        padding: see there.
        dilation: see there.
        groups: see there.
        bias: see there.
        padding_mode: see there.
        device: see there.
        dtype: see there.
        init: see there.
        rank: see there.
        normalize: how weights make up for missing samples: "count", "weights", or False.
        fill: the result where a window holds nothing; None is the bias alone.
        return_mask: whether the layer gives a pair, the result and its mask.

    Shapes: those of :class:`Conv`; the mask (batch, 1, *output), or (batch, out_channels, *output) where
    groups see different masks.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> x = tw.tensor([[[1.0, 2.0, float("nan"), 4.0, 5.0]]])
    >>> y, mask = PartialConv1d(1, 2, 3, return_mask=True)(x)
    >>> y.shape, mask.all().item()
    (Size([1, 2, 3]), True)
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
        normalize: bool | str = "count",
        fill: float | None = 0.0,
        return_mask: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            init=init,
            rank=rank,
        )
        op = self._get_name()
        if not isinstance(normalize, bool) and not (isinstance(normalize, str) and normalize in MODES):
            raise ArgumentError(
                f"{op} needs normalize to be True, False or one of {', '.join(map(repr, MODES))}.",
                describe(normalize=normalize),
            )
        self.normalize = normalize
        self.fill = fill if fill is None or _is_nan(fill) else as_number(fill, "fill", op, least=-math.inf)
        self.return_mask = as_flag(return_mask, "return_mask", op)

    def forward(self, input: Any, mask: Any = NAN) -> Any:
        """Convolve what is there of (batch, in_channels, *spatial).

        Args:
            input: the array or Tensor.
            mask: where samples are there, in every form of :func:`tilewright.functional.masked_conv`; by
                default what is NaN is missing.
        """
        return F.masked_conv(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            mask=mask,
            normalize=self.normalize,
            fill=self.fill,
            return_mask=self.return_mask,
            padding_mode=self.padding_mode,
        )

    def extra_repr(self) -> str:
        """The arguments of :class:`Conv`, and how weights make up for missing samples."""
        return f"{super().extra_repr()}, normalize={self.normalize!r}"


class PartialConv1d(PartialConv):
    """:class:`PartialConv` over (batch, channels, length)."""

    fixed_rank: ClassVar[int | None] = 1


class PartialConv2d(PartialConv):
    """:class:`PartialConv` over (batch, channels, height, width)."""

    fixed_rank: ClassVar[int | None] = 2


class PartialConv3d(PartialConv):
    """:class:`PartialConv` over (batch, channels, depth, height, width)."""

    fixed_rank: ClassVar[int | None] = 3


def _is_nan(value: Any) -> bool:
    return isinstance(value, Real) and bool(value != value)
