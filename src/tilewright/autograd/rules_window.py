"""Rules of the operations that slide windows: convolution, transposed convolution, pooling.

Convolution, its data gradient and its weight gradient are each linear in both operands, and the gradient of
any of the three is made of the other two; so differentiating again needs nothing new. The operations
themselves conjugate nothing; for complex numbers the operand that a gradient is multiplied with is conjugated
here (see :mod:`tilewright.autograd.complexes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.autograd.complexes import conjugated
from tilewright.autograd.tape import Array, Context, apply, rule
from tilewright.geometry import ConvDims, PoolDims
from tilewright.op import conv as conv_op
from tilewright.op import pool as pool_op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


def _conv(
    context: Context,
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    dims: ConvDims,
    op: str,
    exact: bool = False,
) -> Array:
    return conv_op.conv_forward(dims, x, w, bias, op=op, exact=exact)


def conv_backward(context: Context, gradient: Tensor) -> Gradients:
    """The gradients of input, weight and bias from that of x ⋆ w + bias."""
    dims, op = context.attributes["dims"], context.attributes["op"]
    needs = context.needs
    return (
        apply("conv_data_gradient", gradient, conjugated(context.operand(1)), None, dims=dims, op=op)
        if needs[0]
        else None,
        apply("conv_weight_gradient", conjugated(context.operand(0)), gradient, dims=dims, op=op)
        if needs[1]
        else None,
        _bias_gradient(gradient) if needs[2] else None,
    )


def _data_gradient(
    context: Context, gy: Array, w: Array, bias: Array | None, *, dims: ConvDims, op: str
) -> Array:
    return conv_op.conv_data_gradient(dims, gy, w, bias, op=op)


def _data_gradient_backward(context: Context, gradient: Tensor) -> Gradients:
    dims, op = context.attributes["dims"], context.attributes["op"]
    needs = context.needs
    return (
        apply("conv", gradient, conjugated(context.operand(1)), None, dims=dims, op=op) if needs[0] else None,
        apply("conv_weight_gradient", gradient, conjugated(context.operand(0)), dims=dims, op=op)
        if needs[1]
        else None,
        _bias_gradient(gradient) if needs[2] else None,
    )


def _weight_gradient(context: Context, x: Array, gy: Array, *, dims: ConvDims, op: str) -> Array:
    return conv_op.conv_weight_gradient(dims, x, gy, op=op)


def _weight_gradient_backward(context: Context, gradient: Tensor) -> Gradients:
    dims, op = context.attributes["dims"], context.attributes["op"]
    needs = context.needs
    return (
        apply("conv_data_gradient", conjugated(context.operand(1)), gradient, None, dims=dims, op=op)
        if needs[0]
        else None,
        apply("conv", conjugated(context.operand(0)), gradient, None, dims=dims, op=op) if needs[1] else None,
    )


def _bias_gradient(gradient: Tensor) -> Tensor:
    return gradient.sum(dim=(0, *range(2, gradient.ndim)))


def _max_pool(context: Context, x: Array, *, dims: PoolDims, indices: bool, op: str) -> Any:
    y, found = pool_op.max_pool(dims, x, indices=indices, op=op)
    context.save(indices=found)
    return y if found is None else (y, found)


def _max_pool_backward(context: Context, gradient: Tensor, *unused: Any) -> Gradients:
    return (
        apply(
            "max_pool_gradient",
            gradient,
            dims=context.attributes["dims"],
            indices=context.saved["indices"],
            op=context.attributes["op"],
        ),
    )


def _max_pool_gradient(context: Context, gy: Array, *, dims: PoolDims, indices: Array, op: str) -> Array:
    return pool_op.max_pool_gradient(dims, gy, indices, op=op)


def _max_pool_gradient_backward(context: Context, gradient: Tensor) -> Gradients:
    attributes = context.attributes
    return (apply("take_by_index", gradient, **attributes),)


def _take_by_index(context: Context, x: Array, *, dims: PoolDims, indices: Array, op: str) -> Array:
    return pool_op.take_by_index(dims, x, indices)


def _take_by_index_backward(context: Context, gradient: Tensor) -> Gradients:
    return (apply("max_pool_gradient", gradient, **context.attributes),)


def _avg_pool(context: Context, x: Array, **attributes: Any) -> Array:
    return pool_op.avg_pool(attributes.pop("dims"), x, **attributes)


def _avg_pool_backward(context: Context, gradient: Tensor) -> Gradients:
    return (apply("avg_pool_gradient", gradient, **context.attributes),)


def _avg_pool_gradient(context: Context, gy: Array, **attributes: Any) -> Array:
    return pool_op.avg_pool_gradient(attributes.pop("dims"), gy, **attributes)


def _avg_pool_gradient_backward(context: Context, gradient: Tensor) -> Gradients:
    return (apply("avg_pool", gradient, **context.attributes),)


def the_other(needs: tuple[bool, ...]) -> tuple[int, ...]:
    """Each operand's gradient reads the other operand, and only that."""
    return tuple(i for i, wanted in ((1, needs[0]), (0, needs[1])) if wanted)


rule("conv", _conv, conv_backward, keeps=the_other, keeps_output=False)
rule(
    "conv_data_gradient",
    _data_gradient,
    _data_gradient_backward,
    keeps=the_other,
    keeps_output=False,
)
rule(
    "conv_weight_gradient",
    _weight_gradient,
    _weight_gradient_backward,
    keeps=the_other,
    keeps_output=False,
)
rule("max_pool", _max_pool, _max_pool_backward, keeps=(), keeps_output=False)
rule("max_pool_gradient", _max_pool_gradient, _max_pool_gradient_backward, keeps=(), keeps_output=False)
rule("take_by_index", _take_by_index, _take_by_index_backward, keeps=(), keeps_output=False)
rule("avg_pool", _avg_pool, _avg_pool_backward, keeps=(), keeps_output=False)
rule("avg_pool_gradient", _avg_pool_gradient, _avg_pool_gradient_backward, keeps=(), keeps_output=False)
