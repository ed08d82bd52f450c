"""Channels laid out in space (pixel shuffle), and space in channels: each inverse and adjoint of the other.

W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
neural network", CVPR 2016.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.geometry.boxes import at
from tilewright.op import memory
from tilewright.op.arrays import check_array
from tilewright.op.pad import DTYPES

Array = npt.NDArray[Any]
Factors = tuple[int, ...]


def shuffle(x: Array, factors: Factors, *, op: str = "pixel_shuffle") -> Array:
    """(*, channels · Πf, *spatial) → (*, channels, *spatial · f), in the memory order of x.

    Raises:
        ShapeError: too few axes, or channels that the product of the factors doesn't divide.
        DtypeError: neither numbers nor bools.
    """
    lead, channels, spatial = _parts(x, factors, op)
    blocks = math.prod(factors)
    if channels % blocks:
        raise ShapeError(
            f"{op} needs a number of channels that is divisible by the product of the factors, {blocks}.",
            describe(input=x),
        )
    larger = tuple(n * f for n, f in zip(spatial, factors, strict=True))
    y = memory.empty_for(op, (*lead, channels // blocks, *larger), x.dtype, x)
    for channel, place in _phases(factors):
        y[place] = x[channel]
    return y


def unshuffle(x: Array, factors: Factors, *, op: str = "pixel_unshuffle") -> Array:
    """(*, channels, *spatial · f) → (*, channels · Πf, *spatial), in the memory order of x.

    Raises:
        ShapeError: too few axes, or sizes that the factors don't divide.
        DtypeError: neither numbers nor bools.
    """
    lead, channels, spatial = _parts(x, factors, op)
    if any(n % f for n, f in zip(spatial, factors, strict=True)):
        raise ShapeError(
            f"{op} needs spatial axes of sizes that are divisible by the factors {factors}.",
            describe(input=x),
        )
    smaller = tuple(n // f for n, f in zip(spatial, factors, strict=True))
    y = memory.empty_for(op, (*lead, channels * math.prod(factors), *smaller), x.dtype, x)
    for channel, place in _phases(factors):
        y[channel] = x[place]
    return y


def _phases(factors: Factors) -> Iterator[tuple[Any, Any]]:
    """For each place in a block: which of the many channels holds it, and where the few have it."""
    blocks = math.prod(factors)
    for number, phase in enumerate(product(*(range(f) for f in factors))):
        channel = at(..., slice(number, None, blocks), *(slice(None) for _ in factors))
        yield channel, at(..., *(slice(p, None, f) for p, f in zip(phase, factors, strict=True)))


def _parts(x: Array, factors: Factors, op: str) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Leading axes, channels and spatial axes of x."""
    check_array(x, "input", op, DTYPES)
    rank = len(factors)
    if x.ndim <= rank:
        raise ShapeError(
            f"{op} with {rank} factors needs input (*, channels, *spatial) of rank {rank + 1} or more.",
            describe(input=x),
            "One integer stands for two spatial axes; for another number of them list one integer for each.",
        )
    lead = x.ndim - rank - 1
    return x.shape[:lead], x.shape[lead], x.shape[lead + 1 :]
