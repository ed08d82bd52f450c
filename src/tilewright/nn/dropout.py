"""Dropout as modules: they do something only in training."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number
from tilewright.nn.module import Module


class Dropout(Module):
    """In training, sets each value to 0 with probability ``p`` and multiplies the rest by 1/(1−p).

    In evaluation it gives back its input. Source: Srivastava et al., "Dropout", JMLR 15, 2014.

    Args:
        p: probability of a value to be dropped (PyTorch's meaning; a paper's "keep" is 1 − p).
        inplace: PyTorch's argument, without effect: an input is never written to.

    Raises:
        ArgumentError: ``p`` is not between 0 and 1.
    """

    pointwise: ClassVar[bool] = True

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = as_number(p, "p", self._get_name(), most=1)
        self.inplace = as_flag(inplace, "inplace", self._get_name())

    def forward(self, input: Any) -> Any:
        """Drop values in training, none in evaluation."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Dropout of whole channels of (batch, channels, length).

    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015.
    """

    def forward(self, input: Any) -> Any:
        """Drop channels in training, none in evaluation."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """Dropout of whole channels of (batch, channels, height, width); see :class:`Dropout1d`."""

    def forward(self, input: Any) -> Any:
        """Drop channels in training, none in evaluation."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropout):
    """Dropout of whole channels of (batch, channels, depth, height, width); see :class:`Dropout1d`."""

    def forward(self, input: Any) -> Any:
        """Drop channels in training, none in evaluation."""
        return F.dropout3d(input, self.p, self.training, self.inplace)
