"""Pools beside PyTorch's where the two differ on purpose, or nearly.

Where they agree, ``test_torch_random`` compares them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from compare import assert_same
from twice import check_twice

import tilewright as tw
import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import torch.nn.functional as TF  # noqa: E402 - after the skip

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

_EXACT = {"rtol": 0, "atol": 0, "reason": "samples are copied, positions are exact"}


def test_a_root_that_is_nan_in_pytorch_is_real_here_and_all_others_are_the_same() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 40))
    for p in (1, 3, 5, 1.5):
        theirs = TF.lp_pool1d(torch.tensor(x), p, 3, 2).numpy()
        ours = F.lp_pool1d(x, p, 3, 2)
        known = np.isfinite(theirs)
        assert known.all() == (p == 1)
        assert np.isfinite(ours).all()
        assert_same(
            ours[known], theirs[known], rtol=1e-8, atol=1e-9, reason="the same sums in another order, float64"
        )


@pytest.mark.parametrize("p", [1, 2, 3, 1.5])
def test_windows_of_zeros_have_gradients_of_zeros_in_both(p: float) -> None:
    ours = tw.zeros(1, 1, 6, dtype=tw.float64, requires_grad=True)
    theirs = torch.zeros(1, 1, 6, dtype=torch.float64, requires_grad=True)
    F.lp_pool1d(ours, p, 2).sum().backward()
    TF.lp_pool1d(theirs, p, 2).sum().backward()
    assert_same(ours.grad, theirs.grad, **_EXACT)
    assert not ours.grad.numpy().any()


def test_infinite_norms() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    for p in (math.inf, -math.inf):
        check_twice(
            lambda t, p=p: F.lp_pool2d(t, p, 3, 2, True), lambda t, p=p: TF.lp_pool2d(t, p, 3, 2, True), [x]
        )


def test_of_values_that_share_a_place_the_last_stands_there_and_only_ours_has_its_gradient() -> None:
    x, indices = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1, 4, 1]]])
    ours, theirs = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = F.max_unpool1d(ours, indices, 2), TF.max_unpool1d(theirs, torch.tensor(indices), 2)
    assert_same(y, z, **_EXACT)
    y.sum().backward()
    z.sum().backward()
    assert ours.grad.tolist() == [[[0.0, 1.0, 1.0]]]
    assert theirs.grad.tolist() == [[[1.0, 1.0, 1.0]]]  # not what a change of the first value does
