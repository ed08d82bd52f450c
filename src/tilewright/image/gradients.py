"""How fast a picture changes, and in which direction: gradients by the classic operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.image.borders import REFLECT, check_pixels
from tilewright.image.derivatives import check_flag, prewitt, roberts, scharr, sobel
from tilewright.image.filtering import check_channel_axis, filter

Array = npt.NDArray[Any]

OPERATORS = ("sobel", "prewitt", "scharr", "roberts")
NORMS = ("l2", "l1")
_MAKERS = {"sobel": sobel, "prewitt": prewitt, "scharr": scharr}


def gradient(
    image: Any,
    operator: str = "sobel",
    *,
    normalize: bool = False,
    border: str = REFLECT,
    cval: float = 0.0,
    channel_axis: int | None = None,
) -> tuple[Array, ...]:
    """How fast an image grows along each of its spatial axes.

    Args:
        image: any number of spatial axes, of bools, integers or floats.
        operator: ``sobel``, ``prewitt``, ``scharr``; or ``roberts``, which is for two axes and answers at the
            upper left corner of each pixel.
        normalize: whether a ramp that grows by 1 a pixel gives 1. Otherwise the numbers are those of
            ``scipy.ndimage``, of kernels in whole numbers: 8, 6, 32 and 2 of such a ramp in a picture.
        border: what stands beyond the edges, one of :func:`border_names`.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels, each of which is taken alone; None: there is none.

    Returns:
        An array of the image's shape for each spatial axis in turn: positive where values grow with the
        index. float32 of float16, float32 and integers of up to 16 bits, float64 of the others.

    Raises:
        ArgumentError: an unknown operator or border.
        ShapeError: no spatial axis, or for ``roberts`` another number of them than two.
        DtypeError: something that isn't an image.

    >>> import numpy as np, tilewright as tw
    >>> rows, columns = tw.image.gradient(np.arange(12.0).reshape(3, 4), normalize=True)
    >>> rows[1, 1], columns[1, 1]
    (np.float64(4.0), np.float64(1.0))
    """
    op = "gradient"
    image, rank, channel = checked(image, channel_axis, op)
    _check_operator(operator, rank, op)
    is_scaled = check_flag(normalize, "normalize", op)
    dtype = float_of(image.dtype)
    if operator == "roberts":
        falling, rising = (
            filter(image, roberts(n), border=border, cval=cval, channel_axis=channel, dtype=dtype)
            for n in (0, 1)
        )
        # The two diagonals' differences, turned into those along the axes: (−1 −1 / 1 1) and its transpose.
        scale = dtype.type(0.5 if is_scaled else 1)
        with np.errstate(invalid="ignore", over="ignore"):
            return (-falling - rising) * scale, (rising - falling) * scale
    made = (_MAKERS[operator](axis, rank, is_scaled) for axis in range(rank))
    return tuple(
        filter(image, one, border=border, cval=cval, channel_axis=channel, dtype=dtype) for one in made
    )


def gradient_magnitude(
    image: Any,
    operator: str = "sobel",
    norm: str = "l2",
    *,
    normalize: bool = False,
    border: str = REFLECT,
    cval: float = 0.0,
    channel_axis: int | None = None,
) -> Array:
    """How fast an image changes at each pixel, in the direction in which it changes most.

    Args:
        image: as for :func:`gradient`, and so are the arguments that aren't named here.
        operator: ``sobel``, ``prewitt``, ``scharr`` or ``roberts``.
        norm: ``l2``, the length √(g₀² + g₁² + …); or ``l1``, the sum |g₀| + |g₁| + …, which is quicker and
            larger along diagonals.
        normalize: whether a ramp that grows by 1 a pixel gives 1.
        border: what stands beyond the edges.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels, each of which is taken alone.

    Returns:
        An array of the image's shape, float32 or float64 as :func:`gradient`'s.

    Raises:
        ArgumentError, ShapeError, DtypeError: as :func:`gradient`; also an unknown norm.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.gradient_magnitude(np.eye(3), norm="l1")[1, 1]
    np.float64(0.0)
    """
    op = "gradient_magnitude"
    if not isinstance(norm, str) or norm not in NORMS:
        raise ArgumentError(f"{op} needs norm to be 'l2' or 'l1'.", describe(norm=norm))
    parts = gradient(
        image, operator, normalize=normalize, border=border, cval=cval, channel_axis=channel_axis
    )
    return magnitude_of(parts, norm)


def gradient_direction(
    image: Any,
    operator: str = "sobel",
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    channel_axis: int | None = None,
) -> Array:
    """The direction in which a picture grows most, as an angle in radians from −π to π.

    0 is to the right, π/2 downwards (as rows are counted), and an edge runs at right angles to it. Where
    nothing changes it is 0.

    Args:
        image: two spatial axes; otherwise as for :func:`gradient`, and so are the other arguments.
        operator: ``sobel``, ``prewitt``, ``scharr`` (whose angles are the truest) or ``roberts``.
        border: what stands beyond the edges.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels, each of which is taken alone.

    Returns:
        An array of the image's shape, float32 or float64 as :func:`gradient`'s.

    Raises:
        ArgumentError, DtypeError: as :func:`gradient`.
        ShapeError: another number of spatial axes than two.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.gradient_direction(np.arange(9.0).reshape(3, 3).T)[1, 1].round(3)
    np.float64(0.322)
    """
    op = "gradient_direction"
    image, rank, _ = checked(image, channel_axis, op)
    if rank != 2:
        raise ShapeError(f"{op} needs an image of two spatial axes.", describe(image=image))
    rows, columns = gradient(image, operator, border=border, cval=cval, channel_axis=channel_axis)
    # Rounding must not turn nothing into a direction, nor −0.0 to the left into one: 0.0 + −0.0 is 0.0.
    zero = rows.dtype.type(0)
    found: Array = np.arctan2(rows + zero, columns + zero)
    return found


def magnitude_of(parts: tuple[Array, ...], norm: str = "l2") -> Array:
    """The length of vectors whose parts are given; their arrays are changed."""
    with np.errstate(all="ignore"):
        total = np.abs(parts[0], out=parts[0]) if norm == "l1" else np.multiply(parts[0], parts[0])
        for part in parts[1:]:
            total += np.abs(part, out=part) if norm == "l1" else np.multiply(part, part)
        return total if norm == "l1" else np.sqrt(total, out=total)


def checked(image: Any, channel_axis: Any, op: str) -> tuple[Array, int, int | None]:
    """An image, its number of spatial axes, and its channels' axis counted from the first.

    Raises:
        ShapeError: no spatial axis.
        DtypeError, ArgumentError: not an image, or not an axis of it.
    """
    found = check_pixels(image, "image", op)
    channel = check_channel_axis(found, channel_axis, op)
    rank = found.ndim - (channel is not None)
    if rank < 1:
        raise ShapeError(f"{op} needs an image with a spatial axis.", describe(image=found))
    return found, rank, channel


def float_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The floating dtype that holds an image's values and their differences well: float32 or float64."""
    narrow = dtype.kind == "b" or dtype == np.float32 or dtype.itemsize <= 2
    return np.dtype(np.float32 if narrow else np.float64)


def _check_operator(operator: Any, rank: int, op: str) -> None:
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise ArgumentError(
            f"{op} needs operator to be one of {', '.join(map(repr, OPERATORS))}.",
            describe(operator=operator),
        )
    if operator == "roberts" and rank != 2:
        raise ShapeError(
            f"{op} needs an image of two spatial axes for the operator 'roberts'.", f"{rank} spatial axes"
        )
