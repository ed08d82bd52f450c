"""Small planes turned so that vectors run along the channels, and back.

Definition, for pixels p of a plane without gaps and channels l of a vector:

    in:   to[table[p] + l] = x[l·step + p]        (in_ahead: and asks for x[l·step + p + phase])
    out:  to[l·step + p] = from[p·width + l]

Of the channels, the first ``lanes`` are there: in, the last of them stands for those that aren't.

Schedule: squares of a vector's pixels by a vector's channels are turned over their diagonal; of the pixels
behind the last square as many as are 16 bytes together, and the rest one by one. Planes of one pixel that
lie without gaps are written as they are. The arguments are those of what each stands for: :mod:`.pack`,
:mod:`.put`.
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    lanes,
    load_columns,
    load_square,
    masked_store,
    shuffle,
    size_of,
    vector,
)
from tilewright.kernel.planes import pack, put
from tilewright.plan.target import Target

# What a row of any small piece takes: the parts that vectors are put together from.
_FEW_BYTES = 16


def name(scalar: str, way: str, stored: str = "") -> str:
    """The symbol of a function.

    Args:
        scalar: what is computed in.
        way: "in", "in_ahead" or "out".
        stored: the array's kind of halves, if it is of any.
    """
    return labelled(f"turn_planes_{scalar}_{way}", stored)


def emit(target: Target, scalar: str, way: str, stored: str = "") -> str:
    """The function."""
    if way == "out":
        return _emit_out(target, scalar, stored)
    return _emit_in(target, scalar, way, stored)


def _emit_in(target: Target, scalar: str, way: str, stored: str) -> str:
    f = Function(name(scalar, way, stored), target, pack.ARGUMENTS, stored={"x": stored})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    last = f["lanes"] - 1
    channels = [f.at(f["x"], scalar, f.least(f.integer(lane), last) * f["step"]) for lane in range(width)]
    whole = f["count"] // width * width
    with f.loop(whole, step=width, name="square") as p:
        if way == "in_ahead":
            for channel in channels:
                f.soon(f.at(channel, scalar, p + f["phase"], wild=True))
        square = load_square(f, type, [f.at(channel, scalar, p) for channel in channels])
        for place, pixel in enumerate(square):
            f.store(pixel, f["to"], f.load("i64", f["lines"], (p + place) * 2))
    few = _FEW_BYTES // size_of(scalar)
    most = f["count"] // few * few
    with f.loop(most, start=whole, step=few, name="few") as p:
        pixels = load_columns(f, type, [f.at(channel, scalar, p) for channel in channels])
        for place, pixel in enumerate(pixels):
            f.store(pixel, f["to"], f.load("i64", f["lines"], (p + place) * 2))
    with f.loop(f["count"], start=most, name="pixel") as p:
        to = f.at(f["to"], scalar, f.load("i64", f["lines"], p * 2))
        for lane, channel in enumerate(channels):
            f.store(f.load(scalar, channel, p), to, lane)
    f.give()
    return f.text()


def _emit_out(target: Target, scalar: str, stored: str) -> str:
    f = Function(name(scalar, "out", stored), target, put.ARGUMENTS, stored={"to": stored})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    whole = f["count"] // width * width
    with f.loop(whole, step=width, name="square") as p:
        rows = [f.at(f["from"], scalar, (p + place) * width) for place in range(width)]
        square = load_square(f, type, rows)
        to = f.at(f["to"], scalar, p)
        with f.when(f["lanes"].equals(width)):
            for lane, channel in enumerate(square):
                f.store(channel, f.at(to, scalar, f["step"] * lane))
        with f.when(f["lanes"] < width):
            for lane, channel in enumerate(square):
                with f.when(f["lanes"] > lane):
                    f.store(channel, f.at(to, scalar, f["step"] * lane, wild=True))
    few = _FEW_BYTES // size_of(scalar)
    most = f["count"] // few * few
    with f.loop(most, start=whole, step=few, name="few") as p:
        rows = [f.load(type, f["from"], (p + place) * width) for place in range(few)]
        to = f.at(f["to"], scalar, p)
        for lane, channel in enumerate(_turned_few(f, rows)):
            with f.when(f["lanes"] > lane):
                f.store(channel, f.at(to, scalar, f["step"] * lane, wild=True))
    beside = f["count"].equals(1) & f["step"].equals(1)
    with f.when(beside):
        masked_store(f, f.load(type, f["from"]), f["to"], first_lanes(f, f["lanes"], width))
    left = f.select(beside, f["count"], most)
    with f.loop(f["count"], start=left, name="pixel") as p, f.loop(f["lanes"], name="lane") as one:
        f.store(f.load(scalar, f["from"], p * width + one), f["to"], one * f["step"] + p)
    f.give()
    return f.text()


def _turned_few(f: Function, rows: list[Value]) -> list[Value]:
    """Each lane of a few vectors as a short vector.

    Scalar loop: ``for i in lanes, j in range(len(rows)): out[i][j] = rows[j][i]``

    Interleaved with the row that is half of them further on, until each lane's numbers lie beside each other.
    """
    count, width = len(rows), lanes(rows[0].type)
    low = [place for i in range(width // 2) for place in (i, width + i)]
    high = [place + width // 2 for place in low]
    parts = [rows]
    while len(parts[0]) > 1:
        half = len(parts[0]) // 2
        parts = [
            [shuffle(f, a, b, places) for a, b in zip(part[:half], part[half:], strict=True)]
            for part in parts
            for places in (low, high)
        ]
    each = width // len(parts)
    return [
        shuffle(f, part, part, range(i * count, (i + 1) * count)) for (part,) in parts for i in range(each)
    ]
