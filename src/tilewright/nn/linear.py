"""The dense layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from tilewright import functional as F
from tilewright.errors import ShapeError, describe
from tilewright.functional.operands import check_operand
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.nn.init import Initialiser, check_initialiser, reset
from tilewright.nn.lazy import LearnsSize
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter
from tilewright.op.arrays import MULTIPLIED


class Linear(LearnsSize, Module):
    """y = x Wᵀ + b along the last axis.

    Args:
        in_features, out_features: sizes of the last axis before and after; with None for ``in_features`` the
            layer makes its parameters at the first call, for the input that it gets.
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

    size_name: ClassVar[str] = "in_features"

    in_features: int
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int | None,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: Initialiser | None = None,
    ) -> None:
        super().__init__()
        op = self._get_name()
        if in_features is not None:
            in_features = as_integer(in_features, "in_features", op, least=1)
        self.out_features = as_integer(out_features, "out_features", op, least=1)
        check_initialiser(init, op)
        self.init = init
        self._has_bias = as_flag(bias, "bias", self._get_name())
        self._make_members(in_features, device, dtype)
        if not bias:
            self.register_parameter("bias", None)
        if in_features is not None:
            self.reset_parameters()

    def _member_shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        bias = {"bias": (self.out_features,)} if self._has_bias else {}
        return {"weight": (self.out_features, size), **bias}

    def _size_of_input(self, input: Any) -> int:
        check_operand(input, "input", self._get_name(), MULTIPLIED)
        if input.ndim < 1:
            raise ShapeError(f"{self._get_name()} needs input of rank at least 1.", describe(input=input))
        return int(input.shape[-1])

    def _size_of_member(self, name: str, shape: tuple[int, ...]) -> int | None:
        return shape[1] if name == "weight" and len(shape) == 2 else None

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, as the constructor did."""
        reset(self.weight, self.bias, self.init)

    def forward(self, input: Any) -> Any:
        """Apply it to (*, in_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self._shown_size(self.in_features)}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
