"""The driver of forward convolution and of the data gradient: one unit of work from packing to storing.

Definition (one form for both; see :mod:`tilewright.kernel.tiles.rows`):

    y[n, k, o] = act(bias[k] + Σ_c Σ_(taps that read inside) x[n, c, place] · w[k, c, tap])

Schedule of one unit, which is a block of samples, a lead place, a block of lines, a stretch of columns and
a range of output channels of one group:

    for each block of input channels:
        pack the lines of x that the block of outputs reads
        for each panel of output channels:
            pack its weights
            for each sample, line and phase:
                list the taps: where in the packed lines, where in the packed weights
                for each tile of the row: micro-kernel; after the last channels: store

Sums of unfinished channels wait in scratch, tile by tile. The order of a sum (blocks of channels, then taps,
then channels) depends on the geometry of one sample alone.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, first_lanes, labelled, masked_store, size_of, vector
from tilewright.kernel.tiles import store
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    # arrays
    "x", "w", "bias", "y",
    # sizes, of one group
    "channels", "outputs", "batch", "taps", "line_taps", "row_taps",
    # steps, in elements
    "x_group", "x_batch", "x_channel", "x_line", "x_column",
    "y_group", "y_batch", "y_channel", "y_line", "y_column",
    "w_group", "w_output", "w_channel", "w_tap", "w_first",
    # tables
    "lead_starts", "lead_entries", "lead_outputs",
    "line_starts", "line_entries", "lines_read",
    "phases", "phase_count", "row_step", "row_entries", "remainders", "remainder_count",
    # how a packed line lies
    "every", "length", "pitch",
    # blocks and their counts
    "channel_block", "output_block", "batch_block", "column_block",
    "output_blocks", "groups", "batch_blocks", "leads", "line_blocks", "line_block_count", "column_blocks",
    # tiles
    "tile", "panel", "tiles_held", "lowest_count",
    # of one channel, the taps of a row that the micro-kernel sums over (else 1), and from one factor to the
    # next
    "together", "factor_step",
    # columns of a line of y, if some outputs read nothing and lines are written as zeros beforehand; else 0
    "blank",
    # room in the packed lines
    "lead_room", "line_room",
    # 1 if lines are read where they lie, instead of being packed; then, in x, from one pixel of a tile to the
    # next and from one output line to the next; and what the micro-kernel takes last: how far ahead of a tile
    # memory is asked for, or how far pixels lie apart
    "in_place", "x_pixel", "line_step", "ahead",
    # where all units read packed weights, or null: then each packs its own; 1 while they are being packed;
    # the output channels whose weights are there, and how many
    "shared", "packing", "first_shared", "shared_outputs",
    # places in scratch, in elements of its type
    "weights_at", "sums_at", "list_at",
    # functions
    "pack_rows", "pack_weights", "micro", "store",
    "slope",
)  # fmt: skip

SIDES = store.SIDES


def name(scalar: str, side: str, stored: str = "") -> str:
    """The symbol of a driver; ``stored``: of what kind of halves x, w and y are, if they are."""
    return labelled(f"convolve_{scalar}_{side}", stored)


def emit(target: Target, scalar: str, side: str, stored: str = "") -> str:
    """The driver whose vectors run over output channels (``by_channels``) or pixels (``by_pixels``)."""
    f = Function(name(scalar, side, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    Driver(f, scalar, side == "by_channels", stored).emit()
    return f.text()


class Driver:
    """The emission of the driver ``f``."""

    def __init__(self, f: Function, scalar: str, by_channels: bool, stored: str = "") -> None:
        self.f, self.scalar, self.by_channels, self.stored = f, scalar, by_channels, stored
        self.words: dict[str, Value] = {}

    def __getattr__(self, name: str) -> Value:
        # The words are read where the function starts, once.
        return self.words[name]

    def emit(self) -> None:
        """The whole function."""
        f = self.f
        addresses = {
            "x", "w", "bias", "y", "lead_starts", "lead_entries", "lead_outputs", "line_starts",
            "line_entries", "lines_read", "phases", "row_entries", "line_blocks",
            "shared", "pack_rows", "pack_weights", "micro", "store",
        }  # fmt: skip
        self.words = {
            word: FIELDS.address(f, f["args"], word) if word in addresses else FIELDS.read(f, f["args"], word)
            for word in FIELDS.names
            if word not in ("slope", "remainders", "every", "length")
        }
        self._mark()
        self.fills = self.blank.differs(0) & self.bias.equals(f.null())
        self.slope_value = f.load("double", f["args"], FIELDS.place["slope"])
        packing, computing = f.fresh("packing"), f.fresh("computing")
        f.branch(self.packing.differs(0), packing, computing)
        f.label(packing)
        self._pack_shared()
        f.give()
        f.label(computing)
        self._find_unit()
        f_list = f.at(f["scratch"], self.scalar, self.list_at)
        self.list = f_list
        self.own_weights = f.at(f["scratch"], self.scalar, self.weights_at)
        self.sums = f.at(f["scratch"], self.scalar, self.sums_at)
        with f.loop(self.channels, step=self.channel_block, name="channels") as c0:
            self.c0 = c0
            self.cn = f.least(self.channels - c0, self.channel_block)
            self.sample_pitch = self.lead_room * self.line_room * self.cn * self.pitch
            self.is_first, self.is_last = c0, c0 + self.cn >= self.channels
            with f.when(self.in_place.equals(0)):
                self._pack_lines()
            self._panels()
        f.give()

    def _mark(self) -> None:
        """The arrays are of what they are stored as."""
        self.words |= {key: self.f.halves(self.words[key], self.stored) for key in ("x", "w", "y")}

    def _pack_shared(self) -> None:
        """A unit of another kind: the weights of one panel of a group, for all units that follow."""
        f = self.f
        panels = (self.shared_outputs + (self.panel - 1)) // self.panel
        k = self.first_shared + f["unit"] % panels * self.panel
        kn = f.least(self.outputs - k, self.panel)
        group = f["unit"] // panels
        weights = f.at(self.w, self.scalar, group * self.w_group + self.w_first)
        weights = f.at(weights, self.scalar, k * self.w_output, wild=True)
        with f.when(kn > 0), f.loop(self.channels, step=self.channel_block, name="channels") as c0:
            cn = f.least(self.channels - c0, self.channel_block)
            source = f.at(weights, self.scalar, c0 * self.w_channel, wild=True)
            f.call(self.pack_weights, f["args"], source, self._shared_weights(group, k, c0), kn, cn)

    def _shared_weights(self, group: Value, k: Value, c0: Value) -> Value:
        """Where the packed weights of a panel and a block of channels lie, for all units."""
        f = self.f
        panels = (self.shared_outputs + (self.panel - 1)) // self.panel
        number = group * panels + (k - self.first_shared) // self.panel
        place = (number * self.channels + c0) * self.taps * self.panel
        return f.at(self.shared, self.scalar, place, wild=True)

    def _find_unit(self) -> None:
        f = self.f
        u = f["unit"]
        output_block, u = u % self.output_blocks, u // self.output_blocks
        column_block, u = u % self.column_blocks, u // self.column_blocks
        self._find_block(output_block, u)
        self.q0 = column_block * self.column_block
        # The last tile of a row may start before the block: packed lines start where it may.
        self.base = f.greatest(f.least(self.q0, self.lowest_count - self.tile), 0)
        self.base = f.select(self.in_place.differs(0), f.number("i64", 0), self.base)

    def _find_block(self, output_block: Value, u: Value) -> None:
        """What the unit covers, and where its arrays start; ``u`` is its number without the columns."""
        f = self.f
        line_block, u = u % self.line_block_count, u // self.line_block_count
        lead, u = u % self.leads, u // self.leads
        batch_block, group = u % self.batch_blocks, u // self.batch_blocks
        self.group = group
        self.k0 = self.first_shared + output_block * self.output_block
        self.k1 = f.least(self.k0 + self.output_block, self.first_shared + self.shared_outputs)
        self.k1 = f.least(self.k1, self.outputs)
        self.n0 = batch_block * self.batch_block
        # The last of several ranges of output channels may be shorter: some units have nothing to do.
        self.n1 = f.least(self.n0 + self.batch_block, self.batch)
        self.n1 = f.select(self.k0 < self.k1, self.n1, self.n0)
        # line_blocks: (first line, end, where its input lines are listed, how many)
        entry = f.at(self.line_blocks, "i64", line_block * 4)
        self.h0, self.h1, listed, self.packed_lines = (f.load("i64", entry, i) for i in range(4))
        self.lines = f.at(self.lines_read, "i64", listed)
        self.e0 = f.load("i64", self.lead_starts, lead)
        self.e1 = f.load("i64", self.lead_starts, lead + 1)
        self.x_start = f.at(self.x, self.scalar, group * self.x_group)
        self.y_start = f.at(
            self.y, self.scalar, group * self.y_group + f.load("i64", self.lead_outputs, lead)
        )
        self.w_start = f.at(self.w, self.scalar, group * self.w_group + self.w_first)
        self.first_output = group * self.outputs

    def _pack_lines(self) -> None:
        f = self.f
        to = f.loop(self.n1, start=self.n0, name="sample")
        with to as n:
            sample = f.at(self.x_start, self.scalar, n * self.x_batch + self.c0 * self.x_channel)
            packed = (n - self.n0) * self.sample_pitch
            with f.loop(self.e1, start=self.e0, name="lead") as e:
                offset = f.load("i64", self.lead_entries, e * 2 + 1)
                source = f.at(sample, self.scalar, offset)
                place = (e - self.e0) * self.line_room * self.cn * self.pitch
                out = f.at(f["scratch"], self.scalar, packed + place)
                f.call(
                    self.pack_rows, f["args"], source, out, self.cn, self.lines, self.packed_lines, self.base
                )

    def _panels(self) -> None:
        f = self.f
        panels = f.loop(self.k1, start=self.k0, step=self.panel, carry=[f.number("i64", 0)], name="panel")
        with panels as k:
            (held,) = panels.carried
            kn = f.least(self.k1 - k, self.panel)
            source = f.at(self.w_start, self.scalar, k * self.w_output + self.c0 * self.w_channel, wild=True)
            there = self.shared.differs(f.null())
            with f.when(there.equals(0)):
                f.call(self.pack_weights, f["args"], source, self.own_weights, kn, self.cn)
            self.packed_weights = f.select(
                there, self._shared_weights(self.group, k, self.c0), self.own_weights
            )
            samples = f.loop(self.n1, start=self.n0, carry=[held], name="sample")
            with samples as n:
                lines = f.loop(self.h1, start=self.h0, carry=samples.carried, name="line")
                with lines as h:
                    with f.when(self.fills & self.is_last):
                        self._fill(k, kn, n, h)
                    phases = f.loop(self.phase_count, carry=lines.carried, name="phase")
                    with phases as phase:
                        phases.carry([self._row(k, kn, n, h, phase, phases.carried[0])])
                    lines.carry(phases.results)
                samples.carry(lines.results)
            panels.carry(samples.results)

    def _fill(self, k: Value, kn: Value, n: Value, h: Value) -> None:
        """Zeros for a line of a panel; then only outputs that read anything are computed."""
        f = self.f
        start = n * self.y_batch + h * self.y_line + k * self.y_channel
        line = f.at(self.y_start, self.scalar, start)
        along = self.y_channel.equals(1)
        rows, length = f.select(along, self.blank, kn), f.select(along, kn, self.blank)
        step = f.select(along, self.y_column, self.y_channel)
        width = f.target.vector_bytes // size_of(self.scalar)
        zero = f.number(vector(width, self.scalar), 0)
        rest = length % width
        mask = first_lanes(f, rest, width)
        with f.loop(rows, name="fill") as row:
            out = f.at(line, self.scalar, row * step)
            with f.loop(length - rest, step=width, name="fill") as place:
                f.store(zero, out, place)
            with f.when(rest > 0):
                masked_store(f, zero, f.at(out, self.scalar, length - rest), mask)

    def _row(self, k: Value, kn: Value, n: Value, h: Value, phase: Value, held: Value) -> Value:
        """All tiles of one phase of one row; gives the number of sums held so far."""
        f = self.f
        # phases: (first, count, first entry, last entry + 1)
        entry = f.at(self.phases, "i64", phase * 4)
        first, count, t0, t1 = (f.load("i64", entry, i) for i in range(4))
        entries = self._list_taps(h, t0, t1)
        packed = f.at(f["scratch"], self.scalar, (n - self.n0) * self.sample_pitch)
        with f.either(self.in_place.differs(0), "ptr") as choice:
            # Each lead place reads the one input at its own place.
            lying = n * self.x_batch + self.c0 * self.x_channel + h * self.line_step
            lying = lying + f.load("i64", self.lead_entries, self.e0 * 2 + 1)
            choice.yes(f.at(self.x_start, self.scalar, lying, wild=True))
            choice.otherwise()
            choice.no(packed)
        packed = choice.result
        line = n * self.y_batch + h * self.y_line + first * self.y_column + k * self.y_channel
        y_line = f.at(self.y_start, self.scalar, line)
        bias = self._bias(k)
        stop = f.least(self.q0 + self.column_block, count)
        stop = f.select(self.fills & entries.equals(0), self.q0, stop)
        pixels = f.least(count, self.tile)
        last = f.greatest(count - self.tile, 0)
        tiles = f.loop(stop, start=self.q0, step=self.tile, carry=[held], name="tile")
        with tiles as q:
            (number,) = tiles.carried
            start = f.least(q, last)
            sums = f.at(self.sums, self.scalar, (number % self.tiles_held) * (self.tile * self.panel))
            place = f.select(self.in_place.differs(0), start * self.x_pixel, start - self.base)
            vectors, scalars = self.packed_weights, self._row_at(packed, place)
            steps = (self.panel, self.factor_step)
            row = self.panel
            if not self.by_channels:
                vectors, scalars, steps, row = scalars, vectors, (self.factor_step, self.panel), self.tile
            resume = f.result("i64", f"zext i1 {self.is_first.differs(0).name} to i64")
            out = f.at(y_line, self.scalar, start * (self.row_step * self.y_column))
            with f.when(self.is_last):
                self._ask_for(out, kn, pixels, q.differs(self.q0))
            with f.when(entries > 0):
                # The plain micro-kernel doesn't look at the last argument.
                f.call(
                    self.micro, vectors, scalars, self.list, entries, self.cn * self.together, *steps, sums,
                    row, resume, self.ahead,
                )  # fmt: skip
            with f.when(entries.equals(0) & resume.equals(0)), f.loop(self.tile * self.panel) as i:
                f.store(f.number(self.scalar, 0), sums, i)
            with f.when(self.is_last):
                f.call(
                    self.store,
                    sums,
                    out,
                    bias,
                    kn,
                    pixels,
                    self.y_channel,
                    self.row_step * self.y_column,
                    self.slope_value,
                )
            tiles.carry([number + 1])
        return tiles.results[0]

    def _row_at(self, row: Value, place: Value) -> Value:
        """A place of a row of x, packed or where it lies."""
        f = self.f
        if not self.stored:
            return f.at(row, self.scalar, place)
        packed = f.at(row, self.scalar, place, wild=True)
        lying = f.at(f.halves(row, self.stored), self.scalar, place, wild=True)
        return f.select(self.in_place.differs(0), f.halves(lying, ""), packed)

    def _ask_for(self, out: Value, kn: Value, pixels: Value, follows: Value) -> None:
        """The cache lines that a tile will be stored to: they come while its sums are made.

        Where a tile ``follows`` another along the lines in memory, their ends are enough.
        """
        f = self.f
        # Along which a line of y is consecutive: its channels, or its columns.
        along = self.y_channel.equals(1)
        step = self._pixel_step()
        rows, length = kn, (pixels - 1) * step
        rows, length = f.select(along, pixels, rows), f.select(along, kn - 1, length)
        step = f.select(along, step, self.y_channel)
        line = 64 // size_of(self.scalar)
        short = follows & (length < line) & along.equals(0)
        with f.when(short), f.loop(rows, name="soon") as row:
            f.soon(f.at(out, self.scalar, row * step + length, wild=True))
        with f.when(short.equals(0)), f.loop(rows, name="soon") as row:
            start = f.at(out, self.scalar, row * step)
            f.soon(f.at(start, self.scalar, length))
            with f.loop(length, step=line, name="soon") as place:
                f.soon(f.at(start, self.scalar, place))

    def _pixel_step(self) -> Value:
        """From one pixel of a tile to the next, in y."""
        return self.row_step * self.y_column

    def _bias(self, k: Value) -> Value:
        f = self.f
        moved = f.at(self.bias, self.scalar, self.first_output + k, wild=True)
        return f.select(self.bias.differs(f.null()), moved, f.null())

    def _list_taps(self, h: Value, t0: Value, t1: Value) -> Value:
        """Writes (vectors' offset, scalars' offset) of every tap that reads inside; gives their number."""
        f = self.f
        a = f.load("i64", self.line_starts, h)
        b = f.load("i64", self.line_starts, h + 1)
        leads = f.loop(self.e1, start=self.e0, carry=[f.number("i64", 0)], name="taps")
        with leads as e:
            lead_tap = f.load("i64", self.lead_entries, e * 2)
            lines = f.loop(b, start=a, carry=leads.carried, name="taps")
            with lines as i:
                line_tap = f.load("i64", self.line_entries, i * 2)
                slot = f.load("i64", self.line_entries, i * 2 + 1)
                place = ((e - self.e0) * self.line_room + slot) * self.cn * self.pitch
                tap = (lead_tap * self.line_taps + line_tap) * self.row_taps
                columns = f.loop(t1, start=t0, carry=lines.carried, name="taps")
                with columns as j:
                    (number,) = columns.carried
                    x_offset = place + f.load("i64", self.row_entries, j * 2 + 1)
                    w_offset = (tap + f.load("i64", self.row_entries, j * 2)) * self.cn * self.panel
                    pair = (w_offset, x_offset) if self.by_channels else (x_offset, w_offset)
                    f.store(pair[0], self.list, number * 2)
                    f.store(pair[1], self.list, number * 2 + 1)
                    columns.carry([number + 1])
                lines.carry(columns.results)
            leads.carry(lines.results)
        return leads.results[0]
