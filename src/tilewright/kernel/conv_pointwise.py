"""1×1 convolution: a matrix product over channels at every pixel, on the array itself.

Where an array's spatial axes cannot be seen as one axis without a copy (a cropped view, say), the work goes
to the windows family, whose scratch is bounded.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import conv_windows
from tilewright.plan import Plan, choose

Array = npt.NDArray[Any]


def forward(plan: Plan, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    """Writes the products of ``w`` with ``x`` at every pixel (plus ``bias``) into ``y``."""
    dims = _conv(plan)
    inputs, outputs = _flat(x, dims.groups), _flat(y, dims.groups)
    if inputs is None or outputs is None:
        conv_windows.forward(_by_windows(plan), x, w, bias, y)
        return
    np.matmul(_matrices(dims, w), inputs, out=outputs)
    if bias is not None:
        outputs += bias.reshape(dims.groups, -1, 1)


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array) -> None:
    """Writes the gradient of the input into ``gx``."""
    dims = _conv(plan)
    gradients, inputs = _flat(gy, dims.groups), _flat(gx, dims.groups)
    if gradients is None or inputs is None:
        conv_windows.data_gradient(_by_windows(plan), gy, w, gx)
        return
    np.matmul(np.ascontiguousarray(_matrices(dims, w).transpose(0, 2, 1)), gradients, out=inputs)


def weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array) -> None:
    """Writes the gradient of the weights into ``gw``, summed over samples in order."""
    dims = _conv(plan)
    inputs, gradients = _flat(x, dims.groups), _flat(gy, dims.groups)
    if inputs is None or gradients is None:
        conv_windows.weight_gradient(_by_windows(plan), x, gy, gw)
        return
    total = np.zeros((dims.groups, dims.out_channels // dims.groups, dims.reduction), dtype=x.dtype)
    for n in range(dims.batch):
        total += np.matmul(gradients[n], inputs[n].transpose(0, 2, 1))
    gw[...] = total.reshape(dims.weight_shape)


def _conv(plan: Plan) -> ConvDims:
    assert isinstance(plan.dims, ConvDims)
    return plan.dims


def _matrices(dims: ConvDims, w: Array) -> Array:
    return np.ascontiguousarray(w).reshape(dims.groups, dims.out_channels // dims.groups, dims.reduction)


def _flat(x: Array, groups: int) -> Array | None:
    """(batch, groups, channels/groups, pixels) as a view, or None where that needs a copy.

    A sample alone and the same sample in a batch have the same inner strides, so both take the same way.
    """
    wanted = (x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:]))
    if x.size and not _joinable(x.shape[2:], x.strides[2:]):
        return None
    return x.reshape(wanted)


def _joinable(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether axes can be seen as one: each stride covers the axes after it, axes of size 1 aside."""
    axes = [(n, stride) for n, stride in zip(shape, strides, strict=True) if n != 1]
    return all(outer == n * inner for (_, outer), (n, inner) in itertools.pairwise(axes))


def _by_windows(plan: Plan) -> Plan:
    return choose(plan.operation, plan.dims, plan.dtype, "numpy-windows")
