"""``correlate``, ``convolve`` and their one-dimensional kin, as in ``scipy.ndimage``."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.image.kernels import check_kernel, check_origins, dense_term, product_term
from tilewright.image.ndimage_arguments import (
    check_axes,
    check_input,
    check_one_axis,
    make_output,
    outsides,
    run,
)

Array = npt.NDArray[Any]


def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """``scipy.ndimage.correlate``: the kernel as it is written, over any number of axes.

    y[p] = Σ_t weights[t] · input[p + t − size // 2 − origin]

    Args:
        input: any rank, of bools, integers, float16, float32 or float64.
        weights: the kernel, of the input's rank, or with one axis for each of ``axes``.
        output: an array to write to, the dtype of the result, or None: the input's.
        mode: what stands beyond the edges, one of :func:`border_names` or an alias.
        cval: what the constant border is made of.
        origin: moves the kernel, an integer or one for each axis.
        axes: those along which the kernel runs, in ascending order; None: all.

    Returns:
        The result, of the input's shape. As in SciPy, integers are computed in float64 and cut off towards
        zero, and what doesn't fit wraps round (:func:`filter` rounds and clips instead). float32 is computed
        in float32, float16 (which SciPy refuses) in float32, float64 in float64.

    Raises:
        ShapeError: a kernel of another rank, or an empty one; an output of another shape.
        DtypeError: something that can't be filtered, or with; complex numbers.
        ArgumentError: an unknown mode, an origin outside the kernel, or a wrong axis.

    >>> correlate([1, 2, 3, 4], [1, 0, -1])
    array([-1, -2, -2, -1])
    """
    return _weighted(input, weights, output, mode, cval, origin, axes, False, "correlate")


def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Array:
    """``scipy.ndimage.convolve``: :func:`correlate` with the kernel turned round about its centre.

    Args, Returns, Raises: as :func:`correlate`; the origin, too, is turned round.

    >>> convolve([0, 0, 1, 0, 0], [1, 2, 3])
    array([0, 1, 2, 3, 0])
    """
    return _weighted(input, weights, output, mode, cval, origin, axes, True, "convolve")


def _weighted(
    input: Any, weights: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any, flip: bool, op: str
) -> Array:
    array = check_input(input, op)
    along = check_axes(axes, array.ndim, op)
    kernel = check_kernel(weights, op, "weights")
    if kernel.ndim != len(along):
        raise ShapeError(
            f"{op} needs weights with an axis for each of the {len(along)} that are filtered.",
            describe(weights=kernel),
        )
    outside = outsides(mode, cval, 1, op)[0]
    origins = check_origins(origin, kernel.shape, op)
    # As in SciPy, the kernel's axes are the input's in ascending order, however they are listed.
    shape, places = [1] * array.ndim, [0] * array.ndim
    for axis, size, one in zip(sorted(along), kernel.shape, origins, strict=True):
        shape[axis], places[axis] = size, one
    term = dense_term(kernel.reshape(shape), places, flip)
    return run(array, term, make_output(output, array, op), outside)


def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Array:
    """``scipy.ndimage.correlate1d``: a vector of weights along one axis.

    Args:
        weights: the vector.
        axis: along which it runs.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        mode: as :func:`correlate`.
        cval: as :func:`correlate`.
        origin: as :func:`correlate`.

    Returns:
        As :func:`correlate`.

    Raises:
        ShapeError: as :func:`correlate`.
        DtypeError: as :func:`correlate`.
        ArgumentError: as :func:`correlate`.

    >>> correlate1d([[1, 2, 4, 8]], [-1, 1])
    array([[0, 1, 2, 4]])
    """
    return _along_axis(input, weights, axis, output, mode, cval, origin, False, "correlate1d")


def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Array:
    """``scipy.ndimage.convolve1d``: :func:`correlate1d` with the vector turned round.

    Args, Returns, Raises: as :func:`correlate1d`.

    >>> convolve1d([0, 0, 1, 0, 0], [1, 2, 3])
    array([0, 1, 2, 3, 0])
    """
    return _along_axis(input, weights, axis, output, mode, cval, origin, True, "convolve1d")


def _along_axis(
    input: Any, weights: Any, axis: Any, output: Any, mode: Any, cval: Any, origin: Any, flip: bool, op: str
) -> Array:
    array = check_input(input, op)
    vector = check_kernel(weights, op, "weights")
    if vector.ndim != 1:
        raise ShapeError(f"{op} needs weights to be a vector.", describe(weights=vector))
    one = check_one_axis(axis, array.ndim, op)
    outside = outsides(mode, cval, 1, op)[0]
    origins = [0] * array.ndim
    origins[one] = check_origins(origin, vector.shape, op)[0]
    term = product_term([(one, vector)], array.ndim, origins, flip)
    return run(array, term, make_output(output, array, op), outside)
