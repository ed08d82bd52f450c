"""When a kernel that is an outer product of vectors is worth taking apart into passes along single axes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from tilewright.geometry import ConvDims
from tilewright.plan import compiled, fft
from tilewright.plan.precision import mode as precision_mode
from tilewright.plan.target import host

#: What lies between two passes, at most: it stays in a second-level cache of 1 MiB.
BETWEEN_BYTES = 1 << 20
# A pass in ns for each output, float32 with vectors of 64 bytes: reading and storing, and a product along the
# last axis or along another (measured on one core with pieces of BETWEEN_BYTES).
_TOUCH, _PRODUCT_LAST, _PRODUCT = 0.5, 1 / 25, 1 / 45
# A piece's passes are two calls from Python; the kernel is looked at in every call, some ns for each weight.
_PIECE, _LOOK, _LOOK_A_WEIGHT = 30_000.0, 90_000.0, 4.0
# The estimate must be so much lower.
_MARGIN = 0.85


def pays(dims: ConvDims, dtype: str) -> bool:
    """Whether passes would be faster than every other way, if the kernel should allow them.

    It follows from the geometry of one sample, never from the batch.
    """
    if precision_mode() == "exact" or sum(k > 1 for k in dims.kernel) < 2 or not compiled.serves(dtype):
        return False
    return _pays_for(dims, dtype)


@lru_cache(maxsize=4096)
def _pays_for(dims: ConvDims, dtype: str) -> bool:
    # Made anew for each call, the geometry of one sample takes longer than all else.
    return _pays(dims.with_batch(1), dtype)


@lru_cache(maxsize=4096)
def _pays(dims: ConvDims, dtype: str) -> bool:
    if dims.in_channels != dims.groups or any(n != 1 for n in dims.stride + dims.input_dilation):
        return False
    itemsize = np.dtype(dtype).itemsize
    if any(math.prod(one.output[1:]) * itemsize > BETWEEN_BYTES for one in passes(dims)):
        return False
    target = host()
    outputs = dims.out_channels // dims.groups
    other = fft.written_out(dims, dtype, target)
    if dtype == "float32" and not fft.unavailable():
        blocks = fft.blocks_of(dims, itemsize)
        other = min(other, math.inf if blocks is None else blocks.nanoseconds)
    wide = itemsize / 4 * 64 / target.vector_bytes * (1 if target.fused else 2)
    ours = 0.0
    for one in passes(dims):
        products = sum(
            k * (_PRODUCT_LAST if axis == dims.rank - 1 else _PRODUCT)
            for axis, k in enumerate(one.kernel)
            if k > 1
        )
        ours += math.prod(one.output) * outputs * (_TOUCH * itemsize / 4 + products * wide)
    pieces = math.prod(dims.output) * outputs * itemsize / BETWEEN_BYTES
    ours += pieces * _PIECE + outputs * dims.taps * _LOOK_A_WEIGHT
    return ours * dims.groups + _PIECE + _LOOK < _MARGIN * other * dims.groups


def passes(dims: ConvDims) -> list[ConvDims]:
    """The passes, first axis first, each over all channels: a kernel along one axis, the others of one tap.

    The first makes as many channels as the whole does. What axes of a single tap are padded with, their
    strides included, is the last pass's.

    >>> first, last = passes(ConvDims.of((1, 1, 20, 30), (1, 1, 5, 7), padding=(2, 3)))
    >>> first.kernel, first.output, last.kernel, last.output
    ((5, 1), (20, 30), (1, 7), (20, 30))
    """
    axes = [axis for axis, k in enumerate(dims.kernel) if k > 1]
    found: list[ConvDims] = []
    before = dims
    for number, axis in enumerate(axes):
        mine = {axis} if number < len(axes) - 1 else {axis, *range(dims.rank)} - set(axes[:-1])
        one = replace(
            dims,
            in_channels=dims.in_channels if not found else dims.out_channels,
            groups=dims.groups if not found else dims.out_channels,
            spatial=before.spatial if not found else before.output,
            kernel=tuple(k if at in mine else 1 for at, k in enumerate(dims.kernel)),
            stride=tuple(s if at in mine else 1 for at, s in enumerate(dims.stride)),
            dilation=tuple(d if at in mine else 1 for at, d in enumerate(dims.dilation)),
            padding=tuple(pair if at in mine else (0, 0) for at, pair in enumerate(dims.padding)),
        )
        found.append(one)
        before = one
    return found
