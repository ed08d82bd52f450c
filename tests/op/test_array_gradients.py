"""The gradients that are computed in one go on arrays, against difference quotients of the forward "
"functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import Array, normal

from tilewright.op import activation, labels, norm, pad, softmax

_LABELS = np.array([[2, 0, -100], [1, 1, 3]])
_WEIGHT = np.array([0.5, 1.5, 1.0, 2.0])


def _read(dtype: Any, smoothing: float = 0.0) -> labels.Labels:
    weight = _WEIGHT.astype(dtype) if smoothing else None
    return labels.read_labels("nll_loss", (2, 4, 3), dtype, _LABELS, weight, label_smoothing=smoothing)


def _batch_norm(x: Array) -> Array:
    mean, variance = norm.channel_statistics(x)
    return norm.batch_norm(x, _WEIGHT.astype(x.dtype), None, mean, norm.inverse_deviation(variance, 1e-3))


def _batch_norm_gradient(g: Array, x: Array) -> Array:
    mean, variance = norm.channel_statistics(x)
    return norm.batch_norm_gradient(
        g, x, _WEIGHT.astype(x.dtype), mean, norm.inverse_deviation(variance, 1e-3)
    )[0]


_SIDES = ((1, 5), (-1, 2))
_PAIRS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "leaky_relu": (
        lambda x: activation.leaky_relu(x, 0.2),
        lambda g, x: activation.leaky_relu_gradient(g, x, 0.2),
    ),
    "elu": (lambda x: activation.elu(x, 0.7), lambda g, x: activation.elu_gradient(g, x, 0.7)),
    "softplus": (
        lambda x: activation.softplus(x, 2.0, 1.0),
        lambda g, x: activation.softplus_gradient(g, x, 2.0, 1.0),
    ),
    "silu": (activation.silu, activation.silu_gradient),
    "gelu": (activation.gelu, activation.gelu_gradient),
    "gelu_tanh": (activation.gelu_tanh, activation.gelu_tanh_gradient),
    "hardtanh": (
        lambda x: activation.hardtanh(x, -0.5, 0.7),
        lambda g, x: activation.hardtanh_gradient(g, x, -0.5, 0.7),
    ),
    "threshold": (
        lambda x: activation.threshold(x, 0.1, 0.1),
        lambda g, x: activation.threshold_gradient(g, x, 0.1),
    ),
    "softmax": (
        lambda x: softmax.softmax(x, 1),
        lambda g, x: softmax.softmax_gradient(g, softmax.softmax(x, 1), 1),
    ),
    "log_softmax": (
        lambda x: softmax.log_softmax(x, 1),
        lambda g, x: softmax.log_softmax_gradient(g, softmax.log_softmax(x, 1), 1),
    ),
    "nll": (
        lambda x: labels.nll(x, _read(x.dtype)),
        lambda g, x: labels.nll_gradient(g, _read(x.dtype), x.shape),
    ),
    "smoothed nll": (
        lambda x: labels.nll(x, _read(x.dtype, 0.3)),
        lambda g, x: labels.nll_gradient(g, _read(x.dtype, 0.3), x.shape),
    ),
    "batch_norm": (_batch_norm, _batch_norm_gradient),
    **{
        f"pad {mode}": (
            lambda x, mode=mode: pad.pad(x, _SIDES, mode),
            lambda g, x, mode=mode: pad.pad_gradient(g, x.shape, _SIDES, mode),
        )
        for mode in pad.MODES
    },
}


@pytest.mark.parametrize("name", _PAIRS)
def test_gradient_is_the_difference_quotient(name: str) -> None:
    forward, gradient = _PAIRS[name]
    x = normal((2, 4, 3), 1)
    g = normal(forward(x).shape, 2)
    step = 1e-6
    quotients = np.empty_like(x)
    for at in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            ends.append((forward(moved) * g).sum())
        quotients[at] = (ends[0] - ends[1]) / (2 * step)
    assert_same(
        gradient(g, x), quotients, rtol=1e-6, atol=1e-8, reason="a central difference with a step of 1e-6"
    )


@pytest.mark.parametrize("name", _PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_inputs_are_kept(name: str, dtype: Any) -> None:
    forward, gradient = _PAIRS[name]
    x = normal((2, 4, 3), 1, dtype)
    x.flags.writeable = False
    y = forward(x)
    g = normal(y.shape, 2, dtype)
    g.flags.writeable = False
    assert y.dtype == dtype
    assert gradient(g, x).dtype == dtype


def test_gradients_take_spread_upstream_gradients() -> None:
    x = normal((2, 4, 3), 1)
    for name, (forward, gradient) in _PAIRS.items():
        y = forward(x)
        spread = np.broadcast_to(np.array(0.5), y.shape)
        whole = gradient(np.full(y.shape, 0.5), x)
        assert_same(gradient(spread, x), whole, rtol=1e-14, atol=1e-14, reason=f"{name}: the same numbers")
