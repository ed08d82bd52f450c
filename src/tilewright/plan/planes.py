"""What the family for few channels says of a convolution: whether it takes it, and whether it should."""

from __future__ import annotations

import math

import numpy as np

from tilewright.geometry import ConvDims, PoolDims
from tilewright.plan import compiled
from tilewright.plan.plan import Plan
from tilewright.plan.target import Target, host

# What the smallest block may take, packed; the sums of a weight gradient may take as much.
_LEAST_BYTES = 1 << 20
# Lines of a plane or volume: their tables have a few words for each, and are made when a geometry is first
# met.
_LINES = 1 << 20
# The vectors of the shortest line that blocks are made of.
_LINE_VECTORS = 4
# Samples of a pool's window: their table has two words for each.
_TAPS = 1 << 20
# Spatial axes of a pool: its tables are built from the product of all of them.
_AXES = 8
# Samples of a plane: their positions are compared as numbers of 32 bits.
_PLACES = (1 << 31) - 1
# Outputs that are computed side by side.
_OUTPUTS_AT_ONCE = 4
# Measured beside register tiles at 56×56, 3×3, one and eight groups, 1 to 16 channels a group, both layouts:
# with more inputs a group to sum over, or more outputs to share what is read, products of matrices pay.
_INPUTS, _OUTPUTS = 4, 8
# The weight gradient's tiles are of inputs by outputs, and with few of either mostly empty: here the sums are
# 1.1 to 9 times as fast up to 8 by 8, and slower with 16.
_CHANNELS = 8


def planes(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """Planes packed with their padding, each tap an offset."""
    reason = compiled.declines(dims, dtype)
    if reason:
        return reason
    assert isinstance(dims, ConvDims)
    form = dims.adjoint() if operation == "data_gradient" else dims
    if any(s > 1 and e > 1 for s, e in zip(form.stride, form.input_dilation, strict=True)):
        return "it needs a stride of 1 where there are zeros between samples"
    if operation == "weight_gradient" and any(e > 1 for e in form.input_dilation):
        return "it needs an input without zeros between samples"
    target = target or host()
    itemsize = np.dtype(dtype).itemsize
    width = target.vector_bytes // itemsize
    if math.prod(dims.spatial[:-1]) > _LINES or math.prod(dims.output[:-1]) > _LINES:
        return f"it needs at most {_LINES} lines in a plane or volume"
    inputs, outputs = form.in_channels // form.groups, form.out_channels // form.groups
    read = inputs * math.prod(min(s, k) for s, k in zip(form.stride, form.kernel, strict=True))
    written = outputs if operation == "weight_gradient" else min(outputs, _OUTPUTS_AT_ONCE)
    each = read + written * math.prod(form.input_dilation)
    reach = [1 + r // s for r, s in zip(form.reach, form.stride, strict=True)]
    # A place is a number, or, along the channels, a vector of them.
    units = (1, width) if inputs == outputs == 1 else (1,)
    line = max((_LINE_VECTORS * width // unit + reach[-1]) * unit for unit in units)
    if each * math.prod(reach[:-1]) * line * itemsize > _LEAST_BYTES:
        return "its packed lines would not fit the scratch"
    if dims.taps * inputs * outputs * target.vector_bytes > _LEAST_BYTES:
        return "the sums of its weights would not fit the scratch"
    words = f"vectors of {width} pixels or channels"
    return Plan(
        operation,
        "planes",
        dims,
        dtype,
        dims.output,
        1,
        compiled.SCRATCH_BYTES,
        words,
        target.name,
        "by_planes",
    )


def prefers_tiles(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> str:
    """Why register tiles are the better choice here; empty if they aren't."""
    assert isinstance(dims, ConvDims)
    form = dims.adjoint() if operation == "data_gradient" else dims
    inputs, outputs = form.in_channels // form.groups, form.out_channels // form.groups
    if operation == "weight_gradient":
        if max(inputs, outputs) > _CHANNELS:
            return f"with more than {_CHANNELS} channels a group, products of matrices pay"
    elif inputs > _INPUTS or outputs > _OUTPUTS:
        return f"with more than {_INPUTS} inputs or {_OUTPUTS} outputs a group, products of matrices pay"
    return ""


def pools(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """Pools: planes packed with their padding, or channels as they lie."""
    reason = compiled.declines_pool(dims, dtype)
    if reason:
        return reason
    assert isinstance(dims, PoolDims)
    if math.prod(dims.spatial[:-1]) > _LINES or math.prod(dims.output[:-1]) > _LINES:
        return f"it needs at most {_LINES} lines in a plane or volume"
    if math.prod(dims.spatial) > _PLACES:
        return f"it needs at most {_PLACES} samples in a plane"
    if dims.rank > _AXES:
        return f"it needs at most {_AXES} spatial axes"
    target = target or host()
    width = target.vector_bytes // np.dtype(dtype).itemsize
    if not pool_packs(dims, dtype, target) and not windows_apart(dims):
        return "its packed lines would not fit the scratch"
    words = f"vectors of {width} pixels or channels"
    return Plan(
        operation,
        "planes-pool",
        dims,
        dtype,
        dims.output,
        1,
        compiled.SCRATCH_BYTES,
        words,
        target.name,
        "by_planes",
    )


def pool_packs(dims: PoolDims, dtype: str, target: Target) -> bool:
    """Whether blocks of a pool, or of its gradient, fit the scratch, and its taps a table."""
    itemsize = np.dtype(dtype).itemsize
    # Packed samples (and their divisors) in all phases of a stride, and results in as many, or with indices.
    phases = math.prod(min(s, k) for s, k in zip(dims.stride, dims.kernel, strict=True))
    each = max(2 * (phases + 1), 2 + math.prod(dims.stride))
    reach = [1 - (-r // s) for r, s in zip(dims.reach, dims.stride, strict=True)]
    line = _LINE_VECTORS * (target.vector_bytes // itemsize) + reach[-1]
    return dims.taps <= _TAPS and each * math.prod(reach[:-1]) * line * itemsize <= _LEAST_BYTES


def windows_apart(dims: PoolDims) -> bool:
    """Whether windows are without gaps along the last axis and don't overlap there."""
    return dims.kernel[-1] <= dims.stride[-1] and (dims.dilation[-1] == 1 or dims.kernel[-1] == 1)
