"""What a filter may be given as, checked and brought into terms of the image's rank."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.image.borders import check_pixels
from tilewright.image.terms import Term, passes_pay
from tilewright.op.separable import factors
from tilewright.plan.precision import mode as precision_mode

Array = npt.NDArray[Any]

# Vectors of weights up to this stay finite as float32, too.
_LARGEST = 1e30


def dense_term(kernel: Array, origins: Sequence[int], flip: bool) -> Term:
    """The term of a kernel of the image's rank; one that is a product of two vectors runs in passes."""
    befores = befores_of(kernel.shape, origins, flip)
    if flip:
        kernel = np.flip(kernel)
    vectors = _vectors_of(kernel)
    if vectors is not None:
        return Term(None, vectors, befores, kernel.shape)
    return Term(kernel, (), befores, kernel.shape)


def _vectors_of(kernel: Array) -> tuple[tuple[int, Array], ...] | None:
    """The vectors of a kernel that is their product, as far as float64 can tell; None if passes don't pay."""
    if kernel.ndim != 2 or not passes_pay(*kernel.shape) or precision_mode() == "exact":
        return None
    found = factors(kernel[np.newaxis, np.newaxis])
    if found is None:
        return None
    across, along = (vector.ravel() for vector in found)
    # By a power of two, which rounds nothing: what is summed along lines is no larger than the image.
    scale = 2.0 ** np.ceil(np.log2(max(float(np.abs(along).sum()), 1.0)))
    if float(np.abs(across).max()) * scale > _LARGEST:
        return None
    return ((0, across * scale), (1, along / scale))


def product_term(vectors: Sequence[tuple[int, Array]], rank: int, origins: Sequence[int], flip: bool) -> Term:
    """The term of a product of vectors, each along an axis of its own; a vector of one 1 is left out."""
    sizes = [1] * rank
    for axis, vector in vectors:
        sizes[axis] = vector.size
    befores = befores_of(sizes, origins, flip)
    kept = tuple(
        (axis, vector[::-1] if flip else vector)
        for axis, vector in sorted(vectors, key=operator.itemgetter(0))
        if vector.size > 1 or vector[0] != 1
    )
    return Term(None, kept, befores, tuple(sizes))


def befores_of(sizes: Sequence[int], origins: Sequence[int], flip: bool) -> tuple[int, ...]:
    """Taps before the one that an output stands at, as in SciPy: the middle one, plus the origin.

    Of a flipped kernel, its middle one (the right one of two) stays where it is.
    """
    if not flip:
        return tuple(size // 2 + origin for size, origin in zip(sizes, origins, strict=True))
    return tuple(size - 1 - (size // 2 + origin) for size, origin in zip(sizes, origins, strict=True))


def check_kernel(kernel: Any, op: str, name: str = "kernel") -> Array:
    """A kernel as an array of float64.

    Raises:
        DtypeError: it holds something else than numbers.
        ShapeError: it is empty.
    """
    if isinstance(kernel, (str, bytes)) or kernel is None:
        raise DtypeError(f"{op} needs {name} to be an array of numbers.", describe(**{name: kernel}))
    array = check_pixels(kernel, name, op)
    if array.size == 0:
        raise ShapeError(f"{op} needs {name} to have an element on every axis.", describe(**{name: array}))
    return array.astype(np.float64)


def check_origins(origin: Any, sizes: Sequence[int], op: str) -> tuple[int, ...]:
    """The origin of every axis, within the kernel.

    Raises:
        DtypeError: it is no integer.
        ShapeError: a wrong number of them.
        ArgumentError: one outside the kernel.
    """
    origins = per_axis(origin, len(sizes), op, "origin")
    for one, size in zip(origins, sizes, strict=True):
        if not 0 <= size // 2 + one < size:
            raise ArgumentError(
                f"{op} needs origin to keep the output within a kernel of {size}: between {-(size // 2)} and "
                f"{(size - 1) // 2}.",
                describe(origin=origin),
            )
    return origins


def per_axis(value: Any, rank: int, op: str, name: str) -> tuple[int, ...]:
    """An integer for every axis, of one or as many.

    Raises:
        DtypeError: it is no integer, or a sequence of something else.
        ShapeError: a wrong number of them.
    """
    if _is_integer(value):
        return (int(value),) * rank
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes)):
        found = list(value)
        if all(_is_integer(one) for one in found):
            if len(found) != rank:
                raise ShapeError(
                    f"{op} needs {name} to be an integer, or one for each of {rank} spatial axes.",
                    describe(**{name: value}),
                )
            return tuple(int(one) for one in found)
    raise DtypeError(f"{op} needs {name} to be an integer, or one for each axis.", describe(**{name: value}))


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
