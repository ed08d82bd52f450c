"""How much noise a picture has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.image.derivatives import check_flag
from tilewright.image.gradients import checked, float_of

Array = npt.NDArray[Any]

# Of a normal distribution half lies within this many standard deviations.
_MEDIAN_OF_NORMAL = 0.6744897501960817
# The high-pass filter of the wavelet "db2" (Daubechies, Ten lectures on wavelets, table 6.1: N = 2).
_ROOT = math.sqrt(3)
_DETAIL = tuple(value / (4 * math.sqrt(2)) for value in (_ROOT - 1, 3 - _ROOT, -(3 + _ROOT), 1 + _ROOT))
# Above what a detail of equal pixels comes to by rounding, as a share of the largest pixel.
_ROUNDING = 1e-13


def estimate_sigma(image: Any, average_sigmas: bool = False, *, channel_axis: int | None = None) -> Any:
    """The standard deviation of an image's noise, if it is normal and alike everywhere.

    It is the median of the finest wavelet details, whose absolute values a picture's edges hardly reach,
    divided by 0.6745. Source: D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet
    shrinkage", Biometrika 81 (1994), section 4.2; the wavelet is "db2", as in scikit-image.

    Args:
        image: any number of spatial axes, of integers or floats.
        average_sigmas: give the mean of all channels' estimates.
        channel_axis: the axis of the channels; None: there is none.

    Returns:
        A number in units of the image's values; with channels, a list of one for each. Where nothing changes
        it is 0.

    Raises:
        ShapeError: no spatial axis, or one without samples.
        DtypeError: not an image of integers or floats.
        ArgumentError: not an axis of the image.

    >>> import numpy as np, tilewright as tw
    >>> noise = np.random.default_rng(0).normal(0, 5, (200, 200))
    >>> round(tw.image.estimate_sigma(100 + noise), 1)
    5.0
    """
    op = "estimate_sigma"
    image, planes, channel, _ = planes_of(image, channel_axis, op)
    if 0 in planes.shape[1:]:
        raise ShapeError(f"{op} needs an image with pixels.", describe(image=image))
    is_mean = check_flag(average_sigmas, "average_sigmas", op)
    found = [sigma_of(plane[np.newaxis]) for plane in planes]
    if channel is None:
        return found[0]
    return float(np.mean(found)) if is_mean and found else found


def planes_of(image: Any, channel_axis: Any, op: str) -> tuple[Array, Array, int | None, float]:
    """The image; its channels as floats (channels, *spatial); their axis; the unit of parameters."""
    found, _, channel = checked(image, channel_axis, op)
    refuse_bools(found, op)
    planes = found[np.newaxis] if channel is None else np.moveaxis(found, channel, 0)
    unit = float(np.iinfo(found.dtype).max) if found.dtype.kind in "iu" else 1.0
    return found, np.ascontiguousarray(planes, float_of(found.dtype)), channel, unit


def refuse_bools(image: Array, op: str) -> None:
    """Refuse an image of bools, which have no noise between them.

    Raises:
        DtypeError: it is one.
    """
    if image.dtype.kind == "b":
        raise DtypeError(
            f"{op} needs an image of integers or floats.",
            describe(image=image),
            "Bools go through median_filter.",
        )


def sigma_of(planes: Array) -> float:
    """The noise of the channels together."""
    details = planes.astype(np.float64)
    for axis in range(1, planes.ndim):
        details = _details(details, axis)
    sizes = np.abs(details[np.isfinite(details)])
    # What is left of equal pixels by rounding is no detail, and neither is 0 (a part that was masked out).
    finite = planes[np.isfinite(planes)]
    sizes = sizes[sizes > _ROUNDING * float(np.abs(finite).max(initial=0))]
    return float(np.median(sizes)) / _MEDIAN_OF_NORMAL if sizes.size else 0.0


def _details(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """The wavelet's details along an axis: every second sample of the high-pass filter's answer."""
    rows = np.moveaxis(values, axis, 0)
    length = (len(rows) + 3) // 2
    # Three samples before and after, folded about the edge: y[k] = Σ_j g[j] · x[2k + 1 − j].
    widths = [(3, 3)] + [(0, 0)] * (rows.ndim - 1)
    padded = np.pad(rows, widths, mode="symmetric")
    total = np.zeros((length, *rows.shape[1:]))
    with np.errstate(all="ignore"):
        for j, weight in enumerate(_DETAIL):
            first = 4 - j
            total += weight * padded[first : first + 2 * length - 1 : 2]
    return np.moveaxis(total, 0, axis)
