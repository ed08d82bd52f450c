"""Sparse matrices along the rows and the columns of planes, one after the other, in one pass.

Definition, for a plane x of (rows, columns, inner) and a matrix of either axis or both, D of the rows and A
of the columns:

    rows           y[o] = Σ_i D[o, i] · x[i]
    columns        y[:, o] = Σ_j A[o, j] · x[:, j]
    rows_columns   the first, then the second
    columns_rows   the second, then the first

Terms are added in order, each product rounded before, from −0 on, which changes nothing (or from 0, where
some output has no term). With ``moves`` every output is one input: nothing is computed, so what is moved may
be anything as wide. Schedule of a unit, some rows of a plane or a few planes:

    columns_rows   for each row of x that the unit's rows need: its columns, into scratch
                   for each row of the unit: its terms from scratch
    rows_columns   for each row of the unit: its terms into scratch; its columns
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_load,
    masked_store,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.sampling.pick import Picker, picks
from tilewright.kernel.sampling.tables import BLOCK_WORDS
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("rows", "columns", "rows_columns", "columns_rows")
FIELDS = Fields(
    "x", "y",
    # tables of the rows: first terms, inputs and weights; of each block of rows, which rows of x it needs
    "row_starts", "row_sources", "row_weights", "spans",
    # tables of the columns; if a sample is deep, as those of the rows, in the first three
    "column_starts", "column_sources", "column_weights", "bases",
    # work: units are a few planes, or blocks of rows of one
    "planes", "planes_a_unit", "row_count", "rows_a_unit", "row_blocks",
    # elements of a plane and of a row, read and written; of a sample; of a row in scratch
    "x_plane", "y_plane", "x_row", "y_row", "inner", "between",
    # blocks of columns (if deep, columns) and columns
    "blocks", "columns",
    # what sums begin with, as doubles
    "row_start", "column_start",
)  # fmt: skip

# Vectors of a row that are summed together, so that the list of terms is read once for all of them.
_TOGETHER = 4


def name(scalar: str, kind: str, deep: bool, moves: bool) -> str:
    """The symbol of the function."""
    return f"sampled_{scalar}_{kind}{'_deep' if deep else ''}{'_moves' if moves else ''}"


def emit(target: Target, scalar: str, kind: str, deep: bool, moves: bool) -> str:
    """The function; ``deep``: samples of several elements are combined as rows are."""
    f = Function(name(scalar, kind, deep, moves), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, kind, deep, moves).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str, deep: bool, moves: bool) -> None:
        self.f, self.scalar, self.kind, self.deep, self.moves = f, scalar, kind, deep, moves
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names if "_start" not in key[-6:]}
        self.starts = {
            key: splat(
                f, f.convert(f.load("double", f["args"], FIELDS.place[f"{key}_start"]), scalar), self.width
            )
            for key in ("row", "column")
        }
        tables = FIELDS.names[: FIELDS.place["planes"]]
        self.pointer = {key: FIELDS.address(f, f["args"], key) for key in tables}
        self.x_row, self.y_row = self.word["x_row"], self.word["y_row"]

    def emit(self) -> None:
        f, word, scalar = self.f, self.word, self.scalar
        planes, self.block = f["unit"] // word["row_blocks"], f["unit"] % word["row_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = self.block * word["rows_a_unit"]
        last = f.least(first + word["rows_a_unit"], word["row_count"])
        if not self.deep and self.kind != "rows":
            self.picker = Picker(f, scalar, self.x_row)
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            x = f.at(self.pointer["x"], scalar, plane * word["x_plane"])
            y = f.at(self.pointer["y"], scalar, plane * word["y_plane"])
            getattr(self, f"_{self.kind}")(x, y, first, last)
        f.give()

    def _rows(self, x: Value, y: Value, first: Value, last: Value) -> None:
        f = self.f
        with f.loop(last, start=first, name="row") as o:
            self._row(x, f.at(y, self.scalar, o * self.y_row), o, self.x_row, self.y_row)

    def _columns(self, x: Value, y: Value, first: Value, last: Value) -> None:
        f = self.f
        with f.loop(last, start=first, name="row") as o:
            self._across(f.at(x, self.scalar, o * self.x_row), f.at(y, self.scalar, o * self.y_row))

    def _rows_columns(self, x: Value, y: Value, first: Value, last: Value) -> None:
        f = self.f
        with f.loop(last, start=first, name="row") as o:
            self._row(x, f["scratch"], o, self.x_row, self.x_row)
            self._across(f["scratch"], f.at(y, self.scalar, o * self.y_row))

    def _columns_rows(self, x: Value, y: Value, first: Value, last: Value) -> None:
        f, between = self.f, self.word["between"]
        low, high = (f.load("i64", self.pointer["spans"], self.block * 2 + i) for i in range(2))
        with f.loop(high, start=low, name="needed") as i:
            self._across(
                f.at(x, self.scalar, i * self.x_row), f.at(f["scratch"], self.scalar, (i - low) * between)
            )
        # Inputs are counted from the first row of the plane.
        held = f.at(f["scratch"], self.scalar, (f.number("i64", 0) - low) * between, wild=True)
        with f.loop(last, start=first, name="row") as o:
            self._row(held, f.at(y, self.scalar, o * self.y_row), o, between, self.y_row)

    def _row(self, x: Value, to: Value, o: Value, stride: Value, length: Value) -> None:
        """One row: the sum of its terms."""
        self._combined("row", x, to, o, stride, length)

    def _across(self, x: Value, to: Value) -> None:
        """The columns of one row."""
        f, inner = self.f, self.word["inner"]
        if self.deep:
            with f.loop(self.word["blocks"], name="column") as o:
                self._combined("column", x, f.at(to, self.scalar, o * inner), o, inner, inner)
            return
        with f.loop(self.word["blocks"], name="block") as number:
            entry = f.at(self.pointer["column_starts"], "i64", number * BLOCK_WORDS)
            at, layers, first, near = (f.load("i64", entry, i) for i in range(BLOCK_WORDS))
            if picks(f.target, self.scalar):
                choice = f.either(near.differs(0), self.type)
                with choice:
                    choice.yes(self._layers(x, layers, first, True))
                    choice.otherwise()
                    choice.no(self._layers(x, layers, first, False))
                found = choice.result
            else:
                found = self._layers(x, layers, first, False)
            left = self.word["columns"] - at
            place = f.at(to, self.scalar, at)
            with f.when(left >= self.width):
                f.store(found, place)
            with f.when(left < self.width):
                masked_store(f, found, place, first_lanes(f, left, self.width))

    def _layers(self, x: Value, layers: Value, first: Value, near: bool) -> Value:
        """A vector of columns: the sum of its layers."""
        f, width = self.f, self.width
        loop = f.loop(layers, carry=[self.starts["column"]], name="layer")
        with loop as term:
            number = first + term
            lanes = f.load(vector(width, "i32"), self.pointer["column_sources"], number * width)
            if near:
                low, high = (f.load("i64", self.pointer["bases"], number * 2 + i) for i in range(2))
                seen = self.picker.picked(x, low, high, lanes)
            else:
                seen = self.picker.gathered(x, lanes)
            if self.moves:
                loop.carry([seen])
            else:
                weights = f.load(self.type, self.pointer["column_weights"], number * width)
                added = loop.carried[0] + seen * weights
                loop.carry([f.select(lanes >= 0, added, loop.carried[0])])
        return loop.results[0]

    def _combined(self, tables: str, x: Value, to: Value, o: Value, stride: Value, length: Value) -> None:
        """``to[…] = Σ weight · x[source · stride + …]`` over the terms of output o."""
        f, width = self.f, self.width
        starts = self.pointer[f"{tables}_starts"]
        first, last = f.load("i64", starts, o), f.load("i64", starts, o + 1)
        begin = f.number("i64", 0)
        for count in (_TOGETHER, 1):
            step = count * width
            stop = begin + (length - begin) // step * step
            with f.loop(stop, start=begin, step=step, name=f"by{count}") as i:
                for v, total in enumerate(self._terms(tables, x, i, first, last, stride, count, None)):
                    f.store(total, to, i + v * width)
            begin = stop
        with f.when(begin < length):
            mask = first_lanes(f, length - begin, width)
            (total,) = self._terms(tables, x, begin, first, last, stride, 1, mask)
            masked_store(f, total, f.at(to, self.scalar, begin), mask)

    def _terms(
        self,
        tables: str,
        x: Value,
        i: Value,
        first: Value,
        last: Value,
        stride: Value,
        count: int,
        mask: Value | None,
    ) -> list[Value]:
        f, width = self.f, self.width
        loop = f.loop(last, start=first, carry=[self.starts[tables]] * count, name="term")
        with loop as term:
            source = f.load("i64", self.pointer[f"{tables}_sources"], term)
            place = f.at(x, self.scalar, source * stride + i)
            if not self.moves:
                weight = splat(f, f.load(self.scalar, self.pointer[f"{tables}_weights"], term), width)
            totals = []
            for v in range(count):
                if mask is None:
                    seen = f.load(self.type, place, v * width)
                else:
                    seen = masked_load(f, self.type, place, mask)
                totals.append(seen if self.moves else loop.carried[v] + seen * weight)
            loop.carry(totals)
        return loop.results
