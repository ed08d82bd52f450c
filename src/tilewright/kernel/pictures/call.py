"""The calls of kernels over two axes of pictures, and how pictures are cut into units."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.pictures.lines import Kind, Lines, name
from tilewright.kernel.pictures.two_passes import TwoPasses, shared_channels, tile_of
from tilewright.kernel.pictures.window import Window
from tilewright.plan.compiled import SCRATCH_BYTES
from tilewright.plan.target import Target, host

Array = npt.NDArray[Any]
#: Which row of a picture stands at each place from the first tap of the first output on to the last one of
#: the last; which pixel at each place before the first, and at each behind the last. Negative numbers: none.
Sources = tuple[Array, Array, Array]

_SCALARS = {"f": "float", "d": "double"}
_INTEGERS = {"B": "u8", "H": "u16"}
# Sums are written out tap by tap: more of them take long to compile (15 × 15 taps in passes 60 ms, 9 × 9 in
# one go 130 ms, 11 × 11 210 ms).
_MOST_TAPS, _MOST_WINDOW_TAPS = 128, 81
# Rows that are computed together: a line is read once for all of them.
_TOGETHER = 4
# Lines in scratch: half of the cache of its own that a core has (1 MiB and more).
_LINES_BYTES = 1 << 19
# The fewest numbers of a block of columns: what its lines have beyond their ends is a small part of them.
_LEAST_NUMBERS = 1024
# Numbers of a line beside outputs and taps, at most: two tiles, of 8 vectors of 16, and lines of cache.
_MOST_BEYOND = 2 * 8 * 16 + 32
# Rows of a unit for each of those that two units both make; and units enough for many cores.
_ROWS_A_HALO = 8
_MOST_BLOCKS = 32
# Results this large are written past the caches (see planes).
_PAST_BYTES = 8 << 20
_LINE_BYTES = 64


def takes_passes(taps_across: int, taps: int, channels: int) -> bool:
    """Whether products of vectors of so many taps are taken, for pictures of any size and dtype."""
    return taps <= _MOST_TAPS and _takes(taps_across, taps, channels)


def takes_window(taps_across: int, taps: int, channels: int) -> bool:
    """Whether kernels of so many taps are taken, for pictures of any size and dtype."""
    return taps * taps_across <= _MOST_WINDOW_TAPS and _takes(taps_across, taps, channels)


def _takes(taps_across: int, taps: int, channels: int) -> bool:
    # The least block of columns, what its lines have beyond its ends, and what they are rounded up by.
    line = max(_LEAST_NUMBERS, _block_pixels(channels) * channels) + taps * channels + _MOST_BEYOND
    fits = (taps_across + _TOGETHER) * line * np.dtype(float).itemsize <= SCRATCH_BYTES // 2
    return fits and jit.available()


def takes_dtype(dtype: np.dtype[Any], computed: np.dtype[Any]) -> bool:
    """Whether pictures of ``dtype`` are read and written as they are."""
    return dtype == computed or (dtype.char in _INTEGERS and dtype.isnative)


def two_passes(
    x: Array,
    out: Array,
    across: Array,
    along: Array,
    sources: Sources,
    cval: float,
    *,
    target: Target | None = None,
) -> None:
    """Writes pictures after a pass along their lines and one across them into ``out``.

    Args:
        x: (pictures, rows, pixels, channels), the last two axes without gaps; see :func:`takes_dtype`.
        out: as many pictures, none of them empty; its rows are counted by ``sources``; laid out as ``x``.
        across: the weights of the pass across, of the dtype that is computed in, float32 or float64.
        along: those of the pass along lines.
        sources: see :data:`Sources`.
        cval: stands where nothing does.
        target: the processor to compile for; this one when left out.
    """
    target = target or host()
    _, rows, _, channels = out.shape
    scalar = _SCALARS[along.dtype.char]
    shared = shared_channels(target, scalar, channels)
    tile, _ = tile_of(target, scalar, len(along), shared)
    together = min(_TOGETHER, len(across), rows)
    # Beside the lines of sums there is the one that they are sums of.
    beyond = (len(along) - 1) * channels
    kind = Kind(scalar, "", "", len(along), 0, shared, together, False)
    taps = len(across), len(along)
    _call(TwoPasses, kind, x, out, (along, across), taps, sources, cval, (2 * tile, beyond), target)


def window(
    x: Array,
    out: Array,
    weights: Array,
    sources: Sources,
    cval: float,
    *,
    target: Target | None = None,
) -> None:
    """Writes pictures correlated with a kernel into ``out``; arguments as of :func:`two_passes`.

    Args:
        x: the pictures.
        out: the results.
        weights: (rows, columns).
        sources: see :data:`Sources`.
        cval: stands where nothing does.
        target: the processor to compile for; this one when left out.
    """
    target = target or host()
    taps_across, taps = weights.shape
    _, rows, _, channels = out.shape
    together = min(_TOGETHER, rows)
    kind = Kind(_SCALARS[weights.dtype.char], "", "", taps, taps_across, 0, together, False)
    copies = np.broadcast_to(weights, (together, *weights.shape)).copy()
    more = (taps - 1) * channels + 2 * _LINE_BYTES
    _call(Window, kind, x, out, (copies, copies), weights.shape, sources, cval, (more, None), target)


def _call(
    lines: type[Lines],
    kind: Kind,
    x: Array,
    out: Array,
    weights: tuple[Array, Array],
    taps: tuple[int, int],
    sources: Sources,
    cval: float,
    more: tuple[int, int | None],
    target: Target,
) -> None:
    """Runs a kernel; ``more``: numbers of a line beyond its outputs, and of one line beside the others."""
    pictures, rows, pixels, channels = out.shape
    size = weights[0].itemsize
    row_sources, left, right = (np.ascontiguousarray(index, np.int64) for index in sources)
    assert len(row_sources) == rows + taps[0] - 1 and len(left) + len(right) == taps[1] - 1
    count = taps[0] + kind.rows - 1
    row_blocks = max(min(rows // max(_ROWS_A_HALO * (taps[0] - 1), kind.rows), _MOST_BLOCKS), 1)
    beyond = more[0] + (more[1] or 0)
    columns, column_blocks = _columns(pixels, channels, max(_LINES_BYTES // (size * count) - beyond, 0))
    numbers = min(columns, pixels) * channels
    pitch = _apart(numbers + more[0], _LINE_BYTES // size)
    scratch = count * pitch + (0 if more[1] is None else _apart(numbers + beyond, _LINE_BYTES // size))
    past = (
        out.dtype == weights[0].dtype
        and out.nbytes >= _PAST_BYTES
        and target.vector_bytes == _LINE_BYTES
        and all(place % _LINE_BYTES == 0 for place in (address(out), *out.strides[:2]))
    )
    source, to = (_INTEGERS.get(one.dtype.char, "") for one in (x, out))
    kind = kind._replace(source=source, to=to, past=past)
    kernel = jit.address(name(kind), lambda target: lines(target, kind).text(), target)
    table = array(
        "q",
        (
            address(x), address(out), *(address(weight) for weight in weights),
            address(row_sources), address(left), address(right),
            taps[0], len(left), rows, pixels, channels,
            *(stride // one.itemsize for one in (x, out) for stride in one.strides[:2]),
            row_blocks, column_blocks, columns, pitch, count,
            int(np.float64(cval).view(np.int64)),
        ),
    )  # fmt: skip
    units = pictures * row_blocks * column_blocks
    threads.run(kernel, units, table.buffer_info()[0], scratch * size)


def _columns(pixels: int, channels: int, room: int) -> tuple[int, int]:
    """Pixels of a block of columns with about ``room`` numbers in a line, and how many blocks there are."""
    few = _block_pixels(channels)
    most = max(max(room, _LEAST_NUMBERS) // (few * channels), 1) * few
    blocks = -(-pixels // most)
    columns = -(-pixels // (blocks * few)) * few
    return columns, -(-pixels // columns)


def _block_pixels(channels: int) -> int:
    """Blocks are of so many pixels or a multiple: they begin where a vector does, of any dtype."""
    return _LINE_BYTES // math.gcd(_LINE_BYTES, channels)


def _apart(numbers: int, line: int) -> int:
    """So many numbers and more, so that lines don't all begin at the same place of the caches."""
    return (-(-numbers // line) | 1) * line
