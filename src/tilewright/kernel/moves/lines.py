"""Lines put together from runs of other lines: padding and cropping, windows laid out as columns.

Definition, for every plane, every line of it that is written, and every run of the line:

    for k in 0 … length − 1:
        y[to + at + k] = x[from + source + k·step],  or the filler where the source is below 0

Elements are integers as wide as those that are moved. Schedule of a unit, a few planes or some lines of one:

    for each plane: for each line: for each run:
        of a step of 1 or 0: whole vectors, the last over part of the one before; a few elements one by one
        of a step of 2: every second lane of two vectors
        of any other: one by one
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.kernel.builder import Function, Value, shuffle, size_of, splat, vector
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "y",
    # tables
    "lines", "runs",
    # a plane is one of `many` to a group; strides in elements, those of y without gaps
    "many", "x_group", "x_plane", "y_plane",
    # work: units are a few planes, or blocks of lines of one
    "planes", "planes_a_unit", "line_count", "lines_a_unit", "line_blocks",
    # the filler's bits
    "filler",
)  # fmt: skip

#: Words of a line: where it begins in y and what it reads in x, its first run and how many there are.
LINE_WORDS = 4
#: Words of a run: at, length, source and step.
RUN_WORDS = 4

# Runs of fewer bytes than a vector are written in vectors of so many.
_NARROW = 16


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"move_lines_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function, for elements of an integer type."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str) -> None:
        self.f, self.scalar = f, scalar
        # Lanes of the vectors that a run is long enough for, the widest first.
        self.widths = sorted({f.target.vector_bytes // size_of(scalar), _NARROW // size_of(scalar)})[::-1]
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {key: f.pointer(self.word[key]) for key in ("x", "y", "lines", "runs")}
        self.filler = self.word["filler"]
        if scalar != "i64":
            self.filler = f.convert(self.filler, scalar)

    def emit(self) -> None:
        f, word = self.f, self.word
        planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
        first_plane = planes * word["planes_a_unit"]
        last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
        first = block * word["lines_a_unit"]
        last = f.least(first + word["lines_a_unit"], word["line_count"])
        with f.loop(last_plane, start=first_plane, name="plane") as plane:
            group, member = plane // word["many"], plane % word["many"]
            x = f.at(self.pointer["x"], self.scalar, group * word["x_group"] + member * word["x_plane"])
            y = f.at(self.pointer["y"], self.scalar, plane * word["y_plane"])
            with f.loop(last, start=first, name="line") as line:
                entry = f.at(self.pointer["lines"], "i64", line * LINE_WORDS)
                to, source, run, count = (f.load("i64", entry, i) for i in range(LINE_WORDS))
                runs = f.at(self.pointer["runs"], "i64", run * RUN_WORDS)
                to, source = f.at(y, self.scalar, to), f.at(x, self.scalar, source)
                with f.loop(count, name="run") as number:
                    self._run(source, to, f.at(runs, "i64", number * RUN_WORDS))
        f.give()

    def _run(self, x: Value, y: Value, entry: Value) -> None:
        f, scalar = self.f, self.scalar
        at, length, source, step = (f.load("i64", entry, i) for i in range(RUN_WORDS))
        to, start = f.at(y, scalar, at), f.at(x, scalar, source, wild=True)
        with f.when(step.equals(1)):
            self._written(
                to,
                length,
                lambda k, width: f.load(vector(width, scalar), start, k),
                lambda k: f.load(scalar, start, k),
            )
        with f.when(step.equals(0)):
            choice = f.either(source < 0, scalar)
            with choice:
                choice.yes(self.filler)
                choice.otherwise()
                choice.no(f.load(scalar, start))
            one = choice.result
            self._written(to, length, lambda k, width: splat(f, one, width), lambda k: one)
        with f.when(step.equals(2)):
            width = self.widths[0]
            type = vector(width, scalar)
            whole = length // width * width
            with f.loop(whole, step=width, name="second") as k:
                place = f.at(start, scalar, k * 2)
                # The second vector begins one element early: behind the last that is taken nothing is read.
                later = f.load(type, place, width - 1)
                lanes = [2 * i if 2 * i < width else 2 * i + 1 for i in range(width)]
                f.store(shuffle(f, f.load(type, place), later, lanes), to, k)
            self._one_by_one(to, start, whole, length, step)
        # As numbers without a sign, all steps that are negative are large.
        with f.when(f.result("i1", f"icmp ugt {step}, 2")):
            self._one_by_one(to, start, f.number("i64", 0), length, step)

    def _written(
        self,
        to: Value,
        length: Value,
        vector_at: Callable[[Value, int], Value],
        element_at: Callable[[Value], Value],
    ) -> None:
        """Writes a run, in the widest vectors that it is long enough for."""
        f = self.f
        short = length
        for number, width in enumerate(self.widths):
            enough = length >= width
            if number:
                enough = enough & (length < self.widths[number - 1])
            with f.when(enough):
                last = length - width
                with f.loop(last, step=width, name=f"by{width}") as k:
                    f.store(vector_at(k, width), to, k)
                f.store(vector_at(last, width), to, last)
        short = f.select(length < self.widths[-1], length, 0)
        with f.loop(short, name="few") as k:
            f.store(element_at(k), to, k)

    def _one_by_one(self, to: Value, start: Value, first: Value, length: Value, step: Value) -> None:
        f = self.f
        with f.loop(length, start=first, name="each") as k:
            f.store(f.load(self.scalar, f.at(start, self.scalar, k * step, wild=True)), to, k)
