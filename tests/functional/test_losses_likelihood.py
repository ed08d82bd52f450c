"""Poisson and Gaussian likelihoods: values by hand, gradients, corner cases, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import check_kinds, check_layouts, normal

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_ROUNDING = {"rtol": 1e-14, "atol": 1e-15, "reason": "rounding of a few operations"}
_EXACT = {"rtol": 0, "atol": 0, "reason": "exact"}


def test_poisson_by_hand() -> None:
    x, t = np.array([0.0, math.log(3.0), 1.0]), np.array([1.0, 3.0, 0.0])
    each = [1.0, 3.0 - 3.0 * math.log(3.0), math.e]
    assert_same(F.poisson_nll_loss(x, t, reduction="none"), each, **_ROUNDING)
    assert_same(F.poisson_nll_loss(x, t, reduction="sum"), np.asarray(sum(each)), **_ROUNDING)
    assert_same(F.poisson_nll_loss(x, t), np.asarray(sum(each) / 3), **_ROUNDING)
    # The same counts, given themselves.
    y = F.poisson_nll_loss(np.exp(x), t, log_input=False, eps=0.0, reduction="none")
    assert_same(y, each, **_ROUNDING)
    # Stirling's approximation of log(3!) for the count above 1 alone: 1.7641 instead of 1.7918.
    stirling = 3.0 * math.log(3.0) - 3.0 + 0.5 * math.log(6.0 * math.pi)
    y = F.poisson_nll_loss(x, t, full=True, reduction="none")
    assert_same(y, [each[0], each[1] + stirling, each[2]], **_ROUNDING)
    assert abs(stirling - math.log(6.0)) < 0.03


def test_gaussian_by_hand() -> None:
    x, t = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[3.0, 2.0], [1.0, 0.0]])
    variance = np.array([[4.0, 1.0], [0.5, 0.0]])
    each = [
        [0.5 * math.log(4.0) + 0.5, 0.0],
        [0.5 * math.log(0.5) + 1.0, 0.5 * math.log(0.25)],
    ]
    y = F.gaussian_nll_loss(x, t, variance, eps=0.25, reduction="none")
    assert_same(y, each, **_ROUNDING)
    full = F.gaussian_nll_loss(x, t, variance, True, 0.25, "sum")
    total = sum(map(sum, each)) + 4 * 0.5 * math.log(2 * math.pi)
    assert_same(full, np.asarray(total), **_ROUNDING)
    # One variance for each row, and one for all.
    by_row = F.gaussian_nll_loss(x, t, np.array([4.0, 1.0]), reduction="none")
    repeated = F.gaussian_nll_loss(x, t, np.array([[4.0, 4.0], [1.0, 1.0]]), reduction="none")
    assert_same(by_row, repeated, **_EXACT)
    assert_same(F.gaussian_nll_loss(x, t, np.array([[4.0], [1.0]]), reduction="none"), repeated, **_EXACT)
    # One target for each column, and one for all.
    for target in (t[0], t[:1], np.array([3.0]), np.array(3.0)):
        spread = np.broadcast_to(target, (2, 2)).copy()
        found = F.gaussian_nll_loss(x, target, variance, reduction="none")
        assert_same(found, F.gaussian_nll_loss(x, spread, variance, reduction="none"), **_EXACT)
    for_all = F.gaussian_nll_loss(x, t, 4.0, reduction="none")
    assert_same(for_all, F.gaussian_nll_loss(x, t, np.full((2, 2), 4.0), reduction="none"), **_EXACT)


_COUNTS = np.array([[0.0, 1.0, 2.5], [4.0, 7.0, 0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinds_dtypes_and_layouts(dtype: Any) -> None:
    x, t, v = normal((2, 3), 1, dtype), _COUNTS.astype(dtype), np.exp(normal((2, 3), 2, dtype))
    for reduction in ("none", "mean", "sum"):
        check_kinds(lambda x, t, r=reduction: F.poisson_nll_loss(x, t, full=True, reduction=r), x, t)
        check_kinds(lambda x, t, v, r=reduction: F.gaussian_nll_loss(x, t, v, reduction=r), x, t, v)
    check_layouts(lambda x: F.poisson_nll_loss(x, t[: len(x)], reduction="none"), x)
    check_layouts(lambda x: F.gaussian_nll_loss(x, t[: len(x)], v[: len(x)], reduction="none"), x)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradients_are_difference_quotients(reduction: str) -> None:
    x = tw.tensor(normal((2, 3), 1), requires_grad=True)
    t = tw.tensor(_COUNTS + 0.1, requires_grad=True)
    positive = tw.tensor(np.exp(normal((2, 3), 1)), requires_grad=True)
    for log_input, given in ((True, x), (False, positive)):
        for full in (True, False):

            def poisson(x: Any, t: Any, log_input: bool = log_input, full: bool = full) -> Any:
                return F.poisson_nll_loss(x, t, log_input, full, reduction=reduction)

            assert gradcheck(poisson, [given, t])
            assert gradgradcheck(poisson, [given, t])
    for shape in ((2, 3), (2, 1), (2,)):
        v = tw.tensor(np.exp(normal(shape, 3)), requires_grad=True)

        def gaussian(x: Any, t: Any, v: Any) -> Any:
            return F.gaussian_nll_loss(x, t, v, True, reduction=reduction)

        assert gradcheck(gaussian, [x, t, v])
        assert gradgradcheck(gaussian, [x, t, v])


def test_a_count_of_0_has_a_finite_gradient() -> None:
    t = tw.tensor([0.0, 1.0, 2.0], dtype=tw.float64, requires_grad=True)
    F.poisson_nll_loss(tw.zeros(3, dtype=tw.float64), t, full=True, reduction="sum").backward()
    # Above 1 the slope of Stirling's formula is log(t) + 1/(2t).
    assert_same(t.grad, [0.0, 0.0, math.log(2.0) + 0.25], **_ROUNDING)


def test_a_gradient_reaches_a_variance_that_is_too_small() -> None:
    v = tw.tensor([0.01], dtype=tw.float64, requires_grad=True)
    F.gaussian_nll_loss(tw.tensor([1.0]).double(), tw.tensor([3.0]).double(), v, eps=0.25).backward()
    # ½/eps − ½ · 4/eps².
    assert_same(v.grad, [2.0 - 32.0], **_ROUNDING)
    assert_same(v.detach(), [0.01], rtol=0, atol=0, reason="inputs are never written to")


def test_no_elements_and_nan() -> None:
    nothing = np.zeros((0, 3))
    for call in (
        lambda x, **k: F.poisson_nll_loss(x, x, **k),
        lambda x, **k: F.gaussian_nll_loss(x, x, np.ones(x.shape), **k),
    ):
        assert call(nothing, reduction="none").shape == (0, 3)
        assert_same(call(nothing), np.array(math.nan), **_EXACT)
        y = call(np.array([math.nan, 1.0]), reduction="none")
        assert_same(np.isnan(y), [True, False], **_EXACT)
    assert_same(
        F.poisson_nll_loss(np.zeros(2), np.array([1, 2])),
        F.poisson_nll_loss(np.zeros(2), np.array([1.0, 2.0])),
        rtol=0,
        atol=0,
        reason="whole numbers are taken as numbers",
    )


_X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.poisson_nll_loss(_X, _X[0]),
            ShapeError,
            "poisson_nll_loss needs input and target of one shape. Received: input with shape (2, 3) and "
            "dtype",
        ),
        (
            lambda: F.poisson_nll_loss(_X.astype(int), _X),
            DtypeError,
            "poisson_nll_loss needs input of one of the dtypes float32, float64, in native byte order. "
            "Received:",
        ),
        (
            lambda: F.poisson_nll_loss(_X, _X, reduction=None),
            ArgumentError,
            "poisson_nll_loss needs reduction to be one of 'none', 'mean', 'sum'. Received: reduction=None.",
        ),
        (
            lambda: F.poisson_nll_loss(_X, _X, eps="a"),
            DtypeError,
            "poisson_nll_loss needs eps to be a number. Received: eps='a'.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, _X, np.ones(3)),
            ShapeError,
            "gaussian_nll_loss needs var of the input's shape, or with its last axis left out or of size 1. "
            "Received: var with shape (3,) and dtype float64, input with shape (2, 3) and dtype float64.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, _X, np.array([[1.0], [-0.5]])),
            ArgumentError,
            "gaussian_nll_loss needs variances of at least 0. Received: var with a least element of -0.5.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, _X, _X.astype(np.float32)),
            DtypeError,
            "gaussian_nll_loss needs operands of one dtype. Received: input of float64, var of float32.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, None, _X),
            DtypeError,
            "gaussian_nll_loss needs target to be a NumPy array or a Tensor. Received: target of type "
            "NoneType.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X[:, :1], _X[:, 0], _X[:, :1]),
            ShapeError,
            "gaussian_nll_loss needs target of a shape that broadcasts to the input's (2, 1). Received: "
            "target with shape (2,) and",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, _X, None),
            DtypeError,
            "gaussian_nll_loss needs var to be a NumPy array or a Tensor. Received: var of type NoneType.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, _X, _X, eps=0.0),
            ArgumentError,
            "gaussian_nll_loss needs eps above 0. Received: eps=0.0.",
        ),
        (
            lambda: F.gaussian_nll_loss(_X, _X.T, _X),
            ShapeError,
            "gaussian_nll_loss needs target of a shape that broadcasts to the input's (2, 3). Received: "
            "target with shape (3, 2) and",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
