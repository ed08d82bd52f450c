"""Padding layers, one class per way to fill, each in one, two and three spatial dimensions."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import LARGEST, as_integer
from tilewright.nn.arguments import as_real
from tilewright.nn.module import Module


class _Pad(Module):
    """What all padding layers share: how much is added on which side.

    ``padding`` is an integer for all sides, or (before, after) of the last axis, then of the axis before it,
    and so on, as for :func:`tilewright.functional.pad`. Negative numbers crop.
    """

    rank: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        op, sides = self._get_name(), 2 * self.rank
        if isinstance(padding, (tuple, list)):
            if len(padding) != sides:
                raise ArgumentError(
                    f"{op} needs padding to be an integer or {sides} of them: before and after of each axis, "
                    "the last axis first.",
                    describe(padding=padding),
                )
            self.padding = tuple(as_integer(side, "padding", op, least=-LARGEST) for side in padding)
        else:
            self.padding = (as_integer(padding, "padding", op, least=-LARGEST),) * sides

    def forward(self, input: Any) -> Any:
        """Pad the last spatial axes of the input."""
        return F.pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Padding with one value."""

    mode: ClassVar[str] = "constant"
    value: float

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        # Infinities are fine to pad with, say before a maximum; NaN is taken for a slip.
        self.value = as_real(value, "value", self._get_name())

    def forward(self, input: Any) -> Any:
        """Pad the last spatial axes of the input."""
        return F.pad(input, self.padding, mode="constant", value=self.value)

    def extra_repr(self) -> str:
        """The padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Adds ``value`` around a sequence."""

    rank: ClassVar[int] = 1


class ConstantPad2d(_ConstantPad):
    """Adds ``value`` around a picture."""

    rank: ClassVar[int] = 2


class ConstantPad3d(_ConstantPad):
    """Adds ``value`` around a volume."""

    rank: ClassVar[int] = 3


class ZeroPad1d(_Pad):
    """Adds zeros around a sequence."""

    rank: ClassVar[int] = 1
    mode: ClassVar[str] = "constant"


class ZeroPad2d(_Pad):
    """Adds zeros around a picture."""

    rank: ClassVar[int] = 2
    mode: ClassVar[str] = "constant"


class ZeroPad3d(_Pad):
    """Adds zeros around a volume."""

    rank: ClassVar[int] = 3
    mode: ClassVar[str] = "constant"


class ReflectionPad1d(_Pad):
    """Adds the mirror image of a sequence, the edge itself not repeated."""

    rank: ClassVar[int] = 1
    mode: ClassVar[str] = "reflect"


class ReflectionPad2d(_Pad):
    """Adds the mirror image of a picture, the edge itself not repeated."""

    rank: ClassVar[int] = 2
    mode: ClassVar[str] = "reflect"


class ReflectionPad3d(_Pad):
    """Adds the mirror image of a volume, the edge itself not repeated."""

    rank: ClassVar[int] = 3
    mode: ClassVar[str] = "reflect"


class ReplicationPad1d(_Pad):
    """Repeats the edge of a sequence."""

    rank: ClassVar[int] = 1
    mode: ClassVar[str] = "replicate"


class ReplicationPad2d(_Pad):
    """Repeats the edge of a picture."""

    rank: ClassVar[int] = 2
    mode: ClassVar[str] = "replicate"


class ReplicationPad3d(_Pad):
    """Repeats the edge of a volume."""

    rank: ClassVar[int] = 3
    mode: ClassVar[str] = "replicate"


class CircularPad1d(_Pad):
    """Adds on each side what lies at the other end of a sequence."""

    rank: ClassVar[int] = 1
    mode: ClassVar[str] = "circular"


class CircularPad2d(_Pad):
    """Adds on each side what lies at the other end of a picture."""

    rank: ClassVar[int] = 2
    mode: ClassVar[str] = "circular"


class CircularPad3d(_Pad):
    """Adds on each side what lies at the other end of a volume."""

    rank: ClassVar[int] = 3
    mode: ClassVar[str] = "circular"
