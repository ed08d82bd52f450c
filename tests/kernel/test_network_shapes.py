"""The families on the layers of real networks, as far as the reference can follow in reasonable time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

from tilewright import reference
from tilewright.geometry import ConvDims, PoolDims
from tilewright.geometry.shapes import ShapeLine, read_shapes
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.pool import avg_pool, max_pool

# The reference takes one operation at a time; these sizes keep the whole file under a few seconds.
_MOST_FLOPS, _MOST_WINDOWS = 20_000_000, 5_000
# It goes from tap to tap and from group to group in Python.
_MOST_STEPS = 40_000

_LINES = read_shapes(Path(__file__).resolve().parents[2] / "shapes")
_FLOAT64 = {"rtol": 1e-10, "atol": 1e-10, "reason": "the same sum in another order, float64"}


def _convolutions() -> list[ShapeLine]:
    lines = [
        line
        for line in _LINES
        if not line.is_pool
        and line.dims().flops <= _MOST_FLOPS
        and line.dims().taps * line.groups <= _MOST_STEPS
    ]
    assert len(lines) >= 80, "too few of the files' layers are small enough to be compared"
    return lines


def _pools() -> list[ShapeLine]:
    lines = [line for line in _LINES if line.is_pool and np.prod(line.dims().output_shape) <= _MOST_WINDOWS]
    assert len(lines) >= 8, "too few of the files' pools are small enough to be compared"
    return lines


@pytest.mark.parametrize("line", _convolutions(), ids=lambda line: line.name)
def test_convolution(line: ShapeLine) -> None:
    dims = line.dims()
    assert isinstance(dims, ConvDims)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy = random_array(dims.output_shape, 3)
    assert_same(conv_forward(dims, x, w), reference.conv.forward(dims, x, w), **_FLOAT64)
    assert_same(conv_data_gradient(dims, gy, w), reference.conv.data_gradient(dims, gy, w), **_FLOAT64)
    assert_same(conv_weight_gradient(dims, x, gy), reference.conv.weight_gradient(dims, x, gy), **_FLOAT64)


@pytest.mark.parametrize("line", _pools(), ids=lambda line: line.name)
def test_pool(line: ShapeLine) -> None:
    dims = line.dims()
    assert isinstance(dims, PoolDims)
    x = random_array(dims.input_shape, 1)
    if line.operation == "avg_pool":
        assert_same(avg_pool(dims, x), reference.pool.avg_pool(dims, x), **_FLOAT64)
        return
    (y, indices), (expected, places) = max_pool(dims, x), reference.pool.max_pool(dims, x)
    assert_same(y, expected, rtol=0, atol=0, reason="samples are copied")
    assert_same(indices, places, rtol=0, atol=0, reason="positions are exact")
