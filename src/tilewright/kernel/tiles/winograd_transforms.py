"""The three linear maps of Winograd's F(2×2, 3×3).

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

Two by two outputs come from a 4×4 piece d of the input and a 3×3 kernel g with 16 multiplications where the
definition takes 36. Source: S. Winograd, *Arithmetic Complexity of Computations*, SIAM 1980; as an algorithm
for convolutional networks: Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016,
section 4.1.

         | 1  0 −1  0 |         | 1    0   0  |
    Bᵀ = | 0  1  1  0 |     G = | ½    ½   ½  |     Aᵀ = | 1  1  1  0 |
         | 0 −1  1  0 |         | ½   −½   ½  |          | 0  1 −1 −1 |
         | 0  1  0 −1 |         | 0    0   1  |

Each of the 16 products of a piece is a place; its number is 4·row + column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.kernel.builder import Function, Value, vector
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: Products of one piece.
PLACES = 16


def input_name() -> str:
    """The symbol of the input's transform."""
    return "winograd_input"


def weight_name(vectors: int) -> str:
    """The symbol of the weights' transform."""
    return f"winograd_weights_{vectors}"


def output_name(vectors: int) -> str:
    """The symbol of the output's transform."""
    return f"winograd_output_{vectors}"


def emit_input(target: Target, fields: Fields) -> str:
    """From packed lines to out[place][channel][piece], vectors along the pieces of a row of them.

    A packed line holds the even and the odd columns apart, so each of the four columns of neighbouring pieces
    is a run of consecutive numbers. ``slots`` has four numbers of lines for each row of pieces; −1 stands for
    a line of zeros.
    """
    arguments = {
        "args": "ptr",
        "packed": "ptr",
        "zeros": "ptr",
        "slots": "ptr",
        "out": "ptr",
        "channels": "i64",
        "rows": "i64",
    }
    f = Function(input_name(), target, arguments)
    words = ("pitch", "pieces", "piece_pitch", "channel_block")
    pitch, pieces, piece_pitch, all_channels = fields.all(f, f["args"], *words)
    entries = fields.address(f, f["args"], "row_entries")
    columns = [f.load("i64", entries, 2 * j + 1) for j in range(4)]
    width = target.vector_bytes // 4
    type = vector(width, "float")
    place_step = all_channels * piece_pitch
    with f.loop(f["channels"], name="channel") as c, f.loop(f["rows"], name="row") as row:
        lines = []
        for i in range(4):
            slot = f.load("i64", f["slots"], row * 4 + i)
            line = f.at(f["packed"], "float", (slot * f["channels"] + c) * pitch, wild=True)
            lines.append(f.select(slot < 0, f["zeros"], line))
        out = f.at(f["out"], "float", c * piece_pitch + row * pieces)
        with f.loop(pieces, step=width, name="piece") as q:
            d = [[f.load(type, line, q + column) for column in columns] for line in lines]
            found = both_ways(d, input_map)
            to = f.at(out, "float", q)
            for i in range(4):
                for j in range(4):
                    f.store(found[i][j], to)
                    if (i, j) != (3, 3):
                        to = f.at(to, "float", place_step)
    return f.text()


def emit_weights(target: Target, vectors: int) -> str:
    """From packed weights [tap][channel][lane] to out[place][channel][lane]."""
    arguments = {"packed": "ptr", "out": "ptr", "channels": "i64", "all_channels": "i64"}
    f = Function(weight_name(vectors), target, arguments)
    width = target.vector_bytes // 4
    type, lanes = vector(width, "float"), vectors * width
    half = f.number(type, 0.5)

    def map_of(g: Sequence[Value]) -> list[Value]:
        # ½ of both sums is exact, so this rounds once for each.
        ends = (g[0] + g[2]) * half
        middle = g[1] * half
        return [g[0], ends + middle, ends - middle, g[2]]

    with f.loop(f["channels"], name="channel") as c, f.loop(lanes, step=width, name="lane") as lane:
        g = [
            [f.load(type, f["packed"], (f["channels"] * (3 * i + j) + c) * lanes + lane) for j in range(3)]
            for i in range(3)
        ]
        found = both_ways(g, map_of)
        for i in range(4):
            for j in range(4):
                f.store(found[i][j], f["out"], (f["all_channels"] * (4 * i + j) + c) * lanes + lane)
    return f.text()


def emit_output(target: Target, vectors: int) -> str:
    """From sums [place][piece][lane] to two lines of pixels, out[line][pixel][lane]."""
    arguments = {"sums": "ptr", "out": "ptr", "pieces": "i64", "place_step": "i64"}
    f = Function(output_name(vectors), target, arguments)
    width = target.vector_bytes // 4
    type, lanes = vector(width, "float"), vectors * width
    line_step = f["pieces"] * (2 * lanes)
    with f.loop(f["pieces"], name="piece") as q, f.loop(lanes, step=width, name="lane") as lane:
        at = f.at(f["sums"], "float", q * lanes + lane)
        sums: list[list[Value]] = []
        for i in range(4):
            sums.append([])
            for j in range(4):
                sums[i].append(f.load(type, at))
                if (i, j) != (3, 3):
                    at = f.at(at, "float", f["place_step"])
        found = both_ways(sums, _output_map)
        for i in range(2):
            for j in range(2):
                f.store(found[i][j], f["out"], line_step * i + (q * 2 + j) * lanes + lane)
    return f.text()


def both_ways(
    square: Sequence[Sequence[Value]], map_of: Callable[[Sequence[Value]], list[Value]]
) -> list[list[Value]]:
    """The map on every column, then on every row."""
    columns = [map_of([row[j] for row in square]) for j in range(len(square[0]))]
    return [map_of([column[i] for column in columns]) for i in range(len(columns[0]))]


def input_map(d: Sequence[Value]) -> list[Value]:
    """Bᵀ on four values."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _output_map(m: Sequence[Value]) -> list[Value]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
