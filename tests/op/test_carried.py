"""Halves, complex numbers and small integers: computed in a dtype that families have, and brought back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, conv_dims
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_of_dtypes import COMPLEX, EVERY, HALVES, INTEGERS, dtype_named, sample, tolerance, wide

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.op import carried, dense, pieces
from tilewright.op.carried import carrier_of, stand_in
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.plan import compiled

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same computation, rounded once"}
_DIMS = ConvDims.of((2, 4, 7, 6), (6, 2, 3, 3), stride=(2, 1), padding=1, groups=2)


def _operands(dims: ConvDims, name: str) -> tuple[Any, ...]:
    """x, w, a bias of each side, and a gradient of y."""
    shapes = dims.input_shape, dims.weight_shape, (dims.out_channels,), (dims.in_channels,), dims.output_shape
    return tuple(sample(shape, seed, name) for seed, shape in enumerate(shapes))


def _channels(bias: Any, dims: ConvDims) -> Any:
    return wide(bias).reshape((-1,) + (1,) * dims.rank)


def _check_all(dims: ConvDims, name: str) -> None:
    """Forward, transposed and weight gradient against the definition in a wider dtype."""
    x, w, bias, back, gy = _operands(dims, name)
    with np.errstate(over="ignore"):  # wide integers wrap round as well
        pairs = (
            (conv_forward(dims, x, w, bias), reference.conv.forward(dims, wide(x), wide(w), wide(bias))),
            (
                conv_data_gradient(dims, gy, w, back),
                reference.conv.data_gradient(dims, wide(gy), wide(w)) + _channels(back, dims),
            ),
            (conv_weight_gradient(dims, x, gy), reference.conv.weight_gradient(dims, wide(x), wide(gy))),
        )
    for found, expected in pairs:
        # Halves are rounded here as well: a tie in float64 may fall the other way.
        assert found.dtype == x.dtype
        assert_same(
            wide(found),
            wide(expected.astype(x.dtype)) if name in INTEGERS else expected,
            **tolerance(name, 10),
        )


@given(conv_dims(), st.sampled_from(EVERY))
@settings(max_examples=120)
def test_every_dtype_against_the_definition(dims: ConvDims, name: str) -> None:
    _check_all(dims, name)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pieces of a few places instead of 16 MiB."""
    for name in ("by_output", "by_input"):
        monkeypatch.setattr(carried, name, partial(getattr(pieces, name), budget=300))
    yield


@pytest.mark.parametrize("name", [*HALVES, *COMPLEX, "int8", "uint16"])
@pytest.mark.usefixtures("small_pieces")
def test_in_pieces(name: str) -> None:
    _check_all(_DIMS, name)
    _check_all(ConvDims.of((3, 2, 50), (4, 2, 5), stride=3, padding=((7, -2),), dilation=2), name)
    _check_all(ConvDims.of((1, 3, 4, 3, 5), (6, 1, 2, 2, 2), groups=3, padding="full"), name)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("size", [(3, 16, 20, 20), (2, 1, 9, 9)])
def test_halves_are_the_float32_result_rounded(name: str, size: tuple[int, ...]) -> None:
    # A sum of 16·9 products, of which float16 would lose the last digits one by one.
    dims = ConvDims.of(size, (32, size[1], 3, 3), padding=1)
    x, w, bias, back, gy = _operands(dims, name)
    single = [operand.astype(np.float32) for operand in (x, w, bias, back, gy)]
    X, W, B, C, G = single
    half = dtype_named(name)
    assert_same(conv_forward(dims, x, w, bias), conv_forward(dims, X, W, B).astype(half), **_EXACT)
    assert_same(
        conv_data_gradient(dims, gy, w, back), conv_data_gradient(dims, G, W, C).astype(half), **_EXACT
    )
    assert_same(conv_weight_gradient(dims, x, gy), conv_weight_gradient(dims, X, G).astype(half), **_EXACT)


def test_a_long_sum_of_halves() -> None:
    # 4096 ones: added up in float16 they would stop at 2048, in bfloat16 at 256.
    for name in HALVES:
        one = np.ones((1, 4096, 1), dtype_named(name))
        y = conv_forward(ConvDims.of(one.shape, one.shape), one, one)
        assert y.tolist() == [[[4096.0]]]
        assert dense.linear(one[0].T, one[0].T).tolist() == [[4096.0]]
        dims = ConvDims.of((1, 1, 4096), (1, 1, 1))
        row = one.reshape(1, 1, 4096)
        assert conv_weight_gradient(dims, row, row).tolist() == [[[4096.0]]]


def test_halves_overflow_once_and_at_the_end() -> None:
    # 60000 + 60000 − 60000: the first sum is no half.
    x = np.array([[[60000.0, 60000.0, -60000.0]]], np.float16)
    one = np.ones((1, 1, 3), np.float16)
    assert conv_forward(ConvDims.of(x.shape, one.shape), x, one).tolist() == [[[60000.0]]]
    assert conv_forward(ConvDims.of(x.shape, (1, 1, 2)), x, one[..., :2]).tolist() == [[[np.inf, 0.0]]]


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_wrap_round(name: str) -> None:
    largest = np.iinfo(name).max
    x = np.array([[[largest, largest, 1]]], name)
    w = np.array([[[largest, largest]]], name)
    y = conv_forward(ConvDims.of(x.shape, w.shape), x, w)
    bits = 8 * x.itemsize
    exact = [2 * largest**2, largest**2 + largest]
    assert [int(value) % 2**bits for value in y[0, 0]] == [value % 2**bits for value in exact]


def test_integers_are_carried_only_while_exact() -> None:
    # 2⁵³ / 2¹⁴ products of int8, 2⁵³ / 2³² of uint16; one less because one number more is added.
    assert carrier_of(np.dtype("int8"), 2**39 - 1) is not None
    assert carrier_of(np.dtype("int8"), 2**39) is None
    assert carrier_of(np.dtype("uint16"), 2**21) is not None
    assert carrier_of(np.dtype("uint16"), 2**22) is None
    assert carrier_of(np.dtype("int32"), 1) is None
    assert carrier_of(np.dtype("float32"), 1) is None


def test_complex_numbers_by_hand() -> None:
    x = np.array([[[1 + 2j, 3 - 1j]]])
    w = np.array([[[2 - 1j, 0 + 1j]]])
    dims = ConvDims.of(x.shape, w.shape)
    # (1 + 2i)(2 − i) + (3 − i)i = (4 + 3i) + (1 + 3i); nothing is conjugated.
    assert conv_forward(dims, x, w).tolist() == [[[5 + 6j]]]
    gy = np.array([[[1j]]])
    assert conv_data_gradient(dims, gy, w).tolist() == [[[1 + 2j, -1 + 0j]]]
    assert conv_weight_gradient(dims, x, gy).tolist() == [[[-2 + 1j, 1 + 3j]]]


def test_nan_and_infinity_of_halves_come_out_where_the_definition_puts_them() -> None:
    for name in HALVES:
        x = np.zeros((1, 1, 7), dtype_named(name))
        x[0, 0, 2], x[0, 0, 6] = np.nan, np.inf
        y = conv_forward(ConvDims.of((1, 1, 7), (1, 1, 3)), x, np.ones((1, 1, 3), x.dtype))
        np.testing.assert_array_equal(y[0, 0].astype(float), [np.nan, np.nan, np.nan, 0.0, np.inf])


@pytest.mark.parametrize("name", [*HALVES, *COMPLEX])
@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_operands_are_taken_and_left_alone(name: str, kind: str) -> None:
    x, w, bias, _, gy = _operands(_DIMS, name)
    layouts = [awkward(operand, kind) for operand in (x, w, gy)]
    before = [operand.copy() for operand in layouts]
    close = tolerance(name, 10)
    for found, expected in (
        (conv_forward(_DIMS, layouts[0], layouts[1], bias), conv_forward(_DIMS, x, w, bias)),
        (conv_data_gradient(_DIMS, layouts[2], layouts[1]), conv_data_gradient(_DIMS, gy, w)),
        (conv_weight_gradient(_DIMS, layouts[0], layouts[2]), conv_weight_gradient(_DIMS, x, gy)),
    ):
        assert_same(wide(found), wide(expected), **close)
    for now, then in zip(layouts, before, strict=True):
        assert_same(now, then, rtol=0, atol=0, reason="inputs are never written to")


@pytest.mark.parametrize("name", [*HALVES, *COMPLEX, "int8", "int64"])
@pytest.mark.parametrize("shape", [(0, 2, 6), (2, 0, 6), (2, 2, 0)])
def test_nothing_in_and_the_bias_out(name: str, shape: tuple[int, ...]) -> None:
    dims = ConvDims.of(shape, (4, shape[1], 3), padding=3)
    x, w, bias, back, gy = _operands(dims, name)
    y = conv_forward(dims, x, w, bias)
    assert_same(y, np.array(np.broadcast_to(bias[:, None], dims.output_shape)), **_EXACT)
    assert_same(conv_weight_gradient(dims, x, gy), np.zeros(dims.weight_shape, x.dtype), **_EXACT)
    assert conv_data_gradient(dims, gy, w, back).shape == shape


@pytest.mark.parametrize("name", [*HALVES, *COMPLEX, "int16"])
def test_a_sample_has_the_same_bits_in_every_batch(name: str) -> None:
    dims = ConvDims.of((5, 3, 12, 11), (8, 3, 3, 3), padding=1)
    x, w, bias, back, gy = _operands(dims, name)
    y, gx = conv_forward(dims, x, w, bias), conv_data_gradient(dims, gy, w, back)
    alone = dims.with_batch(1)
    for n in range(5):
        part = slice(n, n + 1)
        assert_same(conv_forward(alone, x[part], w, bias), y[part], **_EXACT)
        assert_same(conv_data_gradient(alone, gy[part], w, back), gx[part], **_EXACT)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("with_kernels", [True, False])
def test_the_dense_layer_in_every_dtype(
    name: str, with_kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_kernels:
        monkeypatch.setattr(compiled, "serves", lambda dtype: False)
    x, w, bias = sample((3, 5, 300), 1, name), sample((7, 300), 2, name), sample((7,), 3, name)
    g = sample((3, 5, 7), 4, name)
    with np.errstate(all="ignore"):
        y = dense.linear(x, w, bias)
        pairs = (
            (y, wide(x) @ wide(w).T + wide(bias)),
            (dense.linear_input_gradient(g, w), wide(g) @ wide(w)),
            (dense.linear_weight_gradient(g, x), np.einsum("nik,nij->kj", wide(g), wide(x))),
            (dense.linear(x, w[0], np.asarray(bias[0])), wide(x) @ wide(w)[0] + wide(bias)[0]),
            (dense.linear_input_gradient(g[..., 0], w[0]), wide(g)[..., :1] * wide(w)[0]),
            (dense.linear_weight_gradient(g[..., 0], x, 1), np.einsum("ni,nij->j", wide(g)[..., 0], wide(x))),
        )
    for found, expected in pairs:
        assert found.dtype == x.dtype
        assert_same(
            wide(found),
            wide(expected.astype(x.dtype)) if name in INTEGERS else expected,
            **tolerance(name, 60),
        )
    for row in range(3):
        assert_same(dense.linear(x[row], w, bias), y[row], **_EXACT)


def test_scratch_is_a_few_pieces_whatever_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is carried at a time is bounded; only results and weights are as large as they are."""
    seen = []

    def watching(x: Any, carrier: Any, groups: int) -> Any:
        found = brought(x, carrier, groups)
        seen.append(found.nbytes)
        return found

    brought = carried._carried
    monkeypatch.setattr(carried, "_carried", watching)
    # 96 MiB as float64, in one sample and in many.
    for batch, length in ((1, 12 << 20), (12, 1 << 20)):
        dims = ConvDims.of((batch, 1, length), (1, 1, 1))
        conv_forward(dims, np.ones((batch, 1, length), np.int8), np.ones((1, 1, 1), np.int8))
    assert max(seen) <= pieces.PIECE_BYTES


def test_what_stands_in_is_what_is_explained() -> None:
    assert stand_in(_DIMS, "float16", "forward") == (_DIMS, "float32")
    assert stand_in(_DIMS, "int8", "weight_gradient") == (_DIMS, "float64")
    doubled, dtype = stand_in(_DIMS, "complex64", "data_gradient")
    assert (doubled.in_channels, doubled.out_channels, dtype) == (8, 12, "float32")
    assert stand_in(_DIMS, "float64", "forward") == (_DIMS, "float64")
    assert stand_in(_DIMS, "no dtype", "forward") == (_DIMS, "no dtype")
