"""Values of a function being emitted, with Python's operators standing for LLVM's instructions.

An operator on two values appends one instruction to the function that both belong to; a Python number
becomes a constant of the other operand's type. Integers are signed; floats are computed as written, never
reassociated.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilewright.kernel.builder.function import Function

Number = int | float

_INTEGER_BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64}
_BYTES = {"float": 4, "double": 8, "ptr": 8, "i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8}


class Value:
    """One result of the function ``of``: its LLVM name (or constant) and its LLVM type.

    Of a pointer, ``stored`` says what lies in memory where floats are read and written: "" for floats, or one
    of :data:`~tilewright.kernel.builder.halves.STORED`. Pointers made from it say the same.
    """

    __slots__ = ("name", "of", "stored", "type")

    def __init__(self, of: Function, name: str, type: str, stored: str = "") -> None:
        self.of = of
        self.name = name
        self.type = type
        self.stored = stored

    def __repr__(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer, or a vector of integers."""
        return element(self.type) in _INTEGER_BITS

    def __add__(self, other: Value | Number) -> Value:
        """``self + other``."""
        return self.of.binary("add", "fadd", self, other)

    __radd__ = __add__

    def __sub__(self, other: Value | Number) -> Value:
        """``self - other``."""
        return self.of.binary("sub", "fsub", self, other)

    def __rsub__(self, other: Number) -> Value:
        """``other - self``."""
        return self.of.like(self, other) - self

    def __mul__(self, other: Value | Number) -> Value:
        """``self * other``."""
        return self.of.binary("mul", "fmul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Value | Number) -> Value:
        """``self / other`` of floats."""
        return self.of.binary("", "fdiv", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        """``other / self`` of floats."""
        return self.of.like(self, other) / self

    def __neg__(self) -> Value:
        """``-self`` of a float: the other sign, of zeros and NaNs too."""
        assert not self.is_integer, f"0 - {self} is the negative of an integer"
        return self.of.result(self.type, f"fneg {self}")

    def __floordiv__(self, other: Value | Number) -> Value:
        """``self // other`` of integers that are not negative."""
        return self.of.binary("udiv", "", self, other)

    def __mod__(self, other: Value | Number) -> Value:
        """``self % other`` of integers that are not negative."""
        return self.of.binary("urem", "", self, other)

    def __and__(self, other: Value | Number) -> Value:
        """Bitwise and."""
        return self.of.binary("and", "", self, other)

    def __or__(self, other: Value | Number) -> Value:
        """Bitwise or."""
        return self.of.binary("or", "", self, other)

    def __xor__(self, other: Value | Number) -> Value:
        """Bitwise exclusive or."""
        return self.of.binary("xor", "", self, other)

    def __lshift__(self, other: Value | Number) -> Value:
        """Bits moved up; those moved out are lost. ``other`` is less than the width."""
        return self.of.binary("shl", "", self, other)

    def __rshift__(self, other: Value | Number) -> Value:
        """Bits moved down, zeros (not the sign) behind them. ``other`` is less than the width."""
        return self.of.binary("lshr", "", self, other)

    def __lt__(self, other: Value | Number) -> Value:
        """``self < other``; false with a NaN."""
        return self.of.compare("slt", "olt", self, other)

    def __le__(self, other: Value | Number) -> Value:
        """``self <= other``; false with a NaN."""
        return self.of.compare("sle", "ole", self, other)

    def __gt__(self, other: Value | Number) -> Value:
        """``self > other``; false with a NaN."""
        return self.of.compare("sgt", "ogt", self, other)

    def __ge__(self, other: Value | Number) -> Value:
        """``self >= other``; false with a NaN."""
        return self.of.compare("sge", "oge", self, other)

    def equals(self, other: Value | Number) -> Value:
        """``self == other`` as a value (``==`` itself stays Python's identity)."""
        return self.of.compare("eq", "oeq", self, other)

    def differs(self, other: Value | Number) -> Value:
        """``self != other`` as a value; true with a NaN."""
        return self.of.compare("ne", "une", self, other)


def vector(lanes: int, scalar: str) -> str:
    """The type of a vector.

    >>> vector(16, "float")
    '<16 x float>'
    """
    return f"<{lanes} x {scalar}>"


def element(type: str) -> str:
    """The scalar type of a vector type; of a scalar type, itself.

    >>> element("<16 x float>"), element("i64")
    ('float', 'i64')
    """
    return type[type.index(" x ") + 3 : -1] if type.startswith("<") else type


def lanes(type: str) -> int:
    """How many lanes a vector type has; 1 for a scalar."""
    return int(type[1 : type.index(" x ")]) if type.startswith("<") else 1


def size_of(type: str) -> int:
    """Bytes of one value of the type in memory."""
    return _BYTES[element(type)] * lanes(type)


def overload(type: str) -> str:
    """How a type, or a vector of it, is written in the name of an intrinsic.

    >>> overload("<16 x float>"), overload("double")
    ('v16f32', 'f64')
    """
    scalar = {"float": "f32", "double": "f64"}.get(element(type), element(type))
    return scalar if type == element(type) else f"v{lanes(type)}{scalar}"


def constant(type: str, number: Number) -> str:
    """The LLVM text of a constant: exact (floats in hexadecimal), and the same in every lane of a vector.

    >>> constant("float", 0.5), constant("i64", 3), constant("<2 x i32>", 1)
    ('0x3FE0000000000000', '3', 'splat (i32 1)')
    """
    scalar = element(type)
    if scalar in _INTEGER_BITS:
        text = str(int(number))
    else:
        # LLVM writes a float constant as the double of the same value.
        value = float(number)
        if scalar == "float":
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        text = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if scalar == type:
        return text
    if float(number) == 0 and not str(number).startswith("-"):
        return "zeroinitializer"
    return f"splat ({scalar} {text})"
