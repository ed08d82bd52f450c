"""Every loss beside PyTorch's in random combinations of arguments: outputs, gradients, second gradients.

Focal and Dice loss, which PyTorch hasn't, are written out in its operations here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from operands import pytorch
from twice import cases, check_twice

import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
TF = pytorch().nn.functional

REDUCTIONS = ("none", "mean", "sum")


def _reduction(rng: Any) -> str:
    return str(rng.choice(REDUCTIONS))


def _shape(rng: Any, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 5, rng.integers(least, most + 1)))


def _scores(rng: Any) -> tuple[int, ...]:
    """(classes,) or (batch, classes, *rest)."""
    if rng.random() < 0.15:
        return (int(rng.integers(1, 6)),)
    return (int(rng.integers(1, 4)), int(rng.integers(1, 6)), *_shape(rng, 0, 2))


def _of_labels(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:]) if len(shape) > 1 else ()


def _probabilities(rng: Any, shape: tuple[int, ...], axis: int | None = None) -> Any:
    x = np.exp(rng.standard_normal(shape))
    return np.asarray(x / (1.0 + x) if axis is None else x / x.sum(axis=axis, keepdims=True))


def _torch(value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def _both(name: str, options: dict[str, Any], module: Any = TF) -> tuple[Any, Any]:
    """Our function and PyTorch's with the same options; arrays among them are constants."""
    theirs = {key: _torch(value) for key, value in options.items()}

    def peer(*operands: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kl_div's remark that its mean is not the definition
            return getattr(module, name)(*operands, **theirs)

    return (lambda *operands: getattr(F, name)(*operands, **options)), peer


def _about(seed: int, shape: Any, options: dict[str, Any]) -> str:
    return f" (seed {seed}, {shape}, {options})"


@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss"])
def test_differences(name: str) -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 1])
        shape = _shape(rng)
        options: dict[str, Any] = {"reduction": _reduction(rng)}
        if name == "smooth_l1_loss":
            options["beta"] = float(rng.choice([0.0, 0.3, 1.0, 2.5]))
        elif rng.random() < 0.4:
            options["weight"] = np.asarray(rng.random(shape) + 0.1)
        if name == "huber_loss":
            options["delta"] = float(rng.choice([0.3, 1.0, 2.5]))
        arrays = [np.asarray(rng.standard_normal(shape)) for _ in range(2)]
        check_twice(*_both(name, options), arrays, about=_about(seed, shape, options))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_class_labels(name: str) -> None:
    for seed in cases(100):
        rng = np.random.default_rng([seed, 2])
        shape = _scores(rng)
        classes = shape[1] if len(shape) > 1 else shape[0]
        ignored = int(rng.choice([-100, -1, 0, classes - 1]))
        options: dict[str, Any] = {"reduction": _reduction(rng), "ignore_index": ignored}
        if rng.random() < 0.5:
            options["weight"] = rng.random(classes) + 0.1
        if name == "cross_entropy":
            options["label_smoothing"] = float(rng.choice([0.0, 0.1, 1.0]))
        target = rng.integers(0, classes, _of_labels(shape))
        target = np.asarray(np.where(rng.random(target.shape) < 0.2, ignored, target))
        options["target"] = target
        check_twice(*_both(name, options), [rng.standard_normal(shape)], about=_about(seed, shape, options))


def test_class_probabilities() -> None:
    for seed in cases(80):
        rng = np.random.default_rng([seed, 3])
        shape = _scores(rng)
        axis = 1 if len(shape) > 1 else 0
        options: dict[str, Any] = {"reduction": _reduction(rng)}
        options["label_smoothing"] = float(rng.choice([0.0, 0.1, 1.0]))
        if rng.random() < 0.5:
            options["weight"] = rng.random(shape[axis]) + 0.1
        arrays = [rng.standard_normal(shape), _probabilities(rng, shape, axis)]
        check_twice(*_both("cross_entropy", options), arrays, about=_about(seed, shape, options))


def test_kl_div() -> None:
    for seed in cases(60):
        rng = np.random.default_rng([seed, 4])
        shape = _shape(rng, 1)
        options = {
            "reduction": str(rng.choice([*REDUCTIONS, "batchmean"])),
            "log_target": bool(rng.integers(2)),
        }
        target = _probabilities(rng, shape)
        arrays = [rng.standard_normal(shape), np.log(target) if options["log_target"] else target]
        check_twice(*_both("kl_div", options), arrays, about=_about(seed, shape, options))


def test_binary_cross_entropy() -> None:
    for seed in cases(60):
        rng = np.random.default_rng([seed, 5])
        shape = _shape(rng)
        options: dict[str, Any] = {"reduction": _reduction(rng)}
        if rng.random() < 0.5:
            options["weight"] = np.asarray(rng.random(shape[int(rng.integers(0, len(shape) + 1)) :]) + 0.1)
        options["target"] = _probabilities(rng, shape)
        # PyTorch has no second derivative in the target.
        check_twice(
            *_both("binary_cross_entropy", options),
            [_probabilities(rng, shape)],
            about=_about(seed, shape, options),
        )
        target = options.pop("target")
        check_twice(
            *_both("binary_cross_entropy", options),
            [_probabilities(rng, shape), target],
            second=False,
            about=_about(seed, shape, options),
        )


def test_binary_cross_entropy_with_logits() -> None:
    for seed in cases(80):
        rng = np.random.default_rng([seed, 6])
        shape = _shape(rng)
        options: dict[str, Any] = {"reduction": _reduction(rng)}
        for name in ("weight", "pos_weight"):
            if rng.random() < 0.5:
                part = shape[int(rng.integers(0, len(shape) + 1)) :]
                options[name] = np.asarray(rng.random(part) + 0.1)
        arrays = [np.asarray(rng.standard_normal(shape) * 4), _probabilities(rng, shape)]
        check_twice(
            *_both("binary_cross_entropy_with_logits", options), arrays, about=_about(seed, shape, options)
        )


def test_poisson_nll() -> None:
    for seed in cases(50):
        rng = np.random.default_rng([seed, 7])
        shape = _shape(rng)
        options: dict[str, Any] = {
            "log_input": bool(rng.integers(2)),
            "full": bool(rng.integers(2)),
            "reduction": _reduction(rng),
        }
        x = np.asarray(rng.standard_normal(shape))
        target = np.asarray(rng.random(shape) * 4 + 0.01)
        arrays = [x if options["log_input"] else np.exp(x), target]
        check_twice(*_both("poisson_nll_loss", options), arrays, about=_about(seed, shape, options))


def test_gaussian_nll() -> None:
    for seed in cases(50):
        rng = np.random.default_rng([seed, 8])
        shape = _shape(rng, 1)
        options: dict[str, Any] = {"full": bool(rng.integers(2)), "reduction": _reduction(rng)}
        # Some variances below the least: their gradient passes all the same.
        options["eps"] = float(rng.choice([1e-6, 0.3]))
        kind = rng.integers(3) if len(shape) > 1 else 0
        of_var = (shape, shape[:-1], (*shape[:-1], 1))[kind]
        arrays = [rng.standard_normal(shape), rng.standard_normal(shape), rng.random(of_var) + 0.01]
        check_twice(*_both("gaussian_nll_loss", options), arrays, about=_about(seed, shape, options))


def _signs(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.asarray(rng.choice([-1.0, 1.0], shape))


def test_soft_margin_and_hinge() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 9])
        shape = _shape(rng)
        x, target, reduction = np.asarray(rng.standard_normal(shape)), _signs(rng, shape), _reduction(rng)
        options: dict[str, Any] = {"target": target, "reduction": reduction}
        check_twice(*_both("soft_margin_loss", options), [x], about=_about(seed, shape, options))
        options["margin"] = float(rng.random() * 2)
        check_twice(*_both("hinge_embedding_loss", options), [x], about=_about(seed, shape, options))


def test_margin_ranking() -> None:
    for seed in cases(30):
        rng = np.random.default_rng([seed, 10])
        shape = _shape(rng)
        options = {"target": _signs(rng, shape), "margin": float(rng.random()), "reduction": _reduction(rng)}
        arrays = [np.asarray(rng.standard_normal(shape)) for _ in range(2)]
        check_twice(*_both("margin_ranking_loss", options), arrays, about=_about(seed, shape, options))


def test_multi_margin() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 11])
        classes = int(rng.integers(1, 6))
        shape = (int(rng.integers(1, 5)), classes) if rng.random() < 0.8 else (classes,)
        options: dict[str, Any] = {
            "target": np.asarray(rng.integers(0, classes, shape[:-1])),
            "p": int(rng.integers(1, 3)),
            "margin": float(rng.random() * 2),
            "reduction": _reduction(rng),
        }
        if rng.random() < 0.5:
            options["weight"] = rng.random(classes) + 0.1
        about = _about(seed, shape, options)
        # PyTorch has no second derivative of it.
        check_twice(
            *_both("multi_margin_loss", options), [rng.standard_normal(shape)], about=about, second=False
        )


def test_multilabel_margins() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 12])
        classes = int(rng.integers(1, 6))
        shape = (int(rng.integers(1, 5)), classes) if rng.random() < 0.8 else (classes,)
        options: dict[str, Any] = {"reduction": _reduction(rng)}
        options["target"] = rng.integers(-1, classes, shape)
        x = rng.standard_normal(shape)
        about = _about(seed, shape, options)
        # PyTorch has no second derivative of it.
        check_twice(*_both("multilabel_margin_loss", options), [x], about=about, second=False)
        options["target"] = rng.integers(0, 2, shape).astype(np.float64)
        if rng.random() < 0.5:
            options["weight"] = rng.random(classes) + 0.1
        about = _about(seed, shape, options)
        check_twice(*_both("multilabel_soft_margin_loss", options), [x], about=about)


def test_cosine_embedding() -> None:
    for seed in cases(30):
        rng = np.random.default_rng([seed, 13])
        shape = (int(rng.integers(1, 5)), int(rng.integers(1, 6)))[int(rng.integers(2)) :]
        options = {
            "target": _signs(rng, shape[:-1]),
            "margin": float(rng.uniform(-0.5, 0.5)),
            "reduction": _reduction(rng),
        }
        arrays = [rng.standard_normal(shape) for _ in range(2)]
        check_twice(*_both("cosine_embedding_loss", options), arrays, about=_about(seed, shape, options))


def test_triplets() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 14])
        shape = (int(rng.integers(1, 5)), int(rng.integers(1, 6)))[int(rng.integers(2)) :]
        options = {
            "margin": float(rng.random() * 3 + 0.1),
            "p": float(rng.choice([1.0, 1.5, 2.0, 3.0])),
            "swap": bool(rng.integers(2)),
            "reduction": _reduction(rng),
        }
        arrays = [rng.standard_normal(shape) for _ in range(3)]
        check_twice(*_both("triplet_margin_loss", options), arrays, about=_about(seed, shape, options))


def test_distances() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 15])
        shape = _shape(rng, 1)
        dim = int(rng.integers(-len(shape), len(shape)))
        other = shape if rng.random() < 0.7 else shape[1:] if dim != -len(shape) and len(shape) > 1 else shape
        arrays = [rng.standard_normal(shape), rng.standard_normal(other)]
        options: dict[str, Any] = {"dim": dim}
        check_twice(*_both("cosine_similarity", options), arrays, about=_about(seed, shape, options))
        options = {"p": float(rng.choice([1.0, 1.5, 2.0, 3.0, np.inf])), "keepdim": bool(rng.integers(2))}
        check_twice(*_both("pairwise_distance", options), arrays, about=_about(seed, shape, options))


# --- what PyTorch hasn't, written out in its operations -----------------------------------------------------


def _reduced(values: Any, reduction: str) -> Any:
    return {"none": lambda: values, "mean": values.mean, "sum": values.sum}[reduction]()


def test_sigmoid_focal() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 16])
        shape = _shape(rng)
        alpha = None if rng.random() < 0.3 else float(rng.random())
        gamma, reduction = float(rng.choice([0.0, 0.5, 1.0, 2.0, 3.5])), _reduction(rng)
        target = rng.random(shape) if rng.random() < 0.5 else rng.integers(0, 2, shape).astype(np.float64)

        def peer(x: Any, t: Any, alpha: Any = alpha, gamma: Any = gamma, reduction: Any = reduction) -> Any:
            p = torch.sigmoid(x)
            values = TF.binary_cross_entropy_with_logits(x, t, reduction="none")
            values = values * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
            if alpha is not None:
                values = values * (alpha * t + (1 - alpha) * (1 - t))
            return _reduced(values, reduction)

        options = {"alpha": alpha, "gamma": gamma, "reduction": reduction}
        arrays = [np.asarray(rng.standard_normal(shape) * 2), np.asarray(target)]
        about = _about(seed, shape, options)
        check_twice(_both("sigmoid_focal_loss", options, F)[0], peer, arrays, about=about)


def test_focal() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 17])
        shape = _scores(rng)
        axis = 1 if len(shape) > 1 else 0
        # With a single class the right one is certain.
        shape = tuple(max(n, 2) if i == axis else n for i, n in enumerate(shape))
        classes = shape[axis]
        weight = rng.random(classes) + 0.1 if rng.random() < 0.5 else None
        target = rng.integers(0, classes, _of_labels(shape))
        ignored = int(rng.choice([-100, 0]))
        target = np.asarray(np.where(rng.random(target.shape) < 0.2, ignored, target))
        gamma, reduction = float(rng.choice([0.0, 1.0, 2.0, 3.5])), _reduction(rng)

        def peer(
            x: Any,
            t: Any = target,
            w: Any = weight,
            gamma: Any = gamma,
            ignored: Any = ignored,
            reduction: Any = reduction,
        ) -> Any:
            t, w = torch.tensor(t), None if w is None else torch.tensor(w)
            plain = TF.cross_entropy(x, t, ignore_index=ignored, reduction="none")
            heavy = TF.cross_entropy(x, t, w, ignore_index=ignored, reduction="none")
            values = torch.where(t == ignored, 0.0, heavy * (1 - torch.exp(-plain)) ** gamma)
            if reduction == "mean":
                factor = torch.ones(x.shape[1 if x.ndim > 1 else 0], dtype=x.dtype) if w is None else w
                kept = t != ignored
                return values.sum() / torch.where(kept, factor[torch.where(kept, t, 0)], 0.0).sum()
            return _reduced(values, reduction)

        options = {
            "target": target,
            "weight": weight,
            "gamma": gamma,
            "ignore_index": ignored,
            "reduction": reduction,
        }
        about = _about(seed, shape, options)
        check_twice(_both("focal_loss", options, F)[0], peer, [rng.standard_normal(shape)], about=about)


def test_dice() -> None:
    for seed in cases(40):
        rng = np.random.default_rng([seed, 18])
        shape = (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *_shape(rng, 0, 3))
        per_class, squared = bool(rng.integers(2)), bool(rng.integers(2))
        smooth, reduction = float(rng.choice([1.0, 0.1])), _reduction(rng)
        summed = tuple(range(2 if per_class else 1, len(shape)))

        def peer(
            p: Any,
            t: Any,
            over: Any = summed,
            squared: Any = squared,
            smooth: Any = smooth,
            reduction: Any = reduction,
        ) -> Any:
            def total(x: Any) -> Any:
                return x.sum(over) if over else x

            below = total(p**2) + total(t**2) if squared else total(p) + total(t)
            return _reduced(1 - (2 * total(p * t) + smooth) / (below + smooth), reduction)

        options = {"per_class": per_class, "squared": squared, "smooth": smooth, "reduction": reduction}
        arrays = [_probabilities(rng, shape), _probabilities(rng, shape)]
        check_twice(_both("dice_loss", options, F)[0], peer, arrays, about=_about(seed, shape, options))
