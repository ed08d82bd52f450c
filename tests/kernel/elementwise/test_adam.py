"""Adam's step in one pass: the bits of the same steps in NumPy, on every target, at every length."""

from __future__ import annotations

from itertools import product
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

from tilewright.kernel.elementwise import steps
from tilewright.kernel.elementwise.adam import NUMBERS
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

STEP = dict(keep=0.98, decay=0.05, share=0.1, memory=0.999, rest=0.001, root=0.3, eps=1e-8, rate=0.01)


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def arrays(count: int, dtype: Any, amsgrad: bool) -> list[Any]:
    """p, g, m, v and perhaps t, with numbers of all kinds among them; means of squares are not negative."""
    found = [mixed(count, dtype, seed) for seed in range(5 if amsgrad else 4)]
    return [np.abs(x) if place > 2 else x for place, x in enumerate(found)]


def in_numpy(
    p: Any, g: Any, m: Any, v: Any, t: Any = None, *, maximize: bool, decoupled: bool, decays: bool
) -> list[Any]:
    """The formulas as the docstring of the kernel has them."""
    one = {name: p.dtype.type(number) for name, number in STEP.items()}
    with np.errstate(all="ignore"):
        g = -g if maximize else g
        p = p * one["keep"] if decoupled else p
        g = g + p * one["decay"] if decays else g
        m = m + (g - m) * one["share"]
        v = v * one["memory"] + g * g * one["rest"]
        most = v if t is None else np.maximum(t, v)
        p = p - m / (np.sqrt(most) / one["root"] + one["eps"]) * one["rate"]
    return [p, m, v] if t is None else [p, m, v, most]


@every_target
@every_dtype
@both_sides
@pytest.mark.parametrize("amsgrad", [False, True])
def test_the_bits_of_the_formulas(target: Target, dtype: Any, side: str, amsgrad: bool) -> None:
    numbers = tuple(STEP[name] for name in NUMBERS)
    for count, truths in zip(LENGTHS, list(product([False, True], repeat=3)) * len(LENGTHS), strict=False):
        how = dict(zip(("maximize", "decoupled", "decays"), truths, strict=True))
        given = arrays(count, dtype, amsgrad)
        expected = in_numpy(*given, **how)
        here = [guarded(x, side) for x in given]
        p, g, m, v, *t = here
        steps.adam_step(p, g, m, v, t[0] if t else None, numbers, **how, target=target)
        for found, wanted in zip([p, m, v, *t], expected, strict=True):
            assert_same_bits(found, wanted)
        assert_same_bits(g, given[1])


@every_dtype
def test_same_bits_for_any_number_of_threads(dtype: Any) -> None:
    def stepped() -> tuple[bytes, ...]:
        p, g, m, v, t = arrays(100_003, dtype, True)
        steps.adam_step(p, g, m, v, t, tuple(STEP[name] for name in NUMBERS), decays=True)
        return tuple(x.tobytes() for x in (p, m, v, t))

    first = with_threads(1, stepped)
    for count in (2, 3, 7):
        assert with_threads(count, stepped) == first
