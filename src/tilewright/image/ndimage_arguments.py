"""What the functions with SciPy's names have in common: their arguments, and SciPy's way with integers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.image.borders import CONSTANT, check_border, check_cval, check_pixels
from tilewright.image.correlating import Outside, Term
from tilewright.image.filtering import check_dtype, dtype_of, filtered
from tilewright.kernel import buffers

Array = npt.NDArray[Any]

# A sum that is whole but for roundings (a flat image under a Gaussian) must not fall to the next lower
# number: they are some 2⁻⁵² each, and fewer than 2¹² of them add up.
_NUDGE = 2.0**-40


def check_input(input: Any, op: str) -> Array:
    """The image.

    Raises:
        DtypeError: something that can't be filtered.
        ShapeError: it has no axis.
    """
    array = check_pixels(input, "input", op)
    if array.ndim == 0:
        raise ShapeError(f"{op} needs an input with an axis.", describe(input=array))
    return array


def make_output(output: Any, array: Array, op: str) -> Array:
    """Where the result goes: a new array, of the input's dtype or the one that is named, or the one given.

    Raises:
        DtypeError: no dtype, or an array of something else.
        ShapeError: an array of another shape.
        ArgumentError: an array that can't be written to.
    """
    if output is None:
        return buffers.empty(array.shape, array.dtype)
    if not isinstance(output, np.ndarray):
        return buffers.empty(array.shape, check_dtype(output, op, "output"))
    if output.shape != array.shape:
        raise ShapeError(f"{op} needs an output of the input's shape {array.shape}.", describe(output=output))
    check_dtype(output.dtype, op, "output")
    if not output.flags.writeable:
        raise ArgumentError(f"{op} needs an output that can be written to.", describe(output=output))
    return output


def check_axes(axes: Any, rank: int, op: str) -> tuple[int, ...]:
    """The axes that are filtered, counted from the first.

    Raises:
        DtypeError: no integers.
        ArgumentError: one that isn't the input's, or one twice.
    """
    if axes is None:
        return tuple(range(rank))
    found = (axes,) if _is_integer(axes) else axes
    if isinstance(found, (str, bytes)) or not isinstance(found, (Sequence, np.ndarray)):
        raise DtypeError(f"{op} needs axes to be integers or None.", describe(axes=axes))
    if not all(_is_integer(one) for one in found):
        raise DtypeError(f"{op} needs axes to be integers or None.", describe(axes=axes))
    numbers = [operator.index(one) for one in found]
    if any(not -rank <= one < rank for one in numbers) or len({one % rank for one in numbers}) < len(numbers):
        raise ArgumentError(f"{op} needs axes of the input's {rank}, each but once.", describe(axes=axes))
    return tuple(one % rank for one in numbers)


def check_one_axis(axis: Any, rank: int, op: str) -> int:
    """An axis, counted from the first.

    Raises:
        DtypeError: no integer.
        ArgumentError: not one of the input's.
    """
    if not _is_integer(axis):
        raise DtypeError(f"{op} needs axis to be an integer.", describe(axis=axis))
    if not -rank <= axis < rank:
        raise ArgumentError(f"{op} needs axis to be one of the input's {rank}.", describe(axis=axis))
    return int(axis) % rank


def per_axis(value: Any, count: int, op: str, name: str) -> list[Any]:
    """One value for each axis, of one or as many.

    Raises:
        ShapeError: a wrong number of them.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        return [value] * count
    found = list(value) if not isinstance(value, np.ndarray) or value.ndim else [value.item()] * count
    if len(found) != count:
        raise ShapeError(
            f"{op} needs one {name}, or one for each of {count} axes.", describe(**{name: value})
        )
    return found


def outsides(mode: Any, cval: Any, count: int, op: str) -> list[Outside]:
    """The border of each axis.

    Raises:
        ArgumentError: an unknown mode.
        DtypeError: a cval that is no number.
        ShapeError: a wrong number of modes.
    """
    value = check_cval(cval, op)
    return [Outside(check_border(one, op, "mode"), value) for one in per_axis(mode, count, op, "mode")]


def run(array: Array, term: Term, output: Array, outside: Outside, divisor: int = 1) -> Array:
    """Writes one term, divided by a number, into ``output``, which may be the input itself.

    Integers are computed in float64 and cut off towards zero, as SciPy does.
    """
    wanted = output.dtype
    computed, put = dtype_of(array.dtype, wanted, [term], outside), None
    if wanted.kind in "biu":
        computed, put = np.dtype(np.float64), partial(_cut_off, divisor=divisor)
    elif array.dtype.kind in "iu" and array.dtype.itemsize > 1:
        computed = np.dtype(np.float64)
    if divisor != 1 and put is None:
        put = partial(_divided, divisor=divisor)
    if np.may_share_memory(array, output) or not output.dtype.isnative:
        output[...] = filtered(array, [term], None, wanted.newbyteorder("="), outside, computed, None, put)
    else:
        filtered(array, [term], None, wanted, outside, computed, output, put)
    return output


def fits_product(terms_outside: Sequence[Outside], sums: Sequence[float], op_on_whole: bool) -> bool:
    """Whether passes along several axes may be taken as one product.

    SciPy fills in the same constant before every pass; as a product it goes through them like the image. And
    it cuts integers off after every pass, which the product does once (``op_on_whole``: that is the same).
    """
    first = terms_outside[0]
    if any(one.border != first.border for one in terms_outside) or not op_on_whole:
        return False
    return first.border != CONSTANT or first.cval == 0 or all(abs(one - 1) < 1e-12 for one in sums)


def _divided(values: Array, out: Array, divisor: int) -> None:
    with np.errstate(all="ignore"):
        values /= divisor
        np.copyto(out, values, casting="same_kind")


def _cut_off(values: Array, out: Array, divisor: int) -> None:
    """Whole numbers towards zero, those beyond the range wrapped round; bools: anything but zero."""
    with np.errstate(all="ignore"):
        if divisor != 1:
            values /= divisor
        values += np.copysign(np.maximum(np.abs(values), 1) * _NUDGE, values)
        np.trunc(values, out=values)
        if out.dtype.kind == "b":
            np.not_equal(values, 0, out=out)
            return
        if np.isnan(values).any():
            np.nan_to_num(values, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
        if out.dtype == np.uint64:
            large = values >= 2.0**63
            whole = np.clip(values, -(2.0**63), np.nextafter(2.0**63, 0)).astype(np.int64).astype(np.uint64)
            whole[large] = np.minimum(values[large], np.nextafter(2.0**64, 0)).astype(np.uint64)
            np.copyto(out, whole)
            return
        whole = np.clip(values, -(2.0**63), np.nextafter(2.0**63, 0)).astype(np.int64)
        np.copyto(out, whole, casting="unsafe")


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
