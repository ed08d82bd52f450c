"""The transforms of Winograd's convolution: input, weights and sums (see :mod:`tilewright.plan.winograd`).

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

with a matrix for each of the two axes. A piece has as many *places* as products: those of the line axis times
those of the last axis, counted row by row. All three run along channels: lanes of a vector are channels, so
rows of pieces may be short.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.kernel.builder import Function, Value, vector
from tilewright.kernel.tiles.linear import both_ways
from tilewright.plan.target import Target
from tilewright.plan.winograd import Scheme, matrices

Pair = tuple[Scheme, Scheme]


def places_of(pair: Pair) -> int:
    """Products of one piece."""
    return pair[0].places * pair[1].places


def label_of(pair: Pair) -> str:
    """The pair in symbols: outputs and taps of both axes."""
    return "_".join(f"{scheme.outputs}of{scheme.taps}" for scheme in pair)


def input_name(pair: Pair) -> str:
    """The symbol of the input's transform: it depends on the places alone."""
    return f"winograd_input_{pair[0].places}x{pair[1].places}"


def weight_name(pair: Pair, vectors: int) -> str:
    """The symbol of the weights' transform."""
    return f"winograd_weights_{label_of(pair)}_{vectors}"


def output_name(pair: Pair, vectors: int) -> str:
    """The symbol of the output's transform."""
    return f"winograd_output_{label_of(pair)}_{vectors}"


#: A row of pieces: packed lines [slot][position][channel], a line of zeros, which slot each line of the row
#: is (or −1), where to: out[place][piece][channel]; pieces; positions between neighbouring pieces; channels
#: of a packed position, numbers of a packed line; channels of a transformed piece, numbers between its
#: places.
INPUT = {
    "packed": "ptr",
    "zeros": "ptr",
    "slots": "ptr",
    "out": "ptr",
    "pieces": "i64",
    "piece_step": "i64",
    "pitch": "i64",
    "line_size": "i64",
    "out_pitch": "i64",
    "place_step": "i64",
}


def emit_input(target: Target, pair: Pair) -> str:
    """The input's transform of one row of pieces."""
    line_scheme, last_scheme = pair
    f = Function(input_name(pair), target, INPUT)
    type, width = _vectors(target)
    pitch = f["pitch"]
    lines = []
    for i in range(line_scheme.places):
        slot = f.load("i64", f["slots"], i)
        line = f.at(f["packed"], "float", slot * f["line_size"], wild=True)
        lines.append(f.select(slot < 0, f["zeros"], line))
    (_, _, line_map), (_, _, last_map) = matrices(line_scheme), matrices(last_scheme)
    step = f["piece_step"] * pitch
    with f.loop(f["pieces"], name="piece") as q, f.loop(pitch, step=width, name="channel") as c:
        start = q * step + c
        rows: list[list[Value]] = []
        for line in lines:
            at = f.at(line, "float", start)
            rows.append([])
            for j in range(last_scheme.places):
                rows[-1].append(f.load(type, at))
                if j + 1 < last_scheme.places:
                    at = f.at(at, "float", pitch)
        found = both_ways(f, line_map, last_map, rows)
        store_places(f, found, f.at(f["out"], "float", q * f["out_pitch"] + c), f["place_step"])
    return f.text()


def emit_weights(target: Target, pair: Pair, vectors: int) -> str:
    """From packed weights [tap][channel][lane] to out[place][channel][lane]."""
    arguments = {"packed": "ptr", "out": "ptr", "channels": "i64", "place_step": "i64"}
    f = Function(weight_name(pair, vectors), target, arguments)
    type, width = _vectors(target)
    lanes = vectors * width
    line_scheme, last_scheme = pair
    (_, line_map, _), (_, last_map, _) = matrices(line_scheme), matrices(last_scheme)
    with f.loop(f["channels"], name="channel") as c, f.loop(lanes, step=width, name="lane") as lane:
        at = f.at(f["packed"], "float", c * lanes + lane)
        step = f["channels"] * lanes
        g = [
            [f.load(type, at, step * (last_scheme.taps * i + j)) for j in range(last_scheme.taps)]
            for i in range(line_scheme.taps)
        ]
        found = both_ways(f, line_map, last_map, g)
        store_places(f, found, f.at(f["out"], "float", c * lanes + lane), f["place_step"])
    return f.text()


def emit_output(target: Target, pair: Pair, vectors: int) -> str:
    """From sums [place][piece][lane] to lines of pixels, out[line][pixel][lane]."""
    arguments = {"sums": "ptr", "out": "ptr", "pieces": "i64", "place_step": "i64"}
    f = Function(output_name(pair, vectors), target, arguments)
    type, width = _vectors(target)
    lanes = vectors * width
    line_scheme, last_scheme = pair
    (line_map, _, _), (last_map, _, _) = matrices(line_scheme), matrices(last_scheme)
    line_step = f["pieces"] * (last_scheme.outputs * lanes)
    with f.loop(f["pieces"], name="piece") as q, f.loop(lanes, step=width, name="lane") as lane:
        sums = load_places(f, pair, f.at(f["sums"], "float", q * lanes + lane), f["place_step"], type)
        found = both_ways(f, line_map, last_map, sums)
        out = f.at(f["out"], "float", q * (last_scheme.outputs * lanes) + lane)
        for i, row in enumerate(found):
            for j, value in enumerate(row):
                f.store(value, out, line_step * i + j * lanes)
    return f.text()


def load_places(f: Function, pair: Pair, at: Value, step: Value, type: str) -> list[list[Value]]:
    """The numbers of all places, ``step`` apart."""
    found: list[list[Value]] = []
    for i in range(pair[0].places):
        found.append([])
        for j in range(pair[1].places):
            found[i].append(f.load(type, at))
            if (i + 1, j + 1) != (pair[0].places, pair[1].places):
                at = f.at(at, "float", step)
    return found


def store_places(f: Function, values: Sequence[Sequence[Value]], out: Value, step: Value) -> None:
    """A number to each place, ``step`` apart."""
    flat = [value for row in values for value in row]
    for number, value in enumerate(flat):
        f.store(value, out)
        if number + 1 < len(flat):
            out = f.at(out, "float", step)


def _vectors(target: Target) -> tuple[str, int]:
    width = target.vector_bytes // 4
    return vector(width, "float"), width
