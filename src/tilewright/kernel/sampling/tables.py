"""A sparse matrix along an axis, and the tables that compiled passes read it from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

#: Words of a block of columns: the first, its layers, the first of them, and whether it is near.
BLOCK_WORDS = 4


@dataclass(frozen=True, eq=False)
class Matrix:
    """A sparse matrix by rows: ``height`` outputs, each a sum of ``weights · inputs``, in order.

    Attributes:
        width: how many inputs there are.
        starts: of each output the number of its first term, and behind the last how many terms there are.
        sources: of each term, which input it takes.
        weights: of each term, float64.
    """

    width: int
    starts: Integers
    sources: Integers
    weights: npt.NDArray[np.float64]

    @property
    def height(self) -> int:
        """How many outputs there are."""
        return len(self.starts) - 1

    @cached_property
    def counts(self) -> Integers:
        """Terms of each output."""
        return np.diff(self.starts)

    @cached_property
    def covers(self) -> bool:
        """Whether every output has a term."""
        return bool(self.counts.all())

    @cached_property
    def moves(self) -> bool:
        """Whether every output is one of the inputs as it is."""
        return bool((self.counts == 1).all()) and bool((self.weights == 1).all())

    @cached_property
    def same(self) -> bool:
        """Whether nothing changes."""
        return (
            self.moves and self.height == self.width and bool((self.sources == np.arange(self.height)).all())
        )

    @cached_property
    def first_sources(self) -> Integers:
        """The first input that any output from this one on takes (sources rise with the outputs)."""
        least = np.full(self.height, self.width, np.int64)
        some = self.counts > 0
        least[some] = np.minimum.reduceat(self.sources, self.starts[:-1][some]) if some.any() else 0
        return np.asarray(np.minimum.accumulate(least[::-1])[::-1])

    @cached_property
    def last_sources(self) -> Integers:
        """Behind the last input that any output up to this one takes."""
        most = np.zeros(self.height, np.int64)
        some = self.counts > 0
        most[some] = np.maximum.reduceat(self.sources, self.starts[:-1][some]) + 1 if some.any() else 0
        return np.asarray(np.maximum.accumulate(most))

    def spread(self, inner: int) -> Matrix:
        """The same for an axis whose every sample is ``inner`` elements."""
        if inner == 1:
            return self
        counts = np.repeat(self.counts, inner)
        starts = np.concatenate([[0], np.cumsum(counts)])
        # Term t of element k of an output is term t of the output, at element k.
        term = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        own = np.repeat(np.repeat(self.starts[:-1], inner), counts) + term
        element = np.repeat(np.tile(np.arange(inner), self.height), counts)
        return Matrix(self.width * inner, starts, self.sources[own] * inner + element, self.weights[own])


@dataclass(frozen=True, eq=False)
class Rows:
    """What combines whole rows: for each output its terms."""

    starts: Integers
    sources: Integers
    weights: Array


@dataclass(frozen=True, eq=False)
class Columns:
    """What combines the elements of a row: blocks of a vector of outputs, each in layers.

    Attributes:
        blocks: see BLOCK_WORDS.
        bases: of each layer, where the two vectors begin that its inputs lie in, if the block is near.
        lanes: of each layer and output, a lane of the two; of a far block the input itself; −1 for no term.
        weights: of each layer and output.
    """

    blocks: Integers
    bases: Integers
    lanes: npt.NDArray[np.int32]
    weights: Array


def rows_of(matrix: Matrix, dtype: np.dtype[Any]) -> Rows:
    """The tables of a matrix for whole rows."""
    return Rows(matrix.starts, matrix.sources, matrix.weights.astype(dtype))


def columns_of(matrix: Matrix, dtype: np.dtype[Any], width: int, picks: bool) -> Columns:
    """The tables of a matrix for elements of a row.

    Args:
        matrix: as it is.
        dtype: of the elements.
        width: lanes of a vector.
        picks: whether there are instructions that pick any lanes out of two vectors.
    """
    blocks: list[tuple[int, int, int, int]] = []
    bases: list[tuple[int, int]] = []
    lanes, weights = [], []
    for first in range(0, matrix.height, width):
        counts = matrix.counts[first : first + width]
        layers = int(counts.max())
        own, far = np.full((layers, width), -1, np.int64), not picks
        weight = np.zeros((layers, width))
        for term in range(layers):
            some = np.flatnonzero(counts > term)
            places = matrix.starts[first + some] + term
            own[term, some], weight[term, some] = matrix.sources[places], matrix.weights[places]
        taken = own >= 0
        least = np.where(taken, own, matrix.width).min(axis=1, initial=matrix.width)
        most = own.max(axis=1, initial=-1)
        # A vector that would reach beyond the row begins earlier.
        room = max(matrix.width - width, 0)
        low = np.minimum(least, room)
        high = np.minimum(low + width, room)
        far = far or bool((most - low >= 2 * width).any())
        if not far:
            from_low = own - low[:, None]
            picked = np.where(from_low < width, from_low, width + own - high[:, None])
            own = np.where(taken, picked, -1)
        blocks.append((first, layers, len(bases), 0 if far else 1))
        bases += list(zip(low.tolist(), high.tolist(), strict=True))
        lanes.append(own)
        weights.append(weight)
    return Columns(
        np.array(blocks, np.int64).reshape(-1, BLOCK_WORDS),
        np.array(bases, np.int64).reshape(-1, 2),
        np.concatenate(lanes).astype(np.int32),
        np.concatenate(weights).astype(dtype),
    )
