"""Packing one line of the input: padded with zeros, sorted by remainder, channel after channel.

Definition, for the stretch (first, end, column) and the block of positions that starts at ``base``:

    out[c][stretch][b] = x[c][column + every·(base + b)]   if first ≤ base + b < end, else 0

Schedules, by the layout of x: ``columns`` (columns are consecutive in memory, every = 1 or 2: vectors along
the row), ``channels`` (channels are consecutive: squares of vectors turned over), ``any`` (one by one).
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_load,
    shuffle,
    splat,
    transpose,
    vector,
)
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: What a packing function is called with: the driver's table, the first number of line 0, where to, how many
#: channels, the numbers of the lines and how many there are, and the first position of the block. Packed
#: lines follow each other, channels within.
ARGUMENTS = {
    "args": "ptr",
    "source": "ptr",
    "out": "ptr",
    "channels": "i64",
    "lines": "ptr",
    "count": "i64",
    "base": "i64",
}

SCHEDULES = ("columns1", "columns2", "channels", "any")


def name(scalar: str, schedule: str) -> str:
    """The symbol of a packing function."""
    return f"pack_rows_{scalar}_{schedule}"


def emit(target: Target, scalar: str, schedule: str, fields: Fields) -> str:
    """A packing function. The packed length of a stretch is a multiple of the vector's lanes."""
    f = Function(name(scalar, schedule), target, ARGUMENTS)
    words = ("length", "pitch", "every", "x_channel", "x_column", "x_line")
    length, pitch, every, x_channel, x_column, x_line = fields.all(f, f["args"], *words)
    line_pitch = f["channels"] * pitch
    table = fields.address(f, f["args"], "remainders")
    count = fields.read(f, f["args"], "remainder_count")
    step = every * x_column

    def stretch(number: Value, source: Value, out: Value) -> tuple[Line, Value]:
        entry = f.at(table, "i64", number * 3)
        first = f.least(f.greatest(f.load("i64", entry, 0) - f["base"], 0), length)
        end = f.least(f.load("i64", entry, 1) - f["base"], length)
        column = f.load("i64", entry, 2) + f["base"] * every
        start = f.at(source, scalar, column * x_column, wild=True)
        return Line(f, scalar, first, end, start), f.at(out, scalar, number * length)

    if schedule == "channels":
        with f.loop(f["count"], name="line") as number, f.loop(count, name="stretch") as part:
            source = f.at(f["source"], scalar, f.load("i64", f["lines"], number) * x_line)
            out = f.at(f["out"], scalar, number * line_pitch)
            _along_channels(*stretch(part, source, out), f["channels"], length, pitch, step)
        return f.text()
    # Line after line of one channel: neighbours in memory.
    with (
        f.loop(f["channels"], name="channel") as c,
        f.loop(f["count"], name="line") as number,
        f.loop(count, name="stretch") as part,
    ):
        place = c * x_channel + f.load("i64", f["lines"], number) * x_line
        source = f.at(f["source"], scalar, place)
        line, out = stretch(part, source, f.at(f["out"], scalar, c * pitch + number * line_pitch))
        if schedule == "columns1":
            _along_columns(line, out, length)
        elif schedule == "columns2":
            _along_every_second(line, out, length)
        else:
            _one_by_one(line, out, length, step)
    return f.text()


class Line:
    """One stretch of a line: positions first…end−1 exist; ``start`` is where position 0 would be."""

    def __init__(self, f: Function, scalar: str, first: Value, end: Value, start: Value) -> None:
        self.f, self.scalar, self.first, self.end, self.start = f, scalar, first, end, start
        self.width = f.target.vector_bytes // (4 if scalar == "float" else 8)
        self.type = vector(self.width, scalar)


def _along_columns(line: Line, out: Value, length: Value) -> None:
    f = line.f
    with f.loop(length, step=line.width, name="column") as b:
        f.store(window(line, line.start, b, line.first - b, line.end - b), out, b)


def _along_every_second(line: Line, out: Value, length: Value) -> None:
    f, width = line.f, line.width
    even = [2 * i for i in range(width)]
    with f.loop(length, step=width, name="column") as b:
        # In columns: 2·first … 2·end − 2 exist; nothing behind the last one may be touched.
        first, end = line.first * 2 - b * 2, line.end * 2 - 1 - b * 2
        low = window(line, line.start, b * 2, first, end)
        high = window(line, line.start, b * 2 + width, first - width, end - width)
        f.store(shuffle(f, low, high, even), out, b)


def window(line: Line, source: Value, place: Value, first: Value, end: Value) -> Value:
    """The vector at ``place``: lanes first…end−1 are read, the others are zeros and not touched."""
    f, width = line.f, line.width
    at = f.at(source, line.scalar, place, wild=True)
    whole = (first <= 0) & (end >= width)
    with f.either(whole, line.type) as choice:
        choice.yes(f.load(line.type, at))
        choice.otherwise()
        mask = _between(line, first, end)
        choice.no(masked_load(f, line.type, at, mask))
    return choice.result


def _between(line: Line, first: Value, end: Value) -> Value:
    """The mask of lanes first…end−1."""
    f, width = line.f, line.width
    below_end = first_lanes(f, f.greatest(f.least(end, width), 0), width)
    below_first = first_lanes(f, f.greatest(f.least(first, width), 0), width)
    return f.select(below_first, f.number(below_end.type, 0), below_end)


def _along_channels(
    line: Line, out: Value, channels: Value, length: Value, pitch: Value, step: Value
) -> None:
    """Squares of ``width`` positions by ``width`` channels."""
    f, width = line.f, line.width
    with f.loop(channels, step=width, name="channel") as c:
        known = first_lanes(f, f.least(channels - c, width), width)
        source = f.at(line.start, line.scalar, c, wild=True)
        with f.loop(length, step=width, name="column") as b:
            rows = []
            for i in range(width):
                position = b + i
                inside = (position >= line.first) & (position < line.end)
                mask = splat(f, inside, width) & known
                rows.append(
                    masked_load(f, line.type, f.at(source, line.scalar, position * step, wild=True), mask)
                )
            for i, turned in enumerate(transpose(f, rows)):
                with f.when(c + i < channels):
                    f.store(turned, f.at(out, line.scalar, (c + i) * pitch + b))


def _one_by_one(line: Line, out: Value, length: Value, step: Value) -> None:
    f = line.f
    zero = f.number(line.scalar, 0)
    with f.loop(line.first, name="before") as b:
        f.store(zero, out, b)
    with f.loop(line.end, start=line.first, name="inside") as b:
        f.store(f.load(line.scalar, f.at(line.start, line.scalar, b * step, wild=True)), out, b)
    with f.loop(length, start=f.greatest(line.end, line.first), name="behind") as b:
        f.store(zero, out, b)
