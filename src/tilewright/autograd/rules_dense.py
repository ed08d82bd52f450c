"""Rules of the dense layer and of one-hot vectors.

The dense layer, its gradient in the input and its gradient in the weight are each linear in both operands,
and the gradient of any of the three is made of the other two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilewright.autograd.complexes import conjugated
from tilewright.autograd.tape import Array, Context, apply, rule
from tilewright.op import dense as op
from tilewright.op import memory

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


def _crossed(needs: tuple[bool, ...]) -> tuple[int, ...]:
    """Each of the two operands is read for the gradient of the other."""
    return (1,) * needs[0] + (0,) * needs[1]


def _rank(context: Context) -> int:
    """The rank of the weight, operand 1."""
    shape = context.shapes[1]
    assert shape is not None
    return len(shape)


def _linear(context: Context, x: Array, weight: Array, bias: Array | None) -> Array:
    return op.linear(x, weight, bias)


def _linear_backward(context: Context, g: Tensor) -> Gradients:
    needs = context.needs
    for_x = for_weight = for_bias = None
    if needs[0]:
        for_x = apply("linear_input_gradient", g, conjugated(context.operand(1)))
    if needs[1]:
        x = conjugated(context.operand(0))
        for_weight = apply("linear_weight_gradient", g, x, rank=_rank(context))
    if needs[2]:
        bias = context.shapes[2]
        assert bias is not None
        for_bias = g.sum(tuple(range(g.ndim - len(bias)))) if g.ndim > len(bias) else g
    return for_x, for_weight, for_bias


def _input_gradient(context: Context, g: Array, weight: Array) -> Array:
    return op.linear_input_gradient(g, weight)


def _input_gradient_backward(context: Context, gg: Tensor) -> Gradients:
    needs = context.needs
    return (
        apply("linear", gg, conjugated(context.operand(1)), None) if needs[0] else None,
        apply("linear_weight_gradient", conjugated(context.operand(0)), gg, rank=_rank(context))
        if needs[1]
        else None,
    )


def _weight_gradient(context: Context, g: Array, x: Array, *, rank: int) -> Array:
    return op.linear_weight_gradient(g, x, rank)


def _weight_gradient_backward(context: Context, gg: Tensor) -> Gradients:
    needs = context.needs
    return (
        apply("linear", conjugated(context.operand(1)), gg, None) if needs[0] else None,
        apply("linear_input_gradient", conjugated(context.operand(0)), gg) if needs[1] else None,
    )


def _one_hot(context: Context, labels: Array, *, classes: int) -> Array:
    found = memory.empty_for("one_hot", (*labels.shape, classes), np.int64)
    if found.size:  # with no labels there is nothing to write, whatever the number of classes
        np.equal(labels[..., None], np.arange(classes), out=found, casting="unsafe")
    return found


rule("linear", _linear, _linear_backward, keeps=_crossed, keeps_output=False)
rule("linear_input_gradient", _input_gradient, _input_gradient_backward, keeps=_crossed, keeps_output=False)
rule(
    "linear_weight_gradient",
    _weight_gradient,
    _weight_gradient_backward,
    keeps=_crossed,
    keeps_output=False,
)
rule("one_hot", _one_hot)
