"""Real pictures to draw, and a look at the figures that are saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lens.pictures import Digits, Seen
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from tilewright.lens import style


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    return Digits(data.images[:, None].astype(np.float32), data.target.astype(np.int64))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Keeps the figures that the drawings save, for a look at their words."""
    kept = Seen()
    save: Callable[..., Path] = style.save

    def save_and_keep(figure: Figure, path: Path) -> Path:
        kept.figures.append(figure)
        return save(figure, path)

    monkeypatch.setattr(style, "save", save_and_keep)
    return kept
