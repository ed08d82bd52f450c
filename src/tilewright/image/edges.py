"""Edges as lines of one pixel: non-maximum suppression, and Canny's detector."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.image.borders import CONSTANT, check_border, check_cval, check_pixels
from tilewright.image.components import connected_to
from tilewright.image.derivatives import check_flag, sobel
from tilewright.image.filtering import filter
from tilewright.image.filters import check_number
from tilewright.image.smoothing import gaussian, gaussian_vector, radius_of

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

# Pixels judged at a time: their numbers, neighbours and weights take some MiB together.
_TOGETHER = 2**18
# Below this a gradient is nothing: what is nowhere steep has no edge even at a threshold of 0.
_NOTHING = 1e-14
# As in scikit-image: what Canny's thresholds are of the largest value when none are given.
_LOW, _HIGH = 0.1, 0.2


def non_maximum_suppression(
    magnitude: Any, along_rows: Any, along_columns: Any, threshold: float = 0.0, mask: Any = None
) -> Mask:
    """Where a gradient is at least as large as on both sides of it, looking along its own direction.

    The magnitude on each side is read between the two pixels that the direction passes, in proportion (Canny
    1986, section VIII). So an edge, however blurred, becomes a line of one or two pixels.

    Args:
        magnitude: (height, width), how steep it is; floating.
        along_rows: of the same shape, how fast values grow from row to row.
        along_columns: how fast they grow from column to column.
        threshold: what is less steep than that is no edge.
        mask: (height, width) bools: pixels that may be edges; None: all. The outermost pixels never are.

    Returns:
        (height, width) bools.

    Raises:
        ShapeError: arrays of another rank, or of different shapes.
        DtypeError: arrays of something else.
        ArgumentError: a threshold that is no finite number of 0 or more.

    >>> import numpy as np, tilewright as tw
    >>> ramp = np.tile([0.0, 1.0, 3.0, 1.0, 0.0], (3, 1))
    >>> tw.image.non_maximum_suppression(ramp, 0 * ramp, ramp)[1]
    array([False, False,  True, False, False])
    """
    op = "non_maximum_suppression"
    names = ("magnitude", "along_rows", "along_columns")
    arrays = [
        check_pixels(one, name, op)
        for one, name in zip((magnitude, along_rows, along_columns), names, strict=True)
    ]
    for one, name in zip(arrays, names, strict=True):
        if one.dtype.kind != "f":
            raise DtypeError(f"{op} needs {name} to be floating.", describe(**{name: one}))
        if one.ndim != 2 or one.shape != arrays[0].shape:
            raise ShapeError(
                f"{op} needs three arrays of one shape (height, width).",
                describe(**dict(zip(names, arrays, strict=True))),
            )
    lowest = check_number(threshold, "threshold", op, least=0)
    allowed = None if mask is None else _checked_mask(mask, arrays[0].shape, op)
    steep, rows, columns = (np.ascontiguousarray(one) for one in arrays)
    return _suppressed(steep, rows, columns, lowest, allowed)


def canny(
    image: Any,
    sigma: float = 1.0,
    low_threshold: float | None = None,
    high_threshold: float | None = None,
    mask: Any = None,
    use_quantiles: bool = False,
    *,
    mode: str = CONSTANT,
    cval: float = 0.0,
) -> Mask:
    """Edges of a grey picture, as lines one pixel wide: Canny's detector, with scikit-image's arguments.

    The picture is smoothed by a Gaussian; Sobel's operators tell how steep it is; of each slope its steepest
    line stays (see :func:`non_maximum_suppression`), if it is steeper than the low threshold; and of these
    lines those that are somewhere steeper than the high one. Source: J. Canny, "A computational approach to
    edge detection", IEEE Transactions on Pattern Analysis and Machine Intelligence 8 (1986).

    Args:
        image: (height, width) of bools, integers or floats. Integers are taken as shares of the largest value
            of their dtype, bools and floats as they are.
        sigma: of the Gaussian, in pixels; 0 doesn't smooth. The larger, the fewer and the less exact lines.
        low_threshold: in units of the picture's values, for the magnitude of Sobel's unscaled operators,
            which is 4 times as large as a clean step; None: 0.1 of the largest value (1.0 of floats).
        high_threshold: likewise; None: 0.2.
        mask: (height, width) bools, the part of the picture that counts; None: all of it.
        use_quantiles: the thresholds are shares of the pixels, from 0 to 1, that are less steep.
        mode: what stands beyond the edges while smoothing, as in ``scipy.ndimage``. The constant is left out
            of the Gaussian's mean again if it is 0.
        cval: what the constant border is made of.

    Returns:
        (height, width) bools. The outermost pixels are never edges.

    Raises:
        ShapeError: an image or mask that isn't (height, width).
        DtypeError: not an image.
        ArgumentError: thresholds that are negative, no numbers, or the wrong way round; quantiles outside
            0 … 1; a negative sigma; an unknown mode.

    >>> import numpy as np, tilewright as tw
    >>> square = np.zeros((8, 8))
    >>> square[2:6, 2:6] = 1
    >>> tw.image.canny(square)[1:4].astype(int)
    array([[0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 1, 0, 0],
           [0, 0, 1, 0, 0, 1, 0, 0]])
    """
    op = "canny"
    image = check_pixels(image, "image", op)
    if image.ndim != 2:
        raise ShapeError(
            f"{op} needs a grey picture of shape (height, width).",
            describe(image=image),
            "Take one channel, or the mean of all.",
        )
    sigma = check_number(sigma, "sigma", op, least=0)
    are_shares = check_flag(use_quantiles, "use_quantiles", op)
    low, high = _thresholds(low_threshold, high_threshold, are_shares, image.dtype, op)
    border, value = check_border(mode, op, "mode"), check_cval(cval, op)
    allowed = None if mask is None else _checked_mask(mask, image.shape, op)
    if min(image.shape) < 3:
        return np.zeros(image.shape, np.bool_)
    smooth = _smoothed(image, sigma, allowed, border, value)
    rows = filter(smooth, sobel(0))
    columns = filter(smooth, sobel(1))
    with np.errstate(all="ignore"):
        steep = rows * rows
        steep += columns * columns
        np.sqrt(steep, out=steep)
    if are_shares:
        low, high = (float(found) for found in np.percentile(steep, [100 * low, 100 * high]))
    inner = None if allowed is None else _eroded(allowed)
    lines = _suppressed(steep, rows, columns, low, inner)
    return connected_to(lines, lines & (steep >= high))


def _smoothed(image: Array, sigma: float, mask: Mask | None, border: str, cval: float) -> Array:
    """The mean of the Gaussian over what is in the picture, and in the mask."""
    dtype = np.dtype(np.float32 if image.dtype in (np.float16, np.float32) else np.float64)
    values = image.astype(dtype)
    if image.dtype.kind in "iu":
        values *= 1 / np.iinfo(image.dtype).max
    if mask is not None:
        values[~mask] = 0
    blur = gaussian(sigma)
    smooth = filter(values, blur, border=border, cval=cval)
    least = float(np.finfo(dtype.type).eps)
    with np.errstate(all="ignore"):
        if mask is not None:
            smooth /= filter(mask.astype(dtype), blur, border=border, cval=cval) + least
        elif border == CONSTANT:
            # What of the Gaussian lies inside a rectangle is a product of what lies inside its sides.
            share: list[Array] = []
            for length in image.shape:
                line = np.ones(length)
                vector = gaussian_vector(sigma, radius_of(sigma, 4.0, "canny"), 0, "canny")
                share.append(filter(line, vector, border=border, cval=cval))
            smooth /= (np.multiply.outer(*share) + least).astype(dtype)
    return smooth


def _suppressed(steep: Array, rows: Array, columns: Array, lowest: float, mask: Mask | None) -> Mask:
    """Non-maximum suppression of C-ordered arrays, of as many rows at a time as are judged together."""
    height, width = steep.shape
    kept = np.zeros(steep.shape, np.bool_)
    if min(height, width) < 3:
        return kept
    lowest = lowest or _NOTHING
    flat, grow_down, grow_right, out = (one.reshape(-1) for one in (steep, rows, columns, kept))
    together = max(_TOGETHER // width, 1)
    for first in range(1, height - 1, together):
        last = min(first + together, height - 1)
        with np.errstate(invalid="ignore"):
            candidates = steep[first:last] >= lowest
        candidates[:, [0, -1]] = False
        if mask is not None:
            candidates &= mask[first:last]
        at = np.flatnonzero(candidates) + first * width
        out[at] = _is_largest(flat, grow_down[at], grow_right[at], at, width)
    return kept


def _is_largest(steep: Array, down: Array, right: Array, at: npt.NDArray[np.int64], width: int) -> Mask:
    """Whether the gradient at positions of the flat image is no smaller than on both sides."""
    # The direction passes between a neighbour that shares a side and one that shares a corner.
    same_sign = (down > 0) == (right > 0)
    down, right = np.abs(down), np.abs(right)
    is_steep = down > right
    with np.errstate(all="ignore"):
        share = np.minimum(down, right) / np.maximum(down, right)
        rest = 1 - share
    corner = np.where(same_sign, width + 1, 1 - width)
    side = np.where(is_steep, np.where(same_sign, width, -width), 1)
    here = steep[at]
    with np.errstate(all="ignore"):
        ahead = steep[at + corner] * share + steep[at + side] * rest
        behind = steep[at - corner] * share + steep[at - side] * rest
        found: Mask = (ahead <= here) & (behind <= here)
    return found


def _thresholds(
    low: float | None, high: float | None, are_shares: bool, dtype: np.dtype[Any], op: str
) -> tuple[float, float]:
    """Both thresholds, as shares of the pixels or of the largest value."""
    largest = 1.0 if are_shares or dtype.kind not in "iu" else float(np.iinfo(dtype).max)
    found = []
    for value, name, default in (
        (low, "low_threshold", _LOW),
        (high, "high_threshold", _HIGH),
    ):
        if value is None:
            found.append(default)
            continue
        number = check_number(value, name, op, least=0)
        if are_shares and number > 1:
            raise ArgumentError(f"{op} needs quantiles from 0 to 1.", describe(**{name: value}))
        found.append(number / largest)
    if found[1] < found[0]:
        raise ArgumentError(
            f"{op} needs low_threshold to be no larger than high_threshold.",
            describe(low_threshold=low, high_threshold=high),
            f"Where one isn't given it is {_LOW:g} or {_HIGH:g} of the largest value.",
        )
    return found[0], found[1]


def _checked_mask(mask: Any, shape: tuple[int, ...], op: str) -> Mask:
    found = check_pixels(mask, "mask", op)
    if found.shape != shape:
        raise ShapeError(f"{op} needs a mask of the picture's shape {shape}.", describe(mask=found))
    return found.astype(np.bool_, copy=False)


def _eroded(mask: Mask) -> Mask:
    """The pixels all of whose eight neighbours are in the mask, too; outside the picture nothing is."""
    inner = np.zeros_like(mask)
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    inner[1:-1, 1:-1] = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return inner
