"""Whole arrays between float32 and halves: NumPy's numbers, whatever the length, at the edge of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import LENGTHS, both_sides, every_target, mixed
from samples_of_dtypes import HALVES, dtype_named

from tilewright.kernel import halves
from tilewright.kernel.elementwise import call
from tilewright.op import passes
from tilewright.plan import Target


def _same(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    nan = np.isnan(expected.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(found.astype(np.float32)), nan)
    bits = np.uint16 if found.itemsize == 2 else np.uint32
    np.testing.assert_array_equal(found.view(bits)[~nan], expected.view(bits)[~nan])


@every_target
@both_sides
@pytest.mark.parametrize("name", HALVES)
def test_both_ways(target: Target, side: str, name: str) -> None:
    half = dtype_named(name)
    for length in (*LENGTHS[:70:3], 1000, 65535, 65536, 65537, 140001):
        x = mixed(length, np.float32, 3)
        with np.errstate(all="ignore"):
            expected = x.astype(half)
        found = guarded(np.full(length, -7, half), side)
        call.rounded(guarded(x, side), found, target=target)
        _same(found, expected)
        wide = guarded(np.full(length, -7, np.float32), side)
        call.rounded(guarded(expected, side), wide, target=target)
        _same(wide, expected.astype(np.float32))


@pytest.mark.parametrize("name", HALVES)
def test_arrays_in_any_order(name: str) -> None:
    half = dtype_named(name)
    x = mixed(64 * 33 * 20, np.float32, 1).reshape(64, 33, 20)
    for array in (x, x.transpose(2, 0, 1), x[:, ::2], x[:3]):
        with np.errstate(all="ignore"):
            expected = array.astype(half)
        to = np.empty(array.shape, half)
        with np.errstate(all="ignore"):
            halves.rounded_to(array, to)
        _same(to, np.ascontiguousarray(expected))
        _same(np.ascontiguousarray(halves.widened(expected)), np.ascontiguousarray(expected, np.float32))
        found = passes.converted(array, half)
        if found is not None:
            assert [s for s in found.strides] == [s // 2 for s in array.strides]
            _same(np.ascontiguousarray(found), np.ascontiguousarray(expected))
    assert passes.converted(x, half) is not None
    assert passes.converted(x[:, ::2], half) is None
    assert passes.converted(x, np.dtype(np.int16)) is None
