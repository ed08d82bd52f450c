"""Cross-correlation of pictures by the compiled convolution: where samples lie, block by block.

Definition, of a filter that is a sum of terms, over positions p of an image and taps t of a kernel:

    y[p] = Σ_terms Σ_t kernel[t] · x[p + t − before]          (x continued by the border)

Schedule. Channels that are innermost are no axis of their own: the last axis and they are one line, and the
kernel's taps lie a pixel, ``channels`` numbers, apart (a dilation). So a picture is read in place with full
vectors, whatever it has for channels.

* A kernel over the last two axes, and a product of a vector along either: one kernel, which continues line
  by line as the border says, reads integers as they are, and rounds to integers.
* One of more axes, or of very many taps, that is no product: the image is filtered where it lies, with zeros
  beyond its edges, and then the outputs along the edges are computed anew from small padded copies.
* Any other product of vectors runs axis by axis over blocks of rows, the last axis first, so that what one
  pass writes the next one finds in cache. Rows that two blocks need are kept from one to the next.
* Images of another dtype than the one that is computed in are brought over block by block.

The same taps are added in the same order wherever a position lies, so blocks and edges leave no trace in
the bits of a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.in_place import LEAST_ROWS, dense_in_place, is_line, pays_in_place
from tilewright.image.plane_terms import PlaneRows, is_over_planes
from tilewright.image.row_blocks import TermRows
from tilewright.image.terms import Outside, Term
from tilewright.kernel import buffers

__all__ = ["Outside", "Term", "correlate", "store"]

Array = npt.NDArray[Any]

# A block of rows that is brought over from another dtype: half of a current core's second-level cache (1 MiB
# and more), so that what is read and written beside it stays, too.
BLOCK_BYTES = 1 << 19
# What a block of rows takes between two passes: a part of the cache that cores share. (15 × 15 taps on
# 1920 × 1080 pixels of three float32 took 10.4, 9.3, 8.7, 8.3 and 9.6 ms with 0.5, 1.2, 4, 6 and 12 MiB.)
PASS_BYTES = 5 << 20
# Rows of a block per row of the neighbourhood that is brought over with it.
_ROWS_A_HALO = 4


def correlate(
    x: Array,
    terms: Sequence[Term],
    out: Array,
    dtype: np.dtype[Any],
    outside: Outside,
    put: Callable[[Array, Array], None] | None = None,
) -> None:
    """Writes the sum of the terms into ``out``.

    Args:
        x: (batch, *spatial, channels), two or more spatial axes, all of one sample or more.
        terms: one or more; they are added in order.
        out: as ``x``; of ``dtype``, or of another that it is rounded to.
        dtype: float32 or float64, to compute in.
        outside: the border.
        put: instead of :func:`store`, what brings numbers of ``dtype`` to those of the result.
    """
    x, terms, out = _folded(x, terms, out)
    rows = x.shape[1]
    alone = len(terms) == 1 and put is None
    planes = [is_over_planes(term, x.shape[-1]) for term in terms]
    if alone and not planes[0] and x.dtype == dtype == out.dtype and is_line(x):
        dense = terms[0].dense()
        if dense is not None and pays_in_place(x, terms[0]):
            dense_in_place(x, terms[0], dense.astype(dtype), out, outside)
            return
    kinds = [PlaneRows if over else TermRows for over in planes]
    sums = [kind(x, term, dtype, outside) for kind, term in zip(kinds, terms, strict=True)]
    one = sums[0]
    direct = alone and (one.writes(out) if isinstance(one, PlaneRows) else out.dtype == dtype)
    if direct and isinstance(one, PlaneRows) and one.reads():
        one.write(0, rows, out)
        return
    halo = max(term.sizes[0] for term in terms) - 1
    room = PASS_BYTES if x.dtype == dtype else BLOCK_BYTES
    for first, last in _blocks(rows, max(room // _row_bytes(x, dtype), 1), halo):
        if direct:
            one.write(first, last, out[:, first:last])
            continue
        total = buffers.empty((x.shape[0], last - first, *x.shape[2:]), dtype)
        one.write(first, last, total)
        for other in sums[1:]:
            more = buffers.empty(total.shape, dtype)
            other.write(first, last, more)
            with np.errstate(all="ignore"):
                total += more
        (put or store)(total, out[:, first:last])


def store(values: Array, out: Array) -> None:
    """Writes numbers that were computed as floats, and which may be changed, into an array of any dtype.

    Integers get them rounded to the nearest, half to even, and clipped to their range, NaN as 0; bools
    whether they are above a half.
    """
    kind = out.dtype.kind
    if kind == "f":
        with np.errstate(all="ignore"):
            np.copyto(out, values, casting="same_kind")
        return
    if kind == "b":
        np.greater(values, 0.5, out=out)
        return
    limits = np.iinfo(out.dtype)
    np.rint(values, out=values)
    # Where the largest integer is no number of the dtype (2⁶³ − 1 is not), the next lower one is meant.
    low, high = _float_within(int(limits.min), values.dtype), _float_within(int(limits.max), values.dtype)
    over = high < int(limits.max) and bool((values > high).any())
    above = values > high if over else None
    np.clip(values, low, high, out=values)
    if np.isnan(values).any():
        np.nan_to_num(values, copy=False, nan=0.0)
    np.copyto(out, values, casting="unsafe")
    if above is not None:
        out[above] = limits.max


@lru_cache(maxsize=64)
def _float_within(limit: int, dtype: np.dtype[Any]) -> Any:
    """The number of a float dtype next to an integer, towards zero."""
    found = dtype.type(limit)
    return np.nextafter(found, dtype.type(0)) if abs(int(found)) > abs(limit) else found


def _folded(x: Array, terms: Sequence[Term], out: Array) -> tuple[Array, Sequence[Term], Array]:
    """Leading axes that no term reaches along are part of the batch."""
    while (
        x.ndim > 4
        and all(term.sizes[0] == 1 and all(axis for axis, _ in term.vectors) for term in terms)
        and (x.shape[0] == 1 or x.strides[0] == x.shape[1] * x.strides[1])
        and (out.shape[0] == 1 or out.strides[0] == out.shape[1] * out.strides[1])
    ):
        x = x.reshape(-1, *x.shape[2:])
        out = out.reshape(-1, *out.shape[2:])
        terms = [
            Term(
                None if term.kernel is None else term.kernel[0],
                tuple((axis - 1, vector) for axis, vector in term.vectors),
                term.befores[1:],
                term.sizes[1:],
            )
            for term in terms
        ]
    return x, terms, out


def _row_bytes(x: Array, dtype: np.dtype[Any]) -> int:
    """What a row of the whole batch takes."""
    size: int = x.shape[0] * math.prod(x.shape[2:]) * dtype.itemsize
    return max(size, 1)


def _blocks(rows: int, size: int, halo: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows: blocks of even sizes, none of a single row."""
    size = max(size, _ROWS_A_HALO * halo, LEAST_ROWS)
    count = max(rows // size, 1)
    for number in range(count):
        yield rows * number // count, rows * (number + 1) // count
