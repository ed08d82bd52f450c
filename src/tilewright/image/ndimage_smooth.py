"""``gaussian_filter``, ``uniform_filter`` and their one-dimensional kin, as in ``scipy.ndimage``."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.image.correlating import Outside
from tilewright.image.filters import check_integer, check_number, check_vector
from tilewright.image.kernels import check_origins, product_term
from tilewright.image.ndimage_arguments import (
    check_axes,
    check_input,
    check_one_axis,
    fits_product,
    make_output,
    outsides,
    per_axis,
    run,
)
from tilewright.image.smoothing import gaussian_vector, radius_of

Array = npt.NDArray[Any]

# SciPy leaves axes with a sigma up to it alone.
_NO_SIGMA = 1e-15
_ORDERS = 20


def gaussian_filter1d(
    input: Any,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> Array:
    """``scipy.ndimage.gaussian_filter1d``: a Gaussian, or a derivative of one, along one axis.

    Args:
        sigma: standard deviation in samples.
        axis: along which it runs.
        order: 0 for the Gaussian, 1, 2, … for its derivatives.
        truncate: where it is cut off, in standard deviations.
        radius: where it is cut off, in samples; replaces ``truncate``.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        mode: as :func:`correlate`.
        cval: as :func:`correlate`.

    Returns:
        As :func:`correlate`.

    Raises:
        ShapeError: as :func:`correlate`; a sigma, order or radius out of range.
        DtypeError: as :func:`correlate`; a sigma, order or radius out of range.
        ArgumentError: as :func:`correlate`; a sigma, order or radius out of range.

    >>> import numpy as np
    >>> gaussian_filter1d(np.array([0.0, 0.0, 1.0, 0.0, 0.0]), 1.0, radius=1).round(3)
    array([0.   , 0.274, 0.452, 0.274, 0.   ])
    """
    op = "gaussian_filter1d"
    array = check_input(input, op)
    one = check_one_axis(axis, array.ndim, op)
    vector = _vector(sigma, order, truncate, radius, op)
    outside = outsides(mode, cval, 1, op)[0]
    term = product_term([(one, vector)], array.ndim, [0] * array.ndim, False)
    return run(array, term, make_output(output, array, op), outside)


def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Array:
    """``scipy.ndimage.gaussian_filter``: a Gaussian, or a derivative of one, along several axes.

    Args:
        sigma: standard deviation in samples, one number or one for each axis; 0 leaves an axis alone.
        order: derivatives, one number or one for each axis.
        mode: one name or one for each axis.
        truncate: where it is cut off, in standard deviations.
        radius: where it is cut off, in samples, one number or one for each axis; replaces ``truncate``.
        axes: those along which it runs; None: all. A picture with channels last takes ``axes=(0, 1)``.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        cval: as :func:`correlate`.

    Returns:
        As :func:`correlate`; integers are cut off after every axis, as SciPy does.

    Raises:
        ShapeError: as :func:`correlate`; a sigma, order or radius out of range.
        DtypeError: as :func:`correlate`; a sigma, order or radius out of range.
        ArgumentError: as :func:`correlate`; a sigma, order or radius out of range.

    >>> import numpy as np
    >>> gaussian_filter(np.eye(3), 1.0, radius=1).round(3)
    array([[0.602, 0.323, 0.075],
           [0.323, 0.354, 0.323],
           [0.075, 0.323, 0.602]])
    """
    op = "gaussian_filter"
    array = check_input(input, op)
    along = check_axes(axes, array.ndim, op)
    count = len(along)
    sigmas = [check_number(one, "sigma", op, least=0) for one in per_axis(sigma, count, op, "sigma")]
    orders, radii = per_axis(order, count, op, "order"), per_axis(radius, count, op, "radius")
    vectors, borders = [], []
    for axis, one, which, reach, outside in zip(
        along, sigmas, orders, radii, outsides(mode, cval, count, op), strict=True
    ):
        vector = _vector(max(one, _NO_SIGMA), which if one > _NO_SIGMA else 0, truncate, reach, op)
        if one > _NO_SIGMA:
            vectors.append((axis, vector))
            borders.append(outside)
    return passes(array, vectors, borders, make_output(output, array, op), [0] * array.ndim)


def _vector(sigma: Any, order: Any, truncate: Any, radius: Any, op: str) -> Array:
    found = check_number(sigma, "sigma", op, least=0)
    which = check_integer(order, "order", op, least=0, most=_ORDERS)
    if radius is None:
        reach = radius_of(found, check_number(truncate, "truncate", op, above=0), op)
    else:
        reach = check_integer(radius, "radius", op, least=0, most=1 << 19)
    if found == 0 and radius is not None and reach:
        raise ArgumentError(
            f"{op} needs a sigma above 0 to have a radius.", describe(sigma=sigma, radius=radius)
        )
    return gaussian_vector(found, reach, which, op)


def uniform_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Array:
    """``scipy.ndimage.uniform_filter1d``: the mean of ``size`` samples along one axis.

    Args:
        size: samples of the mean.
        axis: along which they lie.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        mode: as :func:`correlate`.
        cval: as :func:`correlate`.
        origin: as :func:`correlate`.

    Returns:
        As :func:`correlate`.

    Raises:
        ShapeError: as :func:`correlate`; a size below 1.
        DtypeError: as :func:`correlate`; a size below 1.
        ArgumentError: as :func:`correlate`; a size below 1.

    >>> uniform_filter1d([2.0, 8.0, 0.0, 4.0], 3)
    array([4.        , 3.33333333, 4.        , 2.66666667])
    """
    op = "uniform_filter1d"
    array = check_input(input, op)
    one = check_one_axis(axis, array.ndim, op)
    count = _size(size, op)
    outside = outsides(mode, cval, 1, op)[0]
    origins = [0] * array.ndim
    origins[one] = check_origins(origin, [count], op)[0]
    return _mean(array, count, one, make_output(output, array, op), outside, origins)


def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """``scipy.ndimage.uniform_filter``: the mean over a box.

    Args:
        size: of the box, one number or one for each axis.
        mode: one name or one for each axis.
        origin: moves the box, an integer or one for each axis.
        axes: those along which it runs; None: all.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        cval: as :func:`correlate`.

    Returns:
        As :func:`correlate`; integers are cut off after every axis, as SciPy does.

    Raises:
        ShapeError: as :func:`correlate`; a size below 1.
        DtypeError: as :func:`correlate`; a size below 1.
        ArgumentError: as :func:`correlate`; a size below 1.

    >>> import numpy as np
    >>> uniform_filter(np.array([[0, 9], [0, 9]]), 3, mode="nearest")
    array([[3, 6],
           [3, 6]])
    """
    op = "uniform_filter"
    array = check_input(input, op)
    along = check_axes(axes, array.ndim, op)
    sizes = [_size(one, op) for one in per_axis(size, len(along), op, "size")]
    given = check_origins(origin, sizes, op)
    borders = outsides(mode, cval, len(along), op)
    origins = [0] * array.ndim
    for axis, one in zip(along, given, strict=True):
        origins[axis] = one
    target = make_output(output, array, op)
    wide = [(axis, one) for axis, one in zip(along, sizes, strict=True) if one > 1]
    kept = [outside for outside, one in zip(borders, sizes, strict=True) if one > 1]
    if target.dtype.kind == "f":
        return passes(array, [(axis, np.full(one, 1 / one)) for axis, one in wide], kept, target, origins)
    if not wide:
        return passes(array, [], [], target, origins)
    for (axis, one), outside in zip(wide, kept, strict=True):
        array = _mean(array, one, axis, target, outside, origins)
    return target


def _mean(array: Array, size: int, axis: int, target: Array, outside: Outside, origins: list[int]) -> Array:
    """Means along an axis: sums, which of whole numbers are exact, and then one division."""
    own = [one if number == axis else 0 for number, one in enumerate(origins)]
    whole = target.dtype.kind != "f"
    vector = np.ones(size) if whole else np.full(size, 1 / size)
    return run(
        array, product_term([(axis, vector)], array.ndim, own, False), target, outside, size if whole else 1
    )


def passes(
    array: Array,
    vectors: list[tuple[int, Array]],
    borders: list[Outside],
    target: Array,
    origins: list[int],
    *,
    exact: bool = False,
) -> Array:
    """Vectors along several axes, one after the other, or as one product where that is the same.

    ``exact``: of integers it is, being whole numbers in a range that wraps round.
    """
    if not vectors:
        nothing = product_term([], array.ndim, [0] * array.ndim, False)
        return run(array, nothing, target, Outside("nearest", 0.0))
    sums = [float(vector.sum()) for _, vector in vectors]
    if fits_product(borders, sums, exact or target.dtype.kind == "f"):
        return run(array, product_term(vectors, array.ndim, origins, False), target, borders[0])
    for (axis, vector), outside in zip(vectors, borders, strict=True):
        own = [one if number == axis else 0 for number, one in enumerate(origins)]
        array = run(array, product_term([(axis, vector)], array.ndim, own, False), target, outside)
    return target


def _size(size: Any, op: str) -> int:
    if isinstance(size, (bool, np.bool_)) or not isinstance(size, (int, np.integer)):
        raise DtypeError(f"{op} needs size to be an integer.", describe(size=size))
    if size < 1:
        raise ArgumentError(f"{op} needs a size of 1 or more.", describe(size=size))
    check_vector(int(size), op)
    return operator.index(size)
