"""The rule of a normalised masked convolution that one compiled pass computes.

Its gradients are of arrays. To be differentiated again they are taken of ``again``, which gives the same
result from operations that each have a rule of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.engine import grad
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import Array, Context, is_grad_enabled, made, rule
from tilewright.geometry import ConvDims
from tilewright.op import masked as op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


def _forward(
    context: Context,
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    dims: ConvDims,
    present: op.Present,
    counts: bool,
    fill: float | None,
    ratio: bool,
    again: Callable[..., Any],
    op_name: str,
) -> Any:
    y, ratios = op.masked_forward(
        dims, x, present, w, bias, counts=counts, fill=fill, ratio=ratio, op=op_name
    )
    return y if ratios is None else (y, ratios)


def _backward(context: Context, gradient: Tensor | None, *unused: Any) -> Gradients:
    if gradient is None:
        return None, None, None
    x, w, bias = (context.operand(i) for i in range(3))
    needs = context.needs
    if is_grad_enabled():
        wanted = [operand for operand, need in zip((x, w, bias), needs, strict=True) if need]
        found = iter(grad(context.attributes["again"](x, w, bias), wanted, gradient, create_graph=True))
        return tuple(next(found) if need else None for need in needs)
    attributes = context.attributes
    with np.errstate(all="ignore"):  # NaN and infinity are results like any other
        arrays = op.masked_gradients(
            attributes["dims"],
            gradient._data,
            raw(x),
            attributes["present"],
            raw(w),
            (needs[0], needs[1], needs[2]),
            counts=attributes["counts"],
            filled=attributes["fill"] is not None,
            op=attributes["op_name"],
        )
    return tuple(None if array is None else made(array) for array in arrays)


rule("masked_conv", _forward, _backward, keeps_output=False)
