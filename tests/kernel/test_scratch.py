"""Temporary memory is bounded by a constant, whatever the size of the picture or the batch."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tilewright.geometry import ConvDims, PoolDims
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.pool import avg_pool, max_pool

# The contract's bound for scratch. Outputs (and max pool's indices) are not scratch.
_BOUND = 4 << 20


def _peak(call: Callable[[], Any]) -> int:
    """Most bytes beyond what the call returns."""
    call()  # plans and tiles are remembered from here on
    tracemalloc.start()
    try:
        result = call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    parts = result if isinstance(result, tuple) else (result,)
    return most - sum(part.nbytes for part in parts if part is not None)


@pytest.mark.parametrize(
    "dims",
    [
        ConvDims.of((1, 16, 512, 512), (8, 16, 3, 3), padding=1),
        ConvDims.of((40, 16, 64, 64), (16, 16, 3, 3), padding=1, stride=2),
        ConvDims.of((1, 24, 512, 512), (24, 1, 5, 5), padding=2, groups=24),
        ConvDims.of((1, 2, 2_000_000), (2, 2, 9), padding="causal"),
        ConvDims.of((2, 64, 256, 256), (8, 64, 1, 1)),
    ],
    ids=["large", "batch", "depthwise", "long", "pointwise"],
)
def test_convolution(dims: ConvDims) -> None:
    x, w = np.ones(dims.input_shape, np.float32), np.ones(dims.weight_shape, np.float32)
    gy = np.ones(dims.output_shape, np.float32)
    assert _peak(lambda: conv_forward(dims, x, w)) <= _BOUND
    assert _peak(lambda: conv_data_gradient(dims, gy, w)) <= _BOUND
    assert _peak(lambda: conv_weight_gradient(dims, x, gy)) <= _BOUND


@pytest.mark.parametrize("dims", [PoolDims.of((1, 16, 512, 512), 3, stride=2, padding=1)])
def test_pooling(dims: PoolDims) -> None:
    x = np.ones(dims.input_shape, np.float32)
    assert _peak(lambda: max_pool(dims, x)) <= _BOUND
    assert _peak(lambda: max_pool(dims, x, indices=False)) <= _BOUND
    assert _peak(lambda: avg_pool(dims, x)) <= _BOUND


def test_a_strided_view_is_not_copied_whole() -> None:
    dims = ConvDims.of((1, 64, 256, 256), (8, 64, 1, 1))
    x = np.ones((1, 64, 512, 512), np.float32)[:, :, ::2, ::2]
    w = np.ones(dims.weight_shape, np.float32)
    assert _peak(lambda: conv_forward(dims, x, w)) <= _BOUND
