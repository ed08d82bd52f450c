"""The public pooling functions: kinds, ranks, unbatched input, padding forms, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same computation"}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_named_and_any_rank_agree_batched_or_not(name: str, rank: int) -> None:
    x = random_array((2, 3, *(6,) * rank), 1)
    named, any_rank = getattr(F, f"{name}{rank}d"), getattr(tw, name)
    y = named(x, 3, 2, 1)
    assert y.shape == (2, 3, *(3,) * rank)
    assert_same(any_rank(x, 3, 2, 1), y, **_EXACT)
    assert_same(named(x[0], 3, 2, 1), y[0], **_EXACT)
    assert_same(any_rank(x[0], (3,) * rank, 2, 1), y[0], **_EXACT)


def test_four_spatial_axes() -> None:
    x = random_array((1, 2, 4, 4, 4, 4), 1)
    blocks = x.reshape(1, 2, 2, 2, 2, 2, 2, 2, 2, 2)
    assert_same(tw.max_pool(x, 2), blocks.max(axis=(3, 5, 7, 9)), **_EXACT)


def test_indices_with_arrays_and_tensors() -> None:
    x = random_array((2, 3, 8), 1)
    y, indices = F.max_pool1d(x, 2, return_indices=True)
    assert_same(np.take_along_axis(x, indices, axis=2), y, **_EXACT)
    t, places = F.max_pool1d_with_indices(tw.tensor(x, requires_grad=True), 2)
    assert_same(t, y, **_EXACT)
    assert_same(places, indices, **_EXACT)
    assert t.requires_grad
    assert not places.requires_grad


def test_known_pools() -> None:
    x = np.array([[0.0, 12, 26, 39], [6, 19, 31, 44], [12, 25, 38, 50], [18, 31, 43, 57]])[None]
    assert F.max_pool2d(x, 2).tolist() == [[[19, 44], [31, 57]]]
    assert F.avg_pool2d(x, 2).tolist() == [[[9.25, 35], [21.5, 47]]]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: F.max_pool2d(np.zeros((4, 4)), 2), ShapeError, "Add the missing axes: input[None, None]."),
        (lambda: tw.max_pool(np.zeros((4, 4)), 2), ShapeError, "list the kernel's size per spatial axis."),
        (lambda: tw.max_pool(np.zeros((1, 1, 4)), ()), ArgumentError, "kernel_size with at least one axis."),
        (lambda: F.max_pool1d("x", 2), DtypeError, "max_pool1d needs input to be a NumPy array or a Tensor."),
        (
            lambda: F.avg_pool1d(np.zeros((1, 1, 4), int), 2),
            DtypeError,
            "avg_pool1d needs input of one of the dtypes",
        ),
        (lambda: F.avg_pool2d(np.zeros((1, 1, 4, 4)), 5), ShapeError, "avg_pool2d needs the window to fit"),
        (
            lambda: F.avg_pool2d(np.zeros((1, 1, 4, 4)), 2, divisor_override=0),
            ArgumentError,
            "avg_pool2d needs divisor_override to be at least 1. Received: divisor_override=0.",
        ),
        (
            lambda: F.max_pool2d(np.zeros((1, 1, 4, 4)), (2,)),
            ArgumentError,
            "2 of them, one per spatial axis.",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
