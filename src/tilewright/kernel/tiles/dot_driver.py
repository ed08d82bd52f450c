"""The driver of the weight gradient of 1×1 convolutions whose columns are innermost: dot products of rows.

Definition, over all samples n and places p:

    gw[k, c] = Σ_n Σ_p gy[n, k, p] · x[n, c, p]

Schedule of one unit, which is a range of output channels and of input channels of one group, and one share of
the blocks of places (all blocks of all rows in order): for each block, the micro-kernel of dot products on
all tiles of output by input channels; then the lanes of all sums are added up and written.

Of halves, the rows of a block are first widened to scratch: every tile reads some of them.

A unit's share depends on the geometry alone and sums are added in the order of blocks, so bits never depend
on the number of threads.
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    element,
    first_lanes,
    labelled,
    lane,
    lanes,
    masked_load,
    shuffle,
    size_of,
    vector,
)
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    # arrays; the sums of share s go to gw + s·share_step
    "x", "gy", "gw", "unused",
    # sizes, of one group, and steps in elements
    "channels", "outputs", "x_group", "gy_group", "x_channel", "gy_channel", "share_step",
    # from sample to sample; where rows of one start (in x, in gy), how many it has, all have; places of a row
    # and of a block, blocks of a row
    "x_batch", "gy_batch", "row_starts", "sample_rows", "rows", "columns", "column_block", "column_blocks",
    # units
    "output_block", "output_blocks", "channel_block", "channel_blocks", "shares",
    # functions
    "dot",
    # of halves: where in scratch the rows of gy and of x are widened to
    "wide_gy", "wide_x",
)  # fmt: skip

_ADDRESSES = {"x", "gy", "gw", "row_starts", "dot"}


def name(scalar: str, rows: int, columns: int, stored: str = "") -> str:
    """The symbol of the driver for tiles of output by input channels; ``stored``: x and gy as what."""
    return labelled(f"weight_gradient_dot_{scalar}_{rows}x{columns}", stored)


def emit(target: Target, scalar: str, rows: int, columns: int, stored: str = "") -> str:
    """The driver."""
    arguments = {"unit": "i64", "args": "ptr", "scratch": "ptr"}
    f = Function(name(scalar, rows, columns, stored), target, arguments)
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    words = {
        word: FIELDS.address(f, f["args"], word) if word in _ADDRESSES else FIELDS.read(f, f["args"], word)
        for word in FIELDS.names
    }
    words |= {key: f.halves(words[key], stored) for key in ("x", "gy")}
    u = f["unit"]
    share, u = u % words["shares"], u // words["shares"]
    channel_block, u = u % words["channel_blocks"], u // words["channel_blocks"]
    output_block, group = u % words["output_blocks"], u // words["output_blocks"]
    # The last ranges start earlier instead of being shorter: a tile always fits. What two of them compute
    # comes out the same.
    kn, cn = words["output_block"], words["channel_block"]
    k0 = f.least(output_block * kn, words["outputs"] - kn)
    c0 = f.least(channel_block * cn, words["channels"] - cn)
    gy = f.at(words["gy"], scalar, group * words["gy_group"] + k0 * words["gy_channel"])
    x = f.at(words["x"], scalar, group * words["x_group"] + c0 * words["x_channel"])
    to = (group * words["outputs"] + k0) * words["channels"] + c0 + share * words["share_step"]
    gw = f.at(words["gw"], scalar, to)
    # The last tile of channels starts earlier instead of being filled up.
    k_tiles, c_tiles = (kn + (rows - 1)) // rows, (cn + (columns - 1)) // columns
    k_last, c_last = kn - rows, cn - columns
    tile = rows * columns * width
    sums = f["scratch"]
    with f.loop(k_tiles * c_tiles * tile, step=width, name="zero") as i:
        f.store(f.number(type, 0), sums, i)
    blocks = words["rows"] * words["column_blocks"]
    first, end = blocks * share // words["shares"], blocks * (share + 1) // words["shares"]
    with f.loop(end, start=first, name="block") as block:
        row, part = block // words["column_blocks"], block % words["column_blocks"]
        q = part * words["column_block"]
        count = f.least(words["columns"] - q, words["column_block"])
        n, entry = row // words["sample_rows"], row % words["sample_rows"] * 2
        x_place = f.load("i64", words["row_starts"], entry) + n * words["x_batch"]
        gy_place = f.load("i64", words["row_starts"], entry + 1) + n * words["gy_batch"]
        x_row, gy_row = f.at(x, scalar, x_place + q), f.at(gy, scalar, gy_place + q)
        gy_step, x_step = words["gy_channel"], words["x_channel"]
        if stored:
            wide_gy, wide_x = (f.at(f["scratch"], scalar, words[key]) for key in ("wide_gy", "wide_x"))
            _widen(f, type, gy_row, gy_step, kn, count, wide_gy, words["column_block"])
            _widen(f, type, x_row, x_step, cn, count, wide_x, words["column_block"])
            x_row, gy_row, gy_step, x_step = wide_x, wide_gy, words["column_block"], words["column_block"]
        with f.loop(k_tiles, name="outputs") as kt, f.loop(c_tiles, name="channels") as ct:
            a = f.at(gy_row, scalar, f.least(kt * rows, k_last) * gy_step)
            b = f.at(x_row, scalar, f.least(ct * columns, c_last) * x_step)
            place = f.at(sums, scalar, (kt * c_tiles + ct) * tile)
            f.call(words["dot"], a, b, gy_step, x_step, count, place)
    with f.loop(k_tiles, name="outputs") as kt, f.loop(c_tiles, name="channels") as ct:
        k, c = f.least(kt * rows, k_last), f.least(ct * columns, c_last)
        place = f.at(sums, scalar, (kt * c_tiles + ct) * tile)
        for a_row in range(rows):
            out = f.at(gw, scalar, (k + a_row) * words["channels"] + c)
            for b_row in range(columns):
                total = f.load(type, place, (a_row * columns + b_row) * width)
                f.store(lane(f, added(f, total, width), 0), out, b_row)
    return f.text()


def _widen(
    f: Function, type: str, x: Value, step: Value, rows: Value, count: Value, to: Value, pitch: Value
) -> None:
    """Rows of halves as floats.

    Scalar loop: ``for r in range(rows): for i in range(count): to[r * pitch + i] = x[r * step + i]``
    """
    scalar, width = element(type), lanes(type)
    whole = count // width * width
    mask = first_lanes(f, count - whole, width)
    with f.loop(rows, name="widen") as row:
        source, out = f.at(x, scalar, row * step), f.at(to, scalar, row * pitch)
        with f.loop(whole, step=width, name="widen") as i:
            f.store(f.load(type, source, i), out, i)
        with f.when(whole < count):
            f.store(masked_load(f, type, f.at(source, scalar, whole), mask), out, whole)


def added(f: Function, total: Value, width: int) -> Value:
    """The sum of all lanes, in lane 0: halves are added until one is left."""
    while width > 1:
        width //= 2
        # What the upper lanes then hold is not read again.
        places = [i + width if i < width else i for i in range(2 * width)]
        total = shuffle(f, total, total, list(range(2 * width))) + shuffle(f, total, total, places)
        total = shuffle(f, total, total, list(range(width)))
    return total
