"""Operations on vectors: each is documented by the scalar loop that it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.kernel.builder.function import Function
from tilewright.kernel.builder.halves import as_integers, widened
from tilewright.kernel.builder.values import Number, Value, element, lanes, overload, size_of, vector


def splat(f: Function, scalar: Value, count: int) -> Value:
    """One number in every lane.

    Scalar loop: ``for i in range(count): out[i] = scalar``
    """
    type = vector(count, scalar.type)
    single = f.result(type, f"insertelement {type} poison, {scalar}, i64 0")
    return f.result(type, f"shufflevector {single}, {type} poison, <{count} x i32> zeroinitializer")


def shuffle(f: Function, a: Value, b: Value, places: Sequence[int]) -> Value:
    """Lanes picked from two vectors end to end; a place of −1 may hold anything.

    Scalar loop: ``for i, p in enumerate(places): out[i] = (a + b)[p]``
    """
    type = vector(len(places), element(a.type))
    mask = ", ".join("i32 poison" if p < 0 else f"i32 {p}" for p in places)
    return f.result(type, f"shufflevector {a}, {b}, <{len(places)} x i32> <{mask}>")


def lane(f: Function, value: Value, index: int) -> Value:
    """One lane as a scalar: ``value[index]``."""
    return f.result(element(value.type), f"extractelement {value}, i64 {index}")


def transpose(f: Function, rows: Sequence[Value]) -> list[Value]:
    """A square of vectors, turned over its diagonal; the number of lanes is a power of two.

    Scalar loop: ``for i, j in lanes × lanes: out[i][j] = rows[j][i]``

    Each of log2(lanes) rounds interleaves row i with row i + half: that moves one bit of the row number into
    the lane number, and after as many rounds as there are bits the two have changed places.
    """
    count = len(rows)
    assert count == lanes(rows[0].type) and count & (count - 1) == 0
    low = [place for i in range(count // 2) for place in (i, count + i)]
    high = [place + count // 2 for place in low]
    current = list(rows)
    half = count // 2
    rounds = count.bit_length() - 1
    for _ in range(rounds):
        following = []
        for i in range(half):
            following.append(shuffle(f, current[i], current[i + half], low))
            following.append(shuffle(f, current[i], current[i + half], high))
        current = following
    return current


def load_columns(f: Function, type: str, rows: Sequence[Value]) -> list[Value]:
    """The first columns of as many rows as ``type`` has lanes: as many as fit 16 bytes, each as a vector.

    Scalar loop: ``for j in columns, i in lanes: out[j][i] = rows[i][j]``

    Pieces of 16 bytes are put together so that rows that become neighbours lie in neighbouring vectors, at
    the same place. What is left is a small square to turn over at each place, which takes half as many steps
    as turning over a square of whole vectors.
    """
    few = 16 // size_of(element(type))
    stored = rows[0].stored
    # Halves are widened a vector at a time, when they have been put together.
    piece = vector(few, "i16" if stored else element(type))
    pieces = [f.load(piece, row) for row in rows]
    joined = []
    for i in range(few):
        parts = pieces[i::few]
        while len(parts) > 1:
            every = range(2 * lanes(parts[0].type))
            parts = [shuffle(f, a, b, every) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        joined.append(widened(f, parts[0], stored) if stored else parts[0])
    starts = range(0, len(rows), few)
    low = [start + place for start in starts for i in range(few // 2) for place in (i, len(rows) + i)]
    high = [place + few // 2 for place in low]
    half = few // 2
    for _ in range(few.bit_length() - 1):
        pairs = list(zip(joined[:half], joined[half:], strict=True))
        joined = [shuffle(f, a, b, places) for a, b in pairs for places in (low, high)]
    return joined


def load_square(f: Function, type: str, rows: Sequence[Value]) -> list[Value]:
    """A square of numbers, turned over its diagonal: a vector from each row's start.

    Scalar loop: ``for i, j in lanes × lanes: out[i][j] = rows[j][i]``
    """
    few = 16 // size_of(element(type))
    starts = range(0, len(rows), few)
    return [
        column
        for start in starts
        for column in load_columns(f, type, [f.at(row, element(type), start) for row in rows])
    ]


def load_pairs(f: Function, type: str, pointer: Value) -> tuple[Value, Value]:
    """Two vectors as they lie in memory, as the numbers at even places and those at odd ones.

    Scalar loop: ``for i in lanes: even[i], odd[i] = pointer[2 * i], pointer[2 * i + 1]``
    """
    width, stored = lanes(type), pointer.stored
    if not stored or element(type) != "float":
        low, high = (f.load(type, pointer, half * width) for half in range(2))
        even, odd = (shuffle(f, low, high, range(which, 2 * width, 2)) for which in range(2))
        return even, odd
    # Two halves are the lower and the upper half of an integer.
    both = f.load(vector(width, "i32"), pointer, align=2)
    if stored == "bfloat":
        return f.reinterpret(both << 16, type), f.reinterpret(both & -(1 << 16), type)
    even, odd = (widened(f, f.convert(part, as_integers(type)), stored) for part in (both, both >> 16))
    return even, odd


def first_lanes(f: Function, count: Value, width: int) -> Value:
    """A mask of ``width`` lanes of which the first ``count`` (an i64 that fits an i32) are true.

    Scalar loop: ``for i in range(width): out[i] = i < count``
    """
    type = vector(width, "i32")
    numbers = "<" + ", ".join(f"i32 {i}" for i in range(width)) + ">"
    return Value(f, numbers, type) < splat(f, f.convert(count, "i32"), width)


def masked_load(f: Function, type: str, pointer: Value, mask: Value, other: Value | Number = 0) -> Value:
    """Lanes where the mask is true, ``other`` elsewhere; memory under false lanes is not touched.

    Scalar loop: ``for i in lanes: out[i] = pointer[i] if mask[i] else other``
    """
    if pointer.stored and element(type) == "float":
        found = widened(f, _masked_halves(f, as_integers(type), pointer, mask), pointer.stored)
        # Zeros are zeros in all kinds.
        zero = not isinstance(other, Value) and other == 0
        return found if zero else f.select(mask, found, f.like(found, other))
    align = f.number("i32", size_of(element(type)))
    name = f"llvm.masked.load.{overload(type)}.p0"
    value = other if isinstance(other, Value) else f.number(type, other)
    return f.intrinsic(name, type, pointer, align, mask, value)


def masked_store(f: Function, value: Value, pointer: Value, mask: Value) -> None:
    """Writes the lanes where the mask is true; memory under false lanes is not touched.

    Scalar loop: ``for i in lanes: if mask[i]: pointer[i] = value[i]``
    """
    value = f.as_stored(value, pointer)
    align = f.number("i32", size_of(element(value.type)))
    name = f"llvm.masked.store.{overload(value.type)}.p0"
    if element(value.type) != "i16" or f.target.masks_halves:
        f.intrinsic_without_result(name, value, pointer, align, mask)
        return
    # Lane by lane, unless all are there.
    every = _every(f, mask)
    with f.when(every):
        f.store(value, pointer)
    with f.when(every.equals(0)):
        f.intrinsic_without_result(name, value, pointer, align, mask)


def _masked_halves(f: Function, type: str, pointer: Value, mask: Value) -> Value:
    """Halves as integers, 0 where the mask is false."""
    name, align = f"llvm.masked.load.{overload(type)}.p0", f.number("i32", 2)
    if f.target.masks_halves:
        return f.intrinsic(name, type, pointer, align, mask, f.number(type, 0))
    # Lane by lane, unless all are there.
    with f.either(_every(f, mask), type) as choice:
        choice.yes(f.load(type, pointer))
        choice.otherwise()
        choice.no(f.intrinsic(name, type, pointer, align, mask, f.number(type, 0)))
    return choice.result


def _every(f: Function, mask: Value) -> Value:
    """Whether a mask is true in every lane."""
    bits = f.result(f"i{lanes(mask.type)}", f"bitcast {mask} to i{lanes(mask.type)}")
    return f.result("i1", f"icmp eq {bits}, -1")
