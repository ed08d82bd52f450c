"""Reading assembly, as LLVM writes it for Linux: loops, calls, stack and vector registers."""

from __future__ import annotations

import re

from tilewright.plan import Target

# A vector register of each instruction set, in full width.
_VECTOR = {"avx512": r"%zmm\d+", "avx2": r"%ymm\d+", "baseline": r"%xmm\d+", "neon": r"v\d+\.(4s|2d)"}
# Multiply-adds of whole vectors; the baseline has no fused ones.
_MULTIPLY_ADD = {"neon": r"fmla\tv", "baseline": r"mulp[sd]\t"}


def instructions(assembly: str) -> list[str]:
    """Labels (``.LBB0_5:``) and instructions, without directives and remarks."""
    lines = [re.split(r"\s+(?:#|//)", line.strip())[0] for line in assembly.splitlines()]
    return [line for line in lines if line and (line.endswith(":") or not line.startswith((".", "#", "//")))]


def loops(assembly: str) -> list[list[str]]:
    """The instructions from each target of a jump backwards to that jump."""
    lines = instructions(assembly)
    labels = {line[:-1]: place for place, line in enumerate(lines) if line.endswith(":")}
    found = []
    for place, line in enumerate(lines):
        jump = re.match(r"(?:b|b\.\w+|cbn?z|tbn?z|j\w+)\t(?:.*, )?(\.L\w+)$", line)
        if jump and labels[jump[1]] < place:
            found.append([one for one in lines[labels[jump[1]] : place + 1] if not one.endswith(":")])
    return found


def multiply_adds(lines: list[str], target: Target) -> list[str]:
    """Multiply-adds of whole vectors."""
    pattern = _MULTIPLY_ADD.get(target.name, r"vfn?madd\w+p[sd]\t")
    return [line for line in lines if re.match(pattern, line) and re.search(_VECTOR[target.name], line)]


def other_arithmetic(lines: list[str]) -> list[str]:
    """Multiply-adds and products of single numbers."""
    x86, arm = r"(vfn?madd\w+s[sd]|v?muls[sd])\t", r"(fmadd|fmul)\t[sd]\d"
    return [line for line in lines if re.match(f"{x86}|{arm}", line)]


def innermost(assembly: str, target: Target) -> list[str]:
    """The shortest loop that multiplies vectors."""
    return min((loop for loop in loops(assembly) if multiply_adds(loop, target)), key=len)


def on_stack(lines: list[str]) -> list[str]:
    """Instructions that read or write the stack."""
    return [line for line in lines if re.search(r"\[sp\b|%rsp\b", line)]


def vector_moves(lines: list[str], target: Target) -> tuple[list[str], list[str]]:
    """Reads and writes of whole vectors in memory, on x86 also behind a mask."""
    if target.name == "neon":
        return (
            [line for line in lines if re.match(r"(ldr|ldp|ldur)\tq\d", line)],
            [line for line in lines if re.match(r"(str|stp|stur)\tq\d", line)],
        )
    register = _VECTOR[target.name]
    # Additions read memory themselves.
    return (
        [line for line in lines if re.match(rf"v?\w+p[sd]\t.*\), (.*, )?{register}", line)],
        [line for line in lines if re.match(rf"(v?mov[au]|vmaskmov)p[sd]\t{register}.*\)", line)],
    )


def direct_calls(lines: list[str]) -> list[str]:
    """Calls of functions by name: those of the C library, in our kernels."""
    return [line for line in lines if re.match(r"(bl|b|callq?|jmp)\t\*?[A-Za-z_]\w*(@\w+)?$", line)]


def indirect_calls(lines: list[str]) -> list[str]:
    """Calls through an address in a register or in memory."""
    return [line for line in lines if re.match(r"(blr\t|callq?\t\*)", line)]
