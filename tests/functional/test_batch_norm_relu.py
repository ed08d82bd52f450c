"""Batch norm with ReLU behind it, and perhaps a sum in between: the same bits as in steps, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from op.test_passes import LAYOUTS, normal, without_kernels

import tilewright as tw
import tilewright.functional as F
from tilewright import nn
from tilewright.functional.norms import batch_norm_relu
from tilewright.kernel import jit
from tilewright.nn import fusion

SHAPES = [(6, 8, 30, 40), (2, 3, 4), (5, 4)]


def statistics(channels: int, dtype: Any) -> list[Any]:
    rng = np.random.default_rng(channels)
    return [rng.standard_normal(channels).astype(dtype), (rng.random(channels) + 0.5).astype(dtype)]


def everything(x: Any, more: Any, training: bool, fused: bool, affine: bool = True) -> list[Any]:
    """The result, the running statistics, and the gradients in all operands."""
    channels, dtype = x.shape[1], x.dtype
    mean, variance = statistics(channels, dtype)
    given = [tw.as_tensor(x), *(tw.tensor(normal((channels,), seed, dtype)) for seed in (5, 6))]
    given = [one.requires_grad_(True) for one in given]
    weight, bias = given[1:] if affine else (None, None)
    around = None if more is None else tw.as_tensor(more).requires_grad_(True)
    operands = (given[0], mean, variance, weight, bias, training, 0.1, 1e-5)
    if fused:
        y = batch_norm_relu(*operands, around)
    else:
        y = F.batch_norm(*operands)
        y = F.relu(y if around is None else y + around)
    leaves = [one for one in (*given[: 3 if affine else 1], around) if one is not None]
    found = tw.autograd.grad(y, leaves, tw.tensor(normal(x.shape, 7, dtype)))
    return [y.detach().numpy(), mean, variance, *(one.numpy() for one in found)]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("layout", ["C order", "channels last", "every second"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_as_in_steps(
    dtype: Any, shape: tuple[int, ...], layout: str, added: bool, training: bool, affine: bool
) -> None:
    if len(shape) < 4 and layout == "channels last":
        pytest.skip("has no such layout")
    x = LAYOUTS[layout](normal(shape, 1, dtype))
    for other in ("C order", layout):
        more = LAYOUTS[other](normal(shape, 2, dtype)) if added else None
        found, wanted = (everything(x, more, training, fused, affine) for fused in (True, False))
        for place, (one, two) in enumerate(zip(found, wanted, strict=True)):
            if place < 3:
                assert_same(one, two, rtol=0, atol=0, reason="the same operations in the same order")
            # In evaluation weight and bias have their gradients from sums over arrays of another layout.
            eps = float(np.finfo(dtype).eps)
            scale = float(np.abs(two).max())
            assert_same(one, two, rtol=0, atol=100 * eps * scale, reason="sums in another order")


@pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")
@pytest.mark.parametrize("added", [True, False])
def test_the_same_as_in_numpy(added: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, more = normal((6, 8, 30, 40), 1), normal((6, 8, 30, 40), 2) if added else None
    found = everything(x, more, True, True)
    wanted = without_kernels(monkeypatch, lambda: everything(x, more, True, True))
    for one, two in zip(found, wanted, strict=True):
        # Of 7200 products most cancel in the gradients of weights.
        assert_same(one, two, rtol=1e-4, atol=2e-5, reason="NumPy adds planes in float32")


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_gradients(training: bool) -> None:
    rng = np.random.default_rng(3)
    x, more = (tw.tensor(rng.standard_normal((4, 2, 3)), requires_grad=True) for _ in range(2))
    weight, bias = (tw.tensor(rng.standard_normal(2), requires_grad=True) for _ in range(2))

    def function(x: Any, weight: Any, bias: Any, more: Any) -> Any:
        mean, variance = (None, None) if training else statistics(2, np.float64)
        return batch_norm_relu(x, mean, variance, weight, bias, training, 0.1, 1e-5, more)

    assert tw.autograd.gradcheck(function, (x, weight, bias, more))
    assert tw.autograd.gradgradcheck(function, (x, weight, bias, more))


def test_other_operands_run_in_steps() -> None:
    x = normal((4, 3, 5), 1)
    # A sum that broadcasts, and halves.
    y = batch_norm_relu(x, None, None, None, None, True, 0.1, 1e-5, np.ones((3, 1), np.float32))
    wanted = F.relu(F.batch_norm(x, None, None, training=True) + 1)
    assert_same(y, wanted, rtol=0, atol=0, reason="the same steps")
    half = x.astype(np.float16)
    y = batch_norm_relu(half, None, None, None, None, True, 0.1, 1e-5)
    assert_same(y, F.relu(F.batch_norm(half, None, None, training=True)), rtol=0, atol=0, reason="the same")
    with pytest.raises(tw.TilewrightError, match=r"Received:"):
        batch_norm_relu(x[0, 0], None, None, None, None, True, 0.1, 1e-5)


def steps_of(model: Any, x: Any) -> list[str]:
    y = model(tw.as_tensor(x))
    return [name for name in tw.autograd.tape.each_step(y._node) if "norm" in name or "relu" in name]


def test_layers_run_in_one_step_if_nobody_can_tell() -> None:
    x = normal((4, 3, 5, 5), 1)
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3), nn.LeakyReLU())
    assert steps_of(model, x) == ["leaky_relu", "batch_norm", "batch_norm_relu"]
    seen: list[Any] = []
    handle = model[0].register_forward_hook(lambda module, given, y: seen.append(y.shape))
    assert "batch_norm_relu" not in steps_of(model, x) and len(seen) == 1
    handle.remove()

    class Own(nn.ReLU):
        def forward(self, input: Any) -> Any:
            return super().forward(input) + 1

    assert "batch_norm_relu" not in steps_of(nn.Sequential(nn.BatchNorm2d(3), Own()), x)
    model[0].eval()
    assert "batch_norm_relu" in steps_of(model, x)


def test_around_a_block() -> None:
    x, around = normal((4, 3, 5, 5), 1), normal((4, 3, 5, 5), 2)
    norm, relu = nn.BatchNorm2d(3), nn.ReLU()
    found = fusion.normalised(norm, relu, x, around)
    assert_same(found, relu(nn.BatchNorm2d(3)(x) + around), rtol=0, atol=0, reason="the same steps")
    norm.register_forward_hook(lambda module, given, y: None)
    norm.reset_running_stats()
    assert_same(fusion.normalised(norm, relu, x, around), found, rtol=0, atol=0, reason="the same steps")
