"""bfloat16 tensors: every operation keeps the dtype and is what float32 gives, rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

pytest.importorskip("ml_dtypes", reason="bfloat16 needs it: pip install 'tilewright[bfloat16]'")

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import DtypeError

_B = tw.bfloat16
_X = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(_B)
# Half of a step of eight bits.
_STEP = 2.0**-8

# Name → the operation, and how many roundings lie between its operands and its result.
_CALLS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "sum": (lambda x: x.sum(), 1),
    "sum of rows": (lambda x: x.sum((0, 2), True), 1),
    "mean": (lambda x: x.mean(1), 1),
    "var": (lambda x: x.var(1), 1),
    "std": (lambda x: x.std(), 2),
    "prod": (lambda x: x[0, 0, 0, :3].prod(), 2),
    "norm": (lambda x: x.norm(), 1),
    "amax": (lambda x: x.amax((0, 1)), 0),
    "min": (lambda x: x.min(1)[0], 0),
    "sort": (lambda x: x.sort(1)[0], 0),
    "topk": (lambda x: x.topk(2, 3)[0], 0),
    "cumsum": (lambda x: x.cumsum(1), 1),
    "logsumexp": (lambda x: x.logsumexp(1), 1),
    "exp": (lambda x: x.exp(), 1),
    "log": (lambda x: x.abs().log(), 1),
    "sqrt": (lambda x: x.abs().sqrt(), 1),
    "tanh": (lambda x: x.tanh(), 1),
    "sigmoid": (lambda x: x.sigmoid(), 3),
    "relu": (lambda x: x.relu(), 0),
    "sign": (lambda x: x.sign(), 0),
    "floor": (lambda x: x.floor(), 0),
    "round": (lambda x: x.round(), 0),
    "add a number": (lambda x: x + 0.5, 1),
    "add": (lambda x: x + x.flip(0), 1),
    "divide": (lambda x: 3 / x - x / 2, 3),
    "square": (lambda x: x**2, 1),
    "root": (lambda x: x.abs() ** 0.5, 1),
    "power": (lambda x: x.abs() ** x, 2),
    "matmul": (lambda x: x @ x.transpose(-1, -2), 1),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), 0),
    "where": (lambda x: x.where(x > 0, 0.5), 0),
    "maximum": (lambda x: tw.maximum(x, x.flip(1)), 0),
    "index": (lambda x: x[:, 1:3, ::2] + x[[0, 1]][:, :2, ::2], 1),
    "scatter": (lambda x: x.scatter_add(1, tw.zeros(2, 1, 6, 6, dtype=tw.int64), x[:, :1]), 1),
    "cat": (lambda x: tw.cat([x, x.flip(1)], 1), 0),
    "shapes": (lambda x: x.flip(1).roll(1, 0).transpose(0, 1).reshape(-1).repeat(2), 0),
    "in place": (lambda x: x.clone().add_(0.5).mul_(x), 2),
    "write": (lambda x: x.clone().fill_(0.25) + x, 1),
    "softmax": (lambda x: F.softmax(x, 1), 1),
    "gelu": (lambda x: F.gelu(x), 1),
    "cross_entropy": (lambda x: F.cross_entropy(x[:, :, 0, 0], tw.tensor([0, 3])), 1),
    "mse_loss": (lambda x: F.mse_loss(x, x.flip(0)), 1),
}


@pytest.mark.parametrize("name", _CALLS)
def test_the_result_of_float32_rounded(name: str) -> None:
    function, roundings = _CALLS[name]
    half, single = tw.tensor(_X, requires_grad=True), tw.tensor(_X.astype(np.float32), requires_grad=True)
    y, z = function(half), function(single)
    assert y.dtype == _B
    size = float(np.abs(z.detach().numpy()).max())
    # What cancels is relative to what it was made of.
    close = {"rtol": roundings * _STEP * 1.001, "atol": max(roundings - 1, 0) * _STEP * size}
    assert_same(
        y.detach().numpy().astype(np.float32),
        z.detach(),
        **close,
        reason=f"{roundings} roundings to eight bits",
    )
    y.backward(tw.ones_like(y))
    z.backward(tw.ones_like(z))
    assert half.grad.dtype == _B
    largest = float(np.abs(single.grad.numpy()).max())
    assert_same(
        half.grad.numpy().astype(np.float32),
        single.grad,
        rtol=8 * _STEP,
        atol=4 * _STEP * largest,
        reason="a chain of a few roundings",
    )


def test_what_has_no_gradient() -> None:
    x, wide = tw.tensor(_X), tw.tensor(_X.astype(np.float32))
    for function in (
        lambda x: x.argmax(1),
        lambda x: x.argsort(2),
        lambda x: x > 0,
        lambda x: x == x.flip(0),
        lambda x: x.isnan(),
        lambda x: x.isfinite(),
        lambda x: x.all(),
        lambda x: x.nonzero(),
    ):
        assert_same(function(x), function(wide), rtol=0, atol=0, reason="the same order")


def test_made_and_converted() -> None:
    assert tw.zeros(2, dtype=tw.bfloat16).dtype == tw.ones(2).bfloat16().dtype == _B
    assert tw.tensor([1.5], dtype="bfloat16").tolist() == [1.5]
    assert tw.tensor(_X).dtype == tw.from_numpy(_X).dtype == tw.as_tensor(_X[0, 0, 0, 0]).dtype == _B
    assert tw.ones(2).to(tw.bfloat16).float().dtype == tw.float32
    assert tw.tensor([1.00390625, 1.01171875]).bfloat16().tolist() == [1.0, 1.015625]  # ties to even
    assert tw.is_floating_point(tw.tensor(_X)) and not tw.is_complex(tw.tensor(_X))
    assert repr(tw.tensor([1.5]).bfloat16()) == "tensor([1.5000], dtype=bfloat16)"
    assert float(tw.tensor(1.5).bfloat16()) == 1.5


def test_promotion() -> None:
    x = tw.ones(1).bfloat16()
    assert (x + 1).dtype == (x * 2.5).dtype == (x + tw.ones(1, dtype=tw.int64)).dtype == _B
    assert (x + tw.ones(1).half()).dtype == tw.float32
    assert (x + tw.ones(1)).dtype == tw.float32
    assert (x + tw.ones(1, dtype=tw.float64)).dtype == tw.float64
    assert (x * 1j).dtype == tw.complex64
    assert (
        tw.promote_types(tw.float16, tw.bfloat16) == tw.promote_types(tw.bfloat16, tw.float16) == tw.float32
    )


def test_drawn() -> None:
    tw.manual_seed(0)
    u = tw.rand(4000, dtype=tw.bfloat16).float()
    assert u.min().item() >= 0 and u.max().item() < 1
    assert abs(u.mean().item() - 0.5) < 0.03
    narrow = tw.zeros(4000).bfloat16().uniform_(-1, 1).float()
    assert narrow.min().item() >= -1 and narrow.max().item() < 1
    assert tw.randn(3, dtype=tw.bfloat16).dtype == _B
    assert tw.randint(5, (3,), dtype=tw.bfloat16).dtype == _B


def test_a_model_computes_and_is_kept() -> None:
    tw.manual_seed(0)
    nn = tw.nn
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    model.append(nn.Linear(16, 5))
    model.bfloat16()
    y = model(tw.randn(2, 3, 6, 6).bfloat16())
    assert y.dtype == _B
    nn.CrossEntropyLoss()(y, tw.tensor([0, 4])).backward()
    for parameter in model.parameters():
        assert parameter.grad.dtype == _B
    other = nn.Linear(16, 5)
    other.load_state_dict(model[5].state_dict())
    assert_same(other.weight.detach(), model[5].weight.float().detach(), rtol=0, atol=0, reason="exact")
    model[5].load_state_dict(other.state_dict())
    with pytest.raises(DtypeError, match=r"operands of one dtype\. Received: input of float32, weight of bf"):
        model(tw.randn(2, 3, 6, 6))
