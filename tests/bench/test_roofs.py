"""The two kernels that measure the machine: what they compute, and that nothing else is in their loops."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

from tilewright.bench import roofs
from tilewright.bench.roofs import (
    accumulators,
    copy_ir,
    copying,
    fma_ir,
    last_cache_bytes,
    multiply_adds,
    rate,
)
from tilewright.kernel import jit
from tilewright.plan import named, runnable

needs_llvm = pytest.mark.skipif(not jit.available(), reason="llvmlite is not installed")
TARGETS = ("avx512", "avx2", "baseline", "neon")


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TARGETS)
def test_the_loop_holds_nothing_but_multiply_adds(name: str, dtype: str) -> None:
    target = named(name)
    _, assembly = jit.text("bench", lambda chosen: fma_ir("bench", dtype, chosen), target)
    (loop,) = re.findall(r"^\.?LBB0_1:.*\n((?:\t.*\n)*?)\t(?:j[a-z]+|b\.[a-z]+)\t", assembly, re.MULTILINE)
    operations = [line.split()[0] for line in loop.splitlines()]
    if target.fused:
        work = [name for name in operations if name.startswith(("vfmadd", "fmla"))]
        assert len(work) == accumulators(target)
    else:
        assert sum(name.startswith("mulp") for name in operations) == accumulators(target)
        assert sum(name.startswith("addp") for name in operations) == accumulators(target)
    # No register is spilled: nothing is read from or written to the stack.
    assert not re.search(r"\((%rsp|%rbp)\)|\[sp", loop)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", runnable(), ids=str)
def test_the_multiply_adds_are_done(target: object, dtype: str) -> None:
    from tilewright.plan import Target

    assert isinstance(target, Target)
    name = f"test_fma_{dtype}"
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(
        jit.address(name, lambda chosen: fma_ir(name, dtype, chosen), target)
    )
    factors = np.array([0.5, 1.0], dtype=dtype)
    arguments = np.array([factors.ctypes.data, 0, 3], dtype=np.int64)
    room = np.zeros(64 + 32 * 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    function(0, arguments.ctypes.data, room.ctypes.data + start)
    lanes = accumulators(target) * target.vector_bytes // factors.itemsize
    found = room[start:].view(dtype)
    # 0 → 1 → 1.5 → 1.75, exactly.
    assert np.array_equal(found[:lanes], np.full(lanes, 1.75, dtype))
    assert not found[lanes : lanes + 8].any()


@needs_llvm
@pytest.mark.parametrize("count", [1, 2])
def test_a_copy_copies_everything(count: int) -> None:
    source = np.arange(3 << 17, dtype=np.float64)  # 3 MiB
    copied = np.zeros_like(source)
    work = copying(source, copied, count)
    work()
    assert work.amount == 2 * source.nbytes
    assert np.array_equal(copied, source)


@needs_llvm
def test_the_amount_of_work_is_that_of_all_threads() -> None:
    one, two = multiply_adds("float32", 1), multiply_adds("float32", 2)
    target = runnable()[0]
    per_loop = 2 * accumulators(target) * target.vector_bytes // 4
    assert one.amount % per_loop == 0
    assert two.amount % (2 * per_loop) == 0
    assert rate(one) > 0


@needs_llvm
def test_measuring_gives_both_roofs_for_every_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofs, "array_bytes", lambda: 4 << 20)
    found = roofs.measure("float64", (1, 2))
    assert set(found.fma) == set(found.copy) == {1, 2}
    assert min(*found.fma.values(), *found.copy.values()) > 0
    assert (found.dtype, found.copied_bytes) == ("float64", 4 << 20)
    assert found.target in TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_copy_goes_by_whole_vectors(name: str) -> None:
    target = named(name)
    text = copy_ir("bench", target)
    assert f"load <{target.vector_bytes} x i8>" in text
    assert f"store <{target.vector_bytes} x i8>" in text


def test_arrays_are_larger_than_the_last_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_cache_bytes() >= 1 << 18
    assert roofs.array_bytes() >= last_cache_bytes()
    for cache, expected in ((8 << 20, 32 << 20), (1 << 30, 512 << 20)):
        monkeypatch.setattr(roofs, "last_cache_bytes", lambda cache=cache: cache)
        assert roofs.array_bytes() == expected
