"""One unit of work of a masked convolution: some blocks of planes. Packs, splits, sums twice, finishes.

Schedule:

    for each item of the unit, a block of a plane (a group of a sample):
        for each input channel of the group:
            pack its block (and that of its mask, where masks are given)
            split it: samples, with 0 where one is missing, and where they are there
        for outputs of the group, a few at a time:
            for each run of the block: sums over the taps, of the samples and of the masks
            for each of them: the one over the other, to where it belongs

What is summed of the masks is |weights| or, with the side ``count``, how many are there: the same for all
outputs of the group, whose masks are added up as they are split.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, size_of
from tilewright.kernel.planes import masked_parts, pack, taps
from tilewright.kernel.planes.driver import BLOCK_WORDS
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

_ARRAYS = ("x", "w", "bias", "y", "given", "magnitudes", "totals", "ratios", "g")
_FUNCTIONS = ("pack", "split", "sum", "sum_rest", "met", "met_rest", "finish")
_TABLES = ("blocks", "lines", "columns", "runs", "stores", "taps", "segments", "met_taps", "met_segments")
FIELDS = Fields(
    *_ARRAYS,
    # functions; outputs beyond a multiple of ``at_once`` have one of their own, or 0
    *_FUNCTIONS,
    # tables; the first says of each block where its entries in the others are, and how many
    *_TABLES,
    # work: items are blocks of planes (a group of a sample); a unit has so many
    "block_count", "items", "items_a_unit", "groups",
    # a group's channels
    "inputs", "outputs", "at_once",
    # strides, in elements
    "x_sample", "x_group", "x_channel", "x_step",
    "given_sample", "given_group", "given_channel",
    "y_sample", "y_group", "y_channel",
    "w_group", "w_output", "w_next", "met_group",
    # from a neighbour to the next: packed, and in scratch
    "x_next", "to_next",
    # what is packed
    "phases", "phase", "places", "channel", "lanes",
    # scratch: where masks, a mask that was given, sums and the masks' sums begin; from an output to the next
    "masks", "packed_given", "sums", "mets", "sums_output",
    "put_step", "fills",
    # as doubles: what is packed for padding, and what the result is where nothing is there
    "missing", "fill",
)  # fmt: skip

SIDES = ("weights", "count")


def name(scalar: str, side: str) -> str:
    """The symbol of the function."""
    return f"planes_masked_{scalar}_{side}"


def emit(target: Target, scalar: str, side: str) -> str:
    """The function."""
    f = Function(name(scalar, side), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, side).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, side: str) -> None:
        self.f, self.scalar, self.counts = f, scalar, side == "count"
        self.width = f.target.vector_bytes // size_of(scalar)
        table = f["args"]
        self.word = {
            key: FIELDS.read(f, table, key) for key in FIELDS.names if key not in ("missing", "fill")
        }
        self.missing, self.fill = (f.load("double", table, FIELDS.place[k]) for k in ("missing", "fill"))
        self.pointer = {key: f.pointer(self.word[key]) for key in (*_ARRAYS, *_FUNCTIONS, *_TABLES)}

    def emit(self) -> None:
        f, word = self.f, self.word
        first = f["unit"] * word["items_a_unit"]
        last = f.least(first + word["items_a_unit"], word["items"])
        with f.loop(last, start=first, name="item") as item:
            plane = item // word["block_count"]
            sample, group = plane // word["groups"], plane % word["groups"]
            block = f.at(self.pointer["blocks"], "i64", item % word["block_count"] * BLOCK_WORDS)
            self._item(sample, group, [f.load("i64", block, i) for i in range(BLOCK_WORDS)])
        f.give()

    def _item(self, sample: Value, group: Value, block: list[Value]) -> None:
        f, word, scalar = self.f, self.word, self.scalar
        lines, line_count, columns, _, runs, run_count, stores, store_count = block
        lines_at = f.at(self.pointer["lines"], "i64", lines * 2)
        columns_at = f.at(self.pointer["columns"], "i64", columns * 3)
        runs_at = f.at(self.pointer["runs"], "i64", runs * 5)
        stores_at = f.at(self.pointer["stores"], "i64", stores * 3)

        def start(array: str, role: str) -> Value:
            offset = sample * word[f"{role}_sample"] + group * word[f"{role}_group"]
            return f.at(self.pointer[array], scalar, offset, wild=True)

        x, y, ratios, g = start("x", "x"), start("y", "y"), start("ratios", "y"), start("g", "y")
        given_at = start("given", "given")
        given = self.pointer["given"].differs(f.null())
        keeps = self.pointer["ratios"].differs(f.null())
        packed_given = f.at(f["scratch"], scalar, word["packed_given"])
        with f.loop(word["inputs"], name="channel") as channel:
            values = f.at(f["scratch"], scalar, channel * word["channel"])
            self._pack(f.at(x, scalar, channel * word["x_channel"]), lines_at, line_count, columns_at, values)
            with f.when(given):
                source = f.at(given_at, scalar, channel * word["given_channel"], wild=True)
                self._pack(source, lines_at, line_count, columns_at, packed_given)
            offset = f.integer(0) if self.counts else channel * word["channel"]
            add = f.select(channel.equals(0), f.number("i64", 0), f.number("i64", int(self.counts)))
            masks = f.at(f["scratch"], scalar, word["masks"] + offset)
            f.call(self.pointer["split"], values, packed_given, masks, word["channel"], add)
        masks = f.at(f["scratch"], scalar, word["masks"])
        sums, mets = (f.at(f["scratch"], scalar, word[key]) for key in ("sums", "mets"))
        if self.counts:
            w = f.at(self.pointer["magnitudes"], scalar, group * word["met_group"])
            self._runs("met", "met", masks, w, mets, runs_at, run_count)
        with f.loop(word["outputs"], step=word["at_once"], name="outputs") as output:
            left = word["outputs"] - output
            rest = left < word["at_once"]
            taken = group * word["w_group"] + output * word["w_output"]
            function = f.select(rest, self.pointer["sum_rest"], self.pointer["sum"])
            w = f.at(self.pointer["w"], scalar, taken)
            self._runs(function, "", f["scratch"], w, sums, runs_at, run_count)
            if not self.counts:
                function = f.select(rest, self.pointer["met_rest"], self.pointer["met"])
                w = f.at(self.pointer["magnitudes"], scalar, taken)
                self._runs(function, "met", masks, w, mets, runs_at, run_count)
            with f.loop(f.least(left, word["at_once"]), name="finish") as number:
                there = group * word["outputs"] + output + number
                to = (output + number) * word["y_channel"]
                bias = f.select(
                    self.pointer["bias"].equals(f.null()),
                    f.null(),
                    f.at(self.pointer["bias"], scalar, there, wild=True),
                )
                met = mets if self.counts else f.at(mets, scalar, number * word["sums_output"])
                arguments = {
                    "from": f.at(sums, scalar, number * word["sums_output"]),
                    "met": met,
                    "stores": stores_at,
                    "count": store_count,
                    "to": f.at(y, scalar, to),
                    "ratios": f.select(keeps, f.at(ratios, scalar, to, wild=True), f.null()),
                    "step": word["put_step"],
                    "total": f.at(self.pointer["totals"], scalar, there),
                    "bias": bias,
                    "fills": word["fills"],
                    "fill": self.fill,
                    "g": f.at(g, scalar, to, wild=True),
                }
                f.call(self.pointer["finish"], *(arguments[key] for key in masked_parts.FINISH))

    def _pack(self, x: Value, lines: Value, count: Value, columns: Value, to: Value) -> None:
        word = self.word
        arguments = {
            "x": x, "lines": lines, "count": count, "columns": columns, "phases": word["phases"], "to": to,
            "phase": word["phase"], "places": word["places"], "step": word["x_step"], "lanes": word["lanes"],
            "fill": self.missing,
        }  # fmt: skip
        self.f.call(self.pointer["pack"], *(arguments[key] for key in pack.ARGUMENTS))

    def _runs(
        self, function: Value | str, which: str, x: Value, w: Value, to: Value, runs: Value, count: Value
    ) -> None:
        """The sums of all runs of the block, of the samples or of the masks."""
        f, word, scalar = self.f, self.word, self.scalar
        table = "met_taps" if which else "taps"
        segment = self.pointer["met_segments" if which else "segments"]
        zero = f.number("i64", 0)
        called = self.pointer[function] if isinstance(function, str) else function
        with f.loop(count, name="run") as run:
            entry = f.at(runs, "i64", run * 5)
            start, place, places, neighbours, _ = (f.load("i64", entry, i) for i in range(5))
            arguments = {
                "x": f.at(x, scalar, start),
                "columns": f.at(self.pointer[table], "i64", f.load("i64", segment) * 2),
                "count": f.load("i64", segment, 1),
                "count_low": f.load("i64", segment, 2),
                "w": w,
                "w_next": word["w_next"],
                "w_step": word["w_output"],
                "bias": f.null(),
                "to": f.at(to, scalar, place),
                "to_step": word["sums_output"],
                "x_next": word["x_next"],
                "to_next": word["to_next"],
                "places": places,
                "neighbours": neighbours,
                "lanes": word["lanes"],
                "slope": f.number("double", 0),
                "ahead": f["scratch"],
                "ahead_each": zero,
                "ahead_step": zero,
            }
            f.call(called, *(arguments[key] for key in taps.ARGUMENTS))
