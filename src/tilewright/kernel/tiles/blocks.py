"""Blocks of a convolution: which lines, samples and output channels are a unit, and who packs the weights.

Either every unit packs the weights that it needs, once for all its pixels. Or they are packed before, once
for all units, into memory that all of them read: then units may have fewer pixels, and no weight is packed
again. That memory and a unit's scratch together keep to a thread's bound; where all weights don't fit, the
output channels are done in ranges, one after the other, and lines are packed once for each range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilewright.geometry import ConvDims
from tilewright.kernel.tiles.rows import Axis, Lines, lines_of, lines_read, longest_block
from tilewright.kernel.tiles.sizes import even, up
from tilewright.plan import tiles
from tilewright.plan.compiled import SCRATCH_BYTES

#: Packed weights that all units read, and the scratch of one of them.
SHARED_BYTES = SCRATCH_BYTES

# A block of lines that is nearly the whole becomes the whole: neighbouring blocks pack the lines between
# them twice.
WHOLE = 1.25
# Pixels of a unit, at least, whose weights lie packed: a panel of them comes from the last-level cache once
# for a unit, in about the time of a tile of pixels or two.
_SHARED_PIXELS = 64
# Numbers that could be packed in the time that it takes to begin two jobs and to wait for their end: about
# 10 µs.
_JOBS = 1 << 15
# Weights are packed before the units begin if that saves packing so many numbers for each FLOP: a 128th of
# the time, at a number and 32 FLOP a cycle.
SAVED = 1 / 128 / 32
# Scratch beside packed lines and sums: of the list of taps, and what is rounded up.
_ROUNDING = 64 << 10


@dataclass(frozen=True)
class Work:
    """What is to be divided.

    Attributes:
        dims: the geometry in forward form.
        itemsize: bytes of a number.
        line: the line axis.
        leads: places of the lead axes, and the most of them that an output reads.
        counts: outputs of a row, by phase; how many phases read anything; and how many are done at a time.
        pixels, panel: of a tile.
        channel_block: input channels at a time.
        per_line: numbers of a packed line of a block of channels.
        in_place: whether lines are read where they lie.
    """

    dims: ConvDims
    itemsize: int
    line: Axis
    leads: tuple[int, int]
    counts: list[int]
    working: int
    column_block: int
    pixels: int
    panel: int
    channel_block: int
    per_line: int
    in_place: bool

    @property
    def outputs(self) -> int:
        """Output channels of a group."""
        return self.dims.out_channels // self.dims.groups

    @property
    def weights(self) -> int:
        """How many there are."""
        return self.dims.out_channels * self.dims.in_channels // self.dims.groups * self.dims.taps

    @property
    def own_weights(self) -> int:
        """Numbers of the packed weights of a unit's own."""
        return self.dims.taps * self.channel_block * self.panel

    @property
    def held(self) -> bool:
        """Whether sums wait for further channels."""
        return self.dims.in_channels // self.dims.groups > self.channel_block

    def parts(self, units: int, outputs: int) -> int:
        """Into how many ranges of output channels to divide what would be so many units."""
        if units >= tiles.UNITS // 2 or self.dims.flops <= 1 << 20:
            return 1
        return min(-(-tiles.UNITS // 2 // units), -(-outputs // self.panel))

    def lines_packed(self, ranges: int) -> int:
        """Numbers of x that are packed for so many ranges of output channels."""
        if self.in_place:
            return 0
        return ranges * self.dims.batch * self.dims.in_channels * math.prod(self.dims.spatial)


@dataclass(frozen=True)
class Blocks:
    """The blocks of a unit.

    Attributes:
        lines: the line axis in blocks.
        units: how many there are, of one range of output channels.
        tiles_held: tiles whose sums wait.
        shared: bytes of packed weights that all units read; 0 if each packs its own.
        range_outputs: output channels of a range; all of them, or as many as ``shared`` has room for.
        packs: numbers that are packed, in all.
    """

    lines: Lines
    batch_block: int
    output_block: int
    output_blocks: int
    units: int
    tiles_held: int
    shared: int
    range_outputs: int
    packs: int


def blocks_of(work: Work) -> Blocks:
    """The blocks of which least is packed; each unit packs its own weights unless much is saved."""
    own, shared = _divided(work, shared=False), _divided(work, shared=True)
    assert own is not None
    worth = work.dims.flops * SAVED
    return shared if shared is not None and own.packs - shared.packs > worth else own


def _divided(work: Work, *, shared: bool) -> Blocks | None:
    dims, line = work.dims, work.line
    longest, budget = max(work.counts), tiles.PACKED_BYTES // work.itemsize
    held_pixels = 1 << 40
    if work.held:
        held_pixels = tiles.HELD_BYTES // work.itemsize // max(work.outputs, 1)
    total = dims.batch * work.leads[0] * line.output * longest
    least = _SHARED_PIXELS if shared else tiles.PIXELS
    wanted = max(min(held_pixels, max(total // tiles.UNITS, least)), work.pixels)
    # Outputs that read nothing take no time worth sharing out.
    row_pixels = min(work.column_block, longest) * max(work.working, 1)
    line_block = longest_block(line, wanted // row_pixels, budget // max(work.per_line, 1))
    if line.output <= line_block * WHOLE and lines_read(line, line.output) * work.per_line <= budget:
        line_block = line.output
    lines = lines_of(line, even(line.output, line_block))
    # Samples are the units of one range of output channels times these.
    others = work.leads[0] * dims.groups
    batch_block = 1
    if lines.block >= line.output and work.column_block >= longest:
        most = min(wanted // (line.output * longest), budget // max(work.per_line * lines.room, 1))
        batch_block = _batch_block(work, max(most, 1), others, shared)
    blocks = (
        -(-dims.batch // batch_block) * work.leads[0] * len(lines.blocks) * -(-longest // work.column_block)
    )
    outputs, size = work.outputs, 0
    output_block, tiles_held = _outputs_of(work, outputs, blocks, batch_block * lines.block)
    if shared:
        sums = tiles_held * work.pixels * work.panel
        lying = 0 if work.in_place else batch_block * work.leads[1] * lines.room * work.per_line
        room = SHARED_BYTES - _ROUNDING - (sums + lying + work.own_weights) * work.itemsize
        per_panel = work.weights // work.outputs * work.panel * work.itemsize
        if room < per_panel:
            return None
        panels = -(-outputs // work.panel)
        outputs = even(panels, room // per_panel) * work.panel
        output_block, tiles_held = _outputs_of(work, outputs, blocks, batch_block * lines.block)
        size = -(-outputs // work.panel) * per_panel
    output_blocks = -(-outputs // output_block)
    ranges = -(-work.outputs // outputs)
    packs = work.lines_packed(ranges * output_blocks)
    packs += work.weights + ranges * _JOBS if shared else blocks * work.weights
    units = blocks * dims.groups * output_blocks
    return Blocks(
        lines,
        batch_block,
        output_block,
        output_blocks,
        units,
        tiles_held,
        size,
        min(outputs, work.outputs),
        packs,
    )


def _outputs_of(work: Work, outputs: int, blocks: int, lines: int) -> tuple[int, int]:
    """Output channels of a unit of a range of ``outputs``, and tiles whose sums wait."""
    output_block = up(-(-outputs // work.parts(blocks * work.dims.groups, outputs)), work.panel)
    if not work.held:
        return output_block, 1
    per_panel = lines * sum(-(-min(work.column_block, n) // work.pixels) for n in work.counts)
    most = 2 * tiles.HELD_BYTES // (work.itemsize * per_panel * work.pixels * work.panel)
    output_block = min(output_block, max(most, 1) * work.panel)
    return output_block, per_panel * -(-output_block // work.panel)


def _batch_block(work: Work, most: int, others: int, shared: bool) -> int:
    """Samples of a unit, so that packing takes least: weights per block, samples per range of outputs."""
    found = []
    while most:
        block = even(work.dims.batch, most)
        blocks = -(-work.dims.batch // block)
        packs = work.lines_packed(work.parts(blocks * others, work.outputs))
        found.append((packs if shared else packs + blocks * work.weights, -block if shared else block))
        most //= 2
    return abs(min(found)[1])
