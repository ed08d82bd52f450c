"""The script that times filters beside OpenCV and SciPy: it runs, and compares results first."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw

cv2 = pytest.importorskip("cv2", reason="the peer, OpenCV, isn't installed")
pytest.importorskip("scipy", reason="the peer, SciPy, isn't installed")

_SCRIPT = Path(__file__).parents[2] / "bench" / "pictures.py"


@pytest.fixture(name="script")
def _script(monkeypatch: pytest.MonkeyPatch) -> Any:
    known = importlib.util.spec_from_file_location("bench_pictures", _SCRIPT)
    assert known is not None and known.loader is not None
    module = importlib.util.module_from_spec(known)
    known.loader.exec_module(module)
    monkeypatch.setattr(module, "_REST", 0.0)
    return module


def test_all_filter_the_same_picture(script: Any) -> None:
    before = tw.get_num_threads(), cv2.getNumThreads()
    try:
        rows = script.measure((64, 48), 1, 2)
    finally:
        tw.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    assert [(row["filter"], row["dtype"]) for row in rows] == [
        (name, dtype)
        for dtype in ("float32", "uint8")
        for name in ("3×3", "5×5", *(f"Gaussian {size}×{size}" for size in (3, 5, 15, 31)))
    ]
    for row in rows:
        assert row["ours_ms"] > 0 and row["opencv_ms"] > 0
        assert (row["scipy_ms"] is None) == (row["dtype"] == "uint8" and "Gaussian" not in row["filter"])
        assert row["largest_difference"] <= (1 if row["dtype"] == "uint8" else 1e-5)


def test_other_results_are_not_timed(script: Any) -> None:
    with pytest.raises(SystemExit, match=r"blur: results differ by 0\.5"):
        script._check("blur", np.ones(3, np.float32), np.full(3, 1.5))
    with pytest.raises(SystemExit, match="differ by 2"):
        script._check("blur", np.ones(3, np.uint8), np.full(3, 3, np.uint8))
