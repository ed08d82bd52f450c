"""Kernels as sums of outer products of vectors, by singular value decomposition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def taken_apart(w: Array, tolerance: float) -> list[Array]:
    """The weights of convolutions along single axes whose product comes within a tolerance of each kernel.

    A matrix of singular vectors, of the first axis against all others, is a sum of orthogonal products; the
    vectors of the other axes are taken apart in the same way. All these products are orthogonal, so the
    squares of those that are left out add up to that of the error.

    Args:
        w: (channels, 1, *kernel), finite, float32 or float64.
        tolerance: what an error may be, over the norm of a channel's kernel.

    Returns:
        For each axis of several taps (channels·products, 1, …, k, …); the last (channels, products, …, k, …).

    >>> [part.shape for part in taken_apart(np.eye(3)[None, None], 0.0)]
    [(3, 1, 3, 1), (1, 3, 1, 3)]
    """
    channels, _, *kernel = w.shape
    axes = [axis for axis, k in enumerate(kernel) if k > 1] or [len(kernel) - 1]
    sizes = [kernel[axis] for axis in axes]
    chosen = [_most(_products(one.astype(np.float64).reshape(sizes)), tolerance) for one in w]
    count = max(len(products) for products in chosen)
    found = []
    for number, axis in enumerate(axes):
        vectors = np.zeros((channels, count, kernel[axis]), w.dtype)
        for channel, products in enumerate(chosen):
            for place, (size, lines) in enumerate(products):
                # Each vector has its share of the size, so that none leaves the range of its dtype early.
                vectors[channel, place] = lines[number] * size ** (1 / len(axes))
        outer = (channels, count) if number == len(axes) - 1 else (channels * count, 1)
        found.append(vectors.reshape(*outer, *(k if at == axis else 1 for at, k in enumerate(kernel))))
    return found


def _products(kernel: Array) -> list[tuple[float, list[Array]]]:
    """Orthogonal products that add up to a kernel: the size of each, and its vectors of length 1."""
    if kernel.ndim == 1:
        size = float(np.sqrt(kernel @ kernel))
        return [(size, [kernel / size if size else kernel])]
    left, sizes, right = np.linalg.svd(kernel.reshape(kernel.shape[0], -1), full_matrices=False)
    return [
        (float(size) * part, [left[:, number], *lines])
        for number, size in enumerate(sizes)
        for part, lines in _products(right[number].reshape(kernel.shape[1:]))
    ]


def _most(products: list[tuple[float, list[Array]]], tolerance: float) -> list[tuple[float, list[Array]]]:
    """The largest products, as few as leave no more out than the tolerance; at least one."""
    largest = sorted(products, key=lambda product: -product[0])
    squares = np.array([size * size for size, _ in largest])
    # What would be left out from each on, the last first: small squares are added before large ones.
    left_out = np.sqrt(np.cumsum(squares[::-1])[::-1])
    # Rounding leaves products of some eps of the whole where there are none.
    allowed = max(tolerance, float(np.finfo(np.float64).eps) * math.sqrt(len(squares))) * left_out[0]
    return largest[: max(int((left_out > allowed).sum()), 1)]
