"""Sizes of pools: floor and ceil, worked cases, and every refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from geometries import pool_dims
from hypothesis import given

from tilewright import reference
from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry import ConvDims, PoolDims


@pytest.mark.parametrize(
    ("n", "arguments", "output"),
    [
        (4, {"kernel": 2}, 2),
        (4, {"kernel": 3, "padding": 1, "stride": 2}, 2),
        (112, {"kernel": 3, "padding": 1, "stride": 2}, 56),
        (5, {"kernel": 2, "ceil_mode": True}, 3),
        # The last window would start in the padding at the end, and is dropped.
        (4, {"kernel": 2, "stride": 3, "padding": 1, "ceil_mode": True}, 2),
        (3, {"kernel": 1, "stride": 2, "ceil_mode": True}, 2),
        (2, {"kernel": 1, "stride": 2, "ceil_mode": True}, 1),
        (7, {"kernel": 3, "dilation": 2, "stride": 1}, 3),
        (9, {"kernel": 2, "stride": 2, "padding": "same"}, 5),
        (9, {"kernel": 3, "stride": 1, "padding": ((2, 0),)}, 9),
    ],
)
def test_output_sizes(n: int, arguments: dict[str, Any], output: int) -> None:
    assert PoolDims.of((1, 1, n), **arguments).output == (output,)


@given(pool_dims())
def test_every_window_sees_input_is_what_the_windows_show(dims: PoolDims) -> None:
    seen = all(places for _, places in reference.pool._window_places(dims))
    assert dims.every_window_sees_input == seen


def test_a_long_axis_costs_nothing() -> None:
    dims = PoolDims.of((1, 1, 16_777_217), 3, stride=1, padding=1)
    assert dims.output == (16_777_217,)
    assert dims.every_window_sees_input


@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**31 + 1, 2**62 - 1, 2**62])
def test_sizes_beyond_what_memory_holds(size: int) -> None:
    """Geometry takes exact integers, and no longer for large ones; padding as wide as the input included."""
    dims = PoolDims.of((1, 1, size), 3, stride=2, padding=1)
    assert dims.output == ((size - 1) // 2 + 1,)
    assert dims.every_window_sees_input
    wide = PoolDims.of((1, 1, size), size, stride=1, padding=size - 1, dilation=1)
    assert wide.output == (2 * size - 1,)
    assert wide.every_window_sees_input
    # The first window ends one sample before the input begins.
    assert not PoolDims.of((1, 1, size), size, stride=1, padding=((size, 0),)).every_window_sees_input
    # Of its two taps the first lies in the padding.
    sparse = PoolDims.of((1, 1, size), 2, stride=1, padding=((1, 0),), dilation=size)
    assert sparse.output == (1,)
    assert sparse.every_window_sees_input
    # One sample, and windows of every second position: those that start at an odd distance miss it.
    taps = size // 4
    odd = PoolDims.of((1, 1, 1), taps, stride=1, padding=2 * (taps - 1), dilation=2)
    even = PoolDims.of((1, 1, 1), taps, stride=2, padding=2 * (taps - 1), dilation=2)
    assert (odd.every_window_sees_input, even.every_window_sees_input) == (False, True)


def test_of_arrays_expanded_to_2_to_the_62_elements() -> None:
    expanded = np.broadcast_to(np.int8(1), (1, 1, 2**31, 2**31))
    dims = PoolDims.of(expanded.shape, 2, stride=(1, 2))
    assert dims.output == (2**31 - 1, 2**30)
    assert dims.bytes_moved(1) == 2**62 + (2**31 - 1) * 2**30
    assert dims.flops == 4 * (2**31 - 1) * 2**30
    conv = ConvDims.of(expanded.shape, (1, 1, 3, 3), padding="same")
    assert conv.output == (2**31, 2**31)
    assert conv.flops == 18 * 2**62


@given(pool_dims())
def test_the_adjoint_leads_back_to_the_input(dims: PoolDims) -> None:
    back = dims.adjoint()
    assert back.spatial == dims.output
    assert back.output == dims.spatial
    assert (back.input_dilation, back.dilation) == (dims.stride, dims.dilation)


def test_counts() -> None:
    dims = PoolDims.of((2, 3, 8, 8), 2)
    assert dims.flops == 2 * 3 * 4 * 4 * 4
    assert dims.bytes_moved(4) == 4 * (2 * 3 * 64 + 2 * 3 * 16)


@pytest.mark.parametrize(
    ("shape", "arguments", "kind", "text"),
    [
        ((1, 4), {"kernel": 2}, ShapeError, "(batch, channels, *spatial) with at least one spatial axis"),
        (
            (1, 4, 8),
            {"kernel": 0},
            ArgumentError,
            "pool needs kernel_size to be at least 1. Received: kernel_size=0.",
        ),
        (
            (1, 4, 8),
            {"kernel": (2, 2)},
            ArgumentError,
            "pool needs kernel_size to be an integer or 1 of them",
        ),
        (
            (1, 4, 8),
            {"kernel": 2, "stride": 0},
            ArgumentError,
            "stride to be at least 1. Received: stride=0.",
        ),
        (
            (1, 4, 8),
            {"kernel": 2, "padding": -1},
            ArgumentError,
            "padding of at least 0. Received: padding=-1.",
        ),
        (
            (1, 4, 0),
            {"kernel": 2, "padding": 1},
            ShapeError,
            "pool needs every spatial axis of input to hold at least one sample. Received: input with shape "
            "(1, 4, 0).",
        ),
        (
            (1, 4, 8),
            {"kernel": 2.5},
            ArgumentError,
            "pool needs kernel_size to be an integer. Received: kernel_size=2.5.",
        ),
        (
            (1, 4, 8),
            {"kernel": 2, "stride": (1.0,)},
            ArgumentError,
            "pool needs stride to be an integer. Received: stride=1.0.",
        ),
        (
            (1, 4, 8),
            {"kernel": 2, "padding": ((1, 1.5),)},
            ArgumentError,
            "pool needs padding to be an integer. Received: padding=1.5.",
        ),
        ((1, 4, 8), {"kernel": 9}, ShapeError, "Received: padded input of size (8,), window of size (9,)."),
        (
            (1, 4, 8),
            {"kernel": 3, "dilation": 0},
            ArgumentError,
            "dilation to be at least 1. Received: dilation=0.",
        ),
    ],
)
def test_refusals(shape: Any, arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        PoolDims.of(shape, **arguments)
    assert text in str(caught.value)
