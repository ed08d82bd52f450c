"""The bits of dropout in NumPy, where nothing is compiled: the same as :mod:`slopes` draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel.elementwise import philox
from tilewright.kernel.elementwise.groups import GROUP
from tilewright.kernel.elementwise.slopes import BITS

Array = npt.NDArray[Any]

# Numbers of 64 bits drawn at a time: eight blocks of Philox make one, and the four words of so many blocks
# stay in the L2 cache.
_AT_A_TIME = 1024


def drawn(count: int, draw: tuple[int, int, int]) -> Array:
    """``count`` numbers of 64 bits (uint64) in which each bit is 1 with a probability of few / 65,536.

    Args:
        count: how many.
        draw: few, and the key and the stream of Philox.
    """
    few, key, stream = draw
    found = np.empty(count, "<u8")
    each = GROUP * BITS // 128
    for start in range(0, count, _AT_A_TIME):
        stop = min(start + _AT_A_TIME, count)
        a, b, c, d = philox.words(np.arange(each * start, each * stop, dtype=np.uint64), stream, key)
        # Elements 0 to 15, 16 to 31 and so on of each 64.
        truths = np.empty((stop - start, 4, 16), np.bool_)
        for place, (even, odd) in enumerate(((a, b), (c, d))):
            words = np.stack([even, odd], axis=1).reshape(-1, 16)
            np.less(words & np.uint64((1 << BITS) - 1), np.uint64(few), out=truths[:, 2 * place])
            np.less(words >> np.uint64(BITS), np.uint64(few), out=truths[:, 2 * place + 1])
        found[start:stop] = np.packbits(truths.reshape(-1), bitorder="little").view("<u8")
    return found
