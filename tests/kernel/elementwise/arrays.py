"""Arrays for the tests of compiled passes: any length, next to unreadable memory, of all kinds of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.built import DTYPES, TARGETS, bits, special

from tilewright.kernel import threads
from tilewright.plan import named

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_dtype = pytest.mark.parametrize("dtype", list(DTYPES.values()))
both_sides = pytest.mark.parametrize("side", ["end", "start"])

#: Around a vector of any target, a group of 64 and a unit of 16,384.
LENGTHS = (*range(101), 127, 128, 129, 191, 193, 1000, 4099, 16383, 16384, 16385, 16448, 40001)


def mixed(count: int, dtype: Any, seed: int) -> Any:
    """Normal numbers with a few of all other kinds in between: zeros, subnormal, huge, infinite, NaN."""
    rng = np.random.default_rng([seed, count])
    x = rng.standard_normal(count).astype(dtype)
    if count:
        kinds = special({4: "float", 8: "double"}[np.dtype(dtype).itemsize])
        places = rng.integers(0, count, min(count, 3 * kinds.size))
        x[places] = rng.choice(kinds, places.size)
    return x


def assert_same_bits(found: Any, expected: Any) -> None:
    """Equal bits, except that one NaN is as good as another."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(bits(found[~nan]), bits(expected[~nan]))


def poisoned(like: Any, side: str = "end") -> tuple[Any, Any]:
    """Two outputs at the edge of readable memory that differ in every bit but hold no sensible number."""
    return guarded(np.full_like(like, -77.0), side), guarded(np.full_like(like, np.nan), side)


def with_threads(count: int, call: Callable[[], Any]) -> Any:
    """What a call gives with so many threads."""
    before = threads.get_num_threads()
    threads.set_num_threads(count)
    try:
        return call()
    finally:
        threads.set_num_threads(before)
