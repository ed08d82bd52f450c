"""Losses and distances in every combination of their arguments."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from peer_cases.case import (
    Array,
    Case,
    Draw,
    Rng,
    chance,
    normal,
    pick,
    same_call,
    sizes,
    whole,
)

REDUCTIONS = ("none", "mean", "sum")


def scores(rng: Rng, least: int = 1) -> tuple[int, ...]:
    """(classes,) or (batch, classes, *rest)."""
    if chance(rng, 0.15):
        return (whole(rng, least, 5),)
    return (whole(rng, 1, 3), whole(rng, least, 5), *sizes(rng, 0, 2))


def of_labels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the labels of scores of this shape."""
    return (shape[0], *shape[2:]) if len(shape) > 1 else ()


def probabilities(rng: Rng, shape: tuple[int, ...], axis: int | None = None) -> Array:
    """Numbers between 0 and 1, which add up to 1 along the axis, if one is named."""
    x = np.exp(rng.standard_normal(shape))
    return np.asarray(x / (1.0 + x) if axis is None else x / x.sum(axis=axis, keepdims=True))


def positive(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Weights: numbers above 0."""
    return np.asarray(rng.random(shape) + 0.1)


def _signs(rng: Rng, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.choice([-1.0, 1.0], shape))


def _tail(rng: Rng, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes of a shape, all of them or fewer: what broadcasts against it."""
    return shape[whole(rng, 0, len(shape)) :]


def _first_only(case: Case) -> Case:
    """PyTorch has no second derivative of it."""
    return Case(case.ours, case.theirs, case.operands, case.about, {"second": False})


def _difference(name: str, rng: Rng) -> Case:
    shape = sizes(rng, 0, 4)
    options: dict[str, Any] = {"reduction": pick(rng, REDUCTIONS)}
    if name == "smooth_l1_loss":
        options["beta"] = pick(rng, [0.0, 0.3, 1.0, 2.5])
    elif chance(rng, 0.4):
        options["weight"] = positive(rng, shape)
    if name == "huber_loss":
        options["delta"] = pick(rng, [0.3, 1.0, 2.5])
    return same_call(name, [normal(rng, shape), normal(rng, shape)], **options)


def _class_labels(name: str, rng: Rng) -> Case:
    shape = scores(rng)
    classes = shape[1] if len(shape) > 1 else shape[0]
    ignored = pick(rng, [-100, -1, 0, classes - 1])
    options: dict[str, Any] = {"reduction": pick(rng, REDUCTIONS), "ignore_index": ignored}
    if chance(rng, 0.5):
        options["weight"] = positive(rng, (classes,))
    if name == "cross_entropy":
        options["label_smoothing"] = pick(rng, [0.0, 0.1, 1.0])
    target = rng.integers(0, classes, of_labels(shape))
    options["target"] = np.asarray(np.where(rng.random(target.shape) < 0.2, ignored, target))
    return same_call(name, [np.asarray(normal(rng, shape) * pick(rng, [1, 4, 40]))], **options)


def _cross_entropy(rng: Rng) -> Case:
    if chance(rng, 0.6):
        return _class_labels("cross_entropy", rng)
    shape = scores(rng)
    axis = 1 if len(shape) > 1 else 0
    options: dict[str, Any] = {"reduction": pick(rng, REDUCTIONS)}
    options["label_smoothing"] = pick(rng, [0.0, 0.1, 1.0])
    if chance(rng, 0.5):
        options["weight"] = positive(rng, (shape[axis],))
    return same_call("cross_entropy", [normal(rng, shape), probabilities(rng, shape, axis)], **options)


def _kl_div(rng: Rng) -> Case:
    shape = sizes(rng, 1, 4)
    reduction, logarithms = pick(rng, [*REDUCTIONS, "batchmean"]), chance(rng, 0.5)
    target = probabilities(rng, shape)
    operands = [normal(rng, shape), np.log(target) if logarithms else target]
    case = same_call("kl_div", operands, reduction=reduction, log_target=logarithms)

    def theirs(*tensors: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its remark that its mean is not the definition
            return case.theirs(*tensors)

    return Case(case.ours, theirs, case.operands, case.about)


def _binary(rng: Rng) -> Case:
    shape = sizes(rng, 0, 4)
    options: dict[str, Any] = {"reduction": pick(rng, REDUCTIONS)}
    if chance(rng, 0.5):
        options["weight"] = positive(rng, _tail(rng, shape))
    operands = [probabilities(rng, shape), probabilities(rng, shape)]
    if chance(rng, 0.5):
        return same_call("binary_cross_entropy", operands[:1], target=operands[1], **options)
    return _first_only(same_call("binary_cross_entropy", operands, **options))


def _binary_logits(rng: Rng) -> Case:
    shape = sizes(rng, 0, 4)
    options: dict[str, Any] = {"reduction": pick(rng, REDUCTIONS)}
    for name in ("weight", "pos_weight"):
        if chance(rng, 0.5):
            options[name] = positive(rng, _tail(rng, shape))
    operands = [np.asarray(normal(rng, shape) * pick(rng, [1, 4, 40])), probabilities(rng, shape)]
    return same_call("binary_cross_entropy_with_logits", operands, **options)


def _poisson(rng: Rng) -> Case:
    shape, logarithms = sizes(rng, 0, 4), chance(rng, 0.5)
    x, target = normal(rng, shape), np.asarray(rng.random(shape) * 4 + 0.01)
    options = {"log_input": logarithms, "full": chance(rng, 0.5), "reduction": pick(rng, REDUCTIONS)}
    return same_call("poisson_nll_loss", [x if logarithms else np.exp(x), target], **options)


def _gaussian(rng: Rng) -> Case:
    shape = sizes(rng, 1, 4)
    of_variance = pick(rng, [shape, shape[:-1], (*shape[:-1], 1)]) if len(shape) > 1 else shape
    # One of the target's axes may be 1, and its first ones may be left out.
    of_target = tuple(1 if chance(rng, 0.1) else n for n in shape)[chance(rng, 0.1) :]
    operands = [normal(rng, shape), normal(rng, of_target), rng.random(of_variance) + 0.01]
    # Some variances below the least: their gradient passes all the same.
    options = {"full": chance(rng, 0.5), "reduction": pick(rng, REDUCTIONS), "eps": pick(rng, [1e-6, 0.3])}
    return same_call("gaussian_nll_loss", operands, **options)


def _soft_margin(rng: Rng) -> Case:
    shape = sizes(rng, 0, 4)
    options = {"target": _signs(rng, shape), "reduction": pick(rng, REDUCTIONS)}
    return same_call("soft_margin_loss", [normal(rng, shape)], **options)


def _hinge(rng: Rng) -> Case:
    shape = sizes(rng, 0, 4)
    options = {"target": _signs(rng, shape), "reduction": pick(rng, REDUCTIONS)}
    return same_call("hinge_embedding_loss", [normal(rng, shape)], margin=float(rng.random() * 2), **options)


def _ranking(rng: Rng) -> Case:
    shape = sizes(rng, 0, 4)
    options = {"margin": float(rng.random()), "reduction": pick(rng, REDUCTIONS)}
    operands = [normal(rng, shape), normal(rng, shape)]
    return same_call("margin_ranking_loss", operands, target=_signs(rng, shape), **options)


def _of_classes(rng: Rng) -> tuple[int, ...]:
    """(batch, classes) or (classes,)."""
    return (whole(rng, 1, 4), whole(rng, 1, 5))[not chance(rng, 0.8) :]


def _multi_margin(rng: Rng) -> Case:
    shape = _of_classes(rng)
    options: dict[str, Any] = {
        "target": np.asarray(rng.integers(0, shape[-1], shape[:-1])),
        "p": whole(rng, 1, 2),
        "margin": float(rng.random() * 2),
        "reduction": pick(rng, REDUCTIONS),
    }
    if chance(rng, 0.5):
        options["weight"] = positive(rng, shape[-1:])
    return _first_only(same_call("multi_margin_loss", [normal(rng, shape)], **options))


def _multilabel_margin(rng: Rng) -> Case:
    shape = _of_classes(rng)
    options = {"target": rng.integers(-1, shape[-1], shape), "reduction": pick(rng, REDUCTIONS)}
    return _first_only(same_call("multilabel_margin_loss", [normal(rng, shape)], **options))


def _multilabel_soft(rng: Rng) -> Case:
    shape = _of_classes(rng)
    options: dict[str, Any] = {"reduction": pick(rng, REDUCTIONS)}
    options["target"] = rng.integers(0, 2, shape).astype(np.float64)
    if chance(rng, 0.5):
        options["weight"] = positive(rng, shape[-1:])
    return same_call("multilabel_soft_margin_loss", [normal(rng, shape)], **options)


def _vectors(rng: Rng) -> tuple[int, ...]:
    """(batch, features) or (features,)."""
    return (whole(rng, 1, 4), whole(rng, 1, 5))[chance(rng, 0.5) :]


def _cosine_embedding(rng: Rng) -> Case:
    shape = _vectors(rng)
    options = {
        "target": _signs(rng, shape[:-1]),
        "margin": float(rng.uniform(-0.5, 0.5)),
        "reduction": pick(rng, REDUCTIONS),
    }
    return same_call("cosine_embedding_loss", [normal(rng, shape), normal(rng, shape)], **options)


def _triplets(rng: Rng) -> Case:
    shape = _vectors(rng)
    options = {
        "margin": float(rng.random() * 3 + 0.1),
        "p": pick(rng, [1.0, 1.5, 2.0, 3.0]),
        "swap": chance(rng, 0.5),
        "reduction": pick(rng, REDUCTIONS),
    }
    return same_call("triplet_margin_loss", [normal(rng, shape) for _ in range(3)], **options)


def _of_both_distances(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast against each other."""
    shape = sizes(rng, 1, 4)
    return shape, shape[1:] if chance(rng, 0.3) and len(shape) > 1 else shape


def _cosine(rng: Rng) -> Case:
    shape, other = _of_both_distances(rng)
    dim = whole(rng, -len(other), len(shape) - 1)
    return same_call("cosine_similarity", [normal(rng, shape), normal(rng, other)], dim=dim)


def _distance(rng: Rng) -> Case:
    operands = [normal(rng, shape) for shape in _of_both_distances(rng)]
    p = pick(rng, [1.0, 1.5, 2.0, 3.0, np.inf])
    return same_call("pairwise_distance", operands, p=p, keepdim=chance(rng, 0.5))


_DIFFERENCES = ("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss")

DRAWS: dict[str, Draw] = {
    **{name: partial(_difference, name) for name in _DIFFERENCES},
    "cross_entropy": _cross_entropy,
    "nll_loss": partial(_class_labels, "nll_loss"),
    "kl_div": _kl_div,
    "binary_cross_entropy": _binary,
    "binary_cross_entropy_with_logits": _binary_logits,
    "poisson_nll_loss": _poisson,
    "gaussian_nll_loss": _gaussian,
    "soft_margin_loss": _soft_margin,
    "hinge_embedding_loss": _hinge,
    "margin_ranking_loss": _ranking,
    "multi_margin_loss": _multi_margin,
    "multilabel_margin_loss": _multilabel_margin,
    "multilabel_soft_margin_loss": _multilabel_soft,
    "cosine_embedding_loss": _cosine_embedding,
    "triplet_margin_loss": _triplets,
    "cosine_similarity": _cosine,
    "pairwise_distance": _distance,
}
