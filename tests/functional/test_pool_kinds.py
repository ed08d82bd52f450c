"""Lp, adaptive and global pooling and unpooling: kinds, ranks, known numbers, dtypes, messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError
from tilewright.geometry.axes import MOST_AXES

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same computation"}
_FEW = {"rtol": 1e-12, "atol": 1e-12, "reason": "a sum of a few numbers and a root, float64"}

# By their stems: how to call each, after the input.
_KINDS: dict[str, tuple[Any, ...]] = {
    "lp_pool": (2, 3, 2),
    "adaptive_avg_pool": (4,),
    "adaptive_max_pool": (4,),
}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", _KINDS)
def test_named_and_any_rank_agree_batched_or_not(name: str, rank: int) -> None:
    x = random_array((2, 3, *(6,) * rank), 1)
    named, any_rank, rest = getattr(F, f"{name}{rank}d"), getattr(F, name), list(_KINDS[name])
    y = named(x, *rest)
    assert y.shape[:2] == (2, 3) and y.ndim == rank + 2
    assert_same(any_rank(x, *rest), y, **_EXACT)
    assert_same(named(x[0], *rest), y[0], **_EXACT)
    listed = 1 if name == "lp_pool" else 0
    rest[listed] = (rest[listed],) * rank
    assert_same(any_rank(x[0], *rest), y[0], **_EXACT)
    assert_same(named(tw.tensor(x), *rest), y, **_EXACT)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpool_undoes_a_pool_of_any_rank_batched_or_not(rank: int) -> None:
    x = np.zeros((2, 3, *(6,) * rank))
    x[(slice(None), slice(None), *(slice(1, None, 2),) * rank)] = (
        random_array((2, 3, *(3,) * rank), 1) ** 2 + 1
    )
    y, indices = getattr(F, f"max_pool{rank}d")(x, 2, return_indices=True)
    named = getattr(F, f"max_unpool{rank}d")
    assert_same(named(y, indices, 2), x, **_EXACT)
    assert_same(named(y[0], indices[0], 2), x[0], **_EXACT)
    assert_same(F.max_unpool(y, indices, 2), x, **_EXACT)
    assert_same(F.max_unpool(y[0], indices[0], (2,) * rank), x[0], **_EXACT)
    assert_same(named(tw.tensor(y), tw.tensor(indices), 2, output_size=tw.tensor(x).size()), x, **_EXACT)
    assert_same(named(tw.tensor(y), indices, 2), x, **_EXACT)
    assert type(named(y, tw.tensor(indices), 2)) is np.ndarray


def test_four_spatial_axes() -> None:
    x = random_array((1, 2, 4, 4, 4, 4), 1)
    blocks = x.reshape(1, 2, 2, 2, 2, 2, 2, 2, 2, 2)
    inner = (3, 5, 7, 9)
    assert_same(F.lp_pool(x, 2, 2), np.sqrt((blocks**2).sum(axis=inner)), **_FEW)
    assert_same(F.adaptive_avg_pool(x, 2), blocks.mean(axis=inner), **_FEW)
    assert_same(F.adaptive_max_pool(x, 2), blocks.max(axis=inner), **_EXACT)
    assert_same(F.global_avg_pool(x)[0, :, 0, 0, 0, 0], x.mean(axis=(2, 3, 4, 5))[0], **_FEW)


def test_known_norms() -> None:
    x = np.array([[3.0, -4.0, 1.0, 2.0]])
    assert F.lp_pool1d(x, 2, 2).tolist() == [[5.0, math.sqrt(5)]]
    assert F.lp_pool1d(x, 1, 2).tolist() == [[-1.0, 3.0]]
    assert_same(F.lp_pool1d(x, 4, 4), np.array([[354**0.25]]), **_FEW)
    assert_same(F.lp_pool1d(x, 3, 2), np.array([[-(37 ** (1 / 3)), 9 ** (1 / 3)]]), **_FEW)
    assert_same(
        F.lp_pool1d(x, 1.5, 2), np.array([[(27**0.5 + 8) ** (2 / 3), (1 + 8**0.5) ** (2 / 3)]]), **_FEW
    )
    assert F.lp_pool1d(x, math.inf, 2).tolist() == [[4.0, 2.0]]
    assert F.lp_pool1d(x, -math.inf, 2).tolist() == [[3.0, 1.0]]
    assert F.lp_pool1d(x, np.float32(2), 2).tolist() == [[5.0, math.sqrt(5)]]


def test_an_integer_norm_beyond_all_floats_is_infinite() -> None:
    assert F.lp_pool1d(np.array([[3.0, -4.0]]), 10**400, 2).tolist() == [[4.0]]


def test_padding_counts_as_zeros_and_the_overhang_is_scaled_up() -> None:
    x = np.array([[3.0, 4.0, 12.0]])
    assert F.lp_pool1d(x, 2, 2, 1, padding=((1, 0),)).tolist() == [[3.0, 5.0, math.sqrt(160)]]
    assert F.lp_pool1d(x, 2, 2, ceil_mode=True).tolist() == [[5.0, math.sqrt(288)]]
    assert F.lp_pool1d(x, 2, 2, 1, dilation=2).tolist() == [[math.sqrt(153)]]
    assert F.lp_pool1d(x, 2, 3, 2, padding="same").tolist() == [[5.0, math.sqrt(160)]]


def test_known_adaptive_pools() -> None:
    x = np.arange(20.0).reshape(1, 1, 4, 5)
    assert F.adaptive_avg_pool2d(x, (2, 3)).tolist() == [[[[3.0, 4.5, 6.0], [13.0, 14.5, 16.0]]]]
    y, indices = F.adaptive_max_pool2d(x, (2, 3), return_indices=True)
    assert y.tolist() == [[[[6.0, 8.0, 9.0], [16.0, 18.0, 19.0]]]]
    assert indices.tolist() == [[[[6, 8, 9], [16, 18, 19]]]]
    assert F.adaptive_avg_pool2d(x, (None, 1)).tolist() == [[[[2.0], [7.0], [12.0], [17.0]]]]
    assert F.adaptive_avg_pool2d(x, 0).shape == (1, 1, 0, 0)
    y, indices = F.adaptive_max_pool2d(x, (3, 0), return_indices=True)
    assert y.shape == indices.shape == (1, 1, 3, 0)


def test_global_pools() -> None:
    x = random_array((2, 3, 5, 7), 1)
    assert_same(F.global_avg_pool(x), x.mean(axis=(2, 3), keepdims=True), **_FEW)
    y, indices = F.global_max_pool(x, return_indices=True)
    assert_same(y, x.max(axis=(2, 3), keepdims=True), **_EXACT)
    assert_same(indices[:, :, 0, 0], x.reshape(2, 3, 35).argmax(axis=2), **_EXACT)
    assert F.global_avg_pool(x[0], rank=2).shape == F.global_max_pool(x[0], rank=2).shape == (3, 1, 1)
    # Three axes without `rank` are batch, channels, length.
    assert F.global_avg_pool(x[0]).shape == (3, 5, 1)


@pytest.mark.parametrize("name", ["adaptive_max_pool2d", "adaptive_max_pool2d_with_indices"])
def test_names_of_pytorch(name: str) -> None:
    x = random_array((2, 3, 5, 7), 1)
    expected = F.adaptive_max_pool2d(x, 3, True)
    found = getattr(F, name)(x, 3)
    pair = found if isinstance(found, tuple) else (found,)
    for one, other in zip(pair, expected, strict=False):
        assert_same(one, other, **_EXACT)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_stay(dtype: str) -> None:
    x = np.abs(random_array((2, 3, 8), 1)).astype(dtype)
    for y in (
        F.lp_pool1d(x, 2, 2),
        F.lp_pool1d(x, math.inf, 2),
        F.avg_pool1d(x, 2),
        F.max_pool1d(x, 2),
        F.adaptive_avg_pool1d(x, 3),
        F.adaptive_max_pool1d(x, 3),
        F.global_avg_pool(x),
    ):
        assert y.dtype == np.dtype(dtype)
    for function in (F.avg_pool1d, F.max_pool1d, lambda t, k: F.lp_pool1d(t, 2, k), F.adaptive_avg_pool1d):
        t = tw.tensor(x, requires_grad=True)
        y = function(t, 2)
        assert y.dtype == np.dtype(dtype)
        y.sum().backward()
        assert t.grad.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_integers_are_compared_exactly_and_the_padding_never_wins(dtype: str) -> None:
    least = np.iinfo(dtype).min
    x = np.full((1, 1, 4, 4), least, dtype)
    for pool in (
        lambda t: F.max_pool2d(t, 3, 1, 1, return_indices=True),
        lambda t: F.adaptive_max_pool2d(t, (3, 3), return_indices=True),
    ):
        y, indices = pool(x)
        assert y.dtype == np.dtype(dtype)
        assert (y == least).all()
        assert indices.min() >= 0 and indices.max() < 16
    y, indices = F.max_pool2d(x, 3, 1, 1, return_indices=True)
    # The first sample of each window that is no padding.
    rows = np.maximum(np.arange(4) - 1, 0)
    assert indices[0, 0].tolist() == (rows[:, None] * 4 + rows).tolist()
    x[0, 0, 1, 2] = np.iinfo(dtype).max
    assert F.global_max_pool(x).item() == np.iinfo(dtype).max
    back = F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)
    assert back.dtype == np.dtype(dtype) and back[0, 0, 1, 2] == np.iinfo(dtype).max


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "uint64"])
def test_indices_of_any_integer_dtype(dtype: str) -> None:
    indices = np.array([[[1, 3]]], dtype)
    assert F.max_unpool1d(np.array([[[5.0, 6.0]]]), indices, 2).tolist() == [[[0.0, 5.0, 0.0, 6.0]]]


def test_of_values_that_share_a_place_the_last_in_row_order_stands_there() -> None:
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    indices = np.array([[[[0, 1, 1], [2, 0, 2], [5, 5, 5]]]])
    expected = [[[[5.0, 3.0, 6.0], [0.0, 0.0, 9.0], [0.0, 0.0, 0.0]]]]
    for values, places in (
        (x, indices),
        (np.asfortranarray(x), np.asfortranarray(indices)),
        (x[..., ::-1].copy()[..., ::-1], indices[..., ::-1].copy()[..., ::-1]),
    ):
        assert F.max_unpool2d(values, places, 1).tolist() == expected
    # Windows that overlap find the same sample several times: many thousands, and still the last.
    values = np.arange(100_000.0).reshape(1, 1, -1)
    assert F.max_unpool1d(values, np.zeros(values.shape, int), 1)[0, 0, 0] == 99_999


def test_unpool_notices_indices_that_change_before_backward() -> None:
    x = tw.tensor([[[5.0, 6.0]]], requires_grad=True)
    places = tw.tensor([[[1, 3]]])
    y = F.max_unpool1d(x, places, 2)
    places[0, 0, 0] = 2
    with pytest.raises(StateError, match="changed in place"):
        y.sum().backward()
    array = np.array([[[1, 3]]])
    y = F.max_unpool1d(x, array, 2)
    array[...] = 0
    (y * tw.tensor([[[1.0, 2.0, 3.0, 4.0]]])).sum().backward()
    assert x.grad.tolist() == [[[2.0, 4.0]]]


@pytest.mark.parametrize("pool", [F.max_pool1d, F.adaptive_max_pool1d])
def test_the_indices_a_caller_gets_are_the_callers_own(pool: Any) -> None:
    x = tw.tensor([[[5.0, 6.0, 8.0, 7.0]]], requires_grad=True)
    y, places = pool(x, 2, return_indices=True)
    assert places.tolist() == [[[1, 2]]] and not places.requires_grad
    places[...] = 0
    y.sum().backward()
    assert x.grad.tolist() == [[[0.0, 1.0, 1.0, 0.0]]]


_X = np.zeros((1, 1, 4, 4))
_I = np.zeros((1, 1, 4, 4), int)
_BEYOND = _I.copy()
_BEYOND[0, 0, 3, 2:] = 64, 99


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        # lp_pool
        (
            lambda: F.lp_pool2d(_X, 0, 2),
            ArgumentError,
            "lp_pool2d needs norm_type to be a number above 0, or an infinity of either sign. Received: "
            "norm_type=0.",
        ),
        (lambda: F.lp_pool2d(_X, -2, 2), ArgumentError, "Received: norm_type=-2."),
        (lambda: F.lp_pool2d(_X, "2", 2), ArgumentError, "Received: norm_type='2'."),
        (lambda: F.lp_pool2d(_X, None, 2), ArgumentError, "Received: norm_type=None."),
        (lambda: F.lp_pool2d(_X, math.nan, 2), ArgumentError, "Received: norm_type=nan."),
        (lambda: F.lp_pool2d(_X, True, 2), ArgumentError, "Received: norm_type=True."),
        (lambda: F.lp_pool2d(_X, 2, 2.5), ArgumentError, "lp_pool2d needs kernel_size to be an integer."),
        (lambda: F.lp_pool2d(_X, 2, None), ArgumentError, "Received: kernel_size=None."),
        (lambda: F.lp_pool2d(_X, 2, 2, 1.5), ArgumentError, "lp_pool2d needs stride to be an integer."),
        (lambda: F.lp_pool2d(_X, 2, 5), ShapeError, "lp_pool2d needs the window to fit"),
        (
            lambda: F.lp_pool2d(_X.astype(int), 2, 2),
            DtypeError,
            "lp_pool2d needs input of one of the dtypes float16, bfloat16, float32, float64, in native byte "
            "order. Received: input with shape (1, 1, 4, 4) and dtype int64.",
        ),
        (lambda: F.lp_pool2d(tw.tensor(_I), 2, 2), DtypeError, "lp_pool2d needs input of one of the dtypes"),
        (lambda: F.lp_pool(_X[0, 0], 2, 2), ShapeError, "list the kernel's size per spatial axis."),
        (lambda: F.lp_pool(_X, 2, ()), ArgumentError, "lp_pool needs kernel_size with at least one axis."),
        (
            lambda: F.lp_pool1d(_X, 2, 2),
            ShapeError,
            "lp_pool1d needs input of rank 3 (batch, channels, length)",
        ),
        # adaptive and global
        (
            lambda: F.adaptive_avg_pool2d(_X, 2.5),
            ArgumentError,
            "adaptive_avg_pool2d needs output_size to be an integer. Received: output_size=2.5.",
        ),
        (lambda: F.adaptive_avg_pool2d(_X, (2, 1.0)), ArgumentError, "Received: output_size=1.0."),
        (lambda: F.adaptive_avg_pool2d(_X, -1), ArgumentError, "output_size to be at least 0."),
        (lambda: F.adaptive_avg_pool2d(_X, None), ArgumentError, "Received: output_size=None."),
        (lambda: F.adaptive_avg_pool2d(_X, (2, 2, 2)), ArgumentError, "Received: output_size=(2, 2, 2)."),
        (lambda: F.adaptive_avg_pool(_X, ()), ArgumentError, "output_size with at least one axis."),
        (lambda: F.adaptive_avg_pool(_X[0, 0], 2), ShapeError, "list the output's size per spatial axis."),
        (
            lambda: F.adaptive_avg_pool1d(_I[0], 2),
            DtypeError,
            "adaptive_avg_pool1d needs input of one of the dtypes float16, bfloat16, float32, float64",
        ),
        (
            lambda: F.adaptive_max_pool2d(_X > 0, 2),
            DtypeError,
            "input with shape (1, 1, 4, 4) and dtype bool",
        ),
        (lambda: F.adaptive_max_pool2d("x", 2), DtypeError, "adaptive_max_pool2d needs input to be a NumPy"),
        (
            lambda: F.adaptive_max_pool2d(np.zeros((1, 1, 0, 4)), 2),
            ShapeError,
            "adaptive_max_pool2d needs every spatial axis of input to hold at least one sample. Received:",
        ),
        (
            lambda: F.adaptive_max_pool2d(_X, (2**62, 2**62)),
            ShapeError,
            "adaptive_max_pool2d needs a result that memory holds. Received: shape=(1, 1, 46116860184273",
        ),
        (lambda: F.global_avg_pool(_X[0, 0]), ShapeError, "For an input without batch, say its rank."),
        (lambda: F.global_avg_pool(_X, 0), ArgumentError, "global_avg_pool needs rank to be at least 1."),
        (lambda: F.global_max_pool(_X, rank=4), ShapeError, "global_max_pool needs input of rank 6"),
        (
            lambda: F.global_max_pool(np.ones((1,) * MOST_AXES)),
            ShapeError,
            f"global_max_pool needs at most {(MOST_AXES - 1) // 2} spatial axes. Received: input with shape",
        ),
        (lambda: F.global_max_pool(None), DtypeError, "global_max_pool needs input to be a NumPy array"),
        # unpool
        (
            lambda: F.max_unpool2d(_X, _BEYOND, 2),
            ArgumentError,
            "max_unpool2d needs every index to be a position in a plane of size (8, 8), from 0 and below 64. "
            "Received: index 64 at (0, 0, 3, 2).",
        ),
        (lambda: F.max_unpool2d(_X, _I - 1, 2), ArgumentError, "Received: index -1 at (0, 0, 0, 0)."),
        (
            lambda: F.max_unpool2d(_X, _I[0], 2),
            ShapeError,
            "max_unpool2d needs indices of the input's shape (1, 1, 4, 4). Received: indices with shape",
        ),
        (
            lambda: F.max_unpool2d(_X, _X, 2),
            DtypeError,
            "max_unpool2d needs indices of one of the dtypes int8",
        ),
        (
            lambda: F.max_unpool2d(tw.tensor(_X), tw.tensor(_X), 2),
            DtypeError,
            "max_unpool2d needs indices to be an array or Tensor of integers. Received: indices with shape",
        ),
        (lambda: F.max_unpool2d(_X, None, 2), DtypeError, "max_unpool2d needs indices to be a NumPy array"),
        (
            lambda: F.max_unpool2d(_X, _I, 2.0),
            ArgumentError,
            "max_unpool2d needs kernel_size to be an integer.",
        ),
        (lambda: F.max_unpool2d(_X, _I, 2, padding=-1), ArgumentError, "padding of at least 0."),
        (
            lambda: F.max_unpool2d(_X, _I, 2, output_size=(12, 8)),
            ArgumentError,
            "less than a stride (2, 2) away",
        ),
        (lambda: F.max_unpool2d(_X, _I, 2, output_size="8"), ArgumentError, "output_size to be an integer."),
        (
            lambda: F.max_unpool2d(np.zeros((1, 1, 0, 4)), np.zeros((1, 1, 0, 4), int), 2),
            ShapeError,
            "max_unpool2d needs every spatial axis of input to hold at least one sample.",
        ),
        (
            lambda: F.max_unpool2d(_X, _I, 2**40),
            ShapeError,
            "max_unpool2d needs a result that memory holds. Received: shape=(1, 1, 4398046511104, 43980",
        ),
        (lambda: F.max_unpool(_X[0, 0], _I[0, 0], 2), ShapeError, "list the kernel's size per spatial axis."),
    ],
)
def test_refusals(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
    assert "Received: " in str(caught.value)
