"""Arrays that end (or begin) right at unreadable memory, so that one element too far crashes the test."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

_PAGE = mmap.PAGESIZE
_NONE, _READ_WRITE = 0, mmap.PROT_READ | mmap.PROT_WRITE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def _protect(address: int, length: int, protection: int) -> None:
    if _libc.mprotect(address, length, protection):
        raise OSError(ctypes.get_errno(), "mprotect")


class _Region(mmap.mmap):
    """Anonymous memory whose guard pages become writable again before it is given back."""


def guarded(array: np.ndarray[Any, Any], side: str = "end") -> np.ndarray[Any, Any]:
    """A copy of ``array`` with an unreadable page right after its last element (or before its first)."""
    body = -(-max(array.nbytes, 1) // _PAGE) * _PAGE
    region = _Region(-1, body + 2 * _PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(region))
    _protect(address, _PAGE, _NONE)
    _protect(address + _PAGE + body, _PAGE, _NONE)
    offset = _PAGE + (body - array.nbytes if side == "end" else 0)
    placed = np.ndarray(array.shape, array.dtype, buffer=region, offset=offset)
    placed[...] = array
    return placed
