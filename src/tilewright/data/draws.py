"""Random numbers for each sample on its own, by counting instead of by a stream.

What is drawn for a sample is a function of (seed, epoch, the sample's number) and of nothing else: not of the
batch it is in, nor of the samples before it, nor of the thread. The generator is Philox 4×64 with ten rounds
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). Its key here is (seed, epoch), and its
counter (block, 0, number of the sample, purpose): words are worked out from their place, so many samples are
drawn for at once, in NumPy. They are those of ``numpy.random.Philox``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = np.ndarray[Any, Any]


class Purpose(IntEnum):
    """What numbers are drawn for: the same sample gets others for each. 0 is the order's (see ``order``)."""

    AUGMENT = 1
    MIX = 2
    PICK = 3


_ROUNDS = 10
_WORDS = 4
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
# The multipliers of the counter's words 0 and 2, and what is added to the key between rounds: the authors'.
_FACTORS = np.array([[0xD2E7470EE14C6C93], [0xCA5A826395121157]], dtype=np.uint64)
_STEPS = np.array([[0x9E3779B97F4A7C15], [0xBB67AE8584CAA73B]], dtype=np.uint64)


def words(seed: int, epoch: int, samples: Array, count: int, purpose: Purpose) -> npt.NDArray[np.uint64]:
    """Random words of 64 bits, (k, count), for the samples of these numbers (k,).

    Args:
        seed: 0 to 2**63 - 1.
        epoch: in the same range.
        samples: numbers of samples, integers from 0.
        count: words for each, ≥ 0.
        purpose: what they are for.

    >>> words(7, 0, np.array([3, 4]), 5, Purpose.AUGMENT).shape
    (2, 5)
    """
    numbers = np.asarray(samples).astype(np.uint64, copy=False).reshape(-1)
    blocks = -(-count // _WORDS)
    lanes = (len(numbers), blocks)
    # NumPy's Philox counts up before it draws, so its blocks are numbered from 1.
    block = np.broadcast_to(np.arange(1, blocks + 1, dtype=np.uint64), lanes).reshape(-1)
    sample = np.repeat(numbers, blocks)
    # Words 0 and 2 of the counter are multiplied; words 1 and 3 are mixed in.
    even = np.stack([block, sample])
    odd = np.stack([np.zeros_like(sample), np.full_like(sample, np.uint64(purpose))])
    key = np.array([[seed], [epoch]], dtype=np.uint64)
    for turn in range(_ROUNDS):
        if turn:
            key = key + _STEPS
        high, low = _product(even)
        even = high[::-1] ^ odd ^ key
        odd = low[::-1]
    found = np.stack([even[0], odd[0], even[1], odd[1]], axis=-1)
    return found.reshape(len(numbers), blocks * _WORDS)[:, :count]


def uniforms(seed: int, epoch: int, samples: Array, count: int, purpose: Purpose) -> npt.NDArray[np.float64]:
    """Numbers from 0 to below 1, (k, count) in float64, made of the upper 53 bits of :func:`words`."""
    drawn = words(seed, epoch, samples, count, purpose)
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _product(numbers: Array) -> tuple[Array, Array]:
    """Upper and lower 64 bits of ``numbers`` (2, lanes) times the two factors, by halves of 32 bits."""
    f_high, f_low = _FACTORS >> _HALF, _FACTORS & _LOW
    n_high, n_low = numbers >> _HALF, numbers & _LOW
    cross, other = f_low * n_high, f_high * n_low
    carry = (((f_low * n_low) >> _HALF) + (cross & _LOW) + (other & _LOW)) >> _HALF
    return f_high * n_high + (cross >> _HALF) + (other >> _HALF) + carry, numbers * _FACTORS
