"""Activations, softmax, dropout where it is certain, and dense layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from peer_cases.case import Case, Draw, Rng, chance, normal, pick, same_call, sizes, whole

# Name → how random options are drawn.
_OPTIONS: dict[str, Any] = {
    "relu": lambda rng: {},
    "relu6": lambda rng: {},
    "leaky_relu": lambda rng: {"negative_slope": float(rng.normal())},
    "elu": lambda rng: {"alpha": float(rng.uniform(0.1, 2.0))},
    "selu": lambda rng: {},
    # Eighths: in the gradient PyTorch takes alpha as a float32.
    "celu": lambda rng: {"alpha": whole(rng, 1, 16) / 8},
    "silu": lambda rng: {},
    "gelu": lambda rng: {"approximate": pick(rng, ["none", "tanh"])},
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
}


def _activation(name: str, rng: Rng) -> Case:
    x = np.asarray(normal(rng, sizes(rng, 0, 4, 5, empty=True)) * pick(rng, [0.3, 1.0, 4.0]))
    case = same_call(name, [x], **_OPTIONS[name](rng))
    if name != "hardsigmoid":
        return case
    # PyTorch has no second derivative of it.
    options = {"rtol": 5e-8, "reason": "PyTorch's 1/6 is a float32", "second": False}
    return Case(case.ours, case.theirs, case.operands, case.about, options)


def _along(name: str, rng: Rng) -> Case:
    shape = sizes(rng, 1, 4, 5, empty=True)
    dim = whole(rng, -len(shape), len(shape) - 1)
    if name == "glu":
        shape = tuple(2 * n if axis == dim % len(shape) else n for axis, n in enumerate(shape))
    return same_call(name, [normal(rng, shape) * pick(rng, [0.3, 1.0, 4.0, 40.0])], dim=dim)


def _prelu(rng: Rng) -> Case:
    shape = sizes(rng, 1, 4, 5, empty=True)
    channels = shape[1] if len(shape) > 1 else 1
    return same_call("prelu", [normal(rng, shape), normal(rng, (channels if chance(rng, 0.6) else 1,))])


def _dropout(name: str, rng: Rng) -> Case:
    """What leaves nothing to chance: no training, nothing dropped, or everything."""
    # Of rank 3, an input of dropout2d may be without batch or of one spatial axis: ours refuses to guess.
    least, most = {"dropout": (0, 4), "dropout1d": (2, 3), "dropout2d": (4, 4), "dropout3d": (4, 5)}[name]
    shape = sizes(rng, least, most, empty=True)
    training = chance(rng, 0.5)
    p = pick(rng, [0.0, 1.0]) if training else float(rng.random())
    return same_call(name, [normal(rng, shape)], p, training)


def _linear(rng: Rng) -> Case:
    features = whole(rng, 1, 6)
    weight: tuple[int, ...] = (whole(rng, 1, 6), features)
    operands = [normal(rng, (*sizes(rng, 0, 3, empty=True), features)), normal(rng, weight)]
    operands += [normal(rng, weight[:1])] * chance(rng, 0.6)
    return same_call("linear", operands)


def _one_hot(rng: Rng) -> Case:
    labels = np.asarray(rng.integers(0, whole(rng, 1, 6), sizes(rng, 0, 3)))
    return same_call("one_hot", [labels], pick(rng, [-1, int(labels.max()) + whole(rng, 1, 3)]))


DRAWS: dict[str, Draw] = {
    **{name: partial(_activation, name) for name in _OPTIONS},
    **{name: partial(_along, name) for name in ("softmax", "log_softmax", "softmin", "glu")},
    **{name: partial(_dropout, name) for name in ("dropout", "dropout1d", "dropout2d", "dropout3d")},
    "prelu": _prelu,
    "linear": _linear,
    "one_hot": _one_hot,
}
