"""Fifty steps beside PyTorch's: the same numbers but for the rounding of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import optim

torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")

STEPS = 50
SHAPES = [(4, 3), (5,), (2, 3, 2, 2), ()]

SGD = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"lr": 0.1, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05, "nesterov": True, "maximize": True},
    {"lr": 0.1, "maximize": True},
    {"lr": 0.0, "momentum": 0.5, "dampening": 1.0},
    {},
]
ADAM = [
    {"lr": 0.05},
    {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-4},
    {"lr": 0.05, "weight_decay": 0.1},
    {"lr": 0.05, "amsgrad": True},
    {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1, "maximize": True},
    {"lr": 0.05, "maximize": True},
    {"lr": 0.05, "betas": [0.0, 0.0]},
    {},
]
ADAMW = [
    {"lr": 0.05},
    {"lr": 0.05, "weight_decay": 0.3},
    {"lr": 0.05, "weight_decay": 0.0, "betas": (0.8, 0.95)},
    {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1},
    {"lr": 0.05, "weight_decay": 0.1, "maximize": True, "eps": 1e-3},
    {},
]
RMSPROP = [
    {"lr": 0.05},
    {"lr": 0.05, "alpha": 0.9, "eps": 1e-4},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.05, "centered": True},
    {"lr": 0.05, "centered": True, "momentum": 0.5, "weight_decay": 0.1},
    {"lr": 0.05, "weight_decay": 0.1, "maximize": True},
    {},
]
CASES = [
    (kind, options)
    for kind, listed in (("SGD", SGD), ("Adam", ADAM), ("AdamW", ADAMW), ("RMSprop", RMSPROP))
    for options in listed
]


def trajectory(kind: str, options: dict[str, Any], dtype: str) -> tuple[list[Any], list[Any]]:
    """Parameters of both libraries after the same gradients, of which the last is left out now and then."""
    numbers = np.random.default_rng(7)
    starts = [numbers.standard_normal(shape).astype(dtype) for shape in SHAPES]
    ours = [tw.tensor(start, requires_grad=True) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]
    mine = getattr(optim, kind)(ours, **options)
    its = getattr(torch.optim, kind)(theirs, **options)
    for step in range(STEPS):
        for place, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            gradient = np.asarray(numbers.standard_normal(p.shape), dtype)
            skipped = place == len(SHAPES) - 1 and step % 3 == 1
            p.grad = None if skipped else tw.tensor(gradient)
            q.grad = None if skipped else torch.tensor(gradient)
        mine.step()
        its.step()
    return ours, theirs


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_fifty_steps_in_float32(kind: str, options: dict[str, Any]) -> None:
    for p, q in zip(*trajectory(kind, options, "float32"), strict=True):
        # Each step rounds a few times at about 1: 6e-8 each, 50 steps, and most divide by a square root that
        # is small and inexact where the mean square is near the squared mean (centred, in the first steps).
        assert_same(p, q, rtol=2e-5, atol=2e-5, reason="a few roundings of float32 in each of 50 steps")


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_fifty_steps_in_float64(kind: str, options: dict[str, Any]) -> None:
    for p, q in zip(*trajectory(kind, options, "float64"), strict=True):
        assert_same(p, q, rtol=1e-13, atol=1e-13, reason="a few roundings of float64 in each of 50 steps")


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_groups_with_options_of_their_own(kind: str) -> None:
    starts = [np.ones(3, np.float32), np.full(2, 2, np.float32)]
    results = []
    for library, tensor in ((optim, tw.tensor), (torch.optim, torch.tensor)):
        params = [tensor(start, requires_grad=True) for start in starts]
        optimizer = getattr(library, kind)(
            [{"params": [params[0]], "lr": 0.5}, {"params": params[1], "weight_decay": 0.1}], lr=0.01
        )
        for step in range(3):
            optimizer.zero_grad()
            (params[0].sum() + (params[1] * params[1]).sum()).backward()
            optimizer.param_groups[0]["lr"] = 0.5 / (step + 1)
            optimizer.step()
        results.append(params)
    for p, q in zip(*results, strict=True):
        assert_same(p, q, rtol=1e-6, atol=1e-6, reason="a few roundings of float32 in each of 3 steps")


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_prints_its_options_as_pytorch_does(kind: str) -> None:
    ours = repr(getattr(optim, kind)([tw.zeros(1)], lr=0.1)).split("\n")
    theirs = repr(getattr(torch.optim, kind)([torch.zeros(1)], lr=0.1)).split("\n")
    # PyTorch's further options choose between implementations of its own, or between Adam and AdamW.
    others = ("differentiable", "foreach", "fused", "capturable", "decoupled_weight_decay")
    assert ours == [line for line in theirs if not line.strip().startswith(others)]
