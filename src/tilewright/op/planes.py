"""Samples taken from planes, put into them and added to them, by the flat positions that pooling gives.

Planes are the last axes of (batch, channels, *spatial); a position counts their samples in row order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.geometry.boxes import at
from tilewright.kernel import buffers
from tilewright.kernel.moves import call
from tilewright.op.arrays import is_channels_last
from tilewright.op.pool_arrays import COMPARED, SUMMED, check_fits, result_like, wide
from tilewright.plan import compiled
from tilewright.plan.plan import SCRATCH_BYTES

Array = npt.NDArray[Any]


def take_from_planes(x: Array, indices: Array, *, op: str = "take_from_planes") -> Array:
    """The samples of x at ``indices``, plane by plane. The adjoint of :func:`add_to_planes`."""
    y = result_like(op, x, indices.shape)
    if _placed("take", x, indices, y):
        return y
    for some, flat in _groups(indices, x.shape[2:]):
        y[some] = x[some].reshape(-1)[flat].reshape(y[some].shape)
    return y


def add_to_planes(spatial: tuple[int, ...], gy: Array, indices: Array, *, op: str = "add_to_planes") -> Array:
    """Planes of zeros to which each sample of gy is added at its index, in row order."""
    check_fits(op, indices.shape, gy, "gradient", SUMMED)
    gx = result_like(op, gy, (*indices.shape[:2], *spatial))
    found = wide(gy.dtype)
    if found == gy.dtype and _placed("add", gy, indices, gx):
        return gx
    for some, flat in _groups(indices, spatial):
        total = _zeros(gx[some].size, found)
        np.add.at(total, flat, gy[some].reshape(-1).astype(found, copy=False))
        gx[some] = total.reshape(gx[some].shape)
    return gx


def put_into_planes(
    spatial: tuple[int, ...], x: Array, indices: Array, *, op: str = "put_into_planes"
) -> Array:
    """Planes of zeros in which each sample of x stands at its index.

    Where several share an index, the last of them in row order stands there.

    Raises:
        ShapeError: ``indices`` isn't of the shape of ``x``, or no memory holds the result.
        DtypeError: ``x`` isn't of numbers, or ``indices`` not of integers.
        ArgumentError: an index is no position of the plane.
    """
    check_fits(op, x.shape, x, "input", COMPARED)
    check_indices(op, spatial, x.shape, indices, values=False)
    y = result_like(op, x, (*x.shape[:2], *spatial))
    # The pass sees an index that is none, too.
    if _placed("put", x, indices, y):
        return y
    check_indices(op, spatial, x.shape, indices)
    if not indices.size:
        y[...] = 0
    for some, flat in _groups(indices, spatial):
        filled = _zeros(y[some].size, x.dtype)
        # NumPy assigns along a single axis in order.
        filled[flat] = x[some].reshape(-1)
        y[some] = filled.reshape(y[some].shape)
    return y


def take_what_was_put(gy: Array, indices: Array, *, op: str = "put_into_planes") -> Array:
    """The gradient of :func:`put_into_planes`: gy at each index, and 0 for samples that others replaced."""
    gx = result_like(op, gy, indices.shape)
    if _placed("last", gy, indices, gx):
        return gx
    for some, flat in _groups(indices, gy.shape[2:]):
        order = np.arange(flat.size)
        last = buffers.empty((gy[some].size,), np.int64)
        last[flat] = order
        taken = gy[some].reshape(-1)[flat]
        taken[last[flat] != order] = 0
        gx[some] = taken.reshape(gx[some].shape)
    return gx


def check_indices(
    op: str, spatial: tuple[int, ...], shape: tuple[int, ...], indices: Any, *, values: bool = True
) -> None:
    """Refuse indices that aren't integers of ``shape``, each a position of a plane of sizes ``spatial``.

    Without ``values``, only their dtype and shape are looked at.

    Raises:
        ShapeError, DtypeError: another shape or dtype.
        ArgumentError: naming the first index that is no position, and where it stands.
    """
    if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu":
        raise DtypeError(
            f"{op} needs indices to be an array or Tensor of integers.",
            describe(indices=indices)
            if isinstance(indices, np.ndarray)
            else f"indices of type {type(indices).__name__}",
        )
    if indices.shape != shape:
        raise ShapeError(f"{op} needs indices of the input's shape {shape}.", describe(indices=indices))
    count = math.prod(spatial)
    if not values:
        return
    if not indices.size or (int(indices.min()) >= 0 and int(indices.max()) < count):
        return
    wrong = (indices < 0) | (indices >= count)
    place = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), shape))
    raise ArgumentError(
        f"{op} needs every index to be a position in a plane of size {spatial}, from 0 and below {count}.",
        f"index {int(indices[place])} at {place}",
    )


def _placed(kind: str, x: Array, indices: Array, out: Array) -> bool:
    """Moves samples in one compiled pass; False if NumPy had better, also where an index is none."""
    if not compiled.serves("float32") or x.itemsize not in (1, 2, 4, 8):
        return False
    if not (x.size and out.size and indices.size) or (kind == "add" and x.dtype.char not in "fd"):
        return False
    deep = is_channels_last(out)
    # Unsigned numbers too large for int64 become negative: no index either.
    places = indices.astype(np.int64, copy=False)
    given, found, result = (_dense(array, deep) for array in (x, places, out))
    # Of one place or channel, a layout may look like another.
    if not np.may_share_memory(result, out):
        return False
    return bool(call.placed_samples(kind, given, found, result, deep))


def _dense(array: Array, deep: bool) -> Array:
    """(batch, channels, *spatial) as (planes, places), or as (batch, places, channels); without gaps."""
    batch, channels = array.shape[:2]
    if deep:
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)).reshape(batch, -1, channels)
    return np.ascontiguousarray(array).reshape(batch * channels, -1)


def _zeros(count: int, dtype: np.dtype[Any]) -> Array:
    found = buffers.empty((count,), dtype)
    found[...] = 0
    return found


def _groups(indices: Array, spatial: tuple[int, ...]) -> Iterator[tuple[Any, Array]]:
    """Planes in groups, each as (sample, channels) with its indices in row order.

    Indices count through the group's planes, of sizes ``spatial``, laid end to end. Groups are as large as
    scratch allows; a plane is never cut.
    """
    batch, channels, *own = indices.shape
    size, count = math.prod(spatial), math.prod(own)
    if not indices.size:
        return
    # The indices, what is taken by them, and what they point into, at up to 8 bytes each.
    planes = max(SCRATCH_BYTES // (8 * (3 * count + size)), 1)
    for n in range(batch):
        for first in range(0, channels, planes):
            some = at(n, slice(first, min(first + planes, channels)))
            group = indices[some].reshape(-1, count).astype(np.int64, copy=False)
            starts = size * np.arange(group.shape[0], dtype=np.int64)
            yield some, (group + starts[:, None]).reshape(-1)
