"""Every function that both libraries have, on random cases: outputs, gradients and second gradients, float64.

Cases are drawn from seeds, so that each is the same in every run; ``peer_cases`` says how, and leaves out
what PyTorch refuses or contradicts itself about. There are 5,000 of them, or as many as $TILEWRIGHT_CASES
says.
"""

from __future__ import annotations

import os

import pytest

import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
from peer_cases import DRAWS, check  # noqa: E402 - after the skip

USUAL = 5000
# Beside functions with one share each: those with many arguments.
SHARES = {
    "conv1d": 3,
    "conv2d": 6,
    "conv3d": 3,
    "conv_transpose1d": 3,
    "conv_transpose2d": 4,
    "conv_transpose3d": 3,
    "convolution, padding modes": 4,
    "transposed convolution, padding modes": 4,
    "unfold": 2,
    "fold": 2,
    "pad": 4,
    "interpolate": 8,
    **{f"{pool}{rank}d": 2 for pool in ("max_pool", "avg_pool", "lp_pool") for rank in (1, 2, 3)},
    "batch_norm": 2,
    "group_norm": 2,
    "instance_norm": 2,
    "layer_norm": 2,
    "cross_entropy": 4,
    "nll_loss": 2,
}


def _asked() -> int:
    text = os.environ.get("TILEWRIGHT_CASES", "")
    if text and (not text.isdecimal() or int(text) == 0):
        raise pytest.UsageError(f"TILEWRIGHT_CASES must be a whole number above 0. Received: {text!r}.")
    return int(text or USUAL)


def _count(name: str) -> int:
    """How many cases of a function there are: rounded up, so that together there are never too few."""
    total = sum(SHARES.get(each, 1) for each in DRAWS)
    return -(-_asked() * SHARES.get(name, 1) // total)


@pytest.mark.parametrize("name", DRAWS)
def test_random_cases(name: str) -> None:
    for seed in range(_count(name)):
        check(name, seed)


def test_every_shared_function_is_drawn() -> None:
    shared = {name for name in F.__all__ if hasattr(torch.nn.functional, name)}
    assert len(shared) > 90
    assert shared <= set(DRAWS)
    assert set(SHARES) <= set(DRAWS)


def test_there_are_as_many_cases_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in (1, 5000, 50000):
        monkeypatch.setenv("TILEWRIGHT_CASES", str(asked))
        assert asked <= sum(map(_count, DRAWS)) <= asked + len(DRAWS)
    for wrong in ("0", "-5", "many"):
        monkeypatch.setenv("TILEWRIGHT_CASES", wrong)
        with pytest.raises(pytest.UsageError, match="whole number above 0"):
            _asked()
