"""Every activation beside PyTorch's on random shapes and options: outputs, gradients, second gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from operands import pytorch
from twice import cases, check_twice

import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
TF = pytorch().nn.functional

# Name → how random options are drawn.
_OPTIONS: dict[str, Any] = {
    "relu": lambda rng: {},
    "relu6": lambda rng: {},
    "leaky_relu": lambda rng: {"negative_slope": float(rng.normal())},
    "elu": lambda rng: {"alpha": float(rng.uniform(0.1, 2.0))},
    "selu": lambda rng: {},
    # Eighths: in the gradient PyTorch takes alpha as a float32.
    "celu": lambda rng: {"alpha": float(rng.integers(1, 17)) / 8},
    "silu": lambda rng: {},
    "gelu": lambda rng: {"approximate": ("none", "tanh")[rng.integers(2)]},
    "mish": lambda rng: {},
    "softplus": lambda rng: {"beta": float(rng.uniform(0.3, 3.0)), "threshold": float(rng.uniform(1, 20))},
    "hardtanh": lambda rng: {"min_val": float(-rng.random()), "max_val": float(rng.random())},
    "hardswish": lambda rng: {},
    "hardsigmoid": lambda rng: {},
    "hardshrink": lambda rng: {"lambd": float(rng.random())},
    "softshrink": lambda rng: {"lambd": float(rng.random())},
    "threshold": lambda rng: {"threshold": float(rng.normal()), "value": float(rng.normal())},
    "tanh": lambda rng: {},
    "sigmoid": lambda rng: {},
    "softsign": lambda rng: {},
    "tanhshrink": lambda rng: {},
    "logsigmoid": lambda rng: {},
    "rrelu": lambda rng: {"lower": float(rng.random() / 2), "upper": float(0.5 + rng.random())},
    "softmax": None,
    "log_softmax": None,
    "softmin": None,
    "glu": None,
}
_PER_NAME = 20


def _shape(rng: Any, least: int = 0) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 6, rng.integers(least, 5)))


@pytest.mark.parametrize("name", _OPTIONS)
def test_activation(name: str) -> None:
    for seed in cases(_PER_NAME):
        rng = np.random.default_rng([seed, 1])
        draw = _OPTIONS[name]
        shape = _shape(rng, 0 if draw else 1)
        if draw is None:
            dim = int(rng.integers(-len(shape), len(shape)))
            options = {"dim": dim}
            if name == "glu":
                shape = tuple(2 * n if i == dim % len(shape) else n for i, n in enumerate(shape))
        else:
            options = draw(rng)
        x = np.asarray(rng.standard_normal(shape) * rng.choice([0.3, 1.0, 4.0]))
        rough: dict[str, Any] = {}
        if name == "hardsigmoid":
            # PyTorch has no second derivative of it.
            rough = {"rtol": 5e-8, "reason": "PyTorch's 1/6 is a float32", "second": False}
        check_twice(
            lambda x, o=options: getattr(F, name)(x, **o),
            lambda x, o=options: getattr(TF, name)(x, **o),
            [x],
            about=f" (seed {seed}, {shape}, {options})",
            **rough,
        )


def test_prelu() -> None:
    for seed in cases(60):
        rng = np.random.default_rng([seed, 2])
        shape = _shape(rng, 1)
        channels = shape[1] if len(shape) > 1 else 1
        weight = rng.standard_normal(channels if rng.random() < 0.6 else 1)
        about = f" (seed {seed}, {shape})"
        check_twice(F.prelu, TF.prelu, [rng.standard_normal(shape), weight], about=about)
