"""Convolution and its gradients on arrays: check, plan, call.

Each function takes the forward geometry. Inputs are never written to; any strides, zero-size and
read-only arrays are taken; outputs are new arrays in the layout of the first operand and of its dtype:

* float32 and float64 are added up in themselves, float16 and bfloat16 in float32 and rounded once;
* integers are exact modulo the range of their dtype: 8 bits hold what is left of a sum after wrapping round;
* complex numbers are multiplied as they are. No operand is conjugated, not in the gradients either: whoever
  wants PyTorch's gradient conjugates the other operand first.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.kernel import buffers, run
from tilewright.op import carried, continued, separable
from tilewright.op.arrays import MULTIPLIED, check_array, check_same_dtype, layout_of, name_of
from tilewright.op.fused import activate, check_activation
from tilewright.op.pool_arrays import result_like
from tilewright.plan import choose

Array = npt.NDArray[Any]


def conv_forward(
    dims: ConvDims,
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    op: str = "conv",
    family: str | None = None,
    activation: str = "none",
    slope: float = 0.0,
    exact: bool = False,
) -> Array:
    """activation(x ⋆ w + bias) of arrays of the geometry's shapes, ⋆ being cross-correlation.

    Args:
        dims: the geometry.
        x: the input, (batch, in_channels, *spatial).
        w: the weights, (out_channels, in_channels/groups, *kernel), of the same dtype.
        bias: (out_channels,), or None.
        op: the name in messages.
        family: asks for one by name.
        activation: one of :data:`tilewright.op.fused.ACTIVATIONS`. Compiled families apply it as they store,
            otherwise a pass over the result does. "relu" and "leaky_relu" give the same bits either way, the
            others the same numbers up to rounding.
        slope: leaky ReLU's.
        exact: without fast algorithms, whatever :class:`tilewright.precision` is set to: sums of whole
            numbers are then whole numbers, and sums of nothing are 0.

    Raises:
        ShapeError: an operand's shape is not the geometry's, or no memory holds the result.
        DtypeError: an operand's dtype is not taken, or the operands' dtypes differ.
        ArgumentError: an unknown activation.
    """
    _check(op, dims.input_shape, x, "input")
    _check(op, dims.weight_shape, w, "weight")
    if bias is not None:
        _check(op, (dims.out_channels,), bias, "bias")
    check_same_dtype(op, input=x, weight=w, bias=bias)
    if activation != "none":
        check_activation(activation, x, op)
    continuing = None
    if dims.padding_mode != ZEROS:
        continuing = None if family is not None else continued.plan_for("forward", dims, x, exact=exact)
        if continuing is None:
            dims, x = continued.padded(dims, x, op)
    y = result_like(op, x, dims.output_shape)
    if dims.reduction == 0 or y.size == 0:
        y[...] = 0 if bias is None else bias.reshape((-1,) + (1,) * dims.rank)
        return activate(y, activation, slope)
    if (halves := carried.compiled_plan("forward", dims, x, family, exact=exact)) is not None:
        run(halves, x, w, bias, y)
        return activate(y, activation, slope)
    carrier = carried.carrier_of(x.dtype, dims.reduction)
    if carrier is not None:
        compute = partial(conv_forward, op=op, family=family, exact=exact or carried.is_exact(x.dtype))
        carried.forward(compute, carrier, dims, x, w, bias, y)
        return activate(y, activation, slope)
    if family is None and continuing is None and not exact and separable.forward(dims, x, w, bias, y):
        return activate(y, activation, slope)
    plan = continuing or choose("forward", dims, name_of(x.dtype), family, layout_of(x), exact=exact)
    if plan.target:
        run(plan, x, w, bias, y, activation, slope)
        return y
    run(plan, x, w, bias, y)
    return activate(y, activation, slope)


def conv_data_gradient(
    dims: ConvDims,
    gy: Array,
    w: Array,
    bias: Array | None = None,
    *,
    op: str = "conv",
    family: str | None = None,
    exact: bool = False,
) -> Array:
    """The gradient of x from that of y; with ``bias`` (one per channel of x) a transposed convolution.

    Raises:
        ShapeError, DtypeError: as :func:`conv_forward`.
    """
    _check(op, dims.output_shape, gy, "input")
    _check(op, dims.weight_shape, w, "weight")
    if bias is not None:
        _check(op, (dims.in_channels,), bias, "bias")
    check_same_dtype(op, input=gy, weight=w, bias=bias)
    if dims.padding_mode != ZEROS:
        compute = partial(conv_data_gradient, op=op, family=family, exact=exact)
        gx = continued.data_gradient(compute, dims, gy, w)
        return gx if bias is None else np.add(gx, bias.reshape((-1,) + (1,) * dims.rank), out=gx)
    gx = result_like(op, gy, dims.input_shape)
    if gy.size == 0 or w.size == 0 or gx.size == 0:
        gx[...] = 0
    elif (halves := carried.compiled_plan("data_gradient", dims, gy, family, exact=exact)) is not None:
        run(halves, gy, w, gx, bias)
        return gx
    elif (carrier := carried.carrier_of(gy.dtype, dims.out_channels // dims.groups * dims.taps)) is not None:
        compute = partial(conv_data_gradient, op=op, family=family, exact=exact or carried.is_exact(gy.dtype))
        carried.data_gradient(compute, carrier, dims, gy, w, bias, gx)
        return gx
    elif family is None and not exact and separable.data_gradient(dims, gy, w, bias, gx):
        return gx
    else:
        plan = choose("data_gradient", dims, name_of(gy.dtype), family, layout_of(gy), exact=exact)
        if plan.target:
            run(plan, gy, w, gx, bias)
            return gx
        run(plan, gy, w, gx)
    if bias is not None:
        gx += bias.reshape((-1,) + (1,) * dims.rank)
    return gx


def conv_weight_gradient(
    dims: ConvDims, x: Array, gy: Array, *, op: str = "conv", family: str | None = None
) -> Array:
    """The gradient of w: zeros for an empty batch.

    Raises:
        ShapeError, DtypeError: as :func:`conv_forward`.
    """
    _check(op, dims.input_shape, x, "input")
    _check(op, dims.output_shape, gy, "gradient")
    check_same_dtype(op, input=x, gradient=gy)
    plan = None
    if dims.padding_mode != ZEROS:
        plan = None if family is not None else continued.plan_for("weight_gradient", dims, x)
        if plan is None:
            dims, x = continued.padded(dims, x, op)
    gw = buffers.empty(dims.weight_shape, x.dtype)
    if gy.size == 0 or x.size == 0 or math.prod(dims.weight_shape) == 0:
        gw[...] = 0
    elif (halves := carried.compiled_plan("weight_gradient", dims, x, family)) is not None:
        run(halves, x, gy, gw)
    elif (carrier := carried.carrier_of(x.dtype, carried.weight_sum_length(dims))) is not None:
        compute = partial(conv_weight_gradient, op=op, family=family)
        carried.weight_gradient(compute, carrier, dims, x, gy, gw)
    else:
        run(plan or choose("weight_gradient", dims, name_of(x.dtype), family), x, gy, gw)
    return gw


def _check(op: str, shape: tuple[int, ...], value: Any, name: str) -> None:
    array = check_array(value, name, op, MULTIPLIED)
    if array.shape != shape:
        raise ShapeError(f"{op} needs {name} of shape {shape}.", describe(**{name: array}))
