"""Columns added up where their windows lay: the adjoint of unfolding, line by line.

Definition, for every plane and every line of it that is written:

    y[…] = 0
    for each run of the line, in order: for k in 0 … length − 1:
        y[to + at + k·step] += x[source + k]

Schedule: a line stays in the L1 cache while its runs are added, in vectors where the step is 1.
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_load,
    masked_store,
    size_of,
    vector,
)
from tilewright.kernel.moves.lines import LINE_WORDS, RUN_WORDS
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "y",
    # tables, with the words of :mod:`tilewright.kernel.moves.lines`
    "lines", "runs",
    # elements of a plane of either, and of a line that is written
    "x_plane", "y_plane", "length",
    "planes", "planes_a_unit", "line_count", "lines_a_unit", "line_blocks",
)  # fmt: skip


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"move_folded_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str) -> None:
        self.f, self.scalar = f, scalar
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {key: f.pointer(self.word[key]) for key in ("x", "y", "lines", "runs")}

    def emit(self) -> None:
        f, word = self.f, self.word
        planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["line_count"])
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            x = f.at(self.pointer["x"], self.scalar, plane * word["x_plane"])
            y = f.at(self.pointer["y"], self.scalar, plane * word["y_plane"])
            with f.loop(last, start=first, name="line") as line:
                entry = f.at(self.pointer["lines"], "i64", line * LINE_WORDS)
                to, _, run, count = (f.load("i64", entry, i) for i in range(LINE_WORDS))
                runs = f.at(self.pointer["runs"], "i64", run * RUN_WORDS)
                self._line(x, f.at(y, self.scalar, to), runs, count)
        f.give()

    def _line(self, x: Value, y: Value, runs: Value, count: Value) -> None:
        f, scalar, width = self.f, self.scalar, self.width
        length = self.word["length"]
        nothing = f.number(self.type, 0)
        whole = length // width * width
        with f.loop(whole, step=width, name="clear") as k:
            f.store(nothing, y, k)
        with f.loop(length, start=whole, step=width, name="clear_rest") as k:
            masked_store(f, nothing, f.at(y, scalar, k), first_lanes(f, length - k, width))
        with f.loop(count, name="run") as number:
            entry = f.at(runs, "i64", number * RUN_WORDS)
            at, stop, source, step = (f.load("i64", entry, i) for i in range(RUN_WORDS))
            to, start = f.at(y, scalar, at), f.at(x, scalar, source)
            beside = step.equals(1)
            whole = f.select(beside, stop // width * width, 0)
            with f.loop(whole, step=width, name="added") as k:
                f.store(f.load(self.type, to, k) + f.load(self.type, start, k), to, k)
            with f.loop(f.select(beside, stop, 0), start=whole, step=width, name="added_rest") as k:
                mask = first_lanes(f, stop - k, width)
                place, given = f.at(to, scalar, k), f.at(start, scalar, k)
                total = masked_load(f, self.type, place, mask) + masked_load(f, self.type, given, mask)
                masked_store(f, total, place, mask)
            with f.loop(f.select(beside, f.number("i64", 0), stop), name="each") as k:
                place = f.at(to, scalar, k * step)
                f.store(f.load(scalar, place) + f.load(scalar, start, k), place)
