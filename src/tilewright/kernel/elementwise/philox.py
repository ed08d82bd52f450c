"""Random bits from a counter: Philox 4×32 with ten rounds, the same in any order and on any processor.

A block of 128 bits is a function of its number, of a stream and of a key, so whoever needs it computes it:
results don't depend on how work is split. Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
easy as 1, 2, 3", SC 2011; ten rounds are the authors' choice with a margin (all their tests pass with seven).

The counter of block b in stream s is (b mod 2^32, b div 2^32, s mod 2^32, s div 2^32).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel.builder import Function, Value, splat, vector

Array = npt.NDArray[Any]

ROUNDS = 10
# The paper's constants: a round multiplies two words by these, and the key grows by those.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
STEPS = (0x9E3779B9, 0xBB67AE85)
_WORD = (1 << 32) - 1

#: Blocks that are computed side by side. Their words are kept in 64 bits each, the size of a product.
LANES = 8
_WORDS = vector(LANES, "i64")


def keys(f: Function, key: Value) -> list[tuple[Value, Value]]:
    """The two halves of the key (an i64) in every round, each in every lane."""
    low, high = splat(f, key, LANES), splat(f, key >> 32, LANES)
    return [(low + number * STEPS[0], high + number * STEPS[1]) for number in range(ROUNDS)]


def blocks(
    f: Function, number: Value, stream: Value, keys: list[tuple[Value, Value]]
) -> tuple[Value, Value, Value, Value]:
    """Blocks ``number`` to ``number + 7``: their first words, second words and so on.

    Scalar loop: ``for i in range(8): out[0][i], …, out[3][i] = philox(number + i, stream)``

    The upper halves of the results hold anything.
    """
    lane_numbers = "<" + ", ".join(f"i64 {lane}" for lane in range(LANES)) + ">"
    numbers = splat(f, number, LANES) + Value(f, lane_numbers, _WORDS)
    streams = splat(f, stream, LANES)
    a, b, c, d = numbers, numbers >> 32, streams, streams >> 32
    for low, high in keys:
        # Products of 32 by 32 bits, which every processor has for vectors: what stands above is masked here
        # for LLVM to see, and never in the code.
        p, q = (a & _WORD) * MULTIPLIERS[0], (c & _WORD) * MULTIPLIERS[1]
        a, b, c, d = (q >> 32) ^ b ^ low, q, (p >> 32) ^ d ^ high, p
    return a, b, c, d


def words(numbers: Array, stream: int, key: int) -> tuple[Array, Array, Array, Array]:
    """The same in NumPy, for any number of blocks: uint64 arrays whose upper halves are 0."""
    word = np.uint64(_WORD)
    half = np.uint64(32)
    a, b = numbers & word, numbers >> half
    c = np.full_like(a, stream & _WORD)
    d = np.full_like(a, stream >> 32)
    low, high = key & _WORD, key >> 32
    for _ in range(ROUNDS):
        p, q = a * np.uint64(MULTIPLIERS[0]), c * np.uint64(MULTIPLIERS[1])
        a, b = (q >> half) ^ b ^ np.uint64(low), q & word
        c, d = (p >> half) ^ d ^ np.uint64(high), p & word
        low, high = (low + STEPS[0]) & _WORD, (high + STEPS[1]) & _WORD
    return a, b, c, d
