"""Arrays of blocks that reach into each other: which pieces of which chunks each block needs, as a graph.

A block of the result is computed from a box of the input: along every axis some ranges of samples, one after
the other, which may lie in any chunks. A piece of a chunk is cut out by a task of its own, where the chunk
is, so that only halos travel between workers; where a block needs a whole chunk, it is handed on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from dask.array import core
from dask.array.core import Array as DaskArray
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from tilewright.errors import ArgumentError, DtypeError, describe

Array = npt.NDArray[Any]

# Dask's functions have few types.
_untyped: Any = core
_graphs: Any = HighLevelGraph


class Part(NamedTuple):
    """A block along one axis.

    Attributes:
        outputs: how many it has.
        ranges: of the input, what it is made of.
        details: what computing it asks for, and only that: it travels with every task.
    """

    outputs: int
    ranges: tuple[tuple[int, int], ...]
    details: Any = None


@dataclass(frozen=True)
class _Details:
    """Those of a block's parts, where Dask, which looks for keys in tuples and lists, doesn't look."""

    parts: tuple[Any, ...]


#: Computes a block: pieces of the input in nested lists, the details of its parts, further arrays. A function
#: of a module, or a partial of one, since it may travel to another process.
Compute = Callable[..., Array]


def check_dask_array(value: Any, name: str, op: str) -> DaskArray:
    """``value``, a Dask array whose chunks have known sizes.

    Raises:
        DtypeError: it is something else.
        ArgumentError: a chunk's size isn't known before it is computed.
    """
    if not isinstance(value, DaskArray):
        raise DtypeError(
            f"{op} needs {name} to be a Dask array.",
            f"{name} of type {type(value).__name__}",
            f"Make one first: dask.array.from_array({name}).",
        )
    if any(np.isnan(size) for sizes in value.chunks for size in sizes):
        raise ArgumentError(
            f"{op} needs {name} to have chunks of known sizes.",
            describe(chunks=value.chunks),
            f"Compute them first: {name}.compute_chunk_sizes().",
        )
    if type(value._meta) is not np.ndarray:
        raise DtypeError(
            f"{op} needs {name} to have chunks that are plain NumPy arrays.",
            f"{name} with chunks of type {type(value._meta).__name__}",
            f"Convert them first: {name}.map_blocks(numpy.asarray).",
        )
    return value


def blockwise(
    x: DaskArray, parts: Sequence[Sequence[Part]], compute: Compute, dtype: Any, op: str, **shared: Any
) -> DaskArray:
    """The array of all blocks.

    Args:
        x: the input.
        parts: of every axis, its blocks in order.
        compute: ``compute(pieces, details, **shared)`` gives a block; see :data:`Compute`.
        dtype: of the result.
        op: what its name begins with.
        shared: arrays that every block needs, each once in the graph: NumPy's, or Dask's of a single chunk.
    """
    name = f"tilewright-{op}-{tokenize(x.name, parts, compute, dtype, shared)}"
    cut = f"tilewright-halo-{tokenize(x.name, parts)}"
    graph: dict[Any, Any] = {}
    needed: list[Any] = [x]
    keys: dict[str, Any] = {}
    for word, value in shared.items():
        if isinstance(value, DaskArray):
            needed.append(value)
            keys[word] = (value.name, *(0,) * value.ndim)
        elif value is not None:
            keys[word] = f"{name}-{word}"
            graph[keys[word]] = value
    pieces = [
        [_pieces_of(part.ranges, sizes) for part in some] for some, sizes in zip(parts, x.chunks, strict=True)
    ]
    numbers: list[dict[tuple[int, int], int]] = [{} for _ in parts]

    def key_of(place: tuple[tuple[int, int, int], ...]) -> Any:
        """The task that gives a piece: a chunk, and the range of it along every axis."""
        chunk = tuple(number for number, _, _ in place)
        if all(
            (low, high) == (0, sizes[number])
            for (number, low, high), sizes in zip(place, x.chunks, strict=True)
        ):
            return (x.name, *chunk)
        ends = tuple(
            seen.setdefault((low, high), len(seen))
            for (_, low, high), seen in zip(place, numbers, strict=True)
        )
        key = (cut, *chunk, *ends)
        if key not in graph:
            graph[key] = (_cut, (x.name, *chunk), tuple(slice(low, high) for _, low, high in place))
        return key

    for place in product(*(range(len(some)) for some in parts)):
        boxes = [pieces[axis][number] for axis, number in enumerate(place)]
        words = [[word, key] for word, key in keys.items()]
        details = _Details(tuple(some[number].details for some, number in zip(parts, place, strict=True)))
        graph[(name, *place)] = (_computed, compute, _nested(boxes, (), key_of), details, words)
    layer = _graphs.from_collections(name, graph, dependencies=needed)
    chunks = tuple(tuple(part.outputs for part in some) for some in parts)
    found: DaskArray = _untyped.Array(layer, name, chunks, meta=np.empty((0,) * x.ndim, dtype))
    return found


def rechunked(x: DaskArray, chunks: Any) -> DaskArray:
    """``x.rechunk(chunks)``."""
    found: DaskArray = _untyped.Array.rechunk(x, chunks)
    return found


def joined(pieces: Any, rank: int) -> Array:
    """Nested lists of pieces as one array; a single piece is given as it is."""
    single = pieces
    for _ in range(rank):
        if len(single) != 1:
            return np.asarray(_untyped.concatenate3(pieces))
        single = single[0]
    return np.asarray(single)


def _computed(compute: Compute, pieces: Any, details: _Details, words: Any) -> Array:
    return compute(pieces, details.parts, **dict(words))


def _cut(chunk: Array, where: tuple[slice, ...]) -> Array:
    # A copy: a view would keep the whole chunk in memory, and send it along.
    return np.array(chunk[where], order="C")


def _pieces_of(ranges: Sequence[tuple[int, int]], sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Ranges of an axis as (chunk, first, end) with places counted within the chunk; at least one."""
    starts = [0, *accumulate(sizes)]
    found = []
    for low, high in ranges:
        while low < high:
            chunk = bisect_right(starts, low) - 1
            end = min(high, starts[chunk + 1])
            found.append((chunk, low - starts[chunk], end - starts[chunk]))
            low = end
    return found or [(0, 0, 0)]


def _nested(boxes: Sequence[list[Any]], chosen: tuple[Any, ...], key_of: Callable[[Any], Any]) -> Any:
    """Tasks of all pieces of a box, in lists of lists, one level for each axis."""
    if not boxes:
        return key_of(chosen)
    return [_nested(boxes[1:], (*chosen, piece), key_of) for piece in boxes[0]]
