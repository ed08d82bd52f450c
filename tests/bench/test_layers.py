"""Layers of every operation: their words, shapes, work and bytes, by hand."""

from __future__ import annotations

import pytest
from bench.fakes import pooling, transposed

from tilewright.bench.layers import Layer, geometry
from tilewright.geometry import ConvDims

# 3 channels of 4×5 become 2 of 8×10.
UP = transposed((2, 3, 4, 5), (3, 2, 2, 2), stride=2)
MAXIMUM = pooling("max_pool", (2, 6, 9, 8), 3, stride=2, padding=1)
MEAN = pooling("avg_pool", (2, 6, 9, 8), (3, 2))
FILTER = Layer("conv", ConvDims.of((1, 3, 9, 8), (3, 1, 3, 3), padding=1, groups=3), "same")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            Layer("conv", ConvDims.of((1, 4, 9), (6, 4, 3), padding=((2, 0),), dilation=2)),
            "4→6 3 at 9, dilation 2, pad 2:0",
        ),
        (
            Layer("conv", ConvDims.of((1, 4, 9, 8), (6, 2, 1, 3), stride=(1, 2), padding=(0, 1), groups=2)),
            "4→6 1×3 at 9×8, stride 1×2, pad 0×1, 2 groups",
        ),
        (UP, "transposed 3→2 2×2 at 4×5, stride 2"),
        (
            transposed((1, 4, 7), (4, 3, 5), stride=2, padding=2, output_padding=1, groups=2),
            "transposed 4→6 5 at 7, stride 2, pad 2:1, 2 groups",
        ),
        (MAXIMUM, "max 3×3 at 9×8, 6 channels, stride 2, pad 1"),
        (MEAN, "avg 3×2 at 9×8, 6 channels, stride 3×2"),
        (
            pooling("max_pool", (1, 2, 9), 2, stride=1, dilation=3, ceil_mode=True),
            "max 2 at 9, 2 channels, dilation 3, ceil",
        ),
        (FILTER, "3→3 3×3 at 9×8, pad 1, 3 groups, one kernel"),
        (
            Layer("conv", ConvDims.of((1, 1, 9, 8), (1, 1, 3, 3)), "separable"),
            "1→1 3×3 at 9×8, one separable kernel",
        ),
    ],
)
def test_a_layer_in_words(layer: Layer, words: str) -> None:
    assert geometry(layer) == str(layer) == words


def test_shapes_are_those_of_the_operation() -> None:
    assert (UP.input_shape, UP.weight_shape, UP.output_shape) == ((2, 3, 4, 5), (3, 2, 2, 2), (2, 2, 8, 10))
    assert (MAXIMUM.input_shape, MAXIMUM.weight_shape, MAXIMUM.output_shape) == (
        (2, 6, 9, 8), (0,), (2, 6, 5, 4),
    )  # fmt: skip
    assert (UP.batch, UP.rank, UP.groups, MAXIMUM.groups) == (2, 2, 1, 6)
    assert [layer.is_transposed for layer in (UP, MEAN, FILTER)] == [True, False, False]
    assert [layer.is_pool for layer in (UP, MEAN, FILTER)] == [False, True, False]
    assert [layer.is_depthwise for layer in (UP, MEAN, FILTER)] == [False, False, True]
    assert UP.with_batch(5).output_shape == (5, 2, 8, 10)
    assert FILTER.with_batch(5).weights == "same"


def test_the_geometry_of_the_other_kind_is_not_given() -> None:
    with pytest.raises(AssertionError):
        _ = UP.pool
    with pytest.raises(AssertionError):
        _ = MEAN.conv


def test_work_of_both_directions() -> None:
    # Every input sample meets 2 channels times 4 taps.
    assert UP.flops("forward") == 2 * (2 * 3 * 4 * 5) * 8
    assert UP.flops("backward") == 2 * UP.flops("forward")
    outputs = 2 * 6 * 5 * 4
    assert MAXIMUM.flops("forward") == outputs * 9
    assert MAXIMUM.flops("backward") == outputs
    assert MEAN.flops("forward") == MEAN.flops("backward") == (2 * 6 * 3 * 4) * 6


def test_bytes_of_both_directions() -> None:
    x, w, y = 2 * 3 * 4 * 5, 3 * 2 * 2 * 2, 2 * 2 * 8 * 10
    assert UP.bytes("forward", 4) == 4 * (x + w + y)
    assert UP.bytes("backward", 8) == 8 * (2 * x + 2 * w + y)
    x, y = 2 * 6 * 9 * 8, 2 * 6 * 5 * 4
    assert MAXIMUM.bytes("forward", 4) == 4 * (x + y)
    # The positions of the maxima are integers of 8 bytes.
    assert MAXIMUM.bytes("backward", 4) == 4 * (x + y) + 8 * y
    assert MEAN.bytes("backward", 4) == 4 * (x + 2 * 6 * 3 * 4)
