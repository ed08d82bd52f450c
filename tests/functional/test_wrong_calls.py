"""Every argument of every activation, norm, loss and distance given every wrong kind of value.

Some of these are right by chance; none may surface an error of NumPy's or Python's own.
"""

from __future__ import annotations

import importlib
import inspect
import math
from typing import Any

import numpy as np
import pytest

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import TilewrightError

_MODULES = (
    "activations",
    "activations_piecewise",
    "activations_smooth",
    "distances",
    "group_norms",
    "losses",
    "losses_imbalance",
    "losses_likelihood",
    "losses_margin",
    "norms",
)
_NAMES = [
    name for module in _MODULES for name in importlib.import_module(f"tilewright.functional.{module}").__all__
]

_X = np.ones((2, 4, 3))
_WRONG: list[Any] = [
    None,
    "mean of it",
    3,
    -1,
    2.5,
    True,
    math.nan,
    10**30,
    np.int64(2),
    [1.0],
    (1, 2),
    {},
    object(),
    lambda: 0,
    np.ones(()),
    np.ones((1, 1)),
    np.ones((2, 4), int),
    np.zeros((0, 4, 3)),
    _X.astype(np.float32),
    _X.astype(np.float16),
    _X.astype(complex),
    _X.astype(bool),
    _X.astype(">f8"),
    np.array(["text"]),
    np.array([None]),
    tw.ones(2, 4, 3),
    tw.ones(3).int(),
]
# Right arguments by name, where the array above isn't one.
_RIGHT: dict[str, Any] = {
    "num_groups": 2,
    "normalized_shape": 3,
    "size": 3,
    "running_mean": np.zeros(4),
    "running_var": np.ones(4),
    "threshold": 0.5,
    "value": 1.0,
    "weight": np.ones(4),
}
_RIGHT_FOR: dict[str, dict[str, Any]] = {
    "softmax": {"dim": 1},
    "log_softmax": {"dim": 1},
    "softmin": {"dim": 1},
    "glu": {"dim": 1},
    "cross_entropy": {"target": np.zeros((2, 3), int)},
    "nll_loss": {"target": np.zeros((2, 3), int)},
    "focal_loss": {"target": np.zeros((2, 3), int)},
    "multi_margin_loss": {"input": _X[:, :, 0], "target": np.zeros(2, int)},
    "multilabel_margin_loss": {"input": _X[:, :, 0], "target": np.zeros((2, 4), int)},
    "cosine_embedding_loss": {"input1": _X[:, :, 0], "input2": _X[:, :, 0], "target": np.ones(2)},
}


def _right(name: str) -> dict[str, Any]:
    """Arguments that the function takes."""
    needed = [
        parameter.name
        for parameter in inspect.signature(getattr(F, name)).parameters.values()
        if parameter.default is inspect.Parameter.empty
    ]
    return {key: _RIGHT.get(key, _X) for key in needed} | _RIGHT_FOR.get(name, {})


@pytest.mark.parametrize("name", _NAMES)
def test_nothing_but_our_own_errors(name: str) -> None:
    function, right = getattr(F, name), _right(name)
    function(**right)
    refused = 0
    for argument in inspect.signature(function).parameters:
        for value in _WRONG:
            try:
                function(**{**right, argument: value})
            except TilewrightError as error:
                refused += 1
                assert "Received: " in str(error), f"{argument}={value!r}: {error}"
            except Exception as error:
                pytest.fail(f"{argument}={value!r} gives {type(error).__name__}: {error}")
    assert refused >= 15
