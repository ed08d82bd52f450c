"""The largest sample or the sum over the taps, for a run of consecutive packed places.

Definition, for places i of a run, over the taps t in order:

    max            to[i] = the largest x[i + x_t]; the first NaN, if there is one
    max_indices    the same, and numbers[i] = the number of that tap; −1 where none is larger than −∞
    sum            to[i] = Σ_t x[i + x_t]

Schedule: several vectors of places side by side, so that no comparison waits for the one before; then half as
many, and so on, for what is left. The last vector may reach beyond the run: there is slack behind it.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, size_of, splat, vector
from tilewright.kernel.pools.largest import LEAST, integer_like, is_larger
from tilewright.plan.target import Target

#: The packed block at the run's first place, the table of taps (where they read, and their number) and how
#: many there are, where results go, where numbers of taps go, and how many places.
ARGUMENTS = {"x": "ptr", "taps": "ptr", "count": "i64", "to": "ptr", "numbers": "ptr", "places": "i64"}
KINDS = ("max", "max_indices", "sum")


def name(scalar: str, kind: str) -> str:
    """The symbol of the function."""
    return f"pool_taps_{scalar}_{kind}"


def vectors(target: Target) -> int:
    """How many vectors of places are combined side by side, at most.

    Eight hide the four to eight cycles of a comparison and what follows it; with 16 registers half of them.
    """
    return 8 if target.registers > 16 else 4


def emit(target: Target, scalar: str, kind: str) -> str:
    """The function."""
    f = Function(name(scalar, kind), target, ARGUMENTS)
    width = target.vector_bytes // size_of(scalar)
    count = vectors(target)
    place = f.number("i64", 0)
    while count:
        step = count * width
        # The last may reach beyond the run.
        stop = f["places"] if count == 1 else place + (f["places"] - place) // step * step
        with f.loop(stop, start=place, step=step, name=f"vectors{count}") as i:
            _block(f, scalar, kind, i, count)
        place = stop
        count //= 2
    f.give()
    return f.text()


def _block(f: Function, scalar: str, kind: str, i: Value, count: int) -> None:
    width = f.target.vector_bytes // size_of(scalar)
    type, integer = vector(width, scalar), integer_like(scalar)
    integers = vector(width, integer)
    x = f.at(f["x"], scalar, i)
    start = [f.number(type, 0 if kind == "sum" else LEAST)] * count
    if kind == "max_indices":
        start += [f.number(integers, -1)] * count
    loop = f.loop(f["count"], carry=start, name="tap")
    with loop as t:
        at = f.at(x, scalar, f.load("i64", f["taps"], t * 2))
        seen = [f.load(type, at, v * width) for v in range(count)]
        so_far = loop.carried[:count]
        if kind == "sum":
            loop.carry([total + value for total, value in zip(so_far, seen, strict=True)])
        else:
            larger = [is_larger(f, new, old) for new, old in zip(seen, so_far, strict=True)]
            found = [f.select(*three) for three in zip(larger, seen, so_far, strict=True)]
            if kind == "max_indices":
                number = f.convert(f.load("i64", f["taps"], t * 2 + 1), integer)
                numbers = splat(f, number, width)
                found += [
                    f.select(one, numbers, old) for one, old in zip(larger, loop.carried[count:], strict=True)
                ]
            loop.carry(found)
    for v, value in enumerate(loop.results[:count]):
        f.store(value, f["to"], i + v * width)
    for v, value in enumerate(loop.results[count:]):
        f.store(value, f["numbers"], i + v * width)
