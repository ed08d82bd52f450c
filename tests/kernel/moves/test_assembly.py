"""Every pass that moves samples becomes code for narrow targets, NEON among them, and calls no library."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from itertools import product

import pytest

from tilewright.kernel import jit
from tilewright.kernel.moves import folded, lines, placed
from tilewright.kernel.pools import uneven
from tilewright.kernel.sampling import program
from tilewright.plan import Target, named

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here"),
    pytest.mark.skipif(sys.platform != "linux", reason="assembly is written in another way for this system"),
]

Emit = Callable[[Target], str]


def kernels() -> dict[str, Emit]:
    found: dict[str, Emit] = {}
    for scalar in ("i8", "i16", "i32", "i64"):
        found[lines.name(scalar)] = lambda t, s=scalar: lines.emit(t, s)
        for kind, deep in product(placed.KINDS, (False, True)):
            given = {"i32": "float", "i64": "double"}.get(scalar, "float") if kind == "add" else scalar
            found[placed.name(given, kind, deep)] = lambda t, how=(given, kind, deep): placed.emit(t, *how)
    for scalar in ("float", "double"):
        found[folded.name(scalar)] = lambda t, s=scalar: folded.emit(t, s)
        for layout in uneven.LAYOUTS:
            found[uneven.name(scalar, layout)] = lambda t, s=scalar, x=layout: uneven.emit(t, s, x)
        for how in product((scalar,), program.KINDS, (False, True), (False, True)):
            found[program.name(*how)] = lambda t, how=how: program.emit(t, *how)
    return found


KERNELS = kernels()


@pytest.mark.parametrize("target", ["baseline", "neon"])
@pytest.mark.parametrize("name", list(KERNELS))
def test_no_function_of_a_library_is_called(name: str, target: str) -> None:
    ir, assembly = jit.text(name, KERNELS[name], named(target))
    assert name in ir
    assert not re.search(r"^\s+(call|bl)\s", assembly, re.M)
