"""Each channel by its own numbers: the bits of the formulas in NumPy, on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import (
    assert_same_bits,
    both_sides,
    every_dtype,
    every_target,
    mixed,
    poisoned,
    with_threads,
)
from kernel.elementwise.test_moments import SHAPES

from tilewright.kernel.elementwise import channels
from tilewright.kernel.elementwise.scaled import KINDS, NUMBERS
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def arrays(shape: tuple[int, ...], dtype: Any, kind: str) -> tuple[Any, Any, tuple[Any, ...]]:
    """x, the other array, and the numbers of the channels, with numbers of all kinds among them."""
    count = int(np.prod(shape))
    x, other = (mixed(count, dtype, seed).reshape(shape) for seed in (0, 1))
    return x, other, tuple(mixed(shape[1], dtype, 2 + place) for place in range(NUMBERS[kind]))


def in_numpy(kind: str, x: Any, other: Any, numbers: tuple[Any, ...]) -> Any:
    """The formulas as the docstring of the kernel has them."""
    a, b, c, *d = (one[:, None] for one in numbers)
    with np.errstate(all="ignore"):
        if kind == "pull":
            return (other - (x - a) * b - c) * d[0]
        if kind == "mixed":
            return other * d[0] - (x - a) * b - c
        y = (x - a) * b + c
        if kind == "norm_add_relu":
            y = y + other
        return y if kind == "norm" else np.where(y <= 0, x.dtype.type(0), y)


@every_target
@every_dtype
@both_sides
@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_of_the_formulas(target: Target, dtype: Any, side: str, kind: str) -> None:
    for shape in SHAPES:
        given = arrays(shape, dtype, kind)
        wanted = in_numpy(kind, *given)
        x, other = (guarded(one, side) for one in given[:2])
        numbers = tuple(guarded(one, side) for one in given[2])
        for out in poisoned(x, side):
            channels.channels_scaled(kind, x, numbers, out, other, target=target)
            assert_same_bits(out, wanted)
        for now, before in zip((x, other, *numbers), (*given[:2], *given[2]), strict=True):
            assert_same_bits(now, before)


@every_dtype
@pytest.mark.parametrize("kind", KINDS)
def test_operands_may_be_written_over(dtype: Any, kind: str) -> None:
    for shape in ((6, 5, 99), (600, 5, 1)):
        x, other, numbers = arrays(shape, dtype, kind)
        wanted = in_numpy(kind, x, other, numbers)
        for place in (0, 1):
            given = [x.copy(), other.copy()]
            channels.channels_scaled(kind, given[0], numbers, given[place], given[1])
            assert_same_bits(given[place], wanted)


@every_dtype
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_any_number_of_threads(dtype: Any, kind: str) -> None:
    for shape in ((60, 3, 784), (20000, 24, 1)):
        x, other, numbers = arrays(shape, dtype, kind)

        def scaled(x: Any = x, other: Any = other, numbers: Any = numbers) -> bytes:
            out = np.empty_like(x)
            channels.channels_scaled(kind, x, numbers, out, other)
            return out.tobytes()

        first = with_threads(1, scaled)
        for count in (2, 3, 7):
            assert with_threads(count, scaled) == first
