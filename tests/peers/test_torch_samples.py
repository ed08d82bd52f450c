"""PyTorch's own samples of its operators' arguments: activations, norms, losses and distances.

Its test suite keeps for every operator a list of inputs worth trying. Here each goes to both libraries, and
outputs and gradients are compared. What this library refuses is listed with the reason.
"""

from __future__ import annotations

import importlib
import sys
import types
import unittest
import warnings
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import pytorch

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import TilewrightError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")

_NAMES = [
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "elu",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "logsigmoid",
    "margin_ranking_loss",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "pairwise_distance",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "selu",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
]
# What is refused here on purpose: the function, words of the message, and why.
_REFUSED = [
    ("group_norm", "eps of at least 0", "a negative eps divides by the root of a negative number"),
    ("layer_norm", "eps of at least 0", "the same"),
    ("rms_norm", "eps of at least 0", "the same"),
    ("normalize", "p above 0", "a p-norm with p ≤ 0 is none"),
    ("pairwise_distance", "p above 0", "the same"),
    ("batch_norm", "input of shape (batch, channels, ...)", "an input of rank 1 has no channels"),
    ("gaussian_nll_loss", "input and target of one shape", "broadcasting here is nearly always a mistake"),
]
# Random numbers can't agree.
_RANDOM = ("rrelu",)


def _samples() -> dict[str, list[Any]]:
    """PyTorch's operators by the name of the function."""
    # Its test suite imports this small package for a class to inherit from, which isn't used here.
    if importlib.util.find_spec("expecttest") is None and "expecttest" not in sys.modules:
        stub = types.ModuleType("expecttest")
        stub.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        stub.assert_expected_inline = None  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stub
    try:
        module = importlib.import_module("torch.testing._internal.common_methods_invocations")
    except ImportError as error:
        pytest.skip(f"PyTorch's samples can't be imported: {error}")
    found: dict[str, list[Any]] = {name: [] for name in _NAMES}
    for operator in module.op_db:
        room, _, name = operator.name.rpartition(".")
        # Variants take another dtype, or compute complex numbers.
        if room == "nn.functional" and name in found and not operator.variant_test_name:
            found[name].append(operator)
    return found


@pytest.fixture(scope="module")
def operators() -> dict[str, list[Any]]:
    pytorch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _samples()


def _ours(value: Any) -> Any:
    """A value of a sample as this library takes it."""
    if isinstance(value, torch.Tensor):
        return tw.tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
    return tuple(value) if isinstance(value, torch.Size) else value


def _of_both(sample: Any) -> tuple[list[Any], dict[str, Any], list[Any], dict[str, Any]]:
    theirs, named = [sample.input, *sample.args], dict(sample.kwargs)
    # Copies: running statistics move.
    mine = [_ours(value) for value in theirs]
    return mine, {name: _ours(value) for name, value in named.items()}, theirs, named


@pytest.mark.parametrize("name", _NAMES)
def test_samples(operators: dict[str, list[Any]], name: str) -> None:
    compared, refused = 0, set()
    for operator in operators[name]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = list(operator.sample_inputs("cpu", torch.float64, requires_grad=True))
        for number, sample in enumerate(samples):
            mine, my_options, theirs, options = _of_both(sample)
            if name in _RANDOM and options.get("training"):
                continue
            try:
                y = getattr(F, name)(*mine, **my_options)
            except TilewrightError as error:
                known = {words for which, words, _ in _REFUSED if which == name and words in str(error)}
                assert known, f"sample {number}: {error}"
                refused |= known
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                z = operator.op(*theirs, **options)
            about = f"the same formulas in another order, float64: sample {number}, {options}"
            close = {"rtol": 1e-7, "atol": 1e-9, "reason": about}
            assert_same(y, z, **close)
            _same_gradients(y, z, [*mine, *my_options.values()], [*theirs, *options.values()], close)
            compared += 1
    assert compared >= 2
    assert refused == {words for which, words, _ in _REFUSED if which == name}, "a reason that isn't needed"


def _same_gradients(y: Any, z: Any, mine: list[Any], theirs: list[Any], close: dict[str, Any]) -> None:
    pairs = [
        (a, b)
        for a, b in zip(mine, theirs, strict=True)
        if isinstance(b, torch.Tensor) and b.requires_grad and b.dtype.is_floating_point
    ]
    if not z.requires_grad or not pairs or not y.requires_grad:
        return
    start = np.random.default_rng(0).standard_normal(tuple(y.shape))
    ours = tw.autograd.grad(y, [a for a, _ in pairs], tw.tensor(start), allow_unused=True)
    other = torch.autograd.grad(z, [b for _, b in pairs], torch.tensor(start), allow_unused=True)
    for (a, _), mine_found, other_found in zip(pairs, ours, other, strict=True):
        if mine_found is None and other_found is None:
            continue
        nothing = np.zeros(tuple(a.shape))
        assert_same(
            nothing if mine_found is None else mine_found,
            nothing if other_found is None else other_found,
            **close,
        )
