"""A micro-kernel of dot products: rows by rows, vectors along both.

Definition, for I rows of a and J rows of b:

    sums[i][j][l] += Σ_p a[i·a_step + p] · b[j·b_step + p]   over the p < count with p mod lanes = l

It multiplies two matrices whose rows are consecutive in memory without turning either over; the lanes of a
sum are added when all is done. Schedule: I·J sums stay in registers; a round loads I + J vectors and
multiplies each pair.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.kernel.builder import Function, Value, first_lanes, labelled, masked_load, vector
from tilewright.plan.target import Target

#: What it is called with; sums are I·J vectors, added to.
ARGUMENTS = {"a": "ptr", "b": "ptr", "a_step": "i64", "b_step": "i64", "count": "i64", "sums": "ptr"}


def tile_for(target: Target, outputs: int, channels: int) -> tuple[int, int]:
    """Rows of a and of b whose sums, and the vectors of a round, fit the registers.

    >>> from tilewright.plan.target import named
    >>> tile_for(named("avx512"), 64, 64), tile_for(named("avx2"), 3, 64)
    ((4, 6), (3, 4))
    """
    most = (4, 6) if target.registers > 16 else (3, 4)
    if not target.fused:
        most = (3, 3)  # a product takes a register before it is added
    return min(outputs, most[0]), min(channels, most[1])


def name(scalar: str, rows: int, columns: int, stored: str = "") -> str:
    """The symbol of a micro-kernel; ``stored``: of what kind of halves a and b are, if they are."""
    return labelled(f"dot_{scalar}_{rows}x{columns}", stored)


def emit(target: Target, scalar: str, rows: int, columns: int, stored: str = "") -> str:
    """The micro-kernel for ``rows`` of a by ``columns`` rows of b."""
    kinds = {"a": stored, "b": stored}
    f = Function(name(scalar, rows, columns, stored), target, ARGUMENTS, stored=kinds)
    width = target.vector_bytes // (4 if scalar == "float" else 8)
    type = vector(width, scalar)
    a = [f.at(f["a"], scalar, f["a_step"] * i) for i in range(rows)]
    b = [f.at(f["b"], scalar, f["b_step"] * j) for j in range(columns)]

    def round_of(sums: list[Value], load: Callable[[Value], Value]) -> list[Value]:
        left = [load(at) for at in a]
        found = list(sums)
        for j, at in enumerate(b):
            right = load(at)
            for i in range(rows):
                found[i * columns + j] = f.multiply_add(left[i], right, found[i * columns + j])
        return found

    rest = f["count"] % width
    whole = f["count"] - rest
    loop = f.loop(whole, step=width, carry=[f.number(type, 0)] * (rows * columns), name="dot")
    with loop as p:
        loop.carry(round_of(loop.carried, lambda at: f.load(type, at, p)))
    for number, total in enumerate(loop.results):
        f.store(f.load(type, f["sums"], number * width) + total, f["sums"], number * width)
    with f.when(rest > 0):
        mask = first_lanes(f, rest, width)
        nothing = [f.number(type, 0)] * (rows * columns)
        last = round_of(nothing, lambda at: masked_load(f, type, f.at(at, scalar, whole), mask))
        for number, total in enumerate(last):
            f.store(f.load(type, f["sums"], number * width) + total, f["sums"], number * width)
    return f.text()
