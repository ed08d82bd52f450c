"""Structured emission of LLVM: values with operators, loops and branches as ``with`` blocks, vectors."""

from tilewright.kernel.builder.function import Function, Loop
from tilewright.kernel.builder.halves import labelled
from tilewright.kernel.builder.values import Value, element, lanes, size_of, vector
from tilewright.kernel.builder.vectors import (
    first_lanes,
    lane,
    load_columns,
    load_pairs,
    load_square,
    masked_load,
    masked_store,
    shuffle,
    splat,
    transpose,
)

__all__ = [
    "Function",
    "Loop",
    "Value",
    "element",
    "first_lanes",
    "labelled",
    "lane",
    "lanes",
    "load_columns",
    "load_pairs",
    "load_square",
    "masked_load",
    "masked_store",
    "shuffle",
    "size_of",
    "splat",
    "transpose",
    "vector",
]
