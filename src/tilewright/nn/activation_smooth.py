"""More smooth activation functions as modules. The formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.autograd.operands import raw
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.nn.activation import Softmax, _Pointwise, _TakesInplace
from tilewright.nn.arguments import as_number
from tilewright.nn.module import Module


class SELU(_TakesInplace):
    """1.0507·x where x > 0, else 1.0507·1.6733·(exp(x) − 1), which keeps mean 0 and variance 1.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017.
    """

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.selu(input, inplace=self.inplace)


class CELU(_TakesInplace):
    """x where x > 0, else ``alpha``·(exp(x/``alpha``) − 1): smooth at 0. Source: Barron, 2017.

    Raises:
        ArgumentError: ``alpha`` is 0, or no finite number.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = as_number(alpha, "alpha", "CELU", least=-float("inf"))
        if self.alpha == 0:
            raise ArgumentError("CELU needs alpha other than 0.", describe(alpha=alpha))

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The scale of the negative side."""
        return self._with_inplace(f"alpha={self.alpha}")


class Mish(_TakesInplace):
    """x · tanh(log(1 + exp(x))). Source: Misra, "Mish", BMVC 2020."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.mish(input, inplace=self.inplace)


class LogSigmoid(_Pointwise):
    """The logarithm of the sigmoid, computed without its underflow."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.logsigmoid(input)


class Softsign(_Pointwise):
    """x / (1 + |x|)."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.softsign(input)


class Tanhshrink(_Pointwise):
    """x − tanh(x)."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.tanhshrink(input)


class Softmin(Softmax):
    """:class:`Softmax` of −x: the smallest value gets the largest share."""

    def forward(self, input: Any) -> Any:
        """Apply it along the axis."""
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (batch, channels, height, width) or (channels, height, width).

    >>> Softmax2d()(tw.zeros(1, 4, 2, 2))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    #: Channels are mixed, places are not.
    pointwise: ClassVar[bool] = True

    def forward(self, input: Any) -> Any:
        """Apply it over the channels.

        Raises:
            ShapeError: the input has another rank.
        """
        if getattr(raw(input), "ndim", -1) not in (3, 4):
            raise ShapeError(
                "Softmax2d needs input of shape ([batch,] channels, height, width).",
                describe(input=input),
            )
        return F.softmax(input, -3)
