"""Dropout: random elements or whole channels set to 0, the rest scaled so that the mean stays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.kernel import buffers
from tilewright.kernel.elementwise import call
from tilewright.kernel.elementwise.draws import drawn
from tilewright.kernel.elementwise.groups import GROUP
from tilewright.op import passes
from tilewright.op.arrays import FLOATS, check_array
from tilewright.op.memory import in_blocks
from tilewright.op.random import Generator, chosen

Array = npt.NDArray[Any]


def check_probability(p: Any, op: str) -> float:
    """``p`` as a float from 0 to 1.

    Raises:
        DtypeError: it is no number.
        ArgumentError: it lies outside.
    """
    if isinstance(p, bool) or not isinstance(p, (int, float, np.floating, np.integer)):
        raise DtypeError(f"{op} needs p to be a number.", describe(p=p))
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{op} needs p, the probability of a 0, from 0 to 1.", describe(p=p))
    return float(p)


def kept(shape: tuple[int, ...], p: float, generator: Generator | None = None) -> Array:
    """A bool array of ``shape``, each element False with probability p on its own."""
    return chosen(generator).keep(shape, 1.0 - p)


@dataclass(frozen=True)
class Kept:
    """Which elements of an array dropout kept: one bit for each, in C order.

    Attributes:
        shape: of the array.
        bits: uint64; the first element has the lowest bit of the first number.
    """

    shape: tuple[int, ...]
    bits: Array

    def mask(self) -> Array:
        """The same as a bool array of the shape."""
        bytes = self.bits.astype("<u8", copy=False).view(np.uint8)
        count = math.prod(self.shape)
        return np.unpackbits(bytes, count=count, bitorder="little").view(np.bool_).reshape(self.shape)


def dropped(x: Array, p: float, key: tuple[int, int], op: str = "dropout") -> tuple[Array, Kept]:
    """:func:`drop` of elements drawn one by one, and which they were.

    Args:
        x: float32 or float64 array.
        p: the probability of a 0, on its own for each element; exact to 2⁻¹⁷.
        key: two words of 64 random bits, which decide everything: the place of an element among the others
            (in C order) then decides about it, whatever processor and however many threads there are.
        op: the name for messages.
    """
    check_array(x, "input", op, FLOATS)
    draw = (round((1.0 - p) * 65536), *key)
    kept = Kept(x.shape, buffers.empty(-(-x.size // GROUP), np.uint64))
    if not passes.serves(x):
        kept.bits[...] = drawn(kept.bits.size, draw)
    elif x.flags.c_contiguous and x.flags.aligned:
        y = buffers.empty(x.shape, x.dtype)
        call.dropped(x, y, kept.bits, scale_of(x, p), draw)
        return y, kept
    else:
        call.drawn(kept.bits, x.size, draw)
    return in_blocks(_drop, x, kept.mask(), scale_of(x, p)), kept


def drop(x: Array, keep: Array | Kept, p: float, op: str = "dropout") -> Array:
    """Gives x / (1 − p) where ``keep`` holds and 0 · x elsewhere (NaN stays NaN, as in PyTorch).

    Args:
        x: float32 or float64 array.
        keep: bool array that broadcasts to the shape of x, or what :func:`dropped` kept.
        p: the probability with which ``keep`` was drawn; 1 gives zeros.
        op: the name for messages.
    """
    check_array(x, "input", op, FLOATS)
    if isinstance(keep, Kept):
        if x.flags.c_contiguous and x.flags.aligned and passes.serves(x):
            y = buffers.empty(x.shape, x.dtype)
            call.dropped(x, y, keep.bits, scale_of(x, p))
            return y
        keep = keep.mask()
    return in_blocks(_drop, x, keep, scale_of(x, p))


def scale_of(x: Array, p: float) -> Any:
    """What kept elements of x are multiplied by, as a number of its dtype."""
    return x.dtype.type(0.0 if p == 1.0 else 1.0 / (1.0 - p))


def _drop(out: Array, x: Array, keep: Array, scale: Any) -> None:
    np.copyto(out, keep)
    np.multiply(out, scale, out=out)
    np.multiply(x, out, out=out)
