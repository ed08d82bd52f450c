"""Elements of a row by number: picked out of two vectors, or gathered one by one.

A gather takes a processor about as long as so many single reads. Outputs that lie side by side mostly take
inputs that do: those are read as one or two vectors, of which any lanes are picked in one instruction (in two
and a choice with AVX2). LLVM has no general word for it, so the instructions are named.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, first_lanes, masked_load, size_of, vector
from tilewright.kernel.builder.values import overload
from tilewright.plan.target import Target


def picks(target: Target, scalar: str) -> bool:
    """Whether any lanes can be picked out of two vectors."""
    return target.name == "avx512" or (target.name == "avx2" and scalar == "float")


class Picker:
    """Reads elements of rows of ``length``, for a function being emitted."""

    def __init__(self, f: Function, scalar: str, length: Value) -> None:
        self.f, self.scalar = f, scalar
        self.width = f.target.vector_bytes // size_of(scalar)
        self.type = vector(self.width, scalar)
        # A row may be shorter than a vector.
        self._mask = first_lanes(f, f.least(length, self.width), self.width)

    def picked(self, x: Value, low: Value, high: Value, lanes: Value) -> Value:
        """Lanes of the vector that begins at element ``low`` and the one that begins at ``high``.

        Scalar loop: ``for i, p in enumerate(lanes): out[i] = (x[low:][:width] + x[high:][:width])[p]``;
        where p is below 0, anything.
        """
        f, scalar = self.f, self.scalar
        one, other = (masked_load(f, self.type, f.at(x, scalar, at), self._mask) for at in (low, high))
        if f.target.name == "avx2":
            name = "llvm.x86.avx2.permps"
            first, second = (f.intrinsic(name, self.type, part, lanes) for part in (one, other))
            return f.select(lanes < self.width, first, second)
        if scalar == "float":
            return f.intrinsic("llvm.x86.avx512.vpermi2var.ps.512", self.type, one, lanes, other)
        wide = f.convert(lanes, vector(self.width, "i64"))
        return f.intrinsic("llvm.x86.avx512.vpermi2var.pd.512", self.type, one, wide, other)

    def gathered(self, x: Value, numbers: Value) -> Value:
        """Elements by number.

        Scalar loop: ``for i, n in enumerate(numbers): out[i] = x[max(n, 0)]``
        """
        f, width = self.f, self.width
        numbers = f.greatest(numbers, 0)
        places = f.result(
            vector(width, "ptr"), f"getelementptr {self.scalar}, ptr {x.name}, {numbers.type} {numbers.name}"
        )
        return f.intrinsic(
            f"llvm.masked.gather.{overload(self.type)}.v{width}p0",
            self.type,
            places,
            f.number("i32", size_of(self.scalar)),
            f.number(vector(width, "i1"), 1),
            f.number(self.type, 0),
        )
