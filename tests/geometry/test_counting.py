"""Sums over progressions, against the same sums written out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tilewright.geometry.counting import floor_sum, remainders_from


@given(st.integers(0, 30), st.integers(-50, 50), st.integers(-20, 20), st.integers(1, 20))
def test_floor_sum(count: int, first: int, step: int, modulus: int) -> None:
    assert floor_sum(count, first, step, modulus) == sum((first + i * step) // modulus for i in range(count))


@given(st.integers(-2, 30), st.integers(-50, 50), st.integers(1, 20), st.integers(1, 20), st.data())
def test_remainders_from(count: int, first: int, step: int, modulus: int, data: st.DataObject) -> None:
    bound = data.draw(st.integers(1, modulus))
    assert remainders_from(bound, count, first, step, modulus) == sum(
        (first + i * step) % modulus >= bound for i in range(count)
    )


def test_long_progressions_take_no_time() -> None:
    # Σ ⌊i/3⌋ over 3·2^60 numbers: three times the numbers 0 … 2^60 − 1.
    assert floor_sum(3 * 2**60, 0, 1, 3) == 3 * (2**60 * (2**60 - 1) // 2)
