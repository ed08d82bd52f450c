"""Arrays of any length in groups of 64 elements: how all of these kernels walk through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tilewright.kernel.builder import Function, Value, size_of

#: Elements that are done together.
GROUP = 64
#: Elements of a unit: three arrays of them fit an L2 cache.
BLOCK = 16384


def units(count: int) -> int:
    """How many units there are for ``count`` elements."""
    return -(-count // BLOCK)


def scratch_bytes(scalar: str, arrays: int) -> int:
    """Room for the last elements of so many arrays."""
    return arrays * GROUP * size_of(scalar)


@contextmanager
def each_group(
    f: Function, scalar: str, count: Value, arrays: Sequence[Value], written: Sequence[Value]
) -> Iterator[tuple[Value, list[Value]]]:
    """The block is emitted once, and runs for each group of the unit ``f["unit"]``.

    It is given the number of the group's first element, and where to find the group's elements of the
    ``arrays`` (addresses, of which any may be null): in the arrays, or, of a last group that is not whole, in
    scratch. What it makes of elements beyond the last goes nowhere; ``written`` are the arrays among them
    that it writes to.
    """
    rooms = [f.at(f["scratch"], scalar, GROUP * place) for place in range(len(arrays))]
    there = [array.differs(f.null()) for array in arrays]
    first = f["unit"] * BLOCK
    with f.loop(f.least(count, first + BLOCK), start=first, step=GROUP, name="groups") as i:
        left = count - i
        partial = left < GROUP
        own = [f.at(array, scalar, i, wild=True) for array in arrays]
        with f.when(partial):
            for place, room, known in zip(own, rooms, there, strict=True):
                _copy(f, scalar, place, room, f.select(known, left, 0))
        yield i, [f.select(partial, room, place) for place, room in zip(own, rooms, strict=True)]
        with f.when(partial):
            for array, place, room, known in zip(arrays, own, rooms, there, strict=True):
                if array in written:
                    _copy(f, scalar, room, place, f.select(known, left, 0))


def _copy(f: Function, scalar: str, source: Value, to: Value, count: Value) -> None:
    with f.loop(count, name="copy") as i:
        f.store(f.load(scalar, source, i), to, i)
