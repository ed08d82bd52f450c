"""Rules of interpolation: linear, and the gradient of the gradient is interpolation again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.autograd.tape import Array, Context, apply_to_tensors, rule
from tilewright.geometry.resample import AxisSampling
from tilewright.op import resample as op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Axes = tuple[AxisSampling, ...]


def _resample(context: Context, x: Array, *, axes: Axes, op_name: str) -> Array:
    return op.resample(x, axes, op=op_name)


def _resample_backward(context: Context, g: Tensor) -> Tensor:
    return apply_to_tensors("resample_gradient", g, shape=context.shapes[0], **context.attributes)


def _resample_gradient(
    context: Context, g: Array, *, shape: tuple[int, ...], axes: Axes, op_name: str
) -> Array:
    return op.resample_gradient(g, shape, axes, op=op_name)


def _resample_gradient_backward(context: Context, gg: Tensor) -> Tensor:
    attributes: dict[str, Any] = {name: context.attributes[name] for name in ("axes", "op_name")}
    return apply_to_tensors("resample", gg, **attributes)


rule("resample", _resample, _resample_backward, keeps=(), keeps_output=False)
rule("resample_gradient", _resample_gradient, _resample_gradient_backward, keeps=(), keeps_output=False)
