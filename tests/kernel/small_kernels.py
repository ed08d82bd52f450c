"""Kernels of a few lines, written as LLVM IR, for the tests of compiling and keeping."""

from __future__ import annotations

import ctypes

from tilewright.plan import Target


def answer(number: int, name: str = "answer") -> str:
    """``int answer() { return number; }``."""
    return f"define i32 @{name}() {{\n  ret i32 {number}\n}}\n"


def ask(address: int) -> int:
    """Calls a function made from :func:`answer`."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int32)(address)())


def multiply_add(target: Target) -> str:
    """``for (i = 0; i < n; i += lanes) c[i…] = a[i…] * b[i…] + c[i…]``; n is a multiple of the lanes."""
    lanes = target.vector_bytes // 4
    vector = f"<{lanes} x float>"
    product = (
        f"%r = call {vector} @llvm.fma.v{lanes}f32({vector} %va, {vector} %vb, {vector} %vc)"
        if target.fused
        else f"%m = fmul {vector} %va, %vb\n  %r = fadd {vector} %m, %vc"
    )
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})

define void @multiply_add(i64 %n, ptr %a, ptr %b, ptr %c) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %pa = getelementptr float, ptr %a, i64 %i
  %pb = getelementptr float, ptr %b, i64 %i
  %pc = getelementptr float, ptr %c, i64 %i
  %va = load {vector}, ptr %pa, align 4
  %vb = load {vector}, ptr %pb, align 4
  %vc = load {vector}, ptr %pc, align 4
  {product}
  store {vector} %r, ptr %pc, align 4
  %next = add i64 %i, {lanes}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""


# A loop that LLVM's usual passes would vectorise and unroll.
SCALAR_LOOP = """
define void @double_all(i64 %n, ptr noalias %a, ptr noalias %b) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %pa = getelementptr float, ptr %a, i64 %i
  %pb = getelementptr float, ptr %b, i64 %i
  %v = load float, ptr %pa, align 4
  %d = fadd float %v, %v
  store float %d, ptr %pb, align 4
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
