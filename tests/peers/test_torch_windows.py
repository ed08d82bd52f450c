"""Convolution, transposed convolution and pooling against PyTorch, where PyTorch accepts the case.

Outputs and every gradient, in float64; the cases where PyTorch refuses what this library takes are drawn so
that they stay rare, and a test counts that enough were compared.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import conv_dims, pool_dims, random_array
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tilewright as tw
import tilewright.functional as F
from tilewright.geometry import ConvDims, PoolDims

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import torch.nn.functional as TF  # noqa: E402 - after the skip

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

_SAME_SUM = {"rtol": 1e-10, "atol": 1e-10, "reason": "the same sum in another order, float64"}
_MANY = settings(max_examples=2000)


def _both(array: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """A Tensor and a PyTorch tensor of the same values, both asking for gradients."""
    return tw.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def _compare(ours: Any, theirs: Any, operands: list[tuple[Any, Any]]) -> None:
    assert_same(ours, theirs, **_SAME_SUM)
    gradient = random_array(tuple(ours.shape), 9)
    ours.backward(tw.tensor(gradient))
    theirs.backward(torch.tensor(gradient))
    for mine, other in operands:
        assert_same(mine.grad, other.grad, **_SAME_SUM)


def _symmetric(dims: ConvDims | PoolDims) -> tuple[int, ...]:
    return tuple(low for low, _ in dims.padding)


@_MANY
@given(
    dims=conv_dims(ranks=(1, 3), cropping=False, input_dilation=False, symmetric=True), batched=st.booleans()
)
def test_conv(dims: ConvDims, batched: bool) -> None:
    x = random_array(dims.input_shape, 1)
    if not batched:
        x = x[0]
    operands = [
        _both(x),
        _both(random_array(dims.weight_shape, 2)),
        _both(random_array((dims.out_channels,), 3)),
    ]
    arguments = {
        "stride": dims.stride,
        "padding": _symmetric(dims),
        "dilation": dims.dilation,
        "groups": dims.groups,
    }
    name = f"conv{dims.rank}d"
    ours = getattr(F, name)(*(mine for mine, _ in operands), **arguments)
    theirs = getattr(TF, name)(*(other for _, other in operands), **arguments)
    _compare(ours, theirs, operands)


@_MANY
@given(
    dims=conv_dims(ranks=(1, 3), cropping=False, input_dilation=False, symmetric=True),
    extra=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
)
def test_conv_transpose(dims: ConvDims, extra: tuple[int, ...]) -> None:
    rank = dims.rank
    more = tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, dims.stride, dims.dilation, strict=False))
    large = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            dims.spatial, dims.stride, _symmetric(dims), dims.dilation, dims.kernel, more, strict=True
        )
    ]
    assume(min(large) >= 1)  # PyTorch refuses an empty output
    weight = (dims.in_channels, dims.out_channels // dims.groups, *dims.kernel)
    operands = [
        _both(random_array(dims.input_shape, 1)),
        _both(random_array(weight, 2)),
        _both(random_array((dims.out_channels,), 3)),
    ]
    arguments = {
        "stride": dims.stride,
        "padding": _symmetric(dims),
        "output_padding": more,
        "groups": dims.groups,
        "dilation": dims.dilation,
    }
    name = f"conv_transpose{rank}d"
    ours = getattr(F, name)(*(mine for mine, _ in operands), **arguments)
    theirs = getattr(TF, name)(*(other for _, other in operands), **arguments)
    assert tuple(ours.shape[2:]) == tuple(large)
    _compare(ours, theirs, operands)


@_MANY
@given(dims=pool_dims(ranks=(1, 3)))
def test_max_pool(dims: PoolDims) -> None:
    dims = _as_torch_takes_it(dims)
    mine, other = _both(random_array(dims.input_shape, 1).round(1))
    arguments: dict[str, Any] = {
        "stride": dims.stride,
        "padding": _symmetric(dims),
        "dilation": dims.dilation,
        "ceil_mode": dims.ceil_mode,
        "return_indices": True,
    }
    name = f"max_pool{dims.rank}d"
    y, indices = getattr(F, name)(mine, dims.kernel, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, places = getattr(TF, name)(other, dims.kernel, **arguments)
    assert_same(indices, places, rtol=0, atol=0, reason="positions are exact")
    _compare(y, expected, [(mine, other)])


@_MANY
@given(dims=pool_dims(ranks=(1, 3)), count=st.booleans(), divisor=st.none() | st.integers(1, 9))
def test_avg_pool(dims: PoolDims, count: bool, divisor: int | None) -> None:
    dims = _as_torch_takes_it(dims, dilated=False)
    mine, other = _both(random_array(dims.input_shape, 1))
    arguments: dict[str, Any] = {
        "stride": dims.stride,
        "padding": _symmetric(dims),
        "ceil_mode": dims.ceil_mode,
        "count_include_pad": count,
    }
    if dims.rank > 1:  # PyTorch's avg_pool1d has no divisor
        arguments["divisor_override"] = divisor
    name = f"avg_pool{dims.rank}d"
    ours = getattr(F, name)(mine, dims.kernel, **arguments)
    theirs = getattr(TF, name)(other, dims.kernel, **arguments)
    _compare(ours, theirs, [(mine, other)])


def _as_torch_takes_it(dims: PoolDims, dilated: bool = True) -> PoolDims:
    """The nearest geometry with the symmetric padding, at most half a window, that PyTorch accepts."""
    pads = tuple(min(low, k // 2) for (low, _), k in zip(dims.padding, dims.kernel, strict=True))
    dilation = dims.dilation if dilated else (1,) * dims.rank
    spatial = tuple(
        max(n, d * (k - 1) + 1) for n, d, k in zip(dims.spatial, dilation, dims.kernel, strict=True)
    )
    again = PoolDims.of(
        (dims.batch, dims.channels, *spatial),
        dims.kernel,
        stride=dims.stride,
        padding=pads,
        dilation=dilation,
        ceil_mode=dims.ceil_mode,
    )
    assume(again.every_window_sees_input)
    return again


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_padding_names(padding: str, kernel: int) -> None:
    x, w = random_array((2, 3, 11, 9), 1), random_array((4, 3, kernel, kernel), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = TF.conv2d(torch.tensor(x), torch.tensor(w), padding=padding, dilation=2)
    assert_same(F.conv2d(x, w, padding=padding, dilation=2), theirs, **_SAME_SUM)


def test_double_backward_of_a_small_network() -> None:
    """The gradient of a gradient's norm, through convolution, pooling and a transposed convolution."""
    x, w, v = (random_array(shape, i) for i, shape in enumerate([(2, 3, 9, 8), (4, 3, 3, 3), (4, 2, 2, 2)]))

    def penalty(module: Any, functional: Any, grad: Any) -> tuple[Any, list[Any]]:
        xs, ws, vs = (module.tensor(array, requires_grad=True) for array in (x, w, v))
        hidden = functional.max_pool2d(functional.conv2d(xs, ws, padding=1, stride=2).tanh(), 2, 1)
        y = functional.avg_pool2d(functional.conv_transpose2d(hidden, vs, stride=2), 2)
        (first,) = grad((y * y).sum(), xs, create_graph=True)
        (first * first).sum().backward()
        return first, [xs, ws, vs]

    ours, mine = penalty(tw, F, tw.autograd.grad)
    theirs, others = penalty(torch, TF, torch.autograd.grad)
    assert_same(ours, theirs, **_SAME_SUM)
    for a, b in zip(mine, others, strict=True):
        assert_same(a.grad, b.grad, **_SAME_SUM)
