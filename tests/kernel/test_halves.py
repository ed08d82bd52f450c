"""float16 and bfloat16 in memory: every number of both, rounding, and masks, on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.built import TARGETS, built, width_of
from samples_of_dtypes import HALVES, dtype_named

from tilewright.kernel.builder import (
    Function,
    first_lanes,
    load_pairs,
    load_square,
    masked_load,
    masked_store,
    vector,
)
from tilewright.plan import Target, named

STORED = {"float16": "half", "bfloat16": "bfloat"}
every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_half = pytest.mark.parametrize("name", HALVES)


def _all_of(name: str) -> Any:
    return np.arange(1 << 16).astype(np.uint16).view(dtype_named(name))


def _same(found: Any, expected: Any) -> None:
    """The same bits, but for NaNs, of which there must be the same."""
    assert found.dtype == expected.dtype
    nan = np.isnan(expected.astype(np.float32))
    integers = np.uint16 if found.itemsize == 2 else np.uint32
    np.testing.assert_array_equal(np.isnan(found.astype(np.float32)), nan)
    np.testing.assert_array_equal(found.view(integers)[~nan], expected.view(integers)[~nan])


def _copy(target: Target, name: str, lanes: int, reads: bool, writes: bool) -> Any:
    """A function that copies x to out, ``lanes`` at a time: halves where it reads or writes them."""
    type = "float" if lanes == 1 else vector(lanes, "float")

    def body(f: Function) -> None:
        x = f.halves(f["x"], STORED[name] if reads else "")
        out = f.halves(f["out"], STORED[name] if writes else "")
        with f.loop(f["count"], step=lanes) as i:
            f.store(f.load(type, x, i), out, i)

    return built(target, {"x": "ptr", "out": "ptr", "count": "i64"}, body)


def _floats(name: str) -> Any:
    """Every half, what lies right in the middle of two, the float32 on either side of that, and others."""
    halves = np.unique(np.abs(_all_of(name).astype(np.float32)))
    halves = halves[np.isfinite(halves)]
    middle = ((halves[:-1].astype(np.float64) + halves[1:].astype(np.float64)) / 2).astype(np.float32)
    # The middle of the largest and of what would come next becomes infinite.
    last = halves[-1] + np.float32(halves[-1] - halves[-2]) / 2
    middle = np.append(middle, last)
    near = np.concatenate([halves, middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.inf)])
    limits = np.finfo(np.float32)
    others = np.array([limits.max, limits.tiny, limits.smallest_subnormal, np.inf, np.nan], np.float32)
    drawn = np.random.default_rng(1).integers(0, 1 << 32, 4096, np.uint32).view(np.float32)
    found = np.concatenate([near, others, drawn])
    found = np.concatenate([found, -found, np.array([0x7FFFFFFF, 0x7F800001], np.uint32).view(np.float32)])
    return np.append(found, np.zeros(-len(found) % 64, np.float32))


@every_target
@every_half
@pytest.mark.parametrize("lanes", [1, 4, 0])
def test_every_number_there_and_back(target: Target, name: str, lanes: int) -> None:
    lanes = lanes or width_of(target, "float")
    x = _all_of(name)
    wide = np.empty(x.shape, np.float32)
    _copy(target, name, lanes, True, False)(x, wide, x.size)
    _same(wide, x.astype(np.float32))
    back = np.empty_like(x)
    _copy(target, name, lanes, True, True)(x, back, x.size)
    _same(back, x)


@every_target
@every_half
@pytest.mark.parametrize("lanes", [1, 4, 0])
def test_rounding_to_nearest_ties_to_even(target: Target, name: str, lanes: int) -> None:
    lanes = lanes or width_of(target, "float")
    x = _floats(name)
    found = np.empty(x.shape, dtype_named(name))
    _copy(target, name, lanes, False, True)(x, found, x.size)
    with np.errstate(all="ignore"):
        _same(found, x.astype(found.dtype))
    # NaNs are quiet.
    quiet = {"float16": 0x200, "bfloat16": 0x40}[name]
    np.testing.assert_array_equal(found.view(np.uint16)[np.isnan(x)] & quiet, quiet)


@every_target
@every_half
def test_masked_at_the_edge_of_memory(target: Target, name: str) -> None:
    width = width_of(target, "float")

    def body(f: Function) -> None:
        x, out = (f.halves(f[key], STORED[name]) for key in ("x", "out"))
        mask = first_lanes(f, f["count"], width)
        value = masked_load(f, vector(width, "float"), x, mask, 7)
        f.store(value, f["seen"])
        masked_store(f, value, out, mask)

    arguments = {"x": "ptr", "out": "ptr", "seen": "ptr", "count": "i64"}
    run = built(target, arguments, body)
    for count in range(width + 1):
        x = guarded((np.arange(count) - 3).astype(dtype_named(name)))
        out = guarded(np.zeros(count, x.dtype))
        seen = np.empty(width, np.float32)
        run(x, out, seen, count)
        np.testing.assert_array_equal(seen, np.append(np.arange(count) - 3, [7] * (width - count)))
        np.testing.assert_array_equal(out, x)


@every_target
@every_half
def test_squares_are_turned_over(target: Target, name: str) -> None:
    width = width_of(target, "float")

    def body(f: Function) -> None:
        x = f.halves(f["x"], STORED[name])
        rows = [f.at(x, "float", f["step"] * i) for i in range(width)]
        for i, row in enumerate(load_square(f, vector(width, "float"), rows)):
            f.store(row, f["out"], i * width)

    x = guarded(np.arange(width * width).reshape(width, width).astype(dtype_named(name)))
    out = np.empty((width, width), np.float32)
    built(target, {"x": "ptr", "out": "ptr", "step": "i64"}, body)(x, out, width)
    np.testing.assert_array_equal(out, x.T.astype(np.float32))


@every_target
@pytest.mark.parametrize("name", [*HALVES, "float32"])
def test_pairs_are_taken_apart(target: Target, name: str) -> None:
    width = width_of(target, "float")

    def body(f: Function) -> None:
        x = f.halves(f["x"], STORED.get(name, ""))
        for place, value in enumerate(load_pairs(f, vector(width, "float"), x)):
            f.store(value, f["out"], place * width)

    x = guarded((np.arange(2 * width) - 9.5).astype(dtype_named(name)))
    out = np.empty((2, width), np.float32)
    built(target, {"x": "ptr", "out": "ptr"}, body)(x, out)
    np.testing.assert_array_equal(out, x.astype(np.float32).reshape(width, 2).T)
