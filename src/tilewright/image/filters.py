"""What a filter is: arrays, and what they are called and where they come from."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

Array = npt.NDArray[Any]
#: A kernel, or vectors, one for every axis, whose product is one.
Part = Array | tuple[Array, ...]

# Taps of one axis, and of a kernel: more than any picture has pixels along an edge, and less memory than a
# slip of the finger (a sigma in the wrong unit) may ask for.
_TAPS = 1 << 20
_KERNEL = 1 << 24


@dataclass(frozen=True, eq=False)
class Filter:
    """A linear filter as arrays: a sum of kernels, some of which are products of a vector for each axis.

    Attributes:
        name: what :func:`named` calls it.
        parts: what is added up. Each is a kernel, or a tuple of vectors, one for every axis, whose outer
            product is the kernel and which are applied one after the other. All are read-only, of float64.
        source: one sentence: the formula, and who it is due to.
        signed: whether the result of an image without negative numbers may be negative: it then needs a
            signed dtype to be seen whole.

    >>> import tilewright as tw
    >>> sobel = tw.image.named("sobel", axis=1)
    >>> sobel.kernel
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    >>> sobel.signed, sobel.is_separable
    (True, True)
    """

    name: str
    parts: tuple[Part, ...]
    source: str
    signed: bool

    def __post_init__(self) -> None:
        kept = tuple(
            _read_only(part) if isinstance(part, np.ndarray) else tuple(_read_only(one) for one in part)
            for part in self.parts
        )
        object.__setattr__(self, "parts", kept)

    @property
    def rank(self) -> int:
        """The number of its axes."""
        part = self.parts[0]
        return part.ndim if isinstance(part, np.ndarray) else len(part)

    @property
    def is_separable(self) -> bool:
        """Whether it is one product of vectors."""
        return len(self.parts) == 1 and not isinstance(self.parts[0], np.ndarray)

    @property
    def size(self) -> tuple[int, ...]:
        """Taps along each axis."""
        sizes = [
            part.shape if isinstance(part, np.ndarray) else [one.size for one in part] for part in self.parts
        ]
        return tuple(max(some) for some in zip(*sizes, strict=True))

    @property
    def kernel(self) -> Array:
        """The whole filter as one array.

        Raises:
            ArgumentError: it would have more than 2²⁴ taps.
        """
        size = self.size
        check_taps(size, f"the kernel of {self.name}")
        total = np.zeros(size)
        for part in self.parts:
            whole = part if isinstance(part, np.ndarray) else outer(part)
            # Smaller parts have the same centre.
            place = tuple(
                slice(large // 2 - small // 2, large // 2 - small // 2 + small)
                for large, small in zip(size, whole.shape, strict=True)
            )
            total[place] += whole
        return total

    def __repr__(self) -> str:
        size = "×".join(str(one) for one in self.size)
        return f"Filter({self.name!r}, {size}, signed={self.signed})"


def outer(vectors: Sequence[Array]) -> Array:
    """The outer product of vectors, one axis for each.

    >>> import numpy as np
    >>> outer([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([[3., 4.],
           [6., 8.]])
    """
    product = np.ones((1,) * len(vectors))
    for axis, vector in enumerate(vectors):
        product = product * vector.reshape(tuple(-1 if one == axis else 1 for one in range(len(vectors))))
    return product


def _read_only(array: Array) -> Array:
    kept = np.array(array, np.float64)
    kept.setflags(write=False)
    return kept


# -- parameters


def check_number(
    value: Any,
    name: str,
    op: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
) -> float:
    """A finite number within limits.

    Raises:
        DtypeError: no real number.
        ArgumentError: NaN, infinite, or outside the limits.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise DtypeError(f"{op} needs {name} to be a number.", describe(**{name: value}))
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or not above < found < below or found < least:
        limits = [f"above {above:g}"] if above > -math.inf else []
        limits += [f"of {least:g} or more"] if least > -math.inf else []
        limits += [f"below {below:g}"] if below < math.inf else []
        words = " and ".join(limits)
        raise ArgumentError(
            f"{op} needs {name} to be a finite number{' ' + words if words else ''}.",
            describe(**{name: value}),
        )
    return found


def check_integer(value: Any, name: str, op: str, *, least: int, most: int) -> int:
    """An integer within limits.

    Raises:
        DtypeError: no integer.
        ArgumentError: outside the limits.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise DtypeError(f"{op} needs {name} to be an integer.", describe(**{name: value}))
    if not least <= value <= most:
        raise ArgumentError(f"{op} needs {name} to be between {least} and {most}.", describe(**{name: value}))
    return operator.index(value)


def check_rank(rank: Any, op: str, *, exactly: int | None = None) -> int:
    """The number of spatial axes; NumPy has at most 32 or 64, a batch and channels among them.

    Raises:
        DtypeError: no integer.
        ArgumentError: outside the limits, or another one than the filter has.
    """
    found = check_integer(rank, "rank", op, least=1, most=30)
    if exactly is not None and found != exactly:
        raise ArgumentError(f"{op} is a filter of {exactly} spatial axes.", describe(rank=rank))
    return found


def check_axis(axis: Any, rank: int, op: str) -> int:
    """An axis, counted from the first.

    Raises:
        DtypeError: no integer.
        ArgumentError: not one of the filter's.
    """
    return check_integer(axis, "axis", op, least=-rank, most=rank - 1) % rank


def each_axis(value: Any, name: str, rank: int, op: str) -> tuple[Any, ...]:
    """One value for each axis, of one or as many.

    Raises:
        ShapeError: a wrong number of them.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        return (value,) * rank
    found = tuple(value) if not isinstance(value, np.ndarray) or value.ndim else (value.item(),) * rank
    if len(found) != rank:
        raise ShapeError(f"{op} needs one {name}, or one for each of {rank} axes.", describe(**{name: value}))
    return found


def check_taps(size: Sequence[int], op: str) -> None:
    """Refuse kernels that nobody means.

    Raises:
        ArgumentError: too many taps.
    """
    if max(size) > _TAPS or math.prod(size) > _KERNEL:
        raise ArgumentError(
            f"{op} needs at most {_TAPS} taps along an axis, and {_KERNEL} in all.",
            f"{' × '.join(str(one) for one in size)} taps",
        )


def check_vector(taps: float, op: str) -> None:
    """Refuse vectors that nobody means.

    Raises:
        ArgumentError: too many taps.
    """
    if taps > _TAPS:
        raise ArgumentError(f"{op} needs at most {_TAPS} taps along an axis.", f"{taps:.0f} taps")
