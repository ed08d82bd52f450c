"""The table of operations, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tilewright.errors import StateError

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Forward = Callable[..., Any]
Backward = Callable[..., "tuple[Tensor | None, ...] | Tensor | None"]
Keeps = Callable[[tuple[bool, ...]], tuple[int, ...]]


class Rule:
    """One differentiable operation.

    Args:
        name: its key in :data:`RULES`.
        forward: ``forward(context, *arrays, **attributes)`` → an array, or a tuple of arrays. It may keep
            what backward needs with ``context.save(name=array)``.
        backward: ``backward(context, *output_gradients)`` → one Tensor (or None) per input of forward.
            An output that received no gradient gives None; with a single output it is never None.
        keeps: which inputs backward reads with ``context.input(i)``: their numbers, or a function from
            ``needs`` to their numbers. None keeps all; what isn't kept doesn't hold memory and may be
            written to later.
        keeps_output: whether backward reads ``context.output(i)``.
        view: the output shares the memory of input 0 where it can, and is a view of it in every respect.
    """

    __slots__ = ("backward", "forward", "keeps", "keeps_output", "name", "view")

    def __init__(
        self,
        name: str,
        forward: Forward,
        backward: Backward | None,
        keeps: tuple[int, ...] | Keeps | None = None,
        keeps_output: bool = True,
        view: bool = False,
    ) -> None:
        self.name = name
        self.forward = forward
        self.backward = backward
        self.keeps = keeps
        self.keeps_output = keeps_output
        self.view = view

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"


#: Every operation by name.
RULES: dict[str, Rule] = {}

#: The operations whose gradients hold for complex numbers too (see :mod:`tilewright.autograd.complexes`):
#: those that are linear with real coefficients, as they are; and some others, which conjugate the slope. What
#: has a complex result and doesn't stand here has no gradient.
COMPLEX = frozenset(
    {
        *("abs", "add", "complex", "conj", "cos", "div", "exp", "log", "matmul", "mul", "neg", "pow"),
        *("reciprocal", "sin", "sqrt", "square", "sub"),
        *("broadcast_to", "cast", "cat", "clone", "contiguous", "cumsum", "erase", "flip", "gather"),
        *("getitem", "mean", "permute", "place", "pixel_shuffle", "pixel_unshuffle", "replaced", "reshape"),
        *("roll", "scatter", "scatter_add", "scatter_to", "sum", "sum_to", "take", "tile", "watch", "where"),
        *("avg_pool", "avg_pool_gradient", "adaptive_avg_pool", "adaptive_avg_pool_gradient"),
        *("conv", "conv_data_gradient", "conv_weight_gradient", "fold", "pad", "pad_gradient", "resample"),
        *("resample_gradient", "unfold"),
        *("write", "linear", "linear_input_gradient", "linear_weight_gradient"),
    }
)


def rule(
    name: str,
    forward: Forward,
    backward: Backward | None = None,
    *,
    keeps: tuple[int, ...] | Keeps | None = None,
    keeps_output: bool = True,
    view: bool = False,
) -> Rule:
    """Put an operation into the table. Without ``backward`` its results never require gradients.

    The arguments are those of :class:`Rule`.
    """
    if name in RULES:
        raise StateError(f"The operation {name} already stands in the table of rules.")
    RULES[name] = Rule(name, forward, backward, keeps, keeps_output, view)
    return RULES[name]
