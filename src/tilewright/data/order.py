"""Seeded orders that are the same on every machine and under every NumPy version.

A permutation is the sorting order of raw Philox words (Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3", 2011). NumPy promises the words of a bit generator for ever, but not what its ``Generator``
methods make of them, so ``permutation`` and ``shuffle`` are not used.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, describe

# Seeds fit a signed 64-bit integer, so that a checkpoint can write them as a TOML or JSON integer.
SEED_LIMIT = 2**63


def permutation(length: int, seed: int, stream: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The numbers 0 to ``length - 1`` in an order that depends on ``seed`` and ``stream`` alone.

    Args:
        length: how many numbers.
        seed: the user's seed, 0 to 2**63 - 1.
        stream: which of the seed's orders (an epoch, a class), in the same range.

    >>> permutation(5, seed=0, stream=0).tolist()
    [0, 2, 1, 4, 3]
    """
    philox = np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))
    # A stable sort gives even equal words (one chance in 2**64 per pair) one defined order.
    return np.argsort(philox.random_raw(length), kind="stable").astype(np.int64, copy=False)


def as_seed(value: Any, name: str, owner: str) -> int:
    """A seed (or epoch) as a Python integer of the allowed range; anything else is an ArgumentError."""
    try:
        seed = operator.index(value)
    except TypeError:
        seed = -1
    if isinstance(value, bool) or not 0 <= seed < SEED_LIMIT:
        raise ArgumentError(
            f"{owner} needs {name} to be an integer from 0 to 2**63 - 1.", describe(**{name: value})
        )
    return seed


def seed_from(generator: Any, name: str, owner: str) -> int:
    """A seed from what a user gives: an integer, a NumPy generator, or None for a fresh one.

    A ``numpy.random.Generator`` is asked for one integer (so it moves on by one draw).
    """
    if generator is None:
        generator = np.random.default_rng()
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(SEED_LIMIT))
    return as_seed(generator, name, owner)
