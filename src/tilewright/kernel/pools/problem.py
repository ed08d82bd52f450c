"""What is pooled: a value that every program of a pool is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilewright.geometry import PoolDims

Steps = tuple[int, ...]

#: A unit combines at least so many samples: some 10 µs.
WORK = 1 << 17


@dataclass(frozen=True)
class Problem:
    """What is computed.

    Attributes:
        kind: ``max``, ``max_indices``, ``max_gradient``, ``mean``, or ``shares``: the gradient of means.
        dims: the forward geometry.
        dtype: that is computed in, and of all arrays but indices.
        x_steps: strides of the array that is read, in elements.
        y_steps: those of the array that is written. Indices lie as the outputs do.
        each: whether every window has a divisor of its own.
        stored: of what kind of halves the array that is read and the one that is written are, if they are.
    """

    kind: str
    dims: PoolDims
    dtype: str
    x_steps: Steps
    y_steps: Steps
    each: bool
    stored: str = ""

    @property
    def lying(self) -> int:
        """Bytes of a number of the array that is read."""
        return 2 if self.stored else np.dtype(self.dtype).itemsize

    @property
    def backwards(self) -> bool:
        """Whether it is a gradient."""
        return self.kind in ("shares", "max_gradient")
