"""Two sums for each channel in one pass: those that batch norm and its gradient divide by the count.

Definition, for x of (samples, channels, places), with a number m for each channel:

    spread       out[0, c] = Σ (x − m)      out[1, c] = Σ (x − m)²
    pull         out[0, c] = Σ g            out[1, c] = Σ g·(x − m)
    pull_relu    the same, where g counts as 0 if y ≤ 0; and what it counts as is written down

Everything is summed in float64. The sums of squares lose no digits that matter if m is one of the channel's
numbers: the mean is then at most √n deviations away, so the difference to be taken from Σ(x − m)² is at most
n times what is left, where float64 has 2^53 times float32's last digit to give away.

Schedule of one unit of ``places``, a few channels of one share of the samples. As memory is read, so it
lies: going through one channel after the other took two to three times as long:

    for each sample of the share:
        for each channel: sum the row in lanes, and add the lanes to those in scratch
    write the sum of all lanes

Schedule of one unit of ``rows``, for channels that lie innermost: one share of the rows, each a number for
every channel (or several times all channels, where they are few):

    for each few vectors of channels:
        for each row: add
        write the sums
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    lanes,
    masked_load,
    masked_store,
    shuffle,
    size_of,
    splat,
    vector,
)
from tilewright.kernel.builder.vectors import lane
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("spread", "pull", "pull_relu")
LAYOUTS = ("places", "rows")
#: Most channels of a unit of ``places``: their lanes, 256 bytes each, are to stay in the L1 cache.
MOST_CHANNELS = 64
# Vectors of a row side by side. An addition takes four cycles; a vector of float32 is two of doubles, and
# needs as many cycles with its conversions.
_ABREAST = {"float": 1, "double": 2}

FIELDS = Fields(
    # arrays; y and kept are pull_relu's, and g also pull's
    "x", "y", "g", "kept", "centre", "out",
    # of places: sizes, samples of a share, and channels of a unit; of rows: length of a row is "channels"
    "samples", "channels", "places", "share", "few",
    # of rows: elements in all, since the last row may be shorter
    "count",
)  # fmt: skip


def name(scalar: str, kind: str, layout: str) -> str:
    """The symbol of the function."""
    return f"moments_{scalar}_{kind}_{layout}"


def width(scalar: str) -> int:
    """Numbers of a vector: a whole register with AVX-512; where they are narrower, LLVM takes several."""
    return 64 // size_of(scalar)


def scratch_bytes(scalar: str) -> int:
    """Room for two sums of each lane, in float64, for the channels of a unit."""
    return MOST_CHANNELS * 2 * width(scalar) * 8


def emit(target: Target, scalar: str, kind: str, layout: str) -> str:
    """The function."""
    f = Function(name(scalar, kind, layout), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    emission = _Emission(f, scalar, kind)
    emission.places() if layout == "places" else emission.rows()
    f.give()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str) -> None:
        self.f, self.scalar, self.kind = f, scalar, kind
        self.width = width(scalar)
        self.type, self.wide = vector(self.width, scalar), vector(self.width, "double")
        self.none = f.number(self.wide, 0)
        names = {"spread": ("x",), "pull": ("x", "g"), "pull_relu": ("x", "g", "y", "kept")}[kind]
        self.arrays = [FIELDS.address(f, f["args"], word) for word in names]
        self.centre, self.out = (FIELDS.address(f, f["args"], word) for word in ("centre", "out"))

    def places(self) -> None:
        """A few channels of one share of the samples."""
        f = self.f
        samples, channels, places, share, few = FIELDS.all(
            f, f["args"], "samples", "channels", "places", "share", "few"
        )
        panels = (channels + few - 1) // few
        number, first_channel = f["unit"] // panels, f["unit"] % panels * few
        last_channel = f.least(channels, first_channel + few)
        first = number * share
        stop = f.least(samples, first + share)
        with f.loop(last_channel, start=first_channel, name="clear") as c:
            for place in self._rooms(c - first_channel):
                f.store(self.none, place)
        with (
            f.loop(stop, start=first, name="samples") as n,
            f.loop(last_channel, start=first_channel, name="channels") as c,
        ):
            sums = self._row((n * channels + c) * places, places, splat(f, self._centre_of(c), self.width))
            for place, total in zip(self._rooms(c - first_channel), sums, strict=True):
                f.store(f.load(self.wide, place) + total, place)
        with f.loop(last_channel, start=first_channel, name="results") as c:
            for quantity, place in enumerate(self._rooms(c - first_channel)):
                total = self._across(f.load(self.wide, place))
                f.store(total, self.out, (number * 2 + quantity) * channels + c)

    def _centre_of(self, c: Value) -> Value:
        return self.f.load("double", self.centre, c)

    def _rooms(self, channel: Value) -> list[Value]:
        """Where the two sums of a channel are in scratch."""
        f = self.f
        return [f.at(f["scratch"], "double", (channel * 2 + quantity) * self.width) for quantity in (0, 1)]

    def _row(self, start: Value, length: Value, centre: Value) -> list[Value]:
        """The two sums of a row, in as many lanes as a vector has."""
        f, abreast = self.f, _ABREAST[self.scalar]
        row = [f.at(array, self.scalar, start) for array in self.arrays]
        step = abreast * self.width
        whole = length // step * step
        inner = f.loop(whole, step=step, carry=[self.none] * (2 * abreast), name="inner")
        with inner as i:
            totals = []
            for number in range(abreast):
                here = [f.at(array, self.scalar, i + number * self.width) for array in row]
                totals += self._added(inner.carried[2 * number : 2 * number + 2], here, centre)
            inner.carry(totals)
        sums = inner.results[:2]
        if abreast == 2:
            sums = [a + b for a, b in zip(sums, inner.results[2:], strict=True)]
        rest = f.loop(length, start=whole, step=self.width, carry=sums, name="rest")
        with rest as i:
            mask = first_lanes(f, f.least(length - i, self.width), self.width)
            here = [f.at(array, self.scalar, i) for array in row]
            rest.carry(self._added(rest.carried, here, centre, mask))
        return rest.results

    def _added(
        self, sums: Sequence[Value], places: Sequence[Value], centre: Value, mask: Value | None = None
    ) -> list[Value]:
        """The two sums with one more vector in them; its lanes where the mask is false count as 0."""
        f = self.f
        x = f.convert(self._loaded(places[0], mask), self.wide)
        away = x - centre
        if mask is not None:
            away = f.select(mask, away, 0)
        factor = away
        if self.kind != "spread":
            g = self._loaded(places[1], mask)
            if self.kind == "pull_relu":
                g = f.select(self._loaded(places[2], mask) <= 0, f.number(g.type, 0), g)
                if mask is None:
                    f.store(g, places[3])
                else:
                    masked_store(f, g, places[3], mask)
            factor = f.convert(g, self.wide)
        return [sums[0] + factor, f.multiply_add(factor, away, sums[1])]

    def _loaded(self, place: Value, mask: Value | None) -> Value:
        return self.f.load(self.type, place) if mask is None else masked_load(self.f, self.type, place, mask)

    def _across(self, sums: Value) -> Value:
        """The sum of all lanes, halves on halves."""
        f = self.f
        while lanes(sums.type) > 1:
            half = lanes(sums.type) // 2
            upper = shuffle(f, sums, sums, range(half, 2 * half))
            sums = shuffle(f, sums, sums, range(half)) + upper
        return lane(f, sums, 0)

    def rows(self) -> None:
        """All channels of one share of the rows."""
        f = self.f
        length, share, count = FIELDS.all(f, f["args"], "channels", "share", "count")
        first = f["unit"] * share
        # The last row of all may be shorter; it comes after the whole ones.
        stop = f.least(count // length, first + share)
        rest = f.least(count - stop * length, (first + share - stop) * length)
        # With narrower registers there is room for the sums of one vector only.
        vectors = 4 if f.target.vector_bytes == 64 else 1
        step = vectors * self.width
        whole = length // step * step
        with f.loop(whole, step=step, name="panels") as c:
            self._columns(c, length, first, stop, rest, vectors, None)
        with f.loop(length, start=whole, step=self.width, name="columns") as c:
            mask = first_lanes(f, f.least(length - c, self.width), self.width)
            self._columns(c, length, first, stop, rest, 1, mask)

    def _columns(
        self,
        c: Value,
        length: Value,
        first: Value,
        stop: Value,
        rest: Value,
        vectors: int,
        mask: Value | None,
    ) -> None:
        """The sums of a few vectors of channels, from c on."""
        f = self.f
        columns = [c + number * self.width for number in range(vectors)]
        centres = []
        for column in columns:
            place = f.at(self.centre, "double", column)
            centres.append(
                f.load(self.wide, place) if mask is None else masked_load(f, self.wide, place, mask)
            )
        rows = f.loop(stop, start=first, carry=[self.none] * (2 * vectors), name="inner")
        with rows as n:
            rows.carry(self._across_columns(rows.carried, n * length, columns, centres, [mask] * vectors))
        last = f.loop(stop + 1, start=f.select(rest > 0, stop, stop + 1), carry=rows.results, name="last")
        with last as n:
            some = [
                first_lanes(f, f.least(f.greatest(rest - column, 0), self.width), self.width)
                for column in columns
            ]
            last.carry(self._across_columns(last.carried, n * length, columns, centres, some))
        for number, total in enumerate(last.results):
            row = f["unit"] * 2 + number % 2
            place = f.at(self.out, "double", row * length + columns[number // 2])
            if mask is None:
                f.store(total, place)
            else:
                masked_store(f, total, place, mask)

    def _across_columns(
        self,
        sums: Sequence[Value],
        start: Value,
        columns: Sequence[Value],
        centres: Sequence[Value],
        masks: Sequence[Value | None],
    ) -> list[Value]:
        """The sums of the columns with one more row in them."""
        f, found = self.f, []
        for number, (column, centre, mask) in enumerate(zip(columns, centres, masks, strict=True)):
            # Beyond the last, shorter row there may be no array any more.
            wild = mask is not None
            here = [f.at(array, self.scalar, start + column, wild=wild) for array in self.arrays]
            found += self._added(sums[2 * number : 2 * number + 2], here, centre, mask)
        return found
