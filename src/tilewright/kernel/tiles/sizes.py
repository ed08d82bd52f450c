"""Sizes of blocks: rounded up, or even."""

from __future__ import annotations


def up(number: int, multiple: int) -> int:
    """The next multiple.

    >>> up(17, 16)
    32
    """
    return -(-number // multiple) * multiple


def even(total: int, most: int) -> int:
    """The block length, at most ``most``, that divides ``total`` into the fewest blocks of even length."""
    return -(-total // -(-total // max(most, 1))) if total else 1
