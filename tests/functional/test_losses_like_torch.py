"""Losses against PyTorch: random shapes, options and weights, outputs and gradients; extreme numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operands import Array, against_torch, normal, probabilities, pytorch, shapes

import tilewright as tw
import tilewright.functional as F

_REDUCTIONS = st.sampled_from(["none", "mean", "sum"])
_SEEDS = st.integers(0, 2**32 - 1)


@given(
    batch=st.integers(1, 4),
    classes=st.integers(1, 5),
    rest=shapes(0, 2, 3),
    single=st.booleans(),
    ignore=st.sampled_from([-100, 0, 2, -1]),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    reduction=_REDUCTIONS,
    seed=_SEEDS,
)
def test_class_labels_like_torch(
    batch: int,
    classes: int,
    rest: tuple[int, ...],
    single: bool,
    ignore: int,
    weighted: bool,
    smoothing: float,
    reduction: str,
    seed: int,
) -> None:
    functional = pytorch().nn.functional
    rng = np.random.default_rng(seed)
    shape = (classes,) if single else (batch, classes, *rest)
    target = np.asarray(rng.integers(0, classes, () if single else (batch, *rest)))
    target = np.where(rng.random(target.shape) < 0.2, ignore, target)
    weight = np.exp(normal((classes,), seed)) if weighted else None
    options = {"ignore_index": ignore, "reduction": reduction}

    def tensor(array: Array | None) -> Any:
        return None if array is None else pytorch().tensor(array)

    scores = normal(shape, seed)
    against_torch(
        lambda x: F.cross_entropy(x, target, weight, label_smoothing=smoothing, **options),
        lambda x: functional.cross_entropy(
            x, tensor(target), tensor(weight), label_smoothing=smoothing, **options
        ),
        [scores],
    )
    against_torch(
        lambda x: F.nll_loss(x, tw.tensor(target), None if weight is None else tw.tensor(weight), **options),
        lambda x: functional.nll_loss(x, tensor(target), tensor(weight), **options),
        [scores],
    )


@given(
    shape=shapes(1, 4, 4),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1]),
    reduction=_REDUCTIONS,
    seed=_SEEDS,
)
def test_class_probabilities_like_torch(
    shape: tuple[int, ...], weighted: bool, smoothing: float, reduction: str, seed: int
) -> None:
    functional, torch = pytorch().nn.functional, pytorch()
    classes = shape[1] if len(shape) > 1 else shape[0]
    weight = np.exp(normal((classes,), seed)) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    against_torch(
        lambda x, t: F.cross_entropy(x, t, weight, **options),
        lambda x, t: functional.cross_entropy(
            x, t, None if weight is None else torch.tensor(weight), **options
        ),
        [normal(shape, seed), probabilities(shape, seed + 1, axis=1 if len(shape) > 1 else 0)],
    )


@given(
    name=st.sampled_from(["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"]),
    shape=shapes(0, 4),
    size=st.sampled_from([0.3, 1.0, 2.5]),
    reduction=_REDUCTIONS,
    weighted=st.booleans(),
    seed=_SEEDS,
)
def test_differences_like_torch(
    name: str, shape: tuple[int, ...], size: float, reduction: str, weighted: bool, seed: int
) -> None:
    functional, torch = pytorch().nn.functional, pytorch()
    options: dict[str, Any] = {"reduction": reduction}
    options |= {"huber_loss": {"delta": size}, "smooth_l1_loss": {"beta": size}}.get(name, {})
    mine, other = dict(options), dict(options)
    if weighted and name != "smooth_l1_loss":
        weight = np.asarray(np.exp(normal(shape, seed + 2)))
        mine["weight"], other["weight"] = weight, torch.tensor(weight)
    against_torch(
        lambda x, t: getattr(F, name)(x, t, **mine),
        lambda x, t: getattr(functional, name)(x, t, **other),
        [normal(shape, seed), normal(shape, seed + 1)],
    )


@given(shape=shapes(0, 4), reduction=_REDUCTIONS, weighted=st.booleans(), seed=_SEEDS, data=st.data())
def test_binary_cross_entropy_like_torch(
    shape: tuple[int, ...], reduction: str, weighted: bool, seed: int, data: Any
) -> None:
    functional, torch = pytorch().nn.functional, pytorch()
    part = shape[data.draw(st.integers(0, len(shape))) :]
    weight = np.asarray(np.exp(normal(part, seed + 2))) if weighted else None
    factor = None if weight is None else torch.tensor(weight)
    operands = [probabilities(shape, seed), probabilities(shape, seed + 1)]
    against_torch(
        lambda x, t: F.binary_cross_entropy(x, t, weight, reduction=reduction),
        lambda x, t: functional.binary_cross_entropy(x, t, factor, reduction=reduction),
        operands,
    )
    logits = [normal(shape, seed) * 5, operands[1]]
    against_torch(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, weight, reduction=reduction, pos_weight=weight),
        lambda x, t: functional.binary_cross_entropy_with_logits(
            x, t, factor, reduction=reduction, pos_weight=factor
        ),
        logits,
    )
    against_torch(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=reduction),
        lambda x, t: functional.binary_cross_entropy_with_logits(x, t, reduction=reduction),
        logits,
    )


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@given(
    shape=shapes(1, 4),
    reduction=st.sampled_from(["none", "mean", "sum", "batchmean"]),
    log_target=st.booleans(),
    seed=_SEEDS,
)
def test_kl_div_like_torch(shape: tuple[int, ...], reduction: str, log_target: bool, seed: int) -> None:
    functional = pytorch().nn.functional
    target = probabilities(shape, seed)
    options = {"reduction": reduction, "log_target": log_target}
    against_torch(
        lambda x, t: F.kl_div(x, t, **options),
        lambda x, t: functional.kl_div(x, t, **options),
        [normal(shape, seed + 1), np.log(target) if log_target else target],
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_probabilities_like_torch(dtype: Any) -> None:
    functional = pytorch().nn.functional
    x, t = (a.reshape(-1).astype(dtype) for a in np.meshgrid([0.0, 1e-9, 0.5, 1.0], [0.0, 0.5, 1.0]))
    against_torch(
        lambda x, t: F.binary_cross_entropy(x, t, reduction="none"),
        lambda x, t: functional.binary_cross_entropy(x, t, reduction="none"),
        [x, t],
        rtol=1e-8 if dtype is np.float64 else 4 * float(np.finfo(dtype).eps),
        atol=float(np.finfo(dtype).eps),
        reason="PyTorch's 1e-12 is a float32 in every dtype",
        # In the target PyTorch gives ±∞ at 0 and 1, here it is the slope of the logarithm cut off at −100.
        gradients=[0],
    )
    # The gradient of 0 · log 0 in the target is NaN there and −∞ here.
    against_torch(
        lambda x: F.kl_div(x, t, reduction="sum"),
        lambda x: functional.kl_div(x, pytorch().tensor(t), reduction="sum"),
        [x],
        rtol=4 * float(np.finfo(dtype).eps),
        atol=float(np.finfo(dtype).eps),
        reason="a few roundings",
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_like_torch(dtype: Any) -> None:
    functional = pytorch().nn.functional
    x, t = (
        a.reshape(-1).astype(dtype)
        for a in np.meshgrid([-np.inf, -1e4, -90.0, 0.0, 90.0, 1e4, np.inf, np.nan], [0.0, 0.5, 1.0])
    )
    against_torch(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"),
        lambda x, t: functional.binary_cross_entropy_with_logits(x, t, reduction="none"),
        [x, t],
        rtol=4 * float(np.finfo(dtype).eps),
        atol=float(np.finfo(dtype).tiny),
        reason="a few roundings",
    )
    rows = np.array([[np.inf, 0.0], [-np.inf, 0.0], [np.nan, 0.0], [1e4, -1e4]], dtype)
    for labels in ([0, 0, 0, 0], [1, 1, 1, 1]):
        target = np.array(labels)
        against_torch(
            lambda x, target=target: F.cross_entropy(x, target, reduction="none"),
            lambda x, target=target: functional.cross_entropy(x, pytorch().tensor(target), reduction="none"),
            [rows],
            rtol=0,
            atol=0,
            reason="exact numbers, infinities and NaN",
        )
