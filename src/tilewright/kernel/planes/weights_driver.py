"""One unit of work of the weight gradient: some blocks of some samples, of one group. Packs and sums.

Schedule:

    sums = 0, one vector for each output, input and tap of the group
    for each block of the unit (and each of several groups that lie side by side):
        for each input channel of the group: pack its block
        for each output of the group: pack its gradients likewise (not along the channels, unless turned)
        for each run: for outputs, inputs, taps, a few at a time: add to the sums
    store the sums (along the pixels: the sum of each one's lanes)
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, labelled, lane, shuffle, size_of, vector
from tilewright.kernel.planes import dots, pack
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

_ARRAYS = ("x", "gy", "gw", "none")
_FUNCTIONS = ("pack", "pack_g", "dot", "dot_rest")
_TABLES = ("blocks", "lines", "columns", "g_lines", "g_columns", "runs", "taps")
FIELDS = Fields(
    *_ARRAYS,
    # functions; outputs beyond a multiple of ``at_once`` have one of their own, or 0
    *_FUNCTIONS,
    # tables; the first says of each block where its entries in the others are, and how many
    *_TABLES,
    # work: items are blocks of samples; a unit has so many of one group
    "block_count", "items", "items_a_unit", "shares",
    # a group's channels; taps of a pass, and passes
    "inputs", "outputs", "at_once", "tap_count", "taps_at_once", "passes",
    # strides, in elements
    "x_sample", "x_group", "x_channel", "x_step",
    "g_sample", "g_group", "g_channel", "g_step",
    "out_share", "out_group",
    # what is packed
    "phases", "phase", "places", "channel", "g_size", "lanes", "lanes_last", "groups", "together",
    # scratch: where packed gradients and sums begin
    "g_at", "sums_at",
    # of planes that are turned: elements to clear before (padding); and from a place of g to the next
    "clears", "g_pixel",
)  # fmt: skip

#: Words of a block: the first of its lines and columns, those of g, and runs, each with their number.
BLOCK_WORDS = 10


def name(scalar: str, side: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and gy are, if they are."""
    return labelled(f"planes_weights_{scalar}_{side}", stored)


def emit(target: Target, scalar: str, side: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, side, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, side, stored).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, side: str, stored: str) -> None:
        self.f, self.scalar, self.by_channels = f, scalar, side == "channels"
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {key: f.pointer(self.word[key]) for key in (*_ARRAYS, *_FUNCTIONS, *_TABLES)}
        self.pointer |= {key: f.halves(self.pointer[key], stored) for key in ("x", "gy")}

    def emit(self) -> None:
        f, word, scalar = self.f, self.word, self.scalar
        first_group, share = f["unit"] // word["shares"] * word["together"], f["unit"] % word["shares"]
        all_sums = f.at(f["scratch"], scalar, word["sums_at"])
        #: elements from the sums of an output to those of the next
        self.sums_input = word["taps_at_once"] * word["passes"] * self.width
        self.sums_output = self.sums_input * word["inputs"]
        nothing = f.number(self.type, 0)
        sums_group = word["outputs"] * self.sums_output
        with f.loop(word["together"] * sums_group, step=self.width, name="clear") as i:
            f.store(nothing, all_sums, i)
        with f.loop(word["clears"], step=self.width, name="clear") as i:
            f.store(nothing, f["scratch"], i)
        first = share * word["items_a_unit"]
        last = f.least(first + word["items_a_unit"], word["items"])
        with f.loop(last, start=first, name="item") as item, f.loop(word["together"], name="group") as one:
            group, sample = first_group + one, item // word["block_count"]
            self.lanes = f.select((group + 1).equals(word["groups"]), word["lanes_last"], word["lanes"])
            self.sums = f.at(all_sums, scalar, one * sums_group)
            x = f.at(self.pointer["x"], scalar, group * word["x_group"] + sample * word["x_sample"])
            g = f.at(self.pointer["gy"], scalar, group * word["g_group"] + sample * word["g_sample"])
            self._block(x, g, f.at(self.pointer["blocks"], "i64", item % word["block_count"] * BLOCK_WORDS))
        with f.loop(word["together"], name="group") as one:
            self.sums = f.at(all_sums, scalar, one * sums_group)
            out = share * word["out_share"] + (first_group + one) * word["out_group"]
            self._store(f.at(self.pointer["gw"], scalar, out))
        f.give()

    def _block(self, x: Value, g: Value, block: Value) -> None:
        f, word, scalar = self.f, self.word, self.scalar
        lines, line_count, columns, _, g_lines, g_line_count, g_columns, _, runs, run_count = (
            f.load("i64", block, i) for i in range(BLOCK_WORDS)
        )
        with f.loop(word["inputs"], name="channel") as channel:
            self._pack(
                "pack",
                f.at(x, scalar, channel * word["x_channel"]),
                f.at(self.pointer["lines"], "i64", lines * 2),
                line_count,
                f.at(self.pointer["columns"], "i64", columns * 3),
                word["phases"],
                f.at(f["scratch"], scalar, channel * word["channel"]),
                word["x_step"],
            )
        packed_g = f.at(f["scratch"], scalar, word["g_at"])
        # Along the channels gradients are read in place, unless they have to be turned.
        turned = word["clears"].differs(0)
        packs = turned if self.by_channels else f.number("i1", 1)
        with f.when(packs), f.loop(word["outputs"], name="gradient") as output:
            self._pack(
                "pack_g",
                f.at(g, scalar, output * word["g_channel"]),
                f.at(self.pointer["g_lines"], "i64", g_lines * 2),
                g_line_count,
                f.at(self.pointer["g_columns"], "i64", g_columns * 3),
                f.number("i64", 1),
                f.at(packed_g, scalar, output * word["g_size"]),
                word["g_step"],
            )
        with (
            f.loop(word["outputs"], step=word["at_once"], name="outputs") as output,
            f.loop(word["inputs"], name="input") as channel,
            f.loop(word["passes"], name="pass") as number,
            f.loop(run_count, name="run") as run,
        ):
            entry = f.at(self.pointer["runs"], "i64", (runs + run) * 3)
            start, from_g, count = (f.load("i64", entry, i) for i in range(3))
            rest = word["outputs"] - output < word["at_once"]
            taps = number * word["taps_at_once"]
            packed = f.at(packed_g, scalar, output * word["g_size"] + from_g, wild=True)
            lying = f.at(g, scalar, from_g, wild=True)
            values = {
                "x": f.at(f["scratch"], scalar, channel * word["channel"] + start),
                "g": f.select(packs, packed, f.halves(lying, "")),
                "g_step": word["g_size"],
                "pixel": word["g_pixel"],
                "taps": f.at(self.pointer["taps"], "i64", taps),
                "places": count,
                "sums": f.at(
                    self.sums,
                    scalar,
                    output * self.sums_output + channel * self.sums_input + taps * self.width,
                ),
                "sums_step": self.sums_output,
                "lanes": self.lanes,
            }
            f.call(
                f.select(rest, self.pointer["dot_rest"], self.pointer["dot"]),
                *(values[key] for key in dots.ARGUMENTS),
            )

    def _pack(
        self,
        function: str,
        x: Value,
        lines: Value,
        count: Value,
        columns: Value,
        phases: Value,
        to: Value,
        step: Value,
    ) -> None:
        word = self.word
        values = {
            "x": x, "lines": lines, "count": count, "columns": columns, "phases": phases, "to": to,
            "phase": word["phase"], "places": word["places"], "step": step, "lanes": self.lanes,
            "fill": self.f.number("double", 0),
        }  # fmt: skip
        self.f.call(self.pointer[function], *(values[key] for key in pack.ARGUMENTS))

    def _store(self, out: Value) -> None:
        """The sums of the taps that there are, one after the other: outputs, inputs, taps."""
        f, word, scalar = self.f, self.word, self.scalar
        with (
            f.loop(word["outputs"], name="output") as output,
            f.loop(word["inputs"], name="input") as channel,
            f.loop(word["tap_count"], name="tap") as tap,
        ):
            place = output * self.sums_output + channel * self.sums_input + tap * self.width
            total = f.load(self.type, self.sums, place)
            number = (output * word["inputs"] + channel) * word["tap_count"] + tap
            if self.by_channels:
                f.store(total, out, number * word["groups"] * self.width)
            else:
                f.store(_sum(f, total, self.width), f.at(out, scalar, number))


def _sum(f: Function, value: Value, width: int) -> Value:
    """The sum of all lanes, in pairs.

    Scalar loop: ``while len(x) > 1: x = [a + b for a, b in zip(x[: len(x) // 2], x[len(x) // 2 :])]``
    """
    while width > 1:
        half = width // 2
        low = shuffle(f, value, value, range(half))
        high = shuffle(f, value, value, range(half, width))
        value, width = low + high, half
    return lane(f, value, 0)
