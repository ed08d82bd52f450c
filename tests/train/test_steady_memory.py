"""Once a network has run twice, its training steps take no large memory from the system."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from allocations import large_allocations

import tilewright as tw
from tilewright.kernel import buffers

_WARM_UP, _STEPS = 2, 10


def _classifier() -> Callable[[], Any]:
    """One step of training on 64 pictures of 28 by 28 pixels, with momentum."""
    generator = np.random.default_rng(0)
    pictures = tw.from_numpy(generator.standard_normal((64, 1, 28, 28), np.float32))
    labels = tw.from_numpy(generator.integers(0, 10, 64))
    model = tw.nn.Sequential(
        tw.nn.Conv2d(1, 32, 3, padding=1),
        tw.nn.ReLU(),
        tw.nn.Conv2d(32, 32, 3, padding=1),
        tw.nn.ReLU(),
        tw.nn.MaxPool2d(2),
        tw.nn.Flatten(),
        tw.nn.Linear(32 * 14 * 14, 10),
    )
    optimizer = tw.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        tw.nn.functional.cross_entropy(model(pictures), labels).backward()
        optimizer.step()

    return step


def _everything_else() -> Callable[[], Any]:
    """One step through the layers between convolutions: norms, activations, dropout, losses of pictures."""
    generator = np.random.default_rng(0)
    pictures = tw.from_numpy(generator.random((16, 8, 28, 28), np.float32))
    weight = tw.tensor(generator.random((8, 1, 1), np.float32), requires_grad=True)
    norm = tw.nn.BatchNorm2d(8)
    optimizer = tw.optim.Adam([weight, *norm.parameters()], lr=0.01)
    f = tw.nn.functional

    def step() -> None:
        optimizer.zero_grad()
        x = norm(pictures * weight)
        for activation in (f.relu, f.silu, f.gelu, f.tanh, f.elu, f.softplus, f.leaky_relu, f.hardtanh):
            x = x + activation(x - 0.5) * 0.5
        x = f.dropout(f.pad(x, (1, 1, 1, 1), mode="reflect")[:, :, 1:-1, 1:-1], 0.1)
        x = (f.softmax(x, dim=1) + f.log_softmax(x, dim=1).exp()).clamp(0.01, 0.99) / 2
        (
            f.mse_loss(x, pictures) + f.binary_cross_entropy(x, pictures) + f.smooth_l1_loss(x, pictures)
        ).backward()
        optimizer.step()

    return step


def _pools() -> Callable[[], Any]:
    """One step through pools of pictures so large that a single plane takes more than the pool's least."""
    pictures = tw.tensor(np.random.default_rng(0).random((2, 3, 160, 160), np.float32), requires_grad=True)
    f = tw.nn.functional

    def step() -> None:
        pictures.grad = None
        (
            f.max_pool2d(pictures, 3, 2, 1).sum()
            + f.avg_pool2d(pictures, 2).sum()
            + f.max_pool2d(pictures.detach(), 2).sum()
        ).backward()

    return step


# For operands that don't lie in rows, NumPy itself works in buffers of 8192 elements each: 96 KiB for three.
_NUMPYS_OWN = 128 << 10


@pytest.mark.parametrize(
    ("network", "least"),
    [(_classifier, buffers.LARGE), (_everything_else, _NUMPYS_OWN), (_pools, _NUMPYS_OWN)],
)
def test_steady_training_takes_no_fresh_large_memory(
    network: Callable[[], Callable[[], Any]], least: int
) -> None:
    tw.manual_seed(0)
    step = network()
    for _ in range(_WARM_UP):
        step()
    # What earlier tests left in circles must not come back to the pool while this one counts.
    gc.collect()
    before = buffers.statistics()

    def steps() -> None:
        for _ in range(_STEPS):
            step()

    found = large_allocations(steps, least)
    after = buffers.statistics()
    assert after.fresh == before.fresh
    # Every step hands out large arrays, those of the three pools among them, and gets all of them back.
    assert after.reused - before.reused >= 6 * _STEPS
    assert after.in_use == before.in_use
    # A list or a dict of Python's own may grow once.
    every_step = {line: times for line, times in found.items() if times >= _STEPS}
    assert every_step == {}


def test_the_counting_finds_what_it_should() -> None:
    x = tw.from_numpy(np.ones((64, 1000), np.float32))
    x.flip(0)
    found = large_allocations(lambda: x.flip(0), 64 * 1000 * 4)
    assert found == {}
    # Sorting isn't pooled; and a pool that is empty must allocate.
    found = large_allocations(lambda: [tw.argsort(x) for _ in range(3)], 64 * 1000 * 4)
    assert {line.split(":")[0] for line in found} == {"autograd/sorting.py"} and max(found.values()) == 3
    buffers.clear()
    found = large_allocations(lambda: x.flip(0), 64 * 1000 * 4)
    assert {line.split(":")[0] for line in found} == {"kernel/buffers.py"}
    found = large_allocations(lambda: tw.argsort(x), 64 * 1000 * 4, ignore=("autograd/sorting.py",))
    assert found == {}
