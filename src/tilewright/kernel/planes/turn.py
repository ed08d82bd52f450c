"""Small planes turned so that vectors run along the channels, and back.

Definition, for pixels p of a plane without gaps and channels l of a vector:

    in:   to[table[p] + l] = x[l·step + p]        (in_ahead: and asks for x[l·step + p + phase])
    out:  to[l·step + p] = from[p·width + l]

Of the channels, the first ``lanes`` are there: in, the last of them stands for those that aren't.

Schedule: squares of a vector's pixels by a vector's channels are turned over their diagonal; the pixels
behind the last square one by one. The arguments are those of what each stands for: :mod:`.pack`, :mod:`.put`.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, labelled, load_square, size_of, vector
from tilewright.kernel.planes import pack, put
from tilewright.plan.target import Target


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
    with f.loop(f["count"], start=whole, name="pixel") as p:
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
    with f.loop(f["count"], start=whole, name="pixel") as p, f.loop(f["lanes"], name="lane") as one:
        f.store(f.load(scalar, f["from"], p * width + one), f["to"], one * f["step"] + p)
    f.give()
    return f.text()
