"""Dtypes under PyTorch's names, the device, and the dtype that a calculation has.

Dtypes are NumPy's own objects, so ``x.dtype == np.float32`` and ``tw.float32`` are one thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.op.kinds import REAL, bfloat16, is_bfloat16

if TYPE_CHECKING:
    Dtype: TypeAlias = np.dtype[Any]

float16 = half = np.dtype("float16")
float32 = np.dtype("float32")
float64 = double = np.dtype("float64")
complex64 = cfloat = np.dtype("complex64")
complex128 = cdouble = np.dtype("complex128")
int8 = np.dtype("int8")
int16 = short = np.dtype("int16")
int32 = np.dtype("int32")
int64 = long = np.dtype("int64")
uint8 = np.dtype("uint8")
#: ``tw.bool``; the name would hide Python's here.
bool_ = np.dtype("bool")

# Category of each kind of dtype, in the order in which one gives way to the next; "V" is bfloat16.
_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}
_PYTHON: dict[Any, Dtype] = {bool: bool_, int: int64, float: float64, complex: complex128}
# What the parts of complex numbers are widened to beside a float: the width that holds both.
_COMPLEX: dict[Dtype, Dtype] = {float64: complex128}
#: Numbers of Python's own.
Number: TypeAlias = bool | int | float | complex


class device:  # noqa: N801 - PyTorch's name
    """Where a tensor lies. There is one place: ``device("cpu")``.

    Raises:
        ArgumentError: another device is named.
    """

    __slots__ = ("index", "type")

    def __init__(self, name: str | device = "cpu", index: int | None = None) -> None:
        text = str(name)
        if text not in ("cpu", "cpu:0"):
            raise ArgumentError(
                "Tilewright computes on the processor: the device is 'cpu'.", describe(device=text)
            )
        self.type = "cpu"
        self.index = index

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __str__(self) -> str:
        return "cpu"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash("cpu")


CPU = device("cpu")


class _Default:
    dtype: Dtype = float32


def get_default_dtype() -> Dtype:
    """The dtype that Python floats become: float32 unless it was set."""
    return _Default.dtype


def set_default_dtype(dtype: Any) -> None:
    """Let Python floats become ``dtype``.

    Raises:
        DtypeError: it is not a floating dtype.
    """
    found = as_dtype(dtype)
    if found.kind not in REAL:
        raise DtypeError("set_default_dtype needs a floating dtype.", describe(dtype=str(found)))
    _Default.dtype = found


def as_dtype(dtype: Any) -> Dtype:
    """What was given as ``dtype=``, as a NumPy dtype; Python's own are bool, int64, float64 and complex128.

    Raises:
        DtypeError: it is no dtype, or one that tensors don't have (text, objects, dates, 80 bits).
        MissingExtraError: bfloat16, without the package that has it.
    """
    if isinstance(dtype, str) and dtype == "bfloat16":
        return bfloat16()
    if isinstance(dtype, type) and dtype in _PYTHON:
        return _PYTHON[dtype]
    try:
        found: Dtype = np.dtype(dtype) if dtype is not None else _Default.dtype
    except Exception:  # a TypeError mostly; but NumPy reads texts and lists as programs of a kind
        raise DtypeError("A dtype such as tilewright.float32 is needed.", describe(dtype=dtype)) from None
    return checked(found)


def checked(dtype: Dtype) -> Dtype:
    """``dtype`` itself, if tensors have it.

    Raises:
        DtypeError: tensors don't have this dtype.
    """
    known = is_bfloat16(dtype) if dtype.kind == "V" else dtype.kind in _CATEGORY
    if not known or dtype.itemsize > (16 if dtype.kind == "c" else 8):
        raise DtypeError(
            "Tensors hold bool, integers, floats of 16, 32 or 64 bits, or complex numbers of 64 or 128.",
            describe(dtype=str(dtype)),
        )
    return dtype


def is_floating_point(input: Any) -> bool:
    """Whether a tensor or array has a floating dtype (complex ones are not)."""
    kind: str = input.dtype.kind
    return kind in REAL


def is_complex(input: Any) -> bool:
    """Whether a tensor or array holds complex numbers."""
    kind: str = input.dtype.kind
    return kind == "c"


def of_number(value: Number) -> Dtype:
    """The dtype that a Python number becomes on its own."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int64
    return _Default.dtype if isinstance(value, float) else _COMPLEX.get(_Default.dtype, complex64)


_pairs: dict[tuple[Dtype, Dtype], Dtype] = {}


def promote_types(type1: Any, type2: Any) -> Dtype:
    """The dtype that holds both: within a category the wider, else the higher category's (PyTorch's table).

    >>> promote_types(int64, float16)
    dtype('float16')
    """
    first, second = as_dtype(type1), as_dtype(type2)
    found = _pairs.get((first, second))
    if found is None:
        one, two = _CATEGORY[first.kind], _CATEGORY[second.kind]
        if first == second:
            found = first
        elif one == two and "V" in (first.kind, second.kind):
            # bfloat16 and float16 don't hold each other; float32 holds both.
            found = np.promote_types(float32, second if first.kind == "V" else first)
        elif one == two:
            found = np.promote_types(first, second)
        else:
            # NumPy widens int64 with float16 to float64; here the category decides and the width stays.
            found, lower = (first, second) if one > two else (second, first)
            if found.kind == "c" and lower == float64:
                found = complex128
        _pairs[(first, second)] = found
    return found


def promote_operands(first: Dtype, first_is_number: bool, second: Dtype, second_is_number: bool) -> Dtype:
    """The dtype of an operation on two operands; one of rank 0 widens only by its category.

    Args:
        first: dtype of the first operand.
        first_is_number: it is of rank 0.
        second: dtype of the second operand.
        second_is_number: it is of rank 0.
    """
    if first == second:
        return first
    if first_is_number == second_is_number:
        return promote_types(first, second)
    array, number = (second, first) if first_is_number else (first, second)
    if _CATEGORY[number.kind] <= _CATEGORY[array.kind]:
        return array
    return promote_types(array, number)


def promote_with_python(array: Dtype, value: Number) -> Dtype:
    """The dtype of an operation on an array (of any rank) and a Python number."""
    number = of_number(value)
    if _CATEGORY[number.kind] <= _CATEGORY[array.kind]:
        return array
    return promote_types(array, number) if number.kind == "c" else number


def result_type(tensor1: Any, tensor2: Any) -> Dtype:
    """The dtype that an operation on two tensors, arrays or Python numbers has."""
    if isinstance(tensor2, (bool, int, float, complex)):
        if isinstance(tensor1, (bool, int, float, complex)):
            return promote_types(of_number(tensor1), of_number(tensor2))
        return promote_with_python(tensor1.dtype, tensor2)
    if isinstance(tensor1, (bool, int, float, complex)):
        return promote_with_python(tensor2.dtype, tensor1)
    return promote_operands(tensor1.dtype, tensor1.ndim == 0, tensor2.dtype, tensor2.ndim == 0)


def number_as(dtype: Dtype, value: Number) -> Any:
    """A Python number as a NumPy number of ``dtype``; integers wrap around, as they do in a tensor.

    Raises:
        ArgumentError: an integer that 64 bits don't hold.
    """
    try:
        return dtype.type(value)
    except OverflowError:
        pass
    try:
        return np.asarray(value, np.int64).astype(dtype)[()]
    except OverflowError:
        raise ArgumentError("A number must fit into 64 bits.", describe(value=value)) from None


def can_hold(target: Dtype, found: Dtype) -> bool:
    """Whether a result of dtype ``found`` may be written to ``target``: its category isn't higher."""
    return _CATEGORY[found.kind] <= _CATEGORY[target.kind]


def native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in this machine's byte order."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
