"""The gradient of means over windows that don't overlap along a line: each window is filled with its share.

Definition, for every line of samples that is written, and every segment of it:

    y[segment.first … + segment.count] = Σ x[o] / divisors[o] over the lines of outputs o that hold the line,
                                         at o = segment.place; 0 where no window is (a place of −1)
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, first_lanes, labelled, masked_store, size_of, splat
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "indices", "divisors", "y",
    # tables
    "lines", "leads", "segments",
    # work: units are a few planes, or blocks of lines of one
    "planes", "planes_a_unit", "line_count", "lines_a_unit", "line_blocks", "channels",
    # strides, in elements; segments of a line
    "x_sample", "x_channel", "x_column", "y_sample", "y_channel", "segment_count",
    # whether every place has a divisor of its own
    "each",
)  # fmt: skip

#: Words of a line: as in :mod:`tilewright.kernel.pools.windows`; of a segment: first, count, place.
LINE_WORDS, SEGMENT_WORDS = 6, 3


def name(scalar: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_fill_{scalar}", stored)


def emit(target: Target, scalar: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
    arrays = ("x", "divisors", "y", "lines", "leads", "segments")
    pointer = {key: f.pointer(word[key]) for key in arrays}
    pointer |= {key: f.halves(pointer[key], stored) for key in ("x", "y")}
    planes, block = f["unit"] // word["line_blocks"], f["unit"] % word["line_blocks"]
    first_plane = planes * word["planes_a_unit"]
    last_plane = f.least(first_plane + word["planes_a_unit"], word["planes"])
    first = block * word["lines_a_unit"]
    last = f.least(first + word["lines_a_unit"], word["line_count"])
    with f.loop(last_plane, start=first_plane, name="plane") as plane:
        sample, channel = plane // word["channels"], plane % word["channels"]
        source = sample * word["x_sample"] + channel * word["x_channel"]
        plane_to = sample * word["y_sample"] + channel * word["y_channel"]
        with f.loop(last, start=first, name="line") as line:
            entry = f.at(pointer["lines"], "i64", line * LINE_WORDS)
            start, flat, leads, lead_count, to = (f.load("i64", entry, i) for i in range(5))
            x = f.at(pointer["x"], scalar, source + start)
            y = f.at(pointer["y"], scalar, plane_to + to)
            with f.loop(word["segment_count"], name="segment") as number:
                segment = f.at(pointer["segments"], "i64", number * SEGMENT_WORDS)
                at, count, place = (f.load("i64", segment, i) for i in range(SEGMENT_WORDS))
                # Where no window is, no line of outputs holds it.
                lines = f.select(place < 0, f.number("i64", 0), lead_count)
                total = f.loop(lines, carry=[f.number(scalar, 0)], name="lead")
                with total as lead:
                    lead_entry = f.at(pointer["leads"], "i64", (leads + lead) * 2)
                    share = f.load(scalar, x, f.load("i64", lead_entry) + place * word["x_column"])
                    own = flat + f.load("i64", lead_entry, 1) + place
                    own = f.select(word["each"].differs(0), own, f.number("i64", 0))
                    share = share / f.load(scalar, pointer["divisors"], own)
                    total.carry([total.carried[0] + share])
                _fill(f, scalar, f.at(y, scalar, at), count, total.results[0])
    f.give()
    return f.text()


def _fill(f: Function, scalar: str, to: Value, count: Value, number: Value) -> None:
    width = f.target.vector_bytes // size_of(scalar)
    value = splat(f, number, width)
    whole = count // width * width
    with f.loop(whole, step=width, name="vector") as i:
        f.store(value, to, i)
    with f.when(whole < count):
        masked_store(f, value, f.at(to, scalar, whole), first_lanes(f, count - whole, width))
