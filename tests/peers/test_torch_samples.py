"""PyTorch's own samples of its operators' arguments: windows, pools, norms, activations, losses and the rest.

Its test suite keeps for every operator a list of inputs worth trying. Here each goes to both libraries, and
outputs and gradients are compared in float64. What isn't compared is listed, with the reason.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import pytorch

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import TilewrightError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
pytest.importorskip("expecttest", reason="PyTorch's samples need a package: pip install expecttest")

# Under another name here.
_OURS: dict[str, Callable[..., Any]] = {
    "upsample_bilinear": lambda x, size=None, scale_factor=None: F.interpolate(
        x, size, scale_factor, "bilinear", align_corners=True
    ),
    "upsample_nearest": lambda x, size=None, scale_factor=None: F.interpolate(x, size, scale_factor),
}
# Not samples of these: PyTorch's suite tests them otherwise, or not at all.
_WITHOUT_SAMPLES = {
    *(
        f"{kind}_max_pool{rank}d_with_indices".removeprefix("_")
        for kind in ("", "adaptive")
        for rank in (1, 2, 3)
    ),
    *(f"lp_pool{rank}d" for rank in (1, 2, 3)),
    "dropout1d",
    "fold",
    "one_hot",  # of whole numbers alone
}
NAMES = sorted(
    {name for name in F.__all__ if hasattr(torch.nn.functional, name)} - _WITHOUT_SAMPLES | set(_OURS)
)

# Those of torch.nn.functional that the library hasn't.
NOT_OFFERED = {
    "alpha_dropout": "of self-normalising networks, random",
    "bilinear": "no layer of CNNs",
    "channel_shuffle": "a reshape and a transpose",
    "ctc_loss": "of sequences whose alignment is unknown",
    "embedding": "of words",
    "embedding_bag": "of words",
    "feature_alpha_dropout": "of self-normalising networks, random",
    "fractional_max_pool2d": "sizes that are no whole number are refused; random",
    "fractional_max_pool3d": "sizes that are no whole number are refused; random",
    "grid_sample": "samples where another input says",
    "linear_cross_entropy": "a linear layer and a loss in one, for vocabularies that don't fit into memory",
    "multi_head_attention_forward": "attention",
    "pdist": "all pairs of rows",
    "scaled_dot_product_attention": "attention",
    "triplet_margin_with_distance_loss": "takes a function: triplet_margin_loss has its own distances",
}
# What is refused on purpose: the function, words of the message, and why.
REFUSED = [
    ("group_norm", "eps of at least 0", "a negative eps divides by the root of a negative number"),
    ("layer_norm", "eps of at least 0", "a negative eps divides by the root of a negative number"),
    ("rms_norm", "eps of at least 0", "a negative eps divides by the root of a negative number"),
    ("normalize", "p above 0", "a p-norm with p ≤ 0 is none"),
    ("pairwise_distance", "p above 0", "a p-norm with p ≤ 0 is none"),
    ("batch_norm", "input of shape (batch, channels, ...)", "an input of rank 1 has no channels"),
    ("avg_pool2d", "one per spatial axis", "a tuple too short for the axes is nearly always a mistake"),
    ("avg_pool3d", "divisor_override to be at least 1", "an average over −2 samples is none"),
    ("dropout2d", "input of rank 4", "of rank 3, PyTorch takes batch and channels for channels and a row"),
]


def _chance(name: str, arguments: dict[str, Any]) -> bool:
    """Whether the sample's output is drawn at random, so that the two can't agree."""
    if name == "rrelu":
        return bool(arguments.get("training", False))
    return name.startswith("dropout") and arguments.get("training", True) and 0 < arguments.get("p", 0.5) < 1


@pytest.fixture(scope="module")
def operators() -> dict[str, list[Any]]:
    """By the function's name: PyTorch's descriptions of it and its variants."""
    pytorch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module("torch.testing._internal.common_methods_invocations")
    found: dict[str, list[Any]] = {}
    for operator in module.op_db:
        room, _, name = operator.name.rpartition(".")
        # Not in that room, but in torch itself; torch.unfold is another function.
        known = name in ("log_softmax", "sigmoid", "softmax", "tanh") and not room
        if (room == "nn.functional" or known) and torch.float64 in operator.dtypes:
            found.setdefault(name, []).append(operator)
    return found


def _ours(value: Any) -> Any:
    """A value of a sample as this library takes it; a copy, since running statistics move."""
    if isinstance(value, torch.Tensor):
        return tw.tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    return tuple(value) if isinstance(value, torch.Size) else value


@pytest.mark.parametrize("name", NAMES)
def test_samples(operators: dict[str, list[Any]], name: str) -> None:
    function = _OURS.get(name) or getattr(F, name)
    compared, refused = 0, set()
    for operator in operators[name]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = list(operator.sample_inputs("cpu", torch.float64, requires_grad=True))
        for number, sample in enumerate(samples):
            if _chance(name, sample.kwargs):
                continue
            theirs, named = [sample.input, *sample.args], sample.kwargs
            mine, my_named = list(map(_ours, theirs)), {key: _ours(value) for key, value in named.items()}
            try:
                y = function(*mine, **my_named)
            except TilewrightError as error:
                known = {words for which, words, _ in REFUSED if which == name and words in str(error)}
                assert known, f"sample {number}: {error}"
                refused |= known
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                z = operator.op(*theirs, **named)
            about = f"the same formulas in another order, float64: sample {number}, {named}"
            close = {"rtol": 1e-7, "atol": 1e-9, "reason": about}
            several = isinstance(z, tuple)
            for found, expected in zip(y if several else [y], z if several else [z], strict=True):
                assert_same(found, expected, **close)
            y, z = (y[0], z[0]) if several else (y, z)
            lost = _overwritten(mine[1].numpy(), int(name[-2])) if name.startswith("max_unpool") else None
            _same_gradients(y, z, [*mine, *my_named.values()], [*theirs, *named.values()], lost, close)
            compared += 1
    assert compared
    assert refused == {words for which, words, _ in REFUSED if which == name}, "a reason that isn't needed"


def _overwritten(indices: Any, rank: int) -> Any:
    """Which values of an unpool aren't the last at their place, and so don't stand in the output.

    PyTorch gives these a gradient all the same: that of the value that does stand there.
    """
    planes = indices.reshape(-1, int(np.prod(indices.shape[-rank:])))
    lost = [[place in row[at + 1 :] for at, place in enumerate(row)] for row in planes.tolist()]
    return np.asarray(lost, bool).reshape(indices.shape)


def _same_gradients(
    y: Any, z: Any, mine: list[Any], theirs: list[Any], lost: Any, close: dict[str, Any]
) -> None:
    pairs = [
        (a, b)
        for a, b in zip(mine, theirs, strict=True)
        if isinstance(b, torch.Tensor) and b.requires_grad and b.dtype.is_floating_point
    ]
    if not z.requires_grad or not pairs:
        return
    start = np.random.default_rng(0).standard_normal(tuple(y.shape))
    ours = tw.autograd.grad(y, [a for a, _ in pairs], tw.tensor(start), allow_unused=True)
    other = torch.autograd.grad(z, [b for _, b in pairs], torch.tensor(start), allow_unused=True)
    for (a, _), found, expected in zip(pairs, ours, other, strict=True):
        nothing = np.zeros(tuple(a.shape))
        found, expected = (nothing if one is None else one.detach().numpy() for one in (found, expected))
        assert_same(found, expected if lost is None else np.where(lost, 0.0, expected), **close)


def test_every_operator_is_compared_or_listed(operators: dict[str, list[Any]]) -> None:
    assert set(operators) - set(NAMES) == set(NOT_OFFERED)
    assert not set(operators) & _WITHOUT_SAMPLES
    assert all(NOT_OFFERED.values())
    assert all(why for _, _, why in REFUSED)


def test_a_value_that_another_one_replaced_is_found() -> None:
    indices = np.array([[[1, 4, 1], [0, 0, 0]]])
    found = _overwritten(indices, 1)
    assert_same(
        found, np.array([[[True, False, False], [True, True, False]]]), rtol=0, atol=0, reason="bools"
    )
