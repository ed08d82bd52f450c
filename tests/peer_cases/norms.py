"""Normalisations; those that keep running statistics give them, too."""

from __future__ import annotations

import math
from typing import Any

import tilewright.functional as F
from peer_cases.case import (
    TF,
    Array,
    Case,
    Draw,
    Rng,
    chance,
    normal,
    pick,
    same_call,
    sizes,
    torch,
    whole,
)

# Where the numbers of a group are nearly the same, gradients are differences of large terms.
_LOOSE = {"rtol": 1e-6, "atol": 1e-6, "reason": "a difference of larger terms, float64"}
_EPS = [1e-5, 1e-3, 0.1]


def _loose(case: Case) -> Case:
    return Case(case.ours, case.theirs, case.operands, case.about, _LOOSE)


def _parameters(rng: Rng, shape: tuple[int, ...], most: int = 2) -> list[Array]:
    """No parameter, a weight, or weight and bias."""
    return [normal(rng, shape) for _ in range(whole(rng, 0, most))]


def _with_parameters(name: str, operands: list[Array], *rest: Any, **arguments: Any) -> Case:
    """A function whose parameters come after an argument that is no operand."""
    return Case(
        lambda x, *p: getattr(F, name)(x, *rest, *p, **arguments),
        lambda x, *p: getattr(TF, name)(x, *rest, *p, **arguments),
        operands,
        f"{operands[0].shape}, {len(operands) - 1} parameters, {rest}, {arguments}",
        _LOOSE,
    )


def _group_norm(rng: Rng) -> Case | None:
    groups = whole(rng, 1, 3)
    shape = (whole(rng, 1, 3), groups * whole(rng, 1, 3), *sizes(rng, 0, 3))
    if math.prod(shape) // groups == 1:
        return None  # PyTorch refuses a single number
    operands = [normal(rng, shape), *_parameters(rng, shape[1:2])]
    return _with_parameters("group_norm", operands, groups, eps=pick(rng, _EPS))


def _layer_norm(rng: Rng) -> Case:
    last = sizes(rng, 1, 2, 5)
    operands = [normal(rng, (*sizes(rng, 0, 3, 3), *last)), *_parameters(rng, last)]
    return _with_parameters("layer_norm", operands, last, eps=pick(rng, _EPS))


def _rms_norm(rng: Rng) -> Case:
    last = sizes(rng, 1, 2, 5)
    operands = [normal(rng, (*sizes(rng, 0, 3, 3), *last)), *_parameters(rng, last, most=1)]
    return _with_parameters("rms_norm", operands, last, eps=pick(rng, [*_EPS, None]))


def _running(name: str, operands: list[Array], statistics: list[Array], rest: tuple[Any, ...]) -> Case:
    """The output and the running statistics after the call, which changes copies of them."""

    def call(function: Any, kind: Any, tensors: tuple[Any, ...]) -> Any:
        x, *parameters = tensors
        kept = [kind(each.copy()) for each in statistics] or [None, None]
        y = function(x, *kept, *(parameters or (None, None)), *rest)
        return (y, *kept) if statistics else y

    return Case(
        lambda *tensors: call(getattr(F, name), lambda each: each, tensors),
        lambda *tensors: call(getattr(TF, name), torch.tensor, tensors),
        operands,
        f"{operands[0].shape}, {len(operands) - 1} parameters, {len(statistics)} statistics, {rest}",
        _LOOSE,
    )


def _instance_norm(rng: Rng) -> Case | None:
    shape = (whole(rng, 1, 3), whole(rng, 1, 3), *sizes(rng, 1, 3))
    if math.prod(shape[2:]) == 1:
        return None  # both refuse a single place
    own, channels = chance(rng, 0.6), shape[1:2]
    statistics = [normal(rng, channels), rng.random(channels) + 0.5] if not own or chance(rng, 0.5) else []
    operands = [normal(rng, shape), *(normal(rng, channels) for _ in range(2 * chance(rng, 0.5)))]
    return _running("instance_norm", operands, statistics, (own, float(rng.random()), pick(rng, _EPS)))


def _batch_norm(rng: Rng) -> Case:
    shape = (whole(rng, 2, 4), whole(rng, 1, 3), *sizes(rng, 0, 3, 3))
    training, channels = chance(rng, 0.6), shape[1:2]
    kept = not training or chance(rng, 0.7)
    statistics = [normal(rng, channels), rng.random(channels) + 0.5] if kept else []
    operands = [normal(rng, shape), *(normal(rng, channels) for _ in range(2 * chance(rng, 0.6)))]
    return _running("batch_norm", operands, statistics, (training, float(rng.random()), pick(rng, _EPS)))


def _local_response_norm(rng: Rng) -> Case:
    return same_call(
        "local_response_norm",
        [normal(rng, (*sizes(rng, 2, 2, 5), *sizes(rng, 1, 3)))],
        size=whole(rng, 1, 5),
        alpha=float(rng.random()),
        beta=pick(rng, [0.5, 0.75, 1.0, 1.3]),
        k=float(rng.uniform(0.5, 2.0)),
    )


def _normalize(rng: Rng) -> Case:
    shape = sizes(rng, 1, 4, 5)
    p, dim = pick(rng, [1.0, 1.5, 2.0, 3.0, math.inf]), whole(rng, -len(shape), len(shape) - 1)
    return _loose(same_call("normalize", [normal(rng, shape)], p, dim))


DRAWS: dict[str, Draw] = {
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "local_response_norm": _local_response_norm,
    "normalize": _normalize,
}
