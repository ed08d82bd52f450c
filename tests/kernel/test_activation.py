"""Activations in registers: ReLUs bit by bit, smooth ones against references of higher precision."""

from __future__ import annotations

import math
import re
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import pytest
from kernel.built import DTYPES, TARGETS, Loaded, bits, special, width_of

from tilewright.autograd import elementwise
from tilewright.kernel import jit
from tilewright.kernel.builder import Function, vector
from tilewright.kernel.tiles.activation import ACTIVATIONS, activate
from tilewright.kernel.tiles.curves import CURVES, FORMATS
from tilewright.op import activation as op
from tilewright.op import fused
from tilewright.op.normal import normal_cdf
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_scalar = pytest.mark.parametrize("scalar", list(DTYPES))
every_curve = pytest.mark.parametrize("curve", list(CURVES))

# Largest errors in units in the last place. Each of the four to six roundings behind the last polynomial may
# cost half a unit, or a whole one if the result lies just above a power of two. Measured: 2.5, 2.3, 3.1, 4.7.
MOST_UNITS = {"tanh": 3, "sigmoid": 3, "silu": 4, "gelu": 5}


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def emit(target: Target, scalar: str, activation: str) -> str:
    arguments = {"x": "ptr", "y": "ptr", "n": "i64", "slope": "double"}
    f = Function(f"activated_{scalar}_{activation}", target, arguments)
    width = width_of(target, scalar)
    with f.loop(f["n"], step=width) as i:
        x = f.load(vector(width, scalar), f["x"], i)
        f.store(activate(f, activation, x, f["slope"]), f["y"], i)
    return f.text()


def activated(target: Target, scalar: str, activation: str, x: Any, slope: float = 0.01) -> Any:
    name = f"activated_{scalar}_{activation}"
    run = Loaded(name, lambda target: emit(target, scalar, activation), target)
    padded = np.zeros(-(-x.size // 16) * 16, x.dtype)
    padded[: x.size] = x
    y = np.full_like(padded, math.nan)
    run(padded, y, y.size, slope)
    return y[: x.size]


def patterns(scalar: str, count: int) -> Any:
    """``count`` floats of all magnitudes, with subnormal ones and NaNs, evenly among all bit patterns."""
    dtype = {"float": np.uint32, "double": np.uint64}[scalar]
    most = np.iinfo(dtype).max
    return np.arange(0, most, most // count, dtype=dtype).view(DTYPES[scalar])


# -- ReLU and leaky ReLU -------------------------------------------------------------------------------


@every_target
@every_scalar
def test_none_changes_nothing(target: Target, scalar: str) -> None:
    x = np.concatenate([special(scalar), patterns(scalar, 999)])
    np.testing.assert_array_equal(bits(activated(target, scalar, "none", x)), bits(x))


@every_target
@every_scalar
def test_relu_has_the_bits_of_the_function_on_arrays(target: Target, scalar: str) -> None:
    x = np.concatenate([special(scalar), patterns(scalar, 99_991)])
    with np.errstate(all="ignore"):
        expected = elementwise.relu(x)
    np.testing.assert_array_equal(bits(activated(target, scalar, "relu", x)), bits(expected))
    zero = activated(target, scalar, "relu", np.array([-0.0], DTYPES[scalar]))
    assert bits(zero)[0] == 0, "−0 becomes 0"


@every_target
@every_scalar
@pytest.mark.parametrize("slope", [0.01, 0.0, -0.0, 1.0, 2.5, -0.3, 0.1, 1e-30, 1e30, math.inf, -math.inf])
def test_leaky_relu_has_the_bits_of_the_function_on_arrays(target: Target, scalar: str, slope: float) -> None:
    x = np.concatenate([special(scalar), patterns(scalar, 99_991)])
    with np.errstate(all="ignore"):
        expected = op.leaky_relu(x, slope)
    found = activated(target, scalar, "leaky_relu", x, slope)
    # A NaN of x keeps its bits; one that arises (∞ · 0) has those that the processor gives it.
    arisen = np.isnan(expected) & ~np.isnan(x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(bits(found)[~arisen], bits(expected)[~arisen])


# -- smooth activations --------------------------------------------------------------------------------


def reference(curve: str, x: Any) -> Any:
    """In float64, whose rounding doesn't show beside float32's."""
    if curve == "tanh":
        return np.tanh(x)
    e = np.exp(-np.abs(x))
    sigmoid = np.where(x < 0, e, 1) / (1 + e)
    return sigmoid if curve == "sigmoid" else x * (sigmoid if curve == "silu" else normal_cdf(x))


@every_target
@every_curve
def test_floats_are_right_to_a_few_units_in_the_last_place(target: Target, curve: str) -> None:
    x = np.concatenate(
        [
            patterns("float", 399_989),
            np.linspace(-20, 20, 200_001, dtype=np.float32),
            np.linspace(-110, -80, 50_001, dtype=np.float32),  # where exp is subnormal
        ]
    )
    x = x[np.isfinite(x)]
    y, expected = activated(target, "float", curve, x), reference(curve, x.astype(np.float64))
    unit = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    units = np.abs(y - expected) / unit
    worst = int(np.argmax(units))
    assert units[worst] <= MOST_UNITS[curve], f"{curve}({x[worst]}): {y[worst]}, not {expected[worst]}"
    assert np.mean(units) < 0.6, "on average little more than the last rounding"


PI = Decimal("3.141592653589793238462643383279502884197169399375")


def upper_tail(z: Decimal) -> Decimal:
    """P(N > z) for z ≥ 0: the series around 0, or the continued fraction of Laplace."""
    density = (-z * z / 2).exp() / (2 * PI).sqrt()
    if z < 5:
        term = total = z
        k = 1
        while term > total * Decimal(10) ** -45:
            k += 2
            term = term * z * z / k
            total += term
        return Decimal("0.5") - density * total
    fraction = z
    for k in range(150, 0, -1):
        fraction = z + k / fraction
    return density / fraction


def exactly(curve: str, number: float) -> Decimal:
    """The value to more than 30 digits."""
    x = Decimal(number)
    if curve == "gelu":
        tail = upper_tail(abs(x))
        return x * (tail if x < 0 else 1 - tail)
    if curve == "tanh":
        # The first two terms where the difference of exponentials would cancel.
        if abs(x) < Decimal("1e-10"):
            return x - x**3 / 3
        e = (-2 * abs(x)).exp()
        return ((1 - e) / (1 + e)).copy_sign(x)
    e = (-abs(x)).exp()
    sigmoid = (e if x < 0 else 1) / (1 + e)
    return sigmoid if curve == "sigmoid" else x * sigmoid


@cache
def doubles(curve: str) -> tuple[Any, list[Decimal]]:
    """Numbers of all sizes, and the curve's exact values."""
    rng = np.random.default_rng(0)
    lowest = -39.0 if curve == "gelu" else -755.0
    sizes = np.exp(rng.uniform(-740, 0, 100)) * rng.choice([-1, 1], 100)
    x = np.concatenate(
        [
            rng.uniform(-3, 3, 300),
            rng.uniform(lowest, 40, 300),
            rng.uniform(lowest, 0.95 * lowest, 200),
            sizes,
        ]
    )
    with localcontext() as context:
        context.prec = 50
        return x, [exactly(curve, number) for number in x.tolist()]


@every_target
@every_curve
def test_doubles_are_right_to_a_few_units_in_the_last_place(target: Target, curve: str) -> None:
    x, expected = doubles(curve)
    y = activated(target, "double", curve, x)
    with localcontext() as context:
        context.prec = 50
        for number, found, exact in zip(x.tolist(), y.tolist(), expected, strict=True):
            unit = Decimal(math.ulp(float(exact)))
            assert abs(Decimal(found) - exact) <= MOST_UNITS[curve] * unit, f"{curve}({number!r}): {found!r}"


@every_target
@every_scalar
@every_curve
def test_limits_zeros_and_nan(target: Target, scalar: str, curve: str) -> None:
    limits = np.finfo(DTYPES[scalar])
    least = float(limits.smallest_subnormal)
    huge = float(limits.max)
    x = np.array([math.inf, -math.inf, huge, -huge, 0.0, -0.0, least, -least, math.nan, -math.nan])
    expected = {
        "tanh": [1, -1, 1, -1, 0.0, -0.0, least, -least],
        "sigmoid": [1, 0, 1, 0, 0.5, 0.5, 0.5, 0.5],
        # Half of the smallest number is rounded to even, that is to 0. The limit is approached from below 0;
        # at −∞ stands −∞ · 0.
        "silu": [math.inf, math.nan, huge, -0.0, 0.0, -0.0, 0.0, -0.0],
        "gelu": [math.inf, math.nan, huge, -0.0, 0.0, -0.0, 0.0, -0.0],
    }[curve]
    y = activated(target, scalar, curve, x.astype(DTYPES[scalar]))
    wanted = np.array([*expected, math.nan, math.nan], DTYPES[scalar])
    nan = np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(y), nan)
    np.testing.assert_array_equal(bits(y[~nan]), bits(wanted[~nan]))


@every_scalar
@every_curve
def test_special_numbers_are_like_the_functions_on_arrays(scalar: str, curve: str) -> None:
    x = np.array([math.inf, -math.inf, math.nan, 0.0, -0.0, 1e3, -1e3, 1e30, -1e30], DTYPES[scalar])
    expected = fused.activate(x, curve, 0.0)
    for name in TARGETS:
        y = activated(named(name), scalar, curve, x)
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(y), nan)
        np.testing.assert_array_equal(bits(y[~nan]), bits(expected[~nan]))


@every_target
@every_scalar
@every_curve
def test_any_pattern_of_nan_stays_nan(target: Target, scalar: str, curve: str) -> None:
    x = patterns(scalar, 99_991)
    y = activated(target, scalar, curve, x)
    zero_times_infinity = x == -math.inf if curve in ("silu", "gelu") else False
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x) | zero_times_infinity)


@pytest.mark.parametrize("name", ["avx512", "avx2", "baseline", "neon"])
@every_scalar
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_function_of_a_library_is_called(name: str, scalar: str, activation: str) -> None:
    function = f"activated_{scalar}_{activation}"
    _, assembly = jit.text(function, lambda target: emit(target, scalar, activation), named(name))
    assert not re.search(r"^\s+(call|bl|blr|jmp\s+\w+@PLT)\b", assembly, re.MULTILINE), assembly


def test_an_activation_that_there_is_not() -> None:
    f = Function("f", named("avx2"), {"slope": "double"})
    with pytest.raises(AssertionError, match="no activation swish"):
        activate(f, "swish", f.number("<8 x float>", 1), f["slope"])


# -- coefficients --------------------------------------------------------------------------------------


def rounded(scalar: str, coefficients: tuple[float, ...]) -> list[Decimal]:
    return [Decimal(float(DTYPES[scalar](number))) for number in coefficients]


def polynomial(x: Decimal, coefficients: list[Decimal]) -> Decimal:
    result = Decimal(0)
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result


@pytest.mark.parametrize(("scalar", "most"), [("float", "3e-9"), ("double", "2.5e-17")])
def test_the_polynomial_of_exp_is_as_close_as_it_says(scalar: str, most: str) -> None:
    c = rounded(scalar, FORMATS[scalar].expm1)
    with localcontext() as context:
        context.prec = 50
        half = Decimal(2).ln() / 2
        for step in range(-100, 101):
            r = half * step / 100
            if step:
                error = (r + r * r * polynomial(r, c)) / (r.exp() - 1) - 1
                assert abs(error) <= Decimal(most)


@pytest.mark.parametrize(("scalar", "most"), [("float", "1.2e-8"), ("double", "2.8e-17")])
def test_the_polynomial_of_the_tail_is_as_close_as_it_says(scalar: str, most: str) -> None:
    format = FORMATS[scalar]
    c, end = rounded(scalar, format.tail), Decimal(format.normal)
    with localcontext() as context:
        context.prec = 50
        for step in range(201):
            # Even steps of 1 / (z + 4), as the polynomial has it.
            share = Decimal(step) / 200 * end / (end + 4)
            z = 4 * share / (1 - share)
            u = 1 - 2 * (end + 4) / end * z / (z + 4)
            exact = upper_tail(z) * (z * z / 2).exp() * (z + 4)
            assert abs(polynomial(u, c) / exact - 1) <= Decimal(most), z


@every_scalar
def test_ln_2_in_two_parts(scalar: str) -> None:
    format = FORMATS[scalar]
    upper, lower = format.ln2
    with localcontext() as context:
        context.prec = 60
        assert DTYPES[scalar](float(Decimal(2).ln() - Decimal(upper))) == DTYPES[scalar](lower)
        # exp is taken down to that of GELU's bound squared over −2, and to that of sigmoid's.
        most = math.ceil(max(format.normal**2 / 2, format.sigmoid) / math.log(2))
        for n in range(most + 1):
            assert Decimal(float(DTYPES[scalar](upper * n))) == Decimal(upper) * n
