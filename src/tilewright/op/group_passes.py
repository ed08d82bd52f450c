"""Group, instance, layer and RMS norm in compiled passes; see :mod:`tilewright.op.group_norm`.

A group of a sample is a row of numbers in C order. Its sums don't depend on what other rows there are, and
the kernels serve arrays of every size and layout, so a sample's result is the same bits in every batch. Where
each number of a row has a weight of its own (layer norm), the rows are normalised first, and then the columns
weighted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import buffers
from tilewright.kernel.elementwise.channels import channel_moments, channels_scaled
from tilewright.op.memory import copy_in_c_order, empty_like
from tilewright.op.passes import serves

Array = npt.NDArray[Any]
#: What is kept of each group: centre, shift, variance, inverse.
Statistics = tuple[Array, Array, Array, Array]


def _in_c_order(x: Array) -> Array:
    return x if x.flags.c_contiguous and x.flags.aligned else copy_in_c_order(x)


def _laid_out_as(x: Array, y: Array) -> Array:
    """Gives y, which is in C order, in the memory order of x."""
    if x.flags.c_contiguous:
        return y
    found = empty_like(x)
    np.copyto(found, y)
    return found


def _weighted(x: Array, weight: Array | None, bias: Array | None, out: Array) -> None:
    """Writes x · weight + bias to ``out``: columns of rows in C order."""
    zero = np.zeros(x.shape[1], x.dtype)
    # Adding −0 changes nothing.
    numbers = (zero, zero + 1 if weight is None else weight, -zero if bias is None else bias)
    columns = (*x.shape, 1)
    channels_scaled("norm", x.reshape(columns), _dense(numbers), out.reshape(columns))


def _dense(numbers: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(np.ascontiguousarray(one) for one in numbers)


def group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float, centred: bool
) -> tuple[Array, Statistics] | None:
    """As :func:`tilewright.op.group_norm.group_norm`; None where nothing is compiled."""
    if x.size == 0 or not serves(x):
        return None
    given = _in_c_order(x)
    places, per_group = math.prod(x.shape[2:]), x.shape[1] // groups
    count = per_group * places
    rows = given.reshape(1, -1, count)
    # One of the row's own numbers is near its mean; infinity is near nothing.
    near = rows[0, :, 0].astype(np.float64)
    near[~np.isfinite(near)] = 0.0
    if not centred:
        near[...] = 0.0
    sums, squares = channel_moments("spread", rows, near)
    offset = sums / count if centred else np.zeros_like(sums)
    # Rounding may leave it a little below 0; NaN stays.
    variance = np.maximum((squares - sums * offset) / count, 0.0)
    centre = (near + offset).astype(x.dtype)
    shift = (near + offset - centre).astype(x.dtype)
    inverse = (1.0 / np.sqrt(variance + eps)).astype(x.dtype)
    y = buffers.empty(x.shape, x.dtype)
    if places == 1 or (weight is None and bias is None):
        channels_scaled("norm", rows, (centre, inverse, -shift * inverse), y.reshape(rows.shape))
        if weight is not None or bias is not None:
            columns = y.reshape(x.shape[:2])
            _weighted(columns, weight, bias, columns)
    else:
        scale = np.repeat(inverse, per_group).reshape(x.shape[:2])
        if weight is not None:
            scale = scale * weight
        lift = -np.repeat(shift, per_group).reshape(x.shape[:2]) * scale
        if bias is not None:
            lift += bias
        numbers = (np.repeat(centre, per_group), scale.reshape(-1), lift.reshape(-1))
        each = (1, -1, places)
        channels_scaled("norm", given.reshape(each), _dense(numbers), y.reshape(each))
    return _laid_out_as(x, y), (centre, shift, variance.astype(x.dtype), inverse)


def group_norm_gradient(
    g: Array, x: Array, groups: int, weight: Array | None, found: Statistics, centred: bool
) -> tuple[Array, Array, Array] | None:
    """As :func:`tilewright.op.group_norm.group_norm_gradient`; None where nothing is compiled."""
    if x.size == 0 or g.dtype != x.dtype or not serves(x):
        return None
    pull, given = _in_c_order(g), _in_c_order(x)
    whole = _columns if math.prod(x.shape[2:]) == 1 else _planes
    gx, for_weight, for_bias = whole(pull, given, groups, weight, found, centred)
    return _laid_out_as(x, gx), for_weight.astype(x.dtype), for_bias.astype(x.dtype)


def _columns(
    g: Array, x: Array, groups: int, weight: Array | None, found: Statistics, centred: bool
) -> tuple[Array, Array, Array]:
    """With one place, where each number of a row has a weight of its own."""
    centre, shift, _, inverse = found
    rows = (1, len(centre), x.shape[1] // groups)
    columns = (*x.shape[:2], 1)
    standard, pull = buffers.empty(x.shape, x.dtype), buffers.empty(x.shape, x.dtype)
    channels_scaled("norm", x.reshape(rows), (centre, inverse, -shift * inverse), standard.reshape(rows))
    for_bias, for_weight = channel_moments(
        "pull", standard.reshape(columns), np.zeros(x.shape[1]), g.reshape(columns)
    )
    weighted = g
    if weight is not None:
        _weighted(g.reshape(x.shape[:2]), weight, None, pull.reshape(x.shape[:2]))
        weighted = pull
    sums, moments = channel_moments("pull", standard.reshape(rows), np.zeros(rows[1]), weighted.reshape(rows))
    lift = sums / rows[2] if centred else np.zeros_like(sums)
    numbers = (np.zeros_like(sums), moments / rows[2], lift, inverse)
    channels_scaled(
        "pull",
        standard.reshape(rows),
        tuple(one.astype(x.dtype, copy=False) for one in numbers),
        pull.reshape(rows),
        weighted.reshape(rows),
    )
    return pull, for_weight, for_bias


def _planes(
    g: Array, x: Array, groups: int, weight: Array | None, found: Statistics, centred: bool
) -> tuple[Array, Array, Array]:
    """With several places, all of which have the weight of their channel."""
    wide = [np.repeat(one.astype(np.float64), x.shape[1] // groups).reshape(x.shape[:2]) for one in found]
    centre, shift, _, inverse = wide
    each = (1, x.shape[0] * x.shape[1], math.prod(x.shape[2:]))
    pulled = channel_moments("pull", x.reshape(each), (centre + shift).reshape(-1), g.reshape(each))
    sums, moments = (one.reshape(x.shape[:2]) for one in pulled)
    moments = moments * inverse
    factor = inverse if weight is None else inverse * weight
    ones = np.ones(x.shape[1]) if weight is None else weight

    def mean_of_groups(values: Array) -> Array:
        per_group = x.shape[1] // groups
        of_groups = np.add.reduce((values * ones).reshape(-1, per_group), axis=1) / (per_group * each[2])
        return np.repeat(of_groups, per_group).reshape(x.shape[:2])

    tilt = mean_of_groups(moments) * inverse * inverse
    lift = mean_of_groups(sums) * inverse if centred else np.zeros_like(sums)
    numbers = (centre, tilt, lift - shift * tilt, factor)
    gx = buffers.empty(x.shape, x.dtype)
    channels_scaled(
        "mixed",
        x.reshape(each),
        tuple(one.astype(x.dtype).reshape(-1) for one in numbers),
        gx.reshape(each),
        g.reshape(each),
    )
    return gx, np.add.reduce(moments, axis=0), np.add.reduce(sums, axis=0)
