"""Rules of the losses: one value per element or label, and their sum or mean.

Weights are constants here; the functions that use these rules say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.arithmetic import where
from tilewright.autograd.elementwise import clamp, exp, log, log1p, sigmoid
from tilewright.autograd.tape import (
    Array,
    Context,
    apply,
    apply_to_tensors,
    is_grad_enabled,
    is_tensor,
    made,
    rule,
)
from tilewright.op import labels as labels_op
from tilewright.op import loss as op
from tilewright.op.labels import Labels
from tilewright.op.memory import pooled

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]

_multiply, _subtract = pooled(np.multiply), pooled(np.subtract)


def _as_tensor(value: Any) -> Tensor:
    """An operand that may have come as an array, as a Tensor."""
    return value if is_tensor(value) else made(value)


def _weighted(value: Tensor, weight: Array | None) -> Tensor:
    return value if weight is None else value * made(weight)


# --- totals ------------------------------------------------------------------------------------------------


def _total(context: Context, values: Array, *, divisor: float | None) -> Array:
    return op.total(values, divisor)


def _total_backward(context: Context, g: Tensor) -> Tensor:
    shape, divisor = context.shapes[0], context.attributes["divisor"]
    assert shape is not None
    # A mean of nothing is NaN, and its gradient has no elements: nothing is left to be divided by 0.
    return (g / divisor if divisor is not None and 0 not in shape else g).expand(shape)


rule("loss_total", _total, _total_backward, keeps=(), keeps_output=False)


# --- losses of the difference ------------------------------------------------------------------------------


def _difference_loss(
    name: str, value: Callable[..., Any], slope: Callable[..., Any], curve: Callable[..., Any]
) -> None:
    """The rules of a loss f(input − target) and of its gradient.

    ``value``, ``slope`` and ``curve`` are f and its first and second derivative on arrays; the third is 0 for
    all of these losses.
    """
    gradient_name = f"{name}_gradient"

    def forward(
        context: Context, x: Array, target: Array, *, weight: Array | None, **attributes: Any
    ) -> Array:
        op.check_pair(x, target, f"{name}_loss")
        found: Array = value(_subtract(x, target), **attributes)
        return found if weight is None else _multiply(found, weight)

    def backward(context: Context, g: Tensor) -> Gradients:
        both = (_as_tensor(context.operand(0)), _as_tensor(context.operand(1)))
        found = apply(gradient_name, g, *both, **context.attributes)
        return found if context.needs[0] else None, -found if context.needs[1] else None

    def gradient(
        context: Context, g: Array, x: Array, target: Array, *, weight: Array | None, **attributes: Any
    ) -> Array:
        found: Array = _multiply(g, slope(_subtract(x, target), **attributes))
        return found if weight is None else _multiply(found, weight)

    def again(context: Context, gg: Tensor) -> Gradients:
        g, x, target = context.input(0), context.input(1), context.input(2)
        attributes = dict(context.attributes)
        weight = attributes.pop("weight")
        for_g = for_x = None
        if context.needs[0]:
            for_g = apply(gradient_name, gg, x, target, **context.attributes)
        if context.needs[1] or context.needs[2]:
            bend = made(np.asarray(curve(_subtract(x._data, target._data), **attributes)))
            for_x = _weighted(gg * g * bend, weight)
        return (
            for_g,
            for_x if context.needs[1] else None,
            -for_x if context.needs[2] and for_x is not None else None,
        )

    rule(name, forward, backward, keeps=(0, 1), keeps_output=False)
    rule(gradient_name, gradient, again, keeps=(0, 1, 2), keeps_output=False)


_difference_loss("mse", op.squared, op.squared_slope, op.squared_curve)
_difference_loss("l1", op.absolute, op.absolute_slope, op.absolute_curve)
_difference_loss("smooth_l1", op.smooth_absolute, op.smooth_absolute_slope, op.smooth_absolute_curve)
_difference_loss("huber", op.huber, op.huber_slope, op.huber_curve)


# --- classes -----------------------------------------------------------------------------------------------


def _nll(context: Context, x: Array, *, labels: Labels) -> Array:
    return labels_op.nll(x, labels)


def _nll_backward(context: Context, g: Tensor) -> Tensor:
    return apply_to_tensors("nll_gradient", g, labels=context.attributes["labels"], shape=context.shapes[0])


def _nll_gradient(context: Context, g: Array, *, labels: Labels, shape: tuple[int, ...]) -> Array:
    return labels_op.nll_gradient(g, labels, shape)


def _nll_gradient_backward(context: Context, gg: Tensor) -> Tensor:
    # The loss is linear in log-probabilities, so the gradient of its gradient is the loss.
    return apply_to_tensors("nll", gg, labels=context.attributes["labels"])


rule("nll", _nll, _nll_backward, keeps=(), keeps_output=False)
rule("nll_gradient", _nll_gradient, _nll_gradient_backward, keeps=(), keeps_output=False)


def _cross_entropy(context: Context, x: Array, *, labels: Labels) -> Array:
    values, largest, total = labels_op.cross_entropy(x, labels)
    if any(context.needs):
        context.save(largest=largest, total=total)
    return values


def _cross_entropy_backward(context: Context, g: Tensor) -> Tensor:
    labels, x = context.attributes["labels"], context.input(0)
    if not is_grad_enabled():
        saved = context.saved
        return made(
            labels_op.cross_entropy_gradient(g._data, x._data, labels, saved["largest"], saved["total"])
        )
    # To be differentiated again: the steps that the one pass stands for.
    axis = x.ndim - 1
    likely = apply_to_tensors("softmax", x, axis=axis)
    pull = apply_to_tensors("nll_gradient", g, labels=labels, shape=tuple(x.shape))
    return pull - likely * pull.sum(axis, True)


rule("cross_entropy", _cross_entropy, _cross_entropy_backward, keeps=(0,), keeps_output=False)


def _soft_labels(
    context: Context, x: Array, target: Array, *, weight: Array | None, smoothing: float
) -> Array:
    return labels_op.soft_labels(x, target, weight, smoothing)


def _soft_labels_backward(context: Context, g: Tensor) -> Gradients:
    x, target = _as_tensor(context.operand(0)), _as_tensor(context.operand(1))
    weight, smoothing = context.attributes["weight"], context.attributes["smoothing"]
    axis = 1 if x.ndim > 1 else 0
    spread = -g.unsqueeze(axis)
    if weight is not None:
        spread = spread * made(weight.reshape(-1, *([1] * (x.ndim - 1 - axis))))
    for_x = for_target = None
    if context.needs[0]:
        mixed = target * (1.0 - smoothing) + smoothing / max(x.shape[axis], 1) if smoothing else target
        for_x = spread * mixed
    if context.needs[1]:
        for_target = spread * x * (1.0 - smoothing)
    return for_x, for_target


rule("soft_labels", _soft_labels, _soft_labels_backward, keeps=(0, 1), keeps_output=False)


# --- probabilities -----------------------------------------------------------------------------------------


def _bce(context: Context, x: Array, target: Array, *, weight: Array | None) -> Array:
    return op.binary_cross_entropy(x, target, weight)


def _bce_backward(context: Context, g: Tensor) -> Gradients:
    x, target = _as_tensor(context.operand(0)), _as_tensor(context.operand(1))
    g = _weighted(g, context.attributes["weight"])
    for_x = for_target = None
    if context.needs[0]:
        for_x = g * (x - target) / clamp(x * (1.0 - x), min=op.LEAST_SPREAD)
    if context.needs[1]:
        for_target = g * (clamp(log1p(-x), min=op.LEAST_LOG) - clamp(log(x), min=op.LEAST_LOG))
    return for_x, for_target


def _bce_with_logits(
    context: Context, x: Array, target: Array, *, weight: Array | None, pos_weight: Array | None
) -> Array:
    return op.binary_cross_entropy_with_logits(x, target, weight, pos_weight)


def _bce_with_logits_backward(context: Context, g: Tensor) -> Gradients:
    x, target = _as_tensor(context.operand(0)), _as_tensor(context.operand(1))
    g = _weighted(g, context.attributes["weight"])
    pos_weight = context.attributes["pos_weight"]
    for_x = for_target = None
    if context.needs[0]:
        if pos_weight is None:
            for_x = g * (sigmoid(x) - target)
        else:
            positive = target * made(pos_weight)
            for_x = g * ((positive + (1.0 - target)) * sigmoid(x) - positive)
    if context.needs[1]:
        if pos_weight is None:
            for_target = -g * x
        else:
            # Each term is infinite at one end only.
            unlikely, likely = (apply("softplus", z, beta=1.0, threshold=float("inf")) for z in (-x, x))
            for_target = g * (made(pos_weight) * unlikely - likely)
    return for_x, for_target


def _kl_div(context: Context, x: Array, target: Array, *, log_target: bool) -> Array:
    return op.kl_div(x, target, log_target)


def _kl_div_backward(context: Context, g: Tensor) -> Gradients:
    x, target = _as_tensor(context.operand(0)), _as_tensor(context.operand(1))
    log_target = context.attributes["log_target"]
    likely = exp(target) if log_target else target
    for_x = for_target = None
    if context.needs[0]:
        for_x = -(g * likely)
    if context.needs[1]:
        for_target = g * (likely * (target - x + 1.0) if log_target else _log_above_zero(target) + 1.0 - x)
    return for_x, for_target


def _log_above_zero(target: Tensor) -> Tensor:
    """log(target), and −∞ at 0 without a NaN in what is differentiated from it."""
    at_zero = target == 0.0
    return where(at_zero, -float("inf"), log(where(at_zero, 1.0, target)))  # type: ignore[no-any-return]


rule("bce", _bce, _bce_backward, keeps=(0, 1), keeps_output=False)
rule("bce_with_logits", _bce_with_logits, _bce_with_logits_backward, keeps=(0, 1), keeps_output=False)
rule("kl_div", _kl_div, _kl_div_backward, keeps=(0, 1), keeps_output=False)
