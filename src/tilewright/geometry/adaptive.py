"""The geometry of adaptive pooling: windows that follow from the sizes of input and output alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_integer, as_op, as_shape, ceil_div, sizes
from tilewright.geometry.conv import hashable
from tilewright.geometry.counting import floor_sum
from tilewright.geometry.pool import PoolDims, check_no_empty_axis


@dataclass(frozen=True)
class AdaptiveDims:
    """Sizes of an adaptive pooling over the spatial axes of (batch, channels, *spatial).

    Along an axis of n samples, window o of m covers the samples ⌊o·n/m⌋ … ⌈(o+1)·n/m⌉ − 1. No window is
    empty, neighbours may share a sample, and each sample is in one.

    Build it with :meth:`of`, which checks everything.
    """

    batch: int
    channels: int
    spatial: tuple[int, ...]
    output: tuple[int, ...]

    @staticmethod
    def of(input_shape: tuple[int, ...], output_size: Any, *, op: str = "adaptive_pool") -> AdaptiveDims:
        """The geometry of ``output_size`` windows over ``input_shape`` (batch, channels, *spatial).

        ``output_size`` is an integer for all axes, or one entry per axis, of which None keeps the input's
        size.

        Raises:
            ShapeError: no spatial axis, or an empty one.
            ArgumentError: ``output_size`` outside its rule.

        >>> AdaptiveDims.of((1, 64, 10, 9), (4, None)).output
        (4, 9)
        """
        return _of_adaptive(as_shape(input_shape, "input_shape", op), hashable(output_size), as_op(op))

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.spatial)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input: (batch, channels, *spatial)."""
        return (self.batch, self.channels, *self.spatial)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the pooled array: (batch, channels, *output)."""
        return (self.batch, self.channels, *self.output)

    @property
    def flops(self) -> int:
        """Operations (comparisons or additions): one per sample of every window."""
        samples = math.prod(
            floor_sum(m, n + m - 1, n, m) - floor_sum(m, 0, n, m) if m else 0
            for n, m in zip(self.spatial, self.output, strict=True)
        )
        return self.batch * self.channels * samples

    def window(self, axis: int, o: int) -> tuple[int, int]:
        """The samples [start, end) that window ``o`` of an axis covers.

        >>> [AdaptiveDims.of((1, 1, 5), 3).window(0, o) for o in range(3)]
        [(0, 2), (1, 4), (3, 5)]
        """
        n, m = self.spatial[axis], self.output[axis]
        return o * n // m, ceil_div((o + 1) * n, m)

    def longest(self, axis: int) -> int:
        """Samples in the longest window of an axis; 0 if there is none.

        >>> [AdaptiveDims.of((1, 1, n), 4).longest(0) for n in (8, 9, 11)]
        [2, 3, 4]
        """
        n, m = self.spatial[axis], self.output[axis]
        # In lowest terms, windows begin at every remainder of a sample; the longest at the very end of one.
        common = math.gcd(n, m)
        return ceil_div(n + m - common, m) if m else 0

    def turned(self) -> AdaptiveDims:
        """Input and output exchanged: window i then lists exactly the windows that sample i is in."""
        return AdaptiveDims(self.batch, self.channels, self.output, self.spatial)

    def even(self) -> PoolDims | None:
        """The same windows as an ordinary pool, where all of them are equally long and share nothing."""
        if 0 in self.output or any(n % m for n, m in zip(self.spatial, self.output, strict=True)):
            return None
        window = tuple(n // m for n, m in zip(self.spatial, self.output, strict=True))
        return PoolDims.of(self.input_shape, window)


@lru_cache(maxsize=4096)
def _of_adaptive(input_shape: tuple[int, ...], output_size: Any, op: str) -> AdaptiveDims:
    rank = len(input_shape) - 2
    if rank < 1:
        raise ShapeError(
            f"{op} needs input of shape (batch, channels, *spatial) with at least one spatial axis.",
            f"input with shape {input_shape}",
        )
    batch, channels, *spatial = sizes(input_shape, "input", op)
    check_no_empty_axis(input_shape, op)
    listed = output_size if isinstance(output_size, tuple) else (output_size,) * rank
    if len(listed) != rank or output_size is None:
        raise ArgumentError(
            f"{op} needs output_size to be an integer, or {rank} entries, one per spatial axis, each an "
            "integer or None for the input's size.",
            describe(output_size=output_size),
        )
    output = tuple(
        n if size is None else as_integer(size, "output_size", op, least=0)
        for size, n in zip(listed, spatial, strict=True)
    )
    return AdaptiveDims(batch, channels, tuple(spatial), output)
