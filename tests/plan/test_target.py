"""The instruction sets, what this processor runs of them, and what the environment may choose."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tilewright.errors import ArgumentError
from tilewright.plan import Target, host, named, processor, runnable, target

NAMES = ("avx512", "avx2", "baseline", "neon")
# What Linux lists for a processor that runs every target of x86.
EVERYTHING = {
    "avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe", "popcnt", "sse4_2",
    "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl",
}  # fmt: skip


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is found out once per process is found out again, before and after each test."""
    monkeypatch.delenv("TILEWRIGHT_TARGET", raising=False)
    _forget()
    yield
    _forget()


def _forget() -> None:
    host.cache_clear()
    target._runnable_names.cache_clear()


def _pretend(monkeypatch: pytest.MonkeyPatch, machine: str, flags: set[str]) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(target.platform, "machine", lambda: machine)
    monkeypatch.setattr(processor, "flags", lambda: frozenset(flags))
    _forget()


def names(targets: list[Target]) -> list[str]:
    return [one.name for one in targets]


@pytest.mark.parametrize(
    ("name", "vector_bytes", "registers", "fused"),
    [("avx512", 64, 32, True), ("avx2", 32, 16, True), ("baseline", 16, 16, False), ("neon", 16, 32, True)],
)
def test_targets_have_their_registers(name: str, vector_bytes: int, registers: int, fused: bool) -> None:
    one = named(name)
    assert (one.name, str(one)) == (name, name)
    assert (one.vector_bytes, one.registers, one.fused) == (vector_bytes, registers, fused)
    assert one.triple.startswith(("aarch64-", "arm64-") if name == "neon" else "x86_64-")
    assert one == named(name) and hash(one) == hash(named(name))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        named("mmx")
    assert str(caught.value) == (
        "A target must be one of avx512, avx2, baseline, neon. Received: target='mmx'. "
        "Leave it out for the widest."
    )


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", EVERYTHING, ["avx512", "avx2", "baseline"]),
        ("AMD64", EVERYTHING, ["avx512", "avx2", "baseline"]),
        # A virtual machine may hide single features: no level may be promised to LLVM that isn't whole.
        ("x86_64", EVERYTHING - {"avx512vl"}, ["avx2", "baseline"]),
        ("x86_64", EVERYTHING - {"avx512dq"}, ["avx2", "baseline"]),
        ("x86_64", EVERYTHING - {"abm"}, ["baseline"]),
        ("x86_64", EVERYTHING - {"fma"}, ["baseline"]),
        ("x86_64", set(), ["baseline"]),
        ("aarch64", {"asimd"}, ["neon"]),
        ("arm64", set(), ["neon"]),
        ("riscv64", set(), []),
    ],
)
def test_what_a_processor_runs(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: set[str], expected: list[str]
) -> None:
    _pretend(monkeypatch, machine, flags)
    assert names(runnable()) == expected
    if expected:
        assert host().name == expected[0]
    else:
        with pytest.raises(ArgumentError) as caught:
            host()
        assert str(caught.value) == (
            "Kernels are compiled for avx512, avx2, baseline, neon only. Received: machine='riscv64'."
        )


def test_a_32_bit_python_runs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    _forget()
    assert runnable() == []


def test_what_linux_says_agrees_with_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite", reason="asks LLVM for the processor's features")
    if sys.platform != "linux":
        pytest.skip("compares LLVM's list with Linux's")
    from_linux = runnable()
    # Elsewhere LLVM is asked; on Linux it must come to the same.
    monkeypatch.setattr(sys, "platform", "freebsd")
    _forget()
    assert names(runnable()) == names(from_linux)


def test_without_llvmlite_elsewhere_only_the_baseline_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, "x86_64", EVERYTHING)
    monkeypatch.setattr(sys, "platform", "freebsd")
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    _forget()
    assert names(runnable()) == ["baseline"]


@pytest.mark.parametrize("name", ["avx512", "avx2", "baseline"])
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _pretend(monkeypatch, "x86_64", EVERYTHING)
    monkeypatch.setenv("TILEWRIGHT_TARGET", name)
    assert host() == named(name)
    monkeypatch.delenv("TILEWRIGHT_TARGET")
    assert host() == named(name), "the environment is read once"


def test_the_environment_can_not_choose_what_the_processor_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, "x86_64", EVERYTHING - {"avx512f"})
    monkeypatch.setattr(processor, "describe", lambda: {"name": "Old Iron 7"})
    monkeypatch.setenv("TILEWRIGHT_TARGET", "avx512")
    with pytest.raises(ArgumentError) as caught:
        host()
    assert str(caught.value) == (
        "TILEWRIGHT_TARGET must be one that this processor (Old Iron 7) runs: avx2, baseline. "
        "Received: TILEWRIGHT_TARGET='avx512'. Leave it unset for the widest."
    )


def test_the_environment_can_not_choose_what_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_TARGET", "mmx")
    with pytest.raises(ArgumentError) as caught:
        host()
    assert str(caught.value) == (
        "TILEWRIGHT_TARGET must be one of avx512, avx2, baseline, neon. Received: TILEWRIGHT_TARGET='mmx'. "
        "Leave it unset for the widest that this processor runs."
    )


@pytest.mark.parametrize(
    ("system", "name", "triple"),
    [
        ("linux", "avx2", "x86_64-unknown-linux-gnu"),
        ("linux", "neon", "aarch64-unknown-linux-gnu"),
        ("darwin", "avx2", "x86_64-apple-darwin"),
        ("darwin", "neon", "arm64-apple-darwin"),
        ("win32", "avx2", "x86_64-pc-windows-msvc-elf"),
    ],
)
def test_triples_name_the_system(
    monkeypatch: pytest.MonkeyPatch, system: str, name: str, triple: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert named(name).triple == triple


def test_avx512_keeps_its_wide_registers() -> None:
    assert "-prefer-256-bit" in named("avx512").features.split(",")


def test_finding_the_target_does_not_load_llvmlite() -> None:
    if sys.platform != "linux":
        pytest.skip("other systems' features come from LLVM")
    code = "import sys; from tilewright.plan import runnable; runnable(); print('llvmlite' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout.strip()) == (0, "False"), child.stderr
