"""The weight gradient's sums over places, for a run of consecutive packed places and a few taps.

Definition, for outputs m, taps t and places i of a run:

    sums[m·m_step + t] += Σ_i g_m[i] · x[i + x_t]

Vectors along the ``pixels``: each lane of a sum adds up every so many-th place; whoever reads the sums adds
the lanes. Vectors along the ``channels``: a place is a vector of channels, and so is a sum; g lies as it
came.

Schedule: the sums of a few outputs and taps stay in registers over the whole run; each vector of g serves all
of these taps, each vector of x all of these outputs.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, first_lanes, labelled, masked_load, size_of, vector
from tilewright.plan.target import Target

#: The packed block at the run's first place, g there, steps between g's outputs and (in memory) places, the
#: offsets of the taps into x, how many places, the sums, the step between outputs in them, and lanes.
ARGUMENTS = {
    "x": "ptr",
    "g": "ptr",
    "g_step": "i64",
    "pixel": "i64",
    "taps": "ptr",
    "places": "i64",
    "sums": "ptr",
    "sums_step": "i64",
    "lanes": "i64",
}
#: The most taps at a time. One output leaves registers for more, but then few kernels have so many taps.
MOST_TAPS = 12
MOST_OUTPUTS = 4


def name(scalar: str, side: str, outputs: int, taps: int, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves g is, if it is."""
    return labelled(f"dot_planes_{scalar}_{side}_{outputs}_{taps}", stored)


def taps_at_once(target: Target, taps: int, outputs: int) -> int:
    """How many taps are summed at a time, so that passes are even; sums, x and g must fit the registers."""
    most = min((target.registers - 1 - outputs) // outputs, MOST_TAPS)
    return -(-taps // -(-taps // most))


def emit(target: Target, scalar: str, side: str, outputs: int, taps: int, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, side, outputs, taps, stored), target, ARGUMENTS, stored={"g": stored})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    offsets = [f.load("i64", f["taps"], t) for t in range(taps)]
    xs = [f.at(f["x"], scalar, offset) for offset in offsets]
    gs = [f.at(f["g"], scalar, f["g_step"] * m) for m in range(outputs)]
    places = [f["sums_step"] * m + t * width for m in range(outputs) for t in range(taps)]
    start = [f.load(type, f["sums"], place) for place in places]

    def added(sums: list[Value], g: list[Value], x: list[Value]) -> list[Value]:
        return [f.multiply_add(g[m], x[t], sums[m * taps + t]) for m in range(outputs) for t in range(taps)]

    if side == "pixels":
        whole = f["places"] // width * width
        loop = f.loop(whole, step=width, carry=start, name="vector")
        with loop as i:
            g = [f.load(type, at, i) for at in gs]
            loop.carry(added(loop.carried, g, [f.load(type, at, i) for at in xs]))
        for place, total in zip(places, loop.results, strict=True):
            f.store(total, f["sums"], place)
        with f.when(whole < f["places"]):
            rest = first_lanes(f, f["places"] - whole, width)
            g = [masked_load(f, type, f.at(at, scalar, whole), rest) for at in gs]
            x = [masked_load(f, type, f.at(at, scalar, whole), rest) for at in xs]
            for place, total in zip(places, added(loop.results, g, x), strict=True):
                f.store(total, f["sums"], place)
    else:
        mask = first_lanes(f, f["lanes"], width)
        # Masked reads cost several times as much on some processors.
        for whole_vectors in (True, False):
            with f.when(f["lanes"].equals(width) if whole_vectors else f["lanes"] < width):
                loop = f.loop(f["places"], carry=start, name="place")
                with loop as i:
                    at = f.at(gs[0], scalar, i * f["pixel"])
                    g = [f.load(type, at) if whole_vectors else masked_load(f, type, at, mask)]
                    loop.carry(added(loop.carried, g, [f.load(type, x, i * width) for x in xs]))
                for place, total in zip(places, loop.results, strict=True):
                    f.store(total, f["sums"], place)
    f.give()
    return f.text()
