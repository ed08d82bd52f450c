"""What the functions and classes of this package ask of plain arguments: paths, names, numbers, data sets."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.geometry.axes import as_integer

# A count or a number of bytes beyond this is a slip of the pen.
_MOST = 2**62


def as_path(value: Any, name: str, owner: str) -> str:
    """A path as text.

    Raises:
        DtypeError: it is neither a text nor an ``os.PathLike`` of one.
        ArgumentError: it is empty.
    """
    found = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(found, str):
        raise DtypeError(
            f"{owner} needs {name} to be a path, a str or os.PathLike.", describe(**{name: value})
        )
    if not found or "\0" in found:
        raise ArgumentError(f"{owner} needs {name} to be the path of something.", describe(**{name: value}))
    return found


def as_name(value: Any, name: str, owner: str) -> str:
    """A text.

    Raises:
        DtypeError: it is none.
    """
    if not isinstance(value, str):
        raise DtypeError(f"{owner} needs {name} to be a text.", describe(**{name: value}))
    return str(value)


def is_one_of(value: Any, choices: tuple[Any, ...]) -> bool:
    """Whether ``value`` is one of a few texts or whole numbers. No array is any of them, nor is True 1."""
    is_plain = isinstance(value, (str, int, np.integer)) and not isinstance(value, bool)
    return is_plain and value in choices


def as_bytes(value: Any, owner: str) -> int:
    """``max_bytes`` as an integer of at least 0.

    Raises:
        ArgumentError: it is none.
    """
    return as_integer(value, "max_bytes", owner, least=0)


def as_count(value: Any, name: str, owner: str, most: int = _MOST) -> int:
    """A whole number from 0 to ``most``.

    Raises:
        ArgumentError: it is none.
    """
    number = as_integer(value, name, owner, least=0)
    if number > most:
        raise ArgumentError(f"{owner} needs {name} to be at most {most}.", describe(**{name: value}))
    return number


def finite(value: Any, name: str, owner: str) -> float:
    """A finite number, as a float.

    Raises:
        ArgumentError: it is none.
    """
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:  # an integer that no float holds
        number = math.inf
    if not math.isfinite(number):
        raise ArgumentError(f"{owner} needs {name} to be a finite number.", describe(**{name: value}))
    return number


def length_of(dataset: Any, owner: str) -> int:
    """How many samples a data set has.

    Raises:
        ArgumentError: it is no data set: it has no length, or no samples by number.
    """
    if not isinstance(dataset, (type, str, bytes)) and hasattr(dataset, "__getitem__"):
        try:
            return len(dataset)
        except TypeError:  # no __len__, or an array of rank 0
            pass
    raise ArgumentError(f"{owner} needs a data set with __len__ and __getitem__.", describe(dataset=dataset))


def as_list(value: Any, name: str, of: str, owner: str) -> list[Any]:
    """The entries of a list, an array or anything else that can be walked through, except a text.

    Raises:
        ArgumentError: it can't be.
    """
    if not isinstance(value, (type, str, bytes)):
        try:
            return list(value)
        except TypeError:  # no __iter__, or an array of rank 0
            pass
    raise ArgumentError(f"{owner} needs {name} to be a list of {of}.", describe(**{name: value}))
