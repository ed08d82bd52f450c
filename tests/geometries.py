"""Random geometries, and arrays that fit them: what every family is tried on."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tilewright.geometry import ConvDims, PoolDims


@st.composite
def conv_dims(
    draw: st.DrawFn,
    *,
    ranks: tuple[int, int] = (1, 4),
    cropping: bool = True,
    input_dilation: bool = True,
    symmetric: bool = False,
    depthwise: bool | None = None,
) -> ConvDims:
    """A geometry whose window fits, small enough for the reference."""
    rank = draw(st.integers(*ranks))
    longest = {1: 24, 2: 10, 3: 6, 4: 4}[rank]
    groups = draw(st.integers(1, 3))
    if depthwise is None:
        depthwise = draw(st.booleans())
    per_in = 1 if depthwise else draw(st.integers(1, 3))
    per_out = draw(st.integers(1, 2 if depthwise else 3))
    least = -2 if cropping else 0
    spatial, kernel, stride, dilation, spread, pads = [], [], [], [], [], []
    for _ in range(rank):
        k = draw(st.integers(1, 4 if rank < 3 else 3))
        d = draw(st.integers(1, 3))
        e = draw(st.integers(1, 3)) if input_dilation else 1
        low = draw(st.integers(least, 3))
        high = low if symmetric else draw(st.integers(least, 3))
        # The fewest samples whose padded, dilated row still holds the window.
        window = d * (k - 1) + 1
        fewest = max(1, -((low + high - window + 1) // e) + 1)
        while e * (fewest - 1) + 1 + low + high < window:
            fewest += 1
        spatial.append(draw(st.integers(fewest, max(longest, fewest))))
        kernel.append(k)
        stride.append(draw(st.integers(1, 4)))
        dilation.append(d)
        spread.append(e)
        pads.append((low, high))
    return ConvDims.of(
        (draw(st.integers(1, 3)), groups * per_in, *spatial),
        (groups * per_out, per_in, *kernel),
        stride=tuple(stride),
        padding=tuple(pads),
        dilation=tuple(dilation),
        groups=groups,
        input_dilation=tuple(spread),
    )


@st.composite
def pool_dims(draw: st.DrawFn, *, ranks: tuple[int, int] = (1, 4)) -> PoolDims:
    """A pooling geometry whose window fits the padded input."""
    rank = draw(st.integers(*ranks))
    longest = {1: 20, 2: 9, 3: 5, 4: 4}[rank]
    spatial, kernel, stride, dilation, pads = [], [], [], [], []
    for _ in range(rank):
        k, d = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        low, high = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        fewest = max(1, d * (k - 1) + 1 - low - high)
        spatial.append(draw(st.integers(fewest, max(longest, fewest))))
        kernel.append(k)
        stride.append(draw(st.integers(1, 4)))
        dilation.append(d)
        pads.append((low, high))
    return PoolDims.of(
        (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *spatial),
        tuple(kernel),
        stride=tuple(stride),
        padding=tuple(pads),
        dilation=tuple(dilation),
        ceil_mode=draw(st.booleans()),
    )


def random_array(shape: tuple[int, ...], seed: int, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    """Standard normal samples of a dtype, the same for the same seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def awkward(array: np.ndarray[Any, Any], kind: str) -> np.ndarray[Any, Any]:
    """The same values in an awkward memory layout: one of :data:`AWKWARD`."""
    if kind == "fortran":
        return np.asfortranarray(array)
    if kind == "negative":
        flip = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[flip])[flip]
    if kind == "holes":
        wide = np.full(tuple(2 * n for n in array.shape), np.nan).astype(array.dtype)
        view = wide[(slice(None, None, 2),) * array.ndim]
        view[...] = array
        return view
    if kind == "read-only":
        frozen = array.copy()
        frozen.flags.writeable = False
        return frozen
    if kind == "channels-last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    raise ValueError(kind)


AWKWARD = ("fortran", "negative", "holes", "read-only", "channels-last")
