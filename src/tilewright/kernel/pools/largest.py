"""The rule of max pooling, in one place: which of two samples stays."""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, size_of

#: Nothing is less.
LEAST = float("-inf")


def is_larger(f: Function, new: Value, old: Value) -> Value:
    """Whether a sample replaces those before it: if it is larger, or the first NaN.

    Scalar loop: ``for i in lanes: out[i] = not new[i] <= old[i] and old[i] == old[i]``
    """
    return f.compare("", "ugt", new, old) & f.compare("", "ord", old, old)


def integer_like(scalar: str) -> str:
    """The integers that places are kept in: as wide as the samples, for vectors of as many lanes."""
    return {4: "i32", 8: "i64"}[size_of(scalar)]
