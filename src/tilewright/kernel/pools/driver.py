"""One unit of pooling along the pixels: a block of a few planes. Packs, combines, stores.

Schedule:

    if what is packed is to be divided: pack the divisors of the block
    for each plane of the unit:
        pack its block; divide it
        for each run of the block: combine the taps, into scratch
        put the lines where they belong
"""

from __future__ import annotations

from collections.abc import Mapping

from tilewright.kernel.builder import Function, Value, labelled, size_of, vector
from tilewright.kernel.planes import pack
from tilewright.kernel.pools import put, taps
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

_ARRAYS = ("x", "indices", "divisors", "y")
_FUNCTIONS = ("pack", "pack_divisors", "combine", "put")
_TABLES = (
    "blocks",
    "lines",
    "columns",
    "divisor_lines",
    "divisor_columns",
    "runs",
    "puts",
    "taps",
    "segments",
    "firsts",
)
FIELDS = Fields(
    *_ARRAYS, *_FUNCTIONS,
    # tables; the first says of each block where its entries in the others are, and how many
    *_TABLES,
    # planes: samples × channels
    "block_count", "planes", "planes_a_unit", "channels",
    # strides, in elements
    "x_sample", "x_channel", "x_step", "y_sample", "y_channel", "y_step",
    # what is packed
    "phases", "phase", "places", "packed",
    # scratch: where results, numbers of taps and packed divisors (or 0) begin
    "results", "numbers", "shares",
    # elements between what is zipped, whether every place has a divisor, samples from a first tap to the next
    "apart", "each", "stride",
    # as a double
    "fill",
)  # fmt: skip

#: Words of a block: the first entry of each of its tables, and their number.
BLOCK_TABLES = ("lines", "columns", "divisor_lines", "divisor_columns", "runs", "puts")


def name(scalar: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_planes_{scalar}", stored)


def emit(target: Target, scalar: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, stored).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, stored: str) -> None:
        self.f, self.scalar = f, scalar
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names if key != "fill"}
        self.fill = f.load("double", f["args"], FIELDS.place["fill"])
        self.pointer = {key: f.pointer(self.word[key]) for key in (*_ARRAYS, *_FUNCTIONS, *_TABLES)}
        self.pointer |= {key: f.halves(self.pointer[key], stored) for key in ("x", "y")}

    def emit(self) -> None:
        f, word, scalar = self.f, self.word, self.scalar
        block = f.at(self.pointer["blocks"], "i64", f["unit"] % word["block_count"] * (2 * len(BLOCK_TABLES)))
        self.first = {key: f.load("i64", block, 2 * i) for i, key in enumerate(BLOCK_TABLES)}
        self.count = {key: f.load("i64", block, 2 * i + 1) for i, key in enumerate(BLOCK_TABLES)}
        first = f["unit"] // word["block_count"] * word["planes_a_unit"]
        last = f.least(first + word["planes_a_unit"], word["planes"])
        shares = f.at(f["scratch"], scalar, word["shares"])
        divides = word["shares"].differs(0)
        with f.when(divides):
            step = f.number("i64", 1)
            one = f.number("double", 1)
            self._pack("pack_divisors", "divisor_", self.pointer["divisors"], shares, step, one)
        with f.loop(last, start=first, name="plane") as plane:
            sample, channel = plane // word["channels"], plane % word["channels"]
            x = f.at(self.pointer["x"], scalar, sample * word["x_sample"] + channel * word["x_channel"])
            to = sample * word["y_sample"] + channel * word["y_channel"]
            self._pack("pack", "", x, f["scratch"], word["x_step"], self.fill)
            with f.when(divides):
                self._divide(f["scratch"], shares)
            with f.loop(self.count["runs"], name="run") as run:
                self._combine(f.at(self.pointer["runs"], "i64", (self.first["runs"] + run) * 4))
            self._call(
                "put",
                put.ARGUMENTS,
                {
                    "from": f.at(f["scratch"], scalar, word["results"]),
                    "numbers": f.at(f["scratch"], scalar, word["numbers"]),
                    "lines": f.at(self.pointer["puts"], "i64", self.first["puts"] * put.LINE_WORDS),
                    "count": self.count["puts"],
                    "to": f.at(self.pointer["y"], scalar, to),
                    "step": word["y_step"],
                    "indices": f.at(self.pointer["indices"], "i64", to, wild=True),
                    "stride": word["stride"],
                    "firsts": self.pointer["firsts"],
                    "divisors": self.pointer["divisors"],
                    "each": word["each"],
                    "apart": word["apart"],
                },
            )
        f.give()

    def _pack(self, function: str, tables: str, x: Value, to: Value, step: Value, fill: Value) -> None:
        f, word = self.f, self.word
        lines, columns = f"{tables}lines", f"{tables}columns"
        self._call(
            function,
            pack.ARGUMENTS,
            {
                "x": x,
                "lines": f.at(self.pointer[lines], "i64", self.first[lines] * 2),
                "count": self.count[lines],
                "columns": f.at(self.pointer[columns], "i64", self.first[columns] * 3),
                "phases": word["phases"],
                "to": to,
                "phase": word["phase"],
                "places": word["places"],
                "step": step,
                "lanes": f.number("i64", 0),
                "fill": fill,
            },
        )

    def _divide(self, packed: Value, by: Value) -> None:
        f = self.f
        width = f.target.vector_bytes // size_of(self.scalar)
        type = vector(width, self.scalar)
        with f.loop(self.word["packed"], step=width, name="divide") as i:
            f.store(f.load(type, packed, i) / f.load(type, by, i), packed, i)

    def _combine(self, entry: Value) -> None:
        f = self.f
        start, to, count, combination = (f.load("i64", entry, i) for i in range(4))
        segment = f.at(self.pointer["segments"], "i64", combination * 2)
        self._call(
            "combine",
            taps.ARGUMENTS,
            {
                "x": f.at(f["scratch"], self.scalar, start),
                "taps": f.at(self.pointer["taps"], "i64", f.load("i64", segment) * 2),
                "count": f.load("i64", segment, 1),
                "to": f.at(f["scratch"], self.scalar, self.word["results"] + to),
                "numbers": f.at(f["scratch"], self.scalar, self.word["numbers"] + to),
                "places": count,
            },
        )

    def _call(self, function: str, arguments: Mapping[str, str], values: Mapping[str, Value]) -> None:
        assert set(values) == set(arguments)
        self.f.call(self.pointer[function], *(values[key] for key in arguments))
