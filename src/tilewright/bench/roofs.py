"""The roofs of the machine: how fast it multiplies and adds, and how fast it copies.

Two kernels, each as plain as its task: one that does nothing but fused multiply-adds on registers, and one
that copies an array that no cache holds. They are compiled and shared out to threads as the convolutions are.
A convolution can be no faster than the lower of two lines (Williams, Waterman, Patterson: "Roofline: An
Insightful Visual Performance Model for Multicore Architectures", Communications of the ACM 52(4), 2009):

    FLOP/s  ≤  min(multiply-add rate,  copy rate · FLOP per byte)
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.kernel import jit, threads
from tilewright.plan import Target, host

Array = np.ndarray[Any, Any]

_LLVM_NAME = {"float32": "float", "float64": "double"}
# A call of this length is long against the start of a thread and short against a change of the clock rate.
_FMA_SECONDS = 4e-3
# Several units for each thread: one that starts late leaves some of its own to the others.
_UNITS_PER_THREAD = 8
_REPEATS = 12
# What the last cache is taken for where the system doesn't say: as large as any usual one per socket.
_UNKNOWN_CACHE = 32 << 20
_LARGEST_ARRAY = 512 << 20


@dataclass(frozen=True)
class Roofs:
    """What the machine reached, by number of threads.

    Attributes:
        dtype: element type of the multiply-adds.
        target: name of the instruction set.
        fma: FLOP/s of multiply-adds, a multiply and an add each counted as one.
        copy: bytes/s of a copy, read and written bytes added.
        copied_bytes: size of the array that was copied.
    """

    dtype: str
    target: str
    fma: dict[int, float] = field(default_factory=dict)
    copy: dict[int, float] = field(default_factory=dict)
    copied_bytes: int = 0


class _Arguments(ctypes.Structure):
    """What both kernels read: two addresses and a count."""

    _fields_ = (("first", ctypes.c_void_p), ("second", ctypes.c_void_p), ("count", ctypes.c_int64))


class Work:
    """A kernel with its arguments, ready to be called again and again.

    Attributes:
        amount: what one call does: floating-point operations, or bytes read and written.
    """

    def __init__(self, function: int, units: int, thread_count: int, scratch: int, *arrays: Array) -> None:
        self.amount = 0
        self._arrays = arrays  # the kernel has only their addresses
        self._arguments = _Arguments(*(array.ctypes.data for array in arrays))
        self._call = (function, units, ctypes.addressof(self._arguments), scratch)
        self._threads = thread_count

    def repeat(self, count: int, amount: int) -> Work:
        """Set how often the kernel's loop runs in each unit, and what a call does then."""
        self._arguments.count = count
        self.amount = amount
        return self

    def __call__(self) -> None:
        """Do it once."""
        threads.run(*self._call, threads=self._threads)


def measure(dtype: str, thread_counts: tuple[int, ...]) -> Roofs:
    """The roofs of this machine, now: the best of several runs for each number of threads.

    Raises:
        Missing: (of :mod:`tilewright.kernel.jit`) nothing can be compiled here.
    """
    source = np.ones(array_bytes() // 8)
    copied = np.zeros_like(source)
    fma, copy = {}, {}
    for count in thread_counts:
        fma[count] = rate(multiply_adds(dtype, count))
        copy[count] = rate(copying(source, copied, count))
    return Roofs(dtype, host().name, fma, copy, source.nbytes)


def rate(work: Work) -> float:
    """What the work does in a second, in its best run."""
    return work.amount / _best(work)


def multiply_adds(dtype: str, thread_count: int) -> Work:
    """About four milliseconds of multiply-adds on every thread; the amount is in FLOP."""
    target = host()
    name = f"bench_fma_{dtype}"
    function = jit.address(name, lambda chosen: fma_ir(name, dtype, chosen))
    # acc·0.5 + 1 stays between 0 and 2: no infinity, and no denormal number, which would be slow.
    factors = np.array([0.5, 1.0], dtype=dtype)
    sums = accumulators(target)
    units = thread_count * _UNITS_PER_THREAD
    work = Work(function, units, thread_count, sums * target.vector_bytes, factors)
    count = 1000
    count = max(int(count * _FMA_SECONDS / _best(work.repeat(count, 0), repeats=5)), 1)
    lanes = target.vector_bytes // factors.itemsize
    return work.repeat(count, 2 * lanes * sums * count * units)


def copying(source: Array, copied: Array, thread_count: int) -> Work:
    """A copy of one array onto another of the same size; the amount is in bytes read and written."""
    function = jit.address("bench_copy", lambda chosen: copy_ir("bench_copy", chosen))
    # Parts of a megabyte: enough of them to share out, each long enough to stream.
    part = 1 << 20
    work = Work(function, source.nbytes // part, thread_count, 64, source, copied)
    return work.repeat(part // host().vector_bytes, 2 * source.nbytes)


def accumulators(target: Target) -> int:
    """Independent sums that keep the multiply-add units busy.

    Two units with a latency of four or five cycles need ten; twelve leave room in 16 registers for the
    factors and a product, and twenty-four do in 32.
    """
    return 24 if target.registers >= 32 else 12


def fma_ir(name: str, dtype: str, target: Target) -> str:
    """LLVM IR of ``for i < count: for all a: acc[a] = acc[a] * factor + addend``."""
    scalar = _LLVM_NAME[dtype]
    lanes = target.vector_bytes // np.dtype(dtype).itemsize
    vector = f"<{lanes} x {scalar}>"
    bits = "f32" if dtype == "float32" else "f64"
    each = range(accumulators(target))
    phis = [f"  %a{i} = phi {vector} [ zeroinitializer, %entry ], [ %b{i}, %loop ]" for i in each]
    fma = f"@llvm.fma.v{lanes}{bits}"
    if target.fused:
        sums = [f"  %b{i} = call {vector} {fma}({vector} %a{i}, {vector} %f, {vector} %s)" for i in each]
    else:
        sums = [f"  %m{i} = fmul {vector} %a{i}, %f\n  %b{i} = fadd {vector} %m{i}, %s" for i in each]
    # Stored, so that no sum is found to be without use.
    stores = [
        f"  %o{i} = getelementptr {vector}, ptr %scratch, i64 {i}\n"
        f"  store {vector} %b{i}, ptr %o{i}, align {target.vector_bytes}"
        for i in each
    ]
    lines = [
        f"declare {vector} {fma}({vector}, {vector}, {vector})",
        f"define void @{name}(i64 %unit, ptr %args, ptr %scratch) {{",
        "entry:",
        "  %factors = load ptr, ptr %args",
        "  %countat = getelementptr i64, ptr %args, i64 2",
        "  %count = load i64, ptr %countat",
        f"  %factor = load {scalar}, ptr %factors",
        f"  %addendat = getelementptr {scalar}, ptr %factors, i64 1",
        f"  %addend = load {scalar}, ptr %addendat",
        f"  %f0 = insertelement {vector} undef, {scalar} %factor, i32 0",
        f"  %f = shufflevector {vector} %f0, {vector} undef, <{lanes} x i32> zeroinitializer",
        f"  %s0 = insertelement {vector} undef, {scalar} %addend, i32 0",
        f"  %s = shufflevector {vector} %s0, {vector} undef, <{lanes} x i32> zeroinitializer",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        *phis,
        *sums,
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %count",
        "  br i1 %more, label %loop, label %end",
        "end:",
        *stores,
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"


def copy_ir(name: str, target: Target) -> str:
    """LLVM IR of ``for i < count: to[unit * count + i] = from[unit * count + i]``, a vector each."""
    vector = f"<{target.vector_bytes} x i8>"
    return f"""
define void @{name}(i64 %unit, ptr %args, ptr %scratch) {{
entry:
  %from = load ptr, ptr %args
  %toat = getelementptr i64, ptr %args, i64 1
  %to = load ptr, ptr %toat
  %countat = getelementptr i64, ptr %args, i64 2
  %count = load i64, ptr %countat
  %first = mul i64 %unit, %count
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %at = add i64 %first, %i
  %read = getelementptr {vector}, ptr %from, i64 %at
  %value = load {vector}, ptr %read, align 8
  %write = getelementptr {vector}, ptr %to, i64 %at
  store {vector} %value, ptr %write, align 8
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %end
end:
  ret void
}}
"""


def array_bytes() -> int:
    """The size of an array that no cache holds: four times the last one, at most half a gigabyte."""
    return min(4 * last_cache_bytes(), _LARGEST_ARRAY)


@cache
def last_cache_bytes() -> int:
    """The size of the largest cache that Linux lists for the first core, or a usual size elsewhere."""
    found = [
        _size(path.read_text(encoding="ascii", errors="replace"))
        for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    ]
    return max(found, default=0) or _UNKNOWN_CACHE


def _size(text: str) -> int:
    """``32768K`` in bytes; 0 for what has another form."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    return int(number) << {"K": 10, "M": 20}[unit] if number.isdecimal() and unit in "KM" else 0


def _best(call: Work, repeats: int = _REPEATS) -> float:
    """The shortest of several runs: a disturbance only ever makes one longer."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
