"""Layers that sample their input anew at another size."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_flag
from tilewright.geometry.resample import check_mode, output_sizes, scale_factors
from tilewright.nn.module import Module


class Upsample(Module):
    """The spatial axes at other sizes: :func:`tilewright.functional.interpolate` with these arguments.

    Args:
        size: of the output, an integer or one per axis; this or ``scale_factor``.
        scale_factor: a number above 0, or one per axis.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "cubic", "bicubic" or "area".
        align_corners: for the linear and cubic modes, as for the function.
        recompute_scale_factor: as for the function.

    Shapes: (batch, channels, *spatial) → (batch, channels, *output), output ⌊n·scale_factor⌋ or ``size``.

    Raises:
        ArgumentError: an argument outside its rule, or neither or both of size and factor.

    >>> Upsample(scale_factor=2, mode="bilinear")(tw.zeros(1, 3, 5, 4)).shape
    Size([1, 3, 10, 8])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        op = self._get_name()
        if (size is None) == (scale_factor is None):
            raise ArgumentError(
                f"{op} needs either size or scale_factor.", describe(size=size, scale_factor=scale_factor)
            )
        given = scale_factor if size is None else size
        rank = len(given) if isinstance(given, (tuple, list)) else None
        check_mode(mode, align_corners, False, rank, op)
        self.size: Any = size
        self.scale_factor: Any = scale_factor
        # A number is right for any rank; checking it for one axis finds everything that can be wrong.
        if size is not None:
            output_sizes(size, rank or 1, op)
        else:
            factors = scale_factors(scale_factor, rank or 1, op)
            self.scale_factor = factors[0] if rank is None else factors
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = (
            None
            if recompute_scale_factor is None
            else as_flag(recompute_scale_factor, "recompute_scale_factor", op)
        )

    def forward(self, input: Any) -> Any:
        """The input at its new size."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Size or factor, and the mode, as PyTorch prints them."""
        given = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{given}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """:class:`Upsample` of pictures by repeating pixels.

    >>> UpsamplingNearest2d(scale_factor=3)(tw.zeros(1, 2, 2, 2)).shape
    Size([1, 2, 6, 6])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """:class:`Upsample` of pictures by bilinear interpolation with aligned corners.

    >>> UpsamplingBilinear2d(size=(5, 3))(tw.ones(1, 2, 2, 2)).shape
    Size([1, 2, 5, 3])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
