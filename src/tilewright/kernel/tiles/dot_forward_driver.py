"""The driver of 1×1 convolutions with few outputs and many channels, innermost: dot products of rows.

Definition:

    y[p, k] = act(bias[k] + Σ_c x[p, c] · w[k, c]),   p over all places of all samples

Vectors of outputs would be mostly empty, and turning the weights over would cost as much as the products.
Schedule of one unit, which is a block of pixels of one group: for each tile of pixels, stretch by stretch of
channels, the micro-kernel of dot products on all tiles of outputs (so that rows of x are read from memory as
they lie); then the lanes of all sums are added up, and stored. Weights that no cache of a core's own holds
are read stretch by stretch for all pixels of the unit.

The order of a sum (stretches of channels, then lanes) depends on the number of channels alone.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, labelled, lane, size_of, vector
from tilewright.kernel.tiles.dot_driver import added
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "w", "bias", "y",
    # sizes and steps of one group, in elements; where rows of a sample start: (in x, in y)
    "channels", "outputs", "x_group", "y_group", "w_group", "x_column", "y_column",
    "x_batch", "y_batch", "row_starts", "sample_rows", "rows", "columns",
    # whether tiles of pixels are done one after the other; channels of a stretch; pixels of a unit, its
    # blocks of a row; lanes of the tile that is stored
    "apart", "stretch", "column_block", "column_blocks", "panel", "sums_at",
    "dot", "store", "slope",
)  # fmt: skip

_ADDRESSES = {"x", "w", "bias", "y", "row_starts", "dot", "store"}


def name(scalar: str, pixels: int, outputs: int, stored: str = "") -> str:
    """The symbol of the driver for tiles of so many pixels by outputs; ``stored``: of what kind of halves."""
    return labelled(f"convolve_dot_{scalar}_{pixels}x{outputs}", stored)


def emit(target: Target, scalar: str, pixels: int, outputs: int, stored: str = "") -> str:
    """The driver."""
    arguments = {"unit": "i64", "args": "ptr", "scratch": "ptr"}
    f = Function(name(scalar, pixels, outputs, stored), target, arguments)
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    words = {
        word: FIELDS.address(f, f["args"], word) if word in _ADDRESSES else FIELDS.read(f, f["args"], word)
        for word in FIELDS.names
        if word != "slope"
    }
    words |= {key: f.halves(words[key], stored) for key in ("x", "w", "y")}
    slope = f.load("double", f["args"], FIELDS.place["slope"])
    u = f["unit"]
    part, u = u % words["column_blocks"], u // words["column_blocks"]
    row, group = u % words["rows"], u // words["rows"]
    # The last block of a row starts earlier instead of being shorter.
    count = words["column_block"]
    q = f.least(part * count, words["columns"] - count)
    n, entry = row // words["sample_rows"], row % words["sample_rows"] * 2
    x_place = f.load("i64", words["row_starts"], entry) + n * words["x_batch"] + group * words["x_group"]
    y_place = f.load("i64", words["row_starts"], entry + 1) + n * words["y_batch"] + group * words["y_group"]
    x = f.at(words["x"], scalar, x_place + q * words["x_column"])
    y = f.at(words["y"], scalar, y_place + q * words["y_column"])
    w = f.at(words["w"], scalar, group * words["w_group"])
    p_tiles, k_tiles = (count + (pixels - 1)) // pixels, (words["outputs"] + (outputs - 1)) // outputs
    p_last, k_last = count - pixels, words["outputs"] - outputs
    tile = pixels * outputs * width
    finished, sums = f["scratch"], f.at(f["scratch"], scalar, words["sums_at"])
    with f.loop(p_tiles * k_tiles * tile, step=width, name="zero") as i:
        f.store(f.number(type, 0), sums, i)
    together = f.select(words["apart"].differs(0), f.number("i64", 1), p_tiles)
    with (
        f.loop(p_tiles, step=together, name="pixels") as first,
        f.loop(words["channels"], step=words["stretch"], name="stretch") as c,
    ):
        cn = f.least(words["channels"] - c, words["stretch"])
        last = f.least(first + together, p_tiles)
        with f.loop(last, start=first, name="pixels") as pt, f.loop(k_tiles, name="outputs") as kt:
            a = f.at(x, scalar, f.least(pt * pixels, p_last) * words["x_column"] + c)
            b = f.at(w, scalar, f.least(kt * outputs, k_last) * words["channels"] + c)
            place = f.at(sums, scalar, (pt * k_tiles + kt) * tile)
            f.call(words["dot"], a, b, words["x_column"], words["channels"], cn, place)
    with f.loop(p_tiles, name="pixels") as pt, f.loop(k_tiles, name="outputs") as kt:
        p, k = f.least(pt * pixels, p_last), f.least(kt * outputs, k_last)
        place = f.at(sums, scalar, (pt * k_tiles + kt) * tile)
        for pixel in range(pixels):
            out = f.at(finished, scalar, (p + pixel) * words["panel"] + k)
            for output in range(outputs):
                total = f.load(type, place, (pixel * outputs + output) * width)
                f.store(lane(f, added(f, total, width), 0), out, output)
    moved = f.at(words["bias"], scalar, group * words["outputs"], wild=True)
    bias = f.select(words["bias"].differs(f.null()), moved, f.null())
    one = f.number("i64", 1)
    f.call(words["store"], finished, y, bias, words["outputs"], count, one, words["y_column"], slope)
    return f.text()
