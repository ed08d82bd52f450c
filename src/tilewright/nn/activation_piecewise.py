"""Activation functions made of pieces, as modules. The formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn.activation import _Pointwise, _TakesInplace
from tilewright.nn.arguments import as_dim, as_number, as_real
from tilewright.nn.init import constant_
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter, new_parameter


class Hardsigmoid(_TakesInplace):
    """(x + 3)/6, brought into [0, 1]."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.hardsigmoid(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        """Nothing, as in PyTorch."""
        return ""


class Hardswish(_TakesInplace):
    """x · hardsigmoid(x). Source: Howard et al., "Searching for MobileNetV3", ICCV 2019."""

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.hardswish(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        """Nothing, as in PyTorch."""
        return ""


class Hardshrink(_Pointwise):
    """x outside [−``lambd``, ``lambd``], and 0 inside."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = as_real(lambd, "lambd", "Hardshrink")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The limit."""
        return f"{self.lambd}"


class Softshrink(_Pointwise):
    """x brought nearer to 0 by ``lambd``, and 0 where it is within ``lambd`` of 0.

    Raises:
        ArgumentError: ``lambd`` is below 0.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = as_number(lambd, "lambd", "Softshrink")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The limit."""
        return f"{self.lambd}"


class Threshold(_TakesInplace):
    """x where it is above ``threshold``, and ``value`` elsewhere."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = as_real(threshold, "threshold", "Threshold")
        self.value = as_real(value, "value", "Threshold")

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """The two arguments."""
        return self._with_inplace(f"threshold={self.threshold}, value={self.value}")


class PReLU(_Pointwise):
    """x where x > 0, else ``weight``·x, with a weight that is learnt: one, or one per channel.

    Source: He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015.

    Args:
        num_parameters: 1, or the number of channels.
        init: what the weight starts from.
        device: None or "cpu".
        dtype: floating; float32 if not given.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> PReLU(init=0.5)(tw.tensor([-2.0, 3.0]))
    tensor([-1.,  3.], ...)
    """

    weight: Parameter

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters = as_integer(num_parameters, "num_parameters", "PReLU", least=1)
        self.init = as_number(init, "init", "PReLU", least=-float("inf"))
        self.weight = new_parameter((self.num_parameters,), device, dtype, "PReLU")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Every weight as it started."""
        constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many weights there are."""
        return f"num_parameters={self.num_parameters}"


class RReLU(_TakesInplace):
    """x where x > 0, else x times a slope, drawn from ``lower`` to ``upper`` in training and their mean else.

    Source: Xu, Wang, Chen and Li, "Empirical Evaluation of Rectified Activations in Convolutional Network",
    2015.

    Raises:
        ArgumentError: a bound is no finite number, or ``lower`` is above ``upper``.
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = as_number(lower, "lower", "RReLU", least=-float("inf"))
        self.upper = as_number(upper, "upper", "RReLU", least=-float("inf"))
        if self.lower > self.upper:
            raise ArgumentError("RReLU needs lower ≤ upper.", describe(lower=lower, upper=upper))

    def forward(self, input: Any) -> Any:
        """Apply it to every value."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The two bounds."""
        return self._with_inplace(f"lower={self.lower}, upper={self.upper}")


class GLU(Module):
    """The first half of the input along ``dim``, times the sigmoid of the second half.

    Source: Dauphin, Fan, Auli and Grangier, "Language Modeling with Gated Convolutional Networks", ICML 2017.
    """

    pointwise: ClassVar[bool] = False

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = as_dim(dim, "GLU")

    def forward(self, input: Any) -> Any:
        """Apply it along the axis."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
