"""What a filter is a sum of, and what stands beyond an image's edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Up to 3 × 3 × 3 taps, one go over an image that is larger than the caches takes less time than a pass along
# each axis.
_FEW_TAPS = 27
# Two passes write and read lines in between, which takes as long as some products (1080 × 1920 × 3 float32:
# 3 × 3 taps take 2.7 ms in one go and 3.8 in passes, 5 × 5 take 4.9 and 4.3).
_PASSES_PAY = 2


def passes_pay(rows: int, columns: int) -> bool:
    """Whether two passes over a picture take less time than all taps of their product in one go."""
    return rows * columns > _PASSES_PAY * (rows + columns)


@dataclass(frozen=True)
class Term:
    """A kernel, or the product of vectors, of which a filter is a sum.

    Attributes:
        kernel: of the image's spatial rank; None for a product.
        vectors: (axis, numbers) of a product, by axis, at most one for each.
        befores: of every axis, how many taps stand before the position that an output takes.
        sizes: of every axis, how many taps there are.
    """

    kernel: Array | None
    vectors: tuple[tuple[int, Array], ...]
    befores: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def afters(self) -> tuple[int, ...]:
        """Of every axis, how many taps stand after that position."""
        return tuple(size - 1 - before for size, before in zip(self.sizes, self.befores, strict=True))

    def product(self) -> Array:
        """The kernel, also of a product."""
        if self.kernel is not None:
            return self.kernel
        product = np.ones((1,) * len(self.sizes))
        for axis, vector in self.vectors:
            product = product * vector.reshape(tuple(-1 if one == axis else 1 for one in range(product.ndim)))
        return product

    def dense(self) -> Array | None:
        """The kernel, also of a product that has only one vector, or few taps: None if passes are faster."""
        many = len(self.vectors) > 1 and math.prod(self.sizes) > _FEW_TAPS
        return None if many else self.product()


@dataclass(frozen=True)
class Outside:
    """What stands beyond the edges: a border by its own name, and the constant one's value."""

    border: str
    cval: float
