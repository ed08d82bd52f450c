"""Gradients of convolution and pooling by finite differences in float64, and gradients of gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from geometries import conv_dims, pool_dims, random_array
from hypothesis import assume, given, settings

import tilewright as tw
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.autograd.tape import apply
from tilewright.geometry import ConvDims, PoolDims

# Finite differences take two evaluations an element, so these run on fewer and smaller cases.
_SOME = settings(max_examples=60)
_FEW = settings(max_examples=12)


def _leaf(shape: tuple[int, ...], seed: int) -> Any:
    return tw.tensor(random_array(shape, seed), requires_grad=True)


def _small(dims: ConvDims | PoolDims, most: int) -> None:
    assume(np.prod(dims.input_shape) <= most and np.prod(dims.output_shape) <= most)


@_SOME
@given(conv_dims())
def test_convolution(dims: ConvDims) -> None:
    _small(dims, 400)
    operands = _leaf(dims.input_shape, 1), _leaf(dims.weight_shape, 2), _leaf((dims.out_channels,), 3)
    assert gradcheck(lambda x, w, b: apply("conv", x, w, b, dims=dims, op="conv"), operands)


@_SOME
@given(conv_dims())
def test_transposed_convolution(dims: ConvDims) -> None:
    _small(dims, 400)
    operands = _leaf(dims.output_shape, 1), _leaf(dims.weight_shape, 2), _leaf((dims.in_channels,), 3)
    assert gradcheck(lambda x, w, b: apply("conv_data_gradient", x, w, b, dims=dims, op="conv"), operands)


@_FEW
@given(conv_dims(ranks=(1, 2)))
def test_convolution_twice(dims: ConvDims) -> None:
    _small(dims, 60)
    operands = _leaf(dims.input_shape, 1), _leaf(dims.weight_shape, 2)
    assert gradgradcheck(lambda x, w: apply("conv", x, w, None, dims=dims, op="conv"), operands)


@_SOME
@given(pool_dims())
def test_pools(dims: PoolDims) -> None:
    _small(dims, 300)
    assume(dims.every_window_sees_input)
    # Distinct values far apart, so that a small step never changes which sample is largest.
    order = np.random.default_rng(1).permutation(int(np.prod(dims.input_shape)))
    x = tw.tensor(order.reshape(dims.input_shape).astype(np.float64), requires_grad=True)
    assert gradcheck(lambda a: apply("max_pool", a, dims=dims, indices=True, op="p")[0], (x,))
    for count in (True, False):
        assert gradcheck(
            lambda a, count=count: apply(
                "avg_pool", a, dims=dims, count_include_pad=count, divisor=None, op="p"
            ),
            (x,),
        )


def test_pools_twice() -> None:
    x = tw.tensor(
        np.random.default_rng(1).permutation(np.arange(36.0)).reshape(1, 1, 6, 6), requires_grad=True
    )
    dims = PoolDims.of((1, 1, 6, 6), 3, stride=2, padding=1)
    assert gradgradcheck(lambda a: apply("max_pool", a, dims=dims, indices=True, op="p")[0], (x,))
    assert gradgradcheck(
        lambda a: apply("avg_pool", a, dims=dims, count_include_pad=True, divisor=None, op="p"), (x,)
    )


def test_the_weight_gradient_sums_over_the_batch() -> None:
    """Two rows 0…6 and 1…7: each goes its own way, and the kernel's gradient adds up."""
    rows = np.stack([np.arange(7.0), np.arange(1.0, 8.0)])[:, None]
    weight = tw.ones(1, 1, 3, dtype=tw.float64, requires_grad=True)
    tw.conv(tw.tensor(rows), weight, padding=1).sum().backward()
    separate = np.zeros((1, 1, 3))
    for row in rows:
        alone = tw.ones(1, 1, 3, dtype=tw.float64, requires_grad=True)
        tw.conv(tw.tensor(row[None]), alone, padding=1).sum().backward()
        separate += alone.grad.numpy()
    np.testing.assert_array_equal(weight.grad.numpy(), separate)


def test_gradients_are_only_computed_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from tilewright.autograd import rules_window

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("the input's gradient was computed though nobody asked")

    x, w = tw.randn(2, 3, 5), tw.randn(4, 3, 2, requires_grad=True)
    y = tw.conv(x, w)
    monkeypatch.setattr(rules_window.conv_op, "conv_data_gradient", refuse)
    y.sum().backward()
    assert w.grad is not None
