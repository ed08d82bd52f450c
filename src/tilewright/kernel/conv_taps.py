"""Depthwise convolution: for each tap, one multiply-add over the positions where it meets the input.

With a single input channel a group, a matrix product would have nothing to reuse; this reads the input once
per tap from cache and needs no gathered windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at
from tilewright.kernel.overlap import tiles
from tilewright.plan import Plan

Array = npt.NDArray[Any]


def forward(plan: Plan, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    """Writes the cross-correlation of ``x`` with ``w`` (plus ``bias``) into ``y``."""
    dims, taps, outputs = _setting(plan, w, y)
    for tile in tiles(dims, plan.tile):
        for n in range(dims.batch):
            total = np.zeros((*outputs.shape[1:3], *tile.shape), dtype=x.dtype)
            for meeting in tile.meetings:
                seen = x[at(n, slice(None), None, *meeting.inputs)]
                total[at(..., *meeting.outputs)] += seen * taps[meeting.number]
            if bias is not None:
                total += bias.reshape(taps.shape[1:])
            outputs[at(n, slice(None), slice(None), *tile.outputs)] = total


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array) -> None:
    """Writes the gradient of the input into ``gx``."""
    dims, taps, gradients = _setting(plan, w, gy)
    gx[...] = 0
    for tile in tiles(dims, plan.tile):
        for n in range(dims.batch):
            block = gradients[at(n, slice(None), slice(None), *tile.outputs)]
            for meeting in tile.meetings:
                share = (block[at(..., *meeting.outputs)] * taps[meeting.number]).sum(axis=1)
                gx[at(n, slice(None), *meeting.inputs)] += share


def weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array) -> None:
    """Writes the gradient of the weights into ``gw``, summed over tiles and samples in a fixed order."""
    dims, total, gradients = _setting(plan, np.zeros(gw.shape, gw.dtype), gy)
    for tile in tiles(dims, plan.tile):
        for n in range(dims.batch):
            block = gradients[at(n, slice(None), slice(None), *tile.outputs)]
            for meeting in tile.meetings:
                seen = x[at(n, slice(None), None, *meeting.inputs)]
                part = (block[at(..., *meeting.outputs)] * seen).sum(axis=tuple(range(2, 2 + dims.rank)))
                total[meeting.number] += part.reshape(total.shape[1:])
    gw[...] = np.moveaxis(total, 0, -1).reshape(gw.shape)


def _setting(plan: Plan, w: Array, y: Array) -> tuple[ConvDims, Array, Array]:
    """Geometry, weights as (taps, groups, multiplier, 1, …), y as (batch, groups, multiplier, *output)."""
    dims = plan.dims
    assert isinstance(dims, ConvDims)
    multiplier = dims.out_channels // dims.groups
    by_tap = np.moveaxis(np.ascontiguousarray(w).reshape(dims.groups, multiplier, dims.taps), -1, 0)
    taps = np.ascontiguousarray(by_tap).reshape(dims.taps, dims.groups, multiplier, *(1,) * dims.rank)
    return dims, taps, y.reshape(dims.batch, dims.groups, multiplier, *dims.output)
