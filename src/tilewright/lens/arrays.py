"""Checks of the arrays that come in to be drawn, shared by all drawings: one message for one mistake."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

# Axes add margins to the distance of the largest value from the smallest, and that must not overflow.
LARGEST_PLOTTED = 1e300

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def real(function: str, name: str, values: Any) -> npt.NDArray[Any]:
    """``values`` as an array of real numbers, of whatever type they are; not a copy where it already is one.

    Raises:
        DtypeError: when the values are not real numbers.
        ShapeError: when they are lists of unequal lengths.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{function} needs {name} as one rectangular array.",
            describe(**{name: values}),
            "Make its rows equally long.",
        ) from error
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"{function} needs {name} made of real numbers.", describe(**{name: array}))
    return array


def numbers(function: str, name: str, values: Any, axes: dict[int, str]) -> Floats:
    """``values`` as a new float64 array of an allowed rank.

    Args:
        function: who asks, for the message.
        name: what the caller calls the array.
        values: anything ``numpy.asarray`` takes.
        axes: the allowed ranks and what their axes mean, such as ``{3: "(channels, height, width)"}``.

    Raises:
        DtypeError: when the values are not real numbers.
        ShapeError: when the rank is not allowed or the array is empty.
    """
    array = real(function, name, values)
    if array.ndim not in axes:
        wanted = " or ".join(f"{rank} {meaning}" for rank, meaning in sorted(axes.items(), reverse=True))
        raise ShapeError(f"{function} needs {name} of rank {wanted}.", describe(**{name: array}))
    if array.size == 0:
        raise ShapeError(f"{function} needs {name} with at least one value.", describe(**{name: array}))
    return array.astype(np.float64)


def finite(function: str, name: str, array: Floats) -> Floats:
    """``array``, refused when a value in it is NaN or infinite.

    Raises:
        ArgumentError: naming how many values are not finite and where the first of them is.
    """
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise ArgumentError(
            f"{function} needs every value of {name} to be finite.",
            f"{int(wrong.sum())} of {array.size} values not finite, the first at index {first}",
        )
    return array


def plottable(function: str, name: str, array: Floats) -> Floats:
    """``array``, refused when an axis that holds it would have a length that is no float64.

    Raises:
        ArgumentError: when a finite value lies beyond 1e300.
    """
    if reach(array) > LARGEST_PLOTTED:
        raise ArgumentError(
            f"{function} plots values of {name} up to 1e300.", f"a value of magnitude {reach(array):.3g}"
        )
    return array


def labels(function: str, name: str, values: Any, length: int, classes: int) -> Integers:
    """``values`` as class numbers: one per sample, each naming one of ``classes``.

    Raises:
        DtypeError: when they are not integers.
        ShapeError: when there are not ``length`` of them in one row.
        ArgumentError: when one names no class.
    """
    array = np.asarray(values)
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)  # an empty list says nothing about its type
    if array.dtype.kind not in "iu":
        raise DtypeError(
            f"{function} needs {name} made of integers, the class numbers.", describe(**{name: array})
        )
    if array.shape != (length,):
        raise ShapeError(
            f"{function} needs {name} of shape ({length},), one per sample.", describe(**{name: array})
        )
    if length and not 0 <= int(array.min()) <= int(array.max()) < classes:
        outside = next(int(value) for value in array if not 0 <= int(value) < classes)
        raise ArgumentError(
            f"{function} needs {name} between 0 and {classes - 1}.", describe(**{name: outside})
        )
    return array.astype(np.int64)


def class_names(function: str, classes: Sequence[str]) -> list[str]:
    """The names of the classes as text, at least one of them.

    Raises:
        ArgumentError: when there is none.
    """
    names = [str(name) for name in classes]
    if not names:
        raise ArgumentError(
            f"{function} needs the name of at least one class.", describe(classes=list(classes))
        )
    return names


def reach(array: Floats) -> float:
    """The largest finite magnitude, or 1.0 where all is zero: half of a scale centred at zero."""
    largest = float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
    return largest if largest > 0 else 1.0


def span(array: Floats) -> tuple[float, float]:
    """The smallest and largest finite value, pulled apart where equal, so that a scale has a length."""
    inside = array[np.isfinite(array)]
    if inside.size == 0:
        return 0.0, 1.0
    low, high = float(inside.min()), float(inside.max())
    return (low, high) if high > low else (low, low + max(1.0, abs(low)))


def has_marked(*arrays: Floats) -> bool:
    """True when a value in one of the arrays is not finite, and will be drawn in the marked colour."""
    return any(not np.isfinite(array).all() for array in arrays)


def short(value: float, digits: int = 3) -> str:
    """A number for a label: ``digits`` significant figures, but whole numbers in full; a proper minus sign.

    >>> short(0.012345), short(-12345.6), short(1.5e-7)
    ('0.0123', '−12,346', '1.5e−7')
    """
    if not np.isfinite(value):
        return "not finite"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    # A thousandth to a million is read without counting zeros.
    if value == 0 or -3 <= power < 6:
        text = f"{value:,.{max(0, digits - 1 - power)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}e{power}"
    return text.replace("-", "−")


def tick_labels(values: Sequence[float]) -> list[str]:
    """A label for each of the evenly spaced ``values``, with the figures it takes to tell them apart rightly.

    >>> tick_labels([99.95, 100.0, 100.05])
    ['99.95', '100', '100.05']
    """
    if len(values) < 2:
        return [short(value) for value in values]
    # Evenly spaced ticks on a linear axis; on a logarithmic one the closest two decide.
    spacing = min(abs(b - a) for a, b in itertools.pairwise(sorted(values)))
    digits = 3
    # A rounding of a thousandth of the spacing can't be seen; float64 has no more than 16 figures to show.
    while digits < 16 and any(abs(float(f"{v:.{digits - 1}e}") - v) > spacing / 1000 for v in values):
        digits += 1
    return [short(value, digits) for value in values]
