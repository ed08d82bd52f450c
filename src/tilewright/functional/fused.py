"""A convolution and the activation behind it, in one step where they can be: what layers call."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd.rules_dropped import WITH_DROPOUT
from tilewright.autograd.rules_fused import WITH_GRADIENT
from tilewright.autograd.tape import apply, is_grad_enabled
from tilewright.autograd.tensor import Tensor
from tilewright.functional import activations, dropping
from tilewright.functional.conv import conv, conv1d, conv2d, conv3d
from tilewright.functional.extending import extend
from tilewright.functional.operands import Operand, conv_operands
from tilewright.geometry import ConvDims
from tilewright.op.arrays import FLOATS
from tilewright.op.random import chosen

_CONV = {None: conv, 1: conv1d, 2: conv2d, 3: conv3d}
_ALONE = {
    "relu": activations.relu,
    "tanh": activations.tanh,
    "sigmoid": activations.sigmoid,
    "silu": activations.silu,
    "gelu": activations.gelu,
}


def conv_activation(
    rank: int | None,
    input: Operand,
    weight: Operand,
    bias: Operand,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    activation: str,
    slope: float = 0.0,
    padding_mode: str = "zeros",
    dropout: float = 0.0,
) -> Any:
    """The activation of :func:`tilewright.functional.conv`'s result, without a pass of its own.

    The convolution applies the activation as it stores. It does so for float32 and float64; not where
    gradients are wanted of an activation whose result doesn't tell them (SiLU and GELU); and not for a leaky
    ReLU that turns signs around. There the two run one after the other, and this is their composition.

    ReLU and leaky ReLU give the same bits in one step as in two, the smooth activations the same numbers up
    to rounding; infinities and NaN go the same way in both.

    Args:
        rank: number of spatial axes; None for any.
        input: and what follows up to ``groups``, as for :func:`tilewright.functional.conv`.
        weight: see there.
        bias: see there.
        stride: see there.
        padding: see there.
        dilation: see there.
        groups: see there.
        activation: "relu", "leaky_relu", "tanh", "sigmoid", "silu" or "gelu".
        slope: leaky ReLU's.
        padding_mode: as for :func:`tilewright.functional.conv`.
        dropout: above 0, what :func:`tilewright.functional.dropout` makes of the result with this ``p``: the
            same numbers, with one pass less on the way back.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`tilewright.functional.conv`.
    """
    if dropout and not (activation in WITH_DROPOUT and _in_one_step(activation, slope, input, weight, bias)):
        y = conv_activation(
            rank, input, weight, bias, stride, padding, dilation, groups, activation, slope, padding_mode
        )
        return dropping.dropout(y, dropout)
    if not _in_one_step(activation, slope, input, weight, bias):
        y = _CONV[rank](input, weight, bias, stride, padding, dilation, groups, padding_mode=padding_mode)
        return activations.leaky_relu(y, slope) if activation == "leaky_relu" else _ALONE[activation](y)
    op = "conv" if rank is None else f"conv{rank}d"
    x, batched = conv_operands(op, rank, input, weight, bias)
    dims = ConvDims.of(
        x.shape, weight.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, op=op
    )
    x, dims = extend(op, x, dims, padding_mode)
    if dropout:
        # The second is the activation's result, for its gradient.
        y, _ = apply(
            f"conv_{activation}_dropout",
            x,
            weight,
            bias,
            dims=dims,
            op=op,
            p=dropout,
            key=chosen(None).words(2),
        )
    else:
        attributes = {"slope": slope} if activation == "leaky_relu" else {}
        y = apply(f"conv_{activation}", x, weight, bias, dims=dims, op=op, **attributes)
    return y if batched else y[0]


def _in_one_step(activation: str, slope: float, *operands: Operand) -> bool:
    input = operands[0]
    if not isinstance(input, (Tensor, np.ndarray)) or input.dtype.name not in FLOATS:
        return False
    if activation == "leaky_relu":
        # A slope that is infinite in the input's dtype makes NaN of 0, whose sign is lost.
        return 0 <= slope <= float(np.finfo(input.dtype).max)
    if activation in WITH_GRADIENT or not is_grad_enabled():
        return True
    return not any(isinstance(x, Tensor) and x.requires_grad for x in operands)
