"""The driver of the weight gradient of dense layers: nothing is packed, sums are written where they belong.

Definition, over all places p:

    gw[k, c] = Σ_p gy[p, k] · x[p, c]

Channels are innermost in both arrays, as in the micro-kernel's two operands: vectors of input channels by
scalars of output channels. Schedule of one unit, which is a range of input channels of one group: for each
tile of output channels and of input channels, the micro-kernel over a stretch of places at a time.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, size_of
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

FIELDS = Fields(
    "x", "gy", "gw", "unused",
    # sizes and steps of one group, in elements; places summed, and of a stretch
    "channels", "outputs", "x_group", "gy_group", "x_place", "gy_place", "places", "stretch",
    # input channels of a unit and its ranges; tiles
    "channel_block", "channel_blocks", "panel", "tile", "list_at",
    "micro",
)  # fmt: skip

_ADDRESSES = {"x", "gy", "gw", "micro"}


def name(scalar: str) -> str:
    """The symbol of the driver."""
    return f"weight_gradient_outer_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The driver."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    words = {
        word: FIELDS.address(f, f["args"], word) if word in _ADDRESSES else FIELDS.read(f, f["args"], word)
        for word in FIELDS.names
    }
    channels, outputs, panel = words["channels"], words["outputs"], words["panel"]
    block, group = f["unit"] % words["channel_blocks"], f["unit"] // words["channel_blocks"]
    c0 = block * words["channel_block"]
    c1 = f.least(c0 + words["channel_block"], channels)
    x = f.at(words["x"], scalar, group * words["x_group"])
    gy = f.at(words["gy"], scalar, group * words["gy_group"])
    gw = f.at(words["gw"], scalar, group * outputs * channels)
    table = f.at(f["scratch"], scalar, words["list_at"])
    zero, one = f.number("i64", 0), f.number("i64", 1)
    f.store(zero, table, 0)
    f.store(zero, table, 1)
    with (
        f.loop(c1, start=c0, step=panel, name="channels") as start,
        f.loop(outputs, step=words["tile"], name="outputs") as first,
    ):
        # The last tiles start earlier instead of being filled up, but stay among the unit's own channels: two
        # threads never write to the same place.
        c = f.least(start, f.greatest(c1 - panel, c0))
        k = f.least(first, outputs - words["tile"])
        out = f.at(gw, scalar, k * channels + c)
        # What the next range of channels reads lies in as many pages as there are places: it is asked for
        # early.
        with f.when(first.equals(0)), f.loop(words["places"], name="soon") as p:
            next = f.at(x, scalar, p * words["x_place"] + c + panel, wild=True)
            with f.loop(panel, step=64 // size_of(scalar), name="soon") as line:
                f.soon(f.at(next, scalar, line, wild=True))
        with f.loop(words["places"], step=words["stretch"], name="places") as p:
            count = f.least(words["places"] - p, words["stretch"])
            resume = f.result("i64", f"zext i1 {p.differs(0).name} to i64")
            f.call(
                words["micro"], f.at(x, scalar, p * words["x_place"] + c),
                f.at(gy, scalar, p * words["gy_place"] + k), table, one, count, words["x_place"],
                words["gy_place"], out, channels, resume,
            )  # fmt: skip
    return f.text()
