"""The dense layer."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tilewright import functional as F
from tilewright.geometry.axes import as_integer
from tilewright.nn.init import Initialiser, reset
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter, new_parameter


class Linear(Module):
    """y = x Wᵀ + b along the last axis.

    Args:
        in_features, out_features: sizes of the last axis before and after.
        bias: whether b is there.
        device: None or "cpu".
        dtype: of weight and bias, floating; float32 if not given.
        init: as for :class:`tilewright.nn.Conv`.

    Shapes: (*, in_features) → (*, out_features); weight (out_features, in_features), bias (out_features).

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> Linear(400, 120)(tw.zeros(8, 400)).shape
    Size([8, 120])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: Initialiser | None = None,
    ) -> None:
        super().__init__()
        op = self._get_name()
        self.in_features = as_integer(in_features, "in_features", op, least=1)
        self.out_features = as_integer(out_features, "out_features", op, least=1)
        self.init = init
        self.weight = new_parameter((self.out_features, self.in_features), device, dtype, op)
        self.register_parameter(
            "bias", new_parameter((self.out_features,), device, dtype, op) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, as the constructor did."""
        reset(self.weight, self.bias, self.init)

    def forward(self, input: Any) -> Any:
        """Apply it to (*, in_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )
