"""Packing one line with its channels innermost: what the weight gradient reads, of both its operands.

Definition:

    out[b·pitch + c] = source[c·channel_step + b·column_step]   if first ≤ b < end, else 0

for b < length and c < channels, where 0 ≤ first and end ≤ length. Behind the last channel, zeros may fill up
the last vector, for which pitch has room.

Schedules, by the layout in memory: ``columns1`` and ``columns2`` (column_step is 1 or 2: squares of vectors
turned over), ``channels`` (channel_step is 1: whole vectors), ``any`` (one by one).
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    load_pairs,
    load_square,
    masked_load,
    shuffle,
    splat,
    transpose,
    vector,
)
from tilewright.kernel.tiles.pack_rows import Line, between, window
from tilewright.plan.target import Target

#: What a packing function is called with.
ARGUMENTS = {
    "source": "ptr",
    "out": "ptr",
    "channels": "i64",
    "pitch": "i64",
    "first": "i64",
    "end": "i64",
    "length": "i64",
    "channel_step": "i64",
    "column_step": "i64",
}

SCHEDULES = ("columns1", "columns2", "channels", "any")


def name(scalar: str, schedule: str, stored: str = "") -> str:
    """The symbol of a packing function; ``stored``: of what kind of halves the source is, if it is."""
    return labelled(f"pack_turned_{scalar}_{schedule}", stored)


def emit(target: Target, scalar: str, schedule: str, stored: str = "") -> str:
    """A packing function."""
    f = Function(name(scalar, schedule, stored), target, ARGUMENTS, stored={"source": stored})
    every = 2 if schedule == "columns2" else 1
    # Most often the next line to be packed follows in memory, or the one after it where columns are left out.
    ahead = f["length"] * (every * every)
    line = Line(f, scalar, f["first"], f["end"], f["source"], ahead)
    if schedule in ("columns1", "columns2"):
        _turn(line, every)
    elif schedule == "channels":
        _copy(line)
    else:
        _one_by_one(line)
    return f.text()


def _turn(line: Line, every: int) -> None:
    f, width = line.f, line.width
    with (
        f.loop(f["channels"], step=width, name="channel") as c,
        f.loop(f["length"], step=width, name="column") as b,
    ):
        # Columns in memory that a square reads: every second one, but none behind the last.
        inside = (b >= line.first) & (b + width < line.end + (every == 1))
        whole = inside & (c + width <= f["channels"]) & (b + width <= f["length"])
        with f.when(whole):
            if every == 1:
                starts = [
                    f.at(line.start, line.scalar, (c + i) * f["channel_step"] + b) for i in range(width)
                ]
                for start in starts:
                    f.soon(f.at(start, line.scalar, line.ahead, wild=True))
                square = load_square(f, line.type, starts)
            else:
                square = transpose(f, _rows(line, every, c, b, checked=False))
            for i, turned in enumerate(square):
                f.store(turned, f.at(f["out"], line.scalar, (b + i) * f["pitch"] + c))
        with f.when(whole.equals(0)):
            for i, turned in enumerate(transpose(f, _rows(line, every, c, b, checked=True))):
                with f.when(b + i < f["length"]):
                    f.store(turned, f.at(f["out"], line.scalar, (b + i) * f["pitch"] + c))


def _rows(line: Line, every: int, c: Value, b: Value, *, checked: bool) -> list[Value]:
    """A square: for each of a vector's lanes of channels, a vector of columns."""
    f, width = line.f, line.width
    even = [2 * i for i in range(width)]
    # In columns: of every second one, 2·first … 2·end − 2 exist; nothing behind the last one may be touched.
    ends = [(line.first - b, line.end - b)]
    if every == 2:
        low = line.first * 2 - b * 2, line.end * 2 - 1 - b * 2
        ends = [low, (low[0] - width, low[1] - width)]
    # Where no instruction reads by a mask, one branch for a vector that is whole costs less.
    masked = f.target.vector_bytes > 16
    masks = [between(line, *pair) for pair in ends] if masked and checked else []
    rows = []
    for i in range(width):
        # Of a channel that isn't there nothing is read, but at an address that is: a masked read where no
        # memory is takes hundreds of cycles.
        row = f.least(c + i, f["channels"] - 1) if checked else c + i
        source = f.at(line.start, line.scalar, row * f["channel_step"] + b * every, wild=True)
        f.soon(f.at(source, line.scalar, line.ahead, wild=True))
        if every == 2 and not checked:
            rows.append(load_pairs(f, line.type, source)[0])
            continue
        found = []
        for part, (first, end) in enumerate(ends):
            at = f.at(source, line.scalar, part * width, wild=True)
            # A channel that isn't there has no columns: all zeros, nothing read.
            there = c + i < f["channels"]
            if masked:
                known = f.select(there, masks[part], f.number(masks[part].type, 0))
                found.append(masked_load(f, line.type, at, known))
            else:
                found.append(window(line, at, f.number("i64", 0), first, f.select(there, end, 0)))
        rows.append(found[0] if every == 1 else shuffle(f, found[0], found[1], even))
    return rows


def _copy(line: Line) -> None:
    f, width = line.f, line.width
    zero = f.number(vector(width, line.scalar), 0)
    with f.loop(f["length"], name="column") as b:
        out = f.at(f["out"], line.scalar, b * f["pitch"])
        source = f.at(line.start, line.scalar, b * f["column_step"], wild=True)
        inside = (b >= line.first) & (b < line.end)
        with f.loop(f["channels"], step=width, name="channel") as c:
            left = f["channels"] - c
            with f.either(inside & (left >= width), zero.type) as choice:
                choice.yes(f.load(zero.type, source, c))
                choice.otherwise()
                mask = first_lanes(f, f.least(left, width), width) & splat(f, inside, width)
                choice.no(masked_load(f, zero.type, f.at(source, line.scalar, c, wild=True), mask))
            f.store(choice.result, out, c)


def _one_by_one(line: Line) -> None:
    f = line.f
    with f.loop(f["channels"], name="channel") as c:
        source = f.at(line.start, line.scalar, c * f["channel_step"], wild=True)
        out = f.at(f["out"], line.scalar, c)
        _zeros(f, line, out, f.number("i64", 0), f.least(line.first, f["length"]))
        with f.loop(line.end, start=line.first, name="inside") as b:
            read = f.load(line.scalar, f.at(source, line.scalar, b * f["column_step"], wild=True))
            f.store(read, out, b * f["pitch"])
        _zeros(f, line, out, f.greatest(line.end, line.first), f["length"])


def _zeros(f: Function, line: Line, out: Value, start: Value, stop: Value) -> None:
    with f.loop(stop, start=start, name="zeros") as b:
        f.store(f.number(line.scalar, 0), out, b * f["pitch"])
