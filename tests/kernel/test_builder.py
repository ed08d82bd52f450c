"""The builder's vectors and memory against the scalar loops that document them, on every target."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.built import DTYPES, JUNK, TARGETS, bits, built, numbers, special, width_of

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    lane,
    load_columns,
    load_square,
    masked_load,
    masked_store,
    shuffle,
    splat,
    transpose,
    vector,
)
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_scalar = pytest.mark.parametrize("scalar", list(DTYPES))


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


# -- vectors ---------------------------------------------------------------------------------------


@every_target
@every_scalar
def test_splat(target: Target, scalar: str) -> None:
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        f.store(splat(f, f.load(scalar, f["x"]), width), f["out"])

    run = built(target, {"x": "ptr", "out": "ptr"}, body)
    for x in special(scalar):
        out = np.full(width, JUNK, DTYPES[scalar])
        run(np.array([x]), out)
        np.testing.assert_array_equal(bits(out), bits(np.full(width, x, DTYPES[scalar])))


@every_target
@every_scalar
@pytest.mark.parametrize("seed", range(4))
def test_shuffle(target: Target, scalar: str, seed: int) -> None:
    width = width_of(target, scalar)
    places = np.random.default_rng(seed).integers(-1, 2 * width, (1, width, width // 2, 2 * width)[seed])

    def body(f: Function) -> None:
        type = vector(width, scalar)
        f.store(shuffle(f, f.load(type, f["a"]), f.load(type, f["b"]), places.tolist()), f["out"])

    a, b = numbers(scalar, 2, width)
    out = np.full(len(places), JUNK, DTYPES[scalar])
    built(target, {"a": "ptr", "b": "ptr", "out": "ptr"}, body)(a, b, out)
    for i, place in enumerate(places):
        if place >= 0:
            assert out[i] == [*a, *b][place]


@every_target
@every_scalar
def test_lane(target: Target, scalar: str) -> None:
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        value = f.load(vector(width, scalar), f["x"])
        for i in range(width):
            f.store(lane(f, value, i), f["out"], i)

    x, out = numbers(scalar, width), np.full(width, JUNK, DTYPES[scalar])
    built(target, {"x": "ptr", "out": "ptr"}, body)(x, out)
    np.testing.assert_array_equal(out, x)


@every_target
@every_scalar
def test_transpose(target: Target, scalar: str) -> None:
    count = 1
    while count <= width_of(target, scalar):
        side = count

        def body(f: Function, side: int = side) -> None:
            type = vector(side, scalar)
            rows = [f.load(type, f["x"], i * side) for i in range(side)]
            for i, turned in enumerate(transpose(f, rows)):
                f.store(turned, f["out"], i * side)

        x, out = numbers(scalar, side, side), np.full((side, side), JUNK, DTYPES[scalar])
        built(target, {"x": "ptr", "out": "ptr"}, body)(x, out)
        np.testing.assert_array_equal(out, [[x[j][i] for j in range(side)] for i in range(side)])
        count *= 2


@every_target
@every_scalar
def test_columns_and_squares_from_memory(target: Target, scalar: str) -> None:
    """Rows at any distance, of which nothing is read but what is asked for."""
    width = width_of(target, scalar)
    few = 16 // np.dtype(DTYPES[scalar]).itemsize

    def body(f: Function) -> None:
        type = vector(width, scalar)
        for i, column in enumerate(
            load_columns(f, type, [f.at(f["few"], scalar, few * r) for r in range(width)])
        ):
            f.store(column, f["columns"], i * width)
        for i, turned in enumerate(
            load_square(f, type, [f.at(f["x"], scalar, width * r) for r in range(width)])
        ):
            f.soon(f.at(f["x"], scalar, 1 << 40, wild=True))
            f.store(turned, f["out"], i * width)

    run = built(target, dict.fromkeys(("few", "columns", "x", "out"), "ptr"), body)
    some, x = (guarded(numbers(scalar, width, columns)) for columns in (few, width))
    columns, out = (np.full((count, width), JUNK, DTYPES[scalar]) for count in (few, width))
    run(some, columns, x, out)
    np.testing.assert_array_equal(columns, some.T)
    np.testing.assert_array_equal(out, x.T)


@every_target
@every_scalar
def test_first_lanes(target: Target, scalar: str) -> None:
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        mask = first_lanes(f, f["count"], width)
        type = vector(width, scalar)
        f.store(f.select(mask, f.number(type, 1), 0), f["out"])

    run = built(target, {"count": "i64", "out": "ptr"}, body)
    for count in (-(2**31), *range(-2, width + 3), 2**31 - 1):
        out = np.full(width, JUNK, DTYPES[scalar])
        run(count, out)
        np.testing.assert_array_equal(out, [float(i < count) for i in range(width)])


def masks_of(width: int) -> list[Any]:
    """Masks of all beginnings, all ends, every second lane, one lane, and by chance."""
    lanes = np.arange(width)
    found = [lanes < n for n in range(width + 1)] + [lanes >= n for n in range(1, width)]
    found += [lanes % 2 == 0, lanes % 2 == 1, lanes == width // 2]
    return found + list(np.random.default_rng(1).random((4, width)) < 0.5)


def given_mask(f: Function, width: int) -> Value:
    """A mask from an array of i32 that are 0 or 1."""
    return f.load(vector(width, "i32"), f["mask"]).differs(0)


@every_target
@every_scalar
@pytest.mark.parametrize("other", [0, -1.5])
def test_masked_load_touches_only_what_it_reads(target: Target, scalar: str, other: float) -> None:
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        at = f.at(f["x"], scalar, f["index"], wild=True)
        value = masked_load(f, vector(width, scalar), at, given_mask(f, width), other)
        f.store(value, f["out"])

    run = built(target, {"x": "ptr", "index": "i64", "mask": "ptr", "out": "ptr"}, body)
    x = numbers(scalar, width)
    for mask in masks_of(width):
        read = np.flatnonzero(mask)
        # As much as the mask reads, once before an unreadable page and once behind one.
        first, end = (read[0], read[-1] + 1) if len(read) else (0, 0)
        for side in ("start", "end"):
            out = np.full(width, JUNK, DTYPES[scalar])
            run(guarded(x[first:end], side), -int(first), mask.astype(np.int32), out)
            np.testing.assert_array_equal(out, [x[i] if mask[i] else other for i in range(width)])


@every_target
@every_scalar
def test_masked_store_touches_only_what_it_writes(target: Target, scalar: str) -> None:
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        at = f.at(f["out"], scalar, f["index"], wild=True)
        masked_store(f, f.load(vector(width, scalar), f["x"]), at, given_mask(f, width))

    run = built(target, {"x": "ptr", "out": "ptr", "index": "i64", "mask": "ptr"}, body)
    x = numbers(scalar, width)
    for mask in masks_of(width):
        written = np.flatnonzero(mask)
        first, end = (written[0], written[-1] + 1) if len(written) else (0, 0)
        for side in ("start", "end"):
            out = guarded(np.full(end - first, JUNK, DTYPES[scalar]), side)
            run(x, out, -int(first), mask.astype(np.int32))
            np.testing.assert_array_equal(out, [x[i] if mask[i] else JUNK for i in range(first, end)])


@every_target
@every_scalar
@pytest.mark.parametrize("whole", [True, False], ids=["vector", "scalar"])
def test_multiply_add(target: Target, scalar: str, whole: bool) -> None:
    width = width_of(target, scalar) if whole else 1
    type = vector(width, scalar) if whole else scalar

    def body(f: Function) -> None:
        a, b, c = (f.load(type, f[name]) for name in "abc")
        f.store(f.multiply_add(a, b, c), f["out"])

    run = built(target, dict.fromkeys(["a", "b", "c", "out"], "ptr"), body)
    out = np.full(width, JUNK, DTYPES[scalar])
    a, b, c = np.random.default_rng(2).integers(-999, 999, (3, width)).astype(DTYPES[scalar])
    run(a, b, c, out)
    np.testing.assert_array_equal(out, a * b + c)  # whole numbers: exact however it is rounded
    # (1 + ε)·(1 − ε) − 1 is −ε², or 0 if the product is rounded to 1 before.
    epsilon = np.finfo(DTYPES[scalar]).eps
    a, b = np.full((2, width), [[1 + epsilon], [1 - epsilon]], DTYPES[scalar])
    run(a, b, np.full(width, -1, DTYPES[scalar]), out)
    np.testing.assert_array_equal(out, np.full(width, -(epsilon**2) if target.fused else 0))


# -- memory ----------------------------------------------------------------------------------------


@every_target
@every_scalar
def test_vectors_lie_anywhere_up_to_the_edge(target: Target, scalar: str) -> None:
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        f.store(f.load(vector(width, scalar), f["x"], f["i"]), f["out"], f["o"])

    run = built(target, {"x": "ptr", "i": "i64", "out": "ptr", "o": "i64"}, body)
    x = numbers(scalar, 2 * width + 1)
    for i, o in itertools.product((0, 1, width - 1, width + 1), repeat=2):
        out = guarded(np.full(2 * width + 1, JUNK, DTYPES[scalar]), "end" if i > 1 else "start")
        run(guarded(x, "end" if o > 1 else "start"), i, out, o)
        expected = np.full(2 * width + 1, JUNK, DTYPES[scalar])
        expected[o : o + width] = x[i : i + width]
        np.testing.assert_array_equal(out, expected)


@every_target
def test_pointers_as_numbers_and_calls_through_them(target: Target) -> None:
    def times(f: Function) -> None:
        f.store(f.load("i64", f["p"]) * f["by"], f["p"])

    def body(f: Function) -> None:
        f.call(f.pointer(f.load("i64", f["table"])), f["p"], f.integer(21))
        f.store(f.convert(f["p"].equals(f.null()), "i64"), f["p"], 1)

    table = np.array([built(target, {"p": "ptr", "by": "i64"}, times).address])
    p = np.array([2, 99])
    built(target, {"table": "ptr", "p": "ptr"}, body)(table, p)
    assert p.tolist() == [42, 0]
