"""How a convolution is divided into blocks: what every block computes, and what it reads, axis by axis.

A block's outputs are those whose windows have their centre in one chunk of the input, so that with padding
``same`` and stride 1 chunks stay as they are. So that a block's bits are those of the whole array, it is
computed in the same way, and where a way of computing works on several outputs together, the block computes
as many more and drops them:

- Winograd's algorithm computes pieces of a few outputs, whose rounding depends on where a piece begins: a
  block begins where a piece of the whole array does, and reads to the end of its last one;
- sums of a single line, or of a single output, may be added up in another order than those of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.bridge.dask.blocks import Part
from tilewright.geometry import ConvDims
from tilewright.op.carried import stand_in
from tilewright.op.kinds import HALVES
from tilewright.op.pad import source_index
from tilewright.plan import choose
from tilewright.plan.winograd import schemes_for

WINOGRAD, TRANSFORMS = "tiles-winograd", "fft"
# Planes of one channel each whose lines are at most so long may be computed with vectors along the channels,
# in another order: where the array's own lines are so short, they aren't divided, and where only a block's
# are, it is laid out so that they aren't.
SHORT = 32


class Block(NamedTuple):
    """A block along one axis.

    Attributes:
        outputs: how many outputs it has.
        ranges: of the input, what is read.
        take: where of what is read each sample stands that the windows see; None: all, as they lie.
        padding: zeros before and after these; negative: samples that no window sees.
        kept: of the outputs that are computed, the block's.
    """

    outputs: int
    ranges: tuple[tuple[int, int], ...]
    take: npt.NDArray[np.int64] | None
    padding: tuple[int, int]
    kept: slice


@dataclass(frozen=True)
class Manner:
    """How every block is computed.

    Attributes:
        family: by name.
        together: outputs of an axis that are computed together, counted from the first of the whole array.
        least: outputs of an axis that a block computes, at least.
        whole: whether the spatial axes aren't divided.
        gaps: whether blocks lie in memory with gaps between their lines.
    """

    family: str
    together: tuple[int, ...]
    least: tuple[int, ...]
    whole: bool
    gaps: bool


def manner_of(dims: ConvDims, dtype: np.dtype[Any], *, filled: bool = False) -> Manner:
    """How blocks of this convolution are computed: as the whole array is.

    ``dims`` has no padding that isn't zeros. What is computed in another dtype, which is done piece by piece,
    does without Winograd's algorithm; and everything without transforms, which have blocks of their own.
    """
    rank = dims.rank
    computed, name = stand_in(dims, dtype.name, "forward")
    carried = name != dtype.name or dtype.name in HALVES
    plan = choose("forward", computed, name)
    if plan.family == TRANSFORMS or (plan.family == WINOGRAD and carried):
        plan = choose("forward", computed, name, exact=True)
    together = (1,) * rank
    if plan.family == WINOGRAD:
        pair = schemes_for(dims.kernel)
        assert pair is not None
        together = ((1,) * rank + tuple(scheme.outputs for scheme in pair))[-rank:]
    least = tuple(
        2 if axis >= rank - 2 or all(n == 1 for n in dims.output[-2:]) else 1 for axis in range(rank)
    )
    alone = dims.groups == dims.in_channels == dims.out_channels > 1
    # Planes whose padding is filled in as they are packed aren't turned, however short they are.
    short = max(dims.spatial[-1], dims.output[-1]) <= SHORT and not filled
    return Manner(plan.family, together, least, alone and short, alone and not short)


def blocks_of(
    dims: ConvDims, axis: int, chunks: Sequence[int], padding: tuple[int, int], mode: str, manner: Manner
) -> list[Block]:
    """The blocks of a spatial axis, at least one.

    Args:
        dims: the whole convolution; of another mode than "zeros", with its padding in place already.
        axis: the spatial axis.
        chunks: those of the input.
        padding: of the axis.
        mode: what stands in it.
        manner: see there.
    """
    size, outputs, step, reach = sum(chunks), dims.output[axis], dims.stride[axis], dims.reach[axis]
    centre = reach // 2 - padding[0]
    ends = [min(max(-(-(end - centre) // step), 0), outputs) for end in accumulate(chunks)]
    ends[-1] = outputs
    edges = [0, outputs] if manner.whole else sorted({0, *ends})
    index = None if mode == "zeros" else source_index(size, *padding, mode) if size else np.zeros(0, np.int64)
    group, least = manner.together[axis], min(manner.least[axis], outputs)
    found = []
    for start, stop in pairwise(edges):
        first, last = start // group * group, min(-(-stop // group) * group, outputs)
        last = max(last, min(first + least, outputs))
        first = min(first, last - least) // group * group
        # To the end of the last piece, also where the array's outputs end within it.
        behind = (first + -(-(last - first) // group) * group - 1) * step + reach + 1
        low, high = first * step, (last - 1) * step + reach + 1
        kept = slice(start - first, stop - first)
        if index is None:
            ranges, zeros = _seen(size, low - padding[0], high - padding[0], behind - padding[0])
            found.append(Block(stop - start, ranges, None, zeros, kept))
        else:
            seen = index[low : min(behind, index.size)]
            ranges, take = _taken(seen)
            found.append(Block(stop - start, ranges, take, (0, high - low - seen.size), kept))
    return found or [Block(0, (), None, (0, 0), slice(0, 0))]


def dims_of(dims: ConvDims, batch: int, blocks: Sequence[Block]) -> ConvDims:
    """The geometry of a block."""
    spatial = tuple(
        sum(high - low for low, high in block.ranges) if block.take is None else block.take.size
        for block in blocks
    )
    return replace(dims, batch=batch, spatial=spatial, padding=tuple(block.padding for block in blocks))


def parts_of(blocks: Sequence[Block]) -> list[Part]:
    """What the graph needs to know of blocks."""
    return [Part(block.outputs, block.ranges, block) for block in blocks]


def _seen(size: int, low: int, high: int, behind: int) -> tuple[tuple[tuple[int, int], ...], tuple[int, int]]:
    """Of windows from ``low`` to ``high``: the samples to read, one at least, and the zeros around them."""
    if not size:
        return (), (high - low, 0)
    first = min(max(low, 0), size - 1)
    end = max(min(behind, size), first + 1)
    return ((first, end),), (first - low, high - end)


def _taken(index: npt.NDArray[np.int64]) -> tuple[tuple[tuple[int, int], ...], npt.NDArray[np.int64] | None]:
    """Samples in any order: the ranges that hold them, and where each stands; None if as they lie there."""
    if not index.size:
        return (), None
    different = np.unique(index)
    ends = np.flatnonzero(np.diff(different) != 1)
    firsts, lasts = [0, *(ends + 1).tolist()], [*ends.tolist(), different.size - 1]
    ranges = tuple((int(different[a]), int(different[b]) + 1) for a, b in zip(firsts, lasts, strict=True))
    take = np.searchsorted(different, index)
    return ranges, None if np.array_equal(take, np.arange(different.size)) else take
