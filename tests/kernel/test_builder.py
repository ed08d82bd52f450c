"""Every operation of the builder against the scalar loop or the Python that documents it, on every target."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.built import DTYPES, TARGETS, bits, built, loaded, width_of

from tilewright.kernel.builder import (
    Function,
    Value,
    first_lanes,
    lane,
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
JUNK = -77.0


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def numbers(scalar: str, *shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(DTYPES[scalar])


def special(scalar: str) -> Any:
    """Numbers of all kinds: both zeros, subnormal, huge, infinite, NaN."""
    limits = np.finfo(DTYPES[scalar])
    found = [0.0, 1.0, 1.5, math.pi, 0.1, limits.smallest_subnormal, limits.tiny, limits.max, math.inf]
    return np.array([*found, *[-x for x in found], math.nan], DTYPES[scalar])


# -- vectors ---------------------------------------------------------------------------------------------------


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


# -- arithmetic ------------------------------------------------------------------------------------------------


def elementwise(
    target: Target, type: str, operation: Callable[..., Value], *operands: Any, into: str = ""
) -> Any:
    """``operation`` on values of one type, one call per element; results of type ``into``, or the same."""
    into = into or type
    dtypes = {**DTYPES, "i64": np.int64, "i32": np.int32, "i8": np.int8, "i1": np.bool_}
    names = [f"x{i}" for i in range(len(operands))]

    def body(f: Function) -> None:
        with f.loop(f["n"]) as i:
            result = operation(f, *(f.load(type, f[name], i) for name in names))
            # In memory a truth value takes a byte.
            f.store(f.convert(result, "i8") if into == "i1" else result, f["out"], i)

    arrays = np.broadcast_arrays(*operands)
    flat = [np.ascontiguousarray(array, dtypes[type]).ravel() for array in arrays]
    out = np.zeros(flat[0].size, dtypes[into])
    built(target, {"n": "i64", **dict.fromkeys(names, "ptr"), "out": "ptr"}, body)(out.size, *flat, out)
    return out.reshape(arrays[0].shape)


def same_bits(actual: Any, expected: Any) -> None:
    """Equal bits, NaNs apart, of which one is as good as another."""
    assert actual.dtype == expected.dtype
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(actual), nan)
    np.testing.assert_array_equal(bits(actual)[~nan], bits(expected)[~nan])


@every_target
@every_scalar
@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: 2.5 + a * 3 - b,
        lambda a, b: 1 - a / 4,
        lambda a, b: 3 * a,
        lambda a, b: 1 / b,
        lambda a, b: -a,
    ],
)
def test_floats_are_computed_as_numpy_does(
    target: Target, scalar: str, operation: Callable[..., Any]
) -> None:
    x = special(scalar)
    a, b = x[:, None], x[None, :]
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(operation(a, b), (x.size, x.size))
    same_bits(elementwise(target, scalar, lambda f, a, b: operation(a, b), a, b), expected)


@every_target
@every_scalar
@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_floats_compare_as_python_does(target: Target, scalar: str, sign: str) -> None:
    compare: dict[str, Callable[[Any, Any], Value]] = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "==": lambda a, b: a.equals(b),
        "!=": lambda a, b: a.differs(b),
    }
    x = special(scalar)
    a, b = x[:, None], x[None, :]
    expected = {"==": np.equal, "!=": np.not_equal}.get(sign, compare[sign])(a, b)
    found = elementwise(target, scalar, lambda f, a, b: compare[sign](a, b), a, b, into="i1")
    np.testing.assert_array_equal(found, expected)


@every_target
@every_scalar
def test_least_and_greatest_give_the_second_where_neither_is(target: Target, scalar: str) -> None:
    x = special(scalar)
    a, b = np.broadcast_arrays(x[:, None], x[None, :])
    least = elementwise(target, scalar, lambda f, a, b: f.least(a, b), a, b)
    np.testing.assert_array_equal(bits(least), bits(np.where(a < b, a, b)))
    greatest = elementwise(target, scalar, lambda f, a, b: f.greatest(a, b), a, b)
    np.testing.assert_array_equal(bits(greatest), bits(np.where(a > b, a, b)))


@every_target
@every_scalar
def test_signs_are_bits(target: Target, scalar: str) -> None:
    x = special(scalar)
    x = np.concatenate([x, -x])
    magnitude = elementwise(target, scalar, lambda f, a: f.magnitude(a), x)
    np.testing.assert_array_equal(bits(magnitude), bits(np.abs(x)))
    negative = elementwise(target, scalar, lambda f, a: -a, x)
    np.testing.assert_array_equal(bits(negative), bits(-x))
    a, b = np.broadcast_arrays(x[:, None], x[None, :])
    signed = elementwise(target, scalar, lambda f, a, b: f.with_sign(a, b), a, b)
    np.testing.assert_array_equal(bits(signed), bits(np.copysign(a, b)))


@every_target
@every_scalar
def test_bits_as_integers_and_back(target: Target, scalar: str) -> None:
    integer = {"float": "i32", "double": "i64"}[scalar]
    x = special(scalar)
    found = elementwise(target, scalar, lambda f, a: f.reinterpret(a, integer), x, into=integer)
    np.testing.assert_array_equal(found, x.view(found.dtype))
    back = elementwise(target, integer, lambda f, a: f.reinterpret(a, scalar), found, into=scalar)
    np.testing.assert_array_equal(bits(back), bits(x))


@every_target
@pytest.mark.parametrize("type", ["i32", "i64"])
def test_integers(target: Target, type: str) -> None:
    dtype = {"i32": np.int32, "i64": np.int64}[type]
    x = np.array([0, 1, 2, 3, 7, 40, 1000, np.iinfo(dtype).max], dtype)
    signed = np.concatenate([x, -x])
    a, b = np.broadcast_arrays(signed[:, None], signed[None, :])
    operations: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a & b,
        lambda a, b: a | b,
        lambda a, b: 5 - a,
        lambda a, b: a << 3,
    ]
    for operation in operations:
        with np.errstate(over="ignore"):
            expected = operation(a, b)
        np.testing.assert_array_equal(
            elementwise(target, type, lambda f, a, b, do=operation: do(a, b), a, b), expected
        )
    for compare in (lambda a, b: a < b, lambda a, b: a >= b, lambda a, b: a > b, lambda a, b: a <= b):
        found = elementwise(target, type, lambda f, a, b, do=compare: do(a, b), a, b, into="i1")
        np.testing.assert_array_equal(found, compare(a, b))
    # Division is for numbers that are not negative.
    a, b = np.broadcast_arrays(x[:, None], x[None, 1:])
    np.testing.assert_array_equal(elementwise(target, type, lambda f, a, b: a // b, a, b), a // b)
    np.testing.assert_array_equal(elementwise(target, type, lambda f, a, b: a % b, a, b), a % b)


@every_target
def test_conversions(target: Target) -> None:
    whole = np.array([0, 1, -1, 77, -(2**31), 2**31 - 1, 2**24 + 1, 2**53 + 1, -(2**63)])
    for type, dtype in DTYPES.items():
        found = elementwise(target, "i64", lambda f, a, type=type: f.convert(a, type), whole, into=type)
        np.testing.assert_array_equal(found, whole.astype(dtype))
    narrow = elementwise(target, "i64", lambda f, a: f.convert(a, "i32"), whole, into="i32")
    np.testing.assert_array_equal(narrow, whole.astype(np.int32))
    wide = elementwise(target, "i32", lambda f, a: f.convert(a, "i64"), narrow, into="i64")
    np.testing.assert_array_equal(wide, narrow.astype(np.int64))
    x = special("double")
    with np.errstate(over="ignore"):
        expected = x.astype(np.float32)
    rounded = elementwise(target, "double", lambda f, a: f.convert(a, "float"), x, into="float")
    same_bits(rounded, expected)
    exact = elementwise(target, "float", lambda f, a: f.convert(a, "double"), rounded, into="double")
    same_bits(exact, rounded.astype(np.float64))
    kept = elementwise(target, "double", lambda f, a: f.convert(a, "double"), x)
    np.testing.assert_array_equal(bits(kept), bits(x))
    truth = elementwise(target, "i64", lambda f, a: f.convert(a > 0, "i64"), whole, into="i64")
    np.testing.assert_array_equal(truth, (whole > 0).astype(np.int64))
    truth = elementwise(target, "i64", lambda f, a: f.convert(a > 0, "double"), whole, into="double")
    np.testing.assert_array_equal(truth, (whole > 0).astype(np.float64))


@every_target
@every_scalar
def test_constants_are_exact(target: Target, scalar: str) -> None:
    x = np.concatenate([special(scalar), numbers(scalar, 20) * 1e-30, numbers(scalar, 20) * 1e30])
    width = width_of(target, scalar)

    def body(f: Function) -> None:
        for i, number in enumerate(x.tolist()):
            f.store(f.number(scalar, number), f["single"], i)
            f.store(f.number(vector(width, scalar), number), f["whole"], i * width)

    single, whole = np.full(len(x), JUNK, x.dtype), np.full((len(x), width), JUNK, x.dtype)
    built(target, {"single": "ptr", "whole": "ptr"}, body)(single, whole)
    np.testing.assert_array_equal(bits(single), bits(x))
    np.testing.assert_array_equal(bits(whole), np.repeat(bits(x)[:, None], width, axis=1))


def test_a_float_constant_is_rounded_to_nearest() -> None:
    f = Function("f", named("neon"), {})
    assert f.number("float", 0.1).name == f.number("double", float(np.float32(0.1))).name
    assert f.number("float", 0.1).name != f.number("double", 0.1).name


@every_target
def test_integer_constants(target: Target) -> None:
    extremes = {
        "i8": [0, 1, -1, 127, -128],
        "i32": [0, 1, -1, 2**31 - 1, -(2**31)],
        "i64": [0, 1, -1, 2**63 - 1, -(2**63)],
    }
    dtypes = {"i8": np.int8, "i32": np.int32, "i64": np.int64}
    for type, values in extremes.items():

        def body(f: Function, type: str = type, values: list[int] = values) -> None:
            for i, number in enumerate(values):
                f.store(f.number(type, number), f["single"], i)
                f.store(f.number(vector(4, type), number), f["whole"], i * 4)

        single, whole = np.full(5, 99, dtypes[type]), np.full((5, 4), 99, dtypes[type])
        built(target, {"single": "ptr", "whole": "ptr"}, body)(single, whole)
        np.testing.assert_array_equal(single, values)
        np.testing.assert_array_equal(whole, np.repeat(np.array(values)[:, None], 4, axis=1))


# -- memory ----------------------------------------------------------------------------------------------------


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
    twice = [0]

    def double_it(f: Function) -> None:
        f.store(f.load("i64", f["p"]) * f["by"], f["p"])

    def body(f: Function) -> None:
        f.call(f.pointer(f.load("i64", f["table"])), f["p"], f.integer(21))
        f.store(f.convert(f["p"].equals(f.null()), "i64"), f["p"], 1)

    import ctypes

    from tilewright.kernel import jit

    def emit(target: Target) -> str:
        f = Function(f"multiplied_{target}", target, {"p": "ptr", "by": "i64"})
        double_it(f)
        return f.text()

    table = np.array([jit.address(f"multiplied_{target}", emit, target), *twice])
    p = np.array([2, 99])
    built(target, {"table": "ptr", "p": "ptr"}, body)(table, p)
    assert p.tolist() == [42, 0]
    assert ctypes.sizeof(ctypes.c_void_p) == 8
