"""Pools by taps, a plane at once, are the pools of the reference, a window at a time."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright import reference
from tilewright.bench import definition
from tilewright.geometry import PoolDims

GEOMETRIES = [
    PoolDims.of((2, 3, 9, 8), 3, stride=2, padding=1),
    PoolDims.of((1, 2, 17, 18), 3, stride=4, ceil_mode=True),
    PoolDims.of((1, 2, 5, 6), 2, stride=3, padding=1, ceil_mode=True),
    PoolDims.of((2, 1, 16, 17), (3, 2), stride=2, dilation=(2, 5), padding=1),
    PoolDims.of((1, 2, 9, 10), 4, stride=3, padding=((2, 1), (0, 2))),
    PoolDims.of((2, 5, 19), 2, stride=5),
    PoolDims.of((1, 2, 5, 4, 6), (2, 4, 3), stride=(1, 1, 2)),
]


@pytest.mark.parametrize("dims", GEOMETRIES, ids=str)
def test_maxima_and_where_they_are(dims: PoolDims) -> None:
    generator = np.random.default_rng(3)
    # Few different numbers: among equals the first counts.
    x = generator.integers(-3, 3, dims.input_shape).astype(np.float64)
    gy = generator.standard_normal(dims.output_shape)
    y, positions = reference.pool.max_pool(dims, x)
    found, taps = definition.max_pool(dims, x)
    assert np.array_equal(found, y)
    expected = reference.pool.max_pool_gradient(dims, gy, positions)
    # Up to nine numbers of size 1 are added, in another order.
    assert np.allclose(definition.max_pool_gradient(dims, gy, taps), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dims", GEOMETRIES, ids=str)
def test_means(dims: PoolDims) -> None:
    generator = np.random.default_rng(4)
    x, gy = generator.standard_normal(dims.input_shape), generator.standard_normal(dims.output_shape)
    # Sums of at most two dozen numbers of size 1, in another order.
    assert np.allclose(definition.avg_pool(dims, x), reference.pool.avg_pool(dims, x), rtol=0, atol=1e-14)
    expected = reference.pool.avg_pool_gradient(dims, gy)
    assert np.allclose(definition.avg_pool_gradient(dims, gy), expected, rtol=0, atol=1e-14)
