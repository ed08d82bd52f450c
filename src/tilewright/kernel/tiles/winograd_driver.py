"""The driver of Winograd's convolution: one unit of work from packing to storing.

Definition: that of :mod:`tilewright.kernel.tiles.driver`, for kernels of 3×3 taps side by side and stride 1.

Schedule of one unit, which is a block of samples, a lead place, a block of rows of pieces (each piece is 2×2
outputs) and a range of output channels of one group:

    for each block of input channels:
        for each sample and lead tap: pack lines, a few channels at a time, and transform them
        for each panel of output channels:
            pack and transform its weights
            for each of the 16 places of a piece: micro-kernel over the pieces
            after the last channels: transform the sums of each row of pieces to two lines of pixels, and
            store those

Sums of unfinished channels wait in scratch, panel by panel. The order of a sum (blocks of channels, then
channels) depends on the geometry of one sample alone.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, vector
from tilewright.kernel.tiles import driver
from tilewright.kernel.tiles.fields import Fields
from tilewright.kernel.tiles.winograd_transforms import PLACES
from tilewright.plan.target import Target

#: The words of the plain driver, so that both share their packing functions, and some more.
FIELDS = Fields(
    *driver.FIELDS.names,
    # pieces: in a row, between channels of the transformed input, pieces of a tile
    "pieces", "piece_pitch", "piece_tile",
    # which packed line each of the four lines of a row of pieces is, or −1
    "line_slots",
    # outputs of a line, and lines
    "out_columns", "out_lines",
    # input channels packed at a time; panels whose sums wait for further channels
    "pack_channels", "lead_taps", "panels_held",
    # places in scratch
    "zeros_at", "input_at", "pixels_at", "piece_room",
    # functions
    "transform_input", "transform_weights", "transform_output",
)  # fmt: skip

_ADDRESSES = {
    "x", "w", "bias", "y", "lead_starts", "lead_entries", "lead_outputs", "lines_read", "line_blocks",
    "line_slots", "pack_rows", "pack_weights", "micro", "store",
    "transform_input", "transform_weights", "transform_output",
}  # fmt: skip
_UNUSED = {"slope", "remainders", "every", "row_entries", "line_starts", "line_entries", "phases"}


def name() -> str:
    """The symbol of the driver."""
    return "convolve_winograd"


def emit(target: Target) -> str:
    """The driver."""
    f = Function(name(), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Driver(f).emit()
    return f.text()


class _Driver(driver.Driver):
    def __init__(self, f: Function) -> None:
        self.f, self.scalar = f, "float"
        self.words: dict[str, Value] = {
            word: FIELDS.address(f, f["args"], word)
            if word in _ADDRESSES
            else FIELDS.read(f, f["args"], word)
            for word in FIELDS.names
            if word not in _UNUSED
        }
        self.slope = f.load("double", f["args"], FIELDS.place["slope"])

    def emit(self) -> None:
        f = self.f
        self._find_unit()
        self.packed, self.zeros = f["scratch"], self._at(self.zeros_at)
        self.input, self.weights = self._at(self.input_at), self._at(self.weights_at)
        self.held, self.pixels, self.list = (
            self._at(self.sums_at), self._at(self.pixels_at), self._at(self.list_at),
        )  # fmt: skip
        with f.loop(self.pitch, name="zero") as i:
            f.store(f.number("float", 0), self.zeros, i)
        with f.loop(self.channels, step=self.channel_block, name="channels") as c0:
            cn = f.least(self.channels - c0, self.channel_block)
            self._transform_input(c0, cn)
            panels = f.loop(self.k1, start=self.k0, step=self.panel, carry=[f.number("i64", 0)], name="panel")
            with panels as k:
                (number,) = panels.carried
                kn = f.least(self.k1 - k, self.panel)
                self._transform_weights(k, kn, c0, cn)
                place = number * (self.piece_room * PLACES * self.panel)
                self.sums = f.at(self.held, "float", place)
                with f.loop(PLACES, name="place") as place:
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
        self._find_block(output_block, u)
        self.slots = f.at(self.line_slots, "i64", self.h0 * 4)
        self.rows = self.h1 - self.h0
        self.count = (self.n1 - self.n0) * self.rows * self.pieces

    def _transform_input(self, c0: Value, cn: Value) -> None:
        f = self.f
        zero = f.number("i64", 0)
        with (
            f.loop(self.n1, start=self.n0, name="sample") as n,
            f.loop(self.e1, start=self.e0, name="lead") as e,
            f.loop(cn, step=self.pack_channels, name="channels") as c,
        ):
            some = f.least(cn - c, self.pack_channels)
            place = n * self.x_batch + f.load("i64", self.lead_entries, e * 2 + 1)
            source = f.at(self.x_start, "float", place + (c0 + c) * self.x_channel)
            f.call(self.pack_rows, f["args"], source, self.packed, some, self.lines, self.packed_lines, zero)
            place = ((e - self.e0) * PLACES * self.channel_block + c) * self.piece_pitch
            place = place + (n - self.n0) * self.rows * self.pieces
            out = f.at(self.input, "float", place)
            f.call(self.transform_input, f["args"], self.packed, self.zeros, self.slots, out, some, self.rows)

    def _transform_weights(self, k: Value, kn: Value, c0: Value, cn: Value) -> None:
        f = self.f
        with (
            f.loop(self.lead_taps, name="lead") as tap,
            f.loop(cn, step=self.pack_channels, name="channels") as c,
        ):
            some = f.least(cn - c, self.pack_channels)
            place = k * self.w_output + (c0 + c) * self.w_channel + tap * self.taps * self.w_tap
            source = f.at(self.w_start, "float", place, wild=True)
            f.call(self.pack_weights, f["args"], source, self.packed, kn, some)
            out = f.at(self.weights, "float", (tap * PLACES * self.channel_block + c) * self.panel)
            f.call(self.transform_weights, self.packed, out, some, self.channel_block)

    def _multiply(self, place: Value, c0: Value, cn: Value) -> None:
        """All pieces of the unit at one place: sums[place][piece][lane]."""
        f = self.f
        with f.loop(self.e1, start=self.e0, name="lead") as e:
            number = e - self.e0
            lead_tap = f.load("i64", self.lead_entries, e * 2)
            weights = (lead_tap * PLACES + place) * self.channel_block * self.panel
            pieces = (number * PLACES + place) * self.channel_block * self.piece_pitch
            f.store(weights, self.list, number * 2)
            f.store(pieces, self.list, number * 2 + 1)
        sums = f.at(self.sums, "float", place * self.piece_room * self.panel)
        entries = self.e1 - self.e0
        resume = f.result("i64", f"zext i1 {c0.differs(0).name} to i64")
        # Behind the last piece there is room for a whole tile: what comes of it is never read.
        with f.when(entries > 0), f.loop(self.count, step=self.piece_tile, name="tile") as start:
            f.call(
                self.micro, self.weights, f.at(self.input, "float", start), self.list, entries, cn,
                self.panel, self.piece_pitch, f.at(sums, "float", start * self.panel), self.panel, resume,
            )  # fmt: skip
        nothing = entries.equals(0) & resume.equals(0)
        with f.when(nothing), f.loop(self.count * self.panel, step=self._width()) as i:
            f.store(f.number(vector(self._width(), "float"), 0), sums, i)

    def _width(self) -> int:
        return self.f.target.vector_bytes // 4

    def _store(self, k: Value, kn: Value) -> None:
        f = self.f
        moved = f.at(self.bias, "float", self.first_output + k, wild=True)
        bias = f.select(self.bias.differs(f.null()), moved, f.null())
        with (
            f.loop(self.n1, start=self.n0, name="sample") as n,
            f.loop(self.rows, name="row") as row,
        ):
            piece = ((n - self.n0) * self.rows + row) * self.pieces
            sums = f.at(self.sums, "float", piece * self.panel)
            f.call(self.transform_output, sums, self.pixels, self.pieces, self.piece_room * self.panel)
            first = (self.h0 + row) * 2
            with f.loop(f.least(self.out_lines - first, 2), name="line") as line:
                place = n * self.y_batch + (first + line) * self.y_line + k * self.y_channel
                f.call(
                    self.store, f.at(self.pixels, "float", line * self.pieces * 2 * self.panel),
                    f.at(self.y_start, "float", place), bias, kn, self.out_columns, self.y_channel,
                    self.y_column, self.slope,
                )  # fmt: skip
