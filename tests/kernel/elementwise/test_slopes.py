"""Slopes told from results, and dropout: the bits of NumPy's formulas, on every target, at every length."""

from __future__ import annotations

from collections.abc import Callable
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

from tilewright.kernel.elementwise import call, draws
from tilewright.kernel.elementwise.groups import GROUP
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

LEAK = 0.01
KEY, STREAM = (1 << 63) + 123, (1 << 64) - 5
SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda g, y: g * (y.dtype.type(1) - y * y),
    "sigmoid": lambda g, y: g * (y * (y.dtype.type(1) - y)),
    "relu": lambda g, y: np.where(y <= 0, y.dtype.type(0), g),
    "leaky_relu": lambda g, y: np.where(y > 0, g, g * y.dtype.type(LEAK)),
}


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def numbers(count: int) -> int:
    """How many numbers of 64 bits hold so many bits."""
    return -(-count // GROUP)


def mask_of(bits: Any, count: int) -> Any:
    return np.unpackbits(bits.astype("<u8").view(np.uint8), count=count, bitorder="little").astype(bool)


# -- slopes --------------------------------------------------------------------------------------------


@every_target
@every_dtype
@both_sides
@pytest.mark.parametrize("slope", list(SLOPES))
def test_slopes_have_the_bits_of_the_formulas(target: Target, dtype: Any, side: str, slope: str) -> None:
    for count in LENGTHS:
        g, y = mixed(count, dtype, 1), mixed(count, dtype, 2)
        with np.errstate(all="ignore"):
            expected = SLOPES[slope](g, y)
        for out in poisoned(g, side):
            call.sloped(guarded(g, side), guarded(y, side), out, slope, LEAK, target=target)
            assert_same_bits(out, expected)


@every_target
@every_dtype
def test_a_gradient_may_be_overwritten(target: Target, dtype: Any) -> None:
    for count in (1, 63, 64, 65, 20000):
        g, y = mixed(count, dtype, 3), mixed(count, dtype, 4)
        with np.errstate(all="ignore"):
            expected = SLOPES["tanh"](g, y)
        call.sloped(g, y, g, "tanh", target=target)
        assert_same_bits(g, expected)


@pytest.mark.parametrize("leak", [0.0, -0.0, 1.0, 2.5, -0.3, 1e-30, 1e30, np.inf, -np.inf, np.nan])
def test_any_leak(leak: float) -> None:
    for dtype in (np.float32, np.float64):
        g, y = mixed(3000, dtype, 5), mixed(3000, dtype, 6)
        out = np.full_like(g, -77)
        call.sloped(g, y, out, "leaky_relu", leak)
        with np.errstate(all="ignore"):
            assert_same_bits(out, np.where(y > 0, g, g * dtype(leak)))


# -- dropout -------------------------------------------------------------------------------------------


@every_target
@every_dtype
@both_sides
def test_dropout_draws_and_applies(target: Target, dtype: Any, side: str) -> None:
    few, scale = 52429, float(dtype(1.25))
    for count in LENGTHS:
        g = mixed(count, dtype, 7)
        drawn = draws.drawn(numbers(count), (few, KEY, STREAM))
        with np.errstate(all="ignore"):
            expected = g * np.where(mask_of(drawn, count), dtype(scale), dtype(0))
        for out in poisoned(g, side):
            bits = guarded(np.full(numbers(count), 77, np.uint64), side)
            call.dropped(guarded(g, side), out, bits, scale, (few, KEY, STREAM), target=target)
            np.testing.assert_array_equal(bits, drawn)
            assert_same_bits(out, expected)
            # Again with the bits as they are now.
            out[...] = -77
            call.dropped(guarded(g, side), out, bits, scale, target=target)
            np.testing.assert_array_equal(bits, drawn)
            assert_same_bits(out, expected)


@every_target
@every_dtype
@both_sides
@pytest.mark.parametrize("slope", list(SLOPES))
def test_dropout_and_a_slope_in_one_pass(target: Target, dtype: Any, side: str, slope: str) -> None:
    scale = float(dtype(1.7))
    for count in LENGTHS:
        g, y = mixed(count, dtype, 10), mixed(count, dtype, 11)
        bits = draws.drawn(numbers(count), (20000, KEY, STREAM)).astype(np.uint64)
        with np.errstate(all="ignore"):
            d = g * np.where(mask_of(bits, count), dtype(scale), dtype(0))
            expected = SLOPES[slope](d, y)
        for out in poisoned(g, side):
            places = guarded(g, side), guarded(y, side), out
            call.sloped(*places, slope, LEAK, guarded(bits, side), scale, target=target)
            assert_same_bits(out, expected)


@every_target
def test_bits_are_drawn_on_their_own(target: Target) -> None:
    for count in LENGTHS:
        bits = guarded(np.full(numbers(count), 77, np.uint64))
        call.drawn(bits, count, (30000, KEY, STREAM), target=target)
        np.testing.assert_array_equal(bits, draws.drawn(bits.size, (30000, KEY, STREAM)))


@every_target
def test_the_ends_of_the_probability(target: Target) -> None:
    bits = np.full(300, 77, np.uint64)
    call.drawn(bits, 300 * GROUP, (0, KEY, STREAM), target=target)
    assert not bits.any()
    call.drawn(bits, 300 * GROUP, (65536, KEY, STREAM), target=target)
    assert (~bits == 0).all()


def test_every_step_of_the_probability_counts() -> None:
    # Each element compares its 16 bits with `few`: what is kept with one is kept with more, and all 65,536
    # values of the bits occur about as often.
    count = 1 << 22
    before = np.zeros(numbers(count), np.uint64)
    for few in (1, 2, 3, 100, 32768, 65535):
        bits = np.empty_like(before)
        call.drawn(bits, count, (few, KEY, STREAM))
        assert (before & ~bits == 0).all()
        probability = few / 65536
        share = mask_of(bits, count).mean()
        # Five standard deviations; the key is fixed.
        assert abs(share - probability) < 5 * (probability * (1 - probability) / count) ** 0.5
        before = bits


def test_elements_are_drawn_independently() -> None:
    count, few = 1 << 20, 32768
    bits = np.empty(numbers(count), np.uint64)
    call.drawn(bits, count, (few, KEY, STREAM))
    signs = np.where(mask_of(bits, count), 1.0, -1.0)
    # The mean of so many products of fair signs has a standard deviation of 1/1024. 70 distances, among them
    # all within a group and those between groups, blocks and units.
    for distance in (*range(1, 65), 128, 512, 4096, 16384, 32768, 65536):
        assert abs(np.mean(signs[distance:] * signs[:-distance])) < 5 / 1000
    # And each place in a group is fair.
    assert (np.abs(signs.reshape(-1, GROUP).mean(axis=0)) < 5 / np.sqrt(count / GROUP)).all()


@pytest.mark.parametrize("other", [(KEY + 1, STREAM), (KEY, STREAM - 1), (KEY ^ (1 << 40), STREAM)])
def test_another_key_or_stream_gives_other_bits(other: tuple[int, int]) -> None:
    one, two = np.empty((2, 100), np.uint64)
    call.drawn(one, 6400, (32768, KEY, STREAM))
    call.drawn(two, 6400, (32768, *other))
    # Of 6400 fair bits about half differ; five standard deviations are 200.
    assert abs(int(mask_of(one ^ two, 6400).sum()) - 3200) < 200


def test_the_bits_of_a_longer_array_begin_with_those_of_a_shorter() -> None:
    long, short = np.empty(1000, np.uint64), np.empty(400, np.uint64)
    call.drawn(long, 64000, (20000, KEY, STREAM))
    call.drawn(short, 25600, (20000, KEY, STREAM))
    np.testing.assert_array_equal(long[:400], short)


def test_zero_times_infinity_is_nan() -> None:
    g = np.array([np.inf, -np.inf, np.nan, 1, -1], np.float32)
    out = np.empty_like(g)
    call.dropped(g, out, np.zeros(1, np.uint64), 1.25)
    assert_same_bits(out, np.array([np.nan, np.nan, np.nan, 0, -0.0], np.float32))
    call.dropped(g, out, np.full(1, 31, np.uint64), 0.0)
    assert_same_bits(out, np.array([np.nan, np.nan, np.nan, 0, -0.0], np.float32))


# -- threads -------------------------------------------------------------------------------------------


@every_dtype
def test_same_bits_for_any_number_of_threads(dtype: Any) -> None:
    count = 150_001
    g, y = mixed(count, dtype, 8), mixed(count, dtype, 9)

    def all_of_them() -> tuple[bytes, ...]:
        slope, drop = np.full_like(g, -77), np.full_like(g, -77)
        bits = np.zeros(numbers(count), np.uint64)
        call.sloped(g, y, slope, "sigmoid")
        call.dropped(g, drop, bits, 2.0, (32768, KEY, STREAM))
        return slope.tobytes(), drop.tobytes(), bits.tobytes()

    first = with_threads(1, all_of_them)
    for count_of_threads in (2, 3, 7):
        assert with_threads(count_of_threads, all_of_them) == first


def test_targets_draw_the_same_bits() -> None:
    found = set()
    for name in ("avx512", "avx2", "baseline", "neon"):
        try:
            bits = np.empty(50, np.uint64)
            call.drawn(bits, 3200, (40000, KEY, STREAM), target=named(name))
        except ValueError:  # not this processor's
            continue
        found.add(bits.tobytes())
    assert len(found) == 1
