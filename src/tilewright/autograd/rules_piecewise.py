"""Rules of the activation functions made of pieces.

They are made as :mod:`tilewright.autograd.rules_activation` says; learnt slopes come at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilewright.autograd.operands import unbroadcast
from tilewright.autograd.rules_activation import _activation
from tilewright.autograd.tape import Array, Context, apply_to_tensors, is_tensor, made, rule
from tilewright.op import piecewise as op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


def _hardswish_curve(x: Tensor) -> Tensor:
    inside = (x._data > -3.0) & (x._data < 3.0)
    return made(np.asarray(np.asarray(inside, x.dtype) / x.dtype.type(3)))


_activation("hardsigmoid", op.hardsigmoid, op.hardsigmoid_gradient, None)
_activation("hardswish", op.hardswish, op.hardswish_gradient, _hardswish_curve)
_activation("hardshrink", op.hardshrink, op.shrink_gradient, None)
_activation("softshrink", op.softshrink, op.shrink_gradient, None)


# --- slopes that are learnt --------------------------------------------------------------------------------
# A slope broadcasts against the input; where the input lies matters only for which of the two pieces holds.


def _still(x: Tensor) -> Tensor:
    """The same values without history: they only say which piece holds."""
    found = made(x._data)
    found._version = x._version
    return found


def _prelu(context: Context, x: Array, slope: Array) -> Array:
    return op.prelu(x, slope)


def _prelu_backward(context: Context, g: Tensor) -> Gradients:
    x, slope = context.operand(0), context.operand(1)
    x = x if is_tensor(x) else made(x)
    for_x = for_slope = None
    if context.needs[0]:
        for_x = apply_to_tensors("prelu_gradient", g, _still(x), slope)
    if context.needs[1]:
        each = apply_to_tensors("product_below", g, x, _still(x))
        for_slope = unbroadcast(each, context.shapes[1])
    return for_x, for_slope


def _prelu_gradient(context: Context, g: Array, x: Array, slope: Array) -> Array:
    return op.prelu_gradient(g, x, slope)


def _prelu_gradient_backward(context: Context, gg: Tensor) -> Gradients:
    x, slope = context.operand(1), context.operand(2)
    for_g = for_slope = None
    if context.needs[0]:
        for_g = apply_to_tensors("prelu_gradient", gg, x, slope)
    if context.needs[2]:
        each = apply_to_tensors("product_below", gg, context.operand(0), x)
        for_slope = unbroadcast(each, context.shapes[2])
    return for_g, None, for_slope


def _product_below(context: Context, a: Array, b: Array, x: Array) -> Array:
    return op.product_below(a, b, x)


def _product_below_backward(context: Context, gg: Tensor) -> Gradients:
    a, b, x = (context.operand(i) for i in range(3))
    return (
        apply_to_tensors("product_below", gg, b, x) if context.needs[0] else None,
        apply_to_tensors("product_below", gg, a, x) if context.needs[1] else None,
        None,
    )


rule("prelu", _prelu, _prelu_backward, keeps=(0, 1), keeps_output=False)
rule("prelu_gradient", _prelu_gradient, _prelu_gradient_backward, keeps=(0, 1, 2), keeps_output=False)
rule("product_below", _product_below, _product_below_backward, keeps=(0, 1, 2), keeps_output=False)
