"""The driver of the weight gradient: one unit of work from packing to the sums of all it has seen.

Definition, over all samples n, lead places, lines and columns o:

    gw[k, c, t] = Σ_n Σ_o gy[n, k, o] · x[n, c, o·stride + t·dilation − before]

Schedule of one unit, which is a range of output channels and a range of input channels of one group, and one
share of the blocks of lines (all blocks of all samples in order):

    sums of all its (tap, k, c) = 0
    for each block of lines of its share:
        pack the lines of gy, output channels innermost, panel by panel
        pack the lines of x, input channels innermost
        for each lead and line tap: list the lines that it reads
            for each column tap, panel of k and tile of c: micro-kernel over lines and columns
    write the sums

With few input channels there would be nothing to multiply a vector of outputs with; then the lead and line
taps are packed beside the channels (``folded``), one packed line per line of gy.

A unit's share depends on the geometry alone and sums are added in the order of blocks, so bits never depend
on the number of threads.
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    load_square,
    masked_store,
    size_of,
    vector,
)
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    # arrays; the sums of share s go to gw + s·share_step
    "x", "gy", "gw", "unused",
    # sizes, of one group
    "channels", "outputs", "batch", "taps", "line_taps", "row_taps", "columns",
    # steps, in elements
    "x_group", "x_batch", "x_channel", "x_line", "x_column",
    "gy_group", "gy_batch", "gy_channel", "gy_line", "gy_column",
    "gw_output", "gw_channel", "share_step",
    # tables
    "lead_starts", "lead_entries", "lead_outputs", "leads",
    "row_entries", "remainders", "remainder_count", "every",
    # the line axis: which input lines a block reads, and which of them tap t of line o reads (or −1)
    "lines_read", "line_slots", "line_blocks", "line_block_count", "column_block", "column_blocks",
    # units
    "groups", "output_block", "output_blocks", "channel_block", "channel_blocks", "shares",
    # how packed lines lie
    "folded", "length", "pitch", "line_room", "lead_room",
    # tiles
    "panel", "tile", "tap_room", "tile_room",
    # where in a panel of sums each (channel, tap) of gw is: of a whole block of channels, of the last block
    "places", "last_places",
    # places in scratch
    "gy_at", "sums_at", "list_at",
    # functions
    "pack_x", "pack_gy", "micro",
)  # fmt: skip

#: Which of them are addresses.
ADDRESSES = {
    "x", "gy", "gw", "lead_starts", "lead_entries", "lead_outputs", "row_entries", "remainders",
    "line_blocks", "lines_read", "line_slots", "places", "last_places", "pack_x", "pack_gy", "micro",
}  # fmt: skip


def name(scalar: str, stored: str = "") -> str:
    """The symbol of the driver; ``stored``: of what kind of halves x and gy are, if they are."""
    return labelled(f"weight_gradient_{scalar}", stored)


def emit(target: Target, scalar: str, stored: str = "") -> str:
    """The driver."""
    f = Function(name(scalar, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    Driver(f, scalar, FIELDS, ADDRESSES, stored).emit()
    return f.text()


class Driver:
    """The emission of the driver ``f``; ``addresses`` are those of its table's words that are addresses."""

    def __init__(
        self, f: Function, scalar: str, fields: Fields, addresses: set[str], stored: str = ""
    ) -> None:
        self.f, self.scalar = f, scalar
        self.width = f.target.vector_bytes // size_of(scalar)
        self.words: dict[str, Value] = {
            word: fields.address(f, f["args"], word) if word in addresses else fields.read(f, f["args"], word)
            for word in fields.names
        }
        self.words |= {key: f.halves(self.words[key], stored) for key in ("x", "gy")}

    def __getattr__(self, name: str) -> Value:
        # The words of the table are read where the function starts, once.
        return self.words[name]

    def emit(self) -> None:
        """The whole function."""
        f = self.f
        self._find_unit()
        self.packed_gy = f.at(f["scratch"], self.scalar, self.gy_at)
        self.sums = f.at(f["scratch"], self.scalar, self.sums_at)
        self.list = f.at(f["scratch"], self.scalar, self.list_at)
        self.tile_size = self.tile * self.panel
        # Sums lie panel by panel, tap by tap, tile by tile.
        self.panel_size = self.tap_room * self.tile_room * self.tile_size
        # A tile is a whole number of vectors.
        with f.loop(self.panels * self.panel_size, step=self.width, name="zero") as i:
            f.store(f.number(vector(self.width, self.scalar), 0), self.sums, i)
        blocks = self.batch * self.leads * self.line_block_count * self.column_blocks
        first = blocks * self.share // self.shares
        end = blocks * (self.share + 1) // self.shares
        with f.loop(end, start=first, name="block") as block:
            self._block(block)
        self._write()

    def _find_unit(self) -> None:
        f = self.f
        u = f["unit"]
        share, u = u % self.shares, u // self.shares
        channel_block, u = u % self.channel_blocks, u // self.channel_blocks
        output_block, group = u % self.output_blocks, u // self.output_blocks
        self.share = share
        self.k0 = output_block * self.output_block
        self.kn = f.least(self.outputs - self.k0, self.output_block)
        self.c0 = channel_block * self.channel_block
        self.cn = f.least(self.channels - self.c0, self.channel_block)
        self.panels = (self.kn + self.panel - 1) // self.panel
        # The last tile of features starts earlier instead of being filled up.
        lines = f.select(self.folded.differs(0), self.taps // self.row_taps, f.number("i64", 1))
        self.line_features = lines
        self.features = self.cn * lines
        self.tiles = (self.features + self.tile - 1) // self.tile
        self.last_tile = f.greatest(self.features - self.tile, 0)
        self.line_size_packed = self.remainder_count * self.length * self.pitch
        self.gy_line_packed = self.panels * self.column_block * self.panel
        self.x_start = f.at(self.x, self.scalar, group * self.x_group + self.c0 * self.x_channel)
        self.gy_start = f.at(self.gy, self.scalar, group * self.gy_group + self.k0 * self.gy_channel)
        to = (group * self.outputs + self.k0) * self.gw_output + self.c0 * self.gw_channel
        self.gw_start = f.at(self.gw, self.scalar, to + share * self.share_step)

    def _block(self, block: Value) -> None:
        f = self.f
        column_block, rest = block % self.column_blocks, block // self.column_blocks
        self.q0 = column_block * self.column_block
        self.qn = f.least(self.columns - self.q0, self.column_block)
        line_block, rest = rest % self.line_block_count, rest // self.line_block_count
        lead, n = rest % self.leads, rest // self.leads
        entry = f.at(self.line_blocks, "i64", line_block * 4)
        self.h0, self.h1, listed, self.packed_lines = (f.load("i64", entry, i) for i in range(4))
        self.lines = f.at(self.lines_read, "i64", listed)
        self.e0 = f.load("i64", self.lead_starts, lead)
        self.e1 = f.load("i64", self.lead_starts, lead + 1)
        gy = f.at(self.gy_start, self.scalar, n * self.gy_batch + f.load("i64", self.lead_outputs, lead))
        self._pack_gy(gy)
        x = f.at(self.x_start, self.scalar, n * self.x_batch)
        with f.when(self.folded.equals(0)):
            self._pack_x(x)
            with f.loop(self.e1, start=self.e0, name="lead") as e:
                lead_tap = f.load("i64", self.lead_entries, e * 2)
                with f.loop(self.line_taps, name="tap") as line_tap:
                    entries = self._list(e - self.e0, line_tap)
                    with f.when(entries > 0):
                        self._columns(entries, lead_tap * self.line_taps + line_tap)
        with f.when(self.folded.differs(0)):
            self._pack_folded(x)
            self._columns(self._list_folded(), f.number("i64", 0))

    def _pack_gy(self, gy: Value) -> None:
        f = self.f
        with (
            f.loop(self.h1, start=self.h0, name="line") as h,
            f.loop(self.panels, name="panel") as p,
        ):
            place = h * self.gy_line + p * (self.panel * self.gy_channel) + self.q0 * self.gy_column
            source = f.at(gy, self.scalar, place)
            place = ((h - self.h0) * self.panels + p) * (self.column_block * self.panel)
            out = f.at(self.packed_gy, self.scalar, place)
            count = f.least(self.kn - p * self.panel, self.panel)
            # Lanes behind the last output meet sums that nobody reads, but must be numbers that cost no time.
            with f.when(count < self.panel), f.loop(self.qn * self.panel, step=self.width) as i:
                f.store(f.number(vector(self.width, self.scalar), 0), out, i)
            zero = f.number("i64", 0)
            f.call(
                self.pack_gy, source, out, count, self.panel, zero, self.qn, self.qn,
                self.gy_channel, self.gy_column,
            )  # fmt: skip

    def _pack_line(self, line: Value, out: Value, there: Value | None = None) -> None:
        """One line of x: stretch after stretch; zeros only where it isn't ``there``."""
        f = self.f
        with f.loop(self.remainder_count, name="stretch") as part:
            entry = f.at(self.remainders, "i64", part * 3)
            first, end, column = (f.load("i64", entry, i) for i in range(3))
            first = f.greatest(first - self.q0, 0)
            end = f.greatest(f.least(end - self.q0, self.length), 0)
            column = column + self.every * self.q0
            if there is not None:
                first, end = f.select(there, first, 0), f.select(there, end, 0)
            source = f.at(line, self.scalar, column * self.x_column, wild=True)
            to = f.at(out, self.scalar, part * (self.length * self.pitch))
            step = self.every * self.x_column
            f.call(
                self.pack_x, source, to, self.cn, self.pitch, first, end, self.length, self.x_channel, step
            )

    def _pack_x(self, x: Value) -> None:
        f = self.f
        with f.loop(self.e1, start=self.e0, name="lead") as e:
            lead = f.at(x, self.scalar, f.load("i64", self.lead_entries, e * 2 + 1))
            with f.loop(self.packed_lines, name="line") as slot:
                line = f.load("i64", self.lines, slot) * self.x_line
                place = ((e - self.e0) * self.line_room + slot) * self.line_size_packed
                out = f.at(f["scratch"], self.scalar, place)
                self._pack_line(f.at(lead, self.scalar, line), out)

    def _pack_folded(self, x: Value) -> None:
        f = self.f
        with f.loop(self.h1, start=self.h0, name="line") as h:
            line_out = f.at(f["scratch"], self.scalar, (h - self.h0) * self.line_size_packed)
            # Lead taps that this place doesn't read stay zero.
            with f.when(self.e1 - self.e0 < self.lead_room), f.loop(self.line_size_packed) as i:
                f.store(f.number(self.scalar, 0), line_out, i)
            with (
                f.loop(self.e1, start=self.e0, name="lead") as e,
                f.loop(self.line_taps, name="tap") as line_tap,
            ):
                lead_tap = f.load("i64", self.lead_entries, e * 2)
                offset = f.load("i64", self.lead_entries, e * 2 + 1)
                slot = self._slot(h, line_tap)
                there = slot >= 0
                number = f.load("i64", self.lines, f.greatest(slot, 0))
                line = f.at(x, self.scalar, offset + number * self.x_line)
                feature = (lead_tap * self.line_taps + line_tap) * self.cn
                self._pack_line(line, f.at(line_out, self.scalar, feature), there)

    def _slot(self, h: Value, tap: Value) -> Value:
        return self.f.load("i64", self.line_slots, h * self.line_taps + tap)

    def _list(self, lead: Value, line_tap: Value) -> Value:
        """Lines of gy whose tap reads inside: (place in packed gy, place in packed x); their number."""
        f = self.f
        lines = f.loop(self.h1, start=self.h0, carry=[f.number("i64", 0)], name="list")
        with lines as h:
            (count,) = lines.carried
            slot = self._slot(h, line_tap)
            there = slot >= 0
            # Written always, counted only if it is there.
            f.store((h - self.h0) * self.gy_line_packed, self.list, count * 2)
            place = (lead * self.line_room + slot) * self.line_size_packed
            f.store(place, self.list, count * 2 + 1)
            lines.carry([f.select(there, count + 1, count)])
        return lines.results[0]

    def _list_folded(self) -> Value:
        f = self.f
        with f.loop(self.h1, start=self.h0, name="list") as h:
            f.store((h - self.h0) * self.gy_line_packed, self.list, (h - self.h0) * 2)
            f.store((h - self.h0) * self.line_size_packed, self.list, (h - self.h0) * 2 + 1)
        return self.h1 - self.h0

    def _columns(self, entries: Value, tap: Value) -> None:
        """All column taps, panels and tiles for one list of lines."""
        f = self.f
        one = f.number("i64", 1)
        with f.loop(self.panels, name="panel") as p, f.loop(self.row_taps, name="column") as j:
            vectors = f.at(self.packed_gy, self.scalar, p * (self.column_block * self.panel))
            place = f.load("i64", self.row_entries, j) * self.pitch
            with f.loop(self.tiles, name="tile") as t:
                start = f.least(t * self.tile, self.last_tile)
                scalars = f.at(f["scratch"], self.scalar, place + start)
                number = (tap * self.row_taps + j) * self.tile_room + t
                sums = f.at(self.sums, self.scalar, p * self.panel_size + number * self.tile_size)
                f.call(
                    self.micro, vectors, scalars, self.list, entries, self.qn, self.panel, self.pitch,
                    sums, self.panel, one,
                )  # fmt: skip

    def _write(self) -> None:
        """From tiles of sums to gw: for each output, its channels and taps are consecutive there."""
        f, width = self.f, self.width
        total = self.cn * self.taps
        places = f.select(self.cn.equals(self.channel_block), self.places, self.last_places)
        type = vector(width, self.scalar)
        vectors = self.panel // width
        with (
            f.loop(self.panels * vectors, name="panel") as group,
            f.loop(total, step=width, name="flat") as first,
        ):
            left = f.least(total - first, width)
            mask = first_lanes(f, left, width)
            sums = f.at(self.sums, self.scalar, group // vectors * self.panel_size + group % vectors * width)
            rows = []
            for i in range(width):
                place = f.load("i64", places, f.least(first + i, total - 1))
                rows.append(f.at(sums, self.scalar, place))
            k = group * width
            for lane, turned in enumerate(load_square(f, type, rows)):
                with f.when(k + lane < self.kn):
                    out = f.at(self.gw_start, self.scalar, (k + lane) * self.gw_output + first)
                    masked_store(f, turned, out, mask)
