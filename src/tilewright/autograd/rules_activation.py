"""Rules of activation functions, softmax and dropout.

(ReLU, tanh and sigmoid stand with the other elementwise functions.) Each activation ``f`` comes with the
rule ``f_gradient(g, x) = g · df/dx``, computed in one go on arrays, whose own gradient needs the second
derivative: written in Tensor operations, so that it can be differentiated as often as one likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from tilewright.autograd.arithmetic import where
from tilewright.autograd.elementwise import clamp, exp, sigmoid, tanh
from tilewright.autograd.tape import Array, Context, apply, apply_to_tensors, rule
from tilewright.op import activation as op
from tilewright.op import softmax as softmax_op
from tilewright.op.dropout import Kept, drop, dropped

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]
Curve = Callable[..., "Tensor"]


def _activation(
    name: str, forward: Callable[..., Array], gradient: Callable[..., Array], curve: Curve | None
) -> None:
    """The rules of an activation and of its gradient.

    Args:
        name: of the activation.
        forward: ``forward(x, **attributes)`` on arrays.
        gradient: ``gradient(g, x, **attributes)`` on arrays.
        curve: ``curve(x, **attributes)``, the second derivative as a Tensor; None where it is 0.
    """
    slope = f"{name}_gradient"

    def backward(context: Context, g: Tensor) -> Tensor:
        return apply_to_tensors(slope, g, context.input(0), **context.attributes)

    def keeps(needs: tuple[bool, ...]) -> tuple[int, ...]:
        return (0, 1) if needs[1] and curve is not None else (1,)

    def again(context: Context, gg: Tensor) -> Gradients:
        x = context.input(1)
        return (
            apply(slope, gg, x, **context.attributes) if context.needs[0] else None,
            gg * context.input(0) * curve(x, **context.attributes)
            if context.needs[1] and curve is not None
            else None,
        )

    rule(
        name,
        lambda context, x, **attributes: forward(x, **attributes),
        backward,
        keeps=(0,),
        keeps_output=False,
    )
    rule(
        slope,
        lambda context, g, x, **attributes: gradient(g, x, **attributes),
        again,
        keeps=keeps,
        keeps_output=False,
    )


def _elu_curve(x: Tensor, *, alpha: float) -> Tensor:
    return where(x > 0, 0.0, exp(clamp(x, max=0.0)) * alpha)  # type: ignore[no-any-return]


def _softplus_curve(x: Tensor, *, beta: float, threshold: float) -> Tensor:
    s = sigmoid(x * beta)
    return where(x * beta > threshold, 0.0, s * (1.0 - s) * beta)  # type: ignore[no-any-return]


def _silu_curve(x: Tensor) -> Tensor:
    s = sigmoid(x)
    return s * (1.0 - s) * (x * (1.0 - s * 2.0) + 2.0)


def _gelu_curve(x: Tensor) -> Tensor:
    density = exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
    return density * (2.0 - x * x)


def _gelu_tanh_curve(x: Tensor) -> Tensor:
    scale, cubic = op.GELU_SCALE, op.GELU_CUBIC
    square = x * x
    # With t = tanh(u), and u1, u2 the derivatives of u: (1 − t²) · (u1 + x/2 · (u2 − 2·t·u1²)).
    t = tanh((x + x * square * cubic) * scale)
    first = (square * (3.0 * cubic) + 1.0) * scale
    second = x * (6.0 * cubic * scale)
    return (1.0 - t * t) * (first + x * 0.5 * (second - t * first * first * 2.0))


def _hardtanh(x: Array, *, low: float, high: float, op_name: str) -> Array:
    return op.hardtanh(x, low, high, op_name)


def _hardtanh_gradient(g: Array, x: Array, *, low: float, high: float, op_name: str) -> Array:
    return op.hardtanh_gradient(g, x, low, high)


def _threshold_gradient(g: Array, x: Array, *, threshold: float, value: float) -> Array:
    return op.threshold_gradient(g, x, threshold)


_activation("leaky_relu", op.leaky_relu, op.leaky_relu_gradient, None)
_activation("elu", op.elu, op.elu_gradient, _elu_curve)
_activation("softplus", op.softplus, op.softplus_gradient, _softplus_curve)
_activation("silu", op.silu, op.silu_gradient, _silu_curve)
_activation("gelu", op.gelu, op.gelu_gradient, _gelu_curve)
_activation("gelu_tanh", op.gelu_tanh, op.gelu_tanh_gradient, _gelu_tanh_curve)
_activation("hardtanh", _hardtanh, _hardtanh_gradient, None)
_activation("threshold", op.threshold, _threshold_gradient, None)


# --- softmax -----------------------------------------------------------------------------------------------


def _softmax(context: Context, x: Array, *, axis: int) -> Array:
    return softmax_op.softmax(x, axis)


def _softmax_backward(context: Context, g: Tensor) -> Tensor:
    return apply_to_tensors("softmax_gradient", g, context.output(), **context.attributes)


def _softmax_gradient(context: Context, g: Array, y: Array, *, axis: int) -> Array:
    return softmax_op.softmax_gradient(g, y, axis)


def _softmax_gradient_backward(context: Context, gg: Tensor) -> Gradients:
    y, axis = context.input(1), context.attributes["axis"]
    for_g = for_y = None
    if context.needs[0]:
        for_g = apply("softmax_gradient", gg, y, axis=axis)
    if context.needs[1]:
        g = context.input(0)
        for_y = gg * (g - (g * y).sum(axis, True)) - g * (gg * y).sum(axis, True)
    return for_g, for_y


def _log_softmax(context: Context, x: Array, *, axis: int) -> Array:
    return softmax_op.log_softmax(x, axis)


def _log_softmax_backward(context: Context, g: Tensor) -> Tensor:
    return apply_to_tensors("log_softmax_gradient", g, context.output(), **context.attributes)


def _log_softmax_gradient(context: Context, g: Array, y: Array, *, axis: int) -> Array:
    return softmax_op.log_softmax_gradient(g, y, axis)


def _log_softmax_gradient_backward(context: Context, gg: Tensor) -> Gradients:
    y, axis = context.input(1), context.attributes["axis"]
    likely = exp(y)
    return (
        gg - (gg * likely).sum(axis, True) if context.needs[0] else None,
        -(gg * likely) * context.input(0).sum(axis, True) if context.needs[1] else None,
    )


rule("softmax", _softmax, _softmax_backward, keeps=())
rule("softmax_gradient", _softmax_gradient, _softmax_gradient_backward, keeps=(0, 1), keeps_output=False)
rule("log_softmax", _log_softmax, _log_softmax_backward, keeps=())
rule(
    "log_softmax_gradient",
    _log_softmax_gradient,
    _log_softmax_gradient_backward,
    keeps=(0, 1),
    keeps_output=False,
)


# --- dropout -----------------------------------------------------------------------------------------------


def _dropout(context: Context, x: Array, *, p: float, key: tuple[int, int], op_name: str) -> Array:
    y, kept = dropped(x, p, key, op_name)
    context.save(keep=kept)
    return y


def _dropout_backward(context: Context, g: Tensor) -> Tensor:
    attributes = context.attributes
    keep, p, op_name = context.saved["keep"], attributes["p"], attributes["op_name"]
    return apply_to_tensors("drop", g, keep=keep, p=p, op_name=op_name)


def _drop(context: Context, x: Array, *, keep: Array | Kept, p: float, op_name: str) -> Array:
    return drop(x, keep, p, op_name)


def _drop_backward(context: Context, g: Tensor) -> Tensor:
    # Linear: the gradient goes through the same mask.
    return apply_to_tensors("drop", g, **context.attributes)


rule("dropout", _dropout, _dropout_backward, keeps=(), keeps_output=False)
rule("drop", _drop, _drop_backward, keeps=(), keeps_output=False)
