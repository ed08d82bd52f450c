"""Filters that tell how an image changes: first differences with some smoothing, and second ones.

All are written for correlation, so that what grows along an axis is positive, and unscaled as in SciPy and
OpenCV; ``normalize=True`` divides them so that a ramp of 1 a sample gives 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.errors import DtypeError, describe
from tilewright.image.filters import (
    Filter,
    check_axis,
    check_integer,
    check_number,
    check_rank,
    each_axis,
)
from tilewright.image.smoothing import gaussian_vector, radius_of


def sobel(axis: int = -1, rank: int = 2, normalize: bool = False) -> Filter:
    """The difference of both neighbours along an axis, smoothed by (1, 2, 1) along all others.

    Args:
        axis: along which it differentiates.
        rank: spatial axes.
        normalize: divide so that a ramp of 1 a sample gives 1.

    Raises:
        DtypeError, ArgumentError: an axis that isn't the filter's.

    >>> sobel(axis=0).kernel
    array([[-1., -2., -1.],
           [ 0.,  0.,  0.],
           [ 1.,  2.,  1.]])
    """
    words = "(−1, 0, 1) along an axis, (1, 2, 1) along the others (Sobel and Feldman 1968)."
    return _gradient("sobel", (1, 2, 1), axis, rank, normalize, words)


def prewitt(axis: int = -1, rank: int = 2, normalize: bool = False) -> Filter:
    """The difference of both neighbours along an axis, summed up over three samples along all others.

    Args, Raises: as :func:`sobel`.

    >>> prewitt(axis=1).kernel
    array([[-1.,  0.,  1.],
           [-1.,  0.,  1.],
           [-1.,  0.,  1.]])
    """
    words = "(−1, 0, 1) along an axis, (1, 1, 1) along the others (Prewitt 1970)."
    return _gradient("prewitt", (1, 1, 1), axis, rank, normalize, words)


def scharr(axis: int = -1, rank: int = 2, normalize: bool = False) -> Filter:
    """The difference of both neighbours along an axis, smoothed by (3, 10, 3): its direction is truer.

    Args, Raises: as :func:`sobel`.

    >>> scharr(axis=1).kernel
    array([[ -3.,   0.,   3.],
           [-10.,   0.,  10.],
           [ -3.,   0.,   3.]])
    """
    words = "(−1, 0, 1) along an axis, (3, 10, 3) along the others (Scharr 2000)."
    return _gradient("scharr", (3, 10, 3), axis, rank, normalize, words)


def _gradient(
    name: str, smooth: tuple[int, ...], axis: int, rank: int, normalize: bool, words: str
) -> Filter:
    rank = check_rank(rank, name)
    axis = check_axis(axis, rank, name)
    across = np.array(smooth, np.float64)
    along = np.array([-1.0, 0.0, 1.0])
    if check_flag(normalize, "normalize", name):
        across, along = across / across.sum(), along / 2
    vectors = tuple(along if one == axis else across for one in range(rank))
    return Filter(name, (vectors,), words, signed=True)


def roberts(diagonal: int = 0) -> Filter:
    """The difference of two pixels that touch at a corner: a filter of two axes.

    Args:
        diagonal: 0 for the one that falls to the right, 1 for the other.

    Raises:
        DtypeError, ArgumentError: neither 0 nor 1.

    >>> roberts(1).kernel
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    diagonal = check_integer(diagonal, "diagonal", "roberts", least=0, most=1)
    kernel = np.array([[0.0, 1.0], [-1.0, 0.0]] if diagonal else [[1.0, 0.0], [0.0, -1.0]])
    words = "The difference of two pixels along a diagonal of 2 × 2 (Roberts 1963)."
    return Filter("roberts", (kernel,), words, signed=True)


def laplacian(rank: int = 2, diagonals: bool = False) -> Filter:
    """The sum of second differences (1, −2, 1) along all axes.

    Args:
        rank: spatial axes.
        diagonals: sum over all neighbours instead, those at corners, too: in two axes, −8 among ones.

    Raises:
        DtypeError, ArgumentError: a rank outside its range.

    >>> laplacian().kernel
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    """
    rank = check_rank(rank, "laplacian")
    if check_flag(diagonals, "diagonals", "laplacian"):
        check_rank(min(rank, 15), "laplacian")
        kernel = np.ones((3,) * rank)
        kernel[(1,) * rank] = 1 - 3**rank
    else:
        kernel = np.zeros((3,) * rank)
        for axis in range(rank):
            for side in (0, 2):
                kernel[tuple(side if one == axis else 1 for one in range(rank))] = 1
        kernel[(1,) * rank] = -2 * rank
    words = "Σ over the neighbours of (neighbour − middle): the second differences (1, −2, 1) of all axes."
    return Filter("laplacian", (kernel,), words, signed=True)


def laplacian_of_gaussian(sigma: Any = 1.0, truncate: float = 4.0, rank: int = 2) -> Filter:
    """The sum of a Gaussian's second derivatives: the Laplacian of the smoothed image.

    Args:
        sigma: standard deviation in samples, above 0, one number or one for each axis.
        truncate: where the Gaussian is cut off, in standard deviations.
        rank: spatial axes.

    Raises:
        DtypeError, ArgumentError, ShapeError: a number outside its range, or a wrong number of them.

    >>> laplacian_of_gaussian(1.4).size
    (13, 13)
    """
    op = "laplacian_of_gaussian"
    rank = check_rank(rank, op)
    truncate = check_number(truncate, "truncate", op, above=0)
    sigmas = [check_number(one, "sigma", op, above=0) for one in each_axis(sigma, "sigma", rank, op)]
    radii = [radius_of(one, truncate, op) for one in sigmas]
    parts = tuple(
        tuple(
            gaussian_vector(one, radius, 2 if other == axis else 0, op)
            for other, (one, radius) in enumerate(zip(sigmas, radii, strict=True))
        )
        for axis in range(rank)
    )
    return Filter(op, parts, "Σ over the axes of ∂²/∂t² of a Gaussian (Marr and Hildreth 1980).", signed=True)


def emboss(angle: float = 45.0, strength: float = 1.0) -> Filter:
    """Relief as if lit from one side: the image, and its slope away from the light. Two axes.

    Args:
        angle: where the picture rises, in degrees, from the direction of rows (0) towards that of columns
            (90: downwards). At 45 the kernel is (−2, −1, 0), (−1, 1, 1), (0, 1, 2).
        strength: of the relief.

    Raises:
        DtypeError, ArgumentError: numbers that are none.

    >>> emboss(45).kernel.round(6) + 0.0
    array([[-2., -1.,  0.],
           [-1.,  1.,  1.],
           [ 0.,  1.,  2.]])
    """
    turn = math.radians(check_number(angle, "angle", "emboss"))
    strength = check_number(strength, "strength", "emboss") * math.sqrt(2)
    y, x = np.mgrid[-1:2, -1:2]
    kernel = strength * (x * math.cos(turn) + y * math.sin(turn))
    kernel[1, 1] += 1
    words = "y = x + strength·√2·(slope along the angle), the slope summed over 3 × 3."
    return Filter("emboss", (kernel,), words, signed=True)


def check_flag(value: Any, name: str, op: str) -> bool:
    """True or False.

    Raises:
        DtypeError: something else.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise DtypeError(f"{op} needs {name} to be True or False.", describe(**{name: value}))
