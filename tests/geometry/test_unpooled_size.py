"""Sizes of unpooling: what pools may have come from."""

from __future__ import annotations

from typing import Any

import pytest
from geometries import pool_dims
from hypothesis import given

from tilewright.errors import ArgumentError, ShapeError
from tilewright.geometry import PoolDims
from tilewright.geometry.unpool import unpooled_size


@pytest.mark.parametrize(
    ("n", "arguments", "size"),
    [
        (4, {"kernel": 2}, 8),
        (4, {"kernel": 3, "stride": 2, "padding": 1}, 7),
        (4, {"kernel": 3, "stride": 2, "padding": ((0, 1),)}, 8),
        (4, {"kernel": 2, "stride": 3, "dilation": 2}, 12),
        (4, {"kernel": 3, "stride": 2, "padding": "same"}, 8),
        (4, {"kernel": 1, "stride": 2, "padding": "same_lower"}, 8),
        (4, {"kernel": 2, "output_size": 9}, 9),
        (4, {"kernel": 2, "output_size": (7,)}, 7),
        (4, {"kernel": 2, "output_size": [5, 6, 8]}, 8),
        (1, {"kernel": 1, "stride": 3, "padding": 1, "output_size": 1}, 1),
    ],
)
def test_sizes(n: int, arguments: dict[str, Any], size: int) -> None:
    assert unpooled_size((1, 1, n), **arguments) == (size,)


@given(pool_dims())
def test_a_pool_of_the_default_size_gives_back_the_size(dims: PoolDims) -> None:
    shape = (1, 1, *dims.output)
    arguments = {"stride": dims.stride, "padding": dims.padding, "dilation": dims.dilation}
    try:
        size = unpooled_size(shape, dims.kernel, **arguments)
    except ShapeError:
        return  # padding alone is wider
    if min(size) > 0:
        assert PoolDims.of((1, 1, *size), dims.kernel, **arguments).output == dims.output


def test_sizes_beyond_what_memory_holds() -> None:
    assert unpooled_size((1, 1, 2**61), 2) == (2**62,)


@pytest.mark.parametrize(
    ("shape", "arguments", "kind", "text"),
    [
        (
            (1, 1, 0),
            {"kernel": 2},
            ShapeError,
            "max_unpool needs every spatial axis of input to hold at least one sample. Received: input with",
        ),
        (
            (1, 1, 1),
            {"kernel": 1, "padding": 1},
            ShapeError,
            "max_unpool needs an output of at least size 0 on every axis. Received: input with shape "
            "(1, 1, 1) and kernel_size=1, padding=1, which gives (-1,). Pad less, or say output_size.",
        ),
        (
            (1, 1, 4),
            {"kernel": 2, "padding": -1},
            ArgumentError,
            "padding of at least 0. Received: padding=-1.",
        ),
        (
            (1, 1, 4, 4),
            {"kernel": 2, "output_size": (10, 8)},
            ArgumentError,
            "max_unpool needs output_size to be less than a stride (2, 2) away from (8, 8) on every axis. "
            "Received: output_size=(10, 8).",
        ),
        (
            (1, 1, 4, 4),
            {"kernel": 2, "output_size": (8, 8, 8)},
            ArgumentError,
            "output_size to be an integer, 2 of them (one per spatial axis) or the shape of the result. "
            "Received: output_size=(8, 8, 8).",
        ),
        (
            (1, 1, 4),
            {"kernel": 2, "output_size": 7.5},
            ArgumentError,
            "output_size to be an integer. Received: output_size=7.5.",
        ),
        ((1, 1, 4), {"kernel": 0}, ArgumentError, "kernel_size to be at least 1. Received: kernel_size=0."),
        (
            (1, 1, 4),
            {"kernel": 2, "stride": 0},
            ArgumentError,
            "stride to be at least 1. Received: stride=0.",
        ),
        (
            (1, 1, 4),
            {"kernel": 2, "dilation": "2"},
            ArgumentError,
            "dilation to be an integer. Received: dilation='2'.",
        ),
    ],
)
def test_refusals(shape: Any, arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        unpooled_size(shape, **arguments)
    assert text in str(caught.value)
