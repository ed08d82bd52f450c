"""A convolution cut into pieces: every product of the whole is in exactly one of them."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same
from geometries import conv_dims, random_array
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.op.pieces import PIECE_BYTES, by_input, by_output

_SAME_SUM = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}
# Of a float64: from a single place at a time to everything at once.
_BUDGETS = st.sampled_from([1, 100, 500, 2000, PIECE_BYTES])


@given(conv_dims(), _BUDGETS)
@settings(max_examples=100)
def test_pieces_make_up_the_whole(dims: ConvDims, budget: int) -> None:
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy = random_array(dims.output_shape, 3)
    y, gx = np.full(dims.output_shape, np.nan), np.full(dims.input_shape, np.nan)
    gw = np.zeros(dims.weight_shape)
    for piece in by_output(dims, 8, budget):
        y[piece.of_output] = reference.conv.forward(piece.dims, x[piece.of_input], w)
        gw += reference.conv.weight_gradient(piece.dims, x[piece.of_input], gy[piece.of_output])
    for piece in by_input(dims, 8, budget):
        gx[piece.of_input] = reference.conv.data_gradient(piece.dims, gy[piece.of_output], w)
    assert_same(y, reference.conv.forward(dims, x, w), **_SAME_SUM)
    assert_same(gw, reference.conv.weight_gradient(dims, x, gy), **_SAME_SUM)
    assert_same(gx, reference.conv.data_gradient(dims, gy, w), **_SAME_SUM)


@given(conv_dims(), _BUDGETS)
@settings(max_examples=50)
def test_how_a_sample_is_cut_does_not_depend_on_the_batch(dims: ConvDims, budget: int) -> None:
    for cut in (by_output, by_input):
        alone = [(piece.inputs, piece.outputs) for piece in cut(dims.with_batch(1), 8, budget)]
        for piece in cut(dims.with_batch(7), 8, budget):
            assert (piece.inputs, piece.outputs) in alone


def test_what_fits_is_not_cut() -> None:
    dims = ConvDims.of((4, 3, 9, 8), (6, 3, 3, 3), stride=2, padding=((2, 5), (0, 1)))
    for cut in (by_output, by_input):
        (piece,) = cut(dims, 4)
        assert piece.dims == dims
        assert (piece.inputs, piece.outputs) == (slice(0, 9), slice(0, dims.output[0]))


@pytest.mark.parametrize("cut", [by_output, by_input])
def test_pieces_stay_within_the_budget(cut: type) -> None:
    # 40 rows of input and output, 8·(16 + 16)·100 = 25,600 bytes each, of which two more are seen.
    dims = ConvDims.of((3, 16, 40, 100), (16, 16, 3, 3), padding=1)
    pieces = list(cut(dims, 8, 200_000))  # type: ignore[call-arg]
    assert len(pieces) == 3 * 6
    for piece in pieces:
        held = np.prod(piece.dims.input_shape) + np.prod(piece.dims.output_shape)
        assert 8 * held <= 200_000 + 2 * 8 * 16 * 100
        assert piece.samples.stop - piece.samples.start == 1
