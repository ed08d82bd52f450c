"""The passes' assembly for every target, NEON among them: whole vectors, and no function of a library."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import product

import pytest

from tilewright.kernel import jit
from tilewright.kernel.elementwise import adam, curves, moments, rmsprop, scaled, sgd, slopes, softmax, sums
from tilewright.plan import Target, named

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here"),
    pytest.mark.skipif(sys.platform != "linux", reason="assembly is written in another way for this system"),
]

Emit = Callable[[Target], str]


def kernels() -> dict[str, Emit]:
    found: dict[str, Emit] = {}
    for scalar in ("float", "double"):
        found[slopes.name(scalar)] = lambda t, s=scalar: slopes.emit(t, s)
        for step in (adam, rmsprop, sgd):
            found[step.name(scalar)] = lambda t, o=step, s=scalar: o.emit(t, s)
        for layout in sums.LAYOUTS:
            found[sums.name(scalar, layout)] = lambda t, s=scalar, x=layout: sums.emit(t, s, x)
        for passes in (moments, scaled):
            for kind, layout in product(passes.KINDS, passes.LAYOUTS):
                found[passes.name(scalar, kind, layout)] = lambda t, p=passes, how=(scalar, kind, layout): (
                    p.emit(t, *how)
                )
        for kind in softmax.KINDS:
            found[softmax.name(scalar, kind)] = lambda t, s=scalar, k=kind: softmax.emit(t, s, k)
        for curve in curves.NAMES:
            found[curves.name(scalar, curve)] = lambda t, s=scalar, x=curve: curves.emit(t, s, x)
    return found


KERNELS = kernels()
# A product of eight numbers of 32 bits is one instruction, or as many as vectors are narrower.
PRODUCTS = {
    "avx512": r"vpmuludq\s.*%zmm",
    "avx2": r"vpmuludq\s.*%ymm",
    "baseline": r"pmuludq\s",
    "neon": r"umull2?\s",
}


@lru_cache(maxsize=100)
def assembly(name: str, target: str) -> str:
    return jit.text(name, KERNELS[name], named(target))[1]


@pytest.mark.parametrize("target", list(PRODUCTS))
@pytest.mark.parametrize("name", list(KERNELS))
def test_no_function_of_a_library_is_called(name: str, target: str) -> None:
    text = assembly(name, target)
    assert not re.search(r"^\s+(call\w*|bl|blr|jmp\s+\w+@PLT)\b", text, re.MULTILINE), text


@pytest.mark.parametrize("target", list(PRODUCTS))
@pytest.mark.parametrize("scalar", ["float", "double"])
def test_random_bits_come_from_products_of_vectors(scalar: str, target: str) -> None:
    text = assembly(slopes.name(scalar), target)
    each = {"avx512": 1, "avx2": 2, "baseline": 4, "neon": 4}[target]
    # Two in each of ten rounds; the last ones may be folded into what follows.
    assert len(re.findall(PRODUCTS[target], text)) >= 18 * each
    # And nowhere one after the other.
    assert not re.search(r"^\s+(imul|mul|umulh)\s+(%r|x)\w+, .*(3528531795|3449720151)", text, re.MULTILINE)
