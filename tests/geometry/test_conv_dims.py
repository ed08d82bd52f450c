"""Sizes of convolutions: the formulas of the definition, worked cases, and every refusal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from geometries import conv_dims
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry import ConvDims


@pytest.mark.parametrize(
    ("x", "w", "arguments", "output"),
    [
        ((1, 1, 7), (1, 1, 3), {}, (5,)),
        ((1, 1, 7), (1, 1, 3), {"stride": 2}, (3,)),
        ((1, 1, 8, 8), (1, 1, 3, 3), {"padding": 1}, (8, 8)),
        ((1, 1, 8, 8), (1, 1, 5, 3), {"padding": (2, 1)}, (8, 8)),
        ((4, 2, 3, 5), (3, 2, 3, 5), {"padding": (1, 2)}, (3, 5)),
        ((1, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}, (112, 112)),
        ((1, 1, 5, 320, 320), (1, 1, 2, 3, 3), {}, (4, 318, 318)),
        ((1, 1, 10), (1, 1, 4), {"padding": "same"}, (10,)),
        ((1, 1, 10), (1, 1, 4), {"padding": "same", "stride": 3}, (4,)),
        ((1, 1, 10), (1, 1, 4), {"padding": "same_lower", "stride": 3}, (4,)),
        ((1, 1, 10), (1, 1, 4), {"padding": "full", "dilation": 2}, (16,)),
        ((1, 1, 10), (1, 1, 4), {"padding": "causal", "dilation": 2}, (10,)),
        ((1, 1, 10), (1, 1, 4), {"padding": "valid"}, (7,)),
        ((1, 1, 10), (1, 1, 4), {"padding": -2}, (3,)),
        ((1, 1, 10), (1, 1, 4), {"padding": ((3, -1),)}, (9,)),
        ((1, 1, 5), (1, 1, 3), {"input_dilation": 2, "padding": 2}, (11,)),
        ((1, 1, 4, 5, 6, 7), (2, 1, 1, 2, 3, 4), {}, (4, 4, 4, 4)),
        ((0, 0, 6), (4, 0, 3), {}, (4,)),
    ],
)
def test_output_sizes(x: Any, w: Any, arguments: dict[str, Any], output: tuple[int, ...]) -> None:
    assert ConvDims.of(x, w, **arguments).output == output


@pytest.mark.parametrize(
    ("name", "pads"),
    [("valid", (0, 0)), ("same", (1, 2)), ("same_lower", (2, 1)), ("full", (3, 3)), ("causal", (3, 0))],
)
def test_padding_names(name: str, pads: tuple[int, int]) -> None:
    assert ConvDims.of((1, 1, 9), (1, 1, 4), padding=name).padding == (pads,)


@given(n=st.integers(1, 60), k=st.integers(1, 9), s=st.integers(1, 9), d=st.integers(1, 4))
def test_same_gives_the_ceiling_of_size_over_stride(n: int, k: int, s: int, d: int) -> None:
    for name in ("same", "same_lower"):
        dims = ConvDims.of((1, 1, n), (1, 1, k), stride=s, dilation=d, padding=name)
        assert dims.output == (-(-n // s),)
        low, high = dims.padding[0]
        assert (high - low if name == "same" else low - high) in (0, 1)


@given(n=st.integers(1, 40), k=st.integers(1, 7), s=st.integers(1, 5))
def test_total_padding_formula(n: int, k: int, s: int) -> None:
    """⌊(n + p − k + s)/s⌋, and p = k − 1 gives ⌈n/s⌉."""
    dims = ConvDims.of((1, 1, n), (1, 1, k), stride=s, padding=(((k - 1) // 2, k - 1 - (k - 1) // 2),))
    assert dims.output == ((n + (k - 1) - k + s) // s,) == (-(-n // s),)


@given(conv_dims())
def test_adjoint_returns_to_the_input_and_back(dims: ConvDims) -> None:
    back = dims.adjoint()
    assert back.output == dims.spatial
    assert (back.stride, back.input_dilation) == (dims.input_dilation, dims.stride)
    twice = back.adjoint()
    assert twice.output == dims.output
    assert [lo for lo, _ in twice.padding] == [lo for lo, _ in dims.padding]
    # Twice the adjoint leaves out only padding that no window reaches.
    for (_, tight), (_, given_), s in zip(twice.padding, dims.padding, dims.stride, strict=True):
        assert 0 <= given_ - tight < s


@given(
    n=st.integers(1, 20),
    k=st.integers(1, 6),
    s=st.integers(1, 5),
    d=st.integers(1, 4),
    low=st.integers(-2, 3),
    high=st.integers(-2, 3),
    extra=st.integers(0, 4),
)
def test_transposed_sizes(n: int, k: int, s: int, d: int, low: int, high: int, extra: int) -> None:
    expected = (n - 1) * s - low - high + d * (k - 1) + extra + 1
    if extra and extra >= max(s, d):
        with pytest.raises(ArgumentError, match="output_padding to be smaller than"):
            ConvDims.of_transposed(
                (1, 2, n), (2, 3, k), stride=s, dilation=d, padding=((low, high),), output_padding=extra
            )
        return
    if expected < 0:
        with pytest.raises(ShapeError, match="an output of at least size 0"):
            ConvDims.of_transposed(
                (1, 2, n), (2, 3, k), stride=s, dilation=d, padding=((low, high),), output_padding=extra
            )
        return
    dims = ConvDims.of_transposed(
        (1, 2, n), (2, 3, k), stride=s, dilation=d, padding=((low, high),), output_padding=extra
    )
    assert dims.spatial == (expected,)
    assert dims.output == (n,)
    assert (dims.in_channels, dims.out_channels) == (3, 2)


@given(n=st.integers(1, 30), k=st.integers(1, 7), s=st.integers(1, 5), d=st.integers(1, 3))
def test_transposed_same_multiplies_by_the_stride(n: int, k: int, s: int, d: int) -> None:
    for name in ("same", "same_lower"):
        dims = ConvDims.of_transposed((1, 1, n), (1, 1, k), stride=s, dilation=d, padding=name)
        assert dims.spatial == (n * s,)
        assert dims.output == (n,)


def test_counts() -> None:
    dims = ConvDims.of((8, 64, 56, 56), (128, 32, 3, 3), padding=1, stride=2, groups=2)
    assert dims.flops == 2 * 8 * 128 * 28 * 28 * 32 * 9
    assert dims.parameters == 128 * 32 * 9
    assert dims.bytes_moved(4) == 4 * (8 * 64 * 56 * 56 + 128 * 32 * 9 + 8 * 128 * 28 * 28)
    assert dims.taps == 9
    assert dims.reduction == 288


def test_weights_against_dense() -> None:
    """A 5×5 layer of 32 channels has 800 weights for 25,088 features; a dense layer spends 25,088 on 32."""
    dims = ConvDims.of((1, 1, 28, 28), (32, 1, 5, 5), padding="same")
    assert dims.parameters == 800
    assert math.prod(dims.output_shape) == 25_088
    assert 784 * 32 == 25_088


def test_sizes_are_exact_beyond_64_bits() -> None:
    dims = ConvDims.of((2**31, 2**20, 2**40), (2**20, 2**20, 3), padding=1)
    assert dims.output == (2**40,)
    assert dims.flops == 2 * 2**31 * 2**20 * 2**40 * 2**20 * 3


def test_it_is_frozen_hashable_and_made_once() -> None:
    dims = ConvDims.of((1, 1, 7), (1, 1, 3))
    with pytest.raises(AttributeError):
        dims.batch = 2  # type: ignore[misc]
    assert ConvDims.of([1, 1, 7], [1, 1, 3]) is dims  # type: ignore[arg-type]
    assert hash(dims) == hash(ConvDims.of((1, 1, 7), (1, 1, 3), stride=np.int64(1)))


_X, _W = (1, 4, 9, 9), (6, 4, 3, 3)
_REFUSED: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
    (
        _X,
        (6, 4, 3),
        {},
        ShapeError,
        "the same number of spatial axes, at least one. Received: input with shape",
    ),
    ((1, 4), (6, 4), {}, ShapeError, "at least one. Received: input with shape (1, 4)"),
    (_X, (6, 3, 3, 3), {}, ShapeError, "With groups=1 this weight takes 3 channels."),
    (_X, (5, 2, 3, 3), {"groups": 2}, ShapeError, "out_channels to be divisible by groups. Received:"),
    (_X, (6, 4, 0, 3), {}, ShapeError, "a kernel of at least one tap per axis. Received: kernel=(0, 3)."),
    (_X, (6, 4, 10, 3), {}, ShapeError, "Received: padded input of size (9, 9), window of size (10, 3)."),
    (_X, _W, {"stride": 0}, ArgumentError, "conv needs stride to be at least 1. Received: stride=0."),
    (_X, _W, {"stride": (1,)}, ArgumentError, "2 of them, one per spatial axis. Received: stride=(1,)."),
    (_X, _W, {"stride": 1.5}, ArgumentError, "conv needs stride to be an integer. Received: stride=1.5."),
    (_X, _W, {"stride": 2.0}, ArgumentError, "conv needs stride to be an integer. Received: stride=2.0."),
    (_X, _W, {"stride": "2"}, ArgumentError, "conv needs stride to be an integer. Received: stride='2'."),
    (_X, _W, {"stride": True}, ArgumentError, "conv needs stride to be an integer. Received: stride=True."),
    (_X, _W, {"stride": 2**63}, ArgumentError, "conv needs stride to be below 2**63. Received:"),
    (_X, _W, {"stride": None}, ArgumentError, "conv needs stride to be an integer. Received: stride=None."),
    (_X, _W, {"dilation": -1}, ArgumentError, "conv needs dilation to be at least 1. Received: dilation=-1."),
    (_X, _W, {"groups": 0}, ArgumentError, "conv needs groups to be at least 1. Received: groups=0."),
    (_X, _W, {"input_dilation": 0}, ArgumentError, "conv needs input_dilation to be at least 1. Received:"),
    (_X, _W, {"padding": "sane"}, ArgumentError, "knows the padding names 'valid', 'same',"),
    (_X, _W, {"padding": (1, 2, 3)}, ArgumentError, "2 (before, after) pairs, or one of 'valid'"),
    (_X, _W, {"padding": ((1, 2, 3), 0)}, ArgumentError, "Received: padding=((1, 2, 3), 0)."),
    (_X, _W, {"padding": 0.5}, ArgumentError, "conv needs padding to be an integer. Received: padding=0.5."),
    ((1, 1, 9), (1, 1, 3), {"padding": (1, 2)}, ArgumentError, "write ((1, 2),)."),
]


@pytest.mark.parametrize(("x", "w", "arguments", "kind", "text"), _REFUSED)
def test_refusals(x: Any, w: Any, arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        ConvDims.of(x, w, **arguments)
    assert text in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {"weight_shape": (3, 2, 3)},
            ShapeError,
            "weight of shape (in_channels, out_channels/groups, *kernel)",
        ),
        ({"groups": 3}, ShapeError, "in_channels to be divisible by groups. Received: input with 4 channels"),
        ({"output_padding": 1}, ArgumentError, "output_padding to be smaller than the larger of stride and"),
        (
            {"output_padding": -1},
            ArgumentError,
            "output_padding to be at least 0. Received: output_padding=-1.",
        ),
        ({"padding": 99}, ShapeError, "an output of at least size 0 on every axis"),
        ({"input_shape": (1, 4, 0)}, ShapeError, "an input without empty spatial axes"),
    ],
)
def test_transposed_refusals(arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    call: dict[str, Any] = {"input_shape": (1, 4, 9), "weight_shape": (4, 2, 3)} | arguments
    with pytest.raises(kind) as caught:
        ConvDims.of_transposed(call.pop("input_shape"), call.pop("weight_shape"), **call)
    assert text in str(caught.value)
