"""Rules of a convolution and the activation behind it as one step: ``conv_relu``, ``conv_tanh`` and so on.

What stands between the two is never written, so the activation's gradient must follow from its result alone:
for ReLU, tanh and sigmoid from its values, for leaky ReLU from their signs. From there on it is the
convolution's gradient, made of the rules of :mod:`tilewright.autograd.rules_window`; so differentiating again
needs nothing new. SiLU and GELU don't say from their result where they came from: their steps have no
gradient, and are for calls that no gradient follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tilewright.autograd.rules_window import conv_backward, the_other
from tilewright.autograd.tape import Array, Context, apply_to_tensors, made, rule
from tilewright.geometry import ConvDims
from tilewright.op import conv as conv_op
from tilewright.op import fused as fused_op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]

#: The activations whose gradient follows from their result.
WITH_GRADIENT = ("relu", "leaky_relu", "tanh", "sigmoid")


def _fused(
    activation: str, before: Callable[[Context, Tensor], Tensor] | None, *, keeps_output: bool
) -> None:
    """The rule of a convolution followed by an activation.

    Args:
        activation: its name.
        before: ``before(context, gradient)``, the gradient of what stands before the activation.
        keeps_output: whether ``before`` reads the output.
    """

    def forward(
        context: Context,
        x: Array,
        w: Array,
        bias: Array | None,
        *,
        dims: ConvDims,
        op: str,
        slope: float = 0.0,
    ) -> Array:
        y = conv_op.conv_forward(dims, x, w, bias, op=op, activation=activation, slope=slope)
        if activation == "leaky_relu" and any(context.needs):
            context.save(above=fused_op.positive(y))
        return y

    def backward(context: Context, gradient: Tensor) -> Gradients:
        assert before is not None
        return conv_backward(context, before(context, gradient))

    rule(
        f"conv_{activation}",
        forward,
        None if before is None else backward,
        keeps=the_other,
        keeps_output=keeps_output,
    )


def _before_relu(context: Context, gradient: Tensor) -> Tensor:
    y = context.output()
    # Without y's history: nothing flows back through what only says where the gradient passes.
    still = made(y._data)
    still._version = y._version
    return apply_to_tensors("relu_gradient", gradient, still)


def _before_leaky_relu(context: Context, gradient: Tensor) -> Tensor:
    # Signs of its own instead of the output: as behind a leaky ReLU alone, the output may be written to.
    attributes = context.attributes
    return apply_to_tensors("sloped", gradient, above=context.saved["above"], slope=attributes["slope"])


def _sloped(context: Context, g: Array, *, above: Array, slope: float) -> Array:
    return fused_op.sloped(g, above, slope)


def _sloped_backward(context: Context, gg: Tensor) -> Tensor:
    # Linear: the gradient is scaled at the same places.
    return apply_to_tensors("sloped", gg, **context.attributes)


def _before_tanh(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors("tanh_gradient", gradient, context.output())


def _before_sigmoid(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors("sigmoid_gradient", gradient, context.output())


rule("sloped", _sloped, _sloped_backward, keeps=(), keeps_output=False)
_fused("relu", _before_relu, keeps_output=True)
_fused("leaky_relu", _before_leaky_relu, keeps_output=False)
_fused("tanh", _before_tanh, keeps_output=True)
_fused("sigmoid", _before_sigmoid, keeps_output=True)
_fused("silu", None, keeps_output=False)
_fused("gelu", None, keeps_output=False)
