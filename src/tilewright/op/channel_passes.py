"""Compiled passes over channels, where the arrays are of their kind; where not, None, and NumPy serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import buffers
from tilewright.kernel.elementwise import channels
from tilewright.op.memory import empty_like
from tilewright.op.passes import serves

Array = npt.NDArray[Any]


def rows_of(x: Array) -> Array | None:
    """A view of x (samples, channels, ...) as the kernels take it: (samples, channels, places).

    Of channels that lie innermost, (rows, channels, 1). None for small arrays, for dtypes that aren't
    compiled, and for other orders in memory.
    """
    if x.nbytes < buffers.LARGE or not serves(x) or not x.flags.aligned:
        return None
    if x.flags.c_contiguous:
        return x.reshape(x.shape[0], x.shape[1], -1)
    last = np.moveaxis(x, 1, -1)
    return last.reshape(-1, x.shape[1], 1) if last.flags.c_contiguous else None


def _like(x: Array, other: Array) -> Array | None:
    """Rows of another array that are in the order of those of x, copied if they must be."""
    if other.dtype != x.dtype or other.shape != x.shape:
        return None
    # Strides of axes that have one element, or none, mean nothing; then a copy does no harm.
    if other.strides == x.strides and other.flags.aligned:
        return rows_of(other)
    copied = empty_like(x)
    np.copyto(copied, other)
    return rows_of(copied)


def statistics(x: Array) -> tuple[Array, Array] | None:
    """Mean and biased variance of each channel, in float64; the array is read once."""
    rows = rows_of(x)
    if rows is None:
        return None
    count = x.size // x.shape[1]
    # One of the channel's own numbers is near its mean: see tilewright.kernel.elementwise.moments. Infinity
    # is near nothing.
    centre = rows[0, :, 0].astype(np.float64)
    centre[~np.isfinite(centre)] = 0.0
    sums, squares = channels.channel_moments("spread", rows, centre)
    shift = sums / count
    # Rounding may leave it a little below 0; NaN stays.
    variance = np.maximum((squares - sums * shift) / count, 0.0)
    return centre + shift, variance


def gradient_sums(
    x: Array, centre: Array, g: Array, y: Array | None = None
) -> tuple[Array, Array, Array] | None:
    """What g counts as, Σ of that, and Σ of that times x − centre, for each channel in float64.

    Args:
        x: (samples, channels, ...).
        centre: (channels,), float64.
        g: of the same shape.
        y: with it g counts as 0 where y ≤ 0, and the first of the results is a new array; else it is g.
    """
    rows = rows_of(x)
    if rows is None:
        return None
    pull = _like(x, g)
    if pull is None:
        return None
    if y is None:
        sums, moments = channels.channel_moments("pull", rows, centre, pull)
        return g, sums, moments
    seen = _like(x, y)
    if seen is None:
        return None
    kept = empty_like(x)
    sums, moments = channels.channel_moments("pull_relu", rows, centre, pull, seen, rows_of(kept))
    return kept, sums, moments


def scaled(
    kind: str, x: Array, numbers: tuple[Array, ...], other: Array | None = None, out: Array | None = None
) -> Array | None:
    """A formula of :mod:`tilewright.kernel.elementwise.scaled`, in the memory order of x.

    Args:
        kind: its name.
        x: (samples, channels, ...).
        numbers: of the formula, each (channels,), of the dtype of x.
        other: of the shape of x.
        out: where to write, laid out as x is; a new array when left out. May be ``other``.
    """
    rows = rows_of(x)
    if rows is None:
        return None
    more = None
    if other is not None:
        more = _like(x, other)
        if more is None:
            return None
    found = empty_like(x) if out is None else out
    written = rows_of(found)
    assert written is not None, "it is laid out as x is"
    channels.channels_scaled(kind, rows, numbers, written, more)
    return found
