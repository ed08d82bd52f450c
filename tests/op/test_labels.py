"""Class labels as a value: what is read, and what a mean divides by."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError
from tilewright.op.labels import nll, read_labels

_EXACT = {"rtol": 0, "atol": 0, "reason": "exact"}


def test_ignored_labels_are_marked_and_count_for_nothing() -> None:
    weight = np.array([1.0, 10.0, 100.0])
    found = read_labels("nll_loss", (3, 3), np.float64, np.array([2, 7, 0]), weight, ignore_index=7)
    assert found.keep is not None
    assert found.keep.tolist() == [True, False, True]
    assert found.divisor == 101.0
    assert found.shape == (3,)
    x = np.full((3, 3), -np.inf)
    assert_same(nll(x, found), [np.inf, 0.0, np.inf], **_EXACT)


def test_without_ignored_labels_nothing_is_marked() -> None:
    found = read_labels("nll_loss", (2, 3, 2), np.float64, np.array([[0, 1], [2, 0]]))
    assert found.keep is None
    assert found.factor is None
    assert found.divisor == 4.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.smoothing = 0.5  # type: ignore[misc]


def test_a_single_sample() -> None:
    found = read_labels("nll_loss", (3,), np.float64, np.array(1))
    assert found.shape == ()
    assert_same(nll(np.array([-1.0, -2.0, -3.0]), found), np.array(2.0), **_EXACT)


def test_the_caller_s_arrays_may_change_later() -> None:
    target, weight = np.array([0, 1]), np.array([1.0, 2.0])
    found = read_labels("nll_loss", (2, 2), np.float64, target, weight)
    target[:], weight[:] = 1, 9.0
    assert found.index.tolist() == [0, 1]
    assert found.divisor == 3.0
    assert found.weight is not None
    assert found.weight.tolist() == [1.0, 2.0]


def test_an_ignored_label_may_be_any_number_and_others_may_not() -> None:
    read_labels("nll_loss", (1, 2), np.float64, np.array([-100]))
    read_labels("nll_loss", (1, 0), np.float64, np.array([5]), ignore_index=5)
    with pytest.raises(ArgumentError, match=r"nll_loss needs labels from 0 to 1, or ignore_index=-100"):
        read_labels("nll_loss", (1, 2), np.float64, np.array([-1]))
    with pytest.raises(ArgumentError, match=r"Received: target\[0\]=9223372036854775807\.$"):
        read_labels("nll_loss", (1, 2), np.float64, np.array([2**64 - 1], np.uint64), ignore_index=-1)
