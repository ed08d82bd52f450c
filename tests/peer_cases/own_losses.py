"""The losses that PyTorch hasn't, written out in its operations."""

from __future__ import annotations

from typing import Any

import numpy as np

import tilewright.functional as F
from peer_cases.case import TF, Case, Draw, Rng, chance, normal, pick, sizes, torch, whole
from peer_cases.losses import REDUCTIONS, of_labels, positive, probabilities, scores


def _reduced(values: Any, reduction: str) -> Any:
    return {"none": lambda: values, "mean": values.mean, "sum": values.sum}[reduction]()


def _sigmoid_focal(rng: Rng) -> Case:
    shape, alpha = sizes(rng, 0, 4), None if chance(rng, 0.3) else float(rng.random())
    gamma, reduction = pick(rng, [0.0, 0.5, 1.0, 2.0, 3.5]), pick(rng, REDUCTIONS)
    target = rng.random(shape) if chance(rng, 0.5) else rng.integers(0, 2, shape).astype(np.float64)

    def theirs(x: Any, t: Any) -> Any:
        p = torch.sigmoid(x)
        values = TF.binary_cross_entropy_with_logits(x, t, reduction="none")
        values = values * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
        if alpha is not None:
            values = values * (alpha * t + (1 - alpha) * (1 - t))
        return _reduced(values, reduction)

    operands = [np.asarray(normal(rng, shape) * 2), np.asarray(target)]
    about = f"{shape}, alpha {alpha}, gamma {gamma}, {reduction}"
    return Case(lambda x, t: F.sigmoid_focal_loss(x, t, alpha, gamma, reduction), theirs, operands, about)


def _focal(rng: Rng) -> Case:
    shape = scores(rng, least=2)  # with a single class the right one is certain
    axis = 1 if len(shape) > 1 else 0
    classes = shape[axis]
    weight = positive(rng, (classes,)) if chance(rng, 0.5) else None
    target, ignored = rng.integers(0, classes, of_labels(shape)), pick(rng, [-100, 0])
    target = np.asarray(np.where(rng.random(target.shape) < 0.2, ignored, target))
    gamma, reduction = pick(rng, [0.0, 1.0, 2.0, 3.5]), pick(rng, REDUCTIONS)

    def theirs(x: Any) -> Any:
        t, w = torch.tensor(target), None if weight is None else torch.tensor(weight)
        plain = TF.cross_entropy(x, t, ignore_index=ignored, reduction="none")
        heavy = TF.cross_entropy(x, t, w, ignore_index=ignored, reduction="none")
        kept = t != ignored
        values = torch.where(kept, heavy * (1 - torch.exp(-plain)) ** gamma, 0.0)
        if reduction == "mean":
            factor = torch.ones(classes, dtype=x.dtype) if w is None else w
            return values.sum() / torch.where(kept, factor[torch.where(kept, t, 0)], 0.0).sum()
        return _reduced(values, reduction)

    def ours(x: Any) -> Any:
        return F.focal_loss(x, target, weight, gamma=gamma, ignore_index=ignored, reduction=reduction)

    about = f"{shape}, gamma {gamma}, weight {weight}, ignoring {ignored}, {reduction}"
    return Case(ours, theirs, [normal(rng, shape)], about)


def _dice(rng: Rng) -> Case:
    shape = (whole(rng, 1, 3), whole(rng, 1, 3), *sizes(rng, 0, 3))
    options: dict[str, Any] = {
        "per_class": chance(rng, 0.5),
        "squared": chance(rng, 0.5),
        "smooth": pick(rng, [1.0, 0.1]),
        "reduction": pick(rng, REDUCTIONS),
    }
    over = tuple(range(2 if options["per_class"] else 1, len(shape)))

    def theirs(p: Any, t: Any) -> Any:
        def total(x: Any) -> Any:
            return x.sum(over) if over else x

        below = total(p**2) + total(t**2) if options["squared"] else total(p) + total(t)
        smooth = options["smooth"]
        return _reduced(1 - (2 * total(p * t) + smooth) / (below + smooth), options["reduction"])

    operands = [probabilities(rng, shape), probabilities(rng, shape)]
    return Case(lambda p, t: F.dice_loss(p, t, **options), theirs, operands, f"{shape}, {options}")


DRAWS: dict[str, Draw] = {"sigmoid_focal_loss": _sigmoid_focal, "focal_loss": _focal, "dice_loss": _dice}
