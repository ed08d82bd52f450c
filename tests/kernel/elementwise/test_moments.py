"""Two sums for each channel: exact where sums can be, close where not, on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import assert_same_bits, both_sides, every_dtype, every_target, with_threads

from tilewright.kernel.elementwise import channels
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

# (samples, channels, places): few and many of each, one more and one less than vectors, units and shares; and
# channels innermost, as many as fill vectors, fewer, and so few that several rows make one.
SHAPES = (
    (1, 1, 2), (3, 2, 15), (2, 3, 16), (2, 3, 17), (5, 1, 31), (5, 1, 32), (2, 2, 33), (1, 4, 64),
    (1, 2, 1024), (40, 3, 49), (7, 130, 10), (2, 700, 4), (50, 1, 1000), (1, 1, 70001), (60, 32, 784),
    (20, 5, 1025),
    (1, 1, 1), (31, 3, 1), (5, 15, 1), (33, 16, 1), (100, 17, 1), (70, 63, 1), (65, 64, 1), (64, 65, 1),
    (200, 129, 1), (3, 20000, 1), (9000, 7, 1), (40001, 1, 1), (2000, 48, 1),
)  # fmt: skip
KINDS = ("spread", "pull", "pull_relu")


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def expected(kind: str, x: Any, centre: Any, g: Any, y: Any) -> Any:
    """The definition, in the widest type there is."""
    away = x.astype(np.longdouble) - centre[:, None]
    factor = away if kind == "spread" else g.astype(np.longdouble)
    if kind == "pull_relu":
        factor = np.where(y <= 0, np.longdouble(0), factor)
    return np.stack([factor.sum(axis=(0, 2)), (factor * away).sum(axis=(0, 2))])


@every_target
@every_dtype
@both_sides
@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_integers_are_exact(target: Target, dtype: Any, side: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x, g, y = (rng.integers(-9, 10, shape).astype(dtype) for _ in range(3))
        centre = rng.integers(-9, 10, shape[1]).astype(np.float64)
        kept = guarded(np.full_like(g, np.nan), side)
        here = [guarded(one, side) for one in (x, centre, g, y)]
        more = {"spread": (), "pull": (here[2],), "pull_relu": (here[2], here[3], kept)}[kind]
        found = channels.channel_moments(kind, here[0], here[1], *more, target=target)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, expected(kind, x, centre, g, y).astype(np.float64))
        if kind == "pull_relu":
            assert_same_bits(kept, np.where(y <= 0, dtype(0), g))
        for now, before in zip(here, (x, centre, g, y), strict=True):
            assert_same_bits(now, before)


@every_target
@every_dtype
@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_that_of_float64(target: Target, dtype: Any, kind: str) -> None:
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        x, g, y = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
        x += dtype(3)
        centre = x[0, :, 0].astype(np.float64)
        more = {"spread": (), "pull": (g,), "pull_relu": (g, y, np.empty_like(g))}[kind]
        found = channels.channel_moments(kind, x, centre, *more, target=target)
        wanted = expected(kind, x, centre, g, y)
        # Each lane adds at most as many numbers as a unit has, and there are sixteen units or so.
        samples, _, places = shape
        away = np.abs(x - centre[:, None])
        size = np.stack(
            [(away if kind == "spread" else np.abs(g)).sum(axis=(0, 2)), (away**2 + g**2).sum((0, 2))]
        )
        deep = 60 + samples * places / 8
        assert (np.abs(found - wanted) <= deep * 2.0**-53 * size.astype(np.float64) + 1e-300).all(), shape


@every_target
@every_dtype
def test_nan_and_infinity_reach_their_channel_only(target: Target, dtype: Any) -> None:
    for shape in ((5, 4, 300), (300, 20, 1)):
        for place in ((0, 0, 0), (4, 3, -1), (2, 1, shape[2] // 2)):
            for number, sum in ((np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf)):
                x, count = np.ones(shape, dtype), float(shape[0] * shape[2])
                x[place] = number
                wanted = np.full((2, shape[1]), count)
                wanted[:, place[1]] = sum, abs(sum)
                found = channels.channel_moments("spread", x, np.zeros(shape[1]), target=target)
                np.testing.assert_array_equal(found, wanted)
                # As a gradient, beside numbers of which one is masked by its activation, and one is not.
                g, kept = x, np.empty_like(x)
                one = np.ones(shape, dtype)
                found = channels.channel_moments("pull", one, np.zeros(shape[1]), g, target=target)
                wanted[:, place[1]] = sum
                np.testing.assert_array_equal(found, wanted)
                y = one.copy()
                y[place] = 0
                found = channels.channel_moments(
                    "pull_relu", one, np.zeros(shape[1]), g, y, kept, target=target
                )
                wanted[:, place[1]] = count - 1
                np.testing.assert_array_equal(found, wanted)
                y[place] = np.nan
                channels.channel_moments("pull_relu", one, np.zeros(shape[1]), g, y, kept, target=target)
                assert_same_bits(kept, g)


@every_dtype
def test_the_gradient_may_be_written_over(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    for shape in ((6, 5, 99), (600, 5, 1)):
        x, g, y = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
        wanted = np.where(y <= 0, dtype(0), g)
        first = channels.channel_moments("pull_relu", x, np.zeros(5), g, y, np.empty_like(g))
        again = channels.channel_moments("pull_relu", x, np.zeros(5), g, y, g)
        assert_same_bits(g, wanted)
        assert_same_bits(first, again)


@every_dtype
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_any_number_of_threads(dtype: Any, kind: str) -> None:
    rng = np.random.default_rng(2)
    for shape in ((60, 3, 784), (60, 32, 784), (2, 300, 500), (20000, 24, 1)):
        x, g, y = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
        more = {"spread": (), "pull": (g,), "pull_relu": (g, y, np.empty_like(g))}[kind]

        def summed(x: Any = x, more: Any = more) -> bytes:
            return channels.channel_moments(kind, x, np.ones(x.shape[1]), *more).tobytes()

        first = with_threads(1, summed)
        for count in (2, 3, 7):
            assert with_threads(count, summed) == first
