"""The instruction sets that kernels are compiled for, and which of them this processor runs."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from functools import lru_cache

from tilewright.errors import ArgumentError, describe
from tilewright.plan import processor
from tilewright.settings import settings


@dataclass(frozen=True)
class Target:
    """What a kernel is compiled for. Two processors with equal targets get the same code, and the same bits.

    Attributes:
        name: ``"avx512"``, ``"avx2"``, ``"baseline"`` (SSE2, which every 64-bit x86 has) or ``"neon"``.
        triple: LLVM's name of architecture, vendor and system.
        cpu: LLVM's name of the processor, which says what instructions may be used and what they cost.
        features: what is switched on or off beyond `cpu`, in LLVM's writing.
        vector_bytes: bytes in a vector register.
        registers: how many vector registers there are.
        fused: whether there is an instruction for a·b + c with a single rounding. Where there is none, LLVM
            makes ``llvm.fma`` a call into the C library, so a kernel multiplies and adds instead.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    fused: bool

    def __str__(self) -> str:
        return self.name

    @property
    def converts_float16(self) -> bool:
        """Whether there are instructions between float16 and float32."""
        return self.name != "baseline"

    @property
    def masks_halves(self) -> bool:
        """Whether there are instructions that read and write some lanes of 16 bits."""
        return self.name == "avx512"


# The x86 levels rather than the processor's own name: they are what operating systems agree on, so a home
# folder that several machines share holds one object for all of them, and bits don't depend on the model.
# Each with all that its level promises to LLVM, in the spelling of /proc/cpuinfo ("abm" is LLVM's lzcnt):
# a virtual machine may hide any of them.
_AVX2_NEEDS = frozenset({"avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe", "popcnt", "sse4_2"})
_AVX512_NEEDS = _AVX2_NEEDS | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# Where LLVM spells a feature in another way than Linux does.
_LLVM_SPELLING = {"abm": "lzcnt", "bmi1": "bmi", "sse4_2": "sse4.2"}

_X86 = ("avx512", "avx2", "baseline")
_ARM = ("neon",)
NAMES = _X86 + _ARM


def named(name: str) -> Target:
    """The target of this name, also one that this processor can't run (its assembly can still be read).

    Raises:
        ArgumentError: there is no target of this name.

    >>> named("avx2").vector_bytes
    32
    """
    if name == "avx512":
        # LLVM's x86-64-v4 prefers 256 bits for fear of the clock rates of the first AVX-512 processors;
        # a convolution keeps 512-bit units busy for long enough to gain from them.
        return Target(name, _triple("x86_64"), "x86-64-v4", "-prefer-256-bit", 64, 32, True)
    if name == "avx2":
        return Target(name, _triple("x86_64"), "x86-64-v3", "", 32, 16, True)
    if name == "baseline":
        return Target(name, _triple("x86_64"), "x86-64", "", 16, 16, False)
    if name == "neon":
        return Target(name, _triple("aarch64"), "generic", "+neon", 16, 32, True)
    raise ArgumentError(
        f"A target must be one of {', '.join(NAMES)}.", describe(target=name), "Leave it out for the widest."
    )


@lru_cache(maxsize=1)
def host() -> Target:
    """The target that kernels are compiled for in this process: the widest this processor runs.

    The environment's ``TILEWRIGHT_TARGET`` chooses another. It is read once.

    Raises:
        ArgumentError: the environment names a target that there isn't, or that this processor can't run.
    """
    here = runnable()
    asked = settings().target
    if not asked:
        if not here:
            raise ArgumentError(
                f"Kernels are compiled for {', '.join(NAMES)} only.", describe(machine=platform.machine())
            )
        return here[0]
    if asked not in NAMES:
        raise ArgumentError(
            f"TILEWRIGHT_TARGET must be one of {', '.join(NAMES)}.",
            describe(TILEWRIGHT_TARGET=asked),
            "Leave it unset for the widest that this processor runs.",
        )
    for target in here:
        if target.name == asked:
            return target
    raise ArgumentError(
        f"TILEWRIGHT_TARGET must be one that this processor ({processor.describe()['name']}) runs: "
        f"{', '.join(target.name for target in here) or 'none'}.",
        describe(TILEWRIGHT_TARGET=asked),
        "Leave it unset for the widest.",
    )


def runnable() -> list[Target]:
    """The targets that this processor runs, widest first; empty where there is none.

    >>> all(target.vector_bytes >= 16 for target in runnable())
    True
    """
    return [named(name) for name in _runnable_names()]


@lru_cache(maxsize=1)
def _runnable_names() -> tuple[str, ...]:
    # A 32-bit Python on a 64-bit machine can't call 64-bit code.
    if sys.maxsize < 2**32:
        return ()
    architecture = platform.machine().lower()
    if architecture in ("arm64", "aarch64"):
        return _ARM
    if architecture not in ("x86_64", "amd64"):
        return ()
    has = _features()
    needs = {"avx512": _AVX512_NEEDS, "avx2": _AVX2_NEEDS, "baseline": frozenset[str]()}
    return tuple(name for name in _X86 if needs[name] <= has)


def _features() -> frozenset[str]:
    """What the processor and the system support, in Linux's spelling."""
    if sys.platform == "linux":
        return processor.flags()
    try:
        from llvmlite import binding
    except ImportError:
        return frozenset()  # nothing can be compiled either
    try:
        has = {name for name, there in binding.get_host_cpu_features().items() if there}
    except RuntimeError:  # LLVM can't tell for this system
        return frozenset()
    return frozenset(need for need in _AVX512_NEEDS if _LLVM_SPELLING.get(need, need) in has)


def _triple(architecture: str) -> str:
    """LLVM's triple for code of this architecture that runs on this system."""
    if sys.platform == "darwin":
        return f"{'arm64' if architecture == 'aarch64' else architecture}-apple-darwin"
    if sys.platform == "win32":
        # LLVM's loader reads no COFF objects made in memory, but ELF ones on any system.
        return f"{architecture}-pc-windows-msvc-elf"
    return f"{architecture}-unknown-linux-gnu"
