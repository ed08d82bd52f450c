"""Rules of a convolution, the activation behind it and dropout behind that, as one step.

The gradient of dropout and that of the activation are one pass over memory instead of two. What the
activation gives stands beside what dropout leaves of it, as a second output that nobody is shown: the
activation's gradient reads it, and when that is differentiated again, gradients arrive at it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tilewright.autograd.rules_window import conv_backward, the_other
from tilewright.autograd.tape import Array, Context, apply, apply_to_tensors, made, rule
from tilewright.geometry import ConvDims
from tilewright.op import conv as conv_op
from tilewright.op import fused as fused_op
from tilewright.op.dropout import Kept, dropped

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]

#: The activations that dropout may follow in the same step.
WITH_DROPOUT = ("tanh", "sigmoid")


def _dropped(activation: str, bend: Callable[[Tensor], Tensor]) -> None:
    """The rule of the three together, and that of the last two's gradient.

    Args:
        activation: its name.
        bend: ``bend(y)``, the derivative by y of the activation's gradient, over the one that it is given.
    """
    alone, together = f"{activation}_gradient", f"{activation}_gradient_dropped"

    def forward(
        context: Context,
        x: Array,
        w: Array,
        bias: Array | None,
        *,
        dims: ConvDims,
        op: str,
        p: float,
        key: tuple[int, int],
    ) -> tuple[Array, Array]:
        y = conv_op.conv_forward(dims, x, w, bias, op=op, activation=activation)
        left, kept = dropped(y, p, key)
        # Of the two outputs only this one is kept: the other's memory is free as soon as its reader is done.
        context.save(kept=kept, y=y)
        return left, y

    def backward(context: Context, gradient: Tensor | None, beside: Tensor | None) -> Gradients:
        kept, p = context.saved["kept"], context.attributes["p"]
        # Nobody else has it, so nobody has written to it.
        y = made(context.saved["y"], context.node, 1)
        if beside is None:
            return conv_backward(context, apply_to_tensors(together, gradient, y, kept=kept, p=p))
        if gradient is not None:
            beside = apply_to_tensors("drop", gradient, keep=kept, p=p, op_name="dropout") + beside
        return conv_backward(context, apply_to_tensors(alone, beside, y))

    def gradient(context: Context, g: Array, y: Array, *, kept: Kept, p: float) -> Array:
        return fused_op.dropped_gradient(activation, g, y, kept, p)

    def again(context: Context, gg: Tensor) -> Gradients:
        y, kept, p = context.input(1), context.attributes["kept"], context.attributes["p"]
        for_g = for_y = None
        if context.needs[0]:
            for_g = apply(together, gg, y, kept=kept, p=p)
        if context.needs[1]:
            for_y = apply("drop", gg * context.input(0), keep=kept, p=p, op_name="dropout") * bend(y)
        return for_g, for_y

    rule(f"conv_{activation}_dropout", forward, backward, keeps=the_other, keeps_output=False)
    rule(
        together,
        gradient,
        again,
        keeps=lambda needs: (0, 1) if needs[1] else (1,),
        keeps_output=False,
    )


_dropped("tanh", lambda y: y * -2.0)
_dropped("sigmoid", lambda y: 1.0 - y * 2.0)
