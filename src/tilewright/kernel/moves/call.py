"""The calls of the passes that move samples: how their work is cut into units.

Every function takes the ``target`` to compile for; this process's when left out.
"""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.moves import folded, lines, placed
from tilewright.plan.compiled import SCRATCH_BYTES
from tilewright.plan.target import Target

Array = npt.NDArray[Any]
Table = npt.NDArray[np.int64]

_SCALARS = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}
_FLOATS = {"f": "float", "d": "double"}
#: Bytes that a unit writes: what it takes to hand one over hardly shows.
UNIT_BYTES = 1 << 16
# Channels innermost are parted at multiples of so many, a cache line of float32; and samples from which on
# there are enough for all cores.
_CHANNELS = 16
_SAMPLES = 8
# Bytes in scratch behind the last place: the widest vector.
_BEHIND = 64


class Planes(NamedTuple):
    """Where planes lie: ``groups`` of ``many`` each, with strides in elements; those written lie densely."""

    groups: int
    many: int
    group: int
    plane: int

    @property
    def number(self) -> int:
        """How many there are."""
        return self.groups * self.many


class Lines(NamedTuple):
    """What the lines of a plane are put together from: the tables of :mod:`tilewright.kernel.moves.lines`."""

    lines: Table
    runs: Table
    #: Elements of a plane that is written.
    written: int


def blocks(planes: int, line_count: int, written_bytes: int) -> tuple[int, int, int]:
    """Planes of a unit, lines of a unit and blocks of lines; one of the first two is all or one."""
    if written_bytes * 2 > UNIT_BYTES and line_count > 1:
        few = max(line_count * UNIT_BYTES // written_bytes, 1)
        return 1, few, -(-line_count // few)
    return max(UNIT_BYTES // max(written_bytes, 1), 1), line_count, 1


def moved(
    x: Array,
    out: Array,
    planes: Planes,
    work: Lines,
    size: int,
    filler: int = 0,
    *,
    target: Target | None = None,
) -> None:
    """Puts lines of ``out`` together from those of ``x``.

    Args:
        x: its first element is that of the first plane.
        out: without gaps; its planes follow each other.
        planes: where those of x lie.
        work: the tables.
        size: bytes of an element, 1, 2, 4 or 8.
        filler: its bits.
        target: see above.
    """
    scalar = _SCALARS[size]
    kernel = jit.address(lines.name(scalar), lambda target: lines.emit(target, scalar), target)
    line_count = len(work.lines)
    together, few, parts = blocks(planes.number, line_count, work.written * size)
    table = array(
        "q",
        (
            address(x), address(out), address(work.lines), address(work.runs),
            planes.many, planes.group, planes.plane, work.written,
            planes.number, together, line_count, few, parts, filler,
        ),
    )  # fmt: skip
    threads.run(kernel, -(-planes.number // together) * parts, table.buffer_info()[0], 0)


def folded_lines(x: Array, out: Array, planes: int, work: Lines, *, target: Target | None = None) -> None:
    """Adds runs of ``x`` up to the lines of ``out``; see :mod:`tilewright.kernel.moves.folded`.

    Args:
        x: in C order, floats; so many elements to each plane as all others.
        out: in C order, of the dtype of x.
        planes: how many.
        work: the tables.
        target: see above.
    """
    scalar = _FLOATS[x.dtype.char]
    kernel = jit.address(folded.name(scalar), lambda target: folded.emit(target, scalar), target)
    line_count = len(work.lines)
    # It reads more than it writes.
    together, few, parts = blocks(planes, line_count, (work.written + x.size // planes) // 2 * x.itemsize)
    table = array(
        "q",
        (
            address(x), address(out), address(work.lines), address(work.runs),
            x.size // planes, work.written, work.written // max(line_count, 1),
            planes, together, line_count, few, parts,
        ),
    )  # fmt: skip
    threads.run(kernel, -(-planes // together) * parts, table.buffer_info()[0], 0)


def placed_samples(
    kind: str, x: Array, indices: Array, out: Array, deep: bool, *, target: Target | None = None
) -> bool | None:
    """Puts samples into planes or takes them, by :mod:`tilewright.kernel.moves.placed`.

    Args:
        kind: one of :data:`tilewright.kernel.moves.placed.KINDS`.
        x: (planes, samples), or if ``deep`` (samples of a batch, samples, channels), in C order; "add" needs
            floats.
        indices: int64, of the shape of ``x``, or of ``out`` where something is taken; in C order.
        out: as x, with the places of the planes; where something is taken, the other way round.
        deep: whether channels lie innermost.
        target: see above.

    Returns:
        Whether all indices are places of their planes; None if the scratch isn't large enough.
    """
    size = x.itemsize
    scalar = _FLOATS[x.dtype.char] if kind == "add" else _SCALARS[size]
    taking = kind in ("take", "last")
    plane, own = (x, out) if taking else (out, x)
    groups, count, places = len(x), own.shape[1], plane.shape[1]
    channels = x.shape[2] if deep else 1
    # All channels of a sample lie side by side; parts of them are for few samples, or a small scratch.
    few = min(channels, (SCRATCH_BYTES - _BEHIND) // places if kind == "last" else channels)
    if deep and (few < channels or groups < _SAMPLES):
        few = min(max(few // _CHANNELS, 1), max(channels * groups // (_SAMPLES * _CHANNELS), 1)) * _CHANNELS
    few = min(few, channels)
    scratch = places * few + _BEHIND if kind == "last" else 0
    if scratch > SCRATCH_BYTES:
        return None
    kernel = jit.address(
        placed.name(scalar, kind, deep), lambda target: placed.emit(target, scalar, kind, deep), target
    )
    together = 1 if deep else max(UNIT_BYTES // ((places + 3 * count) * size), 1)
    parts = -(-channels // few)
    table = array(
        "q",
        (
            address(x), address(indices), address(out), 0,
            groups, together, channels, few, parts,
            count, places, x[0].size, out[0].size, count * channels,
        ),
    )  # fmt: skip
    threads.run(kernel, -(-groups // together) * parts, table.buffer_info()[0], scratch)
    return not table[placed.FIELDS.place["wrong"]]
