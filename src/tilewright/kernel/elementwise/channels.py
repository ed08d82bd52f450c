"""The calls of the passes over channels: how arrays are seen as rows, and how their work is cut into units.

Arrays come as rows: ``(samples, channels, places)`` in C order, or ``(count, channels, 1)`` for channels that
lie innermost. Every function takes the ``target`` to compile for; this process's when left out.
"""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.elementwise import moments, scaled
from tilewright.plan.target import Target

Array = npt.NDArray[Any]

_SCALARS = {"f": "float", "d": "double"}
# Sums over places are cut into so many units, so that no core waits long for the last …
_UNITS = 16
# … but none, of sums or not, has fewer elements than this: 2 to 5 µs of work.
_LEAST = 16384
# Elements of a sample that are read together at least: a page of memory in float32.
_TOGETHER = 1024
# Fewer channels innermost are taken several times for one row, so that it is made of whole vectors. More
# leave at most a fifth of their vectors empty.
_FEW = 64


def channel_moments(
    kind: str,
    x: Array,
    centre: Array,
    g: Array | None = None,
    y: Array | None = None,
    kept: Array | None = None,
    *,
    target: Target | None = None,
) -> Array:
    """Two sums for each channel.

    Args:
        kind: one of :data:`tilewright.kernel.elementwise.moments.KINDS`.
        x: rows (see above), as the other arrays.
        centre: (channels,), float64.
        g: for "pull" and "pull_relu".
        y: for "pull_relu".
        kept: for "pull_relu", where g is written with zeros in it; may be ``g`` itself.
        target: see above.

    Returns:
        (2, channels), in float64: not yet rounded to the dtype of x.
    """
    scalar = _SCALARS[x.dtype.char]
    samples, channels, places = x.shape
    arrays = (*(0 if one is None else address(one) for one in (x, y, g, kept)),)
    if places > 1:
        layout, length, times = "places", channels, 1
        shares = min(_UNITS, max(x.size // _LEAST, 1), samples)
        panels = min(-(-_UNITS // shares), max(x.size // _LEAST // shares, 1))
        few = min(max(-(-channels // panels), -(-_TOGETHER // places)), channels, moments.MOST_CHANNELS)
        panels = -(-channels // few)
        share = -(-samples // shares)
        shares = -(-samples // share)
        units = shares * panels
    else:
        layout, times, few = "rows", _times(scalar, channels), 0
        length = channels * times
        centre = np.tile(centre, times) if times > 1 else centre
        share = -(-_LEAST // length)
        units = shares = -(-x.size // (length * share))
    kernel = jit.address(
        moments.name(scalar, kind, layout), lambda target: moments.emit(target, scalar, kind, layout), target
    )
    out = np.empty((shares, 2, length), np.float64)
    table = array("q", (*arrays, address(centre), address(out), samples, length, places, share, few, x.size))
    threads.run(kernel, units, table.buffer_info()[0], moments.scratch_bytes(scalar))
    found = out[0] if shares == 1 else np.add.reduce(out, axis=0)
    return found if times == 1 else np.asarray(np.add.reduce(found.reshape(2, times, channels), axis=1))


def channels_scaled(
    kind: str,
    x: Array,
    numbers: tuple[Array, ...],
    out: Array,
    other: Array | None = None,
    *,
    target: Target | None = None,
) -> None:
    """Writes what a formula makes of x and the numbers of each channel to ``out``.

    Args:
        kind: one of :data:`tilewright.kernel.elementwise.scaled.KINDS`.
        x: rows (see above), as the other arrays.
        numbers: a, b, c (and d) of the formula: (channels,), of the dtype of x.
        out: may be ``x`` or ``other`` itself.
        other: what is added, or the gradient.
        target: see above.
    """
    scalar = _SCALARS[x.dtype.char]
    _, channels, places = x.shape
    layout, length = "places", places
    if places == 1:
        layout, times = "rows", _times(scalar, channels)
        length = channels * times
        if times > 1:
            numbers = tuple(np.tile(one, times) for one in numbers)
    share = max(_LEAST // length, 1)
    kernel = jit.address(
        scaled.name(scalar, kind, layout), lambda target: scaled.emit(target, scalar, kind, layout), target
    )
    arrays = (address(x), 0 if other is None else address(other), address(out))
    tables = (*map(address, numbers), *(0,) * (4 - len(numbers)))
    table = array("q", (*arrays, *tables, channels, length, share, x.size))
    threads.run(kernel, -(-x.size // (length * share)), table.buffer_info()[0], 0)


def _times(scalar: str, channels: int) -> int:
    """How many times the channels make up a row of whole vectors; once where there are many."""
    width = moments.width(scalar)
    return width // math.gcd(width, channels) if channels < _FEW else 1
