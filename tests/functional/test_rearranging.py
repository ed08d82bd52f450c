"""Unfold, fold, pixel shuffle: by hand, by definition, adjoints, PyTorch's behaviour, and refusals."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import check_kinds, check_layouts, normal

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_EXACT = {"rtol": 0, "atol": 0, "reason": "numbers are only moved, or small whole numbers added"}
_SUMS = {"rtol": 1e-12, "atol": 1e-12, "reason": "float64 sums of a few dozen products in two orders"}


# --- unfold and fold ---------------------------------------------------------------------------------------


def test_windows_of_a_sequence_by_hand() -> None:
    x = np.array([[[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]])
    assert_same(F.unfold(x, (3,), stride=2)[0], [[1, 3], [2, 4], [3, 5], [6, 8], [7, 9], [8, 10]], **_EXACT)
    assert_same(F.unfold(x[0], (2,), (3,))[:2], [[1, 2], [4, 5]], **_EXACT)
    x = x[:, :1]
    wide = F.unfold(x, (2,), padding=((1, 2),))[0]
    assert_same(wide, [[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 0]], **_EXACT)
    assert_same(F.unfold(x, (2,), padding=((-2, 1),))[0], [[3, 4, 5], [4, 5, 0]], **_EXACT)
    assert_same(F.unfold(x, (3,), padding="same", stride=2)[0, 1:2], [[1, 3, 5]], **_EXACT)
    # A tap that sees nothing but padding.
    assert_same(F.unfold(x[:, :, :1], (2,), padding=((0, 1),))[0], [[1], [0]], **_EXACT)


def test_windows_of_a_picture_by_hand() -> None:
    x = np.arange(1, 10).reshape(1, 1, 3, 3)
    expected = [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
    assert_same(F.unfold(x, 2)[0], expected, **_EXACT)
    assert_same(F.unfold(x[0], (2, 2)), expected, **_EXACT)
    assert_same(F.fold(F.unfold(x, 2), 3, 2)[0, 0], [[1, 4, 3], [8, 20, 12], [7, 16, 9]], **_EXACT)


def test_which_arguments_say_how_many_axes() -> None:
    # With one integer for everything there are two, as in PyTorch; so this has no batch.
    assert F.unfold(np.zeros((2, 3, 4)), 2).shape == (8, 6)
    for arguments in (((2,),), (2, (1,)), (2, 1, (0,)), (2, 1, 0, (1,))):
        assert F.unfold(np.zeros((2, 3, 4)), *arguments).shape == (2, 6, 3)
    assert F.unfold(np.zeros((2, 3, 4, 4, 4)), (2, 2, 2)).shape == (2, 24, 27)
    assert F.fold(np.zeros((2, 24, 27)), (4, 4, 4), 2).shape == (2, 3, 4, 4, 4)
    assert F.unfold(np.zeros((1, 3, 3, 3, 3)), 2, stride=(1, 1, 1, 1)).shape == (16, 16)


@st.composite
def _windows(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The shape of an input, and windows that fit into it."""
    rank = draw(st.integers(1, 4))
    spatial, kernel, dilation, padding, stride = [], [], [], [], []
    for _ in range(rank):
        k, d = draw(st.integers(1, 3 if rank < 4 else 2)), draw(st.integers(1, 2))
        low, high = draw(st.integers(-1, 3)), draw(st.integers(-1, 3))
        least = max(0, d * (k - 1) + 1 - low - high)
        spatial.append(draw(st.integers(least, least + (5 if rank < 3 else 2))))
        kernel.append(k)
        dilation.append(d)
        padding.append((low, high))
        stride.append(draw(st.integers(1, 3)))
    arguments = {
        "kernel_size": tuple(kernel),
        "dilation": tuple(dilation),
        "padding": tuple(padding),
        "stride": tuple(stride),
    }
    return (draw(st.integers(0, 2)), draw(st.integers(0, 3)), *spatial), arguments


def _by_definition(x: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """Every sample of every window, one at a time."""
    spatial = x.shape[2:]
    outputs = [
        (n + low + high - d * (k - 1) - 1) // s + 1
        for n, k, d, (low, high), s in zip(spatial, kernel_size, dilation, padding, stride, strict=True)
    ]
    taps = list(product(*map(range, kernel_size)))
    places = list(product(*map(range, outputs)))
    y = np.zeros((*x.shape[:2], len(taps), len(places)), x.dtype)
    for t, tap in enumerate(taps):
        for p, place in enumerate(places):
            axes = zip(place, stride, tap, dilation, padding, strict=True)
            at = [o * s + i * d - low for o, s, i, d, (low, _) in axes]
            if all(0 <= i < n for i, n in zip(at, spatial, strict=True)):
                y[:, :, t, p] = x[(slice(None), slice(None), *at)]
    return y.reshape(x.shape[0], x.shape[1] * len(taps), len(places))


@given(case=_windows(), seed=st.integers(0, 99))
def test_unfold_is_its_definition_and_fold_its_adjoint(case: Any, seed: int) -> None:
    shape, arguments = case
    x = normal(shape, seed)
    columns = F.unfold(x, **arguments)
    assert_same(columns, _by_definition(x, **arguments), **_EXACT)
    g = normal(columns.shape, seed + 1)
    back = F.fold(g, shape[2:], **arguments)
    assert back.shape == shape
    assert_same(np.array((columns * g).sum()), np.array((x * back).sum()), **_SUMS)
    # Ones come back as often as windows see them.
    ones = F.unfold(np.ones(shape, np.int64), **arguments)
    assert F.fold(ones, shape[2:], **arguments).sum() == ones.sum()


@given(case=_windows(), seed=st.integers(0, 99))
def test_a_convolution_is_a_product_with_the_columns(case: Any, seed: int) -> None:
    shape, arguments = case
    x, w = normal(shape, seed), normal((2, shape[1], *arguments["kernel_size"]), seed + 1)
    given = {name: arguments[name] for name in ("stride", "padding", "dilation")}
    expected = F.conv(x, w, **given)
    product_ = w.reshape(2, -1) @ F.unfold(x, **arguments)
    assert_same(product_.reshape(expected.shape), expected, **_SUMS)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": (2, 3)},
        {"kernel_size": 2, "dilation": 2, "padding": 1, "stride": (2, 1)},
        {"kernel_size": 3, "padding": ((-1, 2), (3, 0)), "stride": 2},
    ],
)
def test_gradients_are_difference_quotients(arguments: dict[str, Any]) -> None:
    x = tw.tensor(normal((2, 2, 4, 3), 1), requires_grad=True)
    assert gradcheck(lambda x: F.unfold(x, **arguments), [x])
    # Linear: a second derivative of 0 would prove little, that of a square proves more.
    assert gradgradcheck(lambda x: F.unfold(x, **arguments) ** 2, [x])
    columns = tw.tensor(normal(F.unfold(x, **arguments).shape, 2), requires_grad=True)
    assert gradcheck(lambda c: F.fold(c, (4, 3), **arguments), [columns])
    assert gradgradcheck(lambda c: F.fold(c, (4, 3), **arguments) ** 2, [columns])


def test_kinds_layouts_and_dtypes() -> None:
    x = normal((2, 3, 4, 5), 1)
    columns = F.unfold(x, (2, 3))
    for dtype in (np.float16, np.float32, np.float64):
        check_kinds(lambda x: F.unfold(x, 2, padding=1), x.astype(dtype))
        check_kinds(lambda x: F.fold(x, (4, 5), (2, 3)), columns.astype(dtype))
    check_layouts(lambda x: F.unfold(x, 3, 1, (1, 2), 2), x)
    check_layouts(lambda x: F.fold(x, (4, 5), (2, 3)), columns)
    for dtype in ("bool", "int8", "uint16", "int64"):
        bits = (x > 0).astype(dtype)
        moved = F.unfold(bits, 2, padding=1)
        assert moved.dtype == bits.dtype
        assert_same(moved.astype(float), F.unfold(bits.astype(float), 2, padding=1), **_EXACT)
    # Each of 4,097 windows with one tap beyond the sample's: as counted in halves, the sum ends at 2,048.
    many = np.ones((1, 4097, 4097), np.float16)
    folded = F.fold(many, (1,), (4097,), padding=4096)
    assert_same(folded, np.array([[[4096.0]]], np.float16), **_EXACT)


# --- pixel shuffle -----------------------------------------------------------------------------------------


def test_pixels_by_hand() -> None:
    x = np.arange(8).reshape(1, 8, 1, 1)
    y = F.pixel_shuffle(x, 2)
    assert_same(y, [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]], **_EXACT)
    assert_same(F.pixel_unshuffle(y, 2), x, **_EXACT)
    assert_same(F.pixel_shuffle(np.array([[0, 2], [1, 3]]), (2,)), [[0, 1, 2, 3]], **_EXACT)
    assert_same(F.pixel_shuffle(np.arange(6).reshape(6, 1, 1), (3, 2))[0], [[0, 1], [2, 3], [4, 5]], **_EXACT)
    volume = F.pixel_shuffle(np.arange(8).reshape(8, 1, 1, 1), (2, 2, 2))
    assert_same(volume, np.arange(8).reshape(1, 2, 2, 2), **_EXACT)


@given(
    lead=st.lists(st.integers(0, 2), max_size=2),
    channels=st.integers(0, 3),
    axes=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_shuffle_is_reshape_and_permute(
    lead: list[int], channels: int, axes: list[tuple[int, int]], seed: int
) -> None:
    spatial, factors = [n for n, _ in axes], tuple(f for _, f in axes)
    many = channels * int(np.prod(factors))
    x = normal((*lead, many, *spatial), seed)
    at, rank = len(lead), len(axes)
    split = x.reshape(*lead, channels, *factors, *spatial)
    turns = [at, *(i for axis in range(rank) for i in (at + 1 + rank + axis, at + 1 + axis))]
    expected = split.transpose(*range(at), *turns).reshape(
        *lead, channels, *(n * f for n, f in zip(spatial, factors, strict=True))
    )
    y = F.pixel_shuffle(x, factors)
    assert_same(y, expected, **_EXACT)
    assert_same(F.pixel_unshuffle(y, factors), x, **_EXACT)


def test_gradients_of_shuffles() -> None:
    x = tw.tensor(normal((2, 8, 2, 3), 1), requires_grad=True)
    assert gradcheck(lambda x: F.pixel_shuffle(x, 2), [x])
    assert gradgradcheck(lambda x: F.pixel_shuffle(x, 2) ** 2, [x])
    y = tw.tensor(normal((1, 2, 4, 6), 1), requires_grad=True)
    assert gradcheck(lambda x: F.pixel_unshuffle(x, (2, 3)), [y])
    assert gradgradcheck(lambda x: F.pixel_unshuffle(x, (2, 3)) ** 2, [y])


def test_shuffles_of_every_kind_and_layout() -> None:
    x = normal((2, 8, 4, 6), 1)
    for function in (
        lambda x: F.pixel_shuffle(x, 2),
        lambda x: F.pixel_unshuffle(x, 2),
        lambda x: F.pixel_shuffle(x, 1),
    ):
        for dtype in (np.float16, np.float32, np.float64):
            check_kinds(function, x.astype(dtype))
        check_layouts(function, x)
        assert function(x > 0).dtype == np.bool_
    last = np.moveaxis(normal((2, 4, 6, 8), 1), -1, 1)
    assert F.pixel_shuffle(last, 2).strides[1] == 8, "channels last stays channels last"
    assert F.pixel_unshuffle(last, 2).strides[1] == 8


# --- refusals ----------------------------------------------------------------------------------------------

_MANY = "One integer stands for two spatial axes; for another number of them list one integer for each."


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4, 4)), 2),
            ShapeError,
            "unfold needs input of rank 4 (batch, channels, height, width) or 3 (channels, height, width). "
            f"Received: input with shape (1, 1, 4, 4, 4) and dtype float64. {_MANY}",
        ),
        (
            lambda: F.unfold(np.zeros(()), 2),
            ShapeError,
            "unfold needs input of rank 4 (batch, channels, height",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4)), ()),
            ArgumentError,
            f"unfold needs at least one spatial axis. Received: arguments for none. {_MANY}",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4)), 0),
            ArgumentError,
            "unfold needs kernel_size to be at least 1. Received: kernel_size=0.",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4)), (2, 2), dilation=(1, 1, 1)),
            ArgumentError,
            "unfold needs dilation to be an integer or 2 of them, one per spatial axis. Received: "
            "dilation=(1, 1, 1).",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4)), 2, stride=0),
            ArgumentError,
            "unfold needs stride to be at least 1. Received: stride=0.",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4)), 2, padding="around"),
            ArgumentError,
            "unfold knows the padding names 'valid', 'same',",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4)), None),
            ArgumentError,
            "unfold needs kernel_size to be an integer.",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4)), 5),
            ShapeError,
            "unfold needs the window to fit into the padded input. Received: padded input of size (4, 4), "
            "window of size (5, 5).",
        ),
        (
            lambda: F.unfold([1.0], 2),
            DtypeError,
            "unfold needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4, 4), np.clongdouble), 2),
            DtypeError,
            "unfold needs input of one of the dtypes float32,",
        ),
        (
            lambda: F.unfold(np.zeros((1, 1, 4)), (2**40,), padding=2**41),
            ShapeError,
            "unfold needs a result that memory holds. Received: shape=",
        ),
        (
            lambda: F.fold(np.zeros((1, 1, 4, 4)), 4, 2),
            ShapeError,
            "fold needs input of rank 3 (batch, channels · taps, windows) or 2 (channels · taps, windows). "
            "Received: input with shape (1, 1, 4, 4) and dtype float64.",
        ),
        (
            lambda: F.fold(np.zeros((1, 6, 9)), 4, 2),
            ShapeError,
            "fold needs columns of a multiple of 4 samples, one for each of 9 windows. Received: input with "
            "shape (1, 6, 9) and dtype float64, output_size=(4, 4), kernel_size=(2, 2).",
        ),
        (
            lambda: F.fold(np.zeros((1, 8, 8)), 4, 2),
            ShapeError,
            "fold needs columns of a multiple of 4 samples, one for each of 9 windows. Received: input with "
            "shape",
        ),
        (
            lambda: F.fold(np.zeros((1, 4, 9)), (4, -1), 2),
            ArgumentError,
            "fold needs output_size to be at least 0. Received: output_size=-1.",
        ),
        (
            lambda: F.fold(np.zeros((1, 4, 9)), 1, 2),
            ShapeError,
            "fold needs the window to fit into the padded input.",
        ),
        (
            lambda: F.fold(np.zeros((1, 4, 9), bool), 4, 2),
            DtypeError,
            "fold needs input of one of the dtypes float32,",
        ),
        (
            lambda: F.pixel_shuffle(np.zeros((1, 6, 2, 2)), 2),
            ShapeError,
            "pixel_shuffle needs a number of channels that is divisible by the product of the factors, 4. "
            "Received: input with shape (1, 6, 2, 2) and dtype float64.",
        ),
        (
            lambda: F.pixel_shuffle(np.zeros((2, 2)), 2),
            ShapeError,
            "pixel_shuffle with 2 factors needs input (*, channels, *spatial) of rank 3 or more. Received: "
            f"input with shape (2, 2) and dtype float64. {_MANY}",
        ),
        (
            lambda: F.pixel_unshuffle(np.zeros((1, 2, 4, 5)), 2),
            ShapeError,
            "pixel_unshuffle needs spatial axes of sizes that are divisible by the factors (2, 2). "
            "Received: input with shape (1, 2, 4, 5) and dtype float64.",
        ),
        (
            lambda: F.pixel_shuffle(np.zeros((4, 2, 2)), 0),
            ArgumentError,
            "pixel_shuffle needs upscale_factor to be at least 1. Received: upscale_factor=0.",
        ),
        (
            lambda: F.pixel_unshuffle(np.zeros((4, 2, 2)), 2.0),
            ArgumentError,
            "pixel_unshuffle needs downscale_factor to be an integer. Received: downscale_factor=2.0.",
        ),
        (
            lambda: F.pixel_shuffle(np.zeros((4, 2, 2)), ()),
            ArgumentError,
            "pixel_shuffle needs at least one spatial",
        ),
        (
            lambda: F.pixel_shuffle("x", 2),
            DtypeError,
            "pixel_shuffle needs input to be a NumPy array or a Tensor.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
