"""Gradients of gradients where there is nothing: null vectors, equal numbers, no elements at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
import tilewright.functional as F

EXACT = {"rtol": 0, "atol": 0, "reason": "zeros by definition"}


def _twice(function: Callable[..., Any], *arrays: Any) -> tuple[list[Any], list[Any]]:
    """First gradients, and those of their sum in the operands and in what came down."""
    operands = [tw.tensor(x, requires_grad=True) for x in arrays]
    y = function(*operands)
    down = tw.ones_like(y).requires_grad_()
    first = tw.autograd.grad(y, operands, down, create_graph=True)
    total = sum(found.sum() for found in first)
    second = tw.autograd.grad(total, [*operands, down], allow_unused=True)
    return list(first), [found for found in second if found is not None]


def _all_zero(found: list[Any]) -> None:
    assert found
    for one in found:
        assert_same(one.detach(), np.zeros(tuple(one.shape)), **EXACT)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, float("inf")])
def test_the_length_of_null_vectors_has_slopes_of_zero(p: float) -> None:
    first, second = _twice(lambda x: x.norm(p, 1), np.zeros((2, 3)))
    if p != float("inf"):  # which is shared out between those that are largest
        _all_zero([*first, *second])
    rest, others = _twice(lambda x: x.norm(p, 1), np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]]))
    assert all(np.isfinite(found.detach().numpy()).all() for found in [*rest, *others])


def test_a_norm_beside_a_null_vector_is_as_it_was() -> None:
    (first,), _ = _twice(lambda x: x.norm(3, 1), np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]]))
    # x² / ‖x‖², with ‖x‖ = 9^(1/3)
    expected = np.array([[0.0, 0.0, 0.0], [1.0, 4.0, 0.0]]) / 9 ** (2 / 3)
    assert_same(first.detach(), expected, rtol=1e-14, atol=0, reason="a few roundings")


def test_the_deviation_of_equal_numbers_has_slopes_of_zero() -> None:
    _all_zero([found for both in _twice(lambda x: x.std(1), np.full((2, 3), 4.0)) for found in both])


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits])
def test_a_mean_loss_of_nothing_has_slopes_of_zero(loss: Any) -> None:
    nothing = np.zeros((0, 3))
    first, second = _twice(loss, nothing, nothing)
    assert [tuple(found.shape) for found in first] == [(0, 3), (0, 3)]
    _all_zero(second)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0)])
def test_norms_of_nothing_can_be_differentiated_twice(shape: tuple[int, ...]) -> None:
    parameters = np.ones(4), np.zeros(4)
    first, second = _twice(lambda x, w, b: F.group_norm(x, 2, w, b), np.zeros(shape), *parameters)
    assert [tuple(found.shape) for found in first] == [shape, (4,), (4,)]
    _all_zero([*first, *second])
