"""The one helper that compares an answer with what it should be."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """A Tensor's, PyTorch tensor's, array's or number's values as a NumPy array."""
    detach = getattr(value, "detach", None)
    if detach is not None:
        value = detach()
    to_numpy = getattr(value, "numpy", None)
    return np.asarray(to_numpy() if to_numpy is not None else value)


def assert_same(actual: Any, expected: Any, *, rtol: float, atol: float, reason: str) -> None:
    """Fail unless both have the same shape, dtype, NaN places, infinities, and values within tolerance.

    Args:
        actual: what came out.
        expected: what should have.
        rtol: relative tolerance, against ``expected``.
        atol: absolute tolerance.
        reason: why this tolerance; no tolerance goes without.
    """
    assert reason, "a tolerance needs its reason"
    a, e = as_array(actual), as_array(expected)
    assert a.shape == e.shape, f"shape {a.shape}, expected {e.shape}"
    assert a.dtype == e.dtype, f"dtype {a.dtype}, expected {e.dtype}"
    if a.dtype.kind not in "fc":
        wrong = a != e
    else:
        with np.errstate(invalid="ignore"):
            close = np.abs(a - e) <= atol + rtol * np.abs(e)
            # Infinities and NaN must be the same on both sides; a difference of them is NaN or infinite.
            special = ~np.isfinite(a) | ~np.isfinite(e)
            same = (a == e) | (np.isnan(a) & np.isnan(e))
        wrong = ~np.where(special, same, close)
    if np.any(wrong):
        count = int(np.count_nonzero(wrong))
        with np.errstate(invalid="ignore"):
            distance = np.where(wrong, np.abs(a.astype(np.float64) - e.astype(np.float64)), -1.0)
        worst = np.unravel_index(int(np.argmax(np.nan_to_num(distance, nan=np.inf))), a.shape)
        raise AssertionError(
            f"{count} of {a.size} values differ beyond rtol={rtol}, atol={atol} ({reason}); "
            f"worst at {tuple(int(i) for i in worst)}: {a[worst]!r}, expected {e[worst]!r}"
        )
