"""Where a tap meets the input: the slices of output and input that belong together, without a padded copy.

Along one axis, tap t of output o reads position o·stride + t·dilation − before of the (dilated) input. Only
some outputs land on a sample; those, and the samples they land on, are two arithmetic progressions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from tilewright.geometry import ConvDims, PoolDims


@dataclass(frozen=True)
class Meeting:
    """One tap over one tile: which outputs of the tile meet which input samples.

    Attributes:
        number: the tap's flat index in the kernel.
        tap: its index per axis.
        outputs: slices into the tile, one per spatial axis.
        inputs: slices into the input's spatial axes.
        whole: whether every output of the tile meets a sample.
    """

    number: int
    tap: tuple[int, ...]
    outputs: tuple[slice, ...]
    inputs: tuple[slice, ...]
    whole: bool


@dataclass(frozen=True)
class Tile:
    """A box of output positions and the taps that meet input there (those wholly in the padding left out)."""

    outputs: tuple[slice, ...]
    shape: tuple[int, ...]
    meetings: tuple[Meeting, ...]


def axis_meeting(
    first: int, end: int, offset: int, stride: int, spread: int, size: int
) -> tuple[slice, slice] | None:
    """Outputs o in [first, end) with o·stride + offset a multiple of ``spread`` and inside the samples.

    Returns the slice of outputs, counted from ``first``, and the slice of samples they meet; None if none do.
    """
    common = math.gcd(stride, spread)
    if offset % common:
        return None
    period = spread // common
    low = max(first, -(offset // stride))
    # The least o ≥ low with o·(stride/common) ≡ −offset/common (mod period).
    residue = (-(offset // common) * pow(stride // common, -1, period)) % period
    start = low + (residue - low) % period
    last = min(end - 1, ((size - 1) * spread - offset) // stride)
    if size == 0 or start > last:
        return None
    count = (last - start) // period
    sample = (start * stride + offset) // spread
    step = stride // common
    return (
        slice(start - first, start - first + count * period + 1, period),
        slice(sample, sample + count * step + 1, step),
    )


# A tile's meetings are small; this many cover a training step of a large network.
@lru_cache(maxsize=4096)
def _tile(dims: ConvDims | PoolDims, origin: tuple[int, ...], shape: tuple[int, ...]) -> Tile:
    spreads = dims.input_dilation if isinstance(dims, ConvDims) else (1,) * dims.rank
    per_axis = []
    for axis, (first, length) in enumerate(zip(origin, shape, strict=True)):
        before = dims.padding[axis][0]
        per_axis.append(
            [
                axis_meeting(
                    first,
                    first + length,
                    t * dims.dilation[axis] - before,
                    dims.stride[axis],
                    spreads[axis],
                    dims.spatial[axis],
                )
                for t in range(dims.kernel[axis])
            ]
        )
    meetings = []
    for number, tap in enumerate(product(*(range(k) for k in dims.kernel))):
        found = [per_axis[axis][t] for axis, t in enumerate(tap)]
        pairs = [pair for pair in found if pair is not None]
        if len(pairs) != len(found):
            continue
        outputs = tuple(pair[0] for pair in pairs)
        whole = all(o == slice(0, n, 1) for o, n in zip(outputs, shape, strict=True))
        meetings.append(Meeting(number, tap, outputs, tuple(pair[1] for pair in pairs), whole))
    box = tuple(slice(first, first + length) for first, length in zip(origin, shape, strict=True))
    return Tile(box, shape, tuple(meetings))


def tiles(dims: ConvDims | PoolDims, size: tuple[int, ...]) -> Iterator[Tile]:
    """The output of a geometry cut into tiles of at most ``size``, in row order.

    Positions do not depend on the batch, so equal samples of any batch go through equal tiles.
    """
    one = dims.with_batch(1)
    for origin in product(*(range(0, n, step) for n, step in zip(dims.output, size, strict=True))):
        shape = tuple(min(step, n - first) for first, step, n in zip(origin, size, dims.output, strict=True))
        yield _tile(one, origin, shape)
