"""Derivatives under the names that they have in ``scipy.ndimage``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import DtypeError, describe
from tilewright.image.borders import CONSTANT
from tilewright.image.kernels import dense_term
from tilewright.image.ndimage_arguments import (
    check_axes,
    check_input,
    check_one_axis,
    make_output,
    outsides,
    per_axis,
    run,
)
from tilewright.image.ndimage_correlate import correlate1d
from tilewright.image.ndimage_smooth import gaussian_filter, passes

Array = npt.NDArray[Any]


def sobel(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: float = 0.0) -> Array:
    """``scipy.ndimage.sobel``: (−1, 0, 1) along an axis and (1, 2, 1) along all others.

    The kernel itself is ``named("sobel", rank, axis=…)``.

    Args:
        axis: along which it differentiates.
        mode: one name or one for each axis.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        cval: as :func:`correlate`.

    Returns:
        As :func:`correlate`. Slopes have signs: of unsigned integers ask for a signed ``output``.

    Raises:
        ShapeError: as :func:`correlate`.
        DtypeError: as :func:`correlate`.
        ArgumentError: as :func:`correlate`.

    >>> import numpy as np
    >>> sobel(np.array([[1, 2, 4], [1, 2, 4]], np.uint8), output=np.int16)
    array([[ 4, 12,  8],
           [ 4, 12,  8]], dtype=int16)
    """
    return _difference(input, axis, output, mode, cval, (1, 2, 1), "sobel")


def prewitt(
    input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: float = 0.0
) -> Array:
    """``scipy.ndimage.prewitt``: (−1, 0, 1) along an axis and (1, 1, 1) along all others.

    Args, Returns, Raises: as :func:`sobel`.

    >>> prewitt([[1, 2, 4], [1, 2, 4]])
    array([[3, 9, 6],
           [3, 9, 6]])
    """
    return _difference(input, axis, output, mode, cval, (1, 1, 1), "prewitt")


def _difference(
    input: Any, axis: Any, output: Any, mode: Any, cval: Any, smooth: tuple[int, ...], op: str
) -> Array:
    array = check_input(input, op)
    one = check_one_axis(axis, array.ndim, op)
    borders = outsides(mode, cval, array.ndim, op)
    order = [one, *(other for other in range(array.ndim) if other != one)]
    vectors = [(other, np.array((-1, 0, 1) if other == one else smooth, np.float64)) for other in order]
    target = make_output(output, array, op)
    return passes(
        array,
        vectors,
        [borders[other] for other in order],
        target,
        [0] * array.ndim,
        exact=_wraps(array, target),
    )


def _wraps(array: Array, target: Array) -> bool:
    """Whether small whole weights on such integers, cut off at the end, are as if cut off in between."""
    return (
        array.dtype.kind in "biu" and target.dtype.kind in "iu" and max(array.itemsize, target.itemsize) <= 4
    )


def laplace(
    input: Any, output: Any = None, mode: Any = "reflect", cval: float = 0.0, *, axes: Any = None
) -> Array:
    """``scipy.ndimage.laplace``: the sum of second differences (1, −2, 1).

    Args:
        mode: one name or one for each axis.
        axes: those that are summed over; None: all.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        cval: as :func:`correlate`.

    Returns:
        As :func:`correlate`. It has signs: of unsigned integers ask for a signed ``output``.

    Raises:
        ShapeError: as :func:`correlate`.
        DtypeError: as :func:`correlate`.
        ArgumentError: as :func:`correlate`.

    >>> laplace([0.0, 1.0, 4.0, 9.0, 16.0])
    array([ 1.,  2.,  2.,  2., -7.])
    """
    op = "laplace"
    array = check_input(input, op)
    along = check_axes(axes, array.ndim, op)
    borders = outsides(mode, cval, len(along), op)
    same = len({one.border for one in borders}) == 1
    target = make_output(output, array, op)
    # SciPy cuts integers off after every axis: the same as once, if all that is added up is whole.
    whole = _wraps(array, target) and all(one.border != CONSTANT or one.cval.is_integer() for one in borders)
    if not same or (target.dtype.kind != "f" and not whole):
        return generic_laplace(array, _second_difference, target, mode, cval, axes=along)
    kernel = np.zeros([3 if axis in along else 1 for axis in range(array.ndim)])
    middle = tuple(size // 2 for size in kernel.shape)
    kernel[middle] = -2 * len(along)
    for axis in along:
        for side in (0, 2):
            kernel[(*middle[:axis], side, *middle[axis + 1 :])] = 1
    return run(array, dense_term(kernel, [0] * array.ndim, False), target, borders[0])


def _second_difference(input: Array, axis: int, output: Any, mode: str, cval: float) -> Array:
    return correlate1d(input, [1, -2, 1], axis, output, mode, cval)


def gaussian_laplace(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Array:
    """``scipy.ndimage.gaussian_laplace``: the sum of a Gaussian's second derivatives.

    Args:
        sigma: standard deviation in samples, one number or one for each axis.
        mode: one name or one for each axis.
        axes: those that it runs along; None: all.
        input: as :func:`correlate`.
        output: as :func:`correlate`.
        cval: as :func:`correlate`.
        **kwargs: ``truncate`` and ``radius`` of :func:`gaussian_filter`.

    Returns:
        As :func:`correlate`.

    Raises:
        ShapeError: as :func:`gaussian_filter`.
        DtypeError: as :func:`gaussian_filter`.
        ArgumentError: as :func:`gaussian_filter`.

    >>> import numpy as np
    >>> round(float(gaussian_laplace(np.array([0.0, 0.0, 1.0, 0.0, 0.0]), 1.0, radius=2)[2]), 3)
    -0.403
    """
    array = check_input(input, "gaussian_laplace")
    along = check_axes(axes, array.ndim, "gaussian_laplace")

    def second(input: Array, axis: int, output: Any, mode: Any, cval: float) -> Array:
        order = [2 if one == axis else 0 for one in along]
        return gaussian_filter(input, sigma, order, output, mode, cval, axes=along, **kwargs)

    return generic_laplace(array, second, output, mode, cval, axes=along)


def gaussian_gradient_magnitude(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Array:
    """``scipy.ndimage.gaussian_gradient_magnitude``: the length of a Gaussian's first derivatives.

    Args, Returns, Raises: as :func:`gaussian_laplace`.

    >>> import numpy as np
    >>> round(float(gaussian_gradient_magnitude(np.arange(9.0), 1.0)[4]), 3)
    1.0
    """
    array = check_input(input, "gaussian_gradient_magnitude")
    along = check_axes(axes, array.ndim, "gaussian_gradient_magnitude")

    def first(input: Array, axis: int, output: Any, mode: Any, cval: float) -> Array:
        order = [1 if one == axis else 0 for one in along]
        return gaussian_filter(input, sigma, order, output, mode, cval, axes=along, **kwargs)

    return generic_gradient_magnitude(array, first, output, mode, cval, axes=along)


def generic_laplace(
    input: Any,
    derivative2: Callable[..., Array],
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: Any = None,
) -> Array:
    """``scipy.ndimage.generic_laplace``: the sum of second derivatives that a function computes.

    Args:
        derivative2: called as ``derivative2(input, axis, output, mode, cval, *extra_arguments,
            **extra_keywords)``.
        extra_arguments: passed on to it.
        extra_keywords: passed on to it.
        input: as :func:`laplace`.
        output: as :func:`laplace`.
        mode: as :func:`laplace`.
        cval: as :func:`laplace`.
        axes: as :func:`laplace`.

    Returns:
        As :func:`correlate`.

    Raises:
        ShapeError: as :func:`laplace`; a derivative that can't be called.
        DtypeError: as :func:`laplace`; a derivative that can't be called.
        ArgumentError: as :func:`laplace`; a derivative that can't be called.

    >>> second = lambda x, axis, output, mode, cval: correlate1d(x, [1, -2, 1], axis, output)
    >>> generic_laplace([0.0, 1.0, 4.0], second)
    array([ 1.,  2., -3.])
    """
    parts = _derivatives(
        "generic_laplace", input, derivative2, output, mode, cval, extra_arguments, extra_keywords, axes
    )
    total: Array = next(parts)
    for part in parts:
        with np.errstate(all="ignore"):
            total += part
    return total


def generic_gradient_magnitude(
    input: Any,
    derivative: Callable[..., Array],
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: Any = None,
) -> Array:
    """``scipy.ndimage.generic_gradient_magnitude``: √Σ of squared derivatives that a function computes.

    Args:
        derivative: called as ``derivative(input, axis, output, mode, cval, *extra_arguments,
            **extra_keywords)``.
        extra_arguments: passed on to it.
        extra_keywords: passed on to it.
        input: as :func:`laplace`.
        output: as :func:`laplace`.
        mode: as :func:`laplace`.
        cval: as :func:`laplace`.
        axes: as :func:`laplace`.

    Returns:
        As :func:`correlate`.

    Raises:
        ShapeError: as :func:`laplace`; a derivative that can't be called.
        DtypeError: as :func:`laplace`; a derivative that can't be called.
        ArgumentError: as :func:`laplace`; a derivative that can't be called.

    >>> import numpy as np
    >>> float(generic_gradient_magnitude(np.array([[0.0, 3.0], [4.0, 7.0]]), sobel)[0, 0])
    20.0
    """
    op = "generic_gradient_magnitude"
    parts = _derivatives(op, input, derivative, output, mode, cval, extra_arguments, extra_keywords, axes)
    total: Array = next(parts)
    if not _has_axes(input, axes, op):
        return total
    with np.errstate(all="ignore"):
        np.multiply(total, total, out=total)
        for part in parts:
            np.multiply(part, part, out=part)
            total += part
        np.sqrt(total, out=total, casting="unsafe")
    return total


def _has_axes(input: Any, axes: Any, op: str) -> bool:
    return bool(check_axes(axes, check_input(input, op).ndim, op))


def _derivatives(
    op: str,
    input: Any,
    derivative: Callable[..., Array],
    output: Any,
    mode: Any,
    cval: Any,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any] | None,
    axes: Any,
) -> Any:
    """The derivative along every axis: the first one in the output, which is then added to."""
    array = check_input(input, op)
    along = check_axes(axes, array.ndim, op)
    if not callable(derivative):
        raise DtypeError(f"{op} needs a derivative that can be called.", describe(derivative=derivative))
    outsides(mode, cval, len(along), op)
    modes = per_axis(mode, len(along), op, "mode")
    target = make_output(output, array, op)
    if np.may_share_memory(array, target):
        array = array.copy()
    if not along:
        yield passes(array, [], [], target, [0] * array.ndim)
        return
    derivative(array, along[0], target, modes[0], cval, *arguments, **(keywords or {}))
    yield target
    for axis, one in zip(along[1:], modes[1:], strict=True):
        yield derivative(array, axis, target.dtype, one, cval, *arguments, **(keywords or {}))
