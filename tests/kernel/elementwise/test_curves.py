"""Activations of whole arrays and their slopes: every target, every length, against higher precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import (
    LENGTHS,
    assert_same_bits,
    both_sides,
    every_dtype,
    every_target,
    mixed,
    poisoned,
    with_threads,
)

from tilewright.kernel.elementwise import call, curves
from tilewright.op import activation as op
from tilewright.op import fused
from tilewright.op.memory import in_blocks
from tilewright.op.normal import ROOMS
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_curve = pytest.mark.parametrize("curve", curves.NAMES)
every_slope = pytest.mark.parametrize("curve", list(curves.SLOPES))


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def in_numpy(curve: str, x: Any) -> Any:
    """The formulas that serve where nothing is compiled."""
    with np.errstate(all="ignore"):
        if curve == "relu":
            return in_blocks(op._relu, x, x.dtype.type(0))
        if curve == "leaky_relu":
            return in_blocks(op._leaky_relu, x, x.dtype.type(0), x.dtype.type(0.01), rooms=1)
        if curve == "gelu":
            return in_blocks(op._gelu, x, rooms=ROOMS)
        return in_blocks({"sigmoid": op._sigmoid, "silu": op._silu}[curve], x, rooms=1)


def slope_in_numpy(curve: str, g: Any, x: Any) -> Any:
    with np.errstate(all="ignore"):
        if curve == "gelu":
            return in_blocks(op._gelu_gradient, g, x, rooms=ROOMS)
        return in_blocks(op._silu_gradient, g, x, rooms=1)


def slope(curve: str, x: Any) -> Any:
    """The derivative of finite numbers, with more digits than float32 has, and all that float64 has."""
    wide = x.astype(np.longdouble)
    if curve == "silu":
        e = np.exp(-np.abs(wide))
        s = np.where(wide < 0, e, 1) / (1 + e)
        return s * (wide * (1 - s) + 1)
    root = np.sqrt(np.longdouble(2))
    # erfc of a rounded number, moved to the one that was meant along the tangent.
    meant = -wide / root
    taken = meant.astype(np.float64)
    erfc = np.array([math.erfc(z) for z in taken.tolist()])
    with np.errstate(under="ignore"):
        density = np.exp(-wide * wide / 2) / np.sqrt(2 * np.longdouble(np.pi))
        moved = (meant - taken) * 2 * density * root
        return (erfc - moved) / 2 + wide * density


@every_target
@every_dtype
@both_sides
@every_curve
def test_any_length_and_nothing_beside_it(target: Target, dtype: Any, side: str, curve: str) -> None:
    whole = mixed(max(LENGTHS), dtype, 1)
    expected = np.empty_like(whole)
    call.curved(whole, expected, curve, leak=0.01, target=target)
    for count in LENGTHS:
        x = whole[:count]
        for out in poisoned(x, side):
            call.curved(guarded(x, side), out, curve, leak=0.01, target=target)
            assert_same_bits(out, expected[:count])


@every_target
@every_dtype
@both_sides
@every_slope
def test_slopes_at_any_length(target: Target, dtype: Any, side: str, curve: str) -> None:
    whole, gradient = mixed(max(LENGTHS), dtype, 2), mixed(max(LENGTHS), dtype, 3)
    expected = np.empty_like(whole)
    call.curved(whole, expected, curve, gradient, target=target)
    for count in LENGTHS:
        x, g = whole[:count], gradient[:count]
        for out in poisoned(x, side):
            call.curved(guarded(x, side), out, curve, guarded(g, side), target=target)
            assert_same_bits(out, expected[:count])
    # Over x, and over g.
    for out in (x := whole.copy(), g := gradient.copy()):
        call.curved(x if out is x else whole, out, curve, g if out is g else gradient, target=target)
        assert_same_bits(out, expected)


@every_target
@every_dtype
@every_curve
def test_numbers_are_those_of_the_formulas(target: Target, dtype: Any, curve: str) -> None:
    x = np.concatenate([mixed(5000, dtype, 4), np.linspace(-30, 30, 20001, dtype=dtype)])
    found = np.empty_like(x)
    call.curved(x, found, curve, leak=0.01, target=target)
    expected = in_numpy(curve, x)
    if curve in ("relu", "leaky_relu"):
        assert_same_bits(found, expected)
        return
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(found[np.isinf(x)], expected[np.isinf(x)])
    finite = np.isfinite(x)
    # Both are within a few units of the exact value (see tests/kernel/test_activation.py); subnormal results
    # within a few of the smallest number. NumPy's tail of a normal distribution is not as good: where it
    # takes the exponential of −x²/2, it rounds numbers as large as that.
    limits = np.finfo(dtype)
    units = 12 + (np.minimum(np.abs(x[finite]), 40) ** 2 / 4 if curve == "gelu" else 0)
    allowed = units * np.maximum(limits.eps * np.abs(expected[finite]), limits.smallest_subnormal)
    assert (np.abs(found[finite] - expected[finite]) <= allowed).all()


@every_target
@every_dtype
@every_slope
def test_slopes_are_right(target: Target, dtype: Any, curve: str) -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate(
        [rng.uniform(-12, 12, 20000), rng.uniform(-110, 110, 2000), np.exp(rng.uniform(-80, 0, 2000))]
    ).astype(dtype)
    found = np.empty_like(x)
    call.curved(x, found, curve, np.ones_like(x), target=target)
    error = np.abs(found - slope(curve, x))
    # The two terms of each nearly cancel where the slope is 0; around there it is right to a few units of
    # these terms, which are below 1.3. Measured: 1.9 units of 1 at most.
    assert error.max() <= 3 * np.finfo(dtype).eps
    # Elsewhere each keeps its digits, as long as the two are not opposite: for GELU and SiLU, right of 0.
    right = x > 0
    assert (error[right] <= 4 * np.finfo(dtype).eps * np.abs(found[right])).all()


@every_target
@every_dtype
@every_slope
def test_slopes_go_where_the_formulas_go(target: Target, dtype: Any, curve: str) -> None:
    huge = float(np.finfo(dtype).max)
    x = np.array([np.inf, -np.inf, np.nan, huge, -huge, 0.0, -0.0, 1e3, -1e3, 40, -40, 16, -16], dtype)
    for scale in (1.0, -2.0, 0.0, np.inf, np.nan):
        g = np.full_like(x, scale)
        found = np.empty_like(x)
        call.curved(x, found, curve, g, target=target)
        expected = slope_in_numpy(curve, g, x)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
        finite = np.isfinite(expected)
        # Of the largest of them, about 1.
        assert (
            np.abs(found[finite] - expected[finite]) <= 4 * np.finfo(dtype).eps * max(abs(scale), 1)
        ).all()


@every_dtype
@every_curve
def test_a_convolutions_activation_has_the_same_bits(dtype: Any, curve: str) -> None:
    from tilewright.geometry import ConvDims
    from tilewright.op.conv import conv_forward

    # One channel, one tap of weight 1: the sum is the number itself.
    x = mixed(1000, dtype, 6).reshape(1, 1, 20, 50)
    x[~np.isfinite(x)] = 0
    dims = ConvDims.of(x.shape, (1, 1, 1, 1))
    one = np.ones((1, 1, 1, 1), dtype)
    y = conv_forward(dims, x, one, activation=curve, slope=0.01)
    assert_same_bits(fused.activate(conv_forward(dims, x, one), curve, 0.01), y)


@every_dtype
@every_curve
def test_same_bits_for_any_number_of_threads(dtype: Any, curve: str) -> None:
    x, g = mixed(100_003, dtype, 7), mixed(100_003, dtype, 8)

    def both() -> tuple[bytes, ...]:
        out, back = np.empty_like(x), np.zeros_like(x)
        call.curved(x, out, curve, leak=0.2)
        if curve in curves.SLOPES:
            call.curved(x, back, curve, g)
        return out.tobytes(), back.tobytes()

    first = with_threads(1, both)
    for count in (2, 3, 7):
        assert with_threads(count, both) == first
