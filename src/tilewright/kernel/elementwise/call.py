"""The calls: a table of words for each kernel, and how its work is cut into units.

Every function takes the ``target`` to compile for; this process's when left out.
"""

from __future__ import annotations

import struct
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.elementwise import curves, rounding, slopes, sums
from tilewright.kernel.elementwise import present as kept
from tilewright.kernel.elementwise.groups import scratch_bytes, units
from tilewright.kernel.stored import stored_of
from tilewright.plan.target import Target

Array = npt.NDArray[Any]
#: How bits are drawn: of 65,536 so many are 1; the key and the stream of Philox, 64 bits each.
Draw = tuple[int, int, int]

_SCALARS = {"f": "float", "d": "double"}
_NUMBERS = {slope: number for number, slope in enumerate(slopes.SLOPES)}
# Channel sums are cut into so many units, so that no core waits long for the last …
_UNITS = 16
# … but none has fewer elements than this: about 5 µs of work.
_LEAST = 16384


def sloped(
    g: Array,
    y: Array,
    out: Array,
    slope: str,
    leak: float = 0.0,
    bits: Array | None = None,
    scale: float = 1.0,
    *,
    target: Target | None = None,
) -> None:
    """Writes g times the slope of an activation, told from its result y, to ``out``.

    With ``bits``, g · scale stands for g where a bit is set, and g · 0 elsewhere.

    Args:
        g: without gaps in memory.
        y: the same dtype, shape and order in memory.
        out: the same; may be ``g`` itself.
        slope: one of :data:`tilewright.kernel.elementwise.slopes.SLOPES`.
        leak: leaky ReLU's slope below 0.
        bits: uint64, one bit for each element from the lowest on; the others are in C order then.
        scale: a number of the dtype of g; 1 without bits.
        target: see above.
    """
    kept = 0 if bits is None else address(bits)
    words = (address(g), address(y), address(out), kept, g.size, _NUMBERS[slope], 0, 0, 0, 0)
    _slopes(_SCALARS[g.dtype.char], words, scale, leak, target)


def dropped(
    g: Array, out: Array, bits: Array, scale: float, draw: Draw | None = None, *, target: Target | None = None
) -> None:
    """Writes g · scale to ``out`` where a bit is set and g · 0 elsewhere.

    Args:
        g: in C order.
        out: the same dtype and shape, in C order; may be ``g`` itself.
        bits: uint64, one bit for each element from the lowest on.
        scale: a number of the dtype of g.
        draw: how the bits are to be drawn before.
        target: see above.
    """
    words = (address(g), 0, address(out), address(bits), g.size, 0, *_words_of(draw))
    _slopes(_SCALARS[g.dtype.char], words, scale, 0.0, target)


def drawn(bits: Array, count: int, draw: Draw, *, target: Target | None = None) -> None:
    """Draws ``count`` bits, and a few more that fill up the last number of ``bits`` (uint64)."""
    _slopes("float", (0, 0, 0, address(bits), count, 0, *_words_of(draw)), 1.0, 0.0, target)


def curved(
    x: Array,
    out: Array,
    curve: str,
    g: Array | None = None,
    leak: float = 0.0,
    *,
    target: Target | None = None,
) -> None:
    """Writes an activation of x to ``out``; with ``g``, that times the activation's slope at x.

    Args:
        x: without gaps in memory.
        out: the same dtype, shape and order in memory; may be ``x`` itself, or ``g``.
        curve: one of :data:`tilewright.kernel.elementwise.curves.NAMES`; with ``g``, one of its ``SLOPES``.
        g: as ``out``.
        leak: leaky ReLU's slope below 0.
        target: see above.
    """
    scalar = _SCALARS[x.dtype.char]
    kernel = jit.address(
        curves.name(scalar, curve), lambda target: curves.emit(target, scalar, curve), target
    )
    gradient = 0 if g is None else address(g)
    table = array("q", (address(x), gradient, address(out), x.size, *_integers(leak)))
    threads.run(kernel, units(x.size), table.buffer_info()[0], scratch_bytes(scalar, 3))


def present(g: Array, x: Array, out: Array, *, target: Target | None = None) -> None:
    """Writes g to ``out``, and 0 where x is NaN; all without gaps, of one dtype, shape and order in memory.

    ``out`` may be ``g`` itself.
    """
    scalar = _SCALARS[g.dtype.char]
    kernel = jit.address(kept.name(scalar), lambda target: kept.emit(target, scalar), target)
    table = array("q", (address(g), address(x), address(out), g.size))
    threads.run(kernel, units(g.size), table.buffer_info()[0], scratch_bytes(scalar, 3))


def rounded(x: Array, out: Array, *, target: Target | None = None) -> None:
    """Writes float32 as halves, or halves as float32.

    Args:
        x: float32, float16 or bfloat16, without gaps in memory.
        out: one of these too, of the same shape and order in memory.
        target: see above.
    """
    stored, to = stored_of(x.dtype), stored_of(out.dtype)
    kernel = jit.address(rounding.name(stored, to), lambda target: rounding.emit(target, stored, to), target)
    table = array("q", (address(x), address(out), x.size))
    threads.run(kernel, -(-x.size // rounding.UNIT), table.buffer_info()[0], 0)


def channel_sums(x: Array, *, target: Target | None = None) -> Array:
    """The sums of x, an array (samples, channels, places) in C order, over all but the channels.

    Returns:
        (channels,), in float64: not yet rounded to the dtype of x.
    """
    samples, channels, places = x.shape
    scalar = _SCALARS[x.dtype.char]
    if places > 1:
        layout = "places"
        shares = min(-(-_UNITS // channels), max(samples * places // _LEAST, 1), samples)
        share = -(-samples // shares)
    else:
        layout = "samples"
        few = sums.SAMPLES[scalar]
        share = -(-_LEAST // (channels * few)) * few
    shares = -(-samples // share)
    kernel = jit.address(sums.name(scalar, layout), lambda target: sums.emit(target, scalar, layout), target)
    out = np.empty((shares, channels), np.float64)
    table = array("q", (address(x), address(out), samples, channels, places, share))
    threads.run(kernel, shares * channels if places > 1 else shares, table.buffer_info()[0], 0)
    return out[0] if shares == 1 else np.asarray(np.add.reduce(out, axis=0))


def _slopes(scalar: str, words: tuple[int, ...], scale: float, leak: float, target: Target | None) -> None:
    kernel = jit.address(slopes.name(scalar), lambda target: slopes.emit(target, scalar), target)
    table = array("q", (*words, *_integers(scale, leak)))
    count = words[4]
    threads.run(kernel, units(count), table.buffer_info()[0], scratch_bytes(scalar, 3))


def _words_of(draw: Draw | None) -> tuple[int, int, int, int]:
    """Whether to draw, and the words that say how."""
    if draw is None:
        return 0, 0, 0, 0
    few, key, stream = draw
    # Tables hold signed integers.
    key, stream = (word - (1 << 64) if word >> 63 else word for word in (key, stream))
    return 1, key, stream, few


def _integers(*numbers: float) -> tuple[int, ...]:
    """The bits of doubles, as which they stand in a table."""
    return struct.unpack(f"={len(numbers)}q", struct.pack(f"={len(numbers)}d", *numbers))
