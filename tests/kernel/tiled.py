"""Geometries for the compiled families, and all their operations on one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from compare import assert_same
from geometries import random_array
from guarded import guarded
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import run
from tilewright.plan import Plan, Target, choose

Array = np.ndarray[Any, Any]

FAMILIES = {
    "forward": ("tiles-channels", "tiles-pixels"),
    "data_gradient": ("tiles-channels", "tiles-pixels"),
    "weight_gradient": ("tiles-weights",),
}


@st.composite
def pointwise_dims(draw: st.DrawFn) -> ConvDims:
    """One tap: planes and volumes of all lengths, few and many channels, strides."""
    rank = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2]))
    channels, outputs = draw(
        st.one_of(
            st.tuples(st.integers(1, 150), st.integers(1, 150)),
            st.tuples(st.integers(256, 1100), st.integers(1, 20)),
        )
    )
    longest = {1: 700, 2: 30, 3: 9} if channels < 256 else {1: 50, 2: 9, 3: 4}
    spatial = [draw(st.integers(1, longest[rank])) for _ in range(rank)]
    return ConvDims.of(
        (draw(st.integers(1, 3)), groups * channels, *spatial),
        (groups * outputs, channels, *(1,) * rank),
        stride=tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(rank)),
        groups=groups,
    )


@st.composite
def dense_dims(draw: st.DrawFn) -> ConvDims:
    """Many channels on few places: several panels, tiles and blocks of channels."""
    rank = draw(st.integers(1, 3))
    longest = {1: 70, 2: 17, 3: 6}[rank]
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    spatial, kernel, stride, dilation, pads = [], [], [], [], []
    for _ in range(rank):
        k, d = draw(st.integers(1, 4)), draw(st.sampled_from([1, 1, 2]))
        low, high = draw(st.integers(-1, 3)), draw(st.integers(-1, 3))
        fewest = max(d * (k - 1) + 1 - low - high, 1)
        spatial.append(draw(st.integers(fewest, max(longest, fewest))))
        kernel.append(k)
        dilation.append(d)
        stride.append(draw(st.sampled_from([1, 1, 2, 3])))
        pads.append((low, high))
    most = 70 if rank < 3 else 20
    channels, outputs = draw(st.integers(1, most)), draw(st.integers(1, most))
    return ConvDims.of(
        (draw(st.integers(1, 3)), groups * channels, *spatial),
        (groups * outputs, channels, *kernel),
        stride=tuple(stride),
        padding=tuple(pads),
        dilation=tuple(dilation),
        groups=groups,
    )


def laid_out(array: Array, channels_last: bool) -> Array:
    """A copy of the array, its channels outermost or innermost in memory, against an unreadable page."""
    if not channels_last:
        return guarded(array)
    return np.moveaxis(guarded(np.ascontiguousarray(np.moveaxis(array, 1, -1))), -1, 1)


def plan_for(operation: str, family: str, dims: ConvDims, dtype: str, target: Target) -> Plan:
    return replace(choose(operation, dims, dtype, family), target=target.name)


def check(dims: ConvDims, dtype: str, target: Target, last: tuple[bool, bool]) -> None:
    """All operations and families of one geometry, into poisoned outputs between guard pages."""
    x = laid_out(random_array(dims.input_shape, 1).astype(dtype), last[0])
    gy = laid_out(random_array(dims.output_shape, 3).astype(dtype), last[0])
    w = guarded(random_array(dims.weight_shape, 2).astype(dtype), "start")
    bias = guarded(random_array((dims.out_channels,), 4).astype(dtype))
    # Sums of n standard normal products have the size of √n; their rounding grows no faster than n.
    eps = float(np.finfo(dtype).eps)
    for operation, families in FAMILIES.items():
        wide = [array.astype(np.float64) for array in (x, w, bias, gy)]
        if operation == "forward":
            expected = reference.conv.forward(dims, wide[0], wide[1], wide[2])
            terms, given = dims.reduction, (x, w, bias)
        elif operation == "data_gradient":
            expected = reference.conv.data_gradient(dims, wide[3], wide[1])
            terms, given = dims.taps * dims.out_channels // dims.groups, (gy, w)
        else:
            expected = reference.conv.weight_gradient(dims, wide[0], wide[3])
            terms, given = dims.batch * int(np.prod(dims.output)), (x, gy)
        for family in families:
            out = laid_out(np.full(expected.shape, np.nan, dtype), last[1] and operation != "weight_gradient")
            run(plan_for(operation, family, dims, dtype, target), *given, out)
            assert_same(
                out,
                expected.astype(dtype),
                rtol=4 * eps,
                atol=8 * eps * (terms + 1),
                reason="rounding of a sum, in proportion to its length",
            )
