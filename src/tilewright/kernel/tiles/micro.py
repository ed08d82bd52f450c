"""The one micro-kernel: an outer product of vectors and scalars, summed in registers.

Definition, for a tile of V vectors by S scalars:

    acc[j][l] (+)= Σ_e Σ_{i < count}  scalars[soff_e + i·sstep + j] · vectors[voff_e + i·vstep + l]

for l < V·lanes and j < S, where the table lists one (voff, soff) per e. Everything that multiplies and adds
in the compiled families is this sum:

- forward and data gradient: e runs over taps, i over channels; one side is a tile of output channels (packed
  weights), the other a tile of pixels (packed rows);
- weight gradient: e runs over rows, i over pixels; one side is a tile of output channels, the other of input
  channels;
- pointwise and dense: the same with a single tap.

Where neighbouring scalars lie ``jstep`` numbers ``apart`` instead of one, scalars[soff_e + i·sstep +
j·jstep] is read: Winograd's products, whose pieces have their channels side by side.

Where one side is read from an array as it lies, memory is asked for what the next tile reads of it: ``ahead``
numbers beyond this tile's own, ``soon`` of its side (``vectors`` or ``scalars``). Between multiply-adds that
costs nothing; beside them, requests would wait for each other.

Schedule: all V·S sums stay in registers from the first product to the last; a round of the inner loop loads V
vectors, and multiplies each with S scalars that are read straight from memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.kernel.builder import Function, Value, element, labelled, lanes, size_of, splat, vector
from tilewright.plan.target import Target

#: What a micro-kernel is called with, in order.
ARGUMENTS = {
    "vectors": "ptr",
    "scalars": "ptr",
    "table": "ptr",
    "entries": "i64",
    "count": "i64",
    "vstep": "i64",
    "sstep": "i64",
    "acc": "ptr",
    "accstep": "i64",
    "resume": "i64",
}
#: One that reads scalars apart has their distance last.
ARGUMENTS_APART = {**ARGUMENTS, "jstep": "i64"}
#: One that asks for memory has the distance last.
ARGUMENTS_SOON = {**ARGUMENTS, "ahead": "i64"}

# Scalars that are reached from one register: x86 addresses base + {0, 1, 2}·step without arithmetic.
_REACHED = 3


def name(
    scalar: str, vectors: int, scalars: int, *, apart: bool = False, soon: str = "", stored: str = ""
) -> str:
    """The symbol of a micro-kernel; ``stored``: of what kind of halves the vectors are, if they are."""
    kind = "_apart" if apart else f"_{soon}_soon" if soon else ""
    return labelled(f"micro{kind}_{scalar}_{vectors}x{scalars}", stored)


def emit(
    target: Target,
    scalar: str,
    vectors: int,
    scalars: int,
    *,
    apart: bool = False,
    soon: str = "",
    stored: str = "",
) -> str:
    """The micro-kernel for tiles of ``vectors`` by ``scalars``; count and entries are at least 1."""
    arguments = ARGUMENTS_APART if apart else ARGUMENTS_SOON if soon else ARGUMENTS
    symbol = name(scalar, vectors, scalars, apart=apart, soon=soon, stored=stored)
    f = Function(symbol, target, arguments, stored={"vectors": stored})
    width = target.vector_bytes // size_of(scalar)
    line = 64 // (2 if stored else size_of(scalar))
    type = vector(width, scalar)
    sums = [f.number(type, 0)] * (vectors * scalars)
    outer = f.loop(f["entries"], carry=[f["table"], *sums], surely=True, name="entry")
    with outer:
        table, *sums = outer.carried
        v = f.at(f["vectors"], scalar, f.load("i64", table, 0))
        s = f.at(f["scalars"], scalar, f.load("i64", table, 1))
        starts = [s]
        if apart:
            starts = [f.at(s, scalar, f["jstep"] * j) for j in range(0, scalars, _REACHED)]
        inner = f.loop(f["count"], carry=[v, *starts, *sums], surely=True, name="sum")
        with inner:
            v, *rest = inner.carried
            v = f.halves(v, stored)
            places, sums = rest[: len(starts)], rest[len(starts) :]
            if soon:
                side, numbers = (v, vectors * width) if soon == "vectors" else (places[0], scalars)
                for i in range(0, numbers, line):
                    f.soon(f.at(side, scalar, f["ahead"] + i, wild=True))
            loaded = [f.load(type, v, width * i) for i in range(vectors)]
            for j in range(scalars):
                if apart:
                    at = f.at(places[j // _REACHED], scalar, f["jstep"] * (j % _REACHED))
                    factor = splat(f, f.load(scalar, at), width)
                else:
                    factor = splat(f, f.load(scalar, places[0], j), width)
                for i in range(vectors):
                    place = j * vectors + i
                    sums[place] = f.multiply_add(loaded[i], factor, sums[place])
            steps = [f.at(place, scalar, f["sstep"]) for place in places]
            inner.carry([f.at(v, scalar, f["vstep"]), *steps, *sums])
        outer.carry([f.at(table, "i64", 2), *inner.results[1 + len(starts) :]])
    sums = outer.results[1:]
    old, done = f.fresh("old"), f.fresh("new")
    f.branch(f["resume"].differs(0), old, done)
    f.label(old)
    _write(f, type, sums, vectors, add=True)
    f.give()
    f.label(done)
    _write(f, type, sums, vectors, add=False)
    f.give()
    return f.text()


def _write(f: Function, type: str, sums: Sequence[Value], vectors: int, *, add: bool) -> None:
    """The sums into ``acc``, or added to what it holds.

    Adding at the end, rather than going on from what was held, keeps sums short: their rounding grows with
    the length of a chain of additions.
    """
    acc, width = f["acc"], lanes(type)
    for place, value in enumerate(sums):
        i = place % vectors
        if i == 0 and place:
            acc = f.at(acc, element(type), f["accstep"])
        f.store(f.load(type, acc, width * i) + value if add else value, acc, width * i)
