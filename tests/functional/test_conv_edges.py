"""The edge cases of convolution and transposed convolution that other libraries have stumbled over."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from samples_of_dtypes import sample, wide

import tilewright as tw
import tilewright.functional as F
from tilewright import reference
from tilewright.autograd.gradcheck import gradcheck
from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry import ConvDims

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same numbers"}
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _gradients(dims: ConvDims, **arguments: Any) -> None:
    """Output and gradients of a geometry, through Tensors, against the reference."""
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    bias, gy = random_array((dims.out_channels,), 3), random_array(dims.output_shape, 4)
    leaves = [tw.tensor(operand, requires_grad=True) for operand in (x, w, bias)]
    y = tw.conv(*leaves, dims.stride, dims.padding, dims.dilation, dims.groups, **arguments)
    assert_same(y, reference.conv.forward(dims, x, w, bias), **_FLOAT64)
    y.backward(tw.tensor(gy))
    assert_same(leaves[0].grad, reference.conv.data_gradient(dims, gy, w), **_FLOAT64)
    assert_same(leaves[1].grad, reference.conv.weight_gradient(dims, x, gy), **_FLOAT64)
    assert_same(leaves[2].grad, reference.conv.bias_gradient(gy), **_FLOAT64)


# --- nothing in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.complex64])
def test_an_empty_batch(rank: int, dtype: Any) -> None:
    x = tw.tensor(np.zeros((0, 4, *(6,) * rank), dtype), requires_grad=True)
    w = tw.tensor(np.ones((6, 2, *(3,) * rank), dtype), requires_grad=True)
    bias = tw.tensor(np.ones(6, dtype), requires_grad=True)
    y = _CONV[rank](x, w, bias, 2, 1, 1, 2)
    assert y.shape == (0, 6, *(3,) * rank)
    assert y.dtype == x.dtype
    y.backward(tw.tensor(np.ones(y.shape, dtype)))
    for leaf in (x, w, bias):
        assert_same(leaf.grad, np.zeros(leaf.shape, dtype), **_EXACT)
    back = tw.tensor(np.zeros((0, 6, *(3,) * rank), dtype), requires_grad=True)
    v = tw.tensor(np.ones((6, 2, *(3,) * rank), dtype), requires_grad=True)
    z = _TRANSPOSED[rank](back, v, None, 2, 1, 1, 2)
    assert z.shape == (0, 4, *(6,) * rank)
    z.backward(tw.tensor(np.ones(z.shape, dtype)))
    assert_same(v.grad, np.zeros(v.shape, dtype), **_EXACT)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_channels(rank: int) -> None:
    bias = np.array([1.0, -2.0])
    x, w = np.zeros((3, 0, *(5,) * rank)), np.zeros((2, 0, *(3,) * rank))
    leaves = [tw.tensor(operand, requires_grad=True) for operand in (x, w, bias)]
    y = _CONV[rank](*leaves)
    spread = np.broadcast_to(bias.reshape(-1, *(1,) * rank), (3, 2, *(3,) * rank))
    assert_same(y, np.array(spread), **_EXACT)
    y.sum().backward()
    assert leaves[0].grad.shape == x.shape and leaves[1].grad.shape == w.shape
    assert leaves[2].grad.tolist() == [3.0 * 3**rank] * 2
    # No channels come out, either.
    none = _CONV[rank](np.ones((3, 2, *(5,) * rank)), np.zeros((0, 2, *(3,) * rank)))
    assert none.shape == (3, 0, *(3,) * rank)
    z = _TRANSPOSED[rank](np.zeros((3, 0, *(5,) * rank)), np.zeros((0, 2, *(3,) * rank)), bias)
    assert_same(z, np.array(np.broadcast_to(bias.reshape(-1, *(1,) * rank), (3, 2, *(7,) * rank))), **_EXACT)


def test_an_empty_axis_with_room_for_the_kernel_in_its_padding() -> None:
    x = tw.tensor(np.zeros((2, 3, 0, 4)), requires_grad=True)
    w = tw.tensor(np.ones((5, 3, 2, 2)), requires_grad=True)
    bias = np.arange(5.0)
    y = F.conv2d(x, w, tw.tensor(bias), padding=(1, 0))
    assert_same(y, np.array(np.broadcast_to(bias[:, None, None], (2, 5, 1, 3))), **_EXACT)
    y.sum().backward()
    assert_same(w.grad, np.zeros((5, 3, 2, 2)), **_EXACT)
    assert x.grad.shape == (2, 3, 0, 4)
    with pytest.raises(ShapeError, match="needs the window to fit into the padded input"):
        F.conv2d(x, w)
    with pytest.raises(ShapeError, match="an input without empty spatial axes"):
        F.conv_transpose2d(np.zeros((1, 3, 0, 4)), np.ones((3, 1, 2, 2)))


# --- refused, and in which words --------------------------------------------------------------------------

_X, _W = np.zeros((2, 4, 7, 7)), np.zeros((6, 4, 3, 3))
_V = np.zeros((4, 6, 3, 3))
_BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: F.conv2d(_X, np.zeros((6, 4, 8, 3))),
        ShapeError,
        "conv2d needs the window to fit into the padded input. Received: padded input of size (7, 7), window "
        "of size (8, 3). Pad more, or use a smaller kernel or dilation.",
    ),
    (lambda: F.conv2d(_X, _W, dilation=4), ShapeError, "padded input of size (7, 7), window of size (9, 9)."),
    (lambda: F.conv2d(_X, _W, padding=-3), ShapeError, "padded input of size (1, 1), window of size (3, 3)."),
    (
        lambda: F.conv1d(_X[0], np.zeros((6, 7, 3)), padding=((0, -6),)),
        ShapeError,
        "padded input of size (1,)",
    ),
    (
        lambda: F.conv2d(_X, _W, stride=0),
        ArgumentError,
        "conv2d needs stride to be at least 1. Received: stride=0.",
    ),
    (
        lambda: F.conv2d(_X, _W, stride=(1, 0)),
        ArgumentError,
        "conv2d needs stride to be at least 1. Received: stride=0.",
    ),
    (
        lambda: F.conv2d(_X, _W, dilation=0),
        ArgumentError,
        "conv2d needs dilation to be at least 1. Received:",
    ),
    (
        lambda: F.conv2d(_X, _W, dilation=-1),
        ArgumentError,
        "needs dilation to be at least 1. Received: dilation=-1.",
    ),
    (
        lambda: F.conv2d(_X, _W, groups=0),
        ArgumentError,
        "conv2d needs groups to be at least 1. Received: groups=0.",
    ),
    (lambda: F.conv2d(_X, _W, groups=3), ShapeError, "With groups=3 this weight takes 12 channels."),
    (
        lambda: F.conv2d(_X, np.zeros((5, 2, 3, 3)), groups=2),
        ShapeError,
        "out_channels to be divisible by groups.",
    ),
    (
        lambda: F.conv2d(_X, _W, stride=(2,)),
        ArgumentError,
        "2 of them, one per spatial axis. Received: stride=(2,).",
    ),
    (lambda: F.conv2d(_X, _W, stride=()), ArgumentError, "Received: stride=()."),
    (lambda: F.conv2d(_X, _W, dilation=(1, 1, 1)), ArgumentError, "Received: dilation=(1, 1, 1)."),
    (lambda: F.conv2d(_X, _W, padding=(1,)), ArgumentError, "Received: padding=(1,)."),
    (lambda: F.conv2d(_X, _W, stride=1.0), ArgumentError, "stride to be an integer. Received: stride=1.0."),
    (lambda: F.conv2d(_X, _W, stride=None), ArgumentError, "stride to be an integer. Received: stride=None."),
    (lambda: F.conv2d(_X, _W, groups=True), ArgumentError, "groups to be an integer. Received: groups=True."),
    (
        lambda: F.conv_transpose2d(_X, _V, stride=0),
        ArgumentError,
        "conv_transpose2d needs stride to be at least 1.",
    ),
    (
        lambda: F.conv_transpose2d(_X, _V, dilation=0),
        ArgumentError,
        "conv_transpose2d needs dilation to be at least",
    ),
    (
        lambda: F.conv_transpose2d(_X, _V, groups=3),
        ShapeError,
        "in_channels to be divisible by groups. Received:",
    ),
    (lambda: F.conv_transpose2d(_X, _V, stride=(2,)), ArgumentError, "Received: stride=(2,)."),
    (lambda: F.conv_transpose2d(_X, _V, padding=9), ShapeError, "an output of at least size 0 on every axis"),
    (
        lambda: F.conv_transpose2d(_X, _V, stride=2, output_padding=2),
        ArgumentError,
        "output_padding to be smaller than the larger of stride and dilation",
    ),
    (
        lambda: F.conv_transpose2d(_X, _V, output_padding=(0,)),
        ArgumentError,
        "Received: output_padding=(0,).",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), _BAD)
def test_refusals(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
    assert "Received: " in str(caught.value)


# --- gradients of awkward geometries ----------------------------------------------------------------------


def test_the_input_gradient_where_the_stride_leaves_a_remainder() -> None:
    # 32 samples, padded to 34: windows of 5 start at 0, 3, …, 27 and see up to sample 30; 31 is never seen.
    x, w = np.zeros((1, 1, 32)), np.ones((1, 1, 5))
    t = tw.tensor(x, requires_grad=True)
    F.conv1d(t, tw.tensor(w), stride=3, padding=1).sum().backward()
    starts = 3 * np.arange(10) - 1
    expected = [sum(start <= i <= start + 4 for start in starts) for i in range(32)]
    assert t.grad.tolist() == [[expected]]
    assert expected[31] == 0 and expected[30] == 1
    for rank in (1, 2, 3):
        size = (32,) * rank if rank < 3 else (8, 32, 5)
        dims = ConvDims.of((2, 3, *size), (4, 3, *(5,) * rank), stride=3, padding=1)
        _gradients(dims)
        wanted = tuple((n + 2 - 5) % 3 for n in size)
        assert any(wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_depthwise_weight_gradient_of_24_channels_and_stride_2(dtype: Any) -> None:
    for size, kernel in (((15, 14), 3), ((9, 8), 5), ((7,), 3)):
        shape, weight = (3, 24, *size), (24, 1, *(kernel,) * len(size))
        dims = ConvDims.of(shape, weight, stride=2, padding=kernel // 2, groups=24)
        x, gy = random_array(shape, 1, dtype), random_array(dims.output_shape, 2, dtype)
        w = tw.tensor(random_array(weight, 3, dtype), requires_grad=True)
        F_conv = _CONV[len(size)]
        F_conv(tw.tensor(x), w, None, 2, kernel // 2, 1, 24).backward(tw.tensor(gy))
        exact = reference.conv.weight_gradient(dims, x.astype(np.float64), gy.astype(np.float64))
        # 3·8·7 products of order 1; their sum rounds to about 1e-6 in float32.
        close = {"rtol": 1e-5, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
        assert_same(w.grad, exact.astype(dtype), **close, reason="a sum of 168 products in another order")
    _gradients(ConvDims.of((2, 24, 9, 8), (48, 1, 3, 3), stride=2, padding=1, groups=24))


def test_grouped_strided_three_dimensional() -> None:
    _gradients(ConvDims.of((2, 6, 7, 6, 5), (9, 2, 3, 2, 3), stride=(2, 1, 3), padding=(1, 0, 2), groups=3))
    _gradients(ConvDims.of((1, 4, 5, 5, 5), (8, 2, 2, 3, 1), stride=2, dilation=(2, 1, 1), groups=2))
    leaves = [
        tw.tensor(random_array(shape, seed), requires_grad=True)
        for seed, shape in enumerate([(1, 4, 3, 2, 3), (4, 1, 2, 2, 2), (2,)])
    ]
    assert gradcheck(lambda x, w, b: F.conv_transpose3d(x, w, b, 2, 1, (1, 0, 1), 2), leaves)


# --- memory as it comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "complex64", "int16"])
def test_axes_of_size_1_with_odd_strides(name: str) -> None:
    """A size of 1 makes a stride meaningless: NumPy and others leave any number there."""
    whole = sample((1, 3, 1, 8), 1, name)
    item = whole.itemsize
    # Strides that are negative, 0, odd in bytes, or larger than the array.
    for odd in (-8 * item, 0, 7, 1 << 40):
        strides = (odd, whole.strides[1], odd, whole.strides[3])
        x = np.lib.stride_tricks.as_strided(whole, whole.shape, strides)
        w = sample((3, 3, 1, 3), 2, name)
        for function, weight in ((F.conv2d, w), (F.conv_transpose2d, np.moveaxis(w, 0, 1))):
            y = function(x, weight)
            assert_same(y, function(whole, weight), **_EXACT)
        v = np.lib.stride_tricks.as_strided(w, w.shape, (*w.strides[:2], odd, w.strides[3]))
        assert_same(F.conv2d(whole, v), F.conv2d(whole, w), **_EXACT)
        assert_same(F.unfold(x, (1, 2)), F.unfold(whole, (1, 2)), **_EXACT)
    if name.startswith("float"):
        t = tw.tensor(whole, requires_grad=True)
        column = t[:, :, :, 3:4]
        F.conv2d(column, tw.tensor(np.ones((2, 3, 1, 1), whole.dtype))).sum().backward()
        expected = np.zeros(whole.shape, whole.dtype)
        expected[..., 3] = 2
        assert_same(t.grad, expected, **_EXACT)


def test_expanded_weights() -> None:
    x = random_array((2, 4, 6, 5), 1)
    one = random_array((1, 1, 3, 3), 2)
    spread = np.broadcast_to(one, (6, 4, 3, 3))
    assert_same(F.conv2d(x, spread), F.conv2d(x, spread.copy()), **_FLOAT64)
    back = np.broadcast_to(one, (4, 6, 3, 3))
    assert_same(F.conv_transpose2d(x, back), F.conv_transpose2d(x, back.copy()), **_FLOAT64)
    leaf, dense = tw.tensor(one, requires_grad=True), tw.tensor(spread.copy(), requires_grad=True)
    F.conv2d(tw.tensor(x), leaf.expand(6, 4, 3, 3)).square().sum().backward()
    F.conv2d(tw.tensor(x), dense).square().sum().backward()
    assert_same(leaf.grad, dense.grad.numpy().sum((0, 1), keepdims=True), **_FLOAT64)
    # And an expanded input, bias and upstream gradient.
    row = np.broadcast_to(random_array((1, 1, 1, 5), 3), x.shape)
    bias = np.broadcast_to(np.array(0.5), (6,))
    assert_same(F.conv2d(row, spread, bias), F.conv2d(row.copy(), spread.copy(), bias.copy()), **_FLOAT64)
    t = tw.tensor(x, requires_grad=True)
    F.conv2d(t, tw.tensor(spread.copy())).sum().backward()
    u = tw.tensor(x, requires_grad=True)
    y = F.conv2d(u, tw.tensor(spread.copy()))
    y.backward(tw.ones_like(y))
    assert_same(t.grad, u.grad, **_FLOAT64)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unbatched_everywhere(rank: int) -> None:
    spatial = (6, 5, 4)[:rank]
    x, w = random_array((4, *spatial), 1), random_array((6, 2, *(3,) * rank), 2)
    v, bias = random_array((4, 3, *(3,) * rank), 3), random_array((6,), 4)
    each = (3,) * rank
    columns = random_array((4 * 3**rank, math.prod(n - 2 for n in spatial)), 5)
    calls: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "conv": (lambda x: _CONV[rank](x, w, bias, 2, 1, 1, 2), x),
        "conv of any rank": (lambda x: tw.conv(x, w, bias, padding="same", groups=2), x),
        "convolve": (lambda x: tw.convolve(x, w, groups=2, padding=1, padding_mode="circular"), x),
        "transposed": (lambda x: _TRANSPOSED[rank](x, v, bias, 2, 1, 1, 2), x),
        "transposed, any rank": (lambda x: tw.conv_transpose(x, v, None, 2, groups=2), x),
        "masked": (lambda x: F.masked_conv(x, w, groups=2, normalize="count"), x),
        "unfold": (lambda x: F.unfold(x, each), x),
        "fold": (lambda x: F.fold(x, spatial, each), columns),
        "average": (lambda x: getattr(F, f"avg_pool{rank}d")(x, 2), x),
        "maximum": (lambda x: getattr(F, f"max_pool{rank}d")(x, 2), x),
        "adaptive": (lambda x: getattr(F, f"adaptive_avg_pool{rank}d")(x, 2), x),
    }
    for name, (function, operand) in calls.items():
        alone, batched = tw.tensor(operand, requires_grad=True), tw.tensor(operand[None], requires_grad=True)
        y, z = function(alone), function(batched)
        assert y.shape == z.shape[1:], name
        assert_same(y, z[0], **_EXACT)
        assert_same(function(operand), y.detach(), **_EXACT)
        y.square().sum().backward()
        z.square().sum().backward()
        assert_same(alone.grad, batched.grad[0], **_EXACT)


# --- sizes near the ends of integers ----------------------------------------------------------------------


@pytest.mark.parametrize("edge", [2**31, 2**32, 2**53, 2**62])
def test_geometry_near_the_ends_of_integers(edge: int) -> None:
    """Sizes are Python's integers: nothing wraps round or is rounded on the way."""
    for off in (-3, -2, -1, 0, 1, 2, 3):
        n = edge + off
        dims = ConvDims.of((1, 1, n), (1, 1, 3), padding=1)
        assert dims.output == (n,)
        assert ConvDims.of((1, 1, n), (1, 1, 3), stride=2).output == ((n - 3) // 2 + 1,)
        assert ConvDims.of((1, 1, n), (1, 1, 5), stride=7, dilation=3, padding=((2, 4),)).output == (
            (n + 6 - 12 - 1) // 7 + 1,
        )
        assert ConvDims.of((1, 1, n), (1, 1, 4), padding="same", stride=3).output == (-(-n // 3),)
        assert dims.adjoint().output == (n,)
        back = ConvDims.of_transposed((1, 1, n // 4), (1, 1, 3), stride=4, output_padding=1)
        assert back.spatial == ((n // 4 - 1) * 4 + 2 + 1 + 1,)
        assert back.output == (n // 4,)
        # A dilation, a stride or a padding as large as the input.
        assert ConvDims.of((1, 1, n), (1, 1, 2), dilation=n - 1).output == (1,)
        assert ConvDims.of((1, 1, n), (1, 1, 1), stride=n).output == (1,)
        assert ConvDims.of((1, 1, 1), (1, 1, 1), padding=n // 2, stride=n // 2).output == (
            (2 * (n // 2)) // (n // 2) + 1,
        )
    # Products are beyond 64 bits, and exact.
    side = math.isqrt(edge) + 1
    plane = ConvDims.of((3, 5, side, side), (7, 5, 3, 3), padding=1)
    assert plane.flops == 2 * 3 * 7 * side * side * 45
    assert plane.bytes_moved(8) == 8 * (3 * 5 * side * side + 7 * 45 + 3 * 7 * side * side)


def test_beyond_63_bits_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"needs stride to be below 2\*\*63"):
        ConvDims.of((1, 1, 9), (1, 1, 3), stride=2**63)
    with pytest.raises((ArgumentError, ShapeError), match=r"2\*\*63"):
        ConvDims.of((1, 1, 2**63), (1, 1, 3))


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "complex64", "int8", "int64"])
def test_an_input_of_more_than_2_to_the_31_samples(name: str) -> None:
    """Offsets beyond 32 bits; the samples are all the same one, so that it takes no memory."""
    dtype = np.dtype(name)
    w = np.array([[[1, 2, 3]]], dtype)
    x = np.broadcast_to(dtype.type(2), (1, 1, 2**31 + 5))
    assert wide(F.conv1d(x, w, stride=2**30)).tolist() == [[[12, 12, 12]]]
    plane = np.broadcast_to(dtype.type(2), (1, 1, 2**16, 2**16))
    y = F.conv2d(plane, np.broadcast_to(w[..., None], (1, 1, 3, 2)), stride=2**15)
    assert wide(y).tolist() == [[[[24, 24], [24, 24]]]]
    # Along the second axis, behind one whose samples differ.
    wrapped = np.lib.stride_tricks.as_strided(w, (1, 1, 3, 2**31), (0, 0, w.strides[2], 0))
    assert wide(F.conv2d(wrapped, np.ones((1, 1, 3, 1), dtype), stride=(1, 2**30))).tolist() == [[[[6, 6]]]]
