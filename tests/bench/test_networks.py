"""The script that times training steps beside PyTorch: it runs, and compares gradients first."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw

pytest.importorskip("torch", reason="the peer, PyTorch, isn't installed")

_SCRIPT = Path(__file__).parents[2] / "bench" / "networks.py"


@pytest.fixture(name="script")
def _script() -> Any:
    known = importlib.util.spec_from_file_location("bench_networks", _SCRIPT)
    assert known is not None and known.loader is not None
    module = importlib.util.module_from_spec(known)
    known.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["small digit network, MNIST", "LeNet-5, MNIST", "ResNet-20, Fashion-MNIST"])
def test_both_take_the_same_steps(script: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tw.get_num_threads()
    monkeypatch.setattr(script, "_REST", 0.0)
    make, twin, data, _, settings = script._NETWORKS[name]
    monkeypatch.setitem(script._NETWORKS, name, (make, twin, data, 8, settings))
    try:
        row = script.measure(name, 1, 3, None)
    finally:
        tw.set_num_threads(before)
    assert row["steps"] == 1 and row["ours_ms"] > 0 and row["pytorch_ms"] > 0
    assert 0 < row["gradient_difference"] < 1e-2
    assert row["ours_pass_s"] == pytest.approx(row["ours_ms"] * 7.5)  # 60,000 pictures, 8 a step


def test_other_gradients_are_not_timed(script: Any) -> None:
    ours, theirs = tw.nn.models.lenet5(), script._lenet5()
    x, y = np.ones((2, 1, 28, 28), np.float32), np.array([1, 2])
    with pytest.raises(SystemExit, match=r"differs by .* of its norm"):
        script._check(ours, theirs, x, y)
