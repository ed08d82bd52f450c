"""Dropout: random elements or whole channels set to 0, the rest scaled so that the mean stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, describe
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


def drop(x: Array, keep: Array, p: float, op: str = "dropout") -> Array:
    """Gives x / (1 − p) where ``keep`` holds and 0 · x elsewhere (NaN stays NaN, as in PyTorch).

    Args:
        x: float32 or float64 array.
        keep: bool array that broadcasts to the shape of x.
        p: the probability with which ``keep`` was drawn; 1 gives zeros.
        op: the name for messages.
    """
    one = check_array(x, "input", op, FLOATS).dtype.type
    scale = one(0.0) if p == 1.0 else one(1.0 / (1.0 - p))
    return in_blocks(_drop, x, keep, scale)


def _drop(out: Array, x: Array, keep: Array, scale: Any) -> None:
    np.copyto(out, keep)
    np.multiply(out, scale, out=out)
    np.multiply(x, out, out=out)
