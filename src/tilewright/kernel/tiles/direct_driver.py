"""The driver of 1×1 convolutions whose channels are innermost in memory: nothing is packed but the weights.

Definition:

    y[p, k] = act(bias[k] + Σ_c x[p, c] · w[k, c]),   p over all places of all samples

Pixels lie apart in memory and their channels side by side, which is how the micro-kernel can read its scalars
(``apart``). Schedule of one unit, which is a block of rows of pixels, a stretch of their columns and a range
of output channels of one group:

    for each panel of output channels:
        pack its weights
        for each row and tile of pixels:
            for each block of input channels: micro-kernel
            store

The order of a sum (blocks of channels, then channels) depends on the number of channels alone.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, first_lanes, labelled, masked_load, size_of, vector
from tilewright.kernel.tiles import driver
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The words of the plain driver, so that both share their packing of weights, and some more.
FIELDS = Fields(
    *driver.FIELDS.names,
    # where rows of a sample start: (in x, in y); how many a sample has, all have, and a block; pixels of a
    # row
    "row_starts", "sample_rows", "rows", "row_block", "row_blocks", "columns",
    # of halves: where in scratch a tile of pixels is widened to, and from one of them to the next
    "wide_at", "wide_pitch",
)  # fmt: skip

_ADDRESSES = {"x", "w", "bias", "y", "row_starts", "pack_weights", "micro", "store"}


def name(scalar: str, stored: str = "") -> str:
    """The symbol of the driver; ``stored``: of what kind of halves x, w and y are, if they are."""
    return labelled(f"convolve_direct_{scalar}", stored)


def emit(target: Target, scalar: str, stored: str = "") -> str:
    """The driver."""
    f = Function(name(scalar, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Driver(f, scalar, stored).emit()
    return f.text()


class _Driver(driver.Driver):
    def __init__(self, f: Function, scalar: str, stored: str) -> None:
        super().__init__(f, scalar, by_channels=True, stored=stored)
        self.words = {
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
        u = f["unit"]
        output_block, u = u % self.output_blocks, u // self.output_blocks
        column_block, u = u % self.column_blocks, u // self.column_blocks
        row_block, group = u % self.row_blocks, u // self.row_blocks
        k0 = output_block * self.output_block
        k1 = f.least(k0 + self.output_block, self.outputs)
        q0 = column_block * self.column_block
        q1 = f.least(q0 + self.column_block, self.columns)
        r0 = row_block * self.row_block
        r1 = f.least(r0 + self.row_block, self.rows)
        # The last tile of a row starts earlier instead of being filled up.
        last = self.columns - self.tile
        x = f.at(self.x, self.scalar, group * self.x_group)
        y = f.at(self.y, self.scalar, group * self.y_group)
        w = f.at(self.w, self.scalar, group * self.w_group)
        first_output = group * self.outputs
        self.weights = f["scratch"]
        self.sums = f.at(f["scratch"], self.scalar, self.sums_at)
        self.list = f.at(f["scratch"], self.scalar, self.list_at)
        # Where each block of channels starts, among the packed weights and in a pixel.
        with f.loop(self.channels, step=self.channel_block, name="block") as c:
            number = c // self.channel_block
            f.store(c * self.panel, self.list, number * 2)
            f.store(c, self.list, number * 2 + 1)
        with f.loop(k1, start=k0, step=self.panel, name="panel") as k:
            kn = f.least(k1 - k, self.panel)
            f.call(
                self.pack_weights, f["args"], f.at(w, self.scalar, k * self.w_output), self.weights, kn,
                self.channels,
            )  # fmt: skip
            moved = f.at(self.bias, self.scalar, first_output + k, wild=True)
            bias = f.select(self.bias.differs(f.null()), moved, f.null())
            with f.loop(r1, start=r0, name="row") as row:
                n, entry = row // self.sample_rows, row % self.sample_rows * 2
                x_place = f.load("i64", self.row_starts, entry) + n * self.x_batch
                y_place = f.load("i64", self.row_starts, entry + 1) + n * self.y_batch + k
                x_row, y_row = f.at(x, self.scalar, x_place), f.at(y, self.scalar, y_place)
                with f.loop(q1, start=q0, step=self.tile, name="tile") as q:
                    start = f.least(q, last)
                    out = f.at(y_row, self.scalar, start * self.y_column)
                    self._ask_for(out, kn, self.tile, q.differs(q0))
                    with f.when(k.equals(k0)):
                        self._ask_for_next(x_row, f.least(start + self.tile, last))
                    self._tile(f.at(x_row, self.scalar, start * self.x_column))
                    f.call(
                        self.store, self.sums, f.at(y_row, self.scalar, start * self.y_column), bias, kn,
                        self.tile, self.y_channel, self.y_column, self.slope,
                    )  # fmt: skip

    def _pixel_step(self) -> Value:
        return self.y_column

    def _ask_for_next(self, x_row: Value, start: Value) -> None:
        """The cache lines of the tile behind: they come while this one's products are summed."""
        f = self.f
        with f.loop(self.tile, name="soon") as i:
            pixel = f.at(x_row, self.scalar, (start + i) * self.x_column)
            with f.loop(self.channels, step=64 // size_of(self.scalar), name="soon") as c:
                f.soon(f.at(pixel, self.scalar, c))

    def _tile(self, x: Value) -> None:
        f = self.f
        one = f.number("i64", 1)
        pixel_step = self.x_column
        if self.stored:
            x, pixel_step = self._widened(x), self.wide_pitch
        with f.loop(self.channels, step=self.channel_block, name="channels") as c:
            count = f.least(self.channels - c, self.channel_block)
            resume = f.result("i64", f"zext i1 {c.differs(0).name} to i64")
            entry = f.at(self.list, "i64", c // self.channel_block * 2)
            f.call(
                self.micro, self.weights, x, entry, one, count, self.panel, one, self.sums, self.panel,
                resume, pixel_step,
            )  # fmt: skip

    def _widened(self, x: Value) -> Value:
        """A copy of a tile of pixels, which lie apart."""
        f, width = self.f, self.f.target.vector_bytes // size_of(self.scalar)
        type, to = vector(width, self.scalar), f.at(f["scratch"], self.scalar, self.wide_at)
        whole = self.channels // width * width
        mask = first_lanes(f, self.channels - whole, width)
        with f.loop(self.tile, name="widen") as i:
            pixel = f.at(x, self.scalar, i * self.x_column)
            wide = f.at(to, self.scalar, i * self.wide_pitch)
            with f.loop(whole, step=width, name="widen") as c:
                f.store(f.load(type, pixel, c), wide, c)
            with f.when(whole < self.channels):
                f.store(masked_load(f, type, f.at(pixel, self.scalar, whole), mask), wide, whole)
        return to
