"""Kernels that are outer products of vectors: found, and convolved with in passes along single axes.

A kernel of k×k taps that is an outer product, w[i, j] = u[i]·v[j], takes two passes of k products instead of
k². Whether it is one is looked at in floating-point terms. With p the place of the largest weight, u the
weights in line with it along one axis, and v those along the other, divided by w[p] (in float64), it counts
as one if

    |w[i, j] − u[i]·v[j]| ≤ 4·eps·|w[i, j]|        for all i and j (6·eps with three axes, and so on),

eps being that of the kernel's dtype; below its smallest numbers, four of those. Any product of two rounded
vectors that has itself been rounded, and perhaps scaled and rounded again, satisfies this: Gaussian, box,
binomial, Sobel filters and their like. So the weights that are computed with differ from those given by a few
roundings each, and the result from the definition's by about what the rounding of its sums amounts to (a test
compares it with a product of matrices).

What lies between passes is a strip of rows, or some channels, of at most a MiB; how it is cut depends on one
sample's geometry alone. Intermediate sums could overflow, or an infinity meet a zero, where the definition
has something else: so a sample whose result isn't finite is computed again by the definition's sums.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, run
from tilewright.kernel.conv_fft import adjoint_weights
from tilewright.op.arrays import name_of
from tilewright.op.pieces import outputs_along
from tilewright.plan import Plan, choose
from tilewright.plan.separable import BETWEEN_BYTES, passes, pays

Array = npt.NDArray[Any]


def factors(w: Array) -> list[Array] | None:
    """The vectors of which every channel's kernel is the outer product; None if one of them isn't.

    Args:
        w: (channels, 1, *kernel), float32 or float64.

    Returns:
        For each axis with several taps, an array (channels, 1, *kernel) with 1 for all other axes.

    >>> factors(np.outer([1.0, 2.0, 1.0], [1.0, 0.0, -1.0])[None, None])[1].ravel()
    array([ 1.,  0., -1.])
    """
    # Most kernels are no such product, and the first of them says so.
    if len(w) > 1 and _factors(w[:1]) is None:
        return None
    return _factors(w)


def _factors(w: Array) -> list[Array] | None:
    kernels = w[:, 0].astype(np.float64)
    count, *kernel = kernels.shape
    axes = [axis for axis, k in enumerate(kernel) if k > 1]
    flat = kernels.reshape(count, -1)
    number = np.abs(flat).argmax(axis=1)
    pivot = flat[np.arange(count), number]
    if not np.isfinite(pivot).all():
        return None
    # Of a kernel of zeros, all vectors are.
    divisor = np.where(pivot == 0, 1.0, pivot)
    places = np.unravel_index(number, tuple(kernel))
    found: list[Array] = []
    product = np.ones((count, *(1,) * len(kernel)))
    for axis in axes:
        index: list[Any] = [place.reshape(-1, 1) for place in places]
        index[axis] = np.arange(kernel[axis]).reshape(1, -1)
        line = kernels[(np.arange(count).reshape(-1, 1), *index)]
        if found:
            line = line / divisor[:, None]
        line = line.reshape(count, *(kernel[axis] if at == axis else 1 for at in range(len(kernel))))
        product = product * line
        found.append(line[:, None].astype(w.dtype))
    known = np.finfo(w.dtype)
    allowed = 2 * len(axes) * float(known.eps) * np.abs(kernels) + 4 * float(known.smallest_subnormal)
    return found if (np.abs(kernels - product) <= allowed).all() else None


def forward(dims: ConvDims, x: Array, w: Array, bias: Array | None, y: Array) -> bool:
    """Write x ⋆ w + bias into ``y`` in passes, if that pays and the kernel allows it; whether it did."""
    if not pays(dims, name_of(x.dtype)):
        return False
    vectors = factors(w)
    if vectors is None:
        return False
    with np.errstate(all="ignore"):
        for n in range(dims.batch):
            one = slice(n, n + 1)
            if not _sample(dims.with_batch(1), x[one], vectors, bias, y[one]):
                run(
                    choose("forward", dims.with_batch(1), name_of(x.dtype), exact=True),
                    x[one],
                    w,
                    bias,
                    y[one],
                )
    return True


def data_gradient(dims: ConvDims, gy: Array, w: Array, bias: Array | None, gx: Array) -> bool:
    """The same of the gradient of x, which is a convolution with the flipped kernel; with ``bias`` added."""
    if any(n != 1 for n in dims.stride) or not pays(dims.adjoint(), name_of(gy.dtype)):
        return False
    return forward(dims.adjoint(), gy, adjoint_weights(dims, w), bias, gx)


def plans_of(operation: str, dims: ConvDims, w: Array) -> list[Plan]:
    """The plans of the passes that :func:`forward` or :func:`data_gradient` would make, if any."""
    if operation == "weight_gradient":
        return []
    form = dims
    if operation == "data_gradient":
        if any(n != 1 for n in dims.stride):
            return []
        form, w = dims.adjoint(), adjoint_weights(dims, w)
    if not pays(form, name_of(w.dtype)) or factors(w) is None:
        return []
    return [choose("forward", one, name_of(w.dtype), exact=True) for one in passes(form)]


def _sample(dims: ConvDims, x: Array, vectors: list[Array], bias: Array | None, y: Array) -> bool:
    """One sample, piece by piece; whether all of it is finite."""
    multiplier = dims.out_channels // dims.groups
    rows = [math.prod(one.output[1:]) * x.itemsize for one in passes(dims)[:-1]]
    plane = max(row * one.output[0] for row, one in zip(rows, passes(dims), strict=False))
    groups = max(BETWEEN_BYTES // (plane * multiplier), 1)
    strip = dims.output[0] if groups > 1 else max(BETWEEN_BYTES // (max(rows) * multiplier), 1)
    # As even as they can be.
    strip = -(-dims.output[0] // -(-dims.output[0] // strip))
    for first in range(0, dims.groups, groups):
        some = slice(first, min(first + groups, dims.groups))
        out = slice(some.start * multiplier, some.stop * multiplier)
        count = some.stop - some.start
        own = replace(dims, groups=count, in_channels=count, out_channels=count * multiplier)
        offsets = None if bias is None else bias[out]
        for start in range(0, dims.output[0], strip):
            piece = outputs_along(own, 0, start, min(start + strip, dims.output[0]))
            found = x[:, some][piece.of_input]
            steps = passes(piece.dims)
            for number, (one, vector) in enumerate(zip(steps, vectors, strict=True)):
                last = number == len(steps) - 1
                to = y[:, out][piece.of_output] if last else buffers.empty(one.output_shape, x.dtype)
                plan = choose("forward", one, name_of(x.dtype), exact=True)
                run(plan, found, vector[out], offsets if last else None, to)
                found = to
            if not np.isfinite(found).all():
                return False
    return True
