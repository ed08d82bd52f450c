"""Normalisation on arrays: statistics of channels, batch norm and its gradient, vectors of unit length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.op import channel_passes as passes
from tilewright.op.activation import relu, relu_gradient
from tilewright.op.arrays import FLOATS, check_array, check_same_dtype
from tilewright.op.memory import copy_in_c_order, empty_like, pooled

Array = npt.NDArray[Any]

# Elements worked on at a time: 512 KiB of float32, so that the passes over a block find it in the L2 cache.
_BLOCK = 1 << 17

_divide, _maximum, _multiply, _subtract = map(pooled, (np.divide, np.maximum, np.multiply, np.subtract))


def check_per_channel(op: str, x: Array, **per_channel: Array | None) -> None:
    """Refuse an input without channels, and parameters that are not one number per channel.

    Raises:
        ShapeError, DtypeError: naming the operand.
    """
    check_array(x, "input", op, FLOATS)
    if x.ndim < 2:
        raise ShapeError(f"{op} needs input of shape (batch, channels, ...).", describe(input=x))
    for name, array in per_channel.items():
        if array is None:
            continue
        check_array(array, name, op, FLOATS)
        if array.shape != (x.shape[1],):
            raise ShapeError(
                f"{op} needs {name} of shape ({x.shape[1]},), one number per channel.",
                describe(**{name: array, "input": x}),
            )
    check_same_dtype(op, input=x, **per_channel)


def _blocks(x: Array) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and channels that cover x, of about ``_BLOCK`` elements each, in a fixed order."""
    batch, channels = x.shape[:2]
    plane = max(math.prod(x.shape[2:]), 1)
    wide = max(min(_BLOCK // plane, channels), 1)
    deep = max(_BLOCK // (plane * channels), 1)
    for first in range(0, batch, deep):
        for channel in range(0, channels, wide):
            yield slice(first, first + deep), slice(channel, channel + wide)


def _along_channels(values: Array, x: Array, dtype: Any = None) -> Array:
    """One number per channel, shaped to broadcast against x."""
    return values.astype(dtype or x.dtype, copy=False).reshape(1, -1, *([1] * (x.ndim - 2)))


def _channel_sums(x: Array, part: Callable[[tuple[slice, slice]], Array]) -> Array:
    """The sums over all axes but the channels of what ``part`` gives for each block.

    NumPy adds a plane in pairs, which keeps its rounding error small; planes are added up in float64.
    """
    over = tuple(range(2, x.ndim))
    sums = np.zeros(x.shape[1], np.float64)
    for block in _blocks(x):
        sums[block[1]] += np.add.reduce(np.add.reduce(part(block), axis=over), axis=0, dtype=np.float64)
    return sums


def channel_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each channel of x (batch, channels, ...), in float64.

    A mean much larger than the deviations costs no digits: the squares that are added up are those of the
    distances from one of the channel's numbers, in float64 (:mod:`tilewright.kernel.elementwise.moments`), or
    those from the mean, in two passes. Sums are added in a fixed order.

    Raises:
        ShapeError: a channel has fewer than two numbers, or none.
    """
    count = x.size // x.shape[1] if x.shape[1] else 0
    if count < 2 and x.shape[1]:
        raise ShapeError(
            "batch_norm needs more than one number per channel to normalise by their variance.",
            describe(input=x),
            "Use a larger batch, or evaluation mode.",
        )
    found = passes.statistics(x)
    if found is not None:
        return found
    mean = _channel_sums(x, lambda block: x[block]) / max(count, 1)
    centre = _along_channels(mean, x)

    def squares(block: tuple[slice, slice]) -> Array:
        deviations: Array = _subtract(x[block], centre[:, block[1]])
        return np.square(deviations, out=deviations)

    variance = _channel_sums(x, squares) / max(count, 1)
    return mean, variance


def inverse_deviation(variance: Array, eps: float) -> Array:
    """1 / √(variance + eps)."""
    return np.asarray(1.0 / np.sqrt(variance + variance.dtype.type(eps)))


def batch_norm(x: Array, weight: Array | None, bias: Array | None, mean: Array, inverse: Array) -> Array:
    """(x − mean) · inverse · weight + bias, channel by channel, in the memory order of x.

    Args:
        x: (batch, channels, ...).
        weight: (channels,) or None.
        bias: (channels,) or None.
        mean: (channels,).
        inverse: (channels,), one over the deviation.
    """
    found = passes.scaled("norm", x, _numbers(x, weight, bias, mean, inverse))
    if found is not None:
        return found
    centre = _along_channels(mean, x)
    scale = _along_channels(inverse if weight is None else inverse * weight, x)
    shift = None if bias is None else _along_channels(bias, x)
    y = empty_like(x)
    for block in _blocks(x):
        out, channels = y[block], block[1]
        # The mean is taken off first: folded into the bias it would cancel, and cost digits.
        np.subtract(x[block], centre[:, channels], out=out)
        out *= scale[:, channels]
        if shift is not None:
            out += shift[:, channels]
    return y


def batch_norm_relu(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, inverse: Array, more: Array | None
) -> Array:
    """ReLU of :func:`batch_norm`, or of that and ``more`` (an array like x), with the bits of the steps."""
    kind = "norm_relu" if more is None else "norm_add_relu"
    found = passes.scaled(kind, x, _numbers(x, weight, bias, mean, inverse), more)
    if found is not None:
        return found
    y = batch_norm(x, weight, bias, mean, inverse)
    return relu(y if more is None else np.add(y, more, out=y))


def _numbers(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, inverse: Array
) -> tuple[Array, Array, Array]:
    """What each channel is moved down by, multiplied by and moved up by, in the dtype of x."""
    scale = inverse if weight is None else inverse * weight
    # Adding −0 changes nothing, not even the sign of 0.
    shift = np.full(x.shape[1], -0.0, x.dtype) if bias is None else bias
    return tuple(np.ascontiguousarray(one, x.dtype) for one in (mean, scale, shift))  # type: ignore[return-value]


def batch_norm_gradient(
    g: Array, x: Array, weight: Array | None, mean: Array, inverse: Array
) -> tuple[Array, Array, Array]:
    """Gradients in x, weight and bias of batch norm by the batch's own statistics.

    With x̂ = (x − mean) · inverse and n numbers per channel:

        gx = (g − Σg/n − x̂ · Σ(g·x̂)/n) · inverse · weight,   gw = Σ(g·x̂),   gb = Σg
    """
    count = x.size // x.shape[1] if x.shape[1] else 0
    found = passes.gradient_sums(x, mean.astype(np.float64, copy=False), g)
    if found is not None:
        return _pulled(*found, x, weight, mean, inverse)
    centre = _along_channels(mean, x)
    sums = _channel_sums(x, lambda block: g[block])

    def products(block: tuple[slice, slice]) -> Array:
        found: Array = _multiply(g[block], _subtract(x[block], centre[:, block[1]]))
        return found

    moments = _channel_sums(x, products) * inverse
    lift = _along_channels(sums / max(count, 1), x)
    tilt = _along_channels(moments * inverse / max(count, 1), x)
    scale = _along_channels(inverse if weight is None else inverse * weight, x)
    gx = empty_like(x)
    for block in _blocks(x):
        out, channels = gx[block], block[1]
        np.subtract(x[block], centre[:, channels], out=out)
        out *= tilt[:, channels]
        np.subtract(g[block], out, out=out)
        out -= lift[:, channels]
        out *= scale[:, channels]
    return gx, moments.astype(x.dtype), sums.astype(x.dtype)


def batch_norm_relu_gradient(
    g: Array, x: Array, y: Array, weight: Array | None, mean: Array, inverse: Array, apart: bool
) -> tuple[Array, Array, Array, Array | None]:
    """Gradients in x, weight, bias and ``more`` of :func:`batch_norm_relu`, from its result y.

    With ``apart`` the last is given; otherwise its memory may serve another.
    """
    found = passes.gradient_sums(x, mean.astype(np.float64, copy=False), g, y)
    if found is None:
        kept = relu_gradient(g, y)
        return (*batch_norm_gradient(kept, x, weight, mean, inverse), kept if apart else None)
    kept = found[0]
    return (*_pulled(*found, x, weight, mean, inverse, None if apart else kept), kept if apart else None)


def _pulled(
    g: Array,
    sums: Array,
    products: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    inverse: Array,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """The gradients, given Σg and Σ(g·(x − mean)), where compiled passes serve."""
    count = x.size // x.shape[1]
    moments = products * inverse
    scale = inverse if weight is None else inverse * weight
    numbers = (mean, moments * inverse / count, sums / count, scale)
    gx = passes.scaled("pull", x, tuple(one.astype(x.dtype, copy=False) for one in numbers), g, out)
    assert gx is not None, "its sums were compiled too"
    return gx, moments.astype(x.dtype), sums.astype(x.dtype)


def moved_average(running: Array, found: Array, momentum: float) -> Array:
    """(1 − momentum) · running + momentum · found, in the dtype of ``running``."""
    return np.asarray((1.0 - momentum) * running + momentum * found).astype(running.dtype)


def check_writable(running: Array, name: str, op: str) -> None:
    """Refuse a running statistic that can't be updated.

    Raises:
        DtypeError: it is read-only.
    """
    if not running.flags.writeable:
        raise DtypeError(
            f"{op} updates {name} in place and needs an array that can be written to.",
            describe(**{name: running}),
            "Pass a copy.",
        )


def length(x: Array, p: float, axis: int) -> Array:
    """The p-norm along ``axis``, kept with size 1: (Σ|x|^p)^(1/p), or the largest |x| for infinite p.

    Raises:
        ArgumentError: p is not above 0.
    """
    if not p > 0:
        raise ArgumentError("normalize needs p above 0.", describe(p=p))
    one = check_array(x, "input", "normalize", FLOATS).dtype.type
    # In C order, so that a vector is summed in the same order in whatever batch it comes.
    size = copy_in_c_order(x)
    np.absolute(size, out=size)
    if math.isinf(p):
        # A maximum of nothing is 0.
        return np.asarray(np.maximum.reduce(size, axis=axis, keepdims=True, initial=one(0)))
    if p == 1.0:
        return np.asarray(np.add.reduce(size, axis=axis, keepdims=True))
    if p == 2.0:
        return np.sqrt(np.add.reduce(np.square(size, out=size), axis=axis, keepdims=True))
    np.power(size, one(p), out=size)
    return np.asarray(np.power(np.add.reduce(size, axis=axis, keepdims=True), one(1.0 / p)))


def normalize(x: Array, p: float, axis: int, eps: float) -> Array:
    """Gives x over its p-norm along ``axis``, or over ``eps`` where that is larger."""
    return np.asarray(_divide(x, _maximum(length(x, p, axis), x.dtype.type(eps))))
