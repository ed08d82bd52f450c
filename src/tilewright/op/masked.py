"""Normalised masked convolution and its gradients on arrays, where one compiled pass computes it.

With s = Σ w·m·x over a window, M the sum of what is there (weights' magnitudes, or samples), T that of a
whole window, and r = T/M, or 0 where nothing is there:

    y  = s·r + bias
    gx = m · Σ w·(gy·r)
    gw = Σ m·x·(gy·r)                                       and, if weights are summed up in T and M,
         + sign(w) · (Σ gy·s·r/T − Σ m·(gy·s·r·r/T))        the first over all outputs, the second by taps

s and r aren't kept for the gradients: another pass over the input gives them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.kernel import masked_planes
from tilewright.op import memory
from tilewright.op.arrays import is_channels_last, layout_of
from tilewright.op.continued import plan_for
from tilewright.op.conv import conv_data_gradient, conv_weight_gradient
from tilewright.op.pool_arrays import result_like
from tilewright.plan import Plan, choose

Array = npt.NDArray[Any]
#: Where samples are there: bools (1 or batch, 1 or channels, *spatial), or None where NaN is missing.
Present = Array | None

_DTYPES = ("float32", "float64")


def plan_of(dims: ConvDims, x: Array) -> Plan | None:
    """The plan of the pass that computes it, or None: of other families, dtypes, or without any output."""
    if x.dtype.name not in _DTYPES or x.size == 0 or 0 in dims.output_shape or dims.reduction == 0:
        return None
    # Channels that lie innermost, each on its own, are a vector's lanes: this pass has pixels there.
    if dims.groups == dims.in_channels > 1 and is_channels_last(x):
        return None
    if dims.padding_mode != ZEROS:
        return plan_for("forward", dims, x)
    plan = choose("forward", dims, x.dtype.name, None, layout_of(x))
    return plan if plan.family == "planes" else None


def masked_forward(
    dims: ConvDims,
    x: Array,
    present: Present,
    w: Array,
    bias: Array | None,
    *,
    counts: bool,
    fill: float | None = None,
    ratio: bool = False,
    op: str = "masked_conv",
) -> tuple[Array, Array | None]:
    """The result and, if asked for, the ratio; :func:`plan_of` must have given a plan."""
    plan = plan_of(dims, x)
    assert plan is not None
    y = result_like(op, x, dims.output_shape)
    ratios = memory.empty_like(y) if ratio else None
    given = None
    if present is not None:
        x, given = _given(x, present)
    masked_planes.forward(plan, x, given, w, bias, y, counts=counts, fill=fill, ratios=ratios)
    return y, ratios


def _given(x: Array, present: Array) -> tuple[Array, Array]:
    """The input, and a mask of its dtype and spatial strides."""
    if not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)
    return x, np.ascontiguousarray(present, x.dtype)


def masked_gradients(
    dims: ConvDims,
    gy: Array,
    x: Array,
    present: Present,
    w: Array,
    needs: tuple[bool, bool, bool],
    *,
    counts: bool,
    filled: bool,
    op: str = "masked_conv",
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of input, weights and bias that are needed."""
    sums, ratio = masked_forward(dims, x, present, w, None, counts=counts, ratio=True, op=op)
    assert ratio is not None
    if filled:
        gy = np.where(ratio > 0, gy, np.zeros((), gy.dtype))
    scaled = gy * ratio
    missing = np.isnan(x) if present is None else np.broadcast_to(~present, x.shape)
    gx = gw = gb = None
    if needs[0]:
        gx = conv_data_gradient(dims, scaled, w, op=op)
        gx[missing] = 0
    if needs[1]:
        kept = np.where(missing, np.zeros((), x.dtype), x)
        gw = conv_weight_gradient(dims, kept, scaled, op=op)
        if not counts:
            gw += np.sign(w) * _by_magnitude(dims, gy, sums, ratio, missing, w, op)
    if needs[2]:
        gb = gy.sum(axis=(0, *range(2, gy.ndim)), dtype=np.float64).astype(gy.dtype)
    return gx, gw, gb


def _by_magnitude(
    dims: ConvDims, gy: Array, sums: Array, ratio: Array, missing: Array, w: Array, op: str
) -> Array:
    """The gradient by the weights' magnitudes, through the ratio."""
    total = np.abs(w).sum(axis=tuple(range(1, w.ndim)), dtype=np.float64)
    inverse = np.divide(1, total, out=np.zeros_like(total), where=total != 0).astype(w.dtype)
    shape = (-1,) + (1,) * dims.rank
    share = gy * sums
    share *= inverse.reshape(shape)
    whole = share.sum(axis=(0, *range(2, share.ndim)), dtype=np.float64).astype(w.dtype)
    share *= ratio
    there = np.where(missing, np.zeros((), w.dtype), np.ones((), w.dtype))
    # Padding with zeros is missing, and weighs nothing here either.
    by_taps = conv_weight_gradient(replace(dims), there, share, op=op)
    return np.asarray(whole.reshape((-1,) + (1,) * (w.ndim - 1)) - by_taps)
