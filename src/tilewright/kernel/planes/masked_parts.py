"""What masked convolution does beside packing and summing: telling what is missing, and the ratio.

``split``, of a packed channel in scratch; missing samples are NaN, with ``given`` those whose mask is 0:

    there = mask[i] ≠ 0             given
            values[i] = values[i]   else: whether it is a number
    values[i] = values[i] if there else 0
    masks[i]  = (1 if there else 0) + (masks[i] if ``add``)

``finish``, of each line of a table of stores, with the sums of one output and those of the masks:

    ratio = total / mask[i] if mask[i] > 0 else 0
    y[store.to + i·step] = from[i] · ratio + bias       (with ``fills``: fill where mask[i] is not above 0)
    ratios[store.to + i·step] = ratio                   if there is such an array

``slopes``, which stands for ``finish`` on the way back, with the gradient g of the result, laid out like it:

    y[store.to + i·step]      = g[store.to + i·step] · ratio
    ratios[store.to + i·step] = g[store.to + i·step] · from[i] · ratio · (ratio / total)
"""

from __future__ import annotations

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    masked_load,
    masked_store,
    size_of,
    splat,
    vector,
)
from tilewright.plan.target import Target

#: The packed channel, the mask given for it, where its mask goes, how many elements, and whether to add.
SPLIT = {"values": "ptr", "given": "ptr", "masks": "ptr", "count": "i64", "add": "i64"}
#: Sums of the values and of the masks, the table and its length, where the result and (or null) the ratio go,
#: the step between outputs of a line, the sum of a whole window, the bias (or null), the fill, and the
#: result's gradient.
FINISH = {
    "from": "ptr",
    "met": "ptr",
    "stores": "ptr",
    "count": "i64",
    "to": "ptr",
    "ratios": "ptr",
    "step": "i64",
    "total": "ptr",
    "bias": "ptr",
    "fills": "i64",
    "fill": "double",
    "g": "ptr",
}


def split_name(scalar: str, given: bool) -> str:
    """The symbol of the function."""
    return f"split_planes_{scalar}_{'given' if given else 'nan'}"


def emit_split(target: Target, scalar: str, given: bool) -> str:
    """The function."""
    f = Function(split_name(scalar, given), target, SPLIT)
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    nothing, one = f.number(type, 0), f.number(type, 1)
    for add in (False, True):
        with f.when(f["add"].equals(int(add))), f.loop(f["count"], step=width, name="vector") as i:
            value = f.load(type, f["values"], i)
            there = f.load(type, f["given"], i).differs(0) if given else value.equals(value)
            f.store(f.select(there, value, nothing), f["values"], i)
            mask = f.select(there, one, nothing)
            f.store(mask + f.load(type, f["masks"], i) if add else mask, f["masks"], i)
    f.give()
    return f.text()


def finish_name(scalar: str, schedule: str, slopes: bool = False) -> str:
    """The symbol of the function; schedules: ``one`` (outputs of a line follow each other), ``any``."""
    return f"{'slopes' if slopes else 'finish'}_planes_{scalar}_{schedule}"


def emit_finish(target: Target, scalar: str, schedule: str, slopes: bool = False) -> str:
    """The function."""
    f = Function(finish_name(scalar, schedule, slopes), target, FINISH)
    _Finish(f, scalar, slopes).emit(schedule)
    f.give()
    return f.text()


class _Finish:
    def __init__(self, f: Function, scalar: str, slopes: bool) -> None:
        self.f, self.scalar, self.slopes = f, scalar, slopes
        self.keeps = f["ratios"].differs(f.null())
        self.fills = f["fills"].differs(0)
        total = f.load(scalar, f["total"])
        if slopes:
            # Of weights that are all 0 there is no ratio, and no slope.
            nothing = f.number(scalar, 0)
            other = f.select(total > 0, f.number(scalar, 1) / total, nothing)
        else:
            with f.either(f["bias"].differs(f.null()), scalar) as choice:
                choice.yes(f.load(scalar, f["bias"]))
                choice.otherwise()
                choice.no(f.number(scalar, 0))
            other = choice.result
        #: the sum of a whole window; the bias, or of slopes one over that sum; and the fill
        self.scalars = [total, other, f.convert(f["fill"], scalar)]

    def emit(self, schedule: str) -> None:
        f, scalar = self.f, self.scalar
        width = f.target.vector_bytes // size_of(scalar)
        type = vector(width, scalar)
        vectors = [splat(f, value, width) for value in self.scalars]
        with f.loop(f["count"], name="line") as number:
            start, place, count = (f.load("i64", f["stores"], number * 3 + i) for i in range(3))
            source, met = f.at(f["from"], scalar, start), f.at(f["met"], scalar, start)
            to, g = f.at(f["to"], scalar, place), f.at(f["g"], scalar, place, wild=True)
            ratios = f.at(f["ratios"], scalar, place, wild=True)
            lines = (source, met, to, g, ratios)
            if schedule == "any":
                with f.loop(count, name="output") as i:
                    self._some(scalar, lines, i, i * f["step"], self.scalars)
            else:
                whole = count // width * width
                with f.loop(whole, step=width, name="vector") as i:
                    self._some(type, lines, i, i, vectors)
                with f.when(whole < count):
                    self._some(type, lines, whole, whole, vectors, first_lanes(f, count - whole, width))

    def _some(
        self,
        type: str,
        lines: tuple[Value, ...],
        i: Value,
        at: Value,
        known: list[Value],
        mask: Value | None = None,
    ) -> None:
        """One output, or a vector of them, of which those of the mask are there."""
        f, scalar = self.f, self.scalar
        source, met, to, g, ratios = lines
        gradient = None
        if self.slopes:
            place = f.at(g, scalar, at)
            gradient = f.load(type, place) if mask is None else masked_load(f, type, place, mask)
        y, other = self._formula([f.load(type, array, i) for array in (source, met)], gradient, known)

        def stored(value: Value, line: Value) -> None:
            if mask is None:
                f.store(value, line, at)
            else:
                masked_store(f, value, f.at(line, scalar, at), mask)

        stored(y, to)
        with f.when(self.keeps):
            stored(other, ratios)

    def _formula(self, sums: list[Value], g: Value | None, known: list[Value]) -> tuple[Value, Value]:
        """What is written: the result and the ratio, or their slopes."""
        f, (source, met), (total, other, fill) = self.f, sums, known
        nothing = f.number(source.type, 0)
        held = met > 0
        ratio = f.select(held, total / met, nothing)
        if g is not None:
            # Where nothing is there, the gradient may be anything, and none of it gets through.
            scaled = f.select(held, g * ratio, nothing)
            return scaled, scaled * source * (ratio * other)
        y = source * ratio + other
        return f.select(self.fills, f.select(held, y, fill), y), ratio
