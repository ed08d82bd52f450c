"""Sums over neighbouring channels, which local response normalisation divides by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.op.memory import zeros_like

Array = npt.NDArray[Any]


def channel_window_sum(x: Array, before: int, after: int) -> Array:
    """Gives Σ_j x[:, c + j] for j from −before to after, at every channel c; what lies outside counts as 0.

    Args:
        x: (batch, channels, ...).
        before: channels before c that count, at least 0.
        after: channels after c that count, at least 0.

    Each sum is added up from the first channel to the last, so that it is the same bits in every batch.
    """
    channels = x.shape[1]
    y = zeros_like(x)
    for step in range(-min(before, channels - 1), min(after, channels - 1) + 1):
        first, last = max(-step, 0), min(channels - step, channels)
        part = y[:, first:last]
        np.add(part, x[:, first + step : last + step], out=part)
    return y
