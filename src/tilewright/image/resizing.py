"""Pictures and volumes of other sizes.

The edges of the old and the new image lie on each other, not the centres of their outermost pixels: sample i
of m new ones lies at (i + ½)·n/m − ½ among n old ones. It is the convention of OpenCV, Pillow, scikit-image
and PyTorch's ``align_corners=False``; nothing is shifted by half a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright import functional as F
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.image.correlating import store
from tilewright.image.derivatives import check_flag
from tilewright.image.filters import check_integer, check_number, each_axis
from tilewright.image.gradients import checked

Array = npt.NDArray[Any]

METHODS = ("nearest", "linear", "cubic", "area")
# A side or an image that nobody means: 2 to the 31 pixels of a byte are 2 GiB.
_MOST = 2**31


def resize(
    image: Any,
    shape: Any,
    method: str = "linear",
    antialias: bool = True,
    *,
    channel_axis: int | None = None,
) -> Array:
    """An image at another size.

    Args:
        image: any number of spatial axes, of bools, integers or floats.
        shape: of the result: an integer for each spatial axis.
        method: ``nearest`` (the pixel in which the new one's centre lies), ``linear``, ``cubic`` (Keys'
            kernel; with parameter −0.75 as OpenCV and PyTorch have it, −0.5 where it is widened against
            aliasing, as Pillow has it) or ``area`` (the mean of what the new pixel covers, each old one by
            the part that is covered; where an axis grows it is the same as nearest, but at the seams).
        antialias: of ``linear`` and ``cubic``: where an axis shrinks, widen the kernel as much, so that all
            pixels count. Without it, fine patterns turn into coarse ones that aren't there.
        channel_axis: the axis of the channels, which stays as it is; None: there is none.

    Returns:
        An array of the image's dtype. Integers are rounded to the nearest and clipped to their range: a cubic
        may overshoot. Those of 8 and 16 bits and float16 are computed in float32, longer ones in float64.

    Raises:
        ShapeError: no spatial axis, an axis without pixels, or another number of sizes than axes.
        ArgumentError: an unknown method, or a size outside 1 … 2³¹.
        DtypeError: something else than an image, sizes that aren't integers, or bools with another method
            than ``nearest``.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.resize(np.array([0, 100], np.uint8), 4)
    array([  0,  25,  75, 100], dtype=uint8)
    """
    op = "resize"
    image, rank, channel = checked(image, channel_axis, op)
    sizes = tuple(
        check_integer(size, "shape", op, least=1, most=_MOST) for size in each_axis(shape, "shape", rank, op)
    )
    return _resized(image, sizes, method, check_flag(antialias, "antialias", op), channel, op)


def upsample(
    image: Any, factor: Any = 2, method: str = "nearest", *, channel_axis: int | None = None
) -> Array:
    """An image made larger, by ``nearest``, ``linear`` or ``cubic`` interpolation.

    Args:
        image: as for :func:`resize`.
        factor: a number of 1 or more, or one for each spatial axis; the new size is rounded.
        method: as for :func:`resize`; ``nearest`` repeats pixels.
        channel_axis: the axis of the channels; None: there is none.

    Raises:
        ArgumentError: a factor under 1; otherwise as :func:`resize`.
        ShapeError, DtypeError: as :func:`resize`.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.upsample(np.array([[1, 2]]), (1, 2))
    array([[1, 1, 2, 2]])
    """
    op = "upsample"
    image, rank, channel = checked(image, channel_axis, op)
    sizes = _multiplied(_spatial(image, channel), factor, rank, op)
    return _resized(image, sizes, method, True, channel, op)


def downsample(
    image: Any,
    factor: Any = 2,
    antialias: bool = True,
    method: str = "area",
    *,
    channel_axis: int | None = None,
) -> Array:
    """An image made smaller.

    Args:
        image: as for :func:`resize`.
        factor: a number of 1 or more, or one for each spatial axis; the new size is rounded, and at least 1.
        antialias: whether every pixel counts. Without it the new pixels are read off the image at points, by
            ``method`` (and off its nearest pixels if that is ``area``).
        method: as for :func:`resize`.
        channel_axis: the axis of the channels; None: there is none.

    Raises:
        ArgumentError: a factor under 1; otherwise as :func:`resize`.
        ShapeError, DtypeError: as :func:`resize`.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.downsample(np.array([[1.0, 3.0, 5.0, 7.0]]), (1, 2))
    array([[2., 6.]])
    """
    op = "downsample"
    image, rank, channel = checked(image, channel_axis, op)
    sizes = _multiplied(_spatial(image, channel), factor, rank, op, inverse=True)
    is_smooth = check_flag(antialias, "antialias", op)
    if not is_smooth and isinstance(method, str) and method == "area":
        method = "nearest"
    return _resized(image, sizes, method, is_smooth, channel, op)


def _spatial(image: Array, channel: int | None) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(image.shape) if axis != channel)


def _multiplied(
    sizes: Sequence[int], factor: Any, rank: int, op: str, inverse: bool = False
) -> tuple[int, ...]:
    found = []
    for size, one in zip(sizes, each_axis(factor, "factor", rank, op), strict=True):
        number = check_number(one, "factor", op, least=1)
        length = max(round(size / number if inverse else size * number), 1)
        if length > _MOST:
            raise ArgumentError(
                f"{op} needs a factor that makes no axis longer than {_MOST} pixels.", describe(factor=factor)
            )
        found.append(length)
    return tuple(found)


def _resized(
    image: Array, sizes: tuple[int, ...], method: Any, antialias: bool, channel: int | None, op: str
) -> Array:
    if not isinstance(method, str) or method not in METHODS:
        raise ArgumentError(
            f"{op} needs method to be one of {', '.join(map(repr, METHODS))}.", describe(method=method)
        )
    if image.dtype.kind == "b" and method != "nearest":
        raise DtypeError(
            f"{op} needs integers or floats for the method {method!r}; bools go with 'nearest'.",
            describe(image=image),
        )
    spatial = _spatial(image, channel)
    if 0 in spatial:
        raise ShapeError(f"{op} needs an image with pixels.", describe(image=image))
    shape = list(sizes)
    if channel is not None:
        shape.insert(channel, image.shape[channel])
    if math.prod(shape) > _MOST * 16:
        raise ArgumentError(f"{op} needs a result of at most 2³⁵ values.", describe(shape=tuple(shape)))
    out = np.empty(shape, image.dtype)
    # One channel after the other: what is computed in floats is then no larger than that.
    for number in range(1 if channel is None else image.shape[channel]):
        x = image if channel is None else image.take(number, channel)
        y = out if channel is None else out[(slice(None),) * channel + (number,)]
        if sizes == spatial:
            y[...] = x
        elif method == "nearest":
            y[...] = F.interpolate(x[None, None], size=sizes, mode="nearest-exact")[0, 0]
        else:
            store(_computed(x, sizes, method, antialias), y)
    return out


def _computed(x: Array, sizes: tuple[int, ...], method: str, antialias: bool) -> Array:
    """One channel, resized in float32 or float64."""
    is_single = x.dtype == np.float32 or x.dtype.itemsize <= 2
    values = x.astype(np.float32 if is_single else np.float64)
    if method != "area":
        smaller = antialias and any(new < old for new, old in zip(sizes, x.shape, strict=True))
        found: Array = F.interpolate(values[None, None], size=sizes, mode=method, antialias=smaller)[0, 0]
        return found
    factors = [divmod(old, new) for old, new in zip(x.shape, sizes, strict=True)]
    if all(rest == 0 for _, rest in factors) and values.ndim <= 3:
        whole: Array = F.avg_pool(values[None], tuple(quotient for quotient, _ in factors))[0]
        return whole
    for axis, size in enumerate(sizes):
        values = _averaged(values, axis, size)
    return values


def _averaged(x: Array, axis: int, size: int) -> Array:
    """Along one axis the mean of what each of ``size`` pixels covers."""
    old = x.shape[axis]
    if old == size:
        return x
    # In units of 1/size of an old pixel all edges are whole numbers: new pixel i covers i·old … (i + 1)·old.
    lows = np.arange(size, dtype=np.int64) * old
    highs = lows + old
    first = lows // size
    count = int((-(-highs // size) - first).max())
    rows = np.moveaxis(x, axis, 0)
    total = np.zeros((size, *rows.shape[1:]), x.dtype)
    for k in range(count):
        at = first + k
        covered = np.minimum(highs, (at + 1) * size) - np.maximum(lows, at * size)
        # What isn't covered isn't looked at, so that a NaN there stays where it is.
        some = np.flatnonzero(covered > 0)
        weights = covered[some].astype(x.dtype).reshape(-1, *[1] * (rows.ndim - 1))
        total[some] += weights * rows[at[some]]
    total /= old
    return np.moveaxis(total, 0, axis)
