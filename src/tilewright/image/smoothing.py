"""Filters that smooth, and those made of a picture and its smoothed copy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.image.filters import (
    Filter,
    check_integer,
    check_number,
    check_rank,
    check_vector,
    each_axis,
)

Array = npt.NDArray[Any]

# A row of Pascal's triangle beyond it has numbers that float64 doesn't hold.
_BINOMIAL = 1000


def identity(rank: int = 2) -> Filter:
    """The filter that changes nothing: a single 1.

    >>> identity(rank=3).kernel.shape
    (1, 1, 1)
    """
    rank = check_rank(rank, "identity")
    return Filter("identity", (np.ones((1,) * rank),), "y[p] = x[p].", signed=False)


def box(size: Any = 3, rank: int = 2) -> Filter:
    """The mean over a box.

    Args:
        size: samples along each axis, one number or one for each.
        rank: spatial axes.

    Raises:
        DtypeError, ArgumentError, ShapeError: a size that is none, or a wrong number of them.

    >>> box(2, rank=1).kernel
    array([0.5, 0.5])
    """
    rank = check_rank(rank, "box")
    sizes = [
        check_integer(one, "size", "box", least=1, most=1 << 20)
        for one in each_axis(size, "size", rank, "box")
    ]
    vectors = tuple(np.full(one, 1 / one) for one in sizes)
    return Filter(
        "box", (vectors,), "The mean over a box: every weight is 1 / (number of samples).", signed=False
    )


def gaussian(sigma: Any = 1.0, truncate: float = 4.0, rank: int = 2, order: Any = 0) -> Filter:
    """A Gaussian, sampled and made to sum to 1, or a derivative of one.

    Args:
        sigma: standard deviation in samples, one number or one for each axis; 0 leaves an axis alone.
        truncate: where it is cut off, in standard deviations: the radius is ⌊truncate·sigma + ½⌋.
        rank: spatial axes.
        order: which derivative, one number or one for each axis.

    Raises:
        DtypeError, ArgumentError, ShapeError: a number outside its range, or a wrong number of them.

    >>> gaussian(0.5, rank=1).kernel.round(3)
    array([0.   , 0.106, 0.787, 0.106, 0.   ])
    """
    op = "gaussian"
    rank = check_rank(rank, op)
    truncate = check_number(truncate, "truncate", op, above=0)
    sigmas = [check_number(one, "sigma", op, least=0) for one in each_axis(sigma, "sigma", rank, op)]
    orders = [
        check_integer(one, "order", op, least=0, most=20) for one in each_axis(order, "order", rank, op)
    ]
    vectors = tuple(
        gaussian_vector(one, radius_of(one, truncate, op), which, op)
        for one, which in zip(sigmas, orders, strict=True)
    )
    words = "exp(−t² / 2σ²) at the samples, divided by its sum" + (
        ", times the polynomials of its derivatives." if any(orders) else "."
    )
    return Filter("gaussian", (vectors,), words, signed=any(orders))


def radius_of(sigma: float, truncate: float, op: str) -> int:
    """Samples on either side of the middle one, as SciPy has them.

    Raises:
        ArgumentError: more than anybody means.
    """
    check_vector(2 * truncate * sigma, op)
    return int(truncate * sigma + 0.5)


def gaussian_vector(sigma: float, radius: int, order: int, op: str) -> Array:
    """The weights of a Gaussian's derivative for correlation, as ``scipy.ndimage`` has them.

    The derivative of p(t)·g(t) is (dp/dt − p·t/σ²)·g; it is turned round, for a correlation.
    """
    if sigma == 0 or sigma * sigma == 0 or 1 / (sigma * sigma) == math.inf:
        if order:
            raise ArgumentError(f"{op} needs a sigma above 0 to take a derivative.", describe(sigma=sigma))
        return np.ones(1)
    place = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = np.exp(-0.5 / (sigma * sigma) * place**2)
    weights /= weights.sum()
    polynomial = np.polynomial.Polynomial([1.0])
    slope = np.polynomial.Polynomial([0.0, -1 / (sigma * sigma)])
    for _ in range(order):
        polynomial = polynomial.deriv() + polynomial * slope
    found: Array = (polynomial(place) * weights)[::-1] if order else weights
    return found


def binomial(order: int = 2, rank: int = 2) -> Filter:
    """Row ``order`` of Pascal's triangle over 2^order: ``order`` means of neighbours, one after the other.

    Its variance is order/4. Orders 2 and 4 are OpenCV's small Gaussians, (1, 2, 1)/4 and (1, 4, 6, 4, 1)/16.

    Args:
        order: taps less one.
        rank: spatial axes.

    Raises:
        DtypeError, ArgumentError: no integer from 0 to 1000.

    >>> binomial(4, rank=1).kernel * 16
    array([1., 4., 6., 4., 1.])
    """
    rank = check_rank(rank, "binomial")
    order = check_integer(order, "order", "binomial", least=0, most=_BINOMIAL)
    # Integers are exact, and so is their quotient but for one rounding.
    vector = np.array([math.comb(order, k) / (1 << order) for k in range(order + 1)])
    words = "Row n of Pascal's triangle over 2ⁿ (Burt and Adelson 1983 smooth pyramids with it)."
    return Filter("binomial", ((vector,) * rank,), words, signed=False)


def unsharp(sigma: float = 1.0, amount: float = 1.0, truncate: float = 4.0, rank: int = 2) -> Filter:
    """Unsharp masking: the image, and ``amount`` times what its Gaussian leaves out.

    Args:
        sigma: of the Gaussian, one number or one for each axis.
        amount: 0 changes nothing; negative numbers smooth.
        truncate: where the Gaussian is cut off, in standard deviations.
        rank: spatial axes.

    Raises:
        DtypeError, ArgumentError, ShapeError: as :func:`gaussian`.

    >>> round(float(unsharp(1.0, 0.5).kernel.sum()), 12)
    1.0
    """
    amount = check_number(amount, "amount", "unsharp")
    blur = gaussian(sigma, truncate, rank).parts[0]
    assert isinstance(blur, tuple)
    parts = (np.full((1,) * rank, 1 + amount), (-amount * blur[0], *blur[1:]))
    return Filter("unsharp", parts, "y = x + amount · (x − Gaussian(x)).", signed=amount > 0)


def sharpen(amount: float = 1.0, rank: int = 2) -> Filter:
    """The image less its Laplacian: 5 in the middle and −1 beside it, in two axes and for an amount of 1.

    Args:
        amount: 0 changes nothing.
        rank: spatial axes.

    Raises:
        DtypeError, ArgumentError: an amount that is no finite number.

    >>> sharpen().kernel
    array([[ 0., -1.,  0.],
           [-1.,  5., -1.],
           [ 0., -1.,  0.]])
    """
    rank = check_rank(rank, "sharpen")
    amount = check_number(amount, "amount", "sharpen")
    kernel = np.zeros((3,) * rank)
    for axis in range(rank):
        for side in (0, 2):
            kernel[tuple(side if one == axis else 1 for one in range(rank))] = -amount
    kernel[(1,) * rank] = 1 + 2 * rank * amount
    return Filter("sharpen", (kernel,), "y = x − amount · Laplacian(x).", signed=amount > 0)


def difference_of_gaussians(
    low_sigma: float = 1.0, high_sigma: float | None = None, truncate: float = 4.0, rank: int = 2
) -> Filter:
    """A narrow Gaussian less a wide one: what is about as large as the one and smaller than the other.

    Args:
        low_sigma: of the narrow one, one number or one for each axis.
        high_sigma: of the wide one; None: 1.6 times the narrow one's, which resembles the Laplacian of a
            Gaussian most.
        truncate: where both are cut off, in standard deviations.
        rank: spatial axes.

    Raises:
        DtypeError, ArgumentError, ShapeError: as :func:`gaussian`.

    >>> abs(float(difference_of_gaussians(1.0, 2.0).kernel.sum())) < 1e-12
    True
    """
    op = "difference_of_gaussians"
    rank = check_rank(rank, op)
    lows = [
        check_number(one, "low_sigma", op, least=0) for one in each_axis(low_sigma, "low_sigma", rank, op)
    ]
    given = [1.6 * one for one in lows] if high_sigma is None else high_sigma
    highs = [check_number(one, "high_sigma", op, least=0) for one in each_axis(given, "high_sigma", rank, op)]
    narrow = gaussian(lows, truncate, rank).parts[0]
    wide = gaussian(highs, truncate, rank).parts[0]
    assert isinstance(wide, tuple)
    words = "Gaussian(σ₁) − Gaussian(σ₂) (Marr and Hildreth 1980: σ₂ = 1.6 σ₁ for an edge detector)."
    return Filter(op, (narrow, (-wide[0], *wide[1:])), words, signed=True)


def motion_blur(length: float = 9.0, angle: float = 0.0) -> Filter:
    """What a picture looks like that moved while it was taken: the mean along a line through each pixel.

    Args:
        length: of the line, in pixels, 1 or more.
        angle: in degrees, from the direction of rows (0) towards that of columns turned up (90).

    Returns:
        A filter of two axes. ⌈length⌉ points, evenly over the line, are each shared out between their four
        neighbours (bilinearly); an odd length along a row or column is a plain mean.

    Raises:
        DtypeError, ArgumentError: a length below 1, or numbers that are none.

    >>> motion_blur(3).kernel.round(3)
    array([[0.333, 0.333, 0.333]])
    """
    op = "motion_blur"
    length = check_number(length, "length", op, least=1, below=4096)
    turn = math.radians(check_number(angle, "angle", op))
    count = math.ceil(length)
    along = (np.arange(count) - (count - 1) / 2) * (length / count)
    # Sines of multiples of 90° are a hair off zero, which would make rows of nothing.
    across, down = np.round(along * math.cos(turn), 9), np.round(-along * math.sin(turn), 9)
    radii = [math.ceil(float(np.abs(one).max())) for one in (down, across)]
    kernel = np.zeros([2 * radius + 1 for radius in radii])
    for y, x in zip(down + radii[0], across + radii[1], strict=True):
        row, column = math.floor(y), math.floor(x)
        for i, weight_down in ((row, 1 - (y - row)), (row + 1, y - row)):
            for j, weight_across in ((column, 1 - (x - column)), (column + 1, x - column)):
                if weight_down * weight_across:
                    kernel[i, j] += weight_down * weight_across
    words = "The mean along a line, its points shared out between their neighbours bilinearly."
    return Filter(op, (kernel / kernel.sum(),), words, signed=False)
