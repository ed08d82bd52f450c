"""Masked convolution against the definition in plain loops, and its gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import conv_dims, random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_of_dtypes import HALVES, dtype_named, sample, wide

import tilewright as tw
import tilewright.functional as F
from tilewright import reference
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.geometry import ConvDims

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same numbers"}
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sums in another order, float64"}
_MODES = (False, "weights", "count")


def by_definition(
    dims: ConvDims, x: Any, w: Any, bias: Any, mask: Any, mode: Any, fill: float | None
) -> tuple[Any, Any]:
    """The table of masked_conv's docstring, output by output; and where windows hold anything."""
    shape = (dims.batch, dims.in_channels, *dims.spatial)
    laid = reference.conv.lay_out(dims, np.where(mask, x, 0.0))
    there = reference.conv.lay_out(dims, np.broadcast_to(mask, shape).astype(float)) == 1
    y, held = np.zeros(dims.output_shape), np.zeros(dims.output_shape, bool)
    outputs, inputs = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    for n, k, *place in itertools.product(*map(range, dims.output_shape)):
        first = k // outputs * inputs
        window = tuple(
            slice(o * s, o * s + reach + 1, d)
            for o, s, reach, d in zip(place, dims.stride, dims.reach, dims.dilation, strict=True)
        )
        at = (n, slice(first, first + inputs), *window)
        total, weight, count = (w[k] * laid[at]).sum(), np.abs(w[k]).sum(), there[at].sum()
        if mode == "weights" and count:
            total *= weight / np.abs(w[k])[there[at]].sum()
        if mode == "count" and count:
            total *= w[k].size / count
        y[n, k, *place] = fill if fill is not None and not count else total + bias[k]
        held[n, k, *place] = count > 0
    return y, held


def _mask(dims: ConvDims, kind: str, share: float, seed: int) -> Any:
    shape = {
        "full": dims.input_shape,
        "channels alike": (dims.batch, 1, *dims.spatial),
        "samples alike": (1, dims.in_channels, *dims.spatial),
        "places": dims.spatial,
    }[kind]
    return np.random.default_rng(seed).random(shape) < share


@given(
    conv_dims(ranks=(1, 3), input_dilation=False),
    st.sampled_from(_MODES),
    st.sampled_from(["full", "channels alike", "samples alike", "places"]),
    st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    st.sampled_from([None, -3.0, np.nan]),
)
@settings(max_examples=150)
def test_against_the_definition(
    dims: ConvDims, mode: Any, kind: str, share: float, fill: float | None
) -> None:
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    bias, mask = random_array((dims.out_channels,), 3), _mask(dims, kind, share, 4)
    # What is missing is poisoned.
    poison = np.random.default_rng(5).choice([np.nan, np.inf, -np.inf], dims.input_shape)
    poisoned = np.where(mask, x, poison)
    options = {"mask": mask, "normalize": mode, "fill": fill, "return_mask": True}
    y, held = F.masked_conv(
        poisoned, w, bias, dims.stride, dims.padding, dims.dilation, dims.groups, **options
    )
    expected, wanted = by_definition(dims, x, w, bias, mask, mode, fill)
    assert_same(y, expected, rtol=1e-10, atol=1e-10, reason="the same sums in another order, float64")
    assert held.dtype == np.bool_
    assert_same(np.array(np.broadcast_to(held, wanted.shape)), wanted, **_EXACT)


def test_by_hand() -> None:
    x = np.array([[1.0, 2.0, np.nan, 4.0, 5.0]])
    w = np.array([[[1.0, 2.0, 1.0]]])
    assert F.conv1d(x, w, mask="nan").tolist() == [[5.0, 6.0, 13.0]]
    # 1·1 + 2·2 of weights 1 + 2 among 4; 1·2 + 1·4 of 1 + 1; 2·4 + 1·5 of 2 + 1.
    assert F.conv1d(x, w, mask="nan", normalize="weights")[0].tolist() == pytest.approx([20 / 3, 12, 52 / 3])
    assert F.conv1d(x, w, mask="nan", normalize="count")[0].tolist() == [7.5, 9.0, 19.5]
    assert F.conv1d(x, w, np.array([10.0]), mask="nan", normalize="count")[0].tolist() == [17.5, 19.0, 29.5]
    assert (
        F.conv1d(x, w, mask="nan", normalize=True).tolist()
        == F.conv1d(x, w, mask="nan", normalize="weights").tolist()
    )


def test_nothing_there() -> None:
    x, w, bias = np.full((1, 4), np.nan), np.ones((2, 1, 2)), np.array([1.0, -1.0])
    for mode in _MODES:
        y, held = F.masked_conv(x, w, bias, normalize=mode, return_mask=True)
        assert y.tolist() == [[1.0] * 3, [-1.0] * 3]
        assert held.tolist() == [[False] * 3]
        assert F.masked_conv(x, w, bias, normalize=mode, fill=7.0).tolist() == [[7.0] * 3] * 2
        assert np.isnan(F.masked_conv(x, w, bias, normalize=mode, fill=np.nan)).all()
    # Something is there, but its weight is 0: nothing to make up with.
    y, held = F.masked_conv(
        np.array([[1.0, np.nan]]), np.array([[[0.0, 1.0]]]), normalize="weights", fill=9.0, return_mask=True
    )
    assert y.tolist() == [[0.0]] and held.tolist() == [[True]]


def test_everything_there_is_plain_convolution() -> None:
    x, w, bias = random_array((2, 4, 9, 8), 1), random_array((6, 2, 3, 3), 2), random_array((6,), 3)
    plain = F.conv2d(x, w, bias, 2, groups=2)
    for mode in _MODES:
        for mask in (
            None,
            "nan",
            np.ones((9, 8), bool),
            np.ones((2, 1, 9, 8)),
            np.ones((1, 1, 9, 8), np.uint8),
        ):
            y = F.conv2d(x, w, bias, 2, groups=2, mask=mask, normalize=mode)
            assert_same(y, plain, **_FLOAT64)
    padded = F.conv2d(x, w, bias, padding=5, groups=2)
    # Also where a window lies in the padding alone.
    assert_same(F.conv2d(x, w, bias, padding=5, groups=2, mask="nan"), padded, **_EXACT)


def test_padding_is_missing_and_its_copies_are_not() -> None:
    x = np.array([[2.0, 2.0, 2.0, np.nan]])
    w = np.full((1, 1, 3), 1 / 3)
    # A mean of what is there stays 2 up to the border and beyond the hole.
    y = F.conv1d(x, w, padding=1, mask="nan", normalize="weights")
    assert_same(y, np.full((1, 4), 2.0), rtol=1e-15, atol=0, reason="a rounding of the quotient")
    # Reflected, the hole is not at the border: 2 3 | 2 2 2 nan | 2 2.
    y, held = F.masked_conv(x, w, padding=2, padding_mode="replicate", return_mask=True)
    assert_same(y, np.array([[2.0, 2.0, 2.0, 4 / 3, 2 / 3, 0.0]]), rtol=1e-15, atol=0, reason="a rounding")
    assert held.tolist() == [[True] * 5 + [False]]
    without = F.conv1d(np.ones((1, 3)), np.ones((1, 1, 3)), padding=1, normalize="count")
    assert without.tolist() == [[3.0, 3.0, 3.0]]


def test_every_convolution_takes_a_mask() -> None:
    for rank, name in ((1, "conv1d"), (2, "conv2d"), (3, "conv3d")):
        x, w = random_array((2, 3, *(5,) * rank), 1), random_array((4, 3, *(2,) * rank), 2)
        mask = np.random.default_rng(3).random(x.shape) < 0.5
        expected = getattr(F, name)(np.where(mask, x, 0.0), w)
        for function in (getattr(F, name), tw.conv, F.masked_conv):
            assert_same(function(x, w, mask=mask), expected, **_EXACT)
        flipped = w[(slice(None), slice(None), *(slice(None, None, -1),) * rank)]
        assert_same(tw.convolve(x, w, mask=mask), function(x, flipped, mask=mask), **_FLOAT64)
        unbatched = getattr(F, name)(x[1], w, mask=mask[1], normalize="weights")
        assert_same(unbatched, getattr(F, name)(x, w, mask=mask, normalize="weights")[1], **_EXACT)


def test_tensors_and_arrays() -> None:
    x, w = random_array((2, 3, 6), 1), random_array((4, 3, 3), 2)
    mask = x > 0
    expected, held = F.masked_conv(x, w, mask=mask, normalize="weights", return_mask=True)
    assert type(held) is np.ndarray
    t, found = F.masked_conv(tw.tensor(x), w, mask=tw.tensor(mask), normalize="weights", return_mask=True)
    assert_same(t, expected, **_EXACT)
    assert_same(found, held, **_EXACT)
    assert found.dtype == tw.bool and found.shape == (2, 1, 4)
    # Each group sees its own channels of the mask.
    _, held = F.masked_conv(x[:, :2], w[:, :1], groups=2, mask=mask[:, :2], return_mask=True)
    assert held.shape == (2, 4, 4)


def _leaves(groups: int, x: Any) -> tuple[Any, Any, Any]:
    operands = x, random_array((4, 4 // groups, 2, 3), 2), random_array((4,), 3)
    return tuple(tw.tensor(operand, requires_grad=True) for operand in operands)  # type: ignore[return-value]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("channels", [1, 4])
def test_gradients_by_finite_differences(groups: int, mode: Any, channels: int) -> None:
    mask = np.random.default_rng(1).random((2, channels, 4, 5)) < 0.4
    leaves = _leaves(groups, random_array((2, 4, 4, 5), 1))

    def function(x: Any, w: Any, b: Any) -> Any:
        return F.masked_conv(x, w, b, (2, 1), 1, 1, groups, mask=mask, normalize=mode, fill=2.0)

    assert gradcheck(function, leaves)
    small = tuple(
        tw.tensor(leaf.numpy(force=True)[..., :3].copy(), requires_grad=True) for leaf in leaves[:2]
    )

    def once(x: Any, w: Any) -> Any:
        return F.conv2d(x, w, None, 1, 1, 1, groups, mask=mask[:1, ..., :3], normalize=mode)

    assert gradgradcheck(
        once, (tw.tensor(small[0].numpy(force=True)[:1].copy(), requires_grad=True), small[1])
    )


@pytest.mark.parametrize("mode", _MODES)
def test_what_is_missing_has_no_gradient_and_gives_none(mode: Any) -> None:
    x = random_array((2, 4, 4, 5), 1)
    mask = np.random.default_rng(1).random((2, 4, 4, 5)) < 0.4
    for poison in (np.nan, np.inf):
        t, w, b = _leaves(1, np.where(mask, x, poison))
        clean, v, c = _leaves(1, np.where(mask, x, 0.0))
        F.masked_conv(t, w, b, padding=1, mask=mask, normalize=mode).sum().backward()
        F.masked_conv(clean, v, c, padding=1, mask=mask, normalize=mode).sum().backward()
        assert (t.grad.numpy()[~mask] == 0).all()
        for mine, other in ((t, clean), (w, v), (b, c)):
            assert_same(mine.grad, other.grad, **_EXACT)
        # "nan" is the same mask.
        if np.isnan(poison):
            again, u, d = _leaves(1, np.where(mask, x, poison))
            F.masked_conv(again, u, d, padding=1, normalize=mode).sum().backward()
            assert_same(again.grad, t.grad, **_EXACT)
            assert_same(u.grad, w.grad, **_EXACT)


def test_float32_denominators_stay_exact_where_winograd_would_round() -> None:
    # One sample in a corner of a tile of Winograd's algorithm, and nothing in the rest of it.
    x = np.zeros((1, 64, 12, 12), np.float32)
    mask = np.zeros((1, 64, 12, 12), bool)
    mask[0, :, 2, 2] = True
    x[mask] = 1.0
    w = np.abs(random_array((64, 64, 3, 3), 1, np.float32))
    y, held = F.masked_conv(x, w, padding=1, mask=mask, normalize="weights", fill=np.nan, return_mask=True)
    sees = np.zeros((12, 12), bool)
    sees[1:4, 1:4] = True
    assert (held[0, 0] == sees).all()
    assert (np.isnan(y[0]) == ~sees).all()
    whole = w.sum(axis=(1, 2, 3), dtype=np.float64)[:, None, None]
    close = {
        "rtol": 2e-4,
        "atol": 0,
        "reason": "Winograd's error is relative to its tile: 9 taps there, 1 here",
    }
    assert_same(y[0][:, 1:4, 1:4], np.broadcast_to(whole, (64, 3, 3)).astype(np.float32), **close)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("mode", _MODES)
def test_halves_are_rounded_once(name: str, mode: Any) -> None:
    x, w, b = (sample(shape, seed, name) for seed, shape in enumerate([(2, 3, 9), (4, 3, 3), (4,)]))
    mask = wide(x) > -0.3
    options = {"padding": 1, "mask": mask, "normalize": mode, "fill": 0.1}
    y = F.masked_conv(x, w, b, **options)
    single = F.masked_conv(*(operand.astype(np.float32) for operand in (x, w, b)), **options)
    assert y.dtype == dtype_named(name)
    empty = ~F.masked_conv(x, w, b, **{**options, "return_mask": True})[1]
    # The filler is what the half holds of 0.1.
    rounded = single.astype(y.dtype)
    rounded[np.broadcast_to(empty, rounded.shape)] = y.dtype.type(0.1)
    assert_same(y, rounded, **_EXACT)


def test_integers_and_complex_numbers() -> None:
    x = np.arange(1, 7)[None]
    mask = np.array([1, 1, 0, 0, 0, 1])
    assert F.conv1d(x, np.ones((1, 1, 2), int), mask=mask).tolist() == [[3, 2, 0, 0, 6]]
    assert F.masked_conv(x, np.ones((1, 1, 2), int), mask=mask, fill=-1).tolist() == [[3, 2, -1, -1, 6]]
    z, w = sample((1, 2, 7), 1, "complex128"), sample((3, 2, 3), 2, "complex128")
    holes = z.copy()
    holes[0, :, 3] = complex(0, np.nan)
    y = F.conv1d(holes, w, normalize="weights", mask="nan")
    there = np.arange(7) != 3
    for o in range(5):
        window = slice(o, o + 3)
        kept = there[window]
        total = (w * z[0, :, window])[..., kept].sum((1, 2))
        expected = total * np.abs(w).sum((1, 2)) / np.abs(w)[..., kept].sum((1, 2))
        assert_same(y[0, :, o], expected, rtol=1e-13, atol=1e-13, reason="the same sums, complex128")


_X, _W = np.zeros((2, 3, 8)), np.zeros((4, 3, 3))
_BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: F.masked_conv(_X, _W, mask="none"),
        ArgumentError,
        "masked_conv needs mask to be an array, None or 'nan'.",
    ),
    (lambda: F.conv1d(_X, _W, mask=3), DtypeError, "conv1d needs mask to be a NumPy array or a Tensor, None"),
    (
        lambda: F.conv1d(_X, _W, mask=np.ones((3, 8), bool)),
        ShapeError,
        "conv1d needs mask of the input's shape, in which batch and channels may be 1, or of its spatial "
        "shape. Received: mask with shape (3, 8) and dtype bool, input with shape (2, 3, 8) and dtype",
    ),
    (
        lambda: F.conv1d(_X, _W, mask=np.ones((2, 2, 8), bool)),
        ShapeError,
        "Received: mask with shape (2, 2, 8)",
    ),
    (
        lambda: F.conv1d(_X, _W, mask=np.ones((2, 3, 1), bool)),
        ShapeError,
        "Received: mask with shape (2, 3, 1)",
    ),
    (lambda: F.conv1d(_X[0], _W, mask=np.ones((2, 3, 8), bool)), ShapeError, "input with shape (3, 8)"),
    (
        lambda: F.conv1d(_X, _W, mask=np.full(8, 0.5)),
        ArgumentError,
        "conv1d needs a mask of bools, or of the numbers 0 and 1. Received: mask with shape (8,) and dtype "
        "float64. Say which samples are there: mask > 0.",
    ),
    (lambda: F.conv1d(_X, _W, mask=np.array(["a"] * 8)), ArgumentError, "a mask of bools"),
    (
        lambda: F.conv1d(_X, _W, normalize="mean"),
        ArgumentError,
        "conv1d needs normalize to be True, False or one of 'weights', 'count'. Received: normalize='mean'.",
    ),
    (lambda: F.conv1d(_X, _W, normalize=None), ArgumentError, "Received: normalize=None."),
    (
        lambda: F.conv1d(_X.astype(int), _W.astype(int), normalize="count"),
        DtypeError,
        "conv1d normalises weights of floating or complex numbers only. Received: input with shape (2, 3, 8) "
        "and dtype int64, normalize='count'. Convert the operands first",
    ),
    (
        lambda: F.masked_conv(_X.astype(int), _W.astype(int), fill=np.nan),
        ArgumentError,
        "masked_conv needs fill to be a number that the input's dtype int64 can hold. Received: fill=nan.",
    ),
    (lambda: F.masked_conv(_X, _W, fill="0"), ArgumentError, "Received: fill='0'."),
    (
        lambda: F.masked_conv(_X, _W, return_mask=2),
        DtypeError,
        "masked_conv needs return_mask to be True or False",
    ),
    (
        lambda: F.masked_conv(_X, _W, np.zeros(3), normalize=True),
        ShapeError,
        "masked_conv needs bias of shape (4,).",
    ),
    (lambda: F.masked_conv(_X, _W.astype(np.float32)), DtypeError, "input of float64, weight of float32"),
    (lambda: F.masked_conv(_X, _W, padding_mode="x"), ArgumentError, "masked_conv needs padding_mode"),
]


@pytest.mark.parametrize(("call", "kind", "text"), _BAD)
def test_refusals(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
    assert "Received: " in str(caught.value)


def test_empty_batches_and_read_only_masks() -> None:
    mask = np.ones((1, 1, 8), bool)
    mask.flags.writeable = False
    y, held = F.masked_conv(_X[:0], _W, mask=mask, normalize="count", return_mask=True)
    assert y.shape == (0, 4, 6) and held.shape == (0, 1, 6)
    spread = np.broadcast_to(mask, _X.shape)
    assert F.masked_conv(_X, _W, mask=spread[..., ::-1], normalize="weights").shape == (2, 4, 6)
