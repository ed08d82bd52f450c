"""Packing one line of the input: padded with zeros, sorted by remainder, channel after channel.

Definition, for the stretch (first, end, column) and the block of positions that starts at ``base``:

    out[c][stretch][b] = x[c][column + every·(base + b)]   if first ≤ base + b < end, else 0

Schedules, by the layout of x: ``columns`` (columns are consecutive in memory, every = 1 or 2: vectors along
the row), ``channels`` (channels are consecutive: squares of vectors turned over), ``any`` (one by one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    load_pairs,
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


def name(scalar: str, schedule: str, stored: str = "") -> str:
    """The symbol of a packing function; ``stored``: of what kind of halves x is, if it is."""
    return labelled(f"pack_rows_{scalar}_{schedule}", stored)


def emit(target: Target, scalar: str, schedule: str, fields: Fields, stored: str = "") -> str:
    """A packing function. The packed length of a stretch is a multiple of the vector's lanes."""
    f = Function(name(scalar, schedule, stored), target, ARGUMENTS, stored={"source": stored})
    words = ("length", "pitch", "every", "x_channel", "x_column", "x_line")
    length, pitch, every, x_channel, x_column, x_line = fields.all(f, f["args"], *words)
    line_pitch = f["channels"] * pitch
    table = fields.address(f, f["args"], "remainders")
    count = fields.read(f, f["args"], "remainder_count")
    step = every * x_column

    def stretch(number: Value) -> tuple[Value, Value, Value]:
        entry = f.at(table, "i64", number * 3)
        first = f.least(f.greatest(f.load("i64", entry, 0) - f["base"], 0), length)
        end = f.least(f.load("i64", entry, 1) - f["base"], length)
        column = f.load("i64", entry, 2) + f["base"] * every
        return first, end, column * x_column

    if schedule == "channels":
        with f.loop(f["count"], name="line") as number, f.loop(count, name="stretch") as part:
            first, end, offset = stretch(part)
            source = f.at(f["source"], scalar, f.load("i64", f["lines"], number) * x_line + offset, wild=True)
            out = f.at(f["out"], scalar, number * line_pitch + part * length)
            line = Line(f, scalar, first, end, source)
            _along_channels(line, out, f["channels"], length, pitch, step)
        return f.text()
    # Far enough ahead in memory that it arrives in time: what the next channels' lines hold.
    ahead = x_channel * (f.number("i64", _AHEAD) // (f["count"] * length + 1) + 1)

    def lines(first: Value, end: Value, offset: Value, part: Value) -> Iterator[tuple[Line, Value]]:
        """Line after line of one channel: neighbours in memory."""
        with f.loop(f["channels"], name="channel") as c, f.loop(f["count"], name="line") as number:
            place = c * x_channel + f.load("i64", f["lines"], number) * x_line + offset
            out = f.at(f["out"], scalar, c * pitch + number * line_pitch + part * length)
            yield Line(f, scalar, first, end, f.at(f["source"], scalar, place, wild=True), ahead), out

    with f.loop(count, name="stretch") as part:
        given = (*stretch(part), part)
        if schedule == "any":
            for line, out in lines(*given):
                _one_by_one(line, out, length, step)
        else:
            _in_vectors(f, scalar, given, lines, length, 2 if schedule == "columns2" else 1)
    return f.text()


# Numbers between what is packed and what is asked for: 2 KiB, which take longer to pack than memory to
# answer.
_AHEAD = 512


class Line:
    """One stretch of a line: positions first…end−1 exist; ``start`` is where position 0 would be.

    What is read ``ahead`` numbers behind is asked for early.
    """

    def __init__(
        self, f: Function, scalar: str, first: Value, end: Value, start: Value, ahead: Value | None = None
    ) -> None:
        self.f, self.scalar, self.first, self.end, self.start = f, scalar, first, end, start
        self.ahead = ahead or f.number("i64", 0)
        self.width = f.target.vector_bytes // (4 if scalar == "float" else 8)
        self.type = vector(self.width, scalar)


def _in_vectors(
    f: Function,
    scalar: str,
    given: tuple[Value, Value, Value, Value],
    lines: Callable[..., Iterator[tuple[Line, Value]]],
    length: Value,
    every: int,
) -> None:
    """Vectors along the row, of every or every second column.

    All lines are alike. Where only their first and their last vector may have lanes that aren't there, the
    masks of the two are found once for all lines.
    """
    first, end, _, _ = given
    width = f.target.vector_bytes // (4 if scalar == "float" else 8)
    last = length - width
    ends = [_there(first, end, b, width, every) for b in (f.number("i64", 0), last)]
    line = Line(f, scalar, first, end, f.null())
    # Where no instruction reads by a mask, one branch for a vector that is whole costs less.
    masked = f.target.vector_bytes > 16
    head, tail = ([between(line, *pair) for pair in pairs] if masked else pairs for pairs in ends)
    # Of every second column, a vector reads one more than it takes, which must be there.
    simple = (first <= width) & (end >= last + (every - 1))
    with f.when(simple):
        for line, out in lines(*given):
            f.store(_read(line, f.number("i64", 0), every, head), out)
            with f.loop(last, start=width, step=width, name="column") as b:
                f.soon(f.at(line.start, scalar, b * every + line.ahead, wild=True))
                f.store(_read(line, b, every, None), out, b)
            f.soon(f.at(line.start, scalar, last * every + line.ahead, wild=True))
            with f.when(last > 0):
                f.store(_read(line, last, every, tail), out, last)
    with f.when(simple.equals(0)):
        for line, out in lines(*given):
            with f.loop(length, step=width, name="column") as b:
                f.store(_read(line, b, every, _there(first, end, b, width, every)), out, b)


def _there(first: Value, end: Value, b: Value, width: int, every: int) -> list[tuple[Value, Value]]:
    """Of the vectors that are read at position b: the first lane that is there, and the end of them."""
    if every == 1:
        return [(first - b, end - b)]
    # In columns: 2·first … 2·end − 2 exist; nothing behind the last one may be touched.
    low, high = first * 2 - b * 2, end * 2 - 1 - b * 2
    return [(low, high), (low - width, high - width)]


def _read(line: Line, b: Value, every: int, there: Sequence[Value | tuple[Value, Value]] | None) -> Value:
    """The vector of positions b …; all there, or only the lanes that are."""
    f, width = line.f, line.width
    if every == 2 and there is None:
        return load_pairs(f, line.type, f.at(line.start, line.scalar, b * 2, wild=True))[0]
    found = []
    for i in range(every):
        place = b * every + i * width
        at, known = f.at(line.start, line.scalar, place, wild=True), there[i] if there else None
        if known is None:
            found.append(f.load(line.type, at))
        elif isinstance(known, Value):
            found.append(masked_load(f, line.type, at, known))
        else:
            found.append(window(line, line.start, place, *known))
    return found[0] if every == 1 else shuffle(f, found[0], found[1], [2 * i for i in range(width)])


def window(line: Line, source: Value, place: Value, first: Value, end: Value) -> Value:
    """The vector at ``place``: lanes first…end−1 are read, the others are zeros and not touched."""
    f, width = line.f, line.width
    at = f.at(source, line.scalar, place, wild=True)
    whole = (first <= 0) & (end >= width)
    with f.either(whole, line.type) as choice:
        choice.yes(f.load(line.type, at))
        choice.otherwise()
        mask = between(line, first, end)
        choice.no(masked_load(f, line.type, at, mask))
    return choice.result


def between(line: Line, first: Value, end: Value) -> Value:
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
    # Zeros everywhere first: a few vectors cost less than finding out where.
    with f.loop(length, step=line.width, name="zeros") as b:
        f.store(f.number(line.type, 0), out, b)
    f.soon(f.at(line.start, line.scalar, line.first * step + line.ahead, wild=True))
    with f.loop(line.end, start=line.first, name="inside") as b:
        f.store(f.load(line.scalar, f.at(line.start, line.scalar, b * step, wild=True)), out, b)
