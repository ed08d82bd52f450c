"""Where an array's first element lies, found quickly.

NumPy's own ways (``array.ctypes.data``, ``__array_interface__``) build objects and take a microsecond, four
times in each small convolution. The pointer itself is the first word behind the object's head, in every NumPy
since 1.0 (``PyArrayObject_fields.data``); reading it takes a tenth of that. Whether that holds for this
interpreter is tried once, on import.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Bytes of an object's head: reference count and type, and more in some builds.
_HEAD = object.__basicsize__
_word_at = ctypes.c_size_t.from_address


def _slowly(array: Array) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def _quickly(array: Array) -> int:
    return _word_at(id(array) + _HEAD).value


def _chosen() -> Callable[[Array], int]:
    probe = np.arange(7.0)[3:]
    try:
        return _quickly if _quickly(probe) == _slowly(probe) else _slowly
    except Exception:  # another interpreter, where an id is no address
        return _slowly


#: The address of an array's first element.
address: Callable[[Array], int] = _chosen()
