"""Kernels taken apart into vectors, within a tolerance, and convolution with what comes of it.

A kernel of k×k taps that is a sum of r outer products of vectors takes r·2k products an output instead of k².
:func:`separate` finds the fewest that come near enough; :func:`conv_separable` convolves with them, one axis
after the other. (A kernel that *is* one outer product needs neither: :func:`tilewright.conv` sees that.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd.operands import raw
from tilewright.autograd.tape import is_tensor, made
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.activations import _number
from tilewright.functional.composing import check_floating
from tilewright.functional.conv import conv
from tilewright.functional.extending import extend
from tilewright.functional.operands import Operand, batched_input
from tilewright.geometry import ConvDims
from tilewright.op.arrays import FLOATS
from tilewright.op.low_rank import taken_apart

__all__ = ["conv_separable", "separate"]


def separate(weight: Operand, tolerance: float) -> list[Any]:
    """The weights of convolutions along single axes that follow each other and together come near a kernel.

    Each channel's kernel becomes a sum of outer products of vectors, by singular value decomposition, axis
    after axis. The products are orthogonal to each other, and the smallest are left out while

        ‖kernel − sum‖ ≤ tolerance · ‖kernel‖        (the root of the sum of squares, for each channel)

    holds. So an output's error is at most tolerance · ‖kernel‖ · ‖what the kernel lies on‖, rounding to the
    dtype aside. Channels have as many products as the one that needs most; others are filled up with zeros.

    Args:
        weight: (out_channels, 1, *kernel), float32 or float64: one input channel a group. A Tensor's history
            is not followed: what comes out are new numbers, which can be trained on their own.
        tolerance: as above, at least 0.

    Returns:
        For each axis with more than one tap a weight of the dtype of ``weight``, Tensors of a Tensor. With r
        products the last is of shape (out_channels, r, …, k), those before it (out_channels·r, 1, …, k, …),
        with 1 for all other axes. :func:`conv_separable` takes them.

    Raises:
        ShapeError: more than one input channel a group, or no weights at all.
        ArgumentError: a tolerance that isn't a number of at least 0, or weights that aren't finite.
        DtypeError: weights of another dtype, or a tolerance that is no number.

    >>> import numpy as np, tilewright.functional as F
    >>> blur = np.exp(-np.hypot(*np.mgrid[-7:8, -7:8]) / 3)[None, None]
    >>> [part.shape for part in F.separate(blur, 1e-2)]
    [(3, 1, 15, 1), (1, 3, 1, 15)]
    """
    check_floating("separate", weight=weight)
    w = raw(weight)
    if w.ndim < 3 or w.shape[1] != 1 or w.size == 0:
        raise ShapeError(
            "separate needs weight of shape (out_channels, 1, *kernel), without axes of size 0.",
            describe(weight=w),
        )
    allowed = _number("separate", tolerance=tolerance)
    if not 0 <= allowed < np.inf:
        raise ArgumentError(
            "separate needs tolerance to be a finite number of at least 0.", describe(tolerance=tolerance)
        )
    if not np.isfinite(w).all():
        raise ArgumentError("separate needs weight to be finite.", describe(weight=w))
    parts = taken_apart(w, allowed)
    return [made(part) for part in parts] if is_tensor(weight) else list(parts)


def conv_separable(
    input: Operand,
    weights: Any,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Any:
    """Convolution with a kernel that :func:`separate` has taken apart: one axis after the other.

    Gradients reach the input, the bias and the parts.

    Args:
        input: (batch, groups, *spatial), or without the batch.
        weights: what :func:`separate` returned, or weights of the same shapes.
        bias: (out_channels,), or None.
        stride: of the whole kernel, as in :func:`tilewright.conv`; so are the others.
        padding: as in :func:`tilewright.conv`.
        dilation: as in :func:`tilewright.conv`.
        groups: as many as the input has channels.
        padding_mode: as in :func:`tilewright.conv`.

    Returns:
        What :func:`tilewright.conv` returns for the kernel, within the tolerance.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`tilewright.conv`; also weights that aren't of the
            shapes that :func:`separate` gives.

    >>> import numpy as np, tilewright as tw, tilewright.functional as F
    >>> image = np.random.default_rng(0).standard_normal((1, 1, 50, 60))
    >>> blur = np.exp(-np.hypot(*np.mgrid[-7:8, -7:8]) / 3)[None, None]
    >>> fast = F.conv_separable(image, F.separate(blur, 1e-3), padding="same")
    >>> error = fast - tw.conv(image, blur, padding="same")
    >>> bool(np.abs(error).max() < 1e-3 * np.linalg.norm(blur) * np.linalg.norm(image))
    True
    """
    op = "conv_separable"
    kernel, channels = _whole(op, weights)
    x, batched = batched_input(op, len(kernel), input, FLOATS)
    dims = ConvDims.of(
        x.shape,
        (channels, 1, *kernel),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        op=op,
    )
    x, dims = extend(op, x, dims, padding_mode, copy=True)
    for number, part in enumerate(weights):
        last = number == len(weights) - 1
        # The last also has what axes of a single tap are padded and stepped over with.
        own = {axis for axis, k in enumerate(kernel) if part.shape[2 + axis] > 1 or (last and k == 1)}
        pairs = tuple(pair if axis in own else (0, 0) for axis, pair in enumerate(dims.padding))
        steps = tuple(n if axis in own else 1 for axis, n in enumerate(dims.stride))
        gaps = tuple(n if axis in own else 1 for axis, n in enumerate(dims.dilation))
        x = conv(x, part, bias if last else None, steps, pairs, gaps, x.shape[1] // part.shape[1])
    return x if batched else x[0]


def _whole(op: str, weights: Any) -> tuple[tuple[int, ...], int]:
    """The kernel's size and its output channels."""
    rule = f"{op} needs weights to be the list of parts that separate returns."
    if not isinstance(weights, (list, tuple)) or not weights:
        raise ArgumentError(rule, describe(weights=weights))
    for part in weights:
        check_floating(op, weights=part)
    shapes = [tuple(part.shape) for part in weights]
    rank, channels = len(shapes[-1]) - 2, shapes[-1][0]
    kernel = tuple(max(sizes) for sizes in zip(*(shape[2:] for shape in shapes), strict=False))
    axes = [axis for axis in range(rank) if len(kernel) == rank and kernel[axis] > 1] or [rank - 1]
    products = shapes[-1][1] if rank >= 1 else 0
    wanted = [
        (
            *((channels, products) if number == len(axes) - 1 else (channels * products, 1)),
            *(kernel[axis] if axis == own else 1 for axis in range(len(kernel))),
        )
        for number, own in enumerate(axes)
    ]
    if rank < 1 or 0 in shapes[-1] or shapes != wanted or (len(shapes) == 1 and products != 1):
        raise ShapeError(
            f"{op} needs weights along one axis after the other: (out_channels·r, 1, k, 1, …), then "
            "(out_channels, r, …, 1, k), as separate returns them.",
            f"weights with shapes {', '.join(map(str, shapes))}",
        )
    return kernel, channels
