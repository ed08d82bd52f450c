"""The driver of the weight gradient by Winograd's F(3×3, 2×2).

    gW = Aᵀ [ Σ_pieces (G gy Gᵀ) ⊙ (Bᵀ x B) ] A

Three by three weights see, of each piece, 2×2 numbers of gy and 4×4 of x: 16 multiplications where the
definition
takes 36. Bᵀ is that of F(2×2, 3×3) (the same four points, see ``winograd_transforms``); G and A are those of
kernels of two and outputs of three:

         | 1   0 |
     G = | ½   ½ |         | 1  1  1  0 |
         | ½  −½ |    Aᵀ = | 0  1 −1  0 |
         | 0   1 |         | 0  1  1 −1 |

Schedule: that of the plain driver, for each block of rows of pieces; its packed lines are transformed, then
the
micro-kernel sums over pieces, place by place of the 16; the sums are mapped back where they lie, and written.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.kernel.builder import Function, Value, vector
from tilewright.kernel.tiles import weights_driver
from tilewright.kernel.tiles.fields import Fields
from tilewright.kernel.tiles.winograd_transforms import PLACES, both_ways, input_map
from tilewright.plan.target import Target

FIELDS = Fields(
    *weights_driver.FIELDS.names,
    # pieces in a row, and of a block; lines of gy
    "pieces", "piece_room", "out_lines",
    # places in scratch: lines of gy as packed, both operands transformed, a line of zeros
    "lines_at", "input_at", "zeros_at",
)  # fmt: skip


def name() -> str:
    """The symbol of the driver."""
    return "weight_gradient_winograd"


def emit(target: Target) -> str:
    """The driver."""
    f = Function(name(), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Driver(f, "float", FIELDS, weights_driver.ADDRESSES).emit()
    return f.text()


def _store_places(f: Function, values: list[list[Value]], out: Value, step: Value) -> None:
    for number in range(PLACES):
        f.store(values[number // 4][number % 4], out)
        if number < PLACES - 1:
            out = f.at(out, "float", step)


def _output_map(m: Sequence[Value]) -> list[Value]:
    return [m[0] + m[1] + m[2], m[1] - m[2], m[1] + m[2] - m[3]]


class _Driver(weights_driver.Driver):
    def _block(self, block: Value) -> None:
        f = self.f
        line_block, rest = block % self.line_block_count, block // self.line_block_count
        lead, n = rest % self.leads, rest // self.leads
        entry = f.at(self.line_blocks, "i64", line_block * 4)
        self.h0, self.h1, listed, self.packed_lines = (f.load("i64", entry, i) for i in range(4))
        self.lines = f.at(self.lines_read, "i64", listed)
        self.q0 = f.number("i64", 0)
        self.e0 = f.load("i64", self.lead_starts, lead)
        self.e1 = f.load("i64", self.lead_starts, lead + 1)
        self.zeros = f.at(f["scratch"], "float", self.zeros_at)
        self.input = f.at(f["scratch"], "float", self.input_at)
        with f.loop(self.length * self.remainder_count * self.pitch, step=self.width, name="zero") as i:
            f.store(f.number(vector(self.width, "float"), 0), self.zeros, i)
        gy = n * self.gy_batch + f.load("i64", self.lead_outputs, lead)
        self._transform_gy(f.at(self.gy_start, "float", gy))
        self._pack_x(f.at(self.x_start, "float", n * self.x_batch))
        self._transform_x()
        self._multiply()

    def _transform_gy(self, gy: Value) -> None:
        """Into [panel][place][piece][lane]."""
        f = self.f
        packed = f.at(f["scratch"], "float", self.lines_at)
        zero = f.number("i64", 0)
        with (
            f.loop(self.h1, start=self.h0, name="row") as h,
            f.loop(self.panels, name="panel") as p,
        ):
            count = f.least(self.kn - p * self.panel, self.panel)
            with f.loop(4 * self.pieces * self.panel, step=self.width, name="zero") as i:
                f.store(f.number(vector(self.width, "float"), 0), packed, i)
            with f.loop(f.least(self.out_lines - h * 2, 2), name="line") as i:
                line = (h * 2 + i) * self.gy_line + p * (self.panel * self.gy_channel)
                source = f.at(gy, "float", line)
                out = f.at(packed, "float", i * (2 * self.pieces * self.panel))
                f.call(
                    self.pack_gy, source, out, count, self.panel, zero, self.columns, self.columns,
                    self.gy_channel, self.gy_column,
                )  # fmt: skip
            place = p * (PLACES * self.piece_room) + (h - self.h0) * self.pieces
            out = f.at(self.packed_gy, "float", place * self.panel)
            self._map_gy(packed, out)

    def _map_gy(self, packed: Value, out: Value) -> None:
        """From two packed lines [line][column][lane] to out[place][piece][lane], one row of pieces."""
        f, type, lanes = self.f, vector(self.width, "float"), self.panel
        half = f.number(type, 0.5)

        def map_of(g: Sequence[Value]) -> list[Value]:
            a, b = g[0] * half, g[1] * half
            return [g[0], a + b, a - b, g[1]]

        line_step = self.pieces * 2 * lanes
        with f.loop(self.pieces, name="piece") as q, f.loop(lanes, step=self.width, name="lane") as lane:
            g = [
                [f.load(type, packed, line_step * i + (q * 2 + j) * lanes + lane) for j in range(2)]
                for i in range(2)
            ]
            to = f.at(out, "float", q * lanes + lane)
            _store_places(f, both_ways(g, map_of), to, self.piece_room * lanes)

    def _transform_x(self) -> None:
        """Into [lead][place][piece][channel]."""
        f = self.f
        with (
            f.loop(self.e1 - self.e0, name="lead") as e,
            f.loop(self.h1 - self.h0, name="row") as row,
        ):
            packed = f.at(f["scratch"], "float", e * self.line_room * self.line_size_packed)
            slots = f.at(self.line_slots, "i64", (self.h0 + row) * 4)
            place = e * (PLACES * self.piece_room) + row * self.pieces
            out = f.at(self.input, "float", place * self.pitch)
            self._map_x(packed, slots, out)

    def _map_x(self, packed: Value, slots: Value, out: Value) -> None:
        """From packed lines [slot][stretch][position][channel] to out[place][piece][channel], one row."""
        f, type, pitch = self.f, vector(self.width, "float"), self.pitch
        columns = [f.load("i64", self.row_entries, j) * pitch for j in range(4)]
        lines = []
        for i in range(4):
            slot = f.load("i64", slots, i)
            line = f.at(packed, "float", slot * self.line_size_packed, wild=True)
            lines.append(f.select(slot < 0, self.zeros, line))
        with f.loop(self.pieces, name="piece") as q, f.loop(pitch, step=self.width, name="channel") as c:
            d = [[f.load(type, line, q * pitch + c + column) for column in columns] for line in lines]
            to = f.at(out, "float", q * pitch + c)
            _store_places(f, both_ways(d, input_map), to, self.piece_room * pitch)

    def _multiply(self) -> None:
        f = self.f
        zero, one = f.number("i64", 0), f.number("i64", 1)
        f.store(zero, self.list, 0)
        f.store(zero, self.list, 1)
        count = (self.h1 - self.h0) * self.pieces
        with (
            f.loop(self.e1, start=self.e0, name="lead") as e,
            f.loop(PLACES, name="place") as place,
            f.loop(self.panels, name="panel") as p,
        ):
            vectors = f.at(self.packed_gy, "float", (p * PLACES + place) * self.piece_room * self.panel)
            pieces = ((e - self.e0) * PLACES + place) * self.piece_room * self.pitch
            number = (f.load("i64", self.lead_entries, e * 2) * PLACES + place) * self.tile_room
            with f.loop(self.tiles, name="tile") as t:
                scalars = f.at(self.input, "float", pieces + f.least(t * self.tile, self.last_tile))
                sums = f.at(self.sums, "float", p * self.panel_size + (number + t) * self.tile_size)
                f.call(
                    self.micro, vectors, scalars, self.list, one, count, self.panel, self.pitch, sums,
                    self.panel, one,
                )  # fmt: skip

    def _write(self) -> None:
        """The 16 sums become 9 weights where they lie; the plain driver's table finds them there."""
        f = self.f
        type, step = vector(self.width, "float"), self.tile_room * self.tile_size
        with (
            f.loop(self.panels * (self.tap_room // PLACES), name="panel") as number,
            f.loop(step, step=self.width, name="lane") as i,
        ):
            start = f.at(self.sums, "float", number * (PLACES * step) + i)
            sums = [[f.load(type, start, step * (4 * a + b)) for b in range(4)] for a in range(4)]
            found = both_ways(sums, _output_map)
            for tap in range(9):
                f.store(found[tap // 3][tap % 3], start, step * tap)
        super()._write()
