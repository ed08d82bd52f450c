"""The dense layer and one-hot vectors: values by hand, the same bits in any batch, gradients, PyTorch, "
"refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import against_torch, check_kinds, check_layouts, normal, pytorch, shapes

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_SEEDS = st.integers(0, 2**32 - 1)
_EXACT = {"rtol": 0, "atol": 0, "reason": "exact in float64"}


def test_linear_by_hand() -> None:
    x, w, b = (
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1.0, 1.0], [0.0, -2.0], [0.5, 0.0]]),
        np.arange(3.0),
    )
    assert_same(F.linear(x, w, b), [[3.0, -3.0, 2.5], [7.0, -7.0, 3.5]], **_EXACT)
    assert_same(F.linear(x[0], w), [3.0, -4.0, 0.5], **_EXACT)
    assert_same(F.linear(x, w[1]), [-4.0, -8.0], **_EXACT)
    assert_same(F.linear(x[0], w[1], np.array(10.0)), np.array(6.0), **_EXACT)
    assert_same(F.linear(x.astype(int), w.astype(int)), [[3, -4, 0], [7, -8, 0]], **_EXACT)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (4, 0), (0, 0)])
def test_linear_without_elements(shape: tuple[int, ...]) -> None:
    x, w, b = np.zeros(shape), np.ones((2, shape[-1])), np.array([1.0, 2.0])
    y = F.linear(x, w, b)
    assert_same(y, np.broadcast_to(b, (*shape[:-1], 2)), **_EXACT)
    t = tw.tensor(w, requires_grad=True)
    F.linear(tw.tensor(x, requires_grad=True), t, tw.tensor(b)).sum().backward()
    assert_same(t.grad, np.zeros((2, shape[-1])), **_EXACT)
    assert F.linear(x, np.ones((0, shape[-1]))).shape == (*shape[:-1], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_kinds_and_layouts(dtype: Any) -> None:
    x, w, b = normal((3, 5, 4), 1, dtype), normal((6, 4), 2, dtype), normal((6,), 3, dtype)
    check_kinds(F.linear, x, w, b)
    check_kinds(F.linear, x, w)
    check_layouts(lambda x: F.linear(x, w, b), x)
    # The weight may lie in memory as it likes, too.
    expected = F.linear(x, w, b)
    for view in (np.asfortranarray(w), np.flip(np.flip(w).copy())):
        rtol = 16 * float(np.finfo(dtype).eps)
        assert_same(F.linear(x, view, b), expected, rtol=rtol, atol=rtol, reason="BLAS may pack another way")


@pytest.mark.parametrize("leading", [(), (3,), (2, 2), (1, 2, 2)])
@pytest.mark.parametrize("outputs", [(), (1,), (2,)])
def test_linear_gradients_are_difference_quotients(
    leading: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    x, w, b = (
        tw.tensor(normal(shape, seed), requires_grad=True)
        for seed, shape in enumerate([(*leading, 3), (*outputs, 3), outputs])
    )
    for some in ([x, w, b], [x, w]):
        assert gradcheck(F.linear, some)
        assert gradgradcheck(lambda *p: F.linear(*p) ** 2, some)
    # Alone, too: what isn't asked for isn't kept.
    plain = w.detach()
    assert gradcheck(lambda x: F.linear(x, plain), [x])
    fixed = x.detach()
    assert gradgradcheck(lambda w: F.linear(fixed, w) ** 2, [w])


@given(
    leading=shapes(0, 3, 20),
    inputs=st.integers(1, 300),
    outputs=st.integers(0, 140),
    bias=st.booleans(),
    seed=_SEEDS,
)
def test_linear_like_torch(
    leading: tuple[int, ...], inputs: int, outputs: int, bias: bool, seed: int
) -> None:
    functional = pytorch().nn.functional
    # At 0 the weight is a vector.
    rows = (outputs,) if outputs else ()
    arrays = [normal((*leading, inputs), seed), normal((*rows, inputs), seed + 1)]
    # PyTorch takes no bias beside a vector.
    if bias and rows:
        arrays.append(normal(rows, seed + 2))
    against_torch(F.linear, functional.linear, arrays, reason="a sum of up to 8000 products in another order")


@given(
    batch=st.integers(1, 70),
    inputs=st.integers(1, 700),
    outputs=st.integers(1, 300),
    double=st.booleans(),
    fortran=st.booleans(),
    seed=_SEEDS,
)
def test_a_sample_is_the_same_bits_in_any_batch_and_place(
    batch: int, inputs: int, outputs: int, double: bool, fortran: bool, seed: int
) -> None:
    dtype = np.float64 if double else np.float32
    x, w, b = (
        normal((batch, inputs), seed, dtype),
        normal((outputs, inputs), 1, dtype),
        normal((outputs,), 2, dtype),
    )
    if fortran:
        x = np.asfortranarray(x)
    together = F.linear(x, w, b)
    rng = np.random.default_rng(seed)
    order = rng.permutation(batch)
    assert_same(
        F.linear(x[order], w, b), together[order], rtol=0, atol=0, reason="a row's own bits, in any place"
    )
    some = int(rng.integers(batch))
    assert_same(F.linear(x[some], w, b), together[some], rtol=0, atol=0, reason="a row's own bits, alone")
    assert_same(F.linear(x[:, None], w, b)[:, 0], together, rtol=0, atol=0, reason="leading axes are rows")


def test_more_rows_than_are_worked_on_at_a_time() -> None:
    x, w = normal((9001, 5), 1), normal((3, 5), 2)
    y = F.linear(x, w)
    assert_same(y, x @ w.T, rtol=1e-12, atol=1e-14, reason="five products in another order")
    assert_same(y[8999:], F.linear(x[8999:], w), rtol=0, atol=0, reason="a row's own bits")


def test_nan_stays_in_its_row() -> None:
    x, w = normal((11, 3), 1), normal((4, 3), 2)
    x[4, 1], x[7, 0] = np.nan, np.inf
    y = F.linear(x, w)
    assert np.isnan(y[4]).all()
    assert np.isinf(y[7]).all()
    assert np.isfinite(np.delete(y, [4, 7], axis=0)).all()


# --- one_hot ------------------------------------------------------------------------------------------------


def test_one_hot() -> None:
    labels = np.array([[0, 2], [1, 0]])
    expected = [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]]
    assert_same(F.one_hot(labels), expected, **_EXACT)
    y = F.one_hot(tw.tensor(labels.astype(np.int32)), 4)
    assert isinstance(y, tw.Tensor)
    assert_same(y, np.pad(np.array(expected), ((0, 0), (0, 0), (0, 1))), **_EXACT)
    assert F.one_hot(np.zeros((0, 2), np.int64), 3).shape == (0, 2, 3)
    assert_same(F.one_hot(np.array(1), 3), [0, 1, 0], **_EXACT)


_X, _W = np.zeros((2, 3)), np.zeros((4, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.linear(np.zeros((2, 1, 3, 1)), _W),
            ShapeError,
            "linear needs input whose last axis has the 3 in_features of the weight. Received: input with "
            "shape "
            "(2, 1, 3, 1) and dtype float64, weight with shape (4, 3) and dtype float64. Flatten it first: "
            "flatten(input, 1).",
        ),
        (
            lambda: F.linear(np.zeros((2, 4)), _W),
            ShapeError,
            "linear needs input whose last axis has the 3 in_features of the weight. Received: input with "
            "shape",
        ),
        (
            lambda: F.linear(np.array(1.0), _W),
            ShapeError,
            "linear needs input whose last axis has the 3 in_features",
        ),
        (
            lambda: F.linear(_X, np.zeros((4, 1, 3))),
            ShapeError,
            "linear needs weight of shape (out_features, in_features) or (in_features,). Received: weight "
            "with "
            "shape (4, 1, 3) and dtype float64.",
        ),
        (
            lambda: F.linear(_X, _W, np.zeros(3)),
            ShapeError,
            "linear needs bias of shape (4,), one number per output. Received: bias with shape (3,) and "
            "dtype",
        ),
        (
            lambda: F.linear(_X, _W.astype(np.float32)),
            DtypeError,
            "linear needs operands of one dtype. Received: input of float64, weight of float32. Convert "
            "one of",
        ),
        (
            lambda: F.linear(_X, _W, [0.0] * 4),
            DtypeError,
            "linear needs bias to be a NumPy array or a Tensor. Received: bias of type list.",
        ),
        (
            lambda: F.linear(_X.tolist(), _W),
            DtypeError,
            "linear needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.one_hot(np.array([1.0])),
            DtypeError,
            "one_hot needs labels of an integer dtype. Received: tensor with shape (1,) and dtype float64.",
        ),
        (
            lambda: F.one_hot([1]),
            DtypeError,
            "one_hot needs labels of an integer dtype. Received: tensor=[1].",
        ),
        (
            lambda: F.one_hot(np.array([1, 3]), 3),
            ArgumentError,
            "one_hot needs labels from 0 to 2. Received: a label 3, num_classes=3.",
        ),
        (
            lambda: F.one_hot(np.array([1, -1])),
            ArgumentError,
            "one_hot needs labels of at least 0. Received: a label -1, num_classes=-1.",
        ),
        (
            lambda: F.one_hot(np.zeros(0, np.int64)),
            ArgumentError,
            "one_hot can't take the number of classes from no labels. Received: tensor with shape (0,) "
            "and dtype "
            "int64. Give num_classes.",
        ),
        (
            lambda: F.one_hot(np.array([0]), 1.5),
            ArgumentError,
            "one_hot needs num_classes to be an integer. Received: num_classes=1.5.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
