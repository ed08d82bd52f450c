"""``convolve`` and ``correlate`` as in ``scipy.signal``: of two arrays of one rank, full, same or valid.

(Those of ``scipy.ndimage``, which keep the size and know borders, are in :mod:`tilewright.image` itself.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry import ConvDims
from tilewright.image.borders import check_pixels
from tilewright.op.conv import conv_forward

__all__ = ["convolve", "correlate"]

Array = npt.NDArray[Any]

_MODES = ("full", "valid", "same")
_METHODS = ("auto", "direct", "fft")
# Taps from which Fourier transforms pay, per doubling of the result's size: they take about as long for each
# of its numbers as so many products. (1024 × 1024 of float32: even between 400 and 700 taps.)
_TAPS_A_DOUBLING = 32


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Array:
    """``scipy.signal.convolve``: y[n] = Σ_k in1[k] · in2[n − k], over any number of axes.

    Args:
        in1: numbers of any kind, complex ones, too.
        in2: of the same rank.
        mode: "full": wherever they overlap; "same": the middle of it, of the shape of ``in1``; "valid":
            wherever the smaller one lies within the larger one.
        method: "direct": products and sums; "fft": by Fourier transforms, whose error is relative to the
            largest results; "auto": direct, unless the smaller array is so large that transforms are faster
            and both are finite floats or complex numbers.

    Returns:
        An array of NumPy's common dtype of both. Integers are exact modulo the range of their dtype when
        computed directly, and rounded from float64 by Fourier transforms; bools say whether any product is
        true. If an array has no element, neither has the result.

    Raises:
        ShapeError: different ranks, or with mode "valid" arrays of which neither holds the other.
        DtypeError: something else than numbers.
        ArgumentError: an unknown mode or method.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.signal.convolve([1, 2, 3], [0, 1, 2])
    array([0, 1, 4, 7, 6])
    """
    x, w = _operands(in1, in2, mode, method, "convolve")
    if mode == "valid" and not _holds(x, w):
        x, w = w, x
    return _convolved(x, w, mode, method)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Array:
    """``scipy.signal.correlate``: y[n] = Σ_k in1[k] · conj(in2[k − n + N − 1]), N being in2's size.

    Args, Returns, Raises: as :func:`convolve`.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.signal.correlate([1, 2, 3], [0, 1, 2])
    array([2, 5, 8, 3, 0])
    """
    x, w = _operands(in1, in2, mode, method, "correlate")
    swapped = mode == "valid" and not _holds(x, w)
    if swapped:
        x, w = w, x
    found = _convolved(x, np.flip(w).conj() if w.dtype.kind == "c" else np.flip(w), mode, method)
    if swapped:
        found = np.ascontiguousarray(np.flip(found))
        if found.dtype.kind == "c":
            found = found.conj()
    return found


def _operands(in1: Any, in2: Any, mode: Any, method: Any, op: str) -> tuple[Array, Array]:
    x = check_pixels(in1, "in1", op, complex_too=True)
    w = check_pixels(in2, "in2", op, complex_too=True)
    if x.ndim != w.ndim:
        raise ShapeError(f"{op} needs arrays of the same rank.", describe(in1=x, in2=w))
    for value, name, known in ((mode, "mode", _MODES), (method, "method", _METHODS)):
        if not isinstance(value, str) or value not in known:
            words = ", ".join(repr(one) for one in known)
            raise ArgumentError(f"{op} needs {name} to be one of {words}.", describe(**{name: value}))
    if mode == "valid" and x.size and w.size and not (_holds(x, w) or _holds(w, x)):
        raise ShapeError(
            f"{op} with mode 'valid' needs one array to be at least as large as the other on every axis.",
            describe(in1=x, in2=w),
        )
    common = np.result_type(x, w)
    return x.astype(common, copy=False), w.astype(common, copy=False)


def _holds(x: Array, w: Array) -> bool:
    return all(large >= small for large, small in zip(x.shape, w.shape, strict=True))


def _convolved(x: Array, w: Array, mode: str, method: str) -> Array:
    """The convolution of arrays of one dtype; in mode "valid", of which the first holds the second."""
    if x.size == 0 or w.size == 0:
        return np.empty(0, x.dtype)
    if x.ndim == 0:
        return np.asarray(x * w)
    if x.dtype.kind == "b":
        counts = _convolved(x.astype(np.int64), w.astype(np.int64), mode, method)
        return np.not_equal(counts, 0)
    full = tuple(a + b - 1 for a, b in zip(x.shape, w.shape, strict=True))
    if mode == "full":
        size = full
    elif mode == "same":
        size = x.shape
    else:
        size = tuple(a - b + 1 for a, b in zip(x.shape, w.shape, strict=True))
    first = tuple((whole - one) // 2 for whole, one in zip(full, size, strict=True))
    if method == "fft" or (method == "auto" and _transforms_pay(x, w, full)):
        return _by_transforms(x, w, full, first, size)
    if w.size > x.size:
        x, w = w, x
    # Output n of the full one lies before x by the kernel's taps less one.
    pads = tuple(
        (taps - 1 - start, start + one - samples)
        for taps, start, one, samples in zip(w.shape, first, size, x.shape, strict=True)
    )
    dims = ConvDims.of((1, 1, *x.shape), (1, 1, *w.shape), padding=pads, op="convolve")
    kernel = np.ascontiguousarray(np.flip(w))[np.newaxis, np.newaxis]
    found: Array = conv_forward(dims, x[np.newaxis, np.newaxis], kernel, op="convolve")[0, 0]
    return found


def _transforms_pay(x: Array, w: Array, full: tuple[int, ...]) -> bool:
    taps = min(x.size, w.size)
    if x.dtype.kind not in "fc" or taps <= _TAPS_A_DOUBLING * math.log2(max(math.prod(full), 2)):
        return False
    # Transforms would spread an infinity over everything.
    return bool(np.isfinite(x).all() and np.isfinite(w).all())


def _by_transforms(
    x: Array, w: Array, full: tuple[int, ...], first: tuple[int, ...], size: tuple[int, ...]
) -> Array:
    axes = tuple(range(x.ndim))
    wide = [_fast_size(one) for one in full]
    with np.errstate(all="ignore"):
        if x.dtype.kind == "c":
            found: Array = np.fft.ifftn(np.fft.fftn(x, wide, axes) * np.fft.fftn(w, wide, axes), wide, axes)
        else:
            carrier = x.dtype if x.dtype in (np.float32, np.float64) else np.dtype(np.float64)
            a, b = (np.fft.rfftn(one.astype(carrier, copy=False), wide, axes) for one in (x, w))
            found = np.fft.irfftn(a * b, wide, axes)
        kept = found[tuple(slice(start, start + one) for start, one in zip(first, size, strict=True))]
        if x.dtype.kind in "iu":
            kept = np.rint(kept)
        return kept.astype(x.dtype)


def _fast_size(size: int) -> int:
    """The next number from ``size`` on whose only factors are 2, 3 and 5.

    >>> [_fast_size(one) for one in (1, 7, 97, 1025)]
    [1, 8, 100, 1080]
    """
    best = 1 << (size - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            rest = -(-size // three)
            best = min(best, three << (rest - 1).bit_length())
            three *= 3
        five *= 5
    return best
