"""Every normalisation beside PyTorch's on random shapes and options: outputs, gradients, second gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import pytorch
from twice import cases, check_twice

import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
TF = pytorch().nn.functional

# Where the numbers of a group are nearly the same, gradients are differences of large terms.
_LOOSE = {"rtol": 1e-6, "atol": 1e-6, "reason": "a difference of larger terms, float64"}
_EPS = [1e-5, 1e-3, 0.1]


def _sizes(rng: Any, least: int, most: int, largest: int = 5) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, largest + 1, rng.integers(least, most + 1)))


def _parameters(rng: Any, shape: tuple[int, ...], both: bool = True) -> list[Any]:
    """No parameter, a weight, or weight and bias."""
    return [rng.standard_normal(shape) for _ in range(rng.integers(0, 3 if both else 2))]


def test_group_norm() -> None:
    for seed in cases(100):
        rng = np.random.default_rng([seed, 1])
        groups, width = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        shape = (int(rng.integers(1, 4)), groups * width, *_sizes(rng, 0, 3, 4))
        if math.prod(shape) // groups == 1:
            continue  # PyTorch refuses a single number
        eps = float(rng.choice(_EPS))
        arrays = [rng.standard_normal(shape), *_parameters(rng, shape[1:2])]
        check_twice(
            lambda x, *p, g=groups, e=eps: F.group_norm(x, g, *p, eps=e),
            lambda x, *p, g=groups, e=eps: TF.group_norm(x, g, *p, eps=e),
            arrays,
            about=f" (seed {seed}, {shape}, {groups} groups)",
            **_LOOSE,
        )


def test_layer_norm() -> None:
    for seed in cases(100):
        rng = np.random.default_rng([seed, 2])
        last, lead = _sizes(rng, 1, 2), _sizes(rng, 0, 3, 3)
        eps = float(rng.choice(_EPS))
        check_twice(
            lambda x, *p, n=last, e=eps: F.layer_norm(x, n, *p, eps=e),
            lambda x, *p, n=last, e=eps: TF.layer_norm(x, n, *p, eps=e),
            [rng.standard_normal((*lead, *last)), *_parameters(rng, last)],
            about=f" (seed {seed}, {lead} + {last})",
            **_LOOSE,
        )


def test_rms_norm() -> None:
    for seed in cases(60):
        rng = np.random.default_rng([seed, 3])
        last, lead = _sizes(rng, 1, 2), _sizes(rng, 0, 3, 3)
        eps = None if rng.random() < 0.3 else float(rng.choice(_EPS))
        check_twice(
            lambda x, *p, n=last, e=eps: F.rms_norm(x, n, *p, eps=e),
            lambda x, *p, n=last, e=eps: TF.rms_norm(x, n, *p, eps=e),
            [rng.standard_normal((*lead, *last)), *_parameters(rng, last, both=False)],
            about=f" (seed {seed}, {lead} + {last})",
            **_LOOSE,
        )


@pytest.mark.parametrize("own", [True, False])
def test_instance_norm(own: bool) -> None:
    for seed in cases(50):
        rng = np.random.default_rng([seed, 4])
        shape = (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *_sizes(rng, 1, 3, 4))
        if math.prod(shape[2:]) == 1:
            continue  # both refuse a single place
        mean, variance = rng.standard_normal(shape[1]), rng.random(shape[1]) + 0.5
        running = (mean, variance) if not own or rng.random() < 0.5 else (None, None)
        theirs = [None if r is None else torch.tensor(r) for r in running]
        affine = bool(rng.integers(2))
        arrays = [rng.standard_normal(shape)]
        arrays += [rng.standard_normal(shape[1]) for _ in range(2 * affine)]
        rest = (own, float(rng.random()), float(rng.choice(_EPS)))

        def ours(x: Any, *p: Any, running: Any = running, rest: Any = rest) -> Any:
            return F.instance_norm(x, *running, *(p or (None, None)), *rest)

        def peer(x: Any, *p: Any, running: Any = theirs, rest: Any = rest) -> Any:
            return TF.instance_norm(x, *running, *(p or (None, None)), *rest)

        check_twice(ours, peer, arrays, about=f" (seed {seed}, {shape})", **_LOOSE)
        if running[0] is not None:
            for mine, other in zip(running, theirs, strict=True):
                assert_same(mine, other, rtol=1e-12, atol=1e-14, reason="a few roundings")


def test_local_response_norm() -> None:
    for seed in cases(50):
        rng = np.random.default_rng([seed, 5])
        shape = (*_sizes(rng, 2, 2), *_sizes(rng, 1, 3, 4))
        options = {
            "size": int(rng.integers(1, 6)),
            "alpha": float(rng.random()),
            "beta": float(rng.choice([0.5, 0.75, 1.0, 1.3])),
            "k": float(rng.uniform(0.5, 2.0)),
        }
        check_twice(
            lambda x, o=options: F.local_response_norm(x, **o),
            lambda x, o=options: TF.local_response_norm(x, **o),
            [rng.standard_normal(shape)],
            about=f" (seed {seed}, {shape}, {options})",
        )


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training: bool) -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 6])
        shape = (int(rng.integers(2, 5)), int(rng.integers(1, 4)), *_sizes(rng, 0, 3, 3))
        mean, variance = rng.standard_normal(shape[1]), rng.random(shape[1]) + 0.5
        theirs = [torch.tensor(mean), torch.tensor(variance)]
        affine = bool(rng.integers(2))
        arrays = [rng.standard_normal(shape)]
        arrays += [rng.standard_normal(shape[1]) for _ in range(2 * affine)]

        def ours(x: Any, *p: Any, running: Any = (mean, variance)) -> Any:
            return F.batch_norm(x, *running, *(p or (None, None)), training, 0.3, 1e-3)

        def peer(x: Any, *p: Any, running: Any = theirs) -> Any:
            return TF.batch_norm(x, *running, *(p or (None, None)), training, 0.3, 1e-3)

        check_twice(ours, peer, arrays, about=f" (seed {seed}, {shape})", **_LOOSE)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, math.inf])
def test_normalize(p: float) -> None:
    for seed in cases(10):
        rng = np.random.default_rng([seed, 7])
        shape = _sizes(rng, 1, 4)
        dim = int(rng.integers(-len(shape), len(shape)))
        check_twice(
            lambda x, d=dim: F.normalize(x, p, d),
            lambda x, d=dim: TF.normalize(x, p, d),
            [rng.standard_normal(shape)],
            about=f" (seed {seed}, {shape}, dim {dim})",
            **_LOOSE,
        )
