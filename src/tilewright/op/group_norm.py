"""Normalisation of groups of channels, sample by sample: group, instance, layer and RMS norm on arrays.

All four are one operation. The channels of a sample are cut into groups; the numbers of a group, over its
channels and all places, are brought to mean 0 and variance 1; each channel then has its own factor and
summand. Instance norm has as many groups as channels. Layer norm is one group of an array (rows, numbers)
whose "channels" are the numbers of a row. RMS norm leaves the mean where it is.

Every sample is worked on in C order, whatever its layout in memory, and nothing of one sample goes into
another: so its result is the same bits in every batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.kernel import buffers
from tilewright.op import group_passes
from tilewright.op.memory import empty_like

Array = npt.NDArray[Any]

# Elements worked on at a time: 512 KiB of float32, so that the passes over a block find it in the L2 cache.
_BLOCK = 1 << 17
# Places of a channel from which on NumPy's broadcasting of one number per channel is quick; with fewer, the
# numbers are written out for each place first.
_FEW_PLACES = 16


@dataclass(frozen=True)
class GroupStatistics:
    """What normalised the groups, each array of shape (batch · groups,) and the input's dtype.

    The mean of a group is ``centre + shift``. They are kept apart, because their sum, rounded, would lose
    what the second pass found.
    """

    centre: Array
    shift: Array
    variance: Array
    inverse: Array


@dataclass(frozen=True)
class _Part:
    """Some groups of some samples: as slices, and the sizes that its numbers have."""

    samples: slice
    channels: slice
    groups: slice
    shape: tuple[int, ...]
    rows: int
    numbers: int
    per_group: int
    places: int

    def of(self, x: Array) -> Array:
        """Its part of an array (batch, channels, ...)."""
        return x[self.samples, self.channels]

    def of_rows(self, values: Array, groups: int) -> Array:
        """Its part of one number per group, (batch · groups,), as a view (samples, groups)."""
        return values.reshape(-1, groups)[self.samples, self.groups]

    def against(self, numbers: Array, per_channel: Array) -> tuple[Array, Array]:
        """Its numbers, and one number per channel or per sample and channel, shaped to broadcast quickly."""
        each = per_channel.reshape(-1, self.shape[1])
        if self.places >= _FEW_PLACES:
            return numbers.reshape(self.shape[0], self.shape[1], self.places), each[:, :, None]
        if self.places > 1:
            each = np.repeat(each, self.places, axis=1)
        return numbers.reshape(self.shape[0], -1), each

    def sums_of_channels(self, numbers: Array) -> Array:
        """The sum over the places of each channel of each sample, (samples, channels)."""
        by_channel = numbers.reshape(self.shape[0], self.shape[1], self.places)
        return by_channel[:, :, 0] if self.places == 1 else np.asarray(np.add.reduce(by_channel, axis=2))


def _parts(x: Array, groups: int) -> Iterator[_Part]:
    """What covers x in a fixed order: whole samples of about ``_BLOCK`` elements, or groups of one sample."""
    batch, channels = x.shape[:2]
    places = math.prod(x.shape[2:])
    per_group = channels // groups
    numbers = per_group * places
    deep = max(_BLOCK // (numbers * groups), 1)
    wide = groups if deep > 1 else min(max(_BLOCK // numbers, 1), groups)
    for first in range(0, batch, deep):
        samples = slice(first, min(first + deep, batch))
        for start in range(0, groups, wide):
            some = slice(start, min(start + wide, groups))
            along = slice(some.start * per_group, some.stop * per_group)
            shape = (samples.stop - samples.start, along.stop - along.start, *x.shape[2:])
            rows = shape[0] * (some.stop - some.start)
            yield _Part(samples, along, some, shape, rows, numbers, per_group, places)


def check_groups(x: Array, groups: int, op: str) -> None:
    """Refuse channels that don't make up so many groups of one size.

    Raises:
        ShapeError: naming the number and the input.
    """
    if x.shape[1] % groups:
        raise ShapeError(
            f"{op} needs channels that make up num_groups groups of one size.",
            describe(input=x, num_groups=groups),
        )


def _row_sums(rows: Array) -> Array:
    """The sum of each row. NumPy adds a row in pairs, which keeps its rounding error small."""
    return np.asarray(np.add.reduce(rows, axis=1))


def group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float, centred: bool = True
) -> tuple[Array, GroupStatistics]:
    """(x − mean) / √(variance + eps) · weight + bias with mean and variance of each group of each sample.

    The sum of what is left when the mean is taken off would be 0, were it not for rounding; it corrects mean
    and variance (the corrected two-pass algorithm of Chan, Golub and LeVeque, "Algorithms for computing the
    sample variance", 1983). So a mean much larger than the deviations costs no digits.

    Args:
        x: (batch, channels, ...), float32 or float64.
        groups: divides the channels.
        weight: (channels,) or None.
        bias: (channels,) or None.
        eps: at least 0.
        centred: without it the mean counts as 0, and the variance is the mean square.

    Returns:
        The result, in the memory order of x; and what backward needs.
    """
    done = group_passes.group_norm(x, groups, weight, bias, eps, centred)
    if done is not None:
        return done[0], GroupStatistics(*done[1])
    one = x.dtype.type
    y = empty_like(x)
    found = GroupStatistics(*(np.zeros(x.shape[0] * groups, x.dtype) for _ in range(4)))
    if x.size == 0:
        return y, found
    in_place = y.flags.c_contiguous
    for part in _parts(x, groups):
        work = part.of(y) if in_place else buffers.empty(part.shape, x.dtype)
        rows = work.reshape(part.rows, part.numbers)
        count = one(part.numbers)
        centre = shift = np.zeros(part.rows, x.dtype)
        if not in_place or not centred:
            np.copyto(work, part.of(x))
        if centred:
            given = part.of(x).reshape(rows.shape) if in_place else rows
            centre = _row_sums(given) / count
            np.subtract(given, centre[:, None], out=rows)
            shift = _row_sums(rows) / count
        square = buffers.empty(rows.shape, x.dtype)
        variance = _row_sums(np.multiply(rows, rows, out=square)) / count - shift * shift
        # Rounding may leave it a little below 0 where all numbers are equal.
        variance = np.maximum(variance, one(0))
        inverse = one(1) / np.sqrt(variance + one(eps))
        for values, kept in (
            (centre, found.centre),
            (shift, found.shift),
            (variance, found.variance),
            (inverse, found.inverse),
        ):
            place = part.of_rows(kept, groups)
            place[...] = values.reshape(place.shape)
        _scale(part, rows, shift, inverse, weight, bias)
        if not in_place:
            np.copyto(part.of(y), work)
    return y, found


def _scale(
    part: _Part, rows: Array, shift: Array, inverse: Array, weight: Array | None, bias: Array | None
) -> None:
    """(rows − shift) · inverse · weight + bias, in place."""
    if (weight is None and bias is None) or part.places < _FEW_PLACES:
        np.subtract(rows, shift[:, None], out=rows)
        np.multiply(rows, inverse[:, None], out=rows)
        for function, operand in ((np.multiply, weight), (np.add, bias)):
            if operand is not None:
                numbers, each = part.against(rows, operand[part.channels])
                function(numbers, each, out=numbers)
        return
    # What is one number per channel is put together first, and meets the numbers twice instead of four times.
    ones = np.ones(part.shape[1], rows.dtype)
    factors = (ones if weight is None else weight[part.channels]).reshape(1, -1, part.per_group)
    scale = inverse.reshape(part.shape[0], -1, 1) * factors
    lift = -shift.reshape(part.shape[0], -1, 1) * scale
    if bias is not None:
        lift += bias[part.channels].reshape(1, -1, part.per_group)
    numbers, each = part.against(rows, scale)
    np.multiply(numbers, each, out=numbers)
    numbers, each = part.against(rows, lift)
    np.add(numbers, each, out=numbers)


def channel_means_and_variances(x: Array) -> tuple[Array, Array]:
    """Mean, and variance over n − 1, of each channel of each sample, averaged over the batch, in float64.

    Args:
        x: (batch, channels, ...) with at least one sample and more than one place.
    """
    places = math.prod(x.shape[2:])
    with np.errstate(all="ignore"):
        _, found = group_norm(x, x.shape[1], None, None, 0.0)
        means = found.centre.astype(np.float64) + found.shift
        mean = means.reshape(x.shape[:2]).mean(axis=0)
        variance = found.variance.astype(np.float64).reshape(x.shape[:2]).mean(axis=0)
        return mean, variance * (places / (places - 1))


def group_norm_gradient(
    g: Array, x: Array, groups: int, weight: Array | None, found: GroupStatistics, centred: bool = True
) -> tuple[Array, Array, Array]:
    """Gradients in x, weight and bias of :func:`group_norm`.

    With x̂ the normalised input, h = g · weight, and n numbers in a group:

        gx = (h − Σh/n − x̂ · Σ(h·x̂)/n) / √(variance + eps),   gw = Σ(g·x̂),   gb = Σg

    where the sums of gx are over a group (without ``centred`` its Σh/n is left out) and the others over
    batch and places, in float64.
    """
    kept = (found.centre, found.shift, found.variance, found.inverse)
    done = group_passes.group_norm_gradient(g, x, groups, weight, kept, centred)
    if done is not None:
        return done
    gx = empty_like(x)
    for_weight, for_bias = np.zeros(x.shape[1], np.float64), np.zeros(x.shape[1], np.float64)
    if x.size == 0:
        return gx, for_weight.astype(x.dtype), for_bias.astype(x.dtype)
    for part in _parts(x, groups):
        standard, pull, product = (buffers.empty(part.shape, x.dtype) for _ in range(3))
        np.copyto(standard, part.of(x))
        np.copyto(pull, part.of(g))
        centre, shift, inverse = (
            part.of_rows(kept, groups).reshape(-1, 1) for kept in (found.centre, found.shift, found.inverse)
        )
        rows = standard.reshape(part.rows, part.numbers)
        if centred:
            np.subtract(rows, centre, out=rows)
            np.subtract(rows, shift, out=rows)
        np.multiply(rows, inverse, out=rows)
        np.multiply(pull, standard, out=product)
        slopes, lifts = part.sums_of_channels(product), part.sums_of_channels(pull)
        for_weight[part.channels] += np.add.reduce(slopes, axis=0, dtype=np.float64)
        for_bias[part.channels] += np.add.reduce(lifts, axis=0, dtype=np.float64)
        if weight is not None:
            factors = weight[part.channels]
            slopes, lifts = slopes * factors, lifts * factors
            numbers, each = part.against(pull, factors)
            np.multiply(numbers, each, out=numbers)
        count = x.dtype.type(part.numbers)
        tilt = _row_sums(slopes.reshape(part.rows, part.per_group)) / count
        np.multiply(rows, tilt[:, None], out=rows)
        result = pull.reshape(rows.shape)
        np.subtract(result, rows, out=result)
        if centred:
            lift = _row_sums(lifts.reshape(part.rows, part.per_group)) / count
            np.subtract(result, lift[:, None], out=result)
        np.multiply(result, inverse, out=result)
        np.copyto(part.of(gx), pull)
    return gx, for_weight.astype(x.dtype), for_bias.astype(x.dtype)
