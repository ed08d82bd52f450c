"""The micro-kernel against a plain sum, for every tile that may be chosen, between unreadable pages."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.built import DTYPES, TARGETS, Loaded, bits, width_of

from tilewright.kernel import jit
from tilewright.kernel.tiles import micro
from tilewright.plan import Target, named
from tilewright.plan.tiles import most_scalars

pytest.importorskip("llvmlite", reason="compiles through LLVM")


def tiles_of(target: Target) -> list[tuple[int, int]]:
    """All (vectors, scalars) that fit the registers, which is all that plan/tiles.py chooses from."""
    return [(v, s) for v in (1, 2, 3, 4, 6, 8) for s in range(1, most_scalars(target, v) + 1)]


CASES = [
    pytest.param(target, scalar, vectors, scalars, id=f"{target}-{scalar}-{vectors}x{scalars}")
    for target in map(named, TARGETS)
    for scalar in DTYPES
    for vectors, scalars in tiles_of(target)
]
#: The largest tile of each kind only.
FEW = [
    pytest.param(target, scalar, vectors, most_scalars(target, vectors), id=f"{target}-{scalar}-{vectors}")
    for target in map(named, TARGETS)
    for scalar in DTYPES
    for vectors in (1, 2)
]


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def kernel(target: Target, scalar: str, vectors: int, scalars: int, soon: str = "") -> Loaded:
    name = micro.name(scalar, vectors, scalars, soon=soon)
    return Loaded(name, lambda target: micro.emit(target, scalar, vectors, scalars, soon=soon), target)


class Operands:
    """What a micro-kernel is called with: places in the order of the table, junk where nothing is read.

    Numbers are small and whole, so that sums are exact in whatever order and however they are rounded; what
    lies between them is NaN, which no sum would survive.
    """

    def __init__(
        self, scalar: str, lanes: int, scalars: int, entries: int, count: int, side: str, gaps: bool
    ) -> None:
        rng = np.random.default_rng([lanes, scalars, entries, count])
        dtype = DTYPES[scalar]
        more = 3 if gaps else 0
        self.entries, self.count = entries, count
        self.vstep, self.sstep, self.accstep = lanes + more, scalars + more, lanes + more
        # Entries may come in any order, overlap, and start anywhere.
        self.table = rng.integers(0, 40, (entries, 2))
        self.table[rng.integers(entries)] = 0
        v = np.full(self.table[:, 0].max() + (count - 1) * self.vstep + lanes, np.nan, dtype)
        s = np.full(self.table[:, 1].max() + (count - 1) * self.sstep + scalars, np.nan, dtype)
        for voff, soff in self.table:
            for i in range(count):
                at = slice(voff + i * self.vstep, voff + i * self.vstep + lanes)
                v[at] = np.where(np.isnan(v[at]), rng.integers(-9, 10, lanes), v[at])
                at = slice(soff + i * self.sstep, soff + i * self.sstep + scalars)
                s[at] = np.where(np.isnan(s[at]), rng.integers(-9, 10, scalars), s[at])
        self.vectors, self.scalars = guarded(v, side), guarded(s, side)
        self.guarded_table = guarded(self.table, side)
        self.acc = np.full((scalars - 1) * self.accstep + lanes, np.nan, dtype)
        self.held = rng.integers(-99, 100, (scalars, lanes)).astype(dtype)
        self.side = side
        #: Where the sums lie in ``acc``.
        self.places = np.arange(scalars)[:, None] * self.accstep + np.arange(lanes)

    def expected(self) -> Any:
        """The definition."""
        scalars, lanes = self.held.shape
        total = np.zeros((scalars, lanes))
        for voff, soff in self.table:
            for i in range(self.count):
                factor = self.scalars[soff + i * self.sstep :][:scalars].astype(np.float64)
                vector = self.vectors[voff + i * self.vstep :][:lanes].astype(np.float64)
                total += factor[:, None] * vector[None, :]
        return total

    def run(self, kernel: Loaded, resume: int, start: Any, *more: int) -> Any:
        acc = guarded(start, self.side)
        kernel(
            self.vectors, self.scalars, self.guarded_table, self.entries, self.count, self.vstep, self.sstep,
            acc, self.accstep, resume, *more,
        )  # fmt: skip
        return acc


@pytest.mark.parametrize(("target", "scalar", "vectors", "scalars"), CASES)
def test_every_tile_is_the_plain_sum(target: Target, scalar: str, vectors: int, scalars: int) -> None:
    run = kernel(target, scalar, vectors, scalars)
    lanes = vectors * width_of(target, scalar)
    cases = [(1, 1, "start", False), (1, 7, "end", True), (3, 2, "start", True), (4, 1, "end", False)]
    for entries, count, side, gaps in cases:
        given = Operands(scalar, lanes, scalars, entries, count, side, gaps)
        between = np.ones(given.acc.size, bool)
        between[given.places] = False
        # From nothing: what acc holds is not even read (it is NaN).
        acc = given.run(run, 0, given.acc)
        np.testing.assert_array_equal(acc[given.places], given.expected())
        assert np.isnan(acc[between]).all(), "nothing is written between the rows of sums"
        # On top of what is there.
        start = given.acc.copy()
        start[given.places] = given.held
        acc = given.run(run, 1, start)
        np.testing.assert_array_equal(acc[given.places], given.held + given.expected())
        assert np.isnan(acc[between]).all()


@pytest.mark.parametrize("soon", ["vectors", "scalars"])
@pytest.mark.parametrize(("target", "scalar", "vectors", "scalars"), FEW)
def test_what_is_asked_for_ahead_changes_nothing(
    target: Target, scalar: str, vectors: int, scalars: int, soon: str
) -> None:
    """Nor does it matter where it lies: here behind the operands, on pages that can't be touched."""
    given = Operands(scalar, vectors * width_of(target, scalar), scalars, 3, 4, "end", True)
    plain = given.run(kernel(target, scalar, vectors, scalars), 0, given.acc)
    for ahead in (-5, 100, 1 << 40):
        asking = given.run(kernel(target, scalar, vectors, scalars, soon), 0, given.acc, ahead)
        np.testing.assert_array_equal(asking, plain)


@pytest.mark.parametrize(("target", "scalar", "vectors", "scalars"), FEW)
def test_inputs_are_only_read(target: Target, scalar: str, vectors: int, scalars: int) -> None:
    given = Operands(scalar, vectors * width_of(target, scalar), scalars, 3, 4, "end", True)
    before = [given.vectors.copy(), given.scalars.copy(), given.guarded_table.copy()]
    given.run(kernel(target, scalar, vectors, scalars), 0, given.acc)
    for array, copy in zip((given.vectors, given.scalars, given.guarded_table), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("target", "scalar", "vectors", "scalars"), FEW)
def test_the_bits_do_not_depend_on_how_a_sum_is_cut_into_entries(
    target: Target, scalar: str, vectors: int, scalars: int
) -> None:
    run, lanes, count = kernel(target, scalar, vectors, scalars), vectors * width_of(target, scalar), 9
    rng = np.random.default_rng(0)
    v = rng.standard_normal((count, lanes)).astype(DTYPES[scalar])
    s = rng.standard_normal((count, scalars)).astype(DTYPES[scalar])
    whole, parts, second = np.empty((3, scalars, lanes), DTYPES[scalar])
    start = np.zeros(2, np.int64)
    run(v, s, start, 1, count, lanes, scalars, whole, lanes, 0)
    table = np.array([[i * lanes, i * scalars] for i in range(count)])
    run(v, s, table, count, 1, lanes, scalars, parts, lanes, 0)
    np.testing.assert_array_equal(bits(parts), bits(whole))
    # A later call adds its own sum to what is held, in one addition.
    run(v, s, start, 1, 4, lanes, scalars, parts, lanes, 0)
    run(v[4:], s[4:], start, 1, count - 4, lanes, scalars, second, lanes, 0)
    expected = parts + second
    run(v[4:], s[4:], start, 1, count - 4, lanes, scalars, parts, lanes, 1)
    np.testing.assert_array_equal(bits(parts), bits(expected))


@pytest.mark.parametrize(("target", "scalar", "vectors", "scalars"), FEW)
def test_products_are_added_one_by_one_in_order(
    target: Target, scalar: str, vectors: int, scalars: int
) -> None:
    run, lanes, count = kernel(target, scalar, vectors, scalars), vectors * width_of(target, scalar), 20
    # 12 bits each: a float32 product, and its sum with a float32, are exact in float64.
    rng = np.random.default_rng(1)
    v = (rng.integers(-4000, 4000, (count, lanes)) / 256).astype(DTYPES[scalar])
    s = (rng.integers(-4000, 4000, (count, scalars)) / 4096).astype(DTYPES[scalar])
    if scalar == "double":
        v, s = v / 3, s / 7
    acc = np.empty((scalars, lanes), DTYPES[scalar])
    run(v, s, np.zeros(2, np.int64), 1, count, lanes, scalars, acc, lanes, 0)
    expected = np.zeros((scalars, lanes), DTYPES[scalar])
    for i in range(count):
        expected = multiplied_and_added(target, v[i][None, :], s[i][:, None], expected)
    np.testing.assert_array_equal(bits(acc), bits(expected))


def multiplied_and_added(target: Target, a: Any, b: Any, c: Any) -> Any:
    """a·b + c with the roundings that the target makes."""
    if not target.fused:
        return a * b + c
    if c.dtype == np.float32:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    a, b = np.broadcast_arrays(a, b)
    exact = [
        float(Fraction(x) * Fraction(y) + Fraction(z))
        for x, y, z in zip(a.ravel().tolist(), b.ravel().tolist(), c.ravel().tolist(), strict=True)
    ]
    return np.array(exact).reshape(c.shape)


@pytest.mark.parametrize(("target", "scalar", "vectors", "scalars"), FEW)
def test_nan_and_infinity_stay_in_their_lane(target: Target, scalar: str, vectors: int, scalars: int) -> None:
    run, lanes = kernel(target, scalar, vectors, scalars), vectors * width_of(target, scalar)
    v, s = np.ones((2, lanes), DTYPES[scalar]), np.ones((2, scalars), DTYPES[scalar])
    v[0, 1], s[1, 0] = np.nan, np.inf
    acc = np.empty((scalars, lanes), DTYPES[scalar])
    run(v, s, np.zeros(2, np.int64), 1, 2, lanes, scalars, acc, lanes, 0)
    expected = np.full((scalars, lanes), 2.0)
    expected[0, :] = np.inf
    expected[:, 1] = np.nan
    np.testing.assert_array_equal(acc, expected)


@pytest.mark.parametrize("name", sorted({*TARGETS, "neon"}))
@pytest.mark.parametrize("scalar", list(DTYPES))
def test_sums_stay_in_registers(name: str, scalar: str) -> None:
    """The inner loop multiplies vector by vector and writes nothing to memory."""
    target = named(name)
    for vectors in (1, 2):
        scalars = most_scalars(target, vectors)
        function = micro.name(scalar, vectors, scalars)

        def emit(target: Target, vectors: int = vectors, scalars: int = scalars) -> str:
            return micro.emit(target, scalar, vectors, scalars)

        _, assembly = jit.text(function, emit, target)
        loop = inner_loop(assembly)
        assert count_products(loop) == vectors * scalars
        writes = [line for line in loop if stores(line)]
        assert writes == []


def inner_loop(assembly: str) -> list[str]:
    """The lines of the innermost loop: the one with most multiplications between a label and a jump to it."""
    lines = [line.strip() for line in assembly.splitlines()]
    best: list[str] = []
    for start, line in enumerate(lines):
        if not line.endswith(":"):
            continue
        label = line[:-1]
        for end in range(start + 1, len(lines)):
            if lines[end].endswith(":"):
                break
            if label in lines[end].split():
                body = lines[start:end]
                if count_products(body) > count_products(best):
                    best = body
                break
    assert count_products(best), assembly
    return best


def count_products(lines: list[str]) -> int:
    return sum("mul" in line or "fmadd" in line or "fmla" in line for line in lines)


def stores(line: str) -> bool:
    """Whether an instruction writes to memory, in either architecture's notation."""
    code, _, operands = line.partition("\t")
    if code in ("str", "stp", "stur", "st1"):
        return True
    # On x86 the destination comes last, and memory is what stands in parentheses.
    moves = code.startswith(("mov", "vmov")) and operands.endswith(")")
    return moves or (code.startswith("push"))
