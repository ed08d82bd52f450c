"""Adaptive average and max pooling on arrays, and the average's gradient.

The windows of an adaptive pool are intervals along each axis, so a mean is a sum along one axis after the
other. Turned round, from output to input, they are again the windows of an adaptive pool
(:meth:`~tilewright.geometry.AdaptiveDims.turned`), so the gradient is the same sums with the sizes exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.geometry import AdaptiveDims, PoolDims
from tilewright.geometry.axes import MOST_AXES, ceil_div
from tilewright.geometry.boxes import at
from tilewright.kernel.pools.uneven_call import uneven_max
from tilewright.kernel.sampling.tables import Matrix
from tilewright.op import memory, pool, sampled
from tilewright.op.arrays import FLOATS, is_channels_last
from tilewright.op.pool_arrays import (
    AVERAGED,
    COMPARED,
    check_fits,
    empty_indices,
    indices_like,
    result_like,
    wide,
)
from tilewright.plan import choose
from tilewright.plan.plan import SCRATCH_BYTES, tile_within

# Windows of at most so many samples along an axis are added up sample by sample for all windows at once;
# longer ones window by window, for which NumPy takes about 70 ns each.
_TAPS = 8

Array = npt.NDArray[Any]
Box = tuple[slice, ...]


def adaptive_avg_pool(dims: AdaptiveDims, x: Array, *, op: str = "adaptive_avg_pool") -> Array:
    """The mean of each window.

    Raises:
        ShapeError, DtypeError: the operand does not fit the geometry, or no memory holds the result.
    """
    check_fits(op, dims.input_shape, x, "input", AVERAGED)
    even = _even("avg_pool", dims, x)
    if even is not None:
        return pool.avg_pool(even, x, divisor=even.taps, op=op)
    y = result_like(op, x, dims.output_shape)
    if _sampled(op, dims, x, y):
        y /= _sizes(dims, tuple(slice(0, m) for m in dims.output), y.dtype)
        return y

    def write(n: int, channels: slice, box: Box, total: Array) -> None:
        total /= _sizes(dims, box, total.dtype)
        y[at(n, channels, *box)] = total

    _add_over_intervals(dims, wide(x.dtype), lambda n, channels, box: x[at(n, channels, *box)], write)
    return y


def adaptive_avg_pool_gradient(dims: AdaptiveDims, gy: Array, *, op: str = "adaptive_avg_pool") -> Array:
    """Each output's gradient shared among the samples of its window."""
    check_fits(op, dims.output_shape, gy, "gradient", AVERAGED)
    even = _even("avg_pool_gradient", dims, gy)
    if even is not None:
        return pool.avg_pool_gradient(even, gy, divisor=even.taps, op=op)
    gx = result_like(op, gy, dims.input_shape)
    found = wide(gy.dtype)
    if not gy.size:
        gx[...] = 0
        return gx
    if _sampled(op, dims.turned(), gy, gx, _sizes(dims, tuple(slice(0, m) for m in dims.output), found)):
        return gx

    def read(n: int, channels: slice, box: Box) -> Array:
        return np.asarray(np.divide(gy[at(n, channels, *box)], _sizes(dims, box, found), dtype=found))

    def write(n: int, channels: slice, box: Box, total: Array) -> None:
        gx[at(n, channels, *box)] = total

    _add_over_intervals(dims.turned(), found, read, write)
    return gx


def _sampled(op: str, dims: AdaptiveDims, x: Array, y: Array, sizes: Array | None = None) -> bool:
    """Writes the sums over windows of x, or of x over ``sizes``, to y; False if nothing compiled does.

    What stands between the passes, and the quotients, are some samples' or channels' at a time.
    """
    if not (x.size and y.size) or not sampled.serves(x.dtype):
        return False
    steps = _sums(dims)
    plane = max(math.prod(x.shape[2:]), math.prod(y.shape[2:])) * x.itemsize
    if dims.rank <= 2 and sizes is None:
        return sampled.along(op, x, y, steps)
    planes = SCRATCH_BYTES // 2 // plane
    samples = planes // dims.channels
    parts: list[Any]
    if samples:
        parts = [np.s_[first : first + samples] for first in range(0, dims.batch, samples)]
    elif planes and x.flags.c_contiguous:
        firsts = product(range(dims.batch), range(0, dims.channels, planes))
        parts = [np.s_[n : n + 1, first : first + planes] for n, first in firsts]
    else:
        return False
    for part in parts:
        given = x[part] if sizes is None else np.divide(x[part], sizes)
        if not sampled.along(op, given, y[part], steps):
            return False
    return True


def _sums(dims: AdaptiveDims) -> list[sampled.Step]:
    """Sums over windows, as matrices along the axes: the one that shrinks most goes first."""
    order = sorted(range(dims.rank), key=lambda axis: (dims.output[axis] / dims.spatial[axis], axis))
    return [(2 + axis, _intervals_of(dims.spatial[axis], dims.output[axis])) for axis in order]


@lru_cache(maxsize=256)
def _intervals_of(n: int, m: int) -> Matrix:
    """The windows of an axis as a matrix of ones."""
    starts, ends = _intervals(n, m, slice(0, m))
    places = np.concatenate([[0], np.cumsum(ends - starts)])
    sources = np.arange(places[-1]) - np.repeat(places[:-1] - starts, ends - starts)
    return Matrix(n, places, sources, np.ones(len(sources)))


def _even(operation: str, dims: AdaptiveDims, x: Array) -> PoolDims | None:
    """The windows as those of a pool, where outputs divide the samples evenly and that pool is compiled."""
    return _as_pool(operation, dims, x.dtype.name) if x.size and x.dtype.name in FLOATS else None


@lru_cache(maxsize=4096)
def _as_pool(operation: str, dims: AdaptiveDims, dtype: str) -> PoolDims | None:
    if 0 in dims.output or any(n % m for n, m in zip(dims.spatial, dims.output, strict=True)):
        return None
    kernel = tuple(n // m for n, m in zip(dims.spatial, dims.output, strict=True))
    none, ones = ((0, 0),) * dims.rank, (1,) * dims.rank
    even = PoolDims(dims.batch, dims.channels, dims.spatial, kernel, kernel, ones, none, False)
    return even if choose(operation, even, dtype).target else None


def _intervals(n: int, m: int, outputs: slice) -> tuple[Array, Array]:
    """Where windows ``outputs`` of m over n samples start and end."""
    o = np.arange(outputs.start, outputs.stop, dtype=np.int64)
    # ⌊o·n/m⌋, of which only the remainder's part needs a product: n·m may exceed 64 bits.
    whole, rest = divmod(n, m)
    return o * whole + o * rest // m, (o + 1) * whole - (-(o + 1) * rest // m)


def _sizes(dims: AdaptiveDims, box: Box, dtype: np.dtype[Any]) -> Array:
    """Samples in each window of a box of outputs."""
    sizes = np.ones((1,) * dims.rank, dtype)
    for axis, part in enumerate(box):
        starts, ends = _intervals(dims.spatial[axis], dims.output[axis], part)
        shape = [1] * dims.rank
        shape[axis] = -1
        sizes = sizes * (ends - starts).astype(dtype).reshape(shape)
    return sizes


def _boxes(dims: AdaptiveDims, tile: tuple[int, ...]) -> Iterator[tuple[Box, Box]]:
    """The outputs cut into boxes of at most ``tile``, in row order, each with the samples it covers."""
    for origin in product(*(range(0, m, step) for m, step in zip(dims.output, tile, strict=True))):
        ends = [min(first + step, m) for first, step, m in zip(origin, tile, dims.output, strict=True)]
        yield (
            tuple(slice(first, end) for first, end in zip(origin, ends, strict=True)),
            tuple(
                slice(dims.window(axis, first)[0], dims.window(axis, end - 1)[1])
                for axis, (first, end) in enumerate(zip(origin, ends, strict=True))
            ),
        )


def _add_over_intervals(
    dims: AdaptiveDims,
    dtype: np.dtype[Any],
    read: Callable[[int, slice, Box], Array],
    write: Callable[[int, slice, Box, Array], None],
) -> None:
    """The sum over each window of what ``read`` gives for a box of samples, handed to ``write``."""
    # The axis that shrinks most goes first: what it leaves is added up by the others.
    order = sorted(range(dims.rank), key=lambda axis: (dims.output[axis] / dims.spatial[axis], -axis))
    covered = [ceil_div(n, max(m, 1)) + 1 for n, m in zip(dims.spatial, dims.output, strict=True)]
    # An output's sum along the first axis, for all places along the others; every second of a row of sums is
    # dropped, and `read` and `write` take a room each.
    per_output = 4 * dtype.itemsize * math.prod(covered[axis] for axis in order[1:])
    tile = tile_within(dims.output, per_output)
    planes = max(SCRATCH_BYTES // (math.prod(tile) * per_output), 1)
    with np.errstate(all="ignore"):  # NaN and infinity are results like any other
        for outputs, inputs in _boxes(dims, tile):
            for n in range(dims.batch):
                for first in range(0, dims.channels, planes):
                    some = slice(first, min(first + planes, dims.channels))
                    total = read(n, some, inputs)
                    if total.flags.c_contiguous and all(part.stop - part.start == 1 for part in outputs):
                        # One window of samples that lie in one run, which NumPy adds up in pairs of pairs.
                        axes = tuple(range(1, dims.rank + 1))
                        total = np.asarray(np.add.reduce(total, axis=axes, dtype=dtype, keepdims=True))
                    else:
                        for axis in order:
                            sizes = dims.spatial[axis], dims.output[axis]
                            total = _along(total, axis + 1, *_intervals(*sizes, outputs[axis]), dtype)
                    write(n, some, outputs, total)


def _along(x: Array, axis: int, starts: Array, ends: Array, dtype: np.dtype[Any]) -> Array:
    """Sums of x over the intervals [start, end) of one axis, the first of which starts where x does."""
    starts, ends = starts - starts[0], ends - starts[0]
    lengths = ends - starts
    if starts.size == 1:
        return np.asarray(np.add.reduce(x, axis=axis, dtype=dtype, keepdims=True))
    longest = int(lengths.max())
    if longest <= _TAPS:
        total = x.take(starts, axis).astype(dtype, copy=False)
        shape = [1] * x.ndim
        shape[axis] = -1
        for tap in range(1, longest):
            # Shorter windows have no such sample: another stands there, and is left out.
            more = x.take(np.minimum(starts + tap, ends - 1), axis).astype(dtype, copy=False)
            np.copyto(more, 0, where=(lengths <= tap).reshape(shape))
            total += more
        return total
    if (starts[1:] == ends[:-1]).all():
        return np.asarray(np.add.reduceat(x, starts, axis=axis, dtype=dtype))
    # Neighbours share a sample: sums from each start to its end, and from there to the next start (which is
    # behind: NumPy then gives a single sample), of which every second is kept. The last one ends with x.
    bounds = np.stack([starts, ends], axis=1).reshape(-1)[:-1]
    every = np.add.reduceat(x, bounds, axis=axis, dtype=dtype)
    return np.asarray(every[at(*[slice(None)] * axis, slice(None, None, 2))])


def adaptive_max_pool(
    dims: AdaptiveDims, x: Array, *, indices: bool = True, op: str = "adaptive_max_pool"
) -> tuple[Array, Array | None]:
    """The largest sample of each window, and (with ``indices``) its flat position in the plane.

    NaN wins; among equals the first in row order is taken.

    Raises:
        ShapeError, DtypeError: the operand does not fit the geometry, or no memory holds the result.
    """
    check_fits(op, dims.input_shape, x, "input", COMPARED)
    if 2 * dims.rank + 1 > MOST_AXES:  # an axis of outputs and one of samples for each, beside the planes'
        most = (MOST_AXES - 1) // 2
        raise ShapeError(f"{op} needs at most {most} spatial axes.", describe(input=x))
    even = _even("max_pool", dims, x)
    if even is not None:
        return pool.max_pool(even, x, indices=indices, op=op)
    y = result_like(op, x, dims.output_shape)
    if dims.rank <= 2 and x.size and y.size and sampled.serves(x.dtype) and math.prod(dims.spatial) < 1 << 31:
        found = indices_like(op, y)
        if _uneven_max(dims, x, y, found):
            return y, found if indices else None
    found = empty_indices(op, dims.output_shape)
    longest = tuple(dims.longest(axis) for axis in range(dims.rank))
    # Windows are gathered, in pieces of as many of their samples as fit: the samples and where they lie.
    per_sample = x.dtype.itemsize + np.dtype(np.int64).itemsize
    piece = tile_within(longest, per_sample)
    tile = tile_within(dims.output, math.prod(piece) * per_sample)
    planes = max(SCRATCH_BYTES // (math.prod(tile) * math.prod(piece) * per_sample), 1)
    for outputs, _ in _boxes(dims, tile):
        for first_taps in product(*(range(0, size, step) for size, step in zip(longest, piece, strict=True))):
            coordinates = _coordinates(dims, outputs, first_taps, piece)
            for n in range(dims.batch):
                for first in range(0, dims.channels, planes):
                    box = at(n, slice(first, min(first + planes, dims.channels)), *outputs)
                    best, places = _largest(dims, x[box[:2]], coordinates)
                    if any(first_taps):
                        # Not "best > y", which a NaN never is; and a NaN stays.
                        better = np.logical_not(best <= y[box]) & (y[box] == y[box])
                        best, places = np.where(better, best, y[box]), np.where(better, places, found[box])
                    y[box], found[box] = best, places
    return y, found if indices else None


def _uneven_max(dims: AdaptiveDims, x: Array, y: Array, indices: Array) -> bool:
    """Writes maxima and positions in one compiled pass; False if NumPy had better."""
    deep = is_channels_last(y)
    arrays = []
    for array in (x, y, indices):
        laid = np.moveaxis(array, 1, -1) if deep else array
        if not laid.flags.c_contiguous or not laid.flags.aligned:
            if array is not x:
                return False
            laid = memory.copy_in_c_order(laid)
        planes = (dims.batch,) if deep else (dims.batch * dims.channels,)
        sizes = array.shape[2:] if dims.rank == 2 else (1, *array.shape[2:])
        arrays.append(laid.reshape(*planes, *sizes, *((dims.channels,) if deep else ())))
    given, largest, places = arrays
    uneven_max(given, largest, places, deep)
    return True


def _coordinates(
    dims: AdaptiveDims, outputs: Box, first_taps: tuple[int, ...], piece: tuple[int, ...]
) -> list[Array]:
    """Along each axis, which sample each output of a box has as each tap of a piece: (outputs, taps).

    A window shorter than the longest repeats its last sample, which changes neither its maximum nor, as that
    comes later, the first place where it is found.
    """
    found = []
    for axis, part in enumerate(outputs):
        starts, ends = _intervals(dims.spatial[axis], dims.output[axis], part)
        last = min(first_taps[axis] + piece[axis], dims.longest(axis))
        taps = np.arange(first_taps[axis], last, dtype=np.int64)
        found.append(np.minimum(starts[:, None] + taps, ends[:, None] - 1))
    return found


def _largest(dims: AdaptiveDims, planes: Array, coordinates: list[Array]) -> tuple[Array, Array]:
    """The largest of the samples that each output has in these planes, and its flat position."""
    rank = dims.rank
    grid = []
    for axis, places in enumerate(coordinates):
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = places.shape
        grid.append(places.reshape(shape))
    gathered = planes[at(slice(None), *grid)]
    taps = tuple(places.shape[1] for places in coordinates)
    gathered = gathered.reshape(*gathered.shape[: rank + 1], -1)
    # The first NaN, if there is one, counts as the largest.
    chosen = gathered.argmax(axis=-1)
    best = np.take_along_axis(gathered, chosen[..., None], axis=-1)[..., 0]
    flat = np.zeros(chosen.shape, np.int64)
    for axis, tap in enumerate(np.unravel_index(chosen, taps)):
        shape = [1] * (rank + 1)
        shape[axis + 1] = -1
        o = np.arange(coordinates[axis].shape[0]).reshape(shape)
        flat = flat * dims.spatial[axis] + coordinates[axis][o, tap]
    return best, flat
