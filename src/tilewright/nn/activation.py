"""Activation functions as modules. The formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_dim, as_real, one_of
from tilewright.nn.module import Module


class _Pointwise(Module):
    """An activation of each value on its own."""

    pointwise: ClassVar[bool] = True


class _TakesInplace(_Pointwise):
    """A pointwise activation with PyTorch's argument ``inplace``.

    It is kept and printed, and makes no difference: an input is never written to. What counts is what the
    layer gives.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = as_flag(inplace, "inplace", self._get_name())

    def extra_repr(self) -> str:
        """The argument ``inplace``, if it was set."""
        return "inplace=True" if self.inplace else ""

    def _with_inplace(self, text: str) -> str:
        return f"{text}, inplace=True" if self.inplace else text


class ReLU(_TakesInplace):
    """max(x, 0)."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.relu(input, inplace=self.inplace)


class ReLU6(_TakesInplace):
    """min(max(x, 0), 6)."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.relu6(input, inplace=self.inplace)


class LeakyReLU(_TakesInplace):
    """x where x ≥ 0, else ``negative_slope``·x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = as_real(negative_slope, "negative_slope", "LeakyReLU")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.leaky_relu(input, self.negative_slope, inplace=self.inplace)

    def extra_repr(self) -> str:
        """The slope."""
        return self._with_inplace(f"negative_slope={self.negative_slope}")


class ELU(_TakesInplace):
    """x where x > 0, else ``alpha``·(exp(x) − 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = as_real(alpha, "alpha", "ELU")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.elu(input, self.alpha, inplace=self.inplace)

    def extra_repr(self) -> str:
        """The scale of the negative side."""
        return self._with_inplace(f"alpha={self.alpha}")


class SiLU(_TakesInplace):
    """x · sigmoid(x), also called swish."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.silu(input, inplace=self.inplace)


class Hardtanh(_TakesInplace):
    """x cut off below ``min_val`` and above ``max_val``.

    Raises:
        ArgumentError: ``min_val`` is not below ``max_val``.
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        min_val, max_val = as_real(min_val, "min_val", "Hardtanh"), as_real(max_val, "max_val", "Hardtanh")
        if not min_val < max_val:
            raise ArgumentError(
                "Hardtanh needs min_val below max_val.", describe(min_val=min_val, max_val=max_val)
            )
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.hardtanh(input, self.min_val, self.max_val, inplace=self.inplace)

    def extra_repr(self) -> str:
        """The two bounds."""
        return self._with_inplace(f"min_val={self.min_val}, max_val={self.max_val}")


class Tanh(_Pointwise):
    """The hyperbolic tangent."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.tanh(input)


class Sigmoid(_Pointwise):
    """1 / (1 + exp(−x))."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.sigmoid(input)


class GELU(_Pointwise):
    """x · Φ(x), with Φ the normal distribution's; ``approximate="tanh"`` for Hendrycks and Gimpel's formula.

    Raises:
        ArgumentError: another value of ``approximate``.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = one_of(approximate, ("none", "tanh"), "approximate", "GELU")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """The formula."""
        return f"approximate={self.approximate!r}"


class Softplus(_Pointwise):
    """log(1 + exp(``beta``·x)) / ``beta``; x itself where ``beta``·x is above ``threshold``.

    Raises:
        ArgumentError: ``beta`` is 0.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = as_real(beta, "beta", "Softplus")
        if self.beta == 0:
            raise ArgumentError("Softplus needs beta other than 0.", describe(beta=beta))
        self.threshold = as_real(threshold, "threshold", "Softplus")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The two arguments."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """exp(x) divided by its sum along the axis ``dim``: positive values that sum to 1."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = None if dim is None else as_dim(dim, self._get_name())

    def forward(self, input: Any) -> Any:
        """Apply it along the axis."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of :class:`Softmax`, computed without its overflow."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = None if dim is None else as_dim(dim, self._get_name())

    def forward(self, input: Any) -> Any:
        """Apply it along the axis."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
