"""Sums over all axes but the channels, in a fixed order and with little rounding.

Definition, for x of (samples, channels, places) and for x of (samples, channels):

    out[share, c] = Σ_n Σ_p x[n, c, p]        over the samples n of a share

A lane adds few numbers one after the other in x's own type; what it found goes on in float64: the sums of a
row of x, and those of all rows. So the error of float32 is that of adding 18 numbers (or 32, of samples),
which is less than what NumPy's sums in pairs add up, and much less than what it adds up along an axis that
isn't the last.

Schedule of one unit of ``places``, one channel of one share:

    for each sample of the share:
        for each piece of the row: add its vectors in x's type, then to the row's sums in float64
    write the sum of all lanes

Schedule of one unit of ``samples``, one share of all channels:

    for each four vectors of channels:
        for each few samples: add in x's type, then in float64
        write the sums
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    lanes,
    masked_load,
    masked_store,
    shuffle,
    size_of,
    vector,
)
from tilewright.kernel.builder.vectors import lane
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: Vectors added side by side: an addition takes four cycles, and one or two can begin in each.
VECTORS = 4
#: Vectors of a row that a lane adds before its sum goes to float64, for each of the above.
DEEP = 16
#: Samples that are added before their sum goes on in float64. Doubles gain nothing by that: of them about as
#: many as there are such sums in a share.
SAMPLES = {"float": 32, "double": 128}

FIELDS = Fields("x", "out", "samples", "channels", "places", "share")

LAYOUTS = ("places", "samples")


def name(scalar: str, layout: str) -> str:
    """The symbol of the function."""
    return f"sums_{scalar}_{layout}"


def width(scalar: str) -> int:
    """Numbers of a vector: a whole register with AVX-512; where they are narrower, LLVM takes several."""
    return 64 // size_of(scalar)


def emit(target: Target, scalar: str, layout: str) -> str:
    """The function."""
    f = Function(name(scalar, layout), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    emission = _Emission(f, scalar)
    emission.places() if layout == "places" else emission.samples()
    f.give()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str) -> None:
        self.f, self.scalar = f, scalar
        self.width = width(scalar)
        self.type, self.wide = vector(self.width, scalar), vector(self.width, "double")
        self.x, self.out = FIELDS.address(f, f["args"], "x"), FIELDS.address(f, f["args"], "out")

    def places(self) -> None:
        """One channel of one share of the samples."""
        f = self.f
        samples, channels, places, share = FIELDS.all(f, f["args"], "samples", "channels", "places", "share")
        channel, number = f["unit"] % channels, f["unit"] // channels
        first = number * share
        stop = f.least(samples, first + share)
        nothing = f.number(self.wide, 0)
        rows = f.loop(stop, start=first, carry=[nothing], name="rows")
        with rows as n:
            row = f.at(self.x, self.scalar, (n * channels + channel) * places)
            rows.carry([rows.carried[0] + self._row(row, places)])
        f.store(self._across(rows.results[0]), self.out, f["unit"])

    def _row(self, row: Value, places: Value) -> Value:
        """The sums of a row, in as many lanes as a vector has."""
        f, step = self.f, VECTORS * self.width
        none = f.number(self.type, 0)
        pieces = f.loop(places, step=step * DEEP, carry=[f.number(self.wide, 0)], name="pieces")
        with pieces as start:
            stop = f.least(places, start + step * DEEP)
            whole = start + ((stop - start) // step) * step
            inner = f.loop(whole, start=start, step=step, carry=[none] * VECTORS, name="inner")
            with inner as i:
                inner.carry(
                    [
                        total + f.load(self.type, row, i + number * self.width)
                        for number, total in enumerate(inner.carried)
                    ]
                )
            a, b, c, d = inner.results
            # At most three vectors and a part of one are left, and only at the end of a row.
            rest = f.loop(stop, start=whole, step=self.width, carry=[none], name="rest")
            with rest as i:
                mask = first_lanes(f, f.least(stop - i, self.width), self.width)
                rest.carry([rest.carried[0] + self._some(f.at(row, self.scalar, i), mask)])
            total = ((a + b) + (c + d)) + rest.results[0]
            pieces.carry([pieces.carried[0] + f.convert(total, self.wide)])
        return pieces.results[0]

    def _across(self, sums: Value) -> Value:
        """The sum of all lanes, halves on halves."""
        f = self.f
        while lanes(sums.type) > 1:
            half = lanes(sums.type) // 2
            upper = shuffle(f, sums, sums, range(half, 2 * half))
            sums = shuffle(f, sums, sums, range(half)) + upper
        return lane(f, sums, 0)

    def samples(self) -> None:
        """All channels of one share of the samples."""
        f = self.f
        samples, channels, share = FIELDS.all(f, f["args"], "samples", "channels", "share")
        first = f["unit"] * share
        stop = f.least(samples, first + share)
        out = f.at(self.out, "double", f["unit"] * channels)
        step = VECTORS * self.width
        whole = channels // step * step
        with f.loop(whole, step=step, name="panels") as c:
            self._columns(out, c, first, stop, channels, VECTORS, None)
        with f.loop(channels, start=whole, step=self.width, name="columns") as c:
            mask = first_lanes(f, f.least(channels - c, self.width), self.width)
            self._columns(out, c, first, stop, channels, 1, mask)

    def _columns(
        self,
        out: Value,
        c: Value,
        first: Value,
        stop: Value,
        channels: Value,
        vectors: int,
        mask: Value | None,
    ) -> None:
        """The sums of a few vectors of channels, from c on."""
        f = self.f
        samples = SAMPLES[self.scalar]
        zeros = [f.number(self.wide, 0)] * vectors
        outer = f.loop(stop, start=first, step=samples, carry=zeros, name="outer")
        with outer as n0:
            last = f.least(stop, n0 + samples)
            none = [f.number(self.type, 0)] * vectors
            inner = f.loop(last, start=n0, carry=none, name="inner")
            with inner as n:
                row = f.at(self.x, self.scalar, n * channels + c)
                inner.carry(
                    [
                        total
                        + (
                            f.load(self.type, row, number * self.width)
                            if mask is None
                            else self._some(row, mask)
                        )
                        for number, total in enumerate(inner.carried)
                    ]
                )
            outer.carry(
                [
                    total + f.convert(part, self.wide)
                    for total, part in zip(outer.carried, inner.results, strict=True)
                ]
            )
        for number, total in enumerate(outer.results):
            place = f.at(out, "double", c + number * self.width)
            if mask is None:
                f.store(total, place)
            else:
                masked_store(f, total, place, mask)

    def _some(self, place: Value, mask: Value) -> Value:
        return masked_load(self.f, self.type, place, mask)
