"""A plan: which family computes an operation, in which tiles. Small, frozen and printable."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

from tilewright.geometry import ConvDims, PoolDims

#: The operations that families compute.
CONV_OPERATIONS = ("forward", "data_gradient", "weight_gradient")
POOL_OPERATIONS = ("max_pool", "max_pool_gradient", "avg_pool", "avg_pool_gradient")


@dataclass(frozen=True)
class Plan:
    """How one operation on one geometry is computed.

    Attributes:
        operation: one of :data:`CONV_OPERATIONS` or :data:`POOL_OPERATIONS`.
        family: the name of the family that computes it.
        dims: the forward geometry.
        dtype: name of the element type.
        tile: output samples per axis that are computed at a time.
        samples: samples of the batch per step (for pools: planes of a sample).
        scratch_bytes: the most temporary memory a step takes (of a compiled family: each thread).
        registers: what a compiled family holds in registers, in words; empty for the others.
        target: the instruction set that it is compiled for; empty for the others.
        side: what its vectors run along: ``by_channels`` or ``by_pixels``; empty for the others.
    """

    operation: str
    family: str
    dims: ConvDims | PoolDims
    dtype: str
    tile: tuple[int, ...]
    samples: int
    scratch_bytes: int
    registers: str = ""
    target: str = ""
    side: str = ""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Plans are keys of the cache of programs, which every call asks: hashed once.
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    def __str__(self) -> str:
        size = "×".join(str(n) for n in self.tile)
        if self.registers:
            return (
                f"{self.operation} by {self.family}: {self.dtype}, "
                f"{self.registers} in {self.target} registers, "
                f"scratch up to {self.scratch_bytes / 2**20:.2f} MiB a thread"
            )
        return (
            f"{self.operation} by {self.family}: {self.dtype}, output tile {size}, "
            f"{self.samples} a step, scratch up to {self.scratch_bytes / 2**20:.2f} MiB"
        )


# Scratch for one step. It keeps memory bounded by a constant whatever the problem (the contract allows
# 4 MiB per thread) and, at 1 MiB, stays within the second-level cache of current cores, so that a product
# reads what the copy before it has just written.
SCRATCH_BYTES = 1 << 20


def tile_within(
    output: tuple[int, ...], bytes_per_sample: int, budget: int = SCRATCH_BYTES
) -> tuple[int, ...]:
    """The largest tile of output positions, innermost axes first, whose scratch stays within the budget.

    >>> tile_within((100, 100), 1000, budget=250_000)
    (2, 100)
    """
    room = max(budget // max(bytes_per_sample, 1), 1)
    tile = []
    for size in reversed(output):
        length = max(min(size, room), 1)
        tile.append(length)
        room = max(room // length, 1)
    return tuple(reversed(tile))


def samples_within(dims: ConvDims | PoolDims, tile: tuple[int, ...], bytes_per_position: int) -> int:
    """How many samples fit into one step beside each other, at least one."""
    per_sample = max(math.prod(tile) * bytes_per_position, 1)
    return max(min(dims.batch, SCRATCH_BYTES // per_sample), 1)
