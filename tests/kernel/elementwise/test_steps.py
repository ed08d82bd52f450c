"""Steps of SGD and RMSprop in one pass: the bits of the same steps in NumPy, on every target and length."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, product
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
    with_threads,
)

from tilewright.kernel.elementwise import rmsprop, sgd, steps
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

STEP = dict(
    decay=0.05, momentum=0.9, part=0.7, rate=0.01, memory=0.99, rest=0.01, eps=1e-8,
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def numbers_for(dtype: Any) -> Any:
    return {name: dtype(number) for name, number in STEP.items()}


def sgd_in_numpy(
    p: Any, g: Any, v: Any, *, maximize: bool, decays: bool, begins: bool, nesterov: bool
) -> list[Any]:
    """The formulas as the docstring of the kernel has them."""
    one = numbers_for(p.dtype.type)
    with np.errstate(all="ignore"):
        g = -g if maximize else g
        g = g + p * one["decay"] if decays else g
        if v is not None:
            v = g if begins else v * one["momentum"] + g * one["part"]
            g = g + v * one["momentum"] if nesterov else v
        return [p - g * one["rate"], v]


def rmsprop_in_numpy(p: Any, g: Any, v: Any, m: Any, b: Any, *, maximize: bool, decays: bool) -> list[Any]:
    """The formulas as the docstring of the kernel has them."""
    one = numbers_for(p.dtype.type)
    with np.errstate(all="ignore"):
        g = -g if maximize else g
        g = g + p * one["decay"] if decays else g
        v = v * one["memory"] + g * g * one["rest"]
        spread = v
        if m is not None:
            m = m + (g - m) * one["rest"]
            spread = np.maximum(v - m * m, p.dtype.type(0))
        g = g / (np.sqrt(spread) + one["eps"])
        if b is not None:
            g = b = b * one["momentum"] + g
        return [p - g * one["rate"], v, m, b]


def check(
    step: Callable[..., None], given: list[Any], wanted: list[Any], numbers: Any, side: str, **how: Any
) -> None:
    """One step on arrays at the edge of readable memory; the gradient, the second, stays as it is."""
    here = [None if x is None else guarded(x, side) for x in given]
    step(*here, numbers, **how)
    expected = [wanted[0], given[1], *wanted[1:]]
    for found, right in zip(here, expected, strict=True):
        if found is not None:
            assert_same_bits(found, right)


@every_target
@every_dtype
@both_sides
def test_sgd_has_the_bits_of_the_formulas(target: Target, dtype: Any, side: str) -> None:
    numbers = tuple(STEP[name] for name in sgd.NUMBERS)
    names = ("gathers", "maximize", "decays", "begins", "nesterov")
    for count, truths in zip(LENGTHS, cycle(product([True, False], repeat=5)), strict=False):
        how = dict(zip(names, truths, strict=True))
        gathers = how.pop("gathers")
        given = [
            *(mixed(count, dtype, seed) for seed in range(2)),
            mixed(count, dtype, 2) if gathers else None,
        ]
        check(steps.sgd_step, given, sgd_in_numpy(*given, **how), numbers, side, **how, target=target)


@every_target
@every_dtype
@both_sides
def test_rmsprop_has_the_bits_of_the_formulas(target: Target, dtype: Any, side: str) -> None:
    numbers = tuple(STEP[name] for name in rmsprop.NUMBERS)
    for count, truths in zip(LENGTHS, cycle(product([True, False], repeat=4)), strict=False):
        centres, gathers, maximize, decays = truths
        how = {"maximize": maximize, "decays": decays}
        given = [mixed(count, dtype, seed) for seed in range(5)]
        given[2] = np.abs(given[2])
        given[3], given[4] = given[3] if centres else None, given[4] if gathers else None
        check(steps.rmsprop_step, given, rmsprop_in_numpy(*given, **how), numbers, side, **how, target=target)


@every_dtype
def test_same_bits_for_any_number_of_threads(dtype: Any) -> None:
    def stepped() -> tuple[bytes, ...]:
        p, g, v, m, b = (np.abs(mixed(100_003, dtype, seed)) for seed in range(5))
        steps.sgd_step(p, g, b, tuple(STEP[name] for name in sgd.NUMBERS), decays=True)
        steps.rmsprop_step(p, g, v, m, b, tuple(STEP[name] for name in rmsprop.NUMBERS))
        return tuple(x.tobytes() for x in (p, v, m, b))

    first = with_threads(1, stepped)
    for count in (2, 3, 7):
        assert with_threads(count, stepped) == first
