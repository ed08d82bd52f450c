"""Modules that only arrange values: nothing is computed and nothing is learnt."""

from __future__ import annotations

from typing import Any, ClassVar

from tilewright.autograd import shape as shapes
from tilewright.errors import ArgumentError, describe
from tilewright.functional.operands import check_operand
from tilewright.geometry.axes import as_integer
from tilewright.nn.module import Module
from tilewright.op.arrays import MULTIPLIED

# What tensors can hold: nothing is computed here.
_ANY = (*MULTIPLIED, "bool")


class Identity(Module):
    """Gives back what it gets; whatever arguments it is built with, it ignores.

    It stands in for a layer that is switched off: ``model.dropout = nn.Identity()``.
    """

    pointwise: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input itself."""
        return input


class Flatten(Module):
    """Joins the axes from ``start_dim`` to ``end_dim`` into one; by default all but the batch.

    >>> Flatten()(tw.zeros(2, 3, 4, 5)).shape
    Size([2, 60])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        # The least 64-bit integer: any axis may be counted from the end, and forward knows the rank.
        self.start_dim = as_integer(start_dim, "start_dim", "Flatten", least=-(2**63))
        self.end_dim = as_integer(end_dim, "end_dim", "Flatten", least=-(2**63))

    def forward(self, input: Any) -> Any:
        """The input in its new shape."""
        check_operand(input, "input", "Flatten", _ANY)
        return shapes.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The two axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits the axis ``dim`` into axes of the sizes ``unflattened_size``, of which one may be -1.

    Raises:
        ArgumentError: sizes that are no integers, less than -1, or more than one -1.

    >>> Unflatten(1, (3, 4, 5))(tw.zeros(2, 60)).shape
    Size([2, 3, 4, 5])
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        super().__init__()
        self.dim = as_integer(dim, "dim", "Unflatten", least=-(2**63))
        if not isinstance(unflattened_size, (tuple, list)) or not unflattened_size:
            raise ArgumentError(
                "Unflatten needs unflattened_size to be a tuple of sizes.",
                describe(unflattened_size=unflattened_size),
            )
        self.unflattened_size = tuple(
            as_integer(size, "every size of unflattened_size", "Unflatten", least=-1)
            for size in unflattened_size
        )
        if self.unflattened_size.count(-1) > 1:
            raise ArgumentError(
                "Unflatten can work out one size only, so at most one may be -1.",
                describe(unflattened_size=unflattened_size),
            )

    def forward(self, input: Any) -> Any:
        """The input in its new shape."""
        check_operand(input, "input", "Unflatten", _ANY)
        return shapes.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The axis and its new sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
