"""Rules of batch norm, also with ReLU right behind it, and of vectors brought to unit length.

The gradient of batch norm by the batch's own statistics is computed in one go on arrays, unless it is to be
differentiated again: then the same formula is written out in Tensor operations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.arithmetic import where
from tilewright.autograd.tape import Array, Context, apply_to_tensors, is_grad_enabled, made, rule
from tilewright.op import norm as op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


def _batch_norm(
    context: Context,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    mean: Array,
    inverse: Array,
    eps: float,
    own: bool,
) -> Array:
    return op.batch_norm(x, weight, bias, mean, inverse)


def _batch_norm_backward(context: Context, g: Tensor) -> Gradients:
    attributes, needs = context.attributes, context.needs
    mean, inverse = attributes["mean"], attributes["inverse"]
    weight = context.operand(1)
    if attributes["own"] and not is_grad_enabled():
        x = context.operand(0)
        found = op.batch_norm_gradient(
            g._data, _plain(x), None if weight is None else _plain(weight), mean, inverse
        )
        return tuple(made(array) if need else None for array, need in zip(found, needs, strict=True))
    x = context.operand(0)
    x = made(x) if isinstance(x, np.ndarray) else x
    over = (0, *range(2, x.ndim))
    shape = (1, -1, *([1] * (x.ndim - 2)))
    if attributes["own"]:
        around = x - x.mean(over, True)
        deviation = ((around * around).mean(over, True) + attributes["eps"]).sqrt()
        standard = around / deviation
        scaled = g / deviation
    else:
        factor = made(inverse.astype(x.dtype).reshape(shape))
        standard = (x - made(mean.astype(x.dtype).reshape(shape))) * factor
        scaled = g * factor
    if weight is not None:
        weight = made(weight) if isinstance(weight, np.ndarray) else weight
        scaled = scaled * weight.reshape(shape)
    for_x = None
    if needs[0]:
        for_x = scaled
        if attributes["own"]:
            for_x = scaled - scaled.mean(over, True) - standard * (scaled * standard).mean(over, True)
    return (
        for_x,
        (g * standard).sum(over) if needs[1] else None,
        g.sum(over) if needs[2] else None,
    )


def _batch_norm_relu(
    context: Context,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    more: Array | None,
    *,
    mean: Array,
    inverse: Array,
    eps: float,
    own: bool,
) -> Array:
    return op.batch_norm_relu(x, weight, bias, mean, inverse, more)


def _batch_norm_relu_backward(context: Context, g: Tensor) -> Gradients:
    y, attributes, needs = context.output(), context.attributes, context.needs
    if attributes["own"] and not is_grad_enabled():
        weight = context.operand(1)
        found = op.batch_norm_relu_gradient(
            g._data,
            _plain(context.operand(0)),
            y._data,
            None if weight is None else _plain(weight),
            attributes["mean"],
            attributes["inverse"],
            needs[3],
        )
        return tuple(
            made(array) if need and array is not None else None
            for array, need in zip(found, needs, strict=True)
        )
    # Without y's history: nothing flows back through what only says where the gradient passes.
    still = made(y._data)
    still._version = y._version
    kept = apply_to_tensors("relu_gradient", g, still)
    return (*_batch_norm_backward(context, kept), kept if needs[3] else None)


def _plain(value: Any) -> Array:
    array: Array = value if isinstance(value, np.ndarray) else value._data
    return array


def _normalize(context: Context, x: Array, *, p: float, axis: int, eps: float) -> Array:
    return op.normalize(x, p, axis, eps)


def _normalize_backward(context: Context, g: Tensor) -> Tensor:
    x = context.input(0)
    p, axis, eps = (context.attributes[name] for name in ("p", "axis", "eps"))
    size = x.abs()
    # Where the length is at most eps it is a constant; 1 stands in, so that no slope at 0 is asked for.
    short = made(op.length(x._data, p, axis) <= eps)
    if math.isinf(p):
        longest = size.amax(axis, True)
        length = where(short, 1.0, longest)
        hit = (size._data == longest._data).astype(x.dtype)
        slope = x.sign() * made(hit / hit.sum(axis=axis, keepdims=True))
    elif p == 2.0:
        length = where(short, 1.0, x * x).sum(axis, True).sqrt()
        slope = x / length
    else:
        powers = where(short, 1.0, size) ** p
        length = powers.sum(axis, True) ** (1.0 / p)
        slope = x.sign() * (where(size == 0.0, 0.0, where(size == 0.0, 1.0, size) ** (p - 1.0)))
        slope = slope / length ** (p - 1.0)
    divisor = where(short, eps, length)
    pull = (g * x).sum(axis, True) / (divisor * divisor)
    found: Tensor = g / divisor - where(short, 0.0, slope * pull)
    return found


rule("batch_norm", _batch_norm, _batch_norm_backward, keeps=(0, 1), keeps_output=False)
rule("batch_norm_relu", _batch_norm_relu, _batch_norm_relu_backward, keeps=(0, 1))
rule("normalize", _normalize, _normalize_backward, keeps=(0,), keeps_output=False)
