"""From IR to something that runs: for each target, once per process, safe under threads and fork."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel.small_kernels import SCALAR_LOOP, answer, ask, multiply_add

from tilewright.errors import ArgumentError
from tilewright.kernel import jit
from tilewright.plan import Target, host, named, runnable

pytest.importorskip("llvmlite", reason="compiles through LLVM")

RUNNABLE = [target.name for target in runnable()]


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is loaded yet, and the folder of kernels is empty."""
    monkeypatch.setattr(jit, "_loaded", {})
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path))
    monkeypatch.delenv("TILEWRIGHT_KERNEL_CACHE", raising=False)


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """What is found out once per process is found out again, before and after the test."""
    for found in (jit.available, jit._llvm, jit._versions):
        found.cache_clear()
    yield
    for found in (jit.available, jit._llvm, jit._versions):
        found.cache_clear()


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_kernel_runs_for_every_target_of_this_processor(name: str) -> None:
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * 3)(
        jit.address("multiply_add", multiply_add, named(name))
    )
    # Small whole numbers: exact however it is rounded.
    a, b, c = np.random.default_rng(0).integers(-99, 99, (3, 64)).astype(np.float32)
    expected = a * b + c
    function(64, a.ctypes.data, b.ctypes.data, c.ctypes.data)
    np.testing.assert_array_equal(c, expected)


def test_targets_do_not_share_code() -> None:
    number = {"avx512": 1, "avx2": 2, "baseline": 3, "neon": 4}
    for target in runnable():
        address = jit.address("answer", lambda target: answer(number[target.name]), target)
        assert ask(address) == number[target.name]
    assert jit.compiled() == ["answer"] * len(RUNNABLE)


def test_a_kernel_is_emitted_once() -> None:
    emitted: list[str] = []

    def emit(target: Target) -> str:
        emitted.append(target.name)
        return answer(42)

    first = jit.address("answer", emit)
    assert jit.address("answer", emit) == first == jit.address("answer", emit, host())
    assert emitted == [host().name]
    assert jit.compiled() == ["answer"]
    assert ask(first) == 42


def test_many_kernels_side_by_side() -> None:
    addresses = [jit.address(f"f{i}", lambda _, i=i: answer(i, f"f{i}")) for i in range(40)]  # type: ignore[misc]
    assert [ask(address) for address in addresses] == list(range(40))


def test_threads_that_want_one_kernel_compile_it_once() -> None:
    emitted: list[int] = []
    together = threading.Barrier(8)
    found: list[int] = []

    def emit(target: Target) -> str:
        emitted.append(1)
        return answer(42)

    def want() -> None:
        together.wait()
        found.append(jit.address("answer", emit))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(emitted) == 1
    assert len(found) == 8 and len(set(found)) == 1
    assert ask(found[0]) == 42


COMPILE_IN_A_FORKED_CHILD = """
import os, sys, threading
from tilewright.kernel import jit
from kernel.small_kernels import answer, ask

stop = threading.Event()

def compile_on():
    number = 0
    while not stop.is_set():
        number += 1
        jit.address(f"f{number}", lambda _: answer(number, f"f{number}"))

thread = threading.Thread(target=compile_on)
thread.start()
for attempt in range(10):
    child = os.fork()
    if child == 0:
        name = f"child{attempt}"
        os._exit(ask(jit.address(name, lambda _: answer(42, name))))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
stop.set()
thread.join()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_another_thread_compiles_can_compile() -> None:
    tests = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE_IN_A_FORKED_CHILD],
        env={**os.environ, "PYTHONPATH": paths, "TILEWRIGHT_KERNEL_CACHE": "off"},
        capture_output=True,
        text=True,
        timeout=100,  # a child that waits for ever for a lock
        check=False,
    )
    assert (child.returncode, child.stdout) == (0, "done\n"), child.stderr


@pytest.mark.skipif("avx512" not in RUNNABLE, reason="reads the assembly of AVX-512")
def test_avx512_uses_the_widest_registers_and_fuses() -> None:
    ir, assembly = jit.text("multiply_add", multiply_add, named("avx512"))
    assert ir == multiply_add(named("avx512"))
    assert re.search(r"vfmadd\d+ps\s.*%zmm", assembly)
    assert "%ymm" not in assembly


@pytest.mark.parametrize("name", RUNNABLE)
def test_loops_stay_as_they_were_written(name: str) -> None:
    _, assembly = jit.text("double_all", lambda _: SCALAR_LOOP, named(name))
    scalar_additions = re.findall(r"\bv?addss\b|\bfadd\s+s\d", assembly)
    assert len(scalar_additions) == 1, f"unrolled:\n{assembly}"
    assert not re.search(r"\bv?addps\b|\bfadd\s+v\d|%[yz]mm", assembly), f"vectorised:\n{assembly}"


def test_assembly_of_another_architecture_can_be_read() -> None:
    _, assembly = jit.text("multiply_add", multiply_add, named("neon"))
    assert re.search(r"fmla\s*(\.4s\s+v\d+|v\d+\.4s)", assembly)
    assert jit.compiled() == [], "nothing is loaded for being looked at"


def test_this_processors_assembly_stays_readable_after_that() -> None:
    jit.text("multiply_add", multiply_add, named("neon"))
    assert ask(jit.address("answer", lambda _: answer(42))) == 42


def test_code_of_another_architecture_is_not_loaded() -> None:
    other = "avx2" if "neon" in RUNNABLE else "neon"
    with pytest.raises(ArgumentError) as caught:
        jit.address("answer", lambda _: answer(42), named(other))
    assert str(caught.value) == (
        f"Kernels are loaded only for what this processor runs: {', '.join(RUNNABLE)}. "
        f"Received: target='{other}'. Its code can be read with tilewright.kernel.jit.text."
    )


@pytest.mark.parametrize(
    ("ir", "words"),
    [
        ("define i32 @answer() {\n  give 42\n}\n", "expected instruction opcode"),
        ("define i32 @answer() {\n  ret i32 %x\n}\n", "use of undefined value"),
        (
            "define i32 @answer(i1 %c) {\n  br i1 %c, label %a, label %b\na:\n  %x = add i32 1, 1\n"
            "  br label %b\nb:\n  ret i32 %x\n}\n",
            "does not dominate",
        ),
        (answer(42, "something_else"), "answer"),
    ],
)
def test_wrong_ir_is_our_mistake_and_says_so(ir: str, words: str, capfd: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        jit.address("answer", lambda _: ir)
    message = str(caught.value)
    assert message.startswith(f"Tilewright made wrong code for answer ({host().name}); please report it. ")
    assert words in message
    assert ir.splitlines()[0] in message
    assert jit.compiled() == []
    assert ask(jit.address("answer", lambda _: answer(42))) == 42, "and the next one is served"


def test_an_error_while_emitting_leaves_the_way_free() -> None:
    def emit(target: Target) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jit.address("answer", emit)
    assert ask(jit.address("answer", lambda _: answer(42))) == 42


@pytest.mark.usefixtures("asked_anew")
def test_without_llvmlite_nothing_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert not jit.available()
    with pytest.raises(jit.Missing, match="llvmlite can't be imported"):
        jit.address("answer", lambda _: answer(42))


@pytest.mark.usefixtures("asked_anew")
def test_an_old_llvmlite_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from llvmlite import binding

    monkeypatch.setattr(binding, "llvm_version_info", (15, 0, 7))
    assert not jit.available()
    with pytest.raises(
        jit.Missing, match=re.escape("llvmlite 0.45 or newer is needed; its LLVM here is (15,")
    ):
        jit.address("answer", lambda _: answer(42))


@pytest.mark.usefixtures("asked_anew")
def test_where_no_program_may_make_code_nothing_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    from llvmlite import binding

    def refused() -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(binding, "check_jit_execution", refused)
    assert not jit.available()
    with pytest.raises(jit.Missing, match=r"This system lets no program make code: .*Permission denied"):
        jit.address("answer", lambda _: answer(42))


def test_here_it_is_available() -> None:
    assert jit.available()
