"""Normalised masked convolution and its gradients on arrays, where one compiled pass computes it.

With s = Σ w·m·x over a window, M the sum of what is there (weights' magnitudes, or samples), T that of a
whole window, and r = T/M, or 0 where nothing is there:

    y  = s·r + bias
    gx = m · Σ w·(gy·r)
    gw = Σ m·x·(gy·r)                                       and, if weights are summed up in T and M,
         + sign(w) · (Σ gy·s·r/T − Σ m·(gy·s·r·r/T))        the first over all outputs, the second by taps

s and r aren't kept for the gradients: another pass over the input makes the two factors in brackets from
them. Of |w| times the second sum, all taps together give the first times T.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, masked_planes, run
from tilewright.kernel.elementwise import call
from tilewright.op import memory, passes
from tilewright.op.arrays import is_channels_last
from tilewright.op.continued import plan_for
from tilewright.op.conv import conv_data_gradient, conv_weight_gradient
from tilewright.op.pool_arrays import result_like
from tilewright.plan import Plan

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
    return plan_for("forward", dims, x)


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
    plan = plan_of(dims, x)
    assert plan is not None
    like = result_like(op, x, dims.output_shape)
    g = gy if gy.strides == like.strides and gy.flags.aligned else _laid(like, gy)
    scaled, share = like, None if counts or not needs[1] else memory.empty_like(like)
    packed, given = (x, None) if present is None else _given(x, present)
    masked_planes.forward(plan, packed, given, w, None, scaled, counts=counts, ratios=share, g=g)
    gx = gw = gb = None
    if needs[0]:
        gx = conv_data_gradient(dims, scaled, w, op=op)
        _drop_missing(gx, x, present)
    if needs[1]:
        gw = _products(dims, x, present, scaled, "values", op)
        if share is not None:
            # What each tap's |weight| does to the sums of windows; and, by the sum of what |weights| do to
            # them, to the sum of a whole one.
            by_taps = _products(dims, x, present, share, "mask", op)
            size = np.abs(w)
            axes = tuple(range(1, w.ndim))
            total = size.sum(axis=axes, keepdims=True, dtype=np.float64)
            whole = (size * by_taps).sum(axis=axes, keepdims=True, dtype=np.float64)
            whole = np.divide(whole, total, out=np.zeros_like(total), where=total > 0).astype(w.dtype)
            gw += np.sign(w) * (whole - by_taps)
    if needs[2]:
        if filled:
            _, ratio = masked_forward(dims, x, present, w, None, counts=counts, ratio=True, op=op)
            assert ratio is not None
            gy = np.where(ratio > 0, gy, np.zeros((), gy.dtype))
        sums = passes.channel_sums(gy)
        if sums is None:
            sums = gy.sum(axis=(0, *range(2, gy.ndim)), dtype=np.float64).astype(gy.dtype)
        gb = sums
    return gx, gw, gb


def _laid(like: Array, array: Array) -> Array:
    laid = memory.empty_like(like)
    np.copyto(laid, array)
    return laid


def _products(dims: ConvDims, x: Array, present: Present, g: Array, part: str, op: str) -> Array:
    """The gradient of weights that g arrives at, of the samples that are there, or of ones where they are."""
    if present is None:
        plan = plan_for("weight_gradient", dims, x)
        if plan is not None:
            gw = buffers.empty(dims.weight_shape, x.dtype)
            run(plan, x, g, gw, part)
            return gw
    there = np.broadcast_to(present, x.shape) if present is not None else ~np.isnan(x)
    kept = there.astype(x.dtype) if part == "mask" else np.where(there, x, np.zeros((), x.dtype))
    return conv_weight_gradient(dims, kept, g, op=op)


def _drop_missing(gx: Array, x: Array, present: Present) -> None:
    """No gradient goes to what is missing."""
    if present is not None:
        np.copyto(gx, 0, where=~present)
    elif gx.flags.c_contiguous and x.flags.c_contiguous and x.flags.aligned:
        call.present(gx, x, gx)
    else:
        np.copyto(gx, 0, where=np.isnan(x))
