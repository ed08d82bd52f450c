"""The builder's arithmetic and constants against NumPy's, bit by bit, on every target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel.built import DTYPES, JUNK, TARGETS, bits, built, numbers, special, width_of

from tilewright.kernel.builder import Function, Value, lanes, vector
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_scalar = pytest.mark.parametrize("scalar", list(DTYPES))


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


MEMORY: dict[str, Any] = {
    **DTYPES, "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8, "i1": np.bool_,
}  # fmt: skip


def elementwise(
    target: Target, type: str, operation: Callable[..., Value], *operands: Any, into: str = ""
) -> Any:
    """``operation`` on values of one type, one at a time and in vectors; results are of type ``into``."""
    arrays = np.broadcast_arrays(*operands)
    most = target.vector_bytes // 4
    results = []
    for count in (1, most):
        flat = [np.ones(-(-arrays[0].size // most) * most, MEMORY[type]) for _ in arrays]
        for padded, array in zip(flat, arrays, strict=True):
            padded[: array.size] = array.ravel()
        out = np.zeros(flat[0].size, MEMORY[into or type])
        _run(target, type, operation, flat, into or type, out, count)
        results.append(out[: arrays[0].size].reshape(arrays[0].shape))
    same_bits(results[1], results[0])
    return results[0]


def _run(
    target: Target, type: str, operation: Callable[..., Value], flat: Any, into: str, out: Any, count: int
) -> None:
    names = [f"x{i}" for i in range(len(flat))]
    loaded, byte = (type, "i8") if count == 1 else (vector(count, type), vector(count, "i8"))

    def body(f: Function) -> None:
        with f.loop(f["n"], step=count) as i:
            result = operation(f, *(f.load(loaded, f[name], i) for name in names))
            # In memory a truth value takes a byte.
            f.store(f.convert(result, byte) if into == "i1" else result, f["out"], i)

    built(target, {"n": "i64", **dict.fromkeys(names, "ptr"), "out": "ptr"}, body)(out.size, *flat, out)


def wide(type: str, value: Value) -> str:
    """The type with as many lanes as a value has."""
    return type if lanes(value.type) == 1 else vector(lanes(value.type), type)


def same_bits(actual: Any, expected: Any) -> None:
    """Equal bits, NaNs apart, of which one is as good as another."""
    assert actual.dtype == expected.dtype
    if actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
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
    found = elementwise(target, scalar, lambda f, a: f.reinterpret(a, wide(integer, a)), x, into=integer)
    np.testing.assert_array_equal(found, x.view(found.dtype))
    back = elementwise(target, integer, lambda f, a: f.reinterpret(a, wide(scalar, a)), found, into=scalar)
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
        lambda a, b: a ^ b,
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
    # Zeros move down from above, not the sign.
    unsigned = {"i32": np.uint32, "i64": np.uint64}[type]
    found = elementwise(target, type, lambda f, a: a >> 5, signed)
    np.testing.assert_array_equal(found, (signed.view(unsigned) >> unsigned(5)).view(dtype))
    # Division is for numbers that are not negative.
    a, b = np.broadcast_arrays(x[:, None], x[None, 1:])
    np.testing.assert_array_equal(elementwise(target, type, lambda f, a, b: a // b, a, b), a // b)
    np.testing.assert_array_equal(elementwise(target, type, lambda f, a, b: a % b, a, b), a % b)


@every_target
def test_conversions(target: Target) -> None:
    whole = np.array([0, 1, -1, 77, -(2**31), 2**31 - 1, 2**24 + 1, 2**53 + 1, -(2**63)])
    for type, dtype in DTYPES.items():
        found = elementwise(
            target, "i64", lambda f, a, type=type: f.convert(a, wide(type, a)), whole, into=type
        )
        np.testing.assert_array_equal(found, whole.astype(dtype))
    narrow = elementwise(target, "i64", lambda f, a: f.convert(a, wide("i32", a)), whole, into="i32")
    np.testing.assert_array_equal(narrow, whole.astype(np.int32))
    half = elementwise(target, "i64", lambda f, a: f.convert(a, wide("i16", a)), whole, into="i16")
    np.testing.assert_array_equal(half, whole.astype(np.int16))
    wider = elementwise(target, "i16", lambda f, a: f.convert(a, wide("i64", a)), half, into="i64")
    np.testing.assert_array_equal(wider, half)
    back = elementwise(target, "i32", lambda f, a: f.convert(a, wide("i64", a)), narrow, into="i64")
    np.testing.assert_array_equal(back, narrow.astype(np.int64))
    x = special("double")
    with np.errstate(over="ignore"):
        expected = x.astype(np.float32)
    rounded = elementwise(target, "double", lambda f, a: f.convert(a, wide("float", a)), x, into="float")
    same_bits(rounded, expected)
    exact = elementwise(target, "float", lambda f, a: f.convert(a, wide("double", a)), rounded, into="double")
    same_bits(exact, rounded.astype(np.float64))
    kept = elementwise(target, "double", lambda f, a: f.convert(a, wide("double", a)), x)
    np.testing.assert_array_equal(bits(kept), bits(x))
    truth = elementwise(target, "i64", lambda f, a: f.convert(a > 0, wide("i64", a)), whole, into="i64")
    np.testing.assert_array_equal(truth, (whole > 0).astype(np.int64))
    truth = elementwise(target, "i64", lambda f, a: f.convert(a > 0, wide("double", a)), whole, into="double")
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
