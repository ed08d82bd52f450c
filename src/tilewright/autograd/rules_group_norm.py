"""Rules of group norm, which instance, layer and RMS norm are cases of, and of sums over channels.

The gradient of group norm is computed in one go on arrays, unless it is to be differentiated again: then the
same formula is written out in Tensor operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.autograd.operands import raw
from tilewright.autograd.tape import Array, Context, apply_to_tensors, is_grad_enabled, is_tensor, made, rule
from tilewright.op import group_norm as op
from tilewright.op.local_response import channel_window_sum

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


def _group_norm(
    context: Context,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    groups: int,
    eps: float,
    centred: bool,
) -> Array:
    y, found = op.group_norm(x, groups, weight, bias, eps, centred)
    context.save(statistics=found)
    return y


def _group_norm_backward(context: Context, g: Tensor) -> Gradients:
    x, weight = context.operand(0), context.operand(1)
    groups, centred = context.attributes["groups"], context.attributes["centred"]
    if raw(x).size == 0:
        # On the tape, too: sums of nothing.
        none = g.sum((0, *range(2, g.ndim)))
        nothing = (g, none, none)
        return tuple(found if need else None for found, need in zip(nothing, context.needs, strict=True))
    if not is_grad_enabled():
        found = op.group_norm_gradient(
            g._data, raw(x), groups, raw(weight), context.saved["statistics"], centred
        )
        return tuple(made(array) if need else None for array, need in zip(found, context.needs, strict=True))
    x = x if is_tensor(x) else made(x)
    over = (0, *range(2, x.ndim))
    rows = x.reshape(x.shape[0] * groups, x._data.size // (x.shape[0] * groups))
    around = rows - rows.mean(1, True) if centred else rows
    inverse = ((around * around).mean(1, True) + context.attributes["eps"]).rsqrt()
    standard = around * inverse
    pull = g
    if weight is not None:
        weight = weight if is_tensor(weight) else made(weight)
        pull = g * weight.reshape(1, -1, *([1] * (x.ndim - 2)))
    pull = pull.reshape(rows.shape)
    for_x = None
    if context.needs[0]:
        for_x = pull - standard * (pull * standard).mean(1, True)
        if centred:
            for_x = for_x - pull.mean(1, True)
        for_x = (for_x * inverse).reshape(x.shape)
    return (
        for_x,
        (g * standard.reshape(x.shape)).sum(over) if context.needs[1] else None,
        g.sum(over) if context.needs[2] else None,
    )


def _channel_window_sum(context: Context, x: Array, *, before: int, after: int) -> Array:
    return channel_window_sum(x, before, after)


def _channel_window_sum_backward(context: Context, g: Tensor) -> Tensor:
    # A channel counts for as many after it as counted before them, and the other way round.
    before, after = context.attributes["before"], context.attributes["after"]
    return apply_to_tensors("channel_window_sum", g, before=after, after=before)


rule("group_norm", _group_norm, _group_norm_backward, keeps=(0, 1), keeps_output=False)
rule("channel_window_sum", _channel_window_sum, _channel_window_sum_backward, keeps=(), keeps_output=False)
