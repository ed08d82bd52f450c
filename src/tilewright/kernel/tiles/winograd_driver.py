"""The driver of Winograd's convolution: one unit of work from packing to storing.

Definition: that of :mod:`tilewright.kernel.tiles.driver`, for stride 1 and taps side by side.

Schedule of one unit, which is a block of samples, a lead place, a block of rows of pieces, a stretch of their
columns and a range of output channels of one group:

    for each block of input channels:
        for each sample and lead tap: pack lines, a few channels at a time, and transform them
        for each panel of output channels:
            pack and transform its weights
            for each place of a piece: micro-kernel over the pieces
            after the last channels: transform the sums of each row of pieces to lines of pixels, and store
            those

Sums of unfinished channels wait in scratch, panel by panel. The order of a sum (blocks of channels, then
channels) depends on the geometry of one sample alone.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, labelled, vector
from tilewright.kernel.tiles import driver
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The words of the plain driver, so that both share their packing of weights, and some more.
FIELDS = Fields(
    *driver.FIELDS.names,
    # products of a piece; lines that a row of pieces reads, and outputs of a piece on both axes
    "places", "lines_of_piece", "piece_lines", "piece_columns",
    # pieces: in a row, of a tile; zeros before a line of x, and its columns
    "pieces", "piece_tile", "before", "columns",
    # which packed line each of the lines of a row of pieces is, or −1
    "line_slots",
    # outputs of a line, and lines
    "out_columns", "out_lines",
    # channels packed at a time, of the input and of the weights; channels of a transformed piece
    "pack_channels", "pack_weight_channels", "piece_pitch", "lead_taps",
    # panels whose sums wait for further channels; numbers between the places of input, weights and sums
    "panels_held", "input_step", "weight_step", "sum_step",
    # places in scratch
    "zeros_at", "input_at", "pixels_at",
    # functions
    "pack_turned", "transform_input", "transform_weights", "transform_output",
)  # fmt: skip

_ADDRESSES = {
    "x", "w", "bias", "y", "lead_starts", "lead_entries", "lead_outputs", "lines_read", "line_blocks",
    "line_slots", "pack_turned", "pack_weights", "micro", "store",
    "transform_input", "transform_weights", "transform_output",
}  # fmt: skip


def name(stored: str = "") -> str:
    """The symbol of the driver; ``stored``: of what kind of halves x, w and y are, if they are."""
    return labelled("convolve_winograd", stored)


def emit(target: Target, stored: str = "") -> str:
    """The driver."""
    f = Function(name(stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Driver(f, stored).emit()
    return f.text()


class _Driver(driver.Driver):
    def __init__(self, f: Function, stored: str) -> None:
        self.f, self.scalar, self.stored = f, "float", stored
        self.width = f.target.vector_bytes // 4
        self.words: dict[str, Value] = {
            word: FIELDS.address(f, f["args"], word)
            if word in _ADDRESSES
            else FIELDS.read(f, f["args"], word)
            for word in FIELDS.names
            if word != "slope"
        }
        self._mark()
        self.slope = f.load("double", f["args"], FIELDS.place["slope"])

    def emit(self) -> None:
        f = self.f
        self._find_unit()
        self.packed, self.zeros = f["scratch"], self._at(self.zeros_at)
        self.input, self.weights = self._at(self.input_at), self._at(self.weights_at)
        self.held, self.pixels, self.list = (
            self._at(self.sums_at), self._at(self.pixels_at), self._at(self.list_at),
        )  # fmt: skip
        with f.loop(self.line_length * self.pack_channels, step=self.width, name="zero") as i:
            f.store(f.number(vector(self.width, "float"), 0), self.zeros, i)
        with f.loop(self.channels, step=self.channel_block, name="channels") as c0:
            cn = f.least(self.channels - c0, self.channel_block)
            self._transform_input(c0, cn)
            panels = f.loop(self.k1, start=self.k0, step=self.panel, carry=[f.number("i64", 0)], name="panel")
            with panels as k:
                (number,) = panels.carried
                kn = f.least(self.k1 - k, self.panel)
                self._transform_weights(k, kn, c0, cn)
                self.sums = f.at(self.held, "float", number * (self.sum_step * self.places))
                with f.loop(self.places, name="place") as place:
                    self._multiply(place, c0, cn)
                with f.when(c0 + cn >= self.channels):
                    self._store(k, kn)
                panels.carry([(number + 1) % self.panels_held])

    def _at(self, place: Value) -> Value:
        return self.f.at(self.f["scratch"], "float", place)

    def _find_unit(self) -> None:
        f = self.f
        u = f["unit"]
        output_block, u = u % self.output_blocks, u // self.output_blocks
        column_block, u = u % self.column_blocks, u // self.column_blocks
        self._find_block(output_block, u)
        self.slots = f.at(self.line_slots, "i64", self.h0 * self.lines_of_piece)
        self.rows = self.h1 - self.h0
        self.q0 = column_block * self.column_block
        self.qn = f.least(self.pieces - self.q0, self.column_block)
        self.count = (self.n1 - self.n0) * self.rows * self.qn
        # Packed positions are columns first_column …; those that are no columns are zeros.
        first_column = self.q0 * self.piece_columns - self.before
        self.line_length = self.qn * self.piece_columns + (self.row_taps - 1)
        self.first = f.least(f.greatest(f.number("i64", 0) - first_column, 0), self.line_length)
        self.end = f.greatest(f.least(self.columns - first_column, self.line_length), self.first)
        self.x_first = first_column * self.x_column

    def _transform_input(self, c0: Value, cn: Value) -> None:
        f = self.f
        with (
            f.loop(self.n1, start=self.n0, name="sample") as n,
            f.loop(self.e1, start=self.e0, name="lead") as e,
            f.loop(cn, step=self.pack_channels, name="channels") as c,
        ):
            some = f.least(cn - c, self.pack_channels)
            pitch = (some + (self.width - 1)) // self.width * self.width
            line_size = self.line_length * pitch
            place = n * self.x_batch + f.load("i64", self.lead_entries, e * 2 + 1)
            place = place + (c0 + c) * self.x_channel + self.x_first
            with f.loop(self.packed_lines, name="line") as slot:
                line = f.load("i64", self.lines, slot) * self.x_line
                f.call(
                    self.pack_turned, f.at(self.x_start, "float", place + line, wild=True),
                    f.at(self.packed, "float", slot * line_size), some, pitch, self.first, self.end,
                    self.line_length, self.x_channel, self.x_column,
                )  # fmt: skip
            to = (e - self.e0) * self.places * self.input_step + c
            to = to + (n - self.n0) * self.rows * self.qn * self.piece_pitch
            with f.loop(self.rows, name="row") as row:
                slots = f.at(self.slots, "i64", row * self.lines_of_piece)
                out = f.at(self.input, "float", to + row * self.qn * self.piece_pitch)
                f.call(
                    self.transform_input, self.packed, self.zeros, slots, out, self.qn, self.piece_columns,
                    pitch, line_size, self.piece_pitch, self.input_step,
                )  # fmt: skip

    def _transform_weights(self, k: Value, kn: Value, c0: Value, cn: Value) -> None:
        f = self.f
        with (
            f.loop(self.lead_taps, name="lead") as tap,
            f.loop(cn, step=self.pack_weight_channels, name="channels") as c,
        ):
            some = f.least(cn - c, self.pack_weight_channels)
            place = k * self.w_output + (c0 + c) * self.w_channel + tap * self.taps * self.w_tap
            source = f.at(self.w_start, "float", place, wild=True)
            f.call(self.pack_weights, f["args"], source, self.packed, kn, some)
            out = f.at(self.weights, "float", tap * self.places * self.weight_step + c * self.panel)
            f.call(self.transform_weights, self.packed, out, some, self.weight_step)

    def _multiply(self, place: Value, c0: Value, cn: Value) -> None:
        """All pieces of the unit at one place: sums[place][piece][lane]."""
        f = self.f
        with f.loop(self.e1, start=self.e0, name="lead") as e:
            number = e - self.e0
            lead_tap = f.load("i64", self.lead_entries, e * 2)
            f.store((lead_tap * self.places + place) * self.weight_step, self.list, number * 2)
            f.store((number * self.places + place) * self.input_step, self.list, number * 2 + 1)
        sums = f.at(self.sums, "float", place * self.sum_step)
        entries = self.e1 - self.e0
        resume = f.result("i64", f"zext i1 {c0.differs(0).name} to i64")
        one = f.number("i64", 1)
        # Behind the last piece there is room for a whole tile: what comes of it is never read.
        with f.when(entries > 0), f.loop(self.count, step=self.piece_tile, name="tile") as start:
            f.call(
                self.micro, self.weights, f.at(self.input, "float", start * self.piece_pitch), self.list,
                entries, cn, self.panel, one, f.at(sums, "float", start * self.panel), self.panel, resume,
                self.piece_pitch,
            )  # fmt: skip
        nothing = entries.equals(0) & resume.equals(0)
        with f.when(nothing), f.loop(self.count * self.panel, step=self.width) as i:
            f.store(f.number(vector(self.width, "float"), 0), sums, i)

    def _store(self, k: Value, kn: Value) -> None:
        f = self.f
        moved = f.at(self.bias, "float", self.first_output + k, wild=True)
        bias = f.select(self.bias.differs(f.null()), moved, f.null())
        first_column = self.q0 * self.piece_columns
        columns = f.least(self.out_columns - first_column, self.qn * self.piece_columns)
        line_size = self.qn * self.piece_columns * self.panel
        with (
            f.loop(self.n1, start=self.n0, name="sample") as n,
            f.loop(self.rows, name="row") as row,
        ):
            piece = ((n - self.n0) * self.rows + row) * self.qn
            sums = f.at(self.sums, "float", piece * self.panel)
            f.call(self.transform_output, sums, self.pixels, self.qn, self.sum_step)
            first = (self.h0 + row) * self.piece_lines
            with f.loop(f.least(self.out_lines - first, self.piece_lines), name="line") as line:
                place = n * self.y_batch + (first + line) * self.y_line + k * self.y_channel
                place = place + first_column * self.y_column
                f.call(
                    self.store, f.at(self.pixels, "float", line * line_size),
                    f.at(self.y_start, "float", place), bias, kn, columns, self.y_channel, self.y_column,
                    self.slope,
                )  # fmt: skip
