"""The reference of Lp pooling, adaptive pooling and unpooling, against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from hypothesis import given
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import AdaptiveDims, PoolDims

_FEW = {"rtol": 1e-12, "atol": 1e-12, "reason": "a power and a root or two, float64"}


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (2, [5.0, np.sqrt(5), 2.0]),
        (1, [-1.0, 3.0, 2.0]),
        (3, [-(37 ** (1 / 3)), 9 ** (1 / 3), 2.0]),
        (0.5, [7 + 2 * np.sqrt(12), 3 + 2 * np.sqrt(2), 2.0]),
    ],
)
def test_lp_pool(p: float, expected: list[float]) -> None:
    x = np.array([[[3.0, -4.0, 1.0, 2.0, 0.0, 2.0]]])
    y = reference.pool.lp_pool(PoolDims.of(x.shape, 2), x, p)
    assert_same(y, np.array([[expected]]), **_FEW)


def test_the_sum_of_a_window_that_hangs_over_is_scaled_up() -> None:
    dims = PoolDims.of((1, 1, 3), 2, ceil_mode=True)
    y = reference.pool.lp_pool(dims, np.array([[[3.0, 4.0, 5.0]]]), 2)
    # Half of the second window holds 25, so that the whole would hold 50.
    assert_same(y, np.array([[[5.0, np.sqrt(50)]]]), **_FEW)


def test_lp_gradient_of_a_triangle() -> None:
    x = np.array([[[3.0, -4.0, 0.0, 0.0]]])
    dims = PoolDims.of(x.shape, 2)
    assert_same(
        reference.pool.lp_pool_gradient(dims, np.ones((1, 1, 2)), x, 2),
        np.array([[[0.6, -0.8, 0.0, 0.0]]]),
        **_FEW,
    )


def test_adaptive_pools_of_five_into_three() -> None:
    x = np.array([[[1.0, 5.0, 2.0, 2.0, np.nan]]])
    dims = AdaptiveDims.of(x.shape, 3)
    y, indices = reference.pool.adaptive_max_pool(dims, x)
    assert_same(y, np.array([[[5.0, 5.0, np.nan]]]), **_FEW)
    assert indices.tolist() == [[[1, 1, 4]]]
    assert_same(reference.pool.adaptive_avg_pool(dims, x), np.array([[[3.0, 3.0, np.nan]]]), **_FEW)


@given(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.tuples(st.integers(0, 7), st.integers(0, 7)))
def test_adaptive_avg_gradient_is_adjoint(spatial: tuple[int, int], size: tuple[int, int]) -> None:
    dims = AdaptiveDims.of((2, 3, *spatial), size)
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    assert_same(
        np.asarray(np.vdot(reference.pool.adaptive_avg_pool_gradient(dims, gy), x)),
        np.asarray(np.vdot(gy, reference.pool.adaptive_avg_pool(dims, x))),
        rtol=1e-10,
        atol=1e-10,
        reason="the same sum in another order, float64",
    )


def test_unpool_keeps_the_last_of_those_that_share_a_place() -> None:
    x, indices = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.array([[[[5, 0], [5, 1]]]])
    y = reference.pool.max_unpool(x, indices, (2, 3))
    assert y.tolist() == [[[[2.0, 4.0, 0.0], [0.0, 0.0, 3.0]]]]
    gx = reference.pool.max_unpool_gradient(np.arange(6.0).reshape(1, 1, 2, 3), indices)
    assert gx.tolist() == [[[[0.0, 0.0], [5.0, 1.0]]]]
