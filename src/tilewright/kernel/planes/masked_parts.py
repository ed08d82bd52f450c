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
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, first_lanes, masked_store, size_of, splat, vector
from tilewright.plan.target import Target

#: The packed channel, the mask given for it, where its mask goes, how many elements, and whether to add.
SPLIT = {"values": "ptr", "given": "ptr", "masks": "ptr", "count": "i64", "add": "i64"}
#: Sums of the values and of the masks, the table and its length, where the result and (or null) the ratio go,
#: the step between outputs of a line, the sum of a whole window, the bias (or null), and the fill.
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


def finish_name(scalar: str, schedule: str) -> str:
    """The symbol of the function; schedules: ``one`` (outputs of a line follow each other), ``any``."""
    return f"finish_planes_{scalar}_{schedule}"


def emit_finish(target: Target, scalar: str, schedule: str) -> str:
    """The function."""
    f = Function(finish_name(scalar, schedule), target, FINISH)
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    total = splat(f, f.load(scalar, f["total"]), width)
    with f.either(f["bias"].differs(f.null()), scalar) as choice:
        choice.yes(f.load(scalar, f["bias"]))
        choice.otherwise()
        choice.no(f.number(scalar, 0))
    bias = splat(f, choice.result, width)
    fill = splat(f, f.convert(f["fill"], scalar), width)
    nothing = f.number(type, 0)
    keeps = f["ratios"].differs(f.null())

    def finished(source: Value, met: Value, i: Value) -> tuple[Value, Value]:
        mask = f.load(type, met, i)
        held = mask > 0
        ratio = f.select(held, total / mask, nothing)
        y = f.load(type, source, i) * ratio + bias
        filled = f.select(held, y, fill)
        return f.select(f["fills"].differs(0), filled, y), ratio

    with f.loop(f["count"], name="line") as number:
        start, place, count = (f.load("i64", f["stores"], number * 3 + i) for i in range(3))
        source, met = f.at(f["from"], scalar, start), f.at(f["met"], scalar, start)
        to = f.at(f["to"], scalar, place)
        ratios = f.at(f["ratios"], scalar, place, wild=True)
        if schedule == "one":
            whole = count // width * width
            with f.loop(whole, step=width, name="vector") as i:
                y, ratio = finished(source, met, i)
                f.store(y, to, i)
                with f.when(keeps):
                    f.store(ratio, ratios, i)
            with f.when(whole < count):
                y, ratio = finished(source, met, whole)
                mask = first_lanes(f, count - whole, width)
                masked_store(f, y, f.at(to, scalar, whole), mask)
                with f.when(keeps):
                    masked_store(f, ratio, f.at(ratios, scalar, whole), mask)
        else:
            with f.loop(count, name="output") as i:
                value = f.load(scalar, met, i)
                held = value > 0
                ratio_ = f.select(held, f.load(scalar, f["total"]) / value, f.number(scalar, 0))
                y_ = f.load(scalar, source, i) * ratio_ + choice.result
                filled = f.select(held, y_, f.convert(f["fill"], scalar))
                f.store(f.select(f["fills"].differs(0), filled, y_), to, i * f["step"])
                with f.when(keeps):
                    f.store(ratio_, ratios, i * f["step"])
    f.give()
    return f.text()
