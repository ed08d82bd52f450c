"""Programs of every size ask for no more scratch than a thread has; nothing is run here."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.errors import ShapeError
from tilewright.geometry import ConvDims
from tilewright.kernel import outline
from tilewright.plan import FAMILIES, Plan
from tilewright.plan.compiled import SCRATCH_BYTES

_LONGEST = {1: 100_000, 2: 1500, 3: 80}


@st.composite
def any_size(draw: st.DrawFn) -> ConvDims | None:
    """From one number to a few hundred million, evenly on a logarithmic scale; None if it doesn't fit."""

    def size(most: int) -> int:
        return round(math.exp(draw(st.floats(0, math.log(most)))))

    rank = draw(st.integers(1, 3))
    spatial = [size(_LONGEST[rank]) for _ in range(rank)]
    kernel = [min(size(12), n) for n in spatial]
    channels, outputs = size(50_000 if rank == 1 else 2000), size(50_000 if rank == 1 else 2000)
    try:
        return ConvDims.of(
            (size(64), channels, *spatial),
            (outputs, channels, *kernel),
            stride=tuple(size(4) for _ in kernel),
            padding=tuple(draw(st.integers(0, k - 1)) for k in kernel),
            dilation=tuple(size(4) for _ in kernel),
        )
    except ShapeError:
        return None


def strides(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    """Those of a float32 array of this shape, without making it."""
    order = (0, *range(2, len(shape)), 1) if channels_last else tuple(range(len(shape)))
    found, step = [0] * len(shape), 4
    for axis in reversed(order):
        found[axis] = step
        step *= shape[axis]
    return tuple(found)


def check(dims: ConvDims, channels_last: bool) -> None:
    layout = "channels_last" if channels_last else "channels_first"
    x, y = strides(dims.input_shape, channels_last), strides(dims.output_shape, channels_last)
    for operation in ("forward", "data_gradient", "weight_gradient"):
        for family in FAMILIES:
            plan = family.answer(operation, dims, "float32", layout, True)
            if isinstance(plan, Plan) and plan.target:
                read, other = (y, x) if operation == "data_gradient" else (x, y)
                assert outline(plan, read, other).scratch_bytes <= SCRATCH_BYTES


@settings(max_examples=400, deadline=None)
@given(dims=any_size(), channels_last=st.booleans())
def test_any_size(dims: ConvDims | None, channels_last: bool) -> None:
    if dims is not None and max(np.prod(dims.input_shape), np.prod(dims.output_shape)) < 1e9:
        check(dims, channels_last)


def test_dense_layers() -> None:
    sizes = (1, 3, 10, 784, 4096, 25_088, 100_000)
    for samples in (1, 7, 64, 1000, 10_000):
        for inputs in sizes:
            for outputs in sizes:
                check(ConvDims.of((1, inputs, samples), (outputs, inputs, 1)), True)
