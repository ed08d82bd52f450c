"""Counting without listing: sums over arithmetic progressions of any length, in a few steps of arithmetic."""

from __future__ import annotations


def remainders_from(bound: int, count: int, first: int, step: int, modulus: int) -> int:
    """How many of first + i·step, i = 0 … count−1, have a remainder of ``bound`` or more modulo ``modulus``.

    Args:
        bound: from 1 to ``modulus``.
        count: 0 or more (fewer are none).
        first: any integer.
        step: any integer.
        modulus: 1 or more.

    >>> remainders_from(3, 4, 0, 2, 5)  # of 0, 2, 4, 6: the 4
    1
    """
    if count <= 0:
        return 0
    # ⌊v/modulus⌋ − ⌊(v − bound)/modulus⌋ is 1 where the remainder of v is under the bound, and 0 elsewhere.
    below = floor_sum(count, first, step, modulus) - floor_sum(count, first - bound, step, modulus)
    return count - below


def floor_sum(count: int, first: int, step: int, modulus: int) -> int:
    """Σ ⌊(first + i·step)/modulus⌋ for i = 0 … count−1, in as many steps as Euclid's algorithm takes.

    >>> floor_sum(4, 1, 3, 5) == sum((1 + 3 * i) // 5 for i in range(4))
    True
    """
    total = 0
    while True:
        total += count * (count - 1) // 2 * (step // modulus) + count * (first // modulus)
        step, first = step % modulus, first % modulus
        end = first + step * count
        if end < modulus:
            return total
        # What is left are points under a line, which are now counted along the other axis.
        count, first = divmod(end, modulus)
        modulus, step = step, modulus
