"""The one way in which tests compare numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_same(actual: Any, expected: Any, *, rtol: float, atol: float, reason: str) -> None:
    """Fail unless `actual` is `expected`: an array or Tensor of the same shape, dtype, values and NaNs.

    Args:
        actual: what was computed, a NumPy array or a Tensor; nothing else passes.
        expected: an array, a Tensor, a PyTorch tensor, or a list of numbers (which is compared as an array of
            the dtype that NumPy gives it).
        rtol: largest relative error (of the expected value; of complex numbers, each part's error relative to
            the absolute value); 0 and 0 mean equal numbers.
        atol: largest absolute error.
        reason: why the tolerances are what they are.
    """
    assert reason.strip(), "A tolerance needs a reason."
    assert rtol >= 0 and atol >= 0, f"Tolerances are 0 or more. Received: rtol={rtol}, atol={atol}."
    ours, theirs = _array(actual, "actual"), _array(expected, "expected", lists=True)
    assert ours.shape == theirs.shape, f"shape {ours.shape} instead of {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"dtype {ours.dtype} instead of {theirs.dtype}"
    if ours.dtype.kind == "c":
        # Each part on its own, so that a NaN in one hides nothing in the other.
        size = np.abs(theirs.astype(np.complex128))
        whole = np.isfinite(size)
        parts = [
            _judge(a, b, np.where(whole, size, np.abs(b)), rtol, atol)
            for a, b in zip(_parts(ours), _parts(theirs), strict=True)
        ]
        wrong, error = parts[0][0] | parts[1][0], np.maximum(parts[0][1], parts[1][1])
    elif ours.dtype.kind == "f" or ours.dtype.name == "bfloat16":
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        wrong, error = _judge(a, b, np.abs(b), rtol, atol)
    else:
        wrong = ours != theirs
        error = wrong.astype(np.float64)
    if wrong.any():
        worst = np.unravel_index(int(np.argmax(np.where(wrong, error, -1.0))), wrong.shape)
        at = tuple(int(i) for i in worst)
        raise AssertionError(
            f"{int(wrong.sum())} of {wrong.size} values differ; the worst at {at}: {ours[at]!r} instead of "
            f"{theirs[at]!r} (rtol={rtol}, atol={atol}: {reason})"
        )


def _judge(a: Any, b: Any, size: Any, rtol: float, atol: float) -> tuple[Any, Any]:
    """Where real numbers are wrong, and by how much; the tolerance is relative to ``size``."""
    with np.errstate(all="ignore"):
        error = np.abs(a - b)
        close = error <= atol + rtol * size
    # NaN equals NaN, an infinity equals itself, and neither is close to anything else.
    finite = np.isfinite(a) & np.isfinite(b)
    wrong = ~np.where(finite, close, (a == b) | (np.isnan(a) & np.isnan(b)))
    return wrong, np.where(finite, error, np.inf)


def _parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = x.astype(np.complex128)
    return wide.real, wide.imag


def _array(value: Any, name: str, lists: bool = False) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        if str(value.dtype) == "torch.bfloat16":
            # PyTorch has no NumPy array of them.
            return value.detach().float().numpy().astype("bfloat16")
        return value.detach().numpy(force=True)
    assert lists and isinstance(value, (int, float, complex, list, tuple)), (
        f"{name} is a {kind}, no array and no Tensor"
    )
    return np.asarray(value)
