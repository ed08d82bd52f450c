"""Pictures freed of noise, and made sharper; and how much noise there is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.image.borders import REFLECT, check_border, check_continued, check_cval
from tilewright.image.correlating import store
from tilewright.image.derivatives import check_flag
from tilewright.image.filtering import filter
from tilewright.image.filters import check_integer, check_number
from tilewright.image.gradients import checked, float_of
from tilewright.image.noise import planes_of, refuse_bools, sigma_of
from tilewright.image.rank import median_filter
from tilewright.image.smoothing import box, gaussian
from tilewright.image.windows import Array, box_sums, squared_difference, weighted_mean

# Half the side of the largest window that anybody means.
_MOST_REACH = 200


def denoise(
    image: Any,
    method: str = "median",
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    channel_axis: int | None = None,
    **parameters: Any,
) -> Array:
    """An image with less noise.

    ============== ====================================== ============================================
    method         parameters                             suits
    ============== ====================================== ============================================
    ``median``     ``size`` = 3                           salt and pepper; keeps edges
    ``mean``       ``size`` = 3                           nothing better than the next one
    ``gaussian``   ``sigma`` = 1                          fine grain, where edges may get soft
    ``bilateral``  those of :func:`denoise_bilateral`     grain weaker than the edges
    ``nonlocal``   those of :func:`denoise_nl_means`      grain, where patterns repeat; the slowest
    ============== ====================================== ============================================

    Args:
        image: any number of spatial axes, of integers or floats.
        method: one of these.
        border: what stands beyond the edges, one of :func:`border_names`.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels. ``bilateral`` and ``nonlocal`` weigh a pixel by all its
            channels together, the others take each alone.
        **parameters: of the method.

    Returns:
        An array of the image's shape and dtype.

    Raises:
        ArgumentError: an unknown method, parameter or border, or a number outside its range.
        ShapeError: no spatial axis, or one without samples.
        DtypeError: not an image, or a parameter that is no number.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.denoise(np.array([7, 7, 255, 7, 7], np.uint8))
    array([7, 7, 7, 7, 7], dtype=uint8)
    """
    made = _METHODS.get(method) if isinstance(method, str) else None
    if made is None:
        raise ArgumentError(
            f"denoise needs method to be one of {', '.join(map(repr, _METHODS))}.", describe(method=method)
        )
    common = ("image", "border", "cval", "channel_axis")
    known = [name for name in inspect.signature(made).parameters if name not in common]
    unknown = {name: value for name, value in parameters.items() if name not in known}
    if unknown:
        raise ArgumentError(
            f"denoise takes {', '.join(known)} for the method {method!r}.", describe(**unknown)
        )
    found: Array = made(image, border=border, cval=cval, channel_axis=channel_axis, **parameters)
    return found


def denoise_bilateral(
    image: Any,
    win_size: int | None = None,
    sigma_color: float | None = None,
    sigma_spatial: float = 1.0,
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    channel_axis: int | None = None,
) -> Array:
    """The mean of the pixels around each pixel, the nearer and the more alike, the more they count.

    Weights are exp(−d²/2σ_s²)·exp(−c²/2σ_c²) of the distance d in pixels and the difference c of the values
    (of colours, its length). Source: C. Tomasi and R. Manduchi, "Bilateral filtering for gray and color
    images", ICCV 1998. Arguments as in scikit-image, whose table of distances is that of a larger window.

    Args:
        image: any number of spatial axes, of integers or floats.
        win_size: side of the window, odd; None: 2·⌈3·sigma_spatial⌉ + 1, and at least 5.
        sigma_color: σ_c, of integers as a share of the dtype's largest value; None: the image's standard
            deviation.
        sigma_spatial: σ_s in pixels.
        border: what stands beyond the edges.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels; None: there is none.

    Returns:
        An array of the image's shape and dtype. Where a NaN is in the window, the mean is NaN (of integers
        there is none).

    Raises:
        ArgumentError: an even window, a deviation that isn't above 0, or an unknown border.
        ShapeError: no spatial axis, or one without samples.
        DtypeError: not an image of integers or floats, or a parameter that is no number.

    >>> import numpy as np, tilewright as tw
    >>> step = np.array([0.0, 0.1, 0.0, 1.0, 0.9, 1.0])
    >>> tw.image.denoise_bilateral(step, sigma_color=0.2).round(2)
    array([0.03, 0.05, 0.03, 0.97, 0.95, 0.97])
    """
    op = "denoise_bilateral"
    pixels, planes, channel, unit = planes_of(image, channel_axis, op)
    spatial = check_number(sigma_spatial, "sigma_spatial", op, above=0)
    size = max(5, 2 * math.ceil(min(3 * spatial, _MOST_REACH)) + 1) if win_size is None else win_size
    reach = _half(size, "win_size", op)
    if sigma_color is None:
        finite = planes[np.isfinite(planes)]
        colour = float(finite.std(dtype=np.float64)) if finite.size else 0.0
    else:
        colour = check_number(sigma_color, "sigma_color", op, above=0) * unit
    if colour == 0:
        return pixels.copy()  # all pixels are alike
    rate, fall = _rate(colour, planes.dtype) / 2, _rate(spatial, np.dtype(np.float64)) / 2

    def weigh(rows: Array, shift: tuple[int, ...], distance: int, steps: Any) -> Array:
        weights: Array = squared_difference(rows, distance)
        weights *= rate
        np.exp(weights, out=weights)
        weights *= planes.dtype.type(np.exp(fall * sum(one * one for one in shift)))
        return weights

    return _restored(pixels, planes, channel, reach, 0, weigh, border, cval, op)


def denoise_nl_means(
    image: Any,
    patch_size: int = 7,
    patch_distance: int = 11,
    h: float | None = None,
    sigma: float | None = None,
    *,
    border: str = "mirror",
    cval: float = 0.0,
    channel_axis: int | None = None,
) -> Array:
    """Non-local means: the mean of the pixels whose surroundings look like those of the pixel.

    Weights are exp(−max(d² − 2·sigma², 0)/h²), with d² the mean squared difference of two patches, over all
    channels. Source: A. Buades, B. Coll and J.-M. Morel, "A non-local algorithm for image denoising", CVPR
    2005, and "Non-local means denoising", Image Processing On Line 1 (2011). Arguments as in scikit-image,
    whose fast mode it resembles (there a patch is a row and a column smaller, and small weights are 0).

    Args:
        image: any number of spatial axes, of integers or floats.
        patch_size: side of a patch, odd.
        patch_distance: how far away patches are looked for, along every axis.
        h: how different patches may be, of integers as a share of the dtype's largest value; None: 0.8 times
            the standard deviation of the noise.
        sigma: standard deviation of the noise, likewise; None: 0 where h is given, else estimated (see
            :func:`estimate_sigma`).
        border: what stands beyond the edges.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels; None: there is none.

    Returns:
        An array of the image's shape and dtype. A NaN spreads as far as patches reach.

    Raises:
        ArgumentError: an even patch, a number outside its range, or an unknown border.
        ShapeError: no spatial axis, or one without samples.
        DtypeError: not an image of integers or floats, or a parameter that is no number.

    >>> import numpy as np, tilewright as tw
    >>> stripes = np.tile([0, 200], 8).astype(np.uint8)
    >>> tw.image.denoise_nl_means(stripes, 3, 4, h=0.1)[:4]
    array([  0, 200,   0, 200], dtype=uint8)
    """
    op = "denoise_nl_means"
    pixels, planes, channel, unit = planes_of(image, channel_axis, op)
    margin = _half(patch_size, "patch_size", op)
    reach = check_integer(patch_distance, "patch_distance", op, least=0, most=_MOST_REACH)
    if h is None and sigma is None:
        noise = sigma_of(planes) if planes.size else 0.0
    else:
        noise = 0.0 if sigma is None else check_number(sigma, "sigma", op, least=0) * unit
    strength = 0.8 * noise if h is None else check_number(h, "h", op, above=0) * unit
    if not strength > 0:
        return pixels.copy()  # no noise was found
    values = (2 * margin + 1) ** (planes.ndim - 1) * len(planes)
    off = planes.dtype.type(2 * noise * noise)
    rate = _rate(strength, planes.dtype)
    share = planes.dtype.type(1 / values)

    def weigh(rows: Array, shift: tuple[int, ...], distance: int, steps: Any) -> Array:
        weights: Array = box_sums(squared_difference(rows, distance), 2 * margin + 1, steps)
        weights *= share
        weights -= off
        np.maximum(weights, 0, out=weights)
        weights *= rate
        np.exp(weights, out=weights)
        return weights

    return _restored(pixels, planes, channel, reach, margin, weigh, border, cval, op)


def unsharp_mask(
    image: Any,
    radius: float = 1.0,
    amount: float = 1.0,
    preserve_range: bool = False,
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    channel_axis: int | None = None,
) -> Array:
    """An image made sharper: image + amount · (image − Gaussian(image)).

    Args:
        image: any number of spatial axes, of integers or floats.
        radius: the Gaussian's standard deviation in pixels: of about what size details are strengthened.
        amount: by how much; 0 changes nothing, negative numbers soften.
        preserve_range: leave floats as they come. Otherwise they are clipped to 0 … 1, or to −1 … 1 if some
            are negative, as scikit-image does. Integers are rounded, and clipped to their range.
        border: what stands beyond the edges.
        cval: what the constant border is made of.
        channel_axis: the axis of the channels, each of which is taken alone; None: there is none.

    Returns:
        An array of the image's shape and dtype. (scikit-image gives integers back as floats from 0 to 1.)

    Raises:
        ArgumentError: a negative radius, an amount that isn't finite, or an unknown border.
        ShapeError: no spatial axis, or one without samples.
        DtypeError: not an image of integers or floats, or a parameter that is no number.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.unsharp_mask(np.array([100, 100, 120, 100, 100], np.uint8), radius=0.5, amount=2)
    array([100,  96, 129,  96, 100], dtype=uint8)
    """
    op = "unsharp_mask"
    image, rank, channel = checked(image, channel_axis, op)
    refuse_bools(image, op)
    sigma = check_number(radius, "radius", op, least=0)
    strength = check_number(amount, "amount", op)
    keeps_range = check_flag(preserve_range, "preserve_range", op)
    dtype = float_of(image.dtype)
    values = image.astype(dtype)
    soft = filter(values, gaussian(sigma, rank=rank), border=border, cval=cval, channel_axis=channel)
    with np.errstate(all="ignore"):
        soft -= values
        soft *= dtype.type(-strength)
        soft += values
        if not keeps_range and image.dtype.kind == "f":
            np.clip(soft, -1 if (values < 0).any() else 0, 1, out=soft)
    out = np.empty(image.shape, image.dtype)
    store(soft, out)
    return out


def _by_median(image: Any, size: Any = 3, *, border: str, cval: float, channel_axis: int | None) -> Array:
    image, _, channel = checked(image, channel_axis, "denoise")
    axes = tuple(axis for axis in range(image.ndim) if axis != channel)
    return median_filter(image, size, mode=border, cval=cval, axes=axes)


def _by_mean(image: Any, size: Any = 3, *, border: str, cval: float, channel_axis: int | None) -> Array:
    image, rank, channel = checked(image, channel_axis, "denoise")
    return filter(image, box(size, rank), border=border, cval=cval, channel_axis=channel)


def _by_gaussian(
    image: Any, sigma: Any = 1.0, *, border: str, cval: float, channel_axis: int | None
) -> Array:
    image, rank, channel = checked(image, channel_axis, "denoise")
    return filter(image, gaussian(sigma, rank=rank), border=border, cval=cval, channel_axis=channel)


_METHODS: dict[str, Callable[..., Array]] = {
    "median": _by_median,
    "mean": _by_mean,
    "gaussian": _by_gaussian,
    "bilateral": denoise_bilateral,
    "nonlocal": denoise_nl_means,
}
#: What :func:`denoise` knows.
METHODS = tuple(_METHODS)


def _half(size: Any, name: str, op: str) -> int:
    """How far an odd window reaches from its middle."""
    found = check_integer(size, name, op, least=1, most=2 * _MOST_REACH + 1)
    if found % 2 == 0:
        raise ArgumentError(f"{op} needs {name} to be odd.", describe(**{name: size}))
    return found // 2


def _restored(
    image: Array,
    planes: Array,
    channel: int | None,
    reach: int,
    margin: int,
    weigh: Any,
    border: Any,
    cval: Any,
    op: str,
) -> Array:
    """The weighted means, as an image like the one that was given."""
    edge, value = check_border(border, op), check_cval(cval, op)
    rank = planes.ndim - 1
    check_continued(planes.shape[1:], [(reach + margin,) * 2] * rank, edge, op)
    out = np.empty(image.shape, image.dtype)
    if out.size:
        with np.errstate(all="ignore"):
            found = weighted_mean(planes, [reach] * rank, margin, weigh, 1.0, edge, value)
        store(found, out[np.newaxis] if channel is None else np.moveaxis(out, channel, 0))
    return out


def _rate(deviation: float, dtype: np.dtype[Any]) -> Any:
    """−1 / deviation², or the nearest to it that the dtype holds: times a difference of 0 it is 0."""
    square = deviation * deviation
    most = float(np.finfo(dtype.type).max)
    return dtype.type(-min(1 / square, most) if square else -most)
