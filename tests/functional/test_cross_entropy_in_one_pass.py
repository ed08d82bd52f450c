"""Cross-entropy of rows of scores, compiled, against log-softmax and the likelihood of the right class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from op.test_passes import without_kernels

import tilewright as tw
import tilewright.functional as F
from tilewright.kernel import jit

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

OPTIONS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"weight": True},
    {"ignore_index": 3},
    {"weight": True, "ignore_index": 3, "reduction": "sum"},
]


def loss_and_gradient(x: Any, target: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    given = dict(options)
    if given.pop("weight", False):
        given["weight"] = np.linspace(0.5, 2, x.shape[-1]).astype(x.dtype)
    leaf = tw.as_tensor(x).requires_grad_(True)
    loss = F.cross_entropy(leaf, target, **given)
    pull = np.linspace(1, 2, max(loss.numel(), 1)).astype(x.dtype).reshape(tuple(loss.shape))
    (found,) = tw.autograd.grad(loss, leaf, tw.as_tensor(pull))
    return loss.detach().numpy(), found.numpy()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(10,), (1, 4), (7, 10), (300, 45), (50, 1000)])
def test_the_same_numbers_as_in_steps(
    shape: tuple[int, ...], dtype: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(shape)
    x = (rng.standard_normal(shape) * 5).astype(dtype)
    target = np.asarray(rng.integers(0, shape[-1], shape[:-1]))
    if len(shape) == 1 and options.get("ignore_index") == int(target):
        target = np.asarray(4)
    layouts = [x, np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2]]
    eps = float(np.finfo(dtype).eps)
    for given in layouts:
        found = loss_and_gradient(given, target, options)
        wanted = without_kernels(monkeypatch, lambda given=given: loss_and_gradient(given, target, options))
        for one, other in zip(found, wanted, strict=True):
            # Logarithms of sums of up to 1000 exponentials of numbers up to 40.
            assert_same(one, other, rtol=100 * eps, atol=100 * eps, reason="exponentials of rounded numbers")
        # To the last bit, however the scores lie.
        assert_same(found[0], loss_and_gradient(x, target, options)[0], rtol=0, atol=0, reason="same order")


def test_a_samples_loss_has_the_same_bits_in_every_batch() -> None:
    rng = np.random.default_rng(1)
    x, target = rng.standard_normal((500, 100)).astype(np.float32), rng.integers(0, 100, 500)
    whole = F.cross_entropy(x, target, reduction="none")
    for some in (slice(0, 1), slice(3, 5), slice(100, 500)):
        found = F.cross_entropy(x[some], target[some], reduction="none")
        assert_same(found, whole[some], rtol=0, atol=0, reason="the same bits")
    assert_same(
        F.cross_entropy(x[7], target[7:8].reshape(())),
        whole[7:8].reshape(()),
        rtol=0,
        atol=0,
        reason="the same bits",
    )


def test_it_can_be_differentiated_again() -> None:
    rng = np.random.default_rng(2)
    x = tw.tensor(rng.standard_normal((4, 6)), requires_grad=True)
    target = np.array([0, 3, 5, 3])
    for options in ({}, {"ignore_index": 3}, {"weight": np.linspace(1, 2, 6)}):
        assert tw.autograd.gradcheck(lambda x, o=options: F.cross_entropy(x, target, **o), (x,))
        assert tw.autograd.gradgradcheck(lambda x, o=options: F.cross_entropy(x, target, **o), (x,))


def test_infinite_scores_and_nan() -> None:
    x = np.zeros((4, 5), np.float32)
    x[0, 1], x[1, 1], x[2, 1] = -np.inf, np.inf, np.nan
    found = F.cross_entropy(x, np.array([1, 1, 0, 0]), reduction="none")
    expected = np.array([np.inf, np.nan, np.nan, np.log(5)], np.float32)
    assert_same(found, expected, rtol=1e-6, atol=0, reason="one rounding")


def test_a_sure_and_right_answer_keeps_its_small_loss() -> None:
    # exp(−17) is below float32's last digit of 1, but the loss is just that.
    x = np.array([[17.0, 0.0]], np.float32)
    assert_same(
        F.cross_entropy(x, np.array([0])),
        np.array(np.exp(-17), np.float32),
        rtol=1e-6,
        atol=0,
        reason="float32",
    )
