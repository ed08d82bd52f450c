"""The samples to learn from: the same ones, in the same order, however the data were given.

Training depends on the order of the samples, and scikit-learn's data come in any. So samples are put in an
order of their own, that of a digest of their numbers, and samples that are equal become one whose weight is
the sum of theirs. Whatever follows (the means, the held-out part, the batches) sees only the result. So a
network is a function of what the data are, as a decision tree is: shuffling the rows changes nothing, and a
weight of 2 is the sample given twice, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np

from tilewright.bridge.sklearn.inputs import Standard
from tilewright.data.order import permutation

Array = np.ndarray[Any, Any]

# Numbers converted to float64 at a time: 8 MiB of them.
_BLOCK = 2**20
# Two samples with one digest of 128 bits are not met by chance, nor made on purpose.
_DIGEST = 16
# The epochs' orders are streams 0, 1, … of the seed; this is none of them.
_SPLIT_STREAM = 2**62


def in_own_order(rows: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
    """Which rows stand for all samples, in the samples' own order, and the weight of each.

    Args:
        rows: (n, features), any numbers.
        targets: (n, k), float64.
        weights: (n,), above 0.

    Returns:
        Row numbers (m,) and weights (m,), m ≤ n.

    >>> rows, targets = np.array([[1.0], [2.0], [1.0]]), np.zeros((3, 1))
    >>> numbers, weights = in_own_order(rows, targets, np.array([1.0, 1.0, 2.0]))
    >>> sorted(zip(rows[numbers, 0].tolist(), weights.tolist()))
    [(1.0, 3.0), (2.0, 1.0)]
    """
    digests = np.empty((len(rows), 2), np.uint64)
    some = max(1, _BLOCK // (rows.shape[1] + targets.shape[1]))
    for start in range(0, len(rows), some):
        part = slice(start, start + some)
        # float64 whatever the dtype, so that 3 and 3.0 are the same; adding 0 makes one zero of 0.0 and −0.0.
        block = np.concatenate([rows[part].astype(np.float64), targets[part]], axis=1) + 0.0
        lines = np.ascontiguousarray(block)
        found = b"".join(blake2b(line, digest_size=_DIGEST).digest() for line in lines)
        digests[part] = np.frombuffer(found, "<u8").reshape(-1, 2)
    # Weights of equal samples are added from the lightest on, so that the sum's rounding is the same, too.
    order = np.lexsort((weights, digests[:, 1], digests[:, 0]))
    digests = digests[order]
    is_first = np.append(True, (digests[1:] != digests[:-1]).any(axis=1))
    starts = np.flatnonzero(is_first)
    return order[starts], np.add.reduceat(weights[order], starts)


def held_out(groups: Array, fraction: float, seed: int) -> Array:
    """Which samples are held out for validation: (n,) bool, of each group the same share but for rounding.

    Each group keeps at least one sample to learn from. Where the share comes to less than half a sample in
    every group, the largest group gives one, if it has two.

    Args:
        groups: (n,), whole numbers from 0 on (the classes; zeros for a regression).
        fraction: the share, above 0 and below 1.
        seed: what the choice follows.

    >>> held_out(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 0.25, seed=0).reshape(2, 4).sum(axis=1)
    array([1, 1])
    """
    chosen = np.zeros(len(groups), bool)
    order = permutation(len(groups), seed, _SPLIT_STREAM)
    members = [order[groups[order] == group] for group in np.unique(groups)]
    for own in members:
        chosen[own[: min(round(fraction * len(own)), len(own) - 1)]] = True
    largest = max(members, key=len)
    if not chosen.any() and len(largest) > 1:
        chosen[largest[0]] = True
    return chosen


def batches(count: int, batch_size: int, seed: int, epoch: int) -> list[Array]:
    """The numbers 0 … count − 1 in the epoch's order, cut evenly into batches of at most ``batch_size``.

    >>> [len(batch) for batch in batches(9, 4, seed=0, epoch=0)]
    [3, 3, 3]
    """
    order = permutation(count, seed, epoch)
    return np.array_split(order, -(-count // batch_size))


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples ready for the network, converted as they are asked for.

    Attributes:
        rows: (n, features), X as it came.
        numbers: (m,), which rows these samples are.
        targets: (m, k), float64.
        weights: (m,), float64, with mean 1.
        standard: makes the network's input of rows.
    """

    rows: Array
    numbers: Array
    targets: Array
    weights: Array
    standard: Standard

    @classmethod
    def of(cls, rows: Array, numbers: Array, targets: Array, weights: Array, standard: Standard) -> Self:
        """Samples whose weights may have any mean."""
        return cls(rows, numbers, targets, weights / weights.mean() if len(weights) else weights, standard)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, part: Array) -> tuple[Array, Array, Array]:
        """The inputs (b, channels, *spatial) float32, targets (b, k) float64 and weights (b,) float32."""
        inputs = self.standard(self.rows[self.numbers[part]])
        return inputs, self.targets[part], self.weights[part].astype(np.float32)
