"""Rank filters under SciPy's names: median, minimum, maximum, percentile, and any rank.

A window's samples stand in order of size, and the one at a place in that order is taken. So a single wild
value never reaches the result, where a mean would spread it over the window: the filters for salt and pepper.

Results are those of ``scipy.ndimage``, to the bit, for all dtypes, borders, footprints and origins that it
takes; int64 and uint64 are compared as integers here (SciPy compares them as float64). NaN, of which SciPy
says that anything may happen, counts as larger than every number: a NaN or two in the window of a median
move it by a place, and a minimum passes over them.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.image.borders import (
    check_border,
    check_continued,
    check_cval,
    check_pixels,
    stored_value,
)
from tilewright.image.gathering import gather
from tilewright.image.rank_blocks import extreme_of_box, of_rank

Array = npt.NDArray[Any]

# Elements of a padded block of rows: with what is computed from them they stay in the cache nearest to the
# processor's cores, and the memory in use doesn't grow with the image.
_BLOCK = 2**18
# A window that nobody means: 256 × 256, each of whose samples is named in the course of sorting them.
_MOST_SAMPLES = 2**16


def median_filter(
    image: Any,
    size: Any = 3,
    footprint: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """The median of each window. Of an even number of samples, the larger one of the two in the middle.

    Args:
        image: any rank; bools, integers, float16, float32 or float64.
        size: of the window, an integer or one per axis; not looked at when there is a footprint.
        footprint: array of the image's rank, true where the window has a sample.
        mode: what stands beyond the edges: ``reflect``, ``mirror``, ``nearest``, ``wrap`` or ``constant``.
        cval: the constant; integers take it without its fraction, and clipped.
        origin: by how much the window is moved towards the start, an integer or one per axis.
        axes: the axes to filter along, such as (0, 1) of a picture with channels last; None: all of them.
            ``size``, ``footprint`` and ``origin`` are then for these.

    Returns:
        An array of the image's shape and dtype.

    Raises:
        ShapeError: a footprint of another rank, or an axis without samples beside a border that isn't
            constant.
        ArgumentError: a size under 1, a window of over 65,536 samples, an unknown mode, an origin outside the
            window, axes that aren't there, or a footprint without a sample.
        DtypeError: not an array of those dtypes, or an argument of another type.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.median_filter(np.array([1, 2, 99, 4, 5]), size=3)
    array([1, 2, 4, 5, 5])
    """
    window = _Window("median_filter", image, size, footprint, mode, cval, origin, axes)
    return window.filtered(window.count // 2)


def minimum_filter(
    image: Any,
    size: Any = 3,
    footprint: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """The smallest sample of each window. Arguments and errors as of :func:`median_filter`.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.minimum_filter(np.array([3, 1, 4, 1, 5]), size=3)
    array([1, 1, 1, 1, 1])
    """
    return _Window("minimum_filter", image, size, footprint, mode, cval, origin, axes).filtered(0)


def maximum_filter(
    image: Any,
    size: Any = 3,
    footprint: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """The largest sample of each window. Arguments and errors as of :func:`median_filter`.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.maximum_filter(np.array([3, 1, 4, 1, 5]), size=3)
    array([3, 4, 4, 5, 5])
    """
    window = _Window("maximum_filter", image, size, footprint, mode, cval, origin, axes)
    return window.filtered(window.count - 1)


def rank_filter(
    image: Any,
    rank: int,
    size: Any = 3,
    footprint: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """The sample of a rank in each window: 0 is the smallest, −1 the largest.

    Other arguments and errors as of :func:`median_filter`; a rank that the window doesn't have is an
    ArgumentError.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.rank_filter(np.array([3, 1, 4, 1, 5]), 1, size=3)
    array([3, 3, 1, 4, 5])
    """
    window = _Window("rank_filter", image, size, footprint, mode, cval, origin, axes)
    if isinstance(rank, (bool, np.bool_)) or not isinstance(rank, (int, np.integer)):
        raise DtypeError("rank_filter needs rank to be an integer.", describe(rank=rank))
    if not -window.count <= rank < window.count:
        raise ArgumentError(
            f"rank_filter needs rank to be from {-window.count} to {window.count - 1} for a window of "
            f"{window.count} samples.",
            describe(rank=rank),
        )
    return window.filtered(int(rank) % window.count)


def percentile_filter(
    image: Any,
    percentile: float,
    size: Any = 3,
    footprint: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """The sample at a percentile of each window: 0 is the smallest, 100 the largest, −20 the same as 80.

    Of n samples in order it is the one at place ⌊n · percentile / 100⌋, counted from 0. Other arguments and
    errors as of :func:`median_filter`; a percentile outside −100 … 100 is an ArgumentError.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.percentile_filter(np.array([3, 1, 4, 1, 5]), 100, size=3)
    array([3, 4, 4, 5, 5])
    """
    op = "percentile_filter"
    window = _Window(op, image, size, footprint, mode, cval, origin, axes)
    if isinstance(percentile, (bool, np.bool_)) or not isinstance(
        percentile, (int, float, np.integer, np.floating)
    ):
        raise DtypeError(f"{op} needs percentile to be a number.", describe(percentile=percentile))
    if not -100 <= percentile <= 100:
        raise ArgumentError(f"{op} needs percentile to be from -100 to 100.", describe(percentile=percentile))
    share = float(percentile) if percentile >= 0 else float(percentile) + 100
    place = int(window.count * share / 100)
    return window.filtered(min(place, window.count - 1))


class _Window:
    """What a rank filter was asked for, checked."""

    def __init__(
        self, op: str, image: Any, size: Any, footprint: Any, mode: Any, cval: Any, origin: Any, axes: Any
    ) -> None:
        self.image = check_pixels(image, "image", op)
        self.border = check_border(mode, op, "mode")
        value = check_cval(cval, op)
        kind = self.image.dtype.kind
        # SciPy's integers lose the fraction of the constant, where filters that compute round it.
        self.cval = stored_value(
            math.trunc(value) if kind in "iu" and math.isfinite(value) else value, self.image.dtype
        )
        rank = self.image.ndim
        if rank == 0:
            raise ShapeError(f"{op} needs an image with at least one axis.", describe(image=self.image))
        chosen = _axes(axes, rank, op)
        if footprint is None:
            sizes = _per_axis(size, "size", len(chosen), op)
            if min(sizes) < 1:
                raise ArgumentError(f"{op} needs size to be at least 1.", describe(size=size))
            taken = None
        else:
            taken = _footprint(footprint, len(chosen), op)
            sizes = taken.shape
        full = [1] * rank
        moved = [0] * rank
        for axis, length, shift in zip(
            chosen, sizes, _per_axis(origin, "origin", len(chosen), op), strict=True
        ):
            full[axis], moved[axis] = length, shift
            if not 0 <= length // 2 + shift < length:
                raise ArgumentError(
                    f"{op} needs origin to keep the window's middle inside the window.",
                    describe(origin=origin, size=tuple(sizes)),
                )
        #: (before, after) that the window reaches out, along each axis.
        self.pads = [
            (length // 2 + shift, length - 1 - length // 2 - shift)
            for length, shift in zip(full, moved, strict=True)
        ]
        self.sizes = tuple(full)
        self.places: tuple[tuple[int, ...], ...] | None = None
        if taken is not None and not taken.all():
            order = np.argsort(chosen)
            spread = taken.transpose(order).reshape(self.sizes)
            self.places = tuple(map(tuple, np.argwhere(spread).tolist()))
        self.count = math.prod(self.sizes) if self.places is None else len(self.places)
        if self.count > _MOST_SAMPLES:
            raise ArgumentError(
                f"{op} needs a window of at most {_MOST_SAMPLES} samples.",
                f"a window of {' × '.join(str(one) for one in self.sizes)}",
            )
        check_continued(self.image.shape, self.pads, self.border, op)

    def filtered(self, rank: int) -> Array:
        """The image's samples of that rank, block of rows by block of rows."""
        image = self.image
        output = np.empty(image.shape, image.dtype)
        if not output.size:
            return output
        reach = self.sizes[0] - 1
        padded_row = math.prod(
            length + size - 1 for length, size in zip(image.shape[1:], self.sizes[1:], strict=True)
        )
        # No fewer rows than the window adds to them, so that at most half of the work is done twice.
        rows = max(_BLOCK // max(padded_row, 1), reach, 1)
        # NumPy compares float16 one by one, and float32 by vectors.
        dtype = np.dtype(np.float32) if image.dtype == np.float16 else image.dtype
        across = [
            (-before, length + after)
            for length, (before, after) in zip(image.shape[1:], self.pads[1:], strict=True)
        ]
        before, after = self.pads[0]
        planes = image[np.newaxis, ..., np.newaxis]
        for start in range(0, len(output), rows):
            stop = min(start + rows, len(output))
            ranges = [(start - before, stop + after), *across]
            block = gather(planes, ranges, self.border, self.cval, dtype)[0, ..., 0]
            output[start:stop] = self._of_block(block, rank)
        return output

    def _of_block(self, block: Array, rank: int) -> Array:
        """The windows of a padded block, all of which lie inside it."""
        if block.dtype.kind == "b":
            return self._of_block(block.view(np.uint8), rank).view(np.bool_)
        has_nan = False
        if block.dtype.kind == "f":
            # −0.0 becomes 0.0, so that which of two equal zeros is taken can't be seen.
            block += block.dtype.type(0)
            has_nan = bool(np.isnan(block).any())
        if self.places is None and rank in (0, self.count - 1):
            return extreme_of_box(block, self.sizes, rank > 0 or self.count == 1, has_nan)
        places = self.places or tuple(np.ndindex(self.sizes))
        return of_rank(block, self.sizes, places, rank, has_nan)


def _axes(axes: Any, rank: int, op: str) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(rank))
    found = _integers(axes)
    if found is None:
        raise DtypeError(f"{op} needs axes to be an integer or several.", describe(axes=axes))
    placed = tuple(axis % rank if -rank <= axis < rank else -1 for axis in found)
    if not placed or -1 in placed or len(set(placed)) < len(placed):
        raise ArgumentError(
            f"{op} needs axes to be different axes of the image, which has {rank}.", describe(axes=axes)
        )
    return placed


def _per_axis(value: Any, name: str, count: int, op: str) -> tuple[int, ...]:
    found = _integers(value)
    if found is None:
        raise DtypeError(f"{op} needs {name} to be an integer or one per axis.", describe(**{name: value}))
    if _is_integer(value):
        found *= count
    if len(found) != count:
        raise ShapeError(
            f"{op} needs {name} to be an integer or one for each of {count} axes.", describe(**{name: value})
        )
    return found


def _footprint(footprint: Any, rank: int, op: str) -> npt.NDArray[np.bool_]:
    found = check_pixels(footprint, "footprint", op).astype(bool)
    if found.ndim != rank:
        raise ShapeError(
            f"{op} needs a footprint of rank {rank}, that of the axes filtered along.",
            describe(footprint=found),
        )
    if not found.any():
        raise ArgumentError(
            f"{op} needs a footprint that is true somewhere.", describe(footprint=found), "numpy.ones(size)."
        )
    return found


def _integers(value: Any) -> tuple[int, ...] | None:
    """An integer, or several, as a tuple; None of anything else."""
    given = (value,) if _is_integer(value) else value
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (tuple, list)) or not all(map(_is_integer, given)):
        return None
    return tuple(operator.index(one) for one in given)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
