"""Index maps of padding, and how they are cut into runs."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st

from tilewright.op.moved import Run, runs
from tilewright.op.pad import pad, pad_gradient, padded_shape, source_index

_EXACT = {"rtol": 0, "atol": 0, "reason": "indices"}


@given(st.lists(st.integers(0, 4), max_size=12))
def test_runs_are_the_indices_they_were_made_from(index: list[int]) -> None:
    found: list[int] = []
    for run in runs(np.array(index, np.int64)):
        assert run.at == len(found)
        assert run.outputs() == slice(run.at, run.at + run.length)
        taken = np.arange(5)[run.inputs()]
        found += [int(i) for i in (taken if run.step else np.repeat(taken, run.length))]
    assert found == index


def test_a_fold_is_two_runs() -> None:
    assert list(runs(source_index(4, 0, 2, "reflect"))) == [Run(0, 4, 0, 1), Run(4, 2, 2, -1)]
    assert list(runs(source_index(3, 2, 0, "circular"))) == [Run(0, 2, 1, 1), Run(2, 3, 0, 1)]
    assert list(runs(source_index(1, 2, 2, "replicate"))) == [Run(0, 5, 0, 0)]
    assert list(runs(np.zeros(0, np.int64))) == []


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_wide_padding_takes_few_runs(mode: str) -> None:
    # As many runs as folds: what is copied is slices, however wide the padding.
    assert len(list(runs(source_index(100, 1000, 1000, mode)))) <= 23


def test_axes_that_are_not_named_are_left_alone() -> None:
    x = np.arange(12).reshape(2, 3, 2)
    assert padded_shape(x.shape, ((1, 0),), "reflect") == (2, 3, 3)
    y = pad(x, ((1, 0),), "reflect")
    assert_same(y[..., 1:], x, **_EXACT)
    assert_same(y[..., 0], x[..., 1], **_EXACT)


@pytest.mark.parametrize("mode", ["constant", "replicate", "circular"])
def test_nothing_in_nothing_out(mode: str) -> None:
    x = np.zeros((0, 3))
    assert pad(x, ((0, 0), (1, 1)), mode).shape == (0, 5)
    assert pad_gradient(np.zeros((0, 5)), (0, 3), ((0, 0), (1, 1)), mode).shape == (0, 3)
    assert pad(np.zeros((2, 3)), ((0, 0), (-3, 0)), "constant").shape == (2, 0)
    assert_same(
        pad_gradient(np.zeros((2, 0)), (2, 3), ((0, 0), (-2, -1)), "reflect"), np.zeros((2, 3)), **_EXACT
    )
