"""Rules of padding: linear, and the gradient of the gradient is padding again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.autograd.tape import Array, Context, apply_to_tensors, rule
from tilewright.op import pad as op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _pad(
    context: Context, x: Array, *, pairs: op.Pairs, mode: str, value: Any, op_name: str = "pad"
) -> Array:
    return op.pad(x, pairs, mode, value, op_name)


def _pad_backward(context: Context, g: Tensor) -> Tensor:
    attributes = context.attributes
    return apply_to_tensors(
        "pad_gradient", g, shape=context.shapes[0], pairs=attributes["pairs"], mode=attributes["mode"]
    )


def _pad_gradient(context: Context, g: Array, *, shape: tuple[int, ...], pairs: op.Pairs, mode: str) -> Array:
    return op.pad_gradient(g, shape, pairs, mode)


def _pad_gradient_backward(context: Context, gg: Tensor) -> Tensor:
    attributes = context.attributes
    # What was filled in with a constant has no gradient: 0 is filled in here.
    return apply_to_tensors("pad", gg, pairs=attributes["pairs"], mode=attributes["mode"], value=None)


rule("pad", _pad, _pad_backward, keeps=(), keeps_output=False)
rule("pad_gradient", _pad_gradient, _pad_gradient_backward, keeps=(), keeps_output=False)
