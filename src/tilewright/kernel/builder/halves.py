"""float16 and bfloat16 in memory, float32 in registers.

A pointer to halves says so (:attr:`~tilewright.kernel.builder.values.Value.stored`): what is loaded through
it as floats is widened, what is stored through it is rounded to nearest, ties to even. Everything between is
float32, so a kernel is written once for all three.

In registers halves are 16-bit integers: not every processor knows a half, and where it doesn't LLVM would
call functions of a C library that isn't there. Conversions are the processor's own where it has them for all
numbers. AVX-512's to bfloat16 takes subnormal numbers for zeros, so bfloat16 is rounded by integers; that
takes a few instructions a vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.kernel.builder.values import Value, element, lanes, vector

if TYPE_CHECKING:
    from tilewright.kernel.builder.function import Function

#: LLVM's names of the two: "half" is float16, "bfloat" the upper half of a float32.
STORED = ("half", "bfloat")

# Bits of a float32: its sign, its infinity, and 2⁻¹⁴, float16's smallest normal number.
_SIGN, _INFINITY, _SMALLEST = 1 << 31, 0x7F800000, 113 << 23
# From where on a float32 is beyond float16's range, whatever the rounding: 2¹⁶.
_TOO_LARGE = 143 << 23
# Added to a float32 below 2⁻¹⁴, the bits of float16's steps there, of 2⁻²⁴, are the last ones: 2⁻¹.
_ALIGNS = 126 << 23


def labelled(name: str, *stored: str) -> str:
    """The symbol of a function that takes halves at some of its arguments; ``name`` if it takes none.

    >>> labelled("pack", ""), labelled("pack", "half")
    ('pack', 'pack_of_half')
    """
    kinds = [kind for kind in stored if kind]
    return f"{name}_of_{'_'.join(kinds)}" if kinds else name


def as_integers(type: str) -> str:
    """The type of as many halves as ``type`` has lanes."""
    return "i16" if type == element(type) else vector(lanes(type), "i16")


def widened(f: Function, x: Value, stored: str) -> Value:
    """Halves as float32, which holds each of them as it is.

    Scalar loop: ``for i in lanes: out[i] = float32(x[i])``
    """
    count = lanes(x.type)
    alone = x.type == "i16"
    single, integer = ("float", "i32") if alone else (vector(count, "float"), vector(count, "i32"))
    if stored == "half" and f.target.converts_float16:
        half = "half" if alone else vector(count, "half")
        return f.result(single, f"fpext {f.reinterpret(x, half)} to {single}")
    wide = f.result(integer, f"zext {x} to {integer}")
    if stored == "bfloat":
        return f.reinterpret(wide << 16, single)
    size = (wide & 0x7FFF) << 13
    # The exponent's bias is larger by 112; infinities and NaNs have the largest of both kinds.
    usual = size + (112 << 23)
    usual = f.select(size >= (0x7C00 << 13), usual + (112 << 23), usual)
    # A subnormal half has no leading one: with that of 2⁻¹⁴ put before it, it is 2⁻¹⁴ too large.
    small = f.reinterpret(size + _SMALLEST, single) - f.reinterpret(f.number(integer, _SMALLEST), single)
    size = f.select(size < (1 << 23), f.reinterpret(small, integer), usual)
    return f.reinterpret(size | ((wide & 0x8000) << 16), single)


def narrowed(f: Function, x: Value, stored: str) -> Value:
    """float32 as halves: rounded to nearest, ties to even; too large is infinite, and a NaN stays one.

    Scalar loop: ``for i in lanes: out[i] = half(x[i])``
    """
    count = lanes(x.type)
    alone = x.type == "float"
    short, integer = ("i16", "i32") if alone else (vector(count, "i16"), vector(count, "i32"))
    if stored == "half" and f.target.converts_float16:
        half = "half" if alone else vector(count, "half")
        return f.reinterpret(f.result(half, f"fptrunc {x} to {half}"), short)
    bits = f.reinterpret(x, integer)
    if stored == "bfloat":
        rounded = bits + ((bits >> 16) & 1) + 0x7FFF
        # A NaN of all ones would become a zero: it is cut off instead, and made quiet.
        nan = x.differs(x)
        return f.convert(f.select(nan, bits | 0x400000, rounded) >> 16, short)
    size = bits & (_SIGN - 1)
    usual = (size - ((112 << 23) - 0xFFF) + ((size >> 13) & 1)) >> 13
    aligned = f.reinterpret(size, x.type) + f.reinterpret(f.number(integer, _ALIGNS), x.type)
    small = f.reinterpret(aligned, integer) - _ALIGNS
    found = f.select(size < _SMALLEST, small, usual)
    nan = ((size >> 13) & 0x3FF) | 0x7E00
    large = f.select(size > _INFINITY, nan, f.number(integer, 0x7C00))
    found = f.select(size >= _TOO_LARGE, large, found)
    return f.convert(found | ((bits >> 16) & 0x8000), short)
