"""Gradients of Lp and adaptive pooling and of unpooling by finite differences, and gradients of gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import pool_dims, random_array
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.autograd.tape import apply
from tilewright.geometry import AdaptiveDims, PoolDims

# Finite differences take two evaluations an element, so these run on fewer and smaller cases.
_SOME = settings(max_examples=60)
_FEW = settings(max_examples=15)

_NORMS = [1.0, 2.0, 3.0, 4.0, 1.5, 0.5]


def _leaf(array: Any) -> Any:
    return tw.tensor(np.asarray(array, np.float64), requires_grad=True)


def _distinct(shape: tuple[int, ...]) -> Any:
    """Whole numbers in a random order: no small step changes which is larger."""
    count = math.prod(shape)
    return _leaf(np.random.default_rng(1).permutation(count).reshape(shape))


def _away_from_zero(shape: tuple[int, ...]) -> Any:
    """Of both signs, at least 0.5: powers and roots are smooth there."""
    x = random_array(shape, 1)
    return _leaf(x + 0.5 * np.sign(x))


def _adaptive(draw: st.DrawFn) -> AdaptiveDims:
    rank = draw(st.integers(1, 3))
    longest = {1: 9, 2: 5, 3: 3}[rank]
    spatial = draw(st.lists(st.integers(1, longest), min_size=rank, max_size=rank))
    size = draw(st.lists(st.integers(1, longest + 1), min_size=rank, max_size=rank))
    return AdaptiveDims.of((draw(st.integers(1, 2)), draw(st.integers(1, 2)), *spatial), tuple(size))


adaptive_dims = st.composite(_adaptive)


@_SOME
@given(pool_dims(), st.sampled_from(_NORMS))
def test_lp_pool(dims: PoolDims, p: float) -> None:
    assume(math.prod(dims.input_shape) <= 200 and math.prod(dims.output_shape) <= 200)
    x = _away_from_zero(dims.input_shape)
    y = apply("lp_pool", x, dims=dims, norm_type=p, op="p")
    if p in (1.0, 3.0):
        # A root of a sum that cancels is steep, and one of a sum of 0 has no slope.
        assume(np.abs(y.detach().numpy()).min() > 0.5)
    elif not dims.every_window_sees_input:
        return
    assert gradcheck(lambda a: apply("lp_pool", a, dims=dims, norm_type=p, op="p"), (x,))


@_FEW
@given(pool_dims(ranks=(1, 2)), st.sampled_from([2.0, 3.0, 4.0, 1.5, 2.5]))
def test_lp_pool_twice(dims: PoolDims, p: float) -> None:
    assume(math.prod(dims.input_shape) <= 40 and dims.every_window_sees_input)
    x = _leaf(np.abs(_away_from_zero(dims.input_shape).detach().numpy()))
    assert gradgradcheck(lambda a: apply("lp_pool", a, dims=dims, norm_type=p, op="p"), (x,))


def test_lp_pool_three_times() -> None:
    """Each gradient is made of operations that have one."""
    x = _leaf([[1.0, 2.0, 3.0, 4.0]])
    (first,) = tw.autograd.grad(F.lp_pool1d(x, 2, 4), x, tw.ones(1, 1, dtype=tw.float64), create_graph=True)
    (second,) = tw.autograd.grad(first[0, 0], x, create_graph=True)
    (third,) = tw.autograd.grad(second[0, 0], x)
    # Of r = |x|: r' = x₀/r, r'' = 1/r − x₀²/r³, and its derivative by x₀ and by another.
    values, r = np.array([1.0, 2.0, 3.0, 4.0]), math.sqrt(30)
    expected = -values / r**3 + 3 * values / r**5
    expected[0] = -3 / r**3 + 3 / r**5
    assert_same(third, expected[None], rtol=1e-12, atol=1e-12, reason="a few products, float64")


@_SOME
@given(adaptive_dims())
def test_adaptive_pools(dims: AdaptiveDims) -> None:
    x = _distinct(dims.input_shape)
    assert gradcheck(lambda a: apply("adaptive_avg_pool", a, dims=dims, op="p"), (x,))
    assert gradcheck(lambda a: apply("adaptive_max_pool", a, dims=dims, indices=True, op="p")[0], (x,))


@_FEW
@given(adaptive_dims())
def test_adaptive_pools_twice(dims: AdaptiveDims) -> None:
    assume(math.prod(dims.input_shape) <= 30 and math.prod(dims.output_shape) <= 30)
    x = _distinct(dims.input_shape)
    assert gradgradcheck(lambda a: apply("adaptive_avg_pool", a, dims=dims, op="p"), (x,))
    assert gradgradcheck(lambda a: apply("adaptive_max_pool", a, dims=dims, indices=True, op="p")[0], (x,))
    # Squared, so that the second gradient is no zero.
    assert gradgradcheck(lambda a: apply("adaptive_avg_pool", a, dims=dims, op="p") ** 2, (x * 0.1,))


@pytest.mark.parametrize("shared", [False, True])
def test_unpooling_also_where_values_share_a_place(shared: bool) -> None:
    rng = np.random.default_rng(2)
    indices = (
        rng.integers(0, 12, (2, 2, 2, 3))
        if shared
        else rng.permuted(np.broadcast_to(np.arange(12), (2, 2, 12)), axis=2)[..., :6].reshape(2, 2, 2, 3)
    )
    x = _leaf(rng.standard_normal((2, 2, 2, 3)))

    def unpool(a: Any) -> Any:
        return F.max_unpool2d(a, indices, (2, 1), output_size=(4, 3))

    assert gradcheck(unpool, (x,))
    assert gradgradcheck(unpool, (x,))
    assert gradgradcheck(lambda a: unpool(a) ** 2, (x,))


def test_pools_with_everything_pytorch_has_not_got() -> None:
    x = _distinct((1, 2, 6, 5))
    arguments: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}
    for pool in (
        lambda a: F.max_pool2d(a, 2, **arguments),
        lambda a: F.avg_pool2d(a, 2, **arguments, count_include_pad=False, ceil_mode=True),
        lambda a: F.avg_pool2d(a, 2, **arguments, divisor_override=3),
        lambda a: F.lp_pool2d(a + 1.0, 2.5, 2, **arguments, ceil_mode=True),
        lambda a: F.lp_pool2d(a, math.inf, 2, **arguments),
        lambda a: F.max_pool2d(a, 3, 2, "same"),
        lambda a: F.global_max_pool(a[0], rank=2),
    ):
        assert gradcheck(pool, (x,))
        assert gradgradcheck(lambda a, pool=pool: (pool(a) * 0.1) ** 2, (x,))


def test_gradients_of_arrays_that_are_views() -> None:
    """A pool of a slice and of a transposed Tensor: the gradient finds its way back."""
    x = _distinct((2, 3, 8, 6))

    def pools(a: Any) -> Any:
        part = a[:, :, 1:7:2].transpose(2, 3)
        return F.lp_pool2d(part + 1.0, 2, 2) + F.adaptive_avg_pool2d(part, (3, 1)) * F.adaptive_max_pool2d(
            part, (3, 1)
        )

    assert gradcheck(pools, (x,), rtol=1e-5)
