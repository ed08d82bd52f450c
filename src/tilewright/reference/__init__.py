"""The definition of each operation, written to be understood: the oracle that all else is judged by."""

from tilewright.reference import conv, pool

__all__ = ["conv", "pool"]
