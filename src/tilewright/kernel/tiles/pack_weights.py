"""Packing the weights of one panel of output channels and one block of input channels.

Definition:

    out[t][c][lane] = source[lane·w_output + c·w_channel + t·w_tap]

and 0 for lanes behind the last output.

The gradient of the data reads the same weights with outputs and channels exchanged and the taps backwards:
other steps, the same function. Schedules: ``flat`` (an output's channels and taps are consecutive: squares of
vectors turned over), ``lanes`` (outputs are consecutive: whole vectors), ``taps`` (an output's taps are
consecutive, backwards, and the next output follows: a few taps of a vector of outputs at a time), ``any``
(one by one).
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    labelled,
    load_columns,
    load_square,
    masked_load,
    size_of,
    transpose,
    vector,
)
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The driver's table, the panel's first weight (k0, c0, first tap), where to, how many outputs and channels.
ARGUMENTS = {"args": "ptr", "source": "ptr", "out": "ptr", "outputs": "i64", "channels": "i64"}

# Numbers between what is packed and what is asked for: more rows at once than a processor follows by itself.
_AHEAD = 128

SCHEDULES = ("flat", "lanes", "taps", "any")


def name(scalar: str, schedule: str, lanes: int, stored: str = "") -> str:
    """The symbol of a packing function; ``stored``: of what kind of halves the weights are, if they are."""
    return labelled(f"pack_weights_{scalar}_{schedule}_{lanes}", stored)


def emit(target: Target, scalar: str, schedule: str, lanes: int, fields: Fields, stored: str = "") -> str:
    """A packing function for panels of ``lanes`` outputs (whole vectors, unless the schedule is ``any``)."""
    f = Function(name(scalar, schedule, lanes, stored), target, ARGUMENTS, stored={"source": stored})
    steps = fields.all(f, f["args"], "taps", "w_output", "w_channel", "w_tap")
    width = target.vector_bytes // (4 if scalar == "float" else 8)
    if schedule == "flat":
        for group in range(0, lanes, width):
            _flat(f, scalar, lanes, group, width, steps)
    elif schedule == "lanes":
        _lanes(f, scalar, lanes, width, steps)
    elif schedule == "taps":
        _taps(f, scalar, lanes, width, steps)
    else:
        _any(f, scalar, range(lanes), lanes, steps)
    return f.text()


def _flat(f: Function, scalar: str, lanes: int, group: int, width: int, steps: list[Value]) -> None:
    """Outputs group … group + width: ``width`` of their consecutive (channel, tap) numbers at a time."""
    taps, w_output, _, _ = steps
    type, channels = vector(width, scalar), f["channels"]
    total = channels * taps
    zero = f.number("i64", 0)
    loop = f.loop(total, step=width, carry=[zero, zero], name="flat")
    with loop as place:
        c, t = loop.carried
        left = f.least(total - place, width)
        whole = (f["outputs"] >= group + width) & left.equals(width)
        # Of an output that isn't there nothing is read, but at an address that is: a masked read where no
        # memory is takes hundreds of cycles.
        lines = [f.least(f["outputs"] - 1, group + i) for i in range(width)]
        starts = [f.at(f["source"], scalar, w_output * line + place, wild=True) for line in lines]
        for start in starts:
            f.soon(f.at(start, scalar, _AHEAD, wild=True))
        places = []
        for _ in range(width):
            places.append(f.at(f["out"], scalar, (t * channels + c) * lanes + group, wild=True))
            over = t + 1 >= taps
            c, t = f.select(over, c + 1, c), f.select(over, zero, t + 1)
        with f.when(whole):
            for turned, out in zip(load_square(f, type, starts), places, strict=True):
                f.store(turned, out)
        with f.when(whole.equals(0)):
            mask = first_lanes(f, left, width)
            none = f.number(mask.type, 0)
            rows = []
            for i, source in enumerate(starts):
                known = f.select(f["outputs"] > group + i, mask, none)
                rows.append(masked_load(f, type, source, known))
            for i, (turned, out) in enumerate(zip(transpose(f, rows), places, strict=True)):
                with f.when(left > i):
                    f.store(turned, out)
        loop.carry([c, t])


def _lanes(f: Function, scalar: str, lanes: int, width: int, steps: list[Value]) -> None:
    taps, _, w_channel, w_tap = steps
    masks = [
        first_lanes(f, f.greatest(f.least(f["outputs"] - group, width), 0), width)
        for group in range(0, lanes, width)
    ]
    with f.loop(taps, name="tap") as t, f.loop(f["channels"], name="channel") as c:
        source = f.at(f["source"], scalar, t * w_tap + c * w_channel, wild=True)
        to = f.at(f["out"], scalar, (t * f["channels"] + c) * lanes)
        for i, mask in enumerate(masks):
            loaded = masked_load(f, vector(width, scalar), f.at(source, scalar, i * width, wild=True), mask)
            f.store(loaded, to, i * width)


def _taps(f: Function, scalar: str, lanes: int, width: int, steps: list[Value]) -> None:
    """At least as many taps as numbers fit 16 bytes."""
    taps, w_output, w_channel, _ = steps
    type = vector(width, scalar)
    few = 16 // size_of(scalar)
    for group in range(0, lanes, width):
        whole = f["outputs"] >= group + width
        with f.when(whole), f.loop(f["channels"], name="channel") as c:
            # The last tap is the first in memory.
            source = f.at(f["source"], scalar, c * w_channel - (taps - 1), wild=True)
            rows = [f.at(source, scalar, w_output * (group + i), wild=True) for i in range(width)]
            with f.loop(taps, step=few, name="tap") as first:
                # The last few may be partly done already.
                place = f.least(first, taps - few)
                for i, column in enumerate(load_columns(f, type, [f.at(r, scalar, place) for r in rows])):
                    to = ((taps - 1 - i - place) * f["channels"] + c) * lanes + group
                    f.store(column, f.at(f["out"], scalar, to))
        with f.when(whole.equals(0)):
            _any(f, scalar, range(group, group + width), lanes, steps)


def _any(f: Function, scalar: str, part: range, lanes: int, steps: list[Value]) -> None:
    """Lanes of a part of the panel."""
    taps, w_output, w_channel, w_tap = steps
    zero = f.number(scalar, 0)
    end = f.least(f["outputs"], part.stop)
    with f.loop(taps, name="tap") as t, f.loop(f["channels"], name="channel") as c:
        source = f.at(f["source"], scalar, t * w_tap + c * w_channel, wild=True)
        to = f.at(f["out"], scalar, (t * f["channels"] + c) * lanes)
        with f.loop(end, start=part.start, name="lane") as lane:
            f.store(f.load(scalar, f.at(source, scalar, lane * w_output, wild=True)), to, lane)
        with f.loop(part.stop, start=f.greatest(end, part.start), name="rest") as lane:
            f.store(zero, to, lane)
