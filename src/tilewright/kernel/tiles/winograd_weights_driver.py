"""The driver of the weight gradient by Winograd's algorithm.

    gW = Aᵀ [ Σ_pieces (G gy Gᵀ) ⊙ (Bᵀ x B) ] A

The r taps of an axis are its outputs here, and the m outputs of a piece its kernel: the same points, so the
input's transform is that of the forward pass (see :mod:`tilewright.plan.winograd`, ``Scheme.turned``).

Schedule: that of the plain driver, for each block of rows of pieces; its packed lines are transformed, then
the micro-kernel sums over pieces, place by place; the sums are mapped back where they lie, and written.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, labelled, vector
from tilewright.kernel.tiles import weights_driver
from tilewright.kernel.tiles.fields import Fields
from tilewright.kernel.tiles.linear import both_ways
from tilewright.kernel.tiles.winograd_transforms import Pair, label_of, load_places, places_of, store_places
from tilewright.plan.target import Target
from tilewright.plan.winograd import matrices

FIELDS = Fields(
    *weights_driver.FIELDS.names,
    # samples, and how many of them a block has; pieces in a row; lines of gy, columns of x, zeros before a
    # line of x
    "samples", "batch_block", "pieces", "out_lines", "x_columns", "before",
    # numbers between the places of the transformed operands
    "input_step", "gy_step",
    # places in scratch: lines of gy as packed, x transformed, a line of zeros
    "lines_at", "input_at", "zeros_at",
    "transform_input",
)  # fmt: skip


def name(pair: Pair, stored: str = "") -> str:
    """The symbol of the driver; ``stored``: of what kind of halves x and gy are, if they are."""
    return labelled(f"weight_gradient_winograd_{label_of(pair)}", stored)


def emit(target: Target, pair: Pair, stored: str = "") -> str:
    """The driver; ``pair`` is that of the forward pass."""
    f = Function(name(pair, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Driver(f, pair, stored).emit()
    return f.text()


class _Driver(weights_driver.Driver):
    def __init__(self, f: Function, pair: Pair, stored: str) -> None:
        super().__init__(f, "float", FIELDS, weights_driver.ADDRESSES | {"transform_input"}, stored)
        self.pair, self.turned = pair, (pair[0].turned, pair[1].turned)
        self.place_count = places_of(pair)

    def _block(self, block: Value) -> None:
        f = self.f
        column_block, rest = block % self.column_blocks, block // self.column_blocks
        self.q0 = column_block * self.column_block
        self.qn = f.least(self.pieces - self.q0, self.column_block)
        line_block, rest = rest % self.line_block_count, rest // self.line_block_count
        lead, batch_block = rest % self.leads, rest // self.leads
        n0 = batch_block * self.batch_block
        n1 = f.least(n0 + self.batch_block, self.samples)
        entry = f.at(self.line_blocks, "i64", line_block * 4)
        self.h0, self.h1, listed, self.packed_lines = (f.load("i64", entry, i) for i in range(4))
        self.lines = f.at(self.lines_read, "i64", listed)
        self.e0 = f.load("i64", self.lead_starts, lead)
        self.e1 = f.load("i64", self.lead_starts, lead + 1)
        self.zeros = f.at(f["scratch"], "float", self.zeros_at)
        self.input = f.at(f["scratch"], "float", self.input_at)
        with f.loop(self.length * self.pitch, step=self.width, name="zero") as i:
            f.store(f.number(vector(self.width, "float"), 0), self.zeros, i)
        per_sample = (self.h1 - self.h0) * self.qn
        with f.loop(n1, start=n0, name="sample") as n:
            first = (n - n0) * per_sample
            gy = n * self.gy_batch + f.load("i64", self.lead_outputs, lead)
            self._transform_gy(f.at(self.gy_start, "float", gy), first)
            self._transform_x(f.at(self.x_start, "float", n * self.x_batch), first)
        self._multiply((n1 - n0) * per_sample)

    def _transform_gy(self, gy: Value, first: Value) -> None:
        """Into [panel][place][piece][lane], from piece ``first`` on."""
        f = self.f
        outputs, piece_columns = self.pair[0].outputs, self.pair[1].outputs
        packed = f.at(f["scratch"], "float", self.lines_at)
        zero = f.number("i64", 0)
        first_column, length = self.q0 * piece_columns, self.qn * piece_columns
        end = f.least(self.columns - first_column, length)
        line_size = length * self.panel
        with (
            f.loop(self.h1, start=self.h0, name="row") as h,
            f.loop(self.panels, name="panel") as p,
        ):
            count = f.least(self.kn - p * self.panel, self.panel)
            there = f.least(self.out_lines - h * outputs, outputs)
            # Lanes and lines that nothing is packed to must be zeros.
            whole = count.equals(self.panel) & there.equals(outputs)
            with f.when(whole.equals(0)), f.loop(line_size * outputs, step=self.width, name="zero") as i:
                f.store(f.number(vector(self.width, "float"), 0), packed, i)
            with f.loop(there, name="line") as i:
                line = (h * outputs + i) * self.gy_line + p * (self.panel * self.gy_channel)
                source = f.at(gy, "float", line + first_column * self.gy_column)
                f.call(
                    self.pack_gy, source, f.at(packed, "float", i * line_size), count, self.panel, zero, end,
                    length, self.gy_channel, self.gy_column,
                )  # fmt: skip
            place = p * self.place_count * self.gy_step + ((h - self.h0) * self.qn + first) * self.panel
            self._map_gy(packed, f.at(self.packed_gy, "float", place), line_size)

    def _map_gy(self, packed: Value, out: Value, line_size: Value) -> None:
        """From packed lines [line][column][lane] to out[place][piece][lane], one row of pieces."""
        f, type, lanes = self.f, vector(self.width, "float"), self.panel
        (_, line_map, _), (_, last_map, _) = matrices(self.turned[0]), matrices(self.turned[1])
        outputs, columns = self.pair[0].outputs, self.pair[1].outputs
        with f.loop(self.qn, name="piece") as q, f.loop(lanes, step=self.width, name="lane") as lane:
            at = f.at(packed, "float", q * columns * lanes + lane)
            g = [
                [f.load(type, at, line_size * i + lanes * j) for j in range(columns)] for i in range(outputs)
            ]
            to = f.at(out, "float", q * lanes + lane)
            store_places(f, both_ways(f, line_map, last_map, g), to, self.gy_step)

    def _transform_x(self, x: Value, first_piece: Value) -> None:
        """Into [lead][place][piece][channel], from a piece on."""
        f = self.f
        piece_columns, columns_read = self.pair[1].outputs, self.pair[1].places
        first_column = self.q0 * piece_columns - self.before
        length = self.qn * piece_columns + (columns_read - piece_columns)
        first = f.least(f.greatest(f.number("i64", 0) - first_column, 0), length)
        end = f.greatest(f.least(self.x_columns - first_column, length), first)
        line_size = length * self.pitch
        with f.loop(self.e1, start=self.e0, name="lead") as e:
            number = e - self.e0
            start = f.load("i64", self.lead_entries, e * 2 + 1) + first_column * self.x_column
            with f.loop(self.packed_lines, name="line") as slot:
                place = start + f.load("i64", self.lines, slot) * self.x_line
                f.call(
                    self.pack_x, f.at(x, "float", place, wild=True),
                    f.at(f["scratch"], "float", slot * line_size), self.cn, self.pitch, first, end, length,
                    self.x_channel, self.x_column,
                )  # fmt: skip
            with f.loop(self.h1 - self.h0, name="row") as row:
                slots = f.at(self.line_slots, "i64", (self.h0 + row) * self.pair[0].places)
                place = number * self.place_count * self.input_step
                place = place + (row * self.qn + first_piece) * self.pitch
                f.call(
                    self.transform_input, f["scratch"], self.zeros, slots, f.at(self.input, "float", place),
                    self.qn, f.number("i64", piece_columns), self.pitch, line_size, self.pitch,
                    self.input_step,
                )  # fmt: skip

    def _multiply(self, count: Value) -> None:
        f = self.f
        zero, one = f.number("i64", 0), f.number("i64", 1)
        f.store(zero, self.list, 0)
        f.store(zero, self.list, 1)
        with (
            f.loop(self.e1, start=self.e0, name="lead") as e,
            f.loop(self.place_count, name="place") as place,
            f.loop(self.panels, name="panel") as p,
        ):
            vectors = f.at(self.packed_gy, "float", (p * self.place_count + place) * self.gy_step)
            pieces = ((e - self.e0) * self.place_count + place) * self.input_step
            number = (f.load("i64", self.lead_entries, e * 2) * self.place_count + place) * self.tile_room
            with f.loop(self.tiles, name="tile") as t:
                scalars = f.at(self.input, "float", pieces + f.least(t * self.tile, self.last_tile))
                sums = f.at(self.sums, "float", p * self.panel_size + (number + t) * self.tile_size)
                f.call(
                    self.micro, vectors, scalars, self.list, one, count, self.panel, self.pitch, sums,
                    self.panel, one,
                )  # fmt: skip

    def _write(self) -> None:
        """The sums of places become weights where they lie; the plain driver's table finds them there."""
        f, places = self.f, self.place_count
        type, step = vector(self.width, "float"), self.tile_room * self.tile_size
        (line_map, _, _), (last_map, _, _) = matrices(self.turned[0]), matrices(self.turned[1])
        with (
            f.loop(self.panels * (self.tap_room // places), name="panel") as number,
            f.loop(step, step=self.width, name="lane") as i,
        ):
            start = f.at(self.sums, "float", number * (places * step) + i)
            sums = load_places(f, self.pair, start, step, type)
            for row in both_ways(f, line_map, last_map, sums):
                for value in row:
                    f.store(value, start)
                    start = f.at(start, "float", step)
        super()._write()
