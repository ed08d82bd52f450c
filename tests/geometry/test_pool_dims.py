"""Sizes of pools: floor and ceil, worked cases, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest
from geometries import pool_dims
from hypothesis import given

from tilewright import reference
from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry import PoolDims


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
