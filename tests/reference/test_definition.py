"""The reference itself, against sums written out by hand and the adjoint identities."""

from __future__ import annotations

from itertools import product

import numpy as np
from compare import assert_same
from geometries import conv_dims, pool_dims, random_array
from hypothesis import given

from tilewright import reference
from tilewright.geometry import ConvDims, PoolDims


@given(conv_dims(ranks=(1, 2)))
def test_forward_is_the_sum_of_the_definition(dims: ConvDims) -> None:
    """Index by index, with no array arithmetic at all."""
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    y = np.zeros(dims.output_shape)
    per_in, per_out = dims.in_channels // dims.groups, dims.out_channels // dims.groups
    for n, k, *o in product(*(range(size) for size in dims.output_shape)):
        for c, *t in product(range(per_in), *(range(size) for size in dims.kernel)):
            places = []
            for axis in range(dims.rank):
                place = o[axis] * dims.stride[axis] + t[axis] * dims.dilation[axis] - dims.padding[axis][0]
                whole, rest = divmod(place, dims.input_dilation[axis])
                if rest or not 0 <= whole < dims.spatial[axis]:
                    break
                places.append(whole)
            else:
                y[(n, k, *o)] += x[(n, k // per_out * per_in + c, *places)] * w[(k, c, *t)]
    assert_same(
        reference.conv.forward(dims, x, w),
        y,
        rtol=1e-12,
        atol=1e-12,
        reason="sums of a few products in float64",
    )


@given(conv_dims(ranks=(1, 3)))
def test_gradients_are_adjoint(dims: ConvDims) -> None:
    """⟨gy, conv(x, w)⟩ = ⟨data_gradient(gy, w), x⟩ = ⟨weight_gradient(x, gy), w⟩."""
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy = random_array(dims.output_shape, 3)
    inner = np.vdot(gy, reference.conv.forward(dims, x, w))
    for other in (
        np.vdot(reference.conv.data_gradient(dims, gy, w), x),
        np.vdot(reference.conv.weight_gradient(dims, x, gy), w),
    ):
        assert_same(
            np.asarray(other),
            np.asarray(inner),
            rtol=1e-9,
            atol=1e-9,
            reason="the same sum in another order, float64",
        )


@given(conv_dims(ranks=(1, 3)))
def test_data_gradient_is_the_convolution_that_adjoint_states(dims: ConvDims) -> None:
    w, gy = random_array(dims.weight_shape, 2), random_array(dims.output_shape, 3)
    g, per_in, per_out = dims.groups, dims.in_channels // dims.groups, dims.out_channels // dims.groups
    exchanged = w.reshape(g, per_out, per_in, *dims.kernel).swapaxes(1, 2)
    flipped = np.flip(
        exchanged.reshape(dims.in_channels, per_out, *dims.kernel), axis=tuple(range(2, 2 + dims.rank))
    )
    assert_same(
        reference.conv.forward(dims.adjoint(), gy, flipped),
        reference.conv.data_gradient(dims, gy, w),
        rtol=1e-10,
        atol=1e-10,
        reason="the same sum in another order, float64",
    )


@given(pool_dims(ranks=(1, 2)))
def test_avg_pool_gradient_is_adjoint(dims: PoolDims) -> None:
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    inner = np.vdot(gy, reference.pool.avg_pool(dims, x))
    other = np.vdot(reference.pool.avg_pool_gradient(dims, gy), x)
    assert_same(
        np.asarray(other),
        np.asarray(inner),
        rtol=1e-9,
        atol=1e-9,
        reason="the same sum in another order, float64",
    )


def test_max_pool_rules() -> None:
    """NaN wins, ties take the first, −∞ keeps a position of its own."""
    dims = PoolDims.of((1, 1, 8), 2)
    x = np.array([[[1.0, 1.0, np.nan, 5.0, 3.0, np.nan, -np.inf, -np.inf]]])
    y, indices = reference.pool.max_pool(dims, x)
    np.testing.assert_array_equal(y[0, 0], [1.0, np.nan, np.nan, -np.inf])
    assert indices[0, 0].tolist() == [0, 2, 5, 6]


def test_divisors_count_explicit_padding_but_never_the_overhang() -> None:
    dims = PoolDims.of((1, 1, 5), 4, stride=3, padding=1, ceil_mode=True)
    assert dims.output == (2,)
    # Windows cover −1…2 and 2…5; position 5 is explicit padding.
    assert [reference.pool.window_divisor(dims, (o,), True, None) for o in range(2)] == [4, 4]
    assert [reference.pool.window_divisor(dims, (o,), False, None) for o in range(2)] == [3, 3]
    longer = PoolDims.of((1, 1, 6), 4, stride=3, padding=0, ceil_mode=True)
    # The second window hangs over by one.
    assert [reference.pool.window_divisor(longer, (o,), True, None) for o in range(2)] == [4, 3]
