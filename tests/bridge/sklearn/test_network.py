"""The network that an estimator makes by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

import tilewright as tw
from tilewright.bridge.sklearn.network import make_network
from tilewright.nn import AvgPool, Conv, Linear, MaxPool

USUAL: dict[str, Any] = {
    "hidden_channels": (3, 5),
    "kernel_size": 3,
    "pooling": "max",
    "pool_size": 2,
    "dense_width": 7,
    "op": "fit",
}


@pytest.mark.parametrize("pooling", ["max", "mean", "stride"])
@pytest.mark.parametrize("pool_size", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 9])
@pytest.mark.parametrize("input_shape", [(1, 1), (2, 9), (1, 8, 8), (3, 7, 2), (1, 5, 4, 6)])
def test_any_sizes_give_one_answer_for_each_sample(
    input_shape: tuple[int, ...], kernel_size: int, pool_size: int, pooling: str
) -> None:
    sizes = {**USUAL, "kernel_size": kernel_size, "pool_size": pool_size, "pooling": pooling}
    model = make_network(input_shape, 4, **sizes)
    assert tuple(model(tw.zeros(2, *input_shape)).shape) == (2, 4)


def layers(kind: Any, **sizes: Any) -> list[Any]:
    model = make_network((1, 9, 9), 4, **{**USUAL, **sizes})
    return [layer for layer in model.modules() if isinstance(layer, kind)]


def test_what_the_parameters_make() -> None:
    first, second = layers(Conv, kernel_size=(5, 3))
    assert (first.in_channels, first.out_channels, second.out_channels) == (1, 3, 5)
    assert first.kernel_size == (5, 3) and first.stride == (1, 1)
    assert [pool.kernel_size for pool in layers(MaxPool)] == [(2, 2), (2, 2)]
    assert [pool.kernel_size for pool in layers(AvgPool, pooling="mean", pool_size=(3, 1))] == [(3, 1)] * 2
    assert layers(MaxPool, pool_size=1) == []
    assert layers(MaxPool, pooling="stride") == []
    assert [conv.stride for conv in layers(Conv, pooling="stride")] == [(2, 2), (2, 2)]
    # 9 → 4 → 2 by pools, 9 → 5 → 3 by strides.
    assert [dense.in_features for dense in layers(Linear)] == [5 * 4, 7]
    assert [dense.in_features for dense in layers(Linear, pooling="stride")] == [5 * 9, 7]
    assert [dense.in_features for dense in layers(Linear, dense_width=0)] == [5 * 4]
    assert [dense.in_features for dense in layers(Linear, hidden_channels=())] == [81, 7]


def test_an_axis_that_has_become_too_short_is_left_alone() -> None:
    model = make_network((1, 8, 2), 4, **{**USUAL, "hidden_channels": (2, 2, 2, 2, 2)})
    pools = [layer.kernel_size for layer in model.modules() if isinstance(layer, MaxPool)]
    assert pools == [(2, 2), (2, 1), (2, 1)]


def test_it_starts_with_answers_of_a_sensible_size() -> None:
    tw.manual_seed(0)
    model = make_network((1, 16, 16), 10, **{**USUAL, "hidden_channels": (16, 32), "dense_width": 64})
    answers = model(tw.randn(200, 1, 16, 16)).detach().numpy()
    # Initialisers keep the variance near 1 through the layers; pools of maxima raise it.
    assert 0.3 < answers.std() < 6 and np.isfinite(answers).all()
