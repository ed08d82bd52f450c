"""From LLVM IR to an address that can be called: compiled once, kept on disk, loaded for ever.

The IR is scheduled by hand, so it is only tidied before code is made from it: nothing is vectorised, unrolled
or moved out of loops. (With LLVM's lightest pipeline compiling took half as long again to two thirds, and the
inner loops were the same.)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.kernel import cache
from tilewright.plan.target import Target, host, runnable

Emit = Callable[[Target], str]


class Missing(Exception):  # noqa: N818 (read as jit.Missing)
    """Nothing can be compiled here: llvmlite isn't installed, is too old, or may not make code."""


# LLVM 20, of llvmlite 0.45: the first whose IR has plain pointers without being asked.
_OLDEST_LLVM = 20
# Lines of wrong IR that a message shows, beside LLVM's own which names the place.
_SHOWN_LINES = 20

_loaded: dict[tuple[str, str], int] = {}
# Every object is a library of its own, so that equal names for two targets don't meet.
_numbers = count()
# One kernel at a time: LLVM's context is shared by all that is parsed in this process, and two threads that
# want the same kernel compile it once.
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # No fork while LLVM is at work in another thread: the child would inherit a half-made module and, in
    # llvmlite, a lock that nobody opens.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether kernels can be compiled here."""
    try:
        _llvm()
    except Missing:
        return False
    return bool(runnable())


def address(name: str, emit: Emit, target: Target | None = None) -> int:
    """The address of a compiled function.

    Args:
        name: the function's name in the IR. It stands for the IR: asking again for the same name and target
            answers from memory, and `emit` isn't called.
        emit: gives the LLVM IR (as text) that defines the function, for the target it is given.
        target: what to compile for; this process's when left out.

    Raises:
        Missing: nothing can be compiled here.
        ArgumentError: this processor doesn't run the target's code.
        AssertionError: the IR isn't valid, which is a mistake of this library.
    """
    target = target or host()
    found = _loaded.get((name, target.name))
    if found is not None:
        return found
    with _lock:
        found = _loaded.get((name, target.name))
        if found is None:
            if target not in runnable():
                raise ArgumentError(
                    "Kernels are loaded only for what this processor runs: "
                    f"{', '.join(one.name for one in runnable()) or 'none of the targets'}.",
                    describe(target=target.name),
                    "Its code can be read with tilewright.kernel.jit.text.",
                )
            found = _made(name, emit(target), target)
            _loaded[name, target.name] = found
        return found


def text(name: str, emit: Emit, target: Target | None = None) -> tuple[str, str]:
    """The IR as it is emitted, and the assembly that it is compiled to, for any target.

    Raises:
        Missing: nothing can be compiled here.
        AssertionError: the IR isn't valid, which is a mistake of this library.
    """
    target = target or host()
    with _lock:
        ir = emit(target)
        return ir, str(_machine(target).emit_assembly(_tidied(name, ir, target)))


def compiled() -> list[str]:
    """Names of the functions that are loaded in this process, in order of loading."""
    return [name for name, _ in list(_loaded)]


def _made(name: str, ir: str, target: Target) -> int:
    """The address of a function, from the disk or newly compiled."""
    key = _key(ir, target)
    code = cache.read(key)
    if code is not None:
        try:
            return _linked(name, code)
        except RuntimeError:
            pass  # it is what was written here once, and still LLVM refuses it: make it anew
    code = _compiled(name, ir, target)
    try:
        found = _linked(name, code)
    except RuntimeError as error:
        raise _mistake(name, ir, target, error) from error
    cache.write(key, code)
    return found


def _key(ir: str, target: Target) -> str:
    return cache.key_of(ir, *_versions(), target.triple, target.cpu, target.features)


@lru_cache(maxsize=1)
def _versions() -> tuple[str, str]:
    """LLVM's version and llvmlite's."""
    llvm = _llvm().llvm_version_info
    import llvmlite

    return ".".join(map(str, llvm)), str(llvmlite.__version__)


def _compiled(name: str, ir: str, target: Target) -> bytes:
    """An object file."""
    return bytes(_machine(target).emit_object(_tidied(name, ir, target)))


def _tidied(name: str, ir: str, target: Target) -> Any:
    """The module of the IR, with constants folded and empty blocks removed."""
    llvm, machine = _llvm(), _machine(target)
    try:
        module = llvm.parse_assembly(ir)
        module.triple = target.triple
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise _mistake(name, ir, target, error) from error
    passes = llvm.create_new_module_pass_manager()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return module


def _linked(name: str, code: bytes) -> int:
    """The address of a function of an object file, loaded into this process.

    Raises:
        RuntimeError: LLVM can't load it, or it has no such function.
    """
    library = _llvm().JITLibraryBuilder().add_object_img(code).export_symbol(name).add_current_process()
    tracker = library.link(_linker(), f"tilewright-{next(_numbers)}")
    found = int(tracker[name])
    # Whoever holds the address may call it at any time, in worker threads even while Python ends: the code is
    # never freed.
    tracker.detach()
    return found


@lru_cache(maxsize=1)
def _linker() -> Any:
    # One for all targets: it only needs to know the architecture. LLVM's newer linker places all parts of an
    # object side by side, and refuses one whose parts can't reach each other.
    linker = _llvm().create_lljit_compiler(_new_machine(host()), use_jit_link=True)
    # To its finaliser it is another's: what it has loaded is never freed.
    linker._owned = True
    return linker


@lru_cache(maxsize=8)
def _machine(target: Target) -> Any:
    return _new_machine(target)


def _new_machine(target: Target) -> Any:
    llvm = _llvm()
    if target.triple.partition("-")[0] != llvm.get_process_triple().partition("-")[0]:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    # The small code model: constants are read relative to the code, in one instruction.
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small", jit=True
    )


@lru_cache(maxsize=1)
def _llvm() -> Any:
    """The binding of llvmlite, ready for this processor."""
    try:
        from llvmlite import binding
    except (ImportError, OSError) as error:  # OSError: its library doesn't load on this system
        raise Missing(f"llvmlite can't be imported: {error}") from error
    if binding.llvm_version_info[0] < _OLDEST_LLVM:
        raise Missing(f"llvmlite 0.45 or newer is needed; its LLVM here is {binding.llvm_version_info}")
    try:
        binding.check_jit_execution()
    except OSError as error:
        raise Missing(f"This system lets no program make code: {error}") from error
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _mistake(name: str, ir: str, target: Target, error: Exception) -> AssertionError:
    first = "\n".join(ir.splitlines()[:_SHOWN_LINES])
    return AssertionError(
        f"Tilewright made wrong code for {name} ({target.name}); please report it. {error}\n{first}"
    )
