"""One unit of work: some blocks of planes. Packs, sums, stores.

Schedule:

    for each item of the unit, a block of a plane (a group of a sample; those side by side follow each other):
        for each input channel of the group: pack its block
        for outputs of the group, a few at a time:
            for each run of the block: sums over the taps
            for each of them, if the sums went to scratch: put them where they belong
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, labelled, size_of, vector
from tilewright.kernel.planes import pack, put, taps
from tilewright.kernel.planes.layout import NOWHERE
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

_ARRAYS = ("x", "w", "bias", "y")
_FUNCTIONS = ("pack", "sum", "sum_rest", "put")
_TABLES = ("blocks", "lines", "columns", "runs", "stores", "taps", "segments")
FIELDS = Fields(
    *_ARRAYS,
    # functions; outputs beyond a multiple of ``at_once`` have one of their own, or 0
    *_FUNCTIONS,
    # tables; the first says of each block where its entries in the others are, and how many
    *_TABLES,
    # work: items are blocks of planes (a group of a sample); a unit has so many
    "block_count", "items", "items_a_unit", "groups", "together",
    # a group's channels
    "inputs", "outputs", "at_once",
    # strides, in elements
    "x_sample", "x_group", "x_channel", "x_step",
    "y_sample", "y_group", "y_channel",
    "w_group", "w_output", "w_next", "bias_group",
    # from a neighbour to the next: packed, and as it is written
    "x_next", "to_next",
    # what is packed
    "phases", "phase", "places", "channel", "lanes", "lanes_last",
    # scratch for sums, or none (0): where, and elements of an output
    "sums", "sums_output",
    # along the channels: the number of taps and where a vector of channels' weights are turned to, or 0
    "turns", "turned", "samples",
    # elements that a unit clears before it begins: padding that stays
    "clears",
    "put_step",
    # what is asked for ahead: lines of cache for eight vectors, and bytes between them
    "ahead_each", "ahead_step",
    # as doubles
    "fill", "slope",
)  # fmt: skip

#: Words of a block: the first of its lines, columns, runs and stores, each with their number.
BLOCK_WORDS = 8


def name(scalar: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"planes_{scalar}", stored)


def emit(target: Target, scalar: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    table, width = f["args"], target.vector_bytes // size_of(scalar)
    word = {key: FIELDS.read(f, table, key) for key in FIELDS.names if key not in ("fill", "slope")}
    fill, slope = (f.load("double", table, FIELDS.place[key]) for key in ("fill", "slope"))
    pointer = {key: f.pointer(word[key]) for key in (*_ARRAYS, *_FUNCTIONS, *_TABLES)}
    pointer |= {key: f.halves(pointer[key], stored) for key in ("x", "y")}
    bias = pointer["bias"]
    first = f["unit"] * word["items_a_unit"]
    last = f.least(first + word["items_a_unit"], word["items"])
    sums = f.at(f["scratch"], scalar, word["sums"])
    direct = word["sums"].equals(0)
    turns = word["turns"].differs(0)

    def plane_of(item: Value) -> tuple[Value, Value, Value, list[Value]]:
        """Of an item: its sample, its group, where their samples begin, and the words of its block."""
        # Of neighbouring channels, block by block; else plane by plane.
        across = item // word["together"]
        plane, number = across // word["block_count"], across % word["block_count"]
        one, other = plane // word["groups"], plane % word["groups"]
        # Along the channels, samples follow each other: weights are turned once for all of a unit.
        sample = f.select(turns, plane % word["samples"], one)
        group = f.select(turns, plane // word["samples"], other)
        group = group * word["together"] + item % word["together"]
        x = f.at(pointer["x"], scalar, sample * word["x_sample"] + group * word["x_group"])
        block = f.at(pointer["blocks"], "i64", number * BLOCK_WORDS)
        return sample, group, x, [f.load("i64", block, i) for i in range(BLOCK_WORDS)]

    nothing = f.number(vector(width, scalar), 0)
    with f.loop(word["clears"], step=width, name="clear") as i:
        f.store(nothing, f["scratch"], i)
    with f.loop(last, start=first, name="item") as item:
        sample, group, x, block = plane_of(item)
        lines, line_count, columns, _, runs, run_count, stores, store_count = block
        lines_at = f.at(pointer["lines"], "i64", lines * 2)
        columns_at = f.at(pointer["columns"], "i64", columns * 3)
        runs_at = f.at(pointer["runs"], "i64", runs * 5)
        stores_at = f.at(pointer["stores"], "i64", stores * 3)
        y = f.at(pointer["y"], scalar, sample * word["y_sample"] + group * word["y_group"])
        # The next item's samples are asked for while this one's are computed.
        following = f.least(item + 1, last - 1)
        _, _, x_following, block_following = plane_of(following)
        source = f.load("i64", pointer["lines"], block_following[0] * 2)
        source = f.select(source.equals(NOWHERE), f.number("i64", 0), source)
        ahead = f.at(x_following, scalar, source, wild=True)
        each = f.select((item + 1 >= last), f.number("i64", 0), word["ahead_each"])
        own = f.at(pointer["w"], scalar, group * word["w_group"])
        turned = f.at(f["scratch"], scalar, word["turned"])
        w = f.select(turns, turned, own)
        lanes = f.select((group + 1).equals(word["groups"]), word["lanes_last"], word["lanes"])
        with (
            f.when(turns & (item.equals(first) | sample.equals(0) | (word["together"] > 1))),
            f.loop(lanes, name="lane") as lane,
            f.loop(word["turns"], name="tap") as tap,
        ):
            number = f.load(scalar, own, lane * word["turns"] + tap)
            f.store(number, turned, tap * word["lanes"] + lane)
        with f.loop(word["inputs"], name="channel") as channel:
            f.call(
                pointer["pack"],
                *_in_order(
                    pack.ARGUMENTS,
                    x=f.at(x, scalar, channel * word["x_channel"]),
                    lines=lines_at,
                    count=line_count,
                    columns=columns_at,
                    phases=word["phases"],
                    to=f.at(f["scratch"], scalar, channel * word["channel"]),
                    phase=word["phase"],
                    places=word["places"],
                    step=word["x_step"],
                    lanes=lanes,
                    fill=fill,
                ),
            )
        to_step = f.select(direct, word["y_channel"], word["sums_output"])
        with f.loop(word["outputs"], step=word["at_once"], name="outputs") as output:
            left = word["outputs"] - output
            function = f.select(left < word["at_once"], pointer["sum_rest"], pointer["sum"])
            weights = f.at(w, scalar, output * word["w_output"])
            to_outputs = f.at(y, scalar, output * word["y_channel"])
            bias_at = f.select(
                bias.equals(f.null()),
                f.null(),
                f.at(bias, scalar, group * word["bias_group"] + output, wild=True),
            )
            asked = f.select(output.equals(0), each, f.number("i64", 0))
            loop = f.loop(run_count, carry=[ahead], name="run")
            with loop as run:
                entry = f.at(runs_at, "i64", run * 5)
                start, to, places, neighbours, combination = (f.load("i64", entry, i) for i in range(5))
                # What goes to scratch is put where it belongs before the next outputs come.
                straight, waiting = (f.at(base, scalar, to, wild=True) for base in (to_outputs, sums))
                segment = f.at(pointer["segments"], "i64", combination * 3)
                f.call(
                    function,
                    *_in_order(
                        taps.ARGUMENTS,
                        x=f.at(f["scratch"], scalar, start),
                        columns=f.at(pointer["taps"], "i64", f.load("i64", segment) * 2),
                        count=f.load("i64", segment, 1),
                        count_low=f.load("i64", segment, 2),
                        w=weights,
                        w_next=word["w_next"],
                        w_step=word["w_output"],
                        bias=bias_at,
                        to=f.select(direct, f.halves(straight, ""), waiting),
                        to_step=to_step,
                        x_next=word["x_next"],
                        to_next=word["to_next"],
                        places=places,
                        neighbours=neighbours,
                        lanes=lanes,
                        slope=slope,
                        ahead=loop.carried[0],
                        ahead_each=asked,
                        ahead_step=word["ahead_step"],
                    ),
                )
                vectors = neighbours * ((places + (width - 1)) // width)
                loop.carry(
                    [f.at(loop.carried[0], "i8", (vectors * asked >> 3) * word["ahead_step"], wild=True)]
                )
            some = f.least(left, word["at_once"])
            with f.when(direct.equals(0)), f.loop(some, name="put") as number:
                f.call(
                    pointer["put"],
                    *_in_order(
                        put.ARGUMENTS,
                        **{"from": f.at(sums, scalar, number * word["sums_output"])},
                        stores=stores_at,
                        count=store_count,
                        to=f.at(y, scalar, (output + number) * word["y_channel"]),
                        step=word["put_step"],
                        lanes=lanes,
                    ),
                )
    # Vectors may have been written past the caches.
    f.settle()
    f.give()
    return f.text()


def _in_order(arguments: dict[str, str], **values: Value) -> list[Value]:
    """The values in the order of a function's arguments."""
    assert set(values) == set(arguments)
    return [values[key] for key in arguments]
