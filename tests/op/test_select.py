"""Selection by bits gives what np.where gives, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.op.select import select

_NUMBERS = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 1e-40])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("chosen", [None, 0.0, -0.0, 3.5, np.nan])
@pytest.mark.parametrize("otherwise", [None, 0.0, -0.0, 3.5, np.nan])
def test_as_where_does(dtype: Any, chosen: Any, otherwise: Any) -> None:
    with np.errstate(under="ignore"):
        a, b = (np.asarray(grid, dtype) for grid in np.meshgrid(_NUMBERS, _NUMBERS))
    one, other = (a if chosen is None else dtype(chosen)), (b if otherwise is None else dtype(otherwise))
    condition = np.random.default_rng(1).random(a.shape) < 0.5
    y = select(condition, one, other, dtype)
    expected = np.where(condition, one, other)
    assert y.dtype == expected.dtype
    assert y.tobytes() == expected.tobytes()


def test_shapes_and_layouts() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for view in (x.T, x[::-1, :, ::2], np.broadcast_to(x[:1], (5, 3, 4)), x[:0], np.array(2.0)):
        for other in (0.0, view * 2):
            found = select(view > 5, view, other, np.float64)
            assert_same(
                found, np.where(view > 5, view, other), rtol=0, atol=0, reason="numbers are only moved"
            )
    row = select(np.array([True, False, True, False]), x, -x, np.float64)
    assert_same(row[..., 1], -x[..., 1], rtol=0, atol=0, reason="numbers are only moved")
    assert not np.shares_memory(select(np.array(True), x, x, np.float64), x)
